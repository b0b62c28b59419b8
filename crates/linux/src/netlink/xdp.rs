//! XDP of a device.

use super::{
    AF_UNSPEC,
    message::{Message, Refusal, Request, attributes, number, string},
    socket::{change, dump},
};
use std::os::fd::{AsRawFd, BorrowedFd};

const RTM_SETLINK: u16 = 19;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
/// Bytes of `struct ifinfomsg`.
const IFINFO: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_FD: u16 = 1;
const IFLA_XDP_FLAGS: u16 = 3;
const IFLA_XDP_DRV_PROG_ID: u16 = 5;
const IFLA_XDP_SKB_PROG_ID: u16 = 6;
const IFLA_XDP_HW_PROG_ID: u16 = 7;
const IFLA_XDP_EXPECTED_FD: u16 = 8;

/// Which of a device's places for XDP programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum XdpSlot {
    Native,
    Generic,
    Offload,
}

/// The XDP programs of a device, by id: at most one in each place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceXdp {
    /// Each place that has one.
    pub progs: Vec<(XdpSlot, u32)>,
}

/// What runs on a device.
///
/// # Errors
/// The kernel's.
pub(crate) fn device_xdp_raw(device: u32) -> Result<DeviceXdp, Refusal> {
    let request = Request::new(RTM_GETLINK, 0, &ifinfo(device));
    Ok(change(request, read)?.unwrap_or_default())
}

/// What runs on a device; nothing if the kernel does not say.
#[must_use]
pub fn device_xdp(device: u32) -> DeviceXdp {
    device_xdp_raw(device).unwrap_or_default()
}

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetDevice {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its XDP programs.
    pub xdp: DeviceXdp,
}

/// The devices of this network namespace, in the kernel's order.
///
/// # Errors
/// The kernel's.
pub fn devices() -> Result<Vec<NetDevice>, Refusal> {
    dump(Request::new(RTM_GETLINK, 0, &ifinfo(0)), |message| {
        let xdp = read(message)?;
        let name = message.attributes(IFINFO).find(|(ty, _)| *ty == IFLA_IFNAME);
        let name = name.map_or_else(String::new, |(_, name)| string(name));
        Some(NetDevice { index: number(message.body, 4)?, name, xdp })
    })
}

fn read(message: Message<'_>) -> Option<DeviceXdp> {
    if message.ty != RTM_NEWLINK {
        return None;
    }
    let mut found = DeviceXdp::default();
    let xdp = message.attributes(IFINFO).filter(|(ty, _)| *ty == IFLA_XDP);
    for (ty, value) in xdp.flat_map(|(_, value)| attributes(value)) {
        let slot = match ty {
            IFLA_XDP_DRV_PROG_ID => XdpSlot::Native,
            IFLA_XDP_SKB_PROG_ID => XdpSlot::Generic,
            IFLA_XDP_HW_PROG_ID => XdpSlot::Offload,
            _ => continue,
        };
        found.progs.extend(number::<u32>(value, 0).map(|id| (slot, id)));
    }
    Some(found)
}

/// What a device's XDP program shall be.
#[derive(Clone, Copy, Debug)]
pub struct SetXdp<'a> {
    /// Number of the device.
    pub device: u32,
    /// `None`: none.
    pub program: Option<BorrowedFd<'a>>,
    /// `XDP_FLAGS_…`.
    pub flags: u32,
    /// What has to be there; sets `XDP_FLAGS_REPLACE`.
    pub expected: Option<BorrowedFd<'a>>,
}

const XDP_FLAGS_REPLACE: u32 = 1 << 4;

/// Sets it: the program stays until another is set, whoever ends.
///
/// # Errors
/// The kernel's, or the driver's.
pub fn set_xdp(set: &SetXdp<'_>) -> Result<(), Refusal> {
    let mut request = Request::new(RTM_SETLINK, 0, &ifinfo(set.device));
    request.nest(IFLA_XDP, |xdp| {
        xdp.number(IFLA_XDP_FD, set.program.map_or(u32::MAX, |fd| fd.as_raw_fd() as u32));
        let replaces = if set.expected.is_some() { XDP_FLAGS_REPLACE } else { 0 };
        xdp.number(IFLA_XDP_FLAGS, set.flags | replaces);
        if let Some(expected) = set.expected {
            xdp.number(IFLA_XDP_EXPECTED_FD, expected.as_raw_fd() as u32);
        }
    });
    change(request, |_| None::<()>).map(drop)
}

fn ifinfo(device: u32) -> [u8; IFINFO] {
    let mut fixed = [0; IFINFO];
    fixed[0] = AF_UNSPEC;
    fixed[4..8].copy_from_slice(&device.to_ne_bytes());
    fixed
}
