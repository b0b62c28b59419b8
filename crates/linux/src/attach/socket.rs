//! Sockets, maps of sockets, infrared receivers: what has no link, or has one only on newer kernels.

use super::{
    Link, Place, Program,
    explain::{refused, refused_by_call},
    link::Part,
};
use crate::sys::{self, LinkCreate, Object, ProgAttach, Target};
use alveary_abi::AttachType;
use alveary_diag::Diagnostic;
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

/// The two options that attach a program to a socket and take it off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    attach: libc::c_int,
    detach: libc::c_int,
}

pub(super) const FILTER: Options = Options { attach: libc::SO_ATTACH_BPF, detach: libc::SO_DETACH_FILTER };
pub(super) const REUSEPORT: Options =
    Options { attach: libc::SO_ATTACH_REUSEPORT_EBPF, detach: SO_DETACH_REUSEPORT_BPF };
const SO_DETACH_REUSEPORT_BPF: libc::c_int = 68;

pub(super) fn attach(
    program: Program<'_>,
    place: &Place<'_>,
    socket: BorrowedFd<'_>,
    options: Options,
) -> Result<Link, Diagnostic> {
    let failed = |error: &io::Error| refused_by_call(program, place, "setsockopt", error);
    set(socket, options.attach, program.fd.as_raw_fd()).map_err(|error| failed(&error))?;
    let socket = socket.try_clone_to_owned().map_err(|error| failed(&error))?;
    Ok(Link::of(place, SocketProgram { socket, options }))
}

fn set(socket: BorrowedFd<'_>, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the value is a number of the length that is said.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const value).cast(), len) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A socket's program. It goes with the socket.
#[derive(Debug)]
struct SocketProgram {
    socket: OwnedFd,
    options: Options,
}

impl Part for SocketProgram {
    fn detach(&mut self) -> Result<(), Diagnostic> {
        set(self.socket.as_fd(), self.options.detach, 0).map_err(|error| {
            let message = format!("the socket's program cannot be taken off: {error}");
            Diagnostic::new("detach", message, alveary_diag::Place::Nowhere)
        })
    }

    fn replace(&mut self, program: Program<'_>) -> Option<Result<(), Diagnostic>> {
        // The kernel swaps it.
        let place = Place::Socket(self.socket.as_fd());
        let done = set(self.socket.as_fd(), self.options.attach, program.fd.as_raw_fd());
        Some(done.map_err(|error| refused_by_call(program, &place, "setsockopt", &error)))
    }
}

pub(super) fn attach_sockmap(program: Program<'_>, place: &Place<'_>, map: BorrowedFd<'_>) -> Result<Link, Diagnostic> {
    let ty = program.attach_type(match program.ty {
        alveary_abi::ProgType::SK_MSG => AttachType::SK_MSG_VERDICT,
        _ => AttachType::SK_SKB_STREAM_VERDICT,
    });
    // Links of sockmaps came with Linux 6.10.
    if let Ok(fd) = LinkCreate::new(program.fd, Target::Fd(map), ty).create() {
        return Ok(Link::of_fd(place, fd));
    }
    attach_without_link(program, place, map, ty)
}

pub(super) fn attach_lirc(
    program: Program<'_>,
    place: &Place<'_>,
    receiver: BorrowedFd<'_>,
) -> Result<Link, Diagnostic> {
    attach_without_link(program, place, receiver, AttachType::LIRC_MODE2)
}

fn attach_without_link(
    program: Program<'_>,
    place: &Place<'_>,
    target: BorrowedFd<'_>,
    ty: AttachType,
) -> Result<Link, Diagnostic> {
    let attach = ProgAttach::new(Target::Fd(target), Some(program.fd), ty);
    attach.attach().map_err(|error| refused(program, place, &error))?;
    let target = target.try_clone_to_owned().map_err(|error| refused_by_call(program, place, "dup", &error))?;
    let prog = sys::open_id(Object::Prog, program.id(), 0, None)?;
    Ok(Link::of(place, Attached { target, prog, ty }))
}

/// An attachment that stays as long as what it hangs on.
#[derive(Debug)]
struct Attached {
    target: OwnedFd,
    prog: OwnedFd,
    ty: AttachType,
}

impl Part for Attached {
    fn detach(&mut self) -> Result<(), Diagnostic> {
        ProgAttach::new(Target::Fd(self.target.as_fd()), Some(self.prog.as_fd()), self.ty).detach()?;
        Ok(())
    }

    fn replace(&mut self, _: Program<'_>) -> Option<Result<(), Diagnostic>> {
        None
    }
}
