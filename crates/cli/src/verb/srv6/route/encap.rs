//! Between what users say of a behaviour and what the kernel is told of it, both ways.

use super::super::behaviour::{Flavour, Head, Hook, Kind, Parameters, Row};
use crate::{bpftool::device, failure::Failure};
use alveary::{
    kernel::netlink::{
        self,
        srv6::{Counters, Encap, Endpoint, Flavours, Mode, NextCsid, RouteProgram},
    },
    net::seg6::{self, FIXED, SEGMENT, Srh},
};
use std::net::Ipv6Addr;

/// Each way of putting headers on packets, as the table of behaviours and as netlink calls it.
const MODES: [(Head, Mode); 5] = [
    (Head::Inline, Mode::Inline),
    (Head::Encap, Mode::Encap),
    (Head::L2Encap, Mode::L2Encap),
    (Head::EncapReduced, Mode::EncapReduced),
    (Head::L2EncapReduced, Mode::L2EncapReduced),
];

/// The same of programs' places.
const HOOKS: [(Hook, netlink::Hook); 3] =
    [(Hook::In, netlink::Hook::In), (Hook::Out, netlink::Hook::Out), (Hook::Xmit, netlink::Hook::Xmit)];

/// Actions whose header goes into packets, with room for their destination.
const END_B6: u32 = 9;

/// What the kernel is told.
pub(super) fn of(row: &Row, said: &Parameters, program: Option<RouteProgram>) -> Result<Encap, Failure> {
    let header = |inside: bool| seg6::header_of(&said.segments, inside, said.hmac);
    Ok(match row.kind {
        Kind::Headend(head) => {
            let mode = MODES.iter().find(|(known, _)| *known == head).map_or(Mode::Encap, |(_, mode)| *mode);
            Encap::Headend { mode, srh: header(mode == Mode::Inline) }
        }
        Kind::Hook(hook) => {
            let place = HOOKS.iter().find(|(known, _)| *known == hook).map(|(_, place)| *place);
            Encap::Programs { programs: place.into_iter().zip(program).collect(), headroom: 0 }
        }
        Kind::Endpoint(action) => Encap::Endpoint(Endpoint {
            action,
            srh: (!said.segments.is_empty()).then(|| header(action == END_B6)),
            table: said.lookup,
            vrf_table: said.vrf,
            nh4: said.nh4,
            nh6: said.nh6,
            iif: None,
            oif: said.oif.as_deref().map(device::named).transpose()?,
            program,
            counters: said.counters.then(Counters::default),
            flavours: flavours(said),
        }),
    })
}

fn flavours(said: &Parameters) -> Flavours {
    let given = |flavour| said.flavours.contains(&flavour);
    let bits = NextCsid { block_bits: said.block_bits.unwrap_or(0), node_bits: said.node_bits.unwrap_or(0) };
    Flavours {
        psp: given(Flavour::Psp),
        usp: given(Flavour::Usp),
        usd: given(Flavour::Usd),
        next_csid: given(Flavour::NextCsid).then_some(bits),
    }
}

/// What the kernel tells, as users say it.
pub(super) struct Told {
    pub(super) behaviours: Vec<&'static str>,
    /// What belongs to it, by name.
    pub(super) with: Vec<(&'static str, String)>,
    pub(super) counters: Option<Counters>,
}

impl Told {
    pub(super) fn of(encap: &Encap) -> Told {
        match encap {
            Encap::Headend { mode, srh } => {
                let head = MODES.iter().find(|(_, known)| known == mode).map(|(head, _)| *head);
                Told {
                    behaviours: head
                        .and_then(|head| Row::of(Kind::Headend(head)))
                        .map(|row| row.name)
                        .into_iter()
                        .collect(),
                    with: header(srh, *mode == Mode::Inline),
                    counters: None,
                }
            }
            Encap::Programs { programs, headroom } => {
                let name = |hook: &netlink::Hook| {
                    let hook = HOOKS.iter().find(|(_, known)| known == hook).map(|(hook, _)| *hook)?;
                    Row::of(Kind::Hook(hook)).map(|row| row.name)
                };
                let mut with: Vec<_> = programs.iter().map(|(_, program)| ("program", program.name.clone())).collect();
                if *headroom > 0 {
                    with.push(("headroom", headroom.to_string()));
                }
                Told { behaviours: programs.iter().filter_map(|(hook, _)| name(hook)).collect(), with, counters: None }
            }
            Encap::Endpoint(endpoint) => Told {
                behaviours: vec![Row::of(Kind::Endpoint(endpoint.action)).map_or("an unknown action", |row| row.name)],
                with: parameters(endpoint),
                counters: endpoint.counters,
            },
        }
    }
}

fn parameters(endpoint: &Endpoint) -> Vec<(&'static str, String)> {
    let mut with = Vec::new();
    let mut add = |name, value: Option<String>| with.extend(value.map(|value| (name, value)));
    add("nh4", endpoint.nh4.map(|address| address.to_string()));
    add("nh6", endpoint.nh6.map(|address| address.to_string()));
    add("lookup", endpoint.table.map(|table| table.to_string()));
    add("vrf", endpoint.vrf_table.map(|table| table.to_string()));
    add("iif", endpoint.iif.map(super::show::device));
    add("oif", endpoint.oif.map(super::show::device));
    if let Some(program) = &endpoint.program {
        add("program", Some(program.name.clone()));
        add("id", program.id.map(|id| id.to_string()));
    }
    let flavours = endpoint.flavours;
    let given = |flavour: &Flavour| match flavour {
        Flavour::Psp => flavours.psp,
        Flavour::Usp => flavours.usp,
        Flavour::Usd => flavours.usd,
        Flavour::NextCsid => flavours.next_csid.is_some(),
    };
    let names: Vec<_> = Flavour::ALL.iter().filter(|one| given(one)).map(|one| one.name()).collect();
    add("flavours", (!names.is_empty()).then(|| names.join(",")));
    if let Some(bits) = flavours.next_csid {
        add("block-bits", Some(bits.block_bits.to_string()));
        add("node-bits", Some(bits.node_bits.to_string()));
    }
    with.extend(endpoint.srh.iter().flat_map(|srh| header(srh, endpoint.action == END_B6)));
    with
}

/// The segments of a header, the first to be visited first, and the key that signs it. Inside packets, the last one is
/// room for their destination.
fn header(srh: &[u8], inside: bool) -> Vec<(&'static str, String)> {
    const KEY: usize = 4;
    let Some(fixed) = Srh::read(srh, 0) else { return Vec::new() };
    let all = srh.get(FIXED..fixed.segments_end().min(srh.len())).unwrap_or_default();
    let all = all.chunks_exact(SEGMENT).skip(usize::from(inside)).rev();
    let address = |bytes: &[u8]| <[u8; SEGMENT]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).to_string());
    let mut with = vec![("segments", all.flat_map(address).collect::<Vec<_>>().join(","))];
    let key = fixed.hmac(srh).and_then(|at| srh.get(at + KEY..)?.first_chunk::<4>());
    with.extend(key.map(|key| ("hmac", u32::from_be_bytes(*key).to_string())));
    with
}
