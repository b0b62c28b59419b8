//! What the kernel tells of a route's lightweight tunnel.

use super::{
    super::{
        Hook,
        message::{attributes, number, string},
    },
    encap::{
        Counters, ENCAP_BPF, ENCAP_SEG6, ENCAP_SEG6_LOCAL, Encap, Endpoint, Flavours, LWT_BPF_IN, LWT_BPF_OUT,
        LWT_BPF_XMIT, LWT_BPF_XMIT_HEADROOM, Mode, NextCsid, PROG, PROG_NAME, RouteProgram, SEG6_IPTUNNEL_SRH, local,
    },
};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The tunnel of this kind (`LWTUNNEL_ENCAP_…`) that some attributes describe; `None` for other kinds.
pub(super) fn encap(kind: u16, bytes: &[u8]) -> Option<Encap> {
    match kind {
        ENCAP_SEG6 => headend(bytes),
        ENCAP_BPF => Some(programs(bytes)),
        ENCAP_SEG6_LOCAL => endpoint(bytes).map(Encap::Endpoint),
        _ => None,
    }
}

fn headend(bytes: &[u8]) -> Option<Encap> {
    let (_, value) = attributes(bytes).find(|(ty, _)| *ty == SEG6_IPTUNNEL_SRH)?;
    let mode = *Mode::ALL.get(number::<u32>(value, 0)? as usize)?;
    Some(Encap::Headend { mode, srh: value.get(size_of::<u32>()..)?.to_vec() })
}

fn programs(bytes: &[u8]) -> Encap {
    let (mut programs, mut headroom) = (Vec::new(), 0);
    for (ty, value) in attributes(bytes) {
        match ty {
            LWT_BPF_IN => programs.push((Hook::In, program(value))),
            LWT_BPF_OUT => programs.push((Hook::Out, program(value))),
            LWT_BPF_XMIT => programs.push((Hook::Xmit, program(value))),
            LWT_BPF_XMIT_HEADROOM => headroom = number(value, 0).unwrap_or(0),
            _ => {}
        }
    }
    Encap::Programs { programs, headroom }
}

fn program(bytes: &[u8]) -> RouteProgram {
    let mut program = RouteProgram { fd: None, id: None, name: String::new() };
    for (ty, value) in attributes(bytes) {
        match ty {
            PROG => program.id = number(value, 0),
            PROG_NAME => program.name = string(value),
            _ => {}
        }
    }
    program
}

fn endpoint(bytes: &[u8]) -> Option<Endpoint> {
    let mut endpoint = Endpoint::default();
    for (ty, value) in attributes(bytes) {
        match ty {
            local::ACTION => endpoint.action = number(value, 0)?,
            local::SRH => endpoint.srh = Some(value.to_vec()),
            local::TABLE => endpoint.table = number(value, 0),
            local::VRFTABLE => endpoint.vrf_table = number(value, 0),
            local::NH4 => endpoint.nh4 = number::<[u8; 4]>(value, 0).map(Ipv4Addr::from),
            local::NH6 => endpoint.nh6 = number::<[u8; 16]>(value, 0).map(Ipv6Addr::from),
            local::IIF => endpoint.iif = number(value, 0),
            local::OIF => endpoint.oif = number(value, 0),
            local::BPF => endpoint.program = Some(program(value)),
            local::COUNTERS => endpoint.counters = Some(counters(value)),
            local::FLAVORS => endpoint.flavours = flavours(value),
            _ => {}
        }
    }
    Some(endpoint)
}

fn counters(bytes: &[u8]) -> Counters {
    let mut counters = Counters::default();
    for (ty, value) in attributes(bytes) {
        let count = number(value, 0).unwrap_or(0);
        match ty {
            local::COUNTED_PACKETS => counters.packets = count,
            local::COUNTED_BYTES => counters.bytes = count,
            local::COUNTED_ERRORS => counters.errors = count,
            _ => {}
        }
    }
    counters
}

fn flavours(bytes: &[u8]) -> Flavours {
    let (mut operations, mut bits) = (0, NextCsid::default());
    for (ty, value) in attributes(bytes) {
        match ty {
            local::FLAVOR_OPERATION => operations = number(value, 0).unwrap_or(0),
            local::FLAVOR_BLOCK_BITS => bits.block_bits = number(value, 0).unwrap_or(0),
            local::FLAVOR_NODE_BITS => bits.node_bits = number(value, 0).unwrap_or(0),
            _ => {}
        }
    }
    Flavours::of(operations, bits)
}
