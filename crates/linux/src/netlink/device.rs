//! Network devices: pairs of them made, taken up, given addresses.

use super::{
    AF_UNSPEC,
    message::{NLM_F_CREATE, NLM_F_EXCL, Refusal, Request, string},
    socket::change,
};
use std::{
    net::IpAddr,
    os::fd::{AsRawFd, BorrowedFd},
};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
/// Bytes of `struct ifinfomsg`.
const IFINFO: usize = 16;
const IFF_UP: u32 = 1;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_QDISC: u16 = 6;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// The address is used at once, without asking whether somebody else has it.
const IFA_F_NODAD: u8 = 2;

/// Makes a pair of Ethernet devices that are each other's wire: one here, one in another network namespace.
///
/// # Errors
/// The kernel's.
pub fn add_veth(name: &str, there: &str, namespace: BorrowedFd<'_>) -> Result<(), Refusal> {
    let mut request = Request::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &[0; IFINFO]);
    request.text(IFLA_IFNAME, name).nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
            data.nest_behind(VETH_INFO_PEER, &[0; IFINFO], |peer| {
                peer.text(IFLA_IFNAME, there).number(IFLA_NET_NS_FD, namespace.as_raw_fd() as u32);
            });
        });
    });
    change(request, |_| None::<()>).map(drop)
}

/// Takes a device up, for packets of at most `mtu` bytes if that is said, or down.
///
/// # Errors
/// The kernel's.
pub fn set_device(device: u32, up: bool, mtu: Option<u32>) -> Result<(), Refusal> {
    let mut fixed = [0; IFINFO];
    fixed[0] = AF_UNSPEC;
    fixed[4..8].copy_from_slice(&device.to_ne_bytes());
    fixed[8..12].copy_from_slice(&if up { IFF_UP } else { 0 }.to_ne_bytes());
    fixed[12..16].copy_from_slice(&IFF_UP.to_ne_bytes());
    let mut request = Request::new(RTM_NEWLINK, 0, &fixed);
    if let Some(mtu) = mtu {
        request.number(IFLA_MTU, mtu);
    }
    change(request, |_| None::<()>).map(drop)
}

/// The queueing discipline of a device: `fq`, `pfifo_fast`, `noqueue` …; empty if the kernel does not say.
///
/// # Errors
/// The kernel's.
pub fn discipline(device: u32) -> Result<String, Refusal> {
    let mut fixed = [0; IFINFO];
    fixed[4..8].copy_from_slice(&device.to_ne_bytes());
    let name = change(Request::new(RTM_GETLINK, 0, &fixed), |message| {
        (message.ty == RTM_NEWLINK).then_some(())?;
        message.attributes(IFINFO).find(|(ty, _)| *ty == IFLA_QDISC).map(|(_, name)| string(name))
    })?;
    Ok(name.unwrap_or_default())
}

/// The Ethernet address of a device; `None` if it has none of that length.
///
/// # Errors
/// The kernel's.
pub fn ethernet_address(device: u32) -> Result<Option<[u8; 6]>, Refusal> {
    let mut fixed = [0; IFINFO];
    fixed[4..8].copy_from_slice(&device.to_ne_bytes());
    let address = change(Request::new(RTM_GETLINK, 0, &fixed), |message| {
        (message.ty == RTM_NEWLINK).then_some(())?;
        message.attributes(IFINFO).find(|(ty, _)| *ty == IFLA_ADDRESS).map(|(_, address)| address.to_vec())
    })?;
    Ok(address.and_then(|address| address.try_into().ok()))
}

/// Gives a device an address, of which `prefix` bits are the link's. It can be used at once.
///
/// # Errors
/// The kernel's.
pub fn add_address(device: u32, address: IpAddr, prefix: u8) -> Result<(), Refusal> {
    let (family, octets) = match address {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    let mut fixed = [family as u8, prefix, IFA_F_NODAD, 0, 0, 0, 0, 0];
    fixed[4..8].copy_from_slice(&device.to_ne_bytes());
    let mut request = Request::new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &fixed);
    request.put(IFA_LOCAL, &octets).put(IFA_ADDRESS, &octets);
    change(request, |_| None::<()>).map(drop)
}
