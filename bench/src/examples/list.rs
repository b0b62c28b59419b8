//! The programs: where they are, what their maps hold, which packets they get.

use crate::compile;
use std::path::{Path, PathBuf};

/// What a program hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    Xdp,
    Tc,
}

/// A program of examples/.
pub(crate) struct Example {
    /// In the table.
    pub(crate) name: &'static str,
    pub(super) program: &'static str,
    pub(super) hook: Hook,
    /// The object in examples/; none: it is compiled from the source now.
    object: Option<&'static str>,
    /// In the repository.
    source: &'static str,
    /// What its maps hold before the first packet.
    pub(super) entries: fn() -> Vec<Entry>,
    /// What it gets for a packet of the capture.
    pub(super) packet: fn(&[u8]) -> Vec<u8>,
    /// Over its own output it does what it did over the packet.
    pub(super) again: bool,
}

/// An entry of a map.
pub(super) struct Entry {
    pub(super) map: &'static str,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl Example {
    pub(super) fn object(&self) -> Result<PathBuf, String> {
        let compiled = || compile::object(&self.source(), self.name);
        self.object.map_or_else(compiled, |name| Ok(repository().join("examples").join(name)))
    }

    pub(super) fn source(&self) -> PathBuf {
        repository().join(self.source)
    }
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

const fn example(
    name: &'static str,
    object: &'static str,
    source: &'static str,
    entries: fn() -> Vec<Entry>,
) -> Example {
    let (hook, packet) = (Hook::Xdp, <[u8]>::to_vec as fn(&[u8]) -> Vec<u8>);
    Example { name, program: name, hook, object: Some(object), source, entries, packet, again: true }
}

pub(super) const EXAMPLES: &[Example] = &[
    example("count", "count.bpf.o", "bpf/count/count.bpf.c", Vec::new),
    example("filter", "filter.bpf.o", "bpf/filter/filter.bpf.c", rules),
    Example { hook: Hook::Tc, ..example("rewrite", "rewrite.bpf.o", "bpf/rewrite/rewrite.bpf.c", targets) },
    Example { program: "lb", ..example("lb, on the link", "lb.bpf.o", "bpf/lb/lb.bpf.c", || balanced(ON_LINK)) },
    Example { program: "lb", again: false, ..example("lb, in IP", "lb.bpf.o", "bpf/lb/lb.bpf.c", || balanced(IN_IP)) },
    Example {
        program: "decap",
        packet: tunnelled,
        again: false,
        ..example("lb-decap", "lb-decap.bpf.o", "bpf/lb/decap.bpf.c", || {
            vec![entry("ends", &[&TUNNEL, &[0; 12]], &[&[0; 4]])]
        })
    },
];

const EMPTY: [Example; 2] = [
    Example { object: None, ..example("empty_xdp", "", "bench/native/empty.bpf.c", Vec::new) },
    Example { object: None, hook: Hook::Tc, ..example("empty_tc", "", "bench/native/empty.bpf.c", Vec::new) },
];

/// The program that does nothing.
pub(super) fn empty(hook: Hook) -> &'static Example {
    &EMPTY[hook as usize]
}

/// The capture's addresses.
const CLIENT: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [192, 0, 2, 2];
const SERVER_V6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const TUNNEL: [u8; 4] = [192, 0, 2, 254];
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;

fn entry(map: &'static str, key: &[&[u8]], value: &[&[u8]]) -> Entry {
    Entry { map, key: key.concat(), value: value.concat() }
}

/// What drops a part of the traffic: a tag, questions for names, one of the two ports; prefixes, most of which are elsewhere.
fn rules() -> Vec<Entry> {
    let (drop, pass) = (1u32.to_ne_bytes(), 0u32.to_ne_bytes());
    let v4 = [
        (8u32, [10, 0, 0, 0], drop),
        (16, [10, 1, 0, 0], pass),
        (12, [172, 16, 0, 0], drop),
        (25, [192, 0, 2, 128], drop),
    ];
    let v6: [(u32, &[u8]); 4] =
        [(7, &[0xfc]), (10, &[0xfe, 0x80]), (48, &[0x20, 1, 0x0d, 0xb8, 0, 1]), (128, &[0x20, 1, 0x0d, 0xb8, 0xff])];
    let mut rules: Vec<_> = v4
        .iter()
        .map(|(length, address, rule)| entry("blocked_v4", &[&length.to_ne_bytes(), address], &[rule]))
        .collect();
    rules.extend(v6.map(|(length, address)| {
        entry("blocked_v6", &[&length.to_ne_bytes(), address, &vec![0; 16 - address.len()]], &[&drop])
    }));
    rules.extend(
        [(UDP, 53u16), (TCP, 8080), (TCP, 23)]
            .map(|(protocol, port)| entry("ports", &[&[protocol, 0], &port.to_ne_bytes()], &[&drop])),
    );
    rules.push(entry("vlans", &[&20u16.to_ne_bytes()], &[&drop]));
    rules
}

/// Web and names go elsewhere, and what goes there comes back: a packet that was rewritten is rewritten again.
fn targets() -> Vec<Entry> {
    let other = [192, 0, 2, 9];
    let both = |protocol: u8, here: u16, there: u16| {
        let (here, there) = (here.to_ne_bytes(), there.to_ne_bytes());
        let to = |from: [u8; 4], port: [u8; 2], target: [u8; 4], new: [u8; 2]| {
            entry("targets", &[&from, &port, &[protocol, 0]], &[&target, &new, &[46, 0]])
        };
        [to(SERVER, here, other, there), to(other, there, SERVER, here)]
    };
    [both(TCP, 80, 8080), both(UDP, 53, 5353)].into_iter().flatten().collect()
}

/// How reals are reached: `LB_WAY_IP`, `LB_WAY_L2`; and `LB_REAL_MAC`.
const IN_IP: [u8; 2] = [1, 0];
const ON_LINK: [u8; 2] = [3, 2];
const REALS: u32 = 4;
const PLACES: u32 = 512;

/// One service with four reals, for all that the server is asked, over both families (`bpf/lb/lb.h`).
fn balanced(way: [u8; 2]) -> Vec<Entry> {
    let number = |number: u32| number.to_ne_bytes();
    let name = |real: u32| number(1 << 20 | (1 + real % REALS));
    let slot = number(1);
    let mut entries = vec![entry("services", &[&slot], &[&number(7), &[0; 8], &number(PLACES), &[0; 16]])];
    for (protocol, port) in [(TCP, 80u16), (TCP, 8080), (UDP, 53), (ICMP, 0)] {
        let rest = [&port.to_be_bytes()[..], &[protocol, 0]].concat();
        entries.push(entry("vips4", &[&SERVER, &rest], &[&slot]));
        entries.push(entry("vips6", &[&SERVER_V6, &rest], &[&slot]));
    }
    entries.extend((0..PLACES).map(|place| entry("rings", &[&number(place)], &[&name(place)])));
    entries.extend((0..REALS).map(|real| {
        let address = [10, 0, 1, real as u8 + 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let source = [10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let macs = [2, 0, 0, 0, 1, real as u8, 2, 0, 0, 0, 0, 1];
        entry("reals", &[&number(1 + real)], &[&name(real), &way, &[0; 2], &macs, &[0; 4], &address, &source, &[0; 8]])
    }));
    entries
}

/// An IP packet in another one, of IPv4; others as they are.
fn tunnelled(packet: &[u8]) -> Vec<u8> {
    let protocol = match packet.get(12..14) {
        Some([8, 0]) => 4,
        Some([0x86, 0xdd]) => 41,
        _ => return packet.to_vec(),
    };
    let length = (packet.len() as u16 - 14 + 20).to_be_bytes();
    let fixed = [0, 0, 0x40, 0, 64, protocol, 0, 0];
    [&packet[..12], &[8, 0, 0x45, 0], &length, &fixed, &CLIENT, &TUNNEL, &packet[14..]].concat()
}
