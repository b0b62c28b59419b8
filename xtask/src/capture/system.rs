//! The system calls that recording needs and the standard library does not have.

use std::{
    io, mem,
    net::{IpAddr, UdpSocket},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use crate::Outcome;

/// Puts the calling thread into a network namespace of its own; gives the thread's number.
pub(crate) fn enter_new_network_namespace() -> Result<i32, String> {
    // SAFETY: neither call takes memory; the namespace is this thread's alone.
    let (failed, thread) = unsafe { (libc::unshare(libc::CLONE_NEWNET) != 0, libc::gettid()) };
    if failed { Err(last_error("a network namespace")) } else { Ok(thread) }
}

/// Turns off checksum offload, and with it segmentation: what leaves the device is complete, as on a wire.
pub(crate) fn disable_offloads(device: &str) -> Outcome {
    // <linux/ethtool.h>: ETHTOOL_STXCSUM, struct ethtool_value.
    const SET_CHECKSUMMING: u32 = 0x17;
    let mut value = [SET_CHECKSUMMING, 0u32];
    let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    // SAFETY: `ifreq` is plain data, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    set_name(&mut request, device)?;
    request.ifr_ifru.ifru_data = value.as_mut_ptr().cast();
    // SAFETY: the request is an `ifreq` whose data points to the eight bytes of `value`; both outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if result < 0 { Err(last_error("checksum offload")) } else { Ok(()) }
}

/// A socket for ICMP to hosts of this family. It sends and receives like a datagram socket; ports mean nothing.
pub(crate) fn icmp_socket(family: IpAddr) -> Result<UdpSocket, String> {
    let (domain, protocol) = match family {
        IpAddr::V4(_) => (libc::AF_INET, libc::IPPROTO_ICMP),
        IpAddr::V6(_) => (libc::AF_INET6, libc::IPPROTO_ICMPV6),
    };
    socket(domain, libc::SOCK_RAW, protocol).map(UdpSocket::from)
}

/// Whole frames to a device.
pub(crate) struct FrameSocket(OwnedFd);

impl FrameSocket {
    pub(crate) fn open(device: &str) -> Result<Self, String> {
        let socket = socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        // SAFETY: `sockaddr_ll` is plain data, for which all zeros is a value.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = interface_index(socket.as_raw_fd(), device)?;
        let len = mem::size_of_val(&address) as libc::socklen_t;
        // SAFETY: the address is a `sockaddr_ll` of that length, alive during the call.
        let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) };
        if result < 0 { Err(last_error("binding to the device")) } else { Ok(FrameSocket(socket)) }
    }

    pub(crate) fn send(&self, frame: &[u8]) -> Outcome {
        // SAFETY: pointer and length are those of one slice, alive during the call.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 { Err(last_error("sending a frame")) } else { Ok(()) }
    }
}

/// Asks a process that we started to end as by Ctrl-C.
pub(crate) fn interrupt(process: u32) {
    // SAFETY: the call takes no memory; the process is our child, not yet waited for, so its number is its own.
    unsafe { libc::kill(process as libc::pid_t, libc::SIGINT) };
}

fn socket(domain: i32, kind: i32, protocol: i32) -> Result<OwnedFd, String> {
    // SAFETY: the call takes no memory.
    let descriptor = unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) };
    if descriptor < 0 {
        return Err(last_error("a socket"));
    }
    // SAFETY: the descriptor was just made and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn interface_index(socket: RawFd, device: &str) -> Result<i32, String> {
    // SAFETY: `ifreq` is plain data, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    set_name(&mut request, device)?;
    // SAFETY: the request is an `ifreq`, alive during the call.
    if unsafe { libc::ioctl(socket, libc::SIOCGIFINDEX, &raw mut request) } < 0 {
        return Err(last_error(device));
    }
    // SAFETY: after this request succeeded the union holds the index.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex })
}

fn set_name(request: &mut libc::ifreq, device: &str) -> Outcome {
    if device.len() >= request.ifr_name.len() {
        return Err(format!("{device}: the name is too long"));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(device.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(())
}

fn last_error(what: &str) -> String {
    format!("{what}: {}", io::Error::last_os_error())
}
