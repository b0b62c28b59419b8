//! The routes that steer packets: by segments, or by programs.

use super::{
    super::{
        message::{Message, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Refusal, Request, attributes, number},
        socket::{change, dump},
    },
    Encap, read,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
/// Bytes of `struct rtmsg`.
const RTMSG: usize = 12;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_ENCAP_TYPE: u16 = 21;
const RTA_ENCAP: u16 = 22;
/// Bytes of `struct rtnexthop`: its length, flags, weight, device.
const RTNEXTHOP: usize = 8;
/// Made by an administrator (`RTPROT_BOOT`), an ordinary route (`RTN_UNICAST`).
const BOOT: u8 = 3;
const UNICAST: u8 = 1;
/// A route to this machine itself (`RTN_LOCAL`).
const LOCAL: u8 = 2;
/// Place of a route's type in `struct rtmsg`.
const TYPE: usize = 7;
/// Reaches hosts of the same link (`RT_SCOPE_LINK`): IPv4 routes without a gateway.
const ON_LINK: u8 = 253;
/// An entry of a cache, none of a table (`RTM_F_CLONED`).
const CLONED: u32 = 0x200;
/// The route itself is asked for, not what becomes of one packet (`RTM_F_FIB_MATCH`).
const FIB_MATCH: u32 = 0x2000;

/// What tells routes from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteKey {
    /// Where its packets go to.
    pub destination: IpAddr,
    /// How many bits of that count.
    pub prefix: u8,
    /// The table that it stands in.
    pub table: u32,
    /// Among routes to the same destination the one with the lowest counts; 0 of IPv6 routes means 1024.
    pub metric: u32,
}

/// Where a route's packets go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// Number of the device; 0: none is named.
    pub device: u32,
    /// The next hop, if there is one.
    pub gateway: Option<IpAddr>,
    /// What is done to packets; `None`: nothing that steers them.
    pub encap: Option<Encap>,
    /// How many of 256 flows or less go this way, less one.
    pub weight: u8,
}

/// A route that steers packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SteeredRoute {
    /// Which one.
    pub key: RouteKey,
    /// The ways that its packets go, one or several.
    pub next: Vec<Next>,
}

/// What is done about a route that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// The new one is refused.
    Kept,
    /// It goes.
    Replaced,
}

/// The routes of this network namespace that steer packets, in the kernel's order.
///
/// # Errors
/// The kernel's.
pub fn steered_routes() -> Result<Vec<SteeredRoute>, Refusal> {
    let mut all = Vec::new();
    for family in [libc::AF_INET6, libc::AF_INET] {
        let mut fixed = [0; RTMSG];
        fixed[0] = family as u8;
        let found = dump(Request::new(RTM_GETROUTE, 0, &fixed), route)?;
        for route in found {
            // IPv6 tells the ways of one route one by one.
            match all.last_mut() {
                Some(SteeredRoute { key, next }) if *key == route.key => next.extend(route.next),
                _ => all.push(route),
            }
        }
    }
    all.retain(|route| route.next.iter().any(|next| next.encap.is_some()));
    Ok(all)
}

/// The ways of packets to an address, with all next hops of the route that they take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// None.
    Nothing,
    /// They are this machine's own.
    Here,
    /// These.
    Ways(Vec<Next>),
}

/// Asks where packets to an address go: not for one flow, for all.
///
/// # Errors
/// The kernel's; that there is no way is none.
pub fn ways_to(destination: IpAddr) -> Result<Found, Refusal> {
    let mut fixed = [0; RTMSG];
    let four = destination.is_ipv4();
    fixed[0] = if four { libc::AF_INET } else { libc::AF_INET6 } as u8;
    fixed[1] = if four { 32 } else { 128 };
    fixed[8..].copy_from_slice(&FIB_MATCH.to_ne_bytes());
    let mut request = Request::new(RTM_GETROUTE, 0, &fixed);
    request.put(RTA_DST, &octets(destination));
    let found = change(request, |message| {
        let kind: u8 = number(message.body, TYPE)?;
        route(message).map(|route| (kind, route.next))
    });
    match found {
        Ok(Some((UNICAST, next))) => Ok(Found::Ways(next)),
        Ok(Some((LOCAL, _))) => Ok(Found::Here),
        Ok(_) => Ok(Found::Nothing),
        Err(why) if matches!(why.errno.0, libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL) => {
            Ok(Found::Nothing)
        }
        Err(why) => Err(why),
    }
}

impl SteeredRoute {
    /// Adds it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn add(&self, existing: Existing) -> Result<(), Refusal> {
        let how = match existing {
            Existing::Kept => NLM_F_EXCL,
            Existing::Replaced => NLM_F_REPLACE,
        };
        let mut request = self.key.request(RTM_NEWROUTE, NLM_F_CREATE | how, self.scope());
        match &self.next[..] {
            [only] => only.write(&mut request),
            several => {
                request.nest(RTA_MULTIPATH, |ways| several.iter().for_each(|next| next.write_among(ways)));
            }
        }
        change(request, |_| None::<()>).map(drop)
    }

    /// Removes it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn delete(&self) -> Result<(), Refusal> {
        let mut request = self.key.request(RTM_DELROUTE, 0, self.scope());
        if let [Next { device: device @ 1.., .. }] = &self.next[..] {
            request.number(RTA_OIF, *device);
        }
        change(request, |_| None::<()>).map(drop)
    }

    fn scope(&self) -> u8 {
        let direct = self.next.iter().all(|next| next.gateway.is_none());
        if self.key.destination.is_ipv4() && direct { ON_LINK } else { 0 }
    }
}

impl RouteKey {
    fn request(&self, ty: u16, flags: u16, scope: u8) -> Request {
        let mut fixed = [0; RTMSG];
        fixed[0] = if self.destination.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u8;
        fixed[1] = self.prefix;
        fixed[5] = BOOT;
        fixed[6] = scope;
        fixed[7] = UNICAST;
        let mut request = Request::new(ty, flags, &fixed);
        request.put(RTA_DST, &octets(self.destination)).number(RTA_TABLE, self.table);
        if self.metric != 0 {
            request.number(RTA_PRIORITY, self.metric);
        }
        request
    }
}

impl Next {
    fn write(&self, request: &mut Request) {
        if self.device != 0 {
            request.number(RTA_OIF, self.device);
        }
        self.write_attributes(request);
    }

    /// As one of several.
    fn write_among(&self, ways: &mut Request) {
        let mut fixed = [0; RTNEXTHOP];
        fixed[3] = self.weight;
        fixed[4..].copy_from_slice(&self.device.to_ne_bytes());
        ways.entry(&fixed, |way| self.write_attributes(way));
    }

    fn write_attributes(&self, request: &mut Request) {
        if let Some(gateway) = self.gateway {
            request.put(RTA_GATEWAY, &octets(gateway));
        }
        if let Some(encap) = &self.encap {
            request.put(RTA_ENCAP_TYPE, &encap.number().to_ne_bytes()).nest(RTA_ENCAP, |nest| encap.write(nest));
        }
    }

    fn read<'a>(device: u32, weight: u8, all: impl Iterator<Item = (u16, &'a [u8])>) -> Next {
        let mut next = Next { device, gateway: None, encap: None, weight };
        let (mut kind, mut bytes) = (0, &[][..]);
        for (ty, value) in all {
            match ty {
                RTA_OIF => next.device = number(value, 0).unwrap_or(0),
                RTA_GATEWAY => next.gateway = address(value),
                // An address of the other protocol: its family stands in front.
                RTA_VIA => next.gateway = address(value.get(2..).unwrap_or_default()),
                RTA_ENCAP_TYPE => kind = number(value, 0).unwrap_or(0),
                RTA_ENCAP => bytes = value,
                _ => {}
            }
        }
        next.encap = read::encap(kind, bytes);
        next
    }
}

fn route(message: Message<'_>) -> Option<SteeredRoute> {
    let fixed: [u8; RTMSG] = number(message.body, 0)?;
    if message.ty != RTM_NEWROUTE || u32::from_ne_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]) & CLONED != 0 {
        return None;
    }
    let nowhere: IpAddr =
        if i32::from(fixed[0]) == libc::AF_INET { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let mut key = RouteKey { destination: nowhere, prefix: fixed[1], table: u32::from(fixed[4]), metric: 0 };
    let mut several = None;
    for (ty, value) in message.attributes(RTMSG) {
        match ty {
            RTA_DST => key.destination = address(value)?,
            RTA_TABLE => key.table = number(value, 0)?,
            RTA_PRIORITY => key.metric = number(value, 0)?,
            RTA_MULTIPATH => several = Some(ways(value)),
            _ => {}
        }
    }
    let next = several.unwrap_or_else(|| vec![Next::read(0, 0, message.attributes(RTMSG))]);
    Some(SteeredRoute { key, next })
}

/// The ways of a route that has several.
fn ways(mut bytes: &[u8]) -> Vec<Next> {
    let mut all = Vec::new();
    while let (Some(len), Some([_, _, _, weight]), Some(device)) =
        (number::<u16>(bytes, 0), number::<[u8; 4]>(bytes, 0), number::<u32>(bytes, 4))
    {
        let Some(inside) = bytes.get(RTNEXTHOP..usize::from(len)) else { break };
        all.push(Next::read(device, weight, attributes(inside)));
        bytes = bytes.get(usize::from(len).next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => number::<[u8; 4]>(bytes, 0).map(IpAddr::from),
        16 => number::<[u8; 16]>(bytes, 0).map(IpAddr::from),
        _ => None,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
