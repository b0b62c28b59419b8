//! Packets from fields, with every length and checksum reckoned from the bytes: the oracle for what the data plane writes.

use std::net::{IpAddr, SocketAddr};

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP: u8 = 1;
pub(crate) const ICMP6: u8 = 58;
pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;

/// Destination and source of packets as they come.
pub(crate) const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Source and destination swapped.
pub(crate) fn swapped(macs: [u8; 12]) -> [u8; 12] {
    let mut out = macs;
    out[..6].copy_from_slice(&macs[6..]);
    out[6..].copy_from_slice(&macs[..6]);
    out
}

#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) macs: [u8; 12],
    pub(crate) tags: Vec<(u16, u16)>,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) df: bool,
    pub(crate) id: u16,
    pub(crate) label: u32,
    /// Offset in 8 bytes, and whether more follow.
    pub(crate) fragment: Option<(u16, bool)>,
    pub(crate) ip_options: Vec<u8>,
    /// Extension headers: protocol number, bytes without the next header's number.
    pub(crate) extensions: Vec<(u8, Vec<u8>)>,
    pub(crate) protocol: u8,
    pub(crate) ports: (u16, u16),
    pub(crate) flags: u8,
    pub(crate) options: Vec<u8>,
    /// Type, code, and what follows the checksum.
    pub(crate) icmp: (u8, u8, [u8; 4]),
    pub(crate) payload: Vec<u8>,
    /// What IP counts as its own behind a datagram or segment whose own length ends before.
    pub(crate) trailer: Vec<u8>,
    pub(crate) checksum: bool,
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A packet of a protocol between two `address:port`.
pub(crate) fn packet(protocol: u8, from: &str, to: &str) -> Packet {
    let (from, to): (SocketAddr, SocketAddr) = (from.parse().expect("from"), to.parse().expect("to"));
    Packet {
        macs: MACS,
        tags: Vec::new(),
        source: from.ip(),
        destination: to.ip(),
        tos: 0,
        ttl: 64,
        df: true,
        id: 0x1234,
        label: 0,
        fragment: None,
        ip_options: Vec::new(),
        extensions: Vec::new(),
        protocol,
        ports: (from.port(), to.port()),
        flags: ACK,
        options: Vec::new(),
        icmp: (8, 0, [0, 7, 0, 1]),
        payload: b"what the client says".to_vec(),
        trailer: Vec::new(),
        checksum: true,
    }
}

pub(crate) fn tcp(from: &str, to: &str) -> Packet {
    packet(TCP, from, to)
}

pub(crate) fn udp(from: &str, to: &str) -> Packet {
    packet(UDP, from, to)
}

/// An echo request.
pub(crate) fn echo(from: &str, to: &str) -> Packet {
    let (from, to) = (ip(from), ip(to));
    let protocol = if from.is_ipv4() { ICMP } else { ICMP6 };
    let kind = if from.is_ipv4() { 8 } else { 128 };
    let base = packet(protocol, "0.0.0.0:0", "0.0.0.0:0");
    Packet { source: from, destination: to, icmp: (kind, 0, [0, 7, 0, 1]), ..base }
}

/// An ICMP error from `from` about a packet, of which `quoted` bytes are quoted.
pub(crate) fn error(from: &str, kind: u8, code: u8, about: &Packet, quoted: usize) -> Packet {
    let protocol = if about.source.is_ipv4() { ICMP } else { ICMP6 };
    let base = packet(protocol, "0.0.0.0:0", "0.0.0.0:0");
    let bytes = about.ip();
    let payload = bytes[..quoted.min(bytes.len())].to_vec();
    Packet { source: ip(from), destination: about.source, icmp: (kind, code, [0; 4]), payload, ..base }
}

impl Packet {
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Packet)) -> Packet {
        change(&mut self);
        self
    }

    pub(crate) fn syn(self) -> Packet {
        self.with(|p| p.flags = SYN)
    }

    pub(crate) fn tag(self, protocol: u16, tci: u16) -> Packet {
        self.with(|p| p.tags.push((protocol, tci)))
    }

    /// The way back: addresses of the link swapped.
    pub(crate) fn turned(self) -> Packet {
        self.with(|p| p.macs = swapped(p.macs))
    }

    /// What follows IP and its extension headers.
    pub(crate) fn transport(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let at = match self.protocol {
            _ if self.fragment.is_some_and(|(offset, _)| offset != 0) => return self.payload.clone(),
            TCP => {
                out.extend(self.ports.0.to_be_bytes());
                out.extend(self.ports.1.to_be_bytes());
                out.extend([0, 0, 0, 1, 0, 0, 0, 2]);
                let words = 5 + self.options.len().div_ceil(4);
                out.extend([(words as u8) << 4, self.flags, 0x10, 0, 0, 0, 0, 0]);
                out.extend(&self.options);
                out.resize(words * 4, 0);
                16
            }
            UDP => {
                out.extend(self.ports.0.to_be_bytes());
                out.extend(self.ports.1.to_be_bytes());
                out.extend((8 + self.payload.len() as u16).to_be_bytes());
                out.extend([0, 0]);
                6
            }
            ICMP | ICMP6 => {
                out.extend([self.icmp.0, self.icmp.1, 0, 0]);
                out.extend(self.icmp.2);
                2
            }
            _ => return self.payload.clone(),
        };
        out.extend(&self.payload);
        if self.checksum {
            let mut all = if self.protocol == ICMP { Vec::new() } else { self.pseudo(out.len()) };
            all.extend(&out);
            let mut sum = checksum(&all);
            if sum == 0 && self.protocol == UDP {
                sum = 0xffff;
            }
            out[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        out.extend(&self.trailer);
        out
    }

    fn pseudo(&self, length: usize) -> Vec<u8> {
        let mut all = octets(self.source);
        all.extend(octets(self.destination));
        all.extend((length as u32).to_be_bytes());
        all.extend([0, 0, 0, self.protocol]);
        all
    }

    /// From the IP header on.
    pub(crate) fn ip(&self) -> Vec<u8> {
        let inside = self.transport();
        if self.source.is_ipv4() {
            let mut out = ip4(self, self.protocol, inside.len());
            out.extend(inside);
            return out;
        }
        let mut chain = self.extensions.clone();
        if let Some((offset, more)) = self.fragment {
            let [a, b] = (offset << 3 | u16::from(more)).to_be_bytes();
            chain.push((44, vec![0, a, b, 0, 0, 0, 9]));
        }
        let mut body = Vec::new();
        for (at, (_, bytes)) in chain.iter().enumerate() {
            body.push(chain.get(at + 1).map_or(self.protocol, |next| next.0));
            body.extend(bytes);
        }
        body.extend(inside);
        let first = chain.first().map_or(self.protocol, |first| first.0);
        let word = 6u32 << 28 | u32::from(self.tos) << 20 | self.label;
        let mut out = word.to_be_bytes().to_vec();
        out.extend((body.len() as u16).to_be_bytes());
        out.extend([first, self.ttl]);
        out.extend(octets(self.source));
        out.extend(octets(self.destination));
        out.extend(body);
        out
    }

    /// The frame.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let ethertype = if self.source.is_ipv4() { 0x0800 } else { 0x86dd };
        frame(self.macs, &self.tags, ethertype, &self.ip())
    }
}

fn ip4(packet: &Packet, protocol: u8, inside: usize) -> Vec<u8> {
    let words = 5 + packet.ip_options.len().div_ceil(4);
    let mut out = vec![0x40 | words as u8, packet.tos];
    out.extend(((words * 4 + inside) as u16).to_be_bytes());
    out.extend(packet.id.to_be_bytes());
    let (offset, more) = packet.fragment.unwrap_or_default();
    out.extend((offset | u16::from(more) << 13 | u16::from(packet.df) << 14).to_be_bytes());
    out.extend([packet.ttl, protocol, 0, 0]);
    out.extend(octets(packet.source));
    out.extend(octets(packet.destination));
    out.extend(&packet.ip_options);
    out.resize(words * 4, 0);
    let sum = checksum(&out);
    out[10..12].copy_from_slice(&sum.to_be_bytes());
    out
}

/// A frame with tags.
pub(crate) fn frame(macs: [u8; 12], tags: &[(u16, u16)], ethertype: u16, body: &[u8]) -> Vec<u8> {
    let mut out = macs.to_vec();
    for (protocol, tci) in tags {
        out.extend(protocol.to_be_bytes());
        out.extend(tci.to_be_bytes());
    }
    out.extend(ethertype.to_be_bytes());
    out.extend(body);
    out
}

pub(crate) fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    }
}

/// RFC 1071.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default())).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
