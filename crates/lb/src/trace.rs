//! What would become of a packet, step by step: the running balancer's maps are copied into the user-space kernel, and the
//! same object runs there over the packet. Nothing of what runs is changed.

use crate::{
    Result,
    instance::{file, folder},
    wire,
};
use alveary::{Backend, LinuxMap, Loader, MapHandle, Object, Target};
use alveary_diag::{Diagnostic, Place};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::Path,
};

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The steps, in words.
    pub steps: Vec<String>,
    /// What the program returned: `XDP_ABORTED` (0), `DROP`, `PASS`, `TX`, `REDIRECT`.
    pub action: u32,
    /// The packet as it left.
    pub packet: Vec<u8>,
}

/// Maps that say what becomes of packets. Tables of CPUs are not among them: the packet may come to any.
const COPIED: [&str; 13] = [
    "vips4",
    "vips6",
    "services",
    "rings",
    "reals",
    "prefixes4",
    "prefixes6",
    "ids",
    "connections4",
    "connections6",
    "nat4",
    "nat6",
    ".data.settings",
];

/// Runs a packet through a balancer's program and a copy of its maps.
///
/// # Errors
/// No balancer of that name runs; the targets'.
pub fn trace(object: &[u8], root: &Path, name: &str, packet: &[u8]) -> Result<Traced> {
    let folder = folder(root, name);
    if !folder.join("layout").exists() {
        let why = Diagnostic::new("lb-trace", format!("no balancer `{name}` runs"), Place::Nowhere);
        return Err(why.expected(format!("its maps at {}", folder.display())).into());
    }
    let mut object = Object::parse(object)?;
    let pinned = |object: &Object, map: &str| -> Result<LinuxMap> {
        Ok(LinuxMap::pinned(folder.join(file(map)), object.map_spec(map)?)?)
    };
    // The same constants: a flow has the same hash.
    let constants = pinned(&object, ".rodata")?.lookup(&[0; 4])?.unwrap_or_default();
    object.map_spec_mut(".rodata")?.initial = alveary::spec::Initial::Bytes(constants);
    object.set_variable("lb_trace", &[1])?;
    let mut live = BTreeMap::new();
    for map in COPIED {
        let there = pinned(&object, map)?;
        object.map_spec_mut(map)?.def.max_entries = there.spec().def.max_entries;
        live.insert(map, there);
    }
    for counted in ["vip_counters", "real_counters", "cached"] {
        object.map_spec_mut(counted)?.def.max_entries = pinned(&object, counted)?.spec().def.max_entries;
    }
    let loaded = Loader::new(Target::user()).program("lb").load(&object)?;
    for (map, there) in &live {
        let copy = loaded.map(map)?;
        for (key, value) in there.entries()? {
            if value.iter().any(|byte| *byte != 0) {
                copy.update(&key, &value, 0)?;
            }
        }
    }
    let outcome = loaded.program("lb")?.run(packet)?;
    let names = Names::of(&live)?;
    let mut steps = Vec::new();
    loaded.target().events(loaded.map("steps")?, &mut |_, step| {
        steps.push(names.words(wire::word(step, 0), wire::word(step, 4), wire::word(step, 8)));
    })?;
    Ok(Traced { steps, action: outcome.value, packet: outcome.data })
}

/// What numbers stand for.
struct Names {
    vips: BTreeMap<u32, String>,
    reals: BTreeMap<u32, wire::Real>,
}

impl Names {
    fn of(live: &BTreeMap<&str, LinuxMap>) -> Result<Names> {
        let (mut vips, mut reals) = (BTreeMap::new(), BTreeMap::new());
        for map in ["vips4", "vips6"] {
            for (key, slot) in live[map].entries()? {
                if let Some((ip, port, protocol)) = wire::vip_of(&key) {
                    vips.entry(wire::word(&slot, 0))
                        .or_insert_with(|| format!("{ip}, port {port}, protocol {protocol}"));
                }
            }
        }
        for (_, value) in live["reals"].entries()? {
            let real = wire::Real::from_bytes(&value);
            reals.insert(wire::number(real.name), real);
        }
        Ok(Names { vips, reals })
    }

    fn real(&self, name: u32) -> String {
        match self.reals.get(&wire::number(name)) {
            _ if name == 0 => "none".into(),
            Some(real) => format!("{} (number {})", real.ip(), wire::number(name)),
            None => format!("number {}", wire::number(name)),
        }
    }

    /// A step: `enum lb_step_kind`, and its two numbers.
    fn words(&self, kind: u32, a: u32, b: u32) -> String {
        match kind {
            0 => format!(
                "service {a}: {}",
                self.vips.get(&a).map_or("of clients with reals of their own", String::as_str)
            ),
            1 => format!("the client's prefix has service {a}"),
            2 => format!("an id in the packet (kind {a}) names the real {}", self.real(b)),
            3 => format!("the CPU's table knows the flow: real {}", self.real(a)),
            4 => format!("the table of all CPUs knows the flow: real {}", self.real(a)),
            5 => format!("that real is gone: {}", self.real(a)),
            6 => format!("the flow's hash is {a:08x}{b:08x}"),
            7 => format!("slot {a} of the VIP's table: real {}", self.real(b)),
            8 => format!("the tables remember the flow: real {}", self.real(a)),
            9 => format!("the flow is not remembered, there are too many new ones: real {}", self.real(a)),
            10 => {
                let way = ["not at all", "in an IP header", "in GUE", "on the link", "by NAT", "on this host"];
                format!("to the real {}, {}", self.real(a), way.get(b as usize).unwrap_or(&"in an unknown way"))
            }
            11 => format!("the balancer's port for NAT is {a}"),
            12 => format!("back from the real {}", self.real(a)),
            13 => format!("an ICMP error, type {a}, code {b}: what it is about follows"),
            14 => format!("the SYN's MSS is {b} now, it was {a}"),
            15 => {
                let (name, about) = wire::VERDICTS.get(a as usize).copied().unwrap_or(("unknown", ""));
                format!("{name}: {about}")
            }
            other => format!("step {other}: {a}, {b}"),
        }
    }
}

/// Names of what XDP programs return.
#[must_use]
pub fn action(code: u32) -> &'static str {
    ["XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"].get(code as usize).copied().unwrap_or("XDP_?")
}

/// A packet from what a person writes: its bytes as hexadecimal digits, from the Ethernet header on, or
/// `tcp 198.51.100.7:40000 > 192.0.2.1:443`, which is a SYN, and the same with `udp`.
#[must_use]
pub fn packet(text: &str) -> Option<Vec<u8>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if let [protocol @ ("tcp" | "udp"), from, ">" | "->", to] = words[..] {
        return segment(protocol == "tcp", from.parse().ok()?, to.parse().ok()?);
    }
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

fn segment(tcp: bool, from: SocketAddr, to: SocketAddr) -> Option<Vec<u8>> {
    let protocol = if tcp { 6 } else { 17 };
    let mut transport = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let checksum = if tcp {
        // Sequence 1, five words, SYN, a window.
        transport.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
        16
    } else {
        transport.extend([0, 8, 0, 0]);
        6
    };
    let len = transport.len() as u16;
    let mut packet = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    let (addresses, header) = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet.extend([8, 0]);
            let mut header = vec![0x45, 0];
            header.extend((20 + len).to_be_bytes());
            header.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
            header.extend([from.octets(), to.octets()].concat());
            let sum = sum(&header).to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            ([from.octets(), to.octets()].concat(), header)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            packet.extend([0x86, 0xdd]);
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(len.to_be_bytes());
            header.extend([protocol, 64]);
            header.extend([from.octets(), to.octets()].concat());
            ([from.octets(), to.octets()].concat(), header)
        }
        _ => return None,
    };
    let pseudo = [addresses, vec![0, protocol], len.to_be_bytes().to_vec(), transport.clone()].concat();
    let sum = sum(&pseudo).to_be_bytes();
    transport[checksum..checksum + 2].copy_from_slice(&sum);
    packet.extend(header);
    packet.extend(transport);
    Some(packet)
}

/// The Internet's checksum (RFC 1071) of an even number of bytes.
fn sum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.chunks_exact(2).map(|two| u32::from(u16::from_be_bytes([two[0], two[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_written_in_words_or_digits() {
        let syn = packet("tcp 198.51.100.7:40000 > 192.0.2.1:443").expect("a packet");
        assert_eq!(syn.len(), 54);
        assert_eq!(sum(&syn[14..34]), 0, "the header's checksum is right");
        let pseudo = [&syn[26..34], &[0, 6, 0, 20], &syn[34..]].concat();
        assert_eq!(sum(&pseudo), 0, "and the segment's");
        let six = packet("udp [2001:db8::7]:53 > [2001:db8::1]:53").expect("a packet");
        assert_eq!((six.len(), &six[12..14]), (62, [0x86, 0xdd].as_slice()));
        assert_eq!(packet("02:00 ff"), Some(vec![2, 0, 255]));
        for none in ["", "0", "xy", "tcp 1.2.3.4:5 > [::1]:6", "tcp 1.2.3.4 > 5.6.7.8:9", "é0"] {
            assert_eq!(packet(none), None, "{none}");
        }
    }
}
