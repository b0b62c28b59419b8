//! XDP: by a link, or by netlink where a device has programs that were attached so.

use super::{
    Device, Link, Place, Program,
    explain::{refused, refused_by_netlink},
    link::Part,
    owner,
};
use crate::{
    netlink::{DeviceXdp, SetXdp, XdpSlot, device_xdp, set_xdp},
    sys::{self, LinkCreate, LinkDetail, Object, Target, link_detach},
};
use alveary_abi::{AttachType, Errno};
use alveary_diag::Diagnostic;
use alveary_spec::XdpMode;
use std::os::fd::{AsFd, OwnedFd};

const XDP_FLAGS_UPDATE_IF_NOEXIST: u32 = 1 << 0;
const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
const XDP_FLAGS_HW_MODE: u32 = 1 << 3;

/// An implementation, and the flag that asks for it.
type Mode = (XdpSlot, u32);
const NATIVE: Mode = (XdpSlot::Native, XDP_FLAGS_DRV_MODE);
const GENERIC: Mode = (XdpSlot::Generic, XDP_FLAGS_SKB_MODE);
const OFFLOAD: Mode = (XdpSlot::Offload, XDP_FLAGS_HW_MODE);

pub(super) fn attach(
    program: Program<'_>,
    place: &Place<'_>,
    device: &Device,
    mode: XdpMode,
    replace: bool,
) -> Result<Link, Diagnostic> {
    let modes: &[Mode] = match mode {
        XdpMode::Any => &[NATIVE, GENERIC],
        XdpMode::Native => &[NATIVE],
        XdpMode::Generic => &[GENERIC],
        XdpMode::Offload => &[OFFLOAD],
    };
    let there = device_xdp(device.index);
    if let Some((slot, prog)) = in_the_way(&there, modes) {
        return if replace {
            take_over(program, place, device, slot, prog)
        } else {
            Err(occupied(program, place, device, prog))
        };
    }
    let mut first = None;
    for (at, mode) in modes.iter().enumerate() {
        match attach_in(program, device, *mode) {
            Ok(link) if at == 0 => return Ok(link.placed(place)),
            Ok(link) => {
                let note = format!(
                    "the driver of {} does not take the program: the generic XDP is used, behind the driver and slower",
                    device.name
                );
                return Ok(link.placed(place).noting(note));
            }
            Err(failure) => first = first.or(Some(failure)),
        }
    }
    Err(match first {
        Some(Failure::Bpf(error)) => refused(program, place, &error),
        Some(Failure::Netlink(refusal)) => refused_by_netlink(program, place, &refusal),
        None => occupied(program, place, device, 0),
    })
}

enum Failure {
    Bpf(sys::Error),
    Netlink(crate::netlink::Refusal),
}

/// The flag by which netlink names a place.
pub(super) fn flags_of(slot: XdpSlot) -> u32 {
    let (_, flags) = [NATIVE, GENERIC, OFFLOAD].into_iter().find(|(at, _)| *at == slot).unwrap_or(NATIVE);
    flags
}

/// What was made, before it knows its place.
enum Made {
    Link(OwnedFd),
    Netlink(NetlinkXdp),
}

impl Made {
    fn placed(self, place: &Place<'_>) -> Link {
        match self {
            Made::Link(fd) => Link::of_fd(place, fd),
            Made::Netlink(part) => Link::of(place, part),
        }
    }
}

fn attach_in(program: Program<'_>, device: &Device, (_, flags): Mode) -> Result<Made, Failure> {
    let create = LinkCreate { flags, ..LinkCreate::new(program.fd, Target::Device(device.index), AttachType::XDP) };
    match create.create() {
        Ok(fd) => Ok(Made::Link(fd)),
        // Before Linux 5.9 there are no links of XDP. Programs of no expected attach type have none either.
        Err(error) if error.errno() == Errno::EINVAL => {
            let flags = flags | XDP_FLAGS_UPDATE_IF_NOEXIST;
            match set_xdp(&SetXdp { device: device.index, program: Some(program.fd), flags, expected: None }) {
                Ok(()) => NetlinkXdp::new(program, device, flags).map(Made::Netlink).map_err(Failure::Bpf),
                Err(refusal) => Err(Failure::Netlink(refusal)),
            }
        }
        Err(error) => Err(Failure::Bpf(error)),
    }
}

/// A program that excludes ours: in one of our places, or the generic beside the driver's.
fn in_the_way(there: &DeviceXdp, modes: &[Mode]) -> Option<(XdpSlot, u32)> {
    let excludes = |slot: XdpSlot| match slot {
        XdpSlot::Offload => modes.contains(&OFFLOAD),
        _ => modes.contains(&NATIVE) || modes.contains(&GENERIC),
    };
    there.progs.iter().copied().find(|(slot, _)| excludes(*slot))
}

fn occupied(program: Program<'_>, place: &Place<'_>, device: &Device, prog: u32) -> Diagnostic {
    let message = format!("program `{}` cannot be attached to {place}: another one is there", program.name);
    let found = owner::describe(prog, link_of(device, prog));
    let why = Diagnostic::new("xdp-occupied", message, alveary_diag::Place::Nowhere)
        .expected("a device without an XDP program: it runs one at a time")
        .found(found);
    if owner::is_dispatcher(prog) {
        return why.help("`xdp-loader load` adds a program to libxdp's; `--replace` takes all of them off");
    }
    why.help("`--replace` puts this one in its place; tcx (`--tcx`) runs several in order")
}

/// The link by which a program is on a device, if it has one.
pub(super) fn link_of(device: &Device, prog: u32) -> Option<u32> {
    sys::ids(Object::Link).map_while(Result::ok).find(|id| {
        let info = sys::open_id(Object::Link, *id, 0, None).and_then(|fd| sys::link_info(fd.as_fd()));
        info.is_ok_and(|info| {
            info.prog == prog && matches!(info.detail, LinkDetail::Xdp { ifindex } if ifindex == device.index)
        })
    })
}

/// Puts the program in the place of another one: by netlink without a gap if that one came so, else after its link has
/// been detached.
fn take_over(
    program: Program<'_>,
    place: &Place<'_>,
    device: &Device,
    slot: XdpSlot,
    prog: u32,
) -> Result<Link, Diagnostic> {
    let flags = flags_of(slot);
    let was = owner::describe(prog, link_of(device, prog));
    if let Some(id) = link_of(device, prog) {
        let link = sys::open_id(Object::Link, id, 0, None)?;
        link_detach(link.as_fd())?;
        return match attach_in(program, device, (slot, flags)) {
            Ok(made) => Ok(made.placed(place).noting(format!("took the place of {was}"))),
            Err(Failure::Bpf(error)) => Err(refused(program, place, &error)),
            Err(Failure::Netlink(refusal)) => Err(refused_by_netlink(program, place, &refusal)),
        };
    }
    let old = sys::open_id(Object::Prog, prog, 0, None)?;
    let set = SetXdp { device: device.index, program: Some(program.fd), flags, expected: Some(old.as_fd()) };
    set_xdp(&set).map_err(|refusal| refused_by_netlink(program, place, &refusal))?;
    Ok(Link::of(place, NetlinkXdp::new(program, device, flags)?).noting(format!("took the place of {was}")))
}

/// A program that was attached by netlink: the device holds it until someone takes it off.
#[derive(Debug)]
struct NetlinkXdp {
    device: Device,
    flags: u32,
    /// What we attached: nothing else is taken off.
    program: OwnedFd,
}

impl NetlinkXdp {
    fn new(program: Program<'_>, device: &Device, flags: u32) -> sys::Result<NetlinkXdp> {
        let flags = flags & !XDP_FLAGS_UPDATE_IF_NOEXIST;
        Ok(NetlinkXdp { device: device.clone(), flags, program: own(program)? })
    }
}

/// A descriptor of our own.
fn own(program: Program<'_>) -> sys::Result<OwnedFd> {
    sys::open_id(Object::Prog, program.id(), 0, None)
}

impl Part for NetlinkXdp {
    fn detach(&mut self) -> Result<(), Diagnostic> {
        let (device, flags) = (self.device.index, self.flags);
        set_xdp(&SetXdp { device, program: None, flags, expected: Some(self.program.as_fd()) }).map_err(|refusal| {
            let message = format!("the XDP program of {} cannot be taken off: {}", self.device.name, refusal.text);
            Diagnostic::new("detach", message, alveary_diag::Place::Nowhere).found(refusal.errno.to_string())
        })
    }

    fn replace(&mut self, program: Program<'_>) -> Option<Result<(), Diagnostic>> {
        let place = Place::Xdp { device: self.device.clone(), mode: XdpMode::Any, replace: true };
        let (device, flags, expected) = (self.device.index, self.flags, Some(self.program.as_fd()));
        let done = set_xdp(&SetXdp { device, program: Some(program.fd), flags, expected })
            .map_err(|refusal| refused_by_netlink(program, &place, &refusal));
        Some(done.and_then(|()| {
            self.program = own(program)?;
            Ok(())
        }))
    }

    fn outlives_us(&self) -> bool {
        true
    }
}
