//! Raw sockets for whole IPv6 packets out and ICMPv6 messages in.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrV6, SocketFlags, SocketType, ipproto, recvfrom, sendto,
        socket_with,
    },
};
use std::{
    io,
    net::{IpAddr, Ipv6Addr, UdpSocket},
    os::fd::OwnedFd,
    time::Duration,
};

/// Messages are no longer: they fit every link.
const MESSAGE: usize = 2048;

/// Both sockets, in the network namespace of the thread that made them.
#[derive(Debug)]
pub struct Probing {
    out: OwnedFd,
    messages: OwnedFd,
}

impl Probing {
    /// Opens them.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`; what else the system says.
    pub fn open() -> io::Result<Probing> {
        let raw = |protocol| socket_with(AddressFamily::INET6, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol));
        Ok(Probing { out: raw(ipproto::RAW)?, messages: raw(ipproto::ICMPV6)? })
    }

    /// The address that packets to a destination come from.
    ///
    /// # Errors
    /// `ENETUNREACH` if there is no way; what else the system says.
    pub fn source(destination: Ipv6Addr) -> io::Result<Ipv6Addr> {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
        // Nothing is sent; the port is that of nothing.
        socket.connect((destination, 9))?;
        match socket.local_addr()?.ip() {
            IpAddr::V6(address) => Ok(address),
            IpAddr::V4(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    /// Sends a packet, from its IPv6 header on.
    ///
    /// # Errors
    /// The system's; `EINVAL` for what has no IPv6 header.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        let to = packet.get(24..40).and_then(|to| <[u8; 16]>::try_from(to).ok()).ok_or(io::ErrorKind::InvalidInput)?;
        sendto(&self.out, packet, SendFlags::empty(), &SocketAddrV6::new(to.into(), 0, 0, 0))?;
        Ok(())
    }

    /// Sends an ICMPv6 message, whose checksum the system fills in.
    ///
    /// # Errors
    /// The system's.
    pub fn send_message(&self, to: Ipv6Addr, message: &[u8]) -> io::Result<()> {
        sendto(&self.messages, message, SendFlags::empty(), &SocketAddrV6::new(to, 0, 0, 0))?;
        Ok(())
    }

    /// The next ICMPv6 message, its sender and it; `None` if none comes within that time.
    ///
    /// # Errors
    /// The system's.
    pub fn receive(&self, within: Duration) -> io::Result<Option<(Ipv6Addr, Vec<u8>)>> {
        let time = Timespec { tv_sec: within.as_secs() as i64, tv_nsec: i64::from(within.subsec_nanos()) };
        let mut ready = [PollFd::new(&self.messages, PollFlags::IN)];
        if poll(&mut ready, Some(&time))? == 0 {
            return Ok(None);
        }
        let mut message = vec![0; MESSAGE];
        let (len, _, from) = recvfrom(&self.messages, &mut message[..], RecvFlags::DONTWAIT)?;
        message.truncate(len);
        let from = from.and_then(|from| SocketAddrV6::try_from(from).ok());
        Ok(from.map(|from| (*from.ip(), message)))
    }
}
