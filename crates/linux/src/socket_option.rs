//! Options of sockets that no library of ours has.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

/// Gives all that a socket sends this mark (`SO_MARK`, see socket(7)).
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN; the system's.
pub fn set_mark(socket: &impl AsFd, mark: u32) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_MARK, mark)
}

/// Bounds the segments of a TCP socket, those that it sends and those that it says it takes (`TCP_MAXSEG`, see tcp(7)).
///
/// # Errors
/// The system's: of less than 88 bytes, or more than 32,767.
pub fn set_longest_segment(socket: &impl AsFd, bytes: u32) -> io::Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_MAXSEG, bytes)
}

fn set(socket: &impl AsFd, level: libc::c_int, option: libc::c_int, value: u32) -> io::Result<()> {
    let len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the option's value is a number of the length that is said.
    let done = unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, (&raw const value).cast(), len) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
