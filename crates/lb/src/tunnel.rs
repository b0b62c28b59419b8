//! Checks through the tunnel: what is asked is put into the headers that the data plane puts around packets to a real, which
//! answers from the VIP's address, as it answers clients. A real that does not take tunnels, or has not the VIP's address,
//! fails them.
//!
//! Nothing of the machine's routes is changed. Packets are sent by raw sockets (CAP_NET_RAW). Of TCP the real has to answer
//! SYN, and the connection is given up at once: the kernel, which knows of none, would not let it be used.

use crate::{
    check::{left, words},
    config::{Config, Forward, Real, Vip},
};
use rustix::{
    fd::OwnedFd,
    io::Errno,
    net::{
        AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, getsockname, ipproto,
        recvfrom, sendto, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};
use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

const TCP: u8 = 6;
const UDP: u8 = 17;
/// TCP's flags.
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 0x10;
/// After that a SYN is said again.
const AGAIN: Duration = Duration::from_millis(300);
const HOPS: u8 = 64;
/// Longest packet that is looked at.
const PACKET: usize = 2048;

/// The way that packets of a VIP go to a real.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    vip: IpAddr,
    real: IpAddr,
    /// The balancer's addresses: of the VIP's family, and of the real's.
    inner: IpAddr,
    outer: IpAddr,
    /// The port of GUE; `None`: IP in IP.
    gue: Option<u16>,
}

impl Tunnel {
    /// That of a real; `None` if it is reached without a tunnel, or the balancer has no address to be answered at.
    #[must_use]
    pub fn of(config: &Config, vip: &Vip, real: &Real) -> Option<Tunnel> {
        let gue = match real.forward {
            Forward::Ip => None,
            Forward::Gue => Some(real.gue_port),
            _ => return None,
        };
        let own = |to: IpAddr| match to {
            IpAddr::V4(_) => config.sources.v4.map(IpAddr::from),
            IpAddr::V6(_) => config.sources.v6.map(IpAddr::from),
        };
        let (vip, real) = (vip.address, real.address);
        Some(Tunnel { vip, real, inner: own(vip)?, outer: own(real)?, gue })
    }

    /// Whether the real answers SYN to this port.
    ///
    /// # Errors
    /// What it did not do, in a few words.
    pub fn tcp(&self, port: u16, end: Instant) -> Result<(), String> {
        let said = |why: Errno| words(&why.into());
        // The port is ours as long as a socket has it.
        let held = socket_with(family(self.inner), SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(said)?;
        bind(&held, &SocketAddr::new(self.inner, 0)).map_err(said)?;
        let own = getsockname(&held).ok().and_then(|at| SocketAddr::try_from(at).ok()).map_or(0, |at| at.port());
        let answers = raw(self.inner, ipproto::TCP)?;
        bind(&answers, &SocketAddr::new(self.inner, 0)).map_err(said)?;
        // Segments of others are not handed to us. Without a route to the VIP the kernel does not see to that; we do.
        let _ = connect(&answers, &SocketAddr::new(self.vip, 0));
        let sequence = u32::from(own) << 16 | u32::from(port);
        let send = self.sender()?;
        let segment = |sequence: u32, flags: u8| {
            let mut tcp = [own.to_be_bytes(), port.to_be_bytes()].concat();
            tcp.extend(sequence.to_be_bytes());
            tcp.extend([0, 0, 0, 0, 5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
            self.send(&send, TCP, tcp, 16)
        };
        let mut bytes = [0; PACKET];
        let mut next = Instant::now();
        loop {
            if next <= Instant::now() {
                segment(sequence, SYN)?;
                next += AGAIN;
            }
            // Zero would be for ever.
            let patience = left(end)?.min(next.saturating_duration_since(Instant::now())).max(Duration::from_millis(1));
            set_socket_timeout(&answers, Timeout::Recv, Some(patience)).map_err(said)?;
            let (len, from) = match recvfrom(&answers, &mut bytes, RecvFlags::empty()) {
                Ok((len, _, from)) => (len, from.and_then(|from| SocketAddr::try_from(from).ok())),
                Err(Errno::AGAIN | Errno::INTR) => continue,
                Err(why) => return Err(said(why)),
            };
            if from.is_none_or(|from| from.ip() != self.vip) {
                continue;
            }
            // Raw sockets give the header of IPv4, and not that of IPv6.
            let skip = if self.vip.is_ipv4() { usize::from(bytes[0] & 15) * 4 } else { 0 };
            match answer(bytes.get(skip..len).unwrap_or_default(), (port, own), sequence.wrapping_add(1)) {
                None => {}
                Some(false) => return Err("the connection is refused".into()),
                Some(true) => return segment(sequence.wrapping_add(1), RST),
            }
        }
    }

    /// A socket that gets what the real answers by UDP to what [`Tunnel::ask`] sends from it.
    pub(crate) fn udp(&self) -> io::Result<UdpSocket> {
        UdpSocket::bind((self.inner, 0))
    }

    /// Sends a datagram to the VIP's port, by the tunnel.
    pub(crate) fn ask(&self, from: u16, port: u16, payload: &[u8]) -> Result<(), String> {
        let mut udp = [from, port, 8 + payload.len() as u16, 0].map(u16::to_be_bytes).concat();
        udp.extend(payload);
        self.send(&self.sender()?, UDP, udp, 6)
    }

    /// Where answers come from.
    pub(crate) fn from(&self) -> IpAddr {
        self.vip
    }

    fn sender(&self) -> Result<OwnedFd, String> {
        raw(self.outer, ipproto::RAW)
    }

    /// Sends what stands behind the inner header; `sum` is where its checksum belongs.
    fn send(&self, by: &OwnedFd, protocol: u8, mut inside: Vec<u8>, sum: usize) -> Result<(), String> {
        let checksum = match checksum(pseudo(self.inner, self.vip, protocol, inside.len()), &inside) {
            // Zero says that there is none, which IPv6 does not take.
            0 if protocol == UDP => 0xffff,
            sum => sum,
        };
        inside[sum..sum + 2].copy_from_slice(&checksum.to_be_bytes());
        let packet = self.wrap(header(self.inner, self.vip, protocol, &inside));
        let sent = sendto(by, &packet, SendFlags::empty(), &SocketAddr::new(self.real, 0));
        sent.map(drop).map_err(|why| words(&why.into()))
    }

    /// The packet inside the headers of the way.
    fn wrap(&self, packet: Vec<u8>) -> Vec<u8> {
        let Some(gue) = self.gue else {
            let protocol = if self.vip.is_ipv4() { 4 } else { 41 };
            return header(self.outer, self.real, protocol, &packet);
        };
        let mut udp = [0xc000, gue, 8 + packet.len() as u16, 0].map(u16::to_be_bytes).concat();
        udp.extend(packet);
        let sum = checksum(pseudo(self.outer, self.real, UDP, udp.len()), &udp);
        udp[6..8].copy_from_slice(&if sum == 0 { 0xffff } else { sum }.to_be_bytes());
        header(self.outer, self.real, UDP, &udp)
    }
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

fn raw(address: IpAddr, protocol: Protocol) -> Result<OwnedFd, String> {
    let made = socket_with(family(address), SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol));
    made.map_err(|why| match why {
        Errno::PERM | Errno::ACCESS => "checks through the tunnel take CAP_NET_RAW".to_owned(),
        why => words(&why.into()),
    })
}

/// What a segment from and to these ports says to a SYN: whether the connection is made. `None`: nothing.
fn answer(tcp: &[u8], ports: (u16, u16), acknowledged: u32) -> Option<bool> {
    let [a, b, c, d, _, _, _, _, e, f, g, h, _, flags, ..] = *tcp else { return None };
    let there = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])) == ports;
    if !there || flags & ACK == 0 || u32::from_be_bytes([e, f, g, h]) != acknowledged {
        return None;
    }
    match flags & (SYN | RST) {
        SYN => Some(true),
        RST => Some(false),
        _ => None,
    }
}

/// A packet: an IP header, and what is behind it.
fn header(from: IpAddr, to: IpAddr, protocol: u8, inside: &[u8]) -> Vec<u8> {
    let mut packet = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, HOPS, protocol, 0, 0];
            packet[2..4].copy_from_slice(&(20 + inside.len() as u16).to_be_bytes());
            packet.extend(from.octets());
            packet.extend(to.octets());
            let sum = checksum(0, &packet);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            packet
        }
        (from, to) => {
            let six = |address: IpAddr| match address {
                IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
                IpAddr::V6(six) => six.octets(),
            };
            let [high, low] = (inside.len() as u16).to_be_bytes();
            let mut packet = vec![0x60, 0, 0, 0, high, low, protocol, HOPS];
            packet.extend(six(from));
            packet.extend(six(to));
            packet
        }
    };
    packet.extend(inside);
    packet
}

/// The sum of what TCP and UDP take into their checksums of IP's header.
fn pseudo(from: IpAddr, to: IpAddr, protocol: u8, len: usize) -> u32 {
    let sum = |address: IpAddr| match address {
        IpAddr::V4(four) => add(0, &four.octets()),
        IpAddr::V6(six) => add(0, &six.octets()),
    };
    sum(from) + sum(to) + u32::from(protocol) + len as u32
}

fn add(sum: u32, bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    sum + bytes.chunks(2).map(word).sum::<u32>()
}

fn checksum(sum: u32, bytes: &[u8]) -> u16 {
    let mut sum = add(sum, bytes);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
