//! Keys and values of the data plane's maps, as `bpf/lb/lb.h` has them: that file is the contract.

use std::net::IpAddr;

/// Version of the layout: maps of another one are not adopted.
pub const LAYOUT: u32 = 1;

/// Bits of a real's name that are its number; which of the reals that had this number stands above.
const NUMBER_BITS: u32 = 20;
/// Names have so many bits for that.
const GENERATIONS: u32 = 1 << (32 - NUMBER_BITS);

/// Flags of a service.
#[allow(missing_docs, reason = "lb.h says what they are")]
pub mod flag {
    pub const NO_SOURCE_PORT: u32 = 1 << 0;
    pub const DESTINATION_PORT: u32 = 1 << 1;
    pub const SOURCE: u32 = 1 << 2;
    pub const RANDOM: u32 = 1 << 3;
    pub const NO_CONNECTIONS: u32 = 1 << 4;
    pub const NO_GLOBAL: u32 = 1 << 5;
    pub const QUIC: u32 = 1 << 6;
    pub const QUIC_LB: u32 = 1 << 7;
    pub const TCP_ID: u32 = 1 << 8;
    pub const UDP_STABLE: u32 = 1 << 9;
    pub const PREFIXES: u32 = 1 << 10;
    pub const ECHO: u32 = 1 << 11;
    pub const HOST: u32 = 1 << 12;
    pub const DROP: u32 = 1 << 13;
    pub const CLAMP: u32 = 1 << 14;
    pub const TTL: u32 = 1 << 15;
    pub const FRAGMENTS: u32 = 16;
    pub const OPTIONS: u32 = 18;
    pub const NO_DESTINATION_PORT: u32 = 1 << 20;
    pub const AWAY: u32 = 1 << 21;
    pub const REAL_V6: u8 = 1 << 0;
    pub const REAL_MAC: u8 = 1 << 1;
    pub const REAL_CHECKSUM: u8 = 1 << 2;
    pub const REAL_DRAINING: u8 = 1 << 3;
    pub const REAL_LEAVING: u8 = 1 << 4;
}

/// How packets get to a real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "lb.h says what they are")]
pub enum Way {
    #[default]
    None,
    Ip,
    Gue,
    L2,
    Nat,
    Local,
}

/// `struct lb_vip`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "lb.h says what they are")]
pub struct Service {
    pub number: u32,
    pub flags: u32,
    pub ring: u32,
    pub ring_size: u32,
    pub quic: u32,
    pub mss: u16,
    pub idle: u16,
}

impl Service {
    /// Bytes of it.
    pub const SIZE: usize = 32;

    /// As the map has it.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let words = [self.number, self.flags, self.ring, self.ring_size, self.quic];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.extend(self.mss.to_ne_bytes());
        bytes.extend(self.idle.to_ne_bytes());
        bytes.resize(Service::SIZE, 0);
        bytes
    }

    /// From the map.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Service {
        Service {
            number: word(bytes, 0),
            flags: word(bytes, 4),
            ring: word(bytes, 8),
            ring_size: word(bytes, 12),
            quic: word(bytes, 16),
            mss: half(bytes, 20),
            idle: half(bytes, 22),
        }
    }
}

/// `struct lb_real`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "lb.h says what they are")]
pub struct Real {
    /// Number and generation.
    pub name: u32,
    pub way: Way,
    pub flags: u8,
    pub port: u16,
    pub macs: [u8; 12],
    pub ifindex: u32,
    pub address: [u8; 16],
    pub source: [u8; 16],
    pub entropy: u32,
    pub mtu: u16,
}

impl Real {
    /// Bytes of it.
    pub const SIZE: usize = 64;

    /// As the map has it.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.name.to_ne_bytes().to_vec();
        bytes.extend([self.way as u8, self.flags]);
        bytes.extend(self.port.to_be_bytes());
        bytes.extend(self.macs);
        bytes.extend(self.ifindex.to_ne_bytes());
        bytes.extend(self.address);
        bytes.extend(self.source);
        bytes.extend(self.entropy.to_be_bytes());
        bytes.extend(self.mtu.to_ne_bytes());
        bytes.resize(Real::SIZE, 0);
        bytes
    }

    /// From the map.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Real {
        let ways = [Way::None, Way::Ip, Way::Gue, Way::L2, Way::Nat, Way::Local];
        let way = bytes.get(4).and_then(|way| ways.get(usize::from(*way))).copied().unwrap_or_default();
        Real {
            name: word(bytes, 0),
            way,
            flags: bytes.get(5).copied().unwrap_or_default(),
            port: u16::from_be_bytes(some(bytes, 6)),
            macs: some(bytes, 8),
            ifindex: word(bytes, 20),
            address: some(bytes, 24),
            source: some(bytes, 40),
            entropy: u32::from_be_bytes(some(bytes, 56)),
            mtu: half(bytes, 60),
        }
    }

    /// The same without its name, its state: what tells it from others.
    #[must_use]
    pub fn content(self) -> Real {
        Real { name: 0, flags: self.flags & !(flag::REAL_DRAINING | flag::REAL_LEAVING), ..self }
    }

    /// Its address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        ip(self.address, self.flags & flag::REAL_V6 != 0)
    }
}

/// An address from what maps have of it.
#[must_use]
pub fn ip(bytes: [u8; 16], six: bool) -> IpAddr {
    let [a, b, c, d, ..] = bytes;
    if six { bytes.into() } else { [a, b, c, d].into() }
}

/// The number in a real's name.
#[must_use]
pub fn number(name: u32) -> u32 {
    name & ((1 << NUMBER_BITS) - 1)
}

/// The name of the real that has this number after the one that was called `before`.
#[must_use]
pub fn next_name(number: u32, before: u32) -> u32 {
    let generation = if before == 0 { 0 } else { ((before >> NUMBER_BITS) + 1) % GENERATIONS };
    number | generation << NUMBER_BITS
}

/// An address as maps have it: of IPv4 the first four bytes.
#[must_use]
pub fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(four) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&four.octets());
            bytes
        }
        IpAddr::V6(six) => six.octets(),
    }
}

/// The key of a VIP, in `vips4` (8 bytes) or `vips6` (20).
#[must_use]
pub fn vip_key(ip: IpAddr, port: u16, protocol: u8) -> Vec<u8> {
    let mut key = match ip {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    };
    key.extend(port.to_be_bytes());
    key.extend([protocol, 0]);
    key
}

/// What such a key says: address, port, protocol.
#[must_use]
pub fn vip_of(key: &[u8]) -> Option<(IpAddr, u16, u8)> {
    let (ip, rest): (IpAddr, &[u8]) = match key.len() {
        8 => (<[u8; 4]>::try_from(&key[..4]).ok()?.into(), &key[4..]),
        20 => (<[u8; 16]>::try_from(&key[..16]).ok()?.into(), &key[16..]),
        _ => return None,
    };
    Some((ip, u16::from_be_bytes([rest[0], rest[1]]), rest[2]))
}

/// The key of clients, in `prefixes4` (12 bytes) or `prefixes6` (24).
#[must_use]
pub fn prefix_key(vip: u32, ip: IpAddr, bits: u8) -> Vec<u8> {
    let mut key = (32 + u32::from(bits)).to_ne_bytes().to_vec();
    key.extend(vip.to_be_bytes());
    match ip {
        IpAddr::V4(four) => key.extend(four.octets()),
        IpAddr::V6(six) => key.extend(six.octets()),
    }
    key
}

/// What names a real in packets.
#[must_use]
pub fn id_key(vip: u32, kind: u8, id: &[u8]) -> Vec<u8> {
    let mut key = vip.to_ne_bytes().to_vec();
    key.extend([kind, id.len() as u8]);
    key.extend(id);
    key.resize(24, 0);
    key
}

/// The key of a real that is gone for one VIP and there for others: the VIP's number, the real's name.
#[must_use]
pub fn away_key(vip: u32, real: u32) -> Vec<u8> {
    [vip.to_ne_bytes(), real.to_ne_bytes()].concat()
}

/// The bytes of `struct lb_settings`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "lb.h says what they are")]
pub struct Settings {
    pub new_rate: u32,
    pub answer_rate: u32,
    pub sample: u32,
    pub announce: u32,
    pub nat: (u16, u16),
}

impl Settings {
    /// As the map has it.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let words = [self.new_rate, self.answer_rate, self.sample, 0, 0, 0, self.announce];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.extend(self.nat.0.to_ne_bytes());
        bytes.extend(self.nat.1.to_ne_bytes());
        bytes
    }
}

/// Names of the verdicts, in the order of `enum lb_verdict`, and what each means.
pub const VERDICTS: [(&str, &str); 28] = [
    ("not-ip", "ARP and other protocols: the host's"),
    ("no-vip", "for nobody who is balanced: the host's"),
    ("left", "the VIP leaves it to the host"),
    ("left-fragment", "a fragment, which the VIP leaves to the host"),
    ("left-options", "a packet with IP options, which the VIP leaves to the host"),
    ("local", "the real is this host"),
    ("forwarded", "sent to a real"),
    ("returned", "sent from a real behind NAT to its client"),
    ("answered-echo", "an echo request, answered"),
    ("answered-too-big", "too long for the way to the real, its sender told so"),
    ("answered-expired", "its hop limit was over, its sender told so"),
    ("malformed-ethernet", "the Ethernet header is cut"),
    ("malformed-ip", "the IP header is cut, or its lengths cannot be"),
    ("malformed-extension", "an extension header is cut, or there are more than are walked"),
    ("malformed-transport", "the TCP or UDP header is cut, or its lengths cannot be"),
    ("malformed-icmp", "an ICMP error without the packet that it is about"),
    ("too-many-tags", "more VLAN tags than are walked"),
    ("refused", "the VIP drops it"),
    ("refused-fragment", "a fragment, which the VIP drops, or which NAT would have to give ports"),
    ("refused-options", "a packet with IP options, which the VIP drops"),
    ("no-protocol", "a protocol that is not balanced, for the address of a VIP"),
    ("no-real", "the VIP has no real that is well"),
    ("too-big", "too long for the way to the real, and its sender may not be told"),
    ("expired", "its hop limit was over, and its sender may not be told"),
    ("no-room", "no room before the packet for further headers"),
    ("no-port", "all ports that were tried for NAT are taken, or it is new and over the rate (`not-entered`)"),
    ("no-flow", "an ICMP error about a flow behind NAT that nobody knows"),
    ("wrong-family", "NAT from one family to the other"),
];

/// The first verdict that drops.
pub const FIRST_DROP: usize = 11;

/// Names of the events, in the order of `enum lb_event`, and what each means.
pub const EVENTS: [(&str, &str); 10] = [
    ("not-entered", "new connections over the rate, in no table"),
    ("evicted", "entries of a CPU's table that gave way before they were idle"),
    ("stale", "entries whose real is gone"),
    ("by-id", "packets whose id named the real"),
    ("unknown-id", "ids that name nobody"),
    ("by-prefix", "packets of clients that have reals of their own"),
    ("clamped", "SYNs that promised a larger MSS"),
    ("unrecorded", "records over the rate, or that nobody read in time"),
    ("unannounced", "new connections that no peer was told of"),
    ("unsampled", "samples that nobody read in time"),
];

pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(some(bytes, at))
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(some(bytes, at))
}

/// So many bytes from there on; zeros where there are none.
pub(crate) fn some<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went() {
        let service = Service { number: 3, flags: 9, ring: 7, ring_size: 17, quic: 4, mss: 1400, idle: 30 };
        assert_eq!(Service::from_bytes(&service.to_bytes()), service);
        let real = Real {
            name: 0x0010_0003,
            way: Way::Gue,
            flags: 2,
            port: 6080,
            macs: [7; 12],
            ifindex: 4,
            address: [1; 16],
            source: [2; 16],
            entropy: 0xffff,
            mtu: 1500,
        };
        assert_eq!(Real::from_bytes(&real.to_bytes()), real);
        assert_eq!(real.to_bytes()[6..8], 6080u16.to_be_bytes());
        let key = vip_key("192.0.2.1".parse().expect("one"), 443, 6);
        assert_eq!(key, [192, 0, 2, 1, 1, 187, 6, 0]);
        assert_eq!(vip_of(&key), Some(("192.0.2.1".parse().expect("one"), 443, 6)));
    }

    #[test]
    fn names_tell_who_had_a_number() {
        let first = next_name(5, 0);
        assert_eq!((first, number(first)), (5, 5));
        let second = next_name(5, first);
        assert!(second != first && number(second) == 5);
        assert_eq!(next_name(5, 5 | (GENERATIONS - 1) << NUMBER_BITS), 5, "they begin anew");
    }

    /// What each verdict and event means is written down, for operators and by the contract's names.
    #[test]
    fn documentation_has_each_of_them() {
        let pages = [include_str!("../../../docs/lb.md"), include_str!("../../../docs/lb-data-plane.md")];
        for (name, about) in VERDICTS.iter().chain(&EVENTS) {
            assert!(pages[0].contains(&format!("| `{name}` | {about} |")), "docs/lb.md lacks {name}");
        }
        for (name, _) in VERDICTS {
            // Several stand in one line: `LB_ANSWERED_ECHO`, `_TOO_BIG`.
            let name = format!("LB_{}", name.replace('-', "_").to_uppercase());
            let ends = name.match_indices('_').map(|(at, _)| &name[at..]);
            let is_there =
                ends.map(|end| format!("`{end}`")).chain([format!("`{name}`")]).any(|one| pages[1].contains(&one));
            assert!(is_there, "docs/lb-data-plane.md lacks {name}");
        }
    }

    /// The contract's own numbers.
    #[test]
    fn names_are_as_many_as_the_contract_has() {
        let text = include_str!("../../../bpf/lb/lb.h");
        let of = |name: &str| {
            let body = text.split(&format!("enum {name} {{")).nth(1).and_then(|rest| rest.split("};").next());
            let words =
                body.expect("the enumeration").lines().filter_map(|line| line.trim().split([',', ' ', '\t']).next());
            words.filter(|word| word.starts_with("LB_")).count()
        };
        // Two of the first are no verdicts: where drops begin, and how many there are.
        assert_eq!(of("lb_verdict"), VERDICTS.len() + 2);
        assert_eq!(of("lb_event"), EVENTS.len() + 1);
        assert!(text.contains(&format!("#define LB_LAYOUT\t\t{LAYOUT}")));
        assert_eq!(VERDICTS[FIRST_DROP].0, "malformed-ethernet");
    }
}
