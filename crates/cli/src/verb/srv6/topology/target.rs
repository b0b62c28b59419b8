//! Routes of a file as routes of a router.

use super::{
    super::{
        behaviour::{Flavour, Head, Hook, Kind, Parameters, Row},
        prefix::MAIN,
        topology,
    },
    Route, Text, Topology,
};
use alveary::net::{
    router::{Behaviour, Flavours, Headend, NextCsid, Router, Target, Tunnel},
    seg6::{self, Keys, MOST_SIGNED},
};
use alveary_abi::ProgType;
use alveary_diag::{Diagnostic, Place};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A program that a route needs, by the number that it has in the router.
pub(in super::super) struct Wanted {
    /// `OBJ` or `OBJ:PROG`.
    pub(in super::super) said: String,
    pub(in super::super) ty: ProgType,
    /// Where that is said.
    pub(in super::super) at: Place,
}

/// The router, and the programs that it needs.
pub(in super::super) fn router(
    text: &Text,
    topology: &Topology,
    keys: Keys,
) -> Result<(Router, Vec<Wanted>), Diagnostic> {
    let mut router = Router::new(topology.source);
    router.keys = keys;
    for (device, interface) in (1..).zip(&topology.interface) {
        let name = &interface.get_ref().name;
        let file = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
        let twice = topology.interface.iter().filter(|other| other.get_ref().name == *name).count() > 1;
        if !file || twice {
            let what = if twice { "two interfaces have this name" } else { "no file can have this interface's name" };
            return Err(topology::wrong(what, text.at(interface.span())).found(format!("`{name}`")));
        }
        router.mtu.extend(interface.get_ref().mtu.map(|mtu| (device, mtu)));
        router.require.insert(device, interface.get_ref().require.0);
    }
    let mut wanted = Vec::new();
    for route in &topology.route {
        let first = wanted.len();
        let target =
            target(route.get_ref(), topology, &router.keys, &mut wanted).map_err(|Wrong { key, mut why }| {
                let at = text.value(route.span(), key);
                why.labels.iter_mut().filter(|label| label.primary).for_each(|label| label.at = at.clone());
                why
            })?;
        wanted[first..].iter_mut().for_each(|program| program.at = text.value(route.span(), "program"));
        let to = route.get_ref().to.0;
        router.add(route.get_ref().table.unwrap_or(MAIN), to.address, to.bits, target);
    }
    Ok((router, wanted))
}

fn wrong(message: impl Into<String>) -> Diagnostic {
    topology::wrong(message, Place::Nowhere)
}

/// Something that is wrong with a route, and which key of it says so; none: it is the route as a whole.
struct Wrong {
    key: &'static str,
    why: Diagnostic,
}

impl From<Diagnostic> for Wrong {
    fn from(why: Diagnostic) -> Wrong {
        Wrong { key: "", why }
    }
}

/// It is that key.
fn at(key: &'static str) -> impl Fn(Diagnostic) -> Wrong {
    move |why| Wrong { key, why }
}

fn target(route: &Route, topology: &Topology, keys: &Keys, wanted: &mut Vec<Wanted>) -> Result<Target, Wrong> {
    let said = route.parameters();
    let plain = match route.behaviour.as_deref() {
        None => Some(by_device(route, topology)?),
        Some("local") => Some(Target::Local),
        Some("blackhole") => Some(Target::Blackhole),
        Some("unreachable") => Some(Target::Unreachable),
        Some("prohibit") => Some(Target::Prohibited),
        Some(_) => None,
    };
    if let Some(target) = plain {
        return Ok(target);
    }
    let row = Row::named(route.behaviour.as_deref().unwrap_or_default()).map_err(at("behaviour"))?;
    said.check(row, route.program.is_some())?;
    let mut program = |ty: ProgType| {
        wanted.push(Wanted { said: route.program.clone().unwrap_or_default(), ty, at: Place::Nowhere });
        wanted.len() - 1
    };
    match row.kind {
        Kind::Headend(head) => Ok(Target::Headend(headend(head, &said, keys)?)),
        Kind::Endpoint(super::super::behaviour::END_BPF) => {
            Ok(Target::Endpoint(Behaviour::EndBpf(program(ProgType::LWT_SEG6LOCAL))))
        }
        Kind::Endpoint(action) => Ok(Target::Endpoint(endpoint(action, &said, topology, keys)?)),
        Kind::Hook(hook) => {
            let name = route.dev.as_deref().ok_or_else(|| wrong(format!("{} lacks a device (dev)", row.name)))?;
            let device = device(name, topology).map_err(at("dev"))?;
            let mut tunnel = Tunnel { device, gateway: route.via, input: None, output: None, xmit: None };
            match hook {
                Hook::In => tunnel.input = Some(program(ProgType::LWT_IN)),
                Hook::Out => tunnel.output = Some(program(ProgType::LWT_OUT)),
                Hook::Xmit => tunnel.xmit = Some(program(ProgType::LWT_XMIT)),
            }
            Ok(Target::Tunnel(tunnel))
        }
    }
}

fn by_device(route: &Route, topology: &Topology) -> Result<Target, Wrong> {
    let by = |name: &str, gateway: Option<IpAddr>| Ok(Target::Device { device: device(name, topology)?, gateway });
    match (&route.dev, &route.ways[..]) {
        (Some(name), []) => by(name, route.via).map_err(at("dev")),
        (None, ways @ [_, ..]) => {
            if ways.iter().all(|way| way.weight == 0) {
                return Err(at("ways")(wrong("no way gets any flow").expected("weights above 0")));
            }
            let ways = ways.iter().map(|way| Ok((way.weight, by(&way.dev, way.via)?)));
            Ok(Target::Ways(ways.collect::<Result<_, Diagnostic>>().map_err(at("ways"))?))
        }
        _ => Err(wrong("the route does not say where packets go").expected("`behaviour`, `dev` or `ways`").into()),
    }
}

/// The number of an interface.
pub(in super::super) fn device(name: &str, topology: &Topology) -> Result<u32, Diagnostic> {
    let names = || topology.interface.iter().map(|interface| &*interface.get_ref().name);
    let found = (1..).zip(names()).find(|(_, known)| *known == name).map(|(number, _)| number);
    found.ok_or_else(|| {
        let known: Vec<&str> = names().collect();
        wrong(format!("there is no interface `{name}`")).expected(format!("one of {}", known.join(", ")))
    })
}

fn headend(head: Head, said: &Parameters, keys: &Keys) -> Result<Headend, Wrong> {
    Ok(match head {
        Head::Inline => Headend::Inline(header(said, keys, Put::Inside)?),
        Head::Encap => Headend::Encaps(header(said, keys, Put::Around)?),
        Head::EncapReduced => Headend::EncapsReduced(header(said, keys, Put::Reduced)?),
        Head::L2Encap => Headend::L2Encaps(header(said, keys, Put::Around)?),
        Head::L2EncapReduced => Headend::L2EncapsReduced(header(said, keys, Put::Reduced)?),
    })
}

/// How a header gets on packets.
#[derive(Clone, Copy, PartialEq)]
enum Put {
    Around,
    /// Around them, without the first segment.
    Reduced,
    /// Into them, with their destination as a segment more.
    Inside,
}

/// The header of a route, which can be signed if it is to be.
fn header(said: &Parameters, keys: &Keys, put: Put) -> Result<Vec<u8>, Wrong> {
    if let Some(id) = said.hmac {
        if keys.get(id).is_none() {
            let why = wrong(format!("there is no key {id}")).help("describe it: `[[hmac]]` with `key`");
            return Err(at("hmac")(why));
        }
        let most = match put {
            Put::Around => MOST_SIGNED,
            Put::Reduced => MOST_SIGNED + 1,
            Put::Inside => MOST_SIGNED - 1,
        };
        if said.segments.len() > most {
            let why = wrong("no header with so many segments is signed").expected(format!("at most {most}"));
            return Err(at("segments")(why.found(said.segments.len().to_string())));
        }
    }
    Ok(seg6::header_of(&said.segments, put == Put::Inside, said.hmac))
}

/// The behaviour of an action; what it needs was checked.
fn endpoint(action: u32, said: &Parameters, topology: &Topology, keys: &Keys) -> Result<Behaviour, Wrong> {
    let (nh4, nh6) = (said.nh4.unwrap_or(Ipv4Addr::UNSPECIFIED), said.nh6.unwrap_or(Ipv6Addr::UNSPECIFIED));
    let table = said.lookup.or(said.vrf).unwrap_or(MAIN);
    Ok(match action {
        1 => Behaviour::End(flavours(said)?),
        2 => Behaviour::EndX(nh6, flavours(said)?),
        3 => Behaviour::EndT(table, flavours(said)?),
        4 => Behaviour::EndDx2(device(said.oif.as_deref().unwrap_or_default(), topology).map_err(at("oif"))?),
        5 => Behaviour::EndDx6(nh6),
        6 => Behaviour::EndDx4(nh4),
        7 => Behaviour::EndDt6(table),
        8 => Behaviour::EndDt4(table),
        16 => Behaviour::EndDt46(table),
        9 => Behaviour::EndB6(header(said, keys, Put::Inside)?),
        10 => Behaviour::EndB6Encaps(header(said, keys, Put::Around)?),
        _ => return Err(at("behaviour")(wrong("this behaviour does not run in user space"))),
    })
}

fn flavours(said: &Parameters) -> Result<Flavours, Diagnostic> {
    let given = |flavour| said.flavours.contains(&flavour);
    let (block, node) = (said.block_bits.unwrap_or(32), said.node_bits.unwrap_or(16));
    let csid = NextCsid::new(block, node).map_err(|expected| {
        wrong("an address cannot be divided like this").expected(expected).found(format!("{block} and {node} bits"))
    })?;
    Ok(Flavours {
        psp: given(Flavour::Psp),
        usp: given(Flavour::Usp),
        usd: given(Flavour::Usd),
        next_csid: given(Flavour::NextCsid).then_some(csid),
    })
}
