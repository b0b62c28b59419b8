//! Packets on their way through a route: what the stack does with them before a tunnel's or an SRv6 endpoint's program
//! sees them, and after (`net/core/lwt_bpf.c`, `net/ipv6/seg6_local.c`). Such a program's packet begins at the IP header.

use super::{
    ETH_HLEN, ETH_P_8021AD, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6, Fields, HEADROOM, Headers, SkBuff, Start, room,
};
use crate::{
    routed::{alive, onward, received, received4},
    seg6::{self, List, Octets, Policy, Room, Srh},
};
use alveary_abi::ProgType;
use std::{cell::Cell, fmt, net::Ipv6Addr};

/// Bytes of a VLAN tag.
const VLAN_HLEN: usize = 4;
/// Types of packets.
const HOST: u32 = 0;
const OTHERHOST: u32 = 3;
/// What programs return.
const OK: i32 = 0;
const REDIRECT: i32 = 7;
/// What is known of the SRH of a packet without one.
const NO_SRH: (usize, u16) = (0, 0);

/// Why the stack drops a packet, whatever the program says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// It is no IP packet: routes never see it. The program did not run.
    NotIp,
    /// Its IP header does not fit it. The program did not run.
    Malformed,
    /// It has no SRH with segments left, or one that does not hold together. The program did not run.
    NoSegments,
    /// Its SRH bears an HMAC that is wrong or of an unknown key, or none where there has to be one. The program did not run.
    BadHmac,
    /// The SRH that the program left does not hold together.
    BrokenSrh,
    /// The program made an IPv4 packet of an IPv6 one or the other way round, and did not ask for another route.
    NotRerouted,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dropped::NotIp => "no IP packet",
            Dropped::Malformed => "an IP header that does not fit the packet",
            Dropped::NoSegments => "no valid SRH with segments left",
            Dropped::BadHmac => "an HMAC that is wrong, of an unknown key, or missing",
            Dropped::BrokenSrh => "the program left a broken SRH",
            Dropped::NotRerouted => "another protocol, and no new route",
        })
    }
}

/// What is known of a packet on its way through a route. Each value is a cell of its own: what was just written in parts is
/// not read as a whole, which processors are slow at.
#[derive(Debug, Default)]
pub(super) struct Routed {
    /// What the packet was.
    protocol: Cell<u16>,
    /// The SRH, to programs of an SRv6 endpoint.
    pub(super) srh: SrhState,
    /// Where the last action or encapsulation said that the packet goes, if one did.
    way: Cell<Option<Lookup>>,
    asked: Cell<bool>,
}

impl Routed {
    /// `srh`: where the header begins, and its bytes behind the first 8; 0: there is none.
    fn set(&self, protocol: u16, srh: (usize, u16)) {
        self.protocol.set(protocol);
        self.srh.at.set(srh.0);
        self.srh.len.set(srh.1);
        self.srh.valid.set(srh.0 > 0);
        self.asked.set(false);
    }

    pub(super) fn ask(&self, way: Lookup) {
        self.way.set(Some(way));
        self.asked.set(true);
    }

    pub(super) fn way(&self) -> Option<Lookup> {
        if self.asked.get() { self.way.get() } else { None }
    }
}

/// A question for the way to an IPv6 destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Where to.
    pub destination: Ipv6Addr,
    /// The next hop, if it is given: then the question is for the way to that.
    pub next_hop: Option<Ipv6Addr>,
    /// The table; 0 means those that the rules say.
    pub table: u32,
}

/// What Linux keeps of the SRH while an endpoint's program runs (`struct seg6_bpf_srh_state`).
#[derive(Debug, Default)]
pub(super) struct SrhState {
    /// Where it begins; 0, where an IPv6 header is: there is none.
    at: Cell<usize>,
    /// Bytes behind the first 8; the header says so only when it was checked again.
    pub(super) len: Cell<u16>,
    pub(super) valid: Cell<bool>,
}

impl SrhState {
    pub(super) fn at(&self) -> Option<usize> {
        Some(self.at.get()).filter(|at| *at > 0)
    }

    pub(super) fn set_at(&self, at: Option<usize>) {
        self.at.set(at.unwrap_or(0));
    }
}

impl SkBuff {
    /// Takes in a packet that a route gives to a program of type `ty`, from its Ethernet header on. Padding goes; an SRv6
    /// endpoint's packet is moved on to its next segment, if its HMAC is as `policy` asks.
    ///
    /// # Errors
    /// Why the stack drops it before the program sees it. Then it can be looked at as it came.
    pub fn set_routed(&mut self, packet: &[u8], ty: ProgType, policy: &Policy<'_>) -> Result<(), Dropped> {
        self.set(packet, Start::Network);
        self.writable = ty == ProgType::LWT_XMIT;
        self.routed.set(0, NO_SRH);
        let Arrival { ethertype, start, len, transport } = Arrival::of(packet)?;
        let ip = &packet[start..];
        let net = HEADROOM + start;
        self.headers.set(Headers { mac: HEADROOM, net, transport: Some(net + transport) });
        let fields: &Fields = &self.fields;
        fields.protocol.set(ethertype.to_be());
        if fields.pkt_type.get() == OTHERHOST {
            // Others' packets are not routed: the router's address is the one that the packet is for.
            fields.pkt_type.set(HOST);
        }
        let srh = match ty {
            ProgType::LWT_SEG6LOCAL => Some(alive(&ip[..len], policy)?),
            _ => None,
        };
        self.place(net, net + len);
        self.padding = ip.len() - len;
        if let Some(srh) = &srh {
            seg6::advance(&mut &*self, srh);
        }
        self.routed.set(ethertype, srh.map_or(NO_SRH, |srh| (srh.at, u16::from(srh.ext_len) * 8)));
        Ok(())
    }

    /// The same with a packet from its IP header on, without a header before that. The program sees it where it is, until
    /// [`SkBuff::get_ip`]; dropped, it stays as it came.
    ///
    /// # Errors
    /// As those of [`SkBuff::set_routed`].
    #[inline]
    pub(crate) fn set_ip(&mut self, packet: &mut Vec<u8>, ty: ProgType, policy: &Policy<'_>) -> Result<(), Dropped> {
        let Came { ethertype, len, transport, srh } = Came::of(packet, ty, policy)?;
        self.renew(ETH_HLEN + packet.len(), HOST, ethertype);
        self.writable = ty == ProgType::LWT_XMIT;
        self.padding = packet.len() - len;
        self.memory.lend(packet);
        self.headers.set(Headers { mac: 0, net: 0, transport: Some(transport) });
        self.place(0, len);
        self.routed.set(ethertype, srh);
        Ok(())
    }

    /// Shows such a packet to a program that leaves its context as it is
    /// ([`Prog::leaves_context`](alveary_runtime::Prog::leaves_context)), which `run` runs. Such a program asks for nothing
    /// that is known of the packet beside its context, and nothing of it has to be made new for the next one.
    ///
    /// # Errors
    /// As those of [`SkBuff::set_routed`].
    #[inline]
    pub(crate) fn show_ip<R>(
        &mut self,
        packet: &mut Vec<u8>,
        ty: ProgType,
        policy: &Policy<'_>,
        run: impl FnOnce(&mut SkBuff) -> R,
    ) -> Result<R, Dropped> {
        let Came { ethertype, len, .. } = Came::of(packet, ty, policy)?;
        if self.seen {
            self.renew(0, HOST, 0);
            self.routed.set(0, NO_SRH);
            self.seen = false;
        }
        self.describe(ETH_HLEN + packet.len(), HOST, ethertype);
        self.writable = ty == ProgType::LWT_XMIT;
        let start = packet.as_mut_ptr() as u64;
        self.data.set(start);
        self.data_end.set(start + len as u64);
        self.fields.len.set(len as u32);
        let ran = run(self);
        // The packet is no longer borrowed.
        self.data_end.set(start);
        packet.truncate(len);
        Ok(ran)
    }

    /// Gives back a packet that was taken ([`SkBuff::set_ip`]), as the program left it.
    #[inline]
    pub(crate) fn get_ip(&mut self, packet: &mut Vec<u8>) {
        let (start, len) = (self.start(), self.len());
        self.memory.give_back(packet, start, len);
    }

    /// Where the last action or encapsulation said that the packet goes: the program's last question to
    /// [`Host::route`](crate::Host::route).
    #[must_use]
    pub fn way(&self) -> Option<Lookup> {
        self.routed.way()
    }

    /// What the stack does with the packet after the program, of type `ty`, has returned `value`.
    ///
    /// # Errors
    /// Why it drops it, though the program did not.
    #[inline]
    pub fn leave(&self, ty: ProgType, value: u64) -> Result<(), Dropped> {
        let (code, routed) = (value as u32 as i32, &self.routed);
        match ty {
            ProgType::LWT_SEG6LOCAL if matches!(code, OK | REDIRECT) => {
                let good = routed.srh.at().is_none() || self.has_valid_srh();
                if good { Ok(()) } else { Err(Dropped::BrokenSrh) }
            }
            ProgType::LWT_XMIT if code == OK && self.protocol() != routed.protocol.get() => Err(Dropped::NotRerouted),
            _ => Ok(()),
        }
    }

    /// Whether the packet has an SRH that holds together. What a program changed of it is checked, once.
    #[inline]
    pub(super) fn has_valid_srh(&self) -> bool {
        let srh = &self.routed.srh;
        srh.at().is_some_and(|at| srh.valid.get() || self.becomes_valid(at))
    }

    fn becomes_valid(&self, at: usize) -> bool {
        let srh = &self.routed.srh;
        let len = srh.len.get();
        if !len.is_multiple_of(8) {
            return false;
        }
        let ext_len = (len / 8) as u8;
        let mut packet = self;
        packet.write(at + 1, &[ext_len]);
        let good = Srh::check(self, at, (usize::from(ext_len) + 1) * 8, List::Reduced).is_ok();
        srh.valid.set(good);
        good
    }

    /// What the packet is from now on, which its Ethernet header tells, too.
    pub(super) fn become_protocol(&self, protocol: u16) {
        self.fields.protocol.set(protocol.to_be());
        let (mac, start) = (self.headers.get().mac, self.start());
        if start >= mac + ETH_HLEN {
            self.memory.put(start - 2, &protocol.to_be_bytes());
        }
    }
}

/// A packet that came to a program's route: what is known of it.
struct Came {
    ethertype: u16,
    len: usize,
    transport: usize,
    srh: (usize, u16),
}

impl Came {
    /// An SRv6 endpoint's packet is moved on to its next segment.
    #[inline]
    fn of(packet: &mut Vec<u8>, ty: ProgType, policy: &Policy<'_>) -> Result<Came, Dropped> {
        let four = packet.first().is_some_and(|version| version >> 4 == 4);
        let fits = if four { received4(packet) } else { received(packet) };
        let (len, transport) = fits.ok_or(Dropped::Malformed)?;
        let srh = match ty {
            ProgType::LWT_SEG6LOCAL => onward(packet, len, policy)?,
            _ => NO_SRH,
        };
        Ok(Came { ethertype: if four { ETH_P_IP } else { ETH_P_IPV6 }, len, transport, srh })
    }
}

/// A packet as routes receive it: where its IP header begins, and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The protocol, as its Ethernet header tells it.
    pub ethertype: u16,
    /// Where the IP header begins, behind the Ethernet header and VLAN tags.
    pub start: usize,
    /// Bytes from there on that are no padding.
    pub len: usize,
    /// Where the transport header begins, from `start` on.
    transport: usize,
}

impl Arrival {
    /// Of a packet from its Ethernet header on.
    ///
    /// # Errors
    /// Why it comes to no route.
    pub fn of(packet: &[u8]) -> Result<Arrival, Dropped> {
        let (ethertype, start) = network(packet).ok_or(Dropped::NotIp)?;
        let ip = packet.get(start..).unwrap_or_default();
        let fits = match ethertype {
            ETH_P_IP => received4(ip),
            ETH_P_IPV6 => received(ip),
            _ => return Err(Dropped::NotIp),
        };
        let (len, transport) = fits.ok_or(Dropped::Malformed)?;
        Ok(Arrival { ethertype, start, len, transport })
    }
}

/// What follows the Ethernet header and its VLAN tags, and where.
fn network(packet: &[u8]) -> Option<(u16, usize)> {
    let mut at = ETH_HLEN;
    loop {
        let ethertype = u16::from_be_bytes(packet.array(at - 2)?);
        if !matches!(ethertype, ETH_P_8021Q | ETH_P_8021AD) {
            return Some((ethertype, at));
        }
        at += VLAN_HLEN;
    }
}

impl Octets for SkBuff {
    fn length(&self) -> usize {
        self.len()
    }

    fn read(&self, at: usize, to: &mut [u8]) -> Option<()> {
        let place = self.at(at as u64, to.len() as u64)?;
        self.memory.get(place, to);
        Some(())
    }
}

impl Room for &SkBuff {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.at(at as u64, bytes.len() as u64) {
            self.memory.put(place, bytes);
        }
    }

    fn open(&mut self, at: usize, len: usize) {
        // Only a place behind the end is refused.
        room::insert(self, at, len).ok();
    }

    fn close(&mut self, at: usize, len: usize) {
        room::remove(self, at, len).ok();
    }
}
