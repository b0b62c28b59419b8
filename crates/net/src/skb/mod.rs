//! Socket buffers: a packet with what the stack knows of it. Programs see it as `__sk_buff`.

mod bytes;
mod checksum;
mod family;
mod hash;
mod lwt;
mod meta;
mod redirect;
mod room;
mod routed;
mod srv6;
mod vlan;

pub use family::Skb;
pub use routed::{Arrival, Dropped, Lookup};

use crate::{Redirect, Verdict, memory::Memory};
use alveary_abi::{Profile, ProgType};
use std::cell::{Cell, RefCell};

const HEADROOM: usize = 256;
const ETH_HLEN: usize = 14;
/// Longest packet that helpers make (`BPF_SKB_MAX_LEN`).
const MAX_LEN: usize = (4096 << 2) - 320;

const ETH_P_802_3: u16 = 1;
const ETH_P_802_2: u16 = 4;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
const ETH_P_8021Q: u16 = 0x8100;
const ETH_P_8021AD: u16 = 0x88a8;

/// Where the bytes that a program sees begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the Ethernet header: classifiers, packet sockets.
    Link,
    /// Behind the Ethernet header: filters of other sockets, and BPF_PROG_TEST_RUN of socket filters.
    Network,
}

/// A copy that `bpf_clone_redirect` sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// To where.
    pub to: Redirect,
    /// What.
    pub bytes: Vec<u8>,
}

/// A packet and its `__sk_buff`. Its memory is used again for the next packet. `Send`.
///
/// A fresh one looks as `BPF_PROG_TEST_RUN` makes it, on a loopback device: no socket, no route, no checksum done by
/// hardware, VLAN tags still in the packet.
#[derive(Debug)]
#[repr(C)]
pub struct SkBuff {
    // Addresses, as programs get them.
    data: Cell<u64>,
    data_end: Cell<u64>,
    fields: Fields,
    headers: Cell<Headers>,
    checksum: Cell<Checksum>,
    /// The hash is one that was set or computed.
    hashed: Cell<bool>,
    encapsulated: Cell<bool>,
    /// Programs may write to the packet without a helper.
    writable: bool,
    /// Some program may have changed more of it than what is said of each packet.
    seen: bool,
    /// Bytes behind a routed packet that were cut off.
    padding: usize,
    routed: routed::Routed,
    redirect: RefCell<Option<Redirect>>,
    copies: RefCell<Vec<Sent>>,
    memory: Memory,
}

/// What stands in the socket buffer beside the packet, in host order but for the protocols.
#[derive(Clone, Debug, Default)]
#[repr(C)]
struct Fields {
    len: Cell<u32>,
    pkt_type: Cell<u32>,
    mark: Cell<u32>,
    priority: Cell<u32>,
    ingress_ifindex: Cell<u32>,
    ifindex: Cell<u32>,
    hash: Cell<u32>,
    wire_len: Cell<u32>,
    vlan_present: Cell<u32>,
    cb: Cell<[u32; 5]>,
    tstamp: Cell<u64>,
    hwtstamp: Cell<u64>,
    queue_mapping: Cell<u16>,
    /// In network order.
    protocol: Cell<u16>,
    /// In network order.
    vlan_proto: Cell<u16>,
    vlan_tci: Cell<u16>,
    tc_index: Cell<u16>,
    tc_classid: Cell<u16>,
    gso_segs: Cell<u16>,
    gso_size: Cell<u16>,
    tstamp_type: Cell<u8>,
}

/// Where headers begin, from the start of the memory.
#[derive(Clone, Copy, Debug, Default)]
struct Headers {
    mac: usize,
    net: usize,
    transport: Option<usize>,
}

/// What is known of the checksums inside (`skb->ip_summed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checksum {
    /// Nothing.
    None,
    /// This many, less one, were found right.
    Unnecessary(u8),
}

impl Default for SkBuff {
    fn default() -> SkBuff {
        SkBuff::new()
    }
}

impl SkBuff {
    /// An empty packet.
    #[must_use]
    pub fn new() -> SkBuff {
        SkBuff {
            data: Cell::new(0),
            data_end: Cell::new(0),
            fields: Fields::default(),
            headers: Cell::default(),
            checksum: Cell::new(Checksum::None),
            hashed: Cell::new(false),
            encapsulated: Cell::new(false),
            writable: true,
            seen: false,
            padding: 0,
            routed: routed::Routed::default(),
            redirect: RefCell::default(),
            copies: RefCell::default(),
            memory: Memory::new(HEADROOM + 2048),
        }
    }

    /// Takes in a packet, from its Ethernet header on. The rest is as if it were the first.
    pub fn set(&mut self, packet: &[u8], start: Start) {
        let link = packet.len().min(ETH_HLEN);
        let net = HEADROOM + link;
        self.receive(&packet[..link], &packet[link..], packet_type(packet), protocol(packet));
        self.place(if start == Start::Link { HEADROOM } else { net }, HEADROOM + packet.len());
    }

    /// Takes in a packet and the header before it. The rest is as if it were the first; where it begins for the program
    /// is not said.
    fn receive(&mut self, link: &[u8], packet: &[u8], pkt_type: u32, protocol: u16) {
        let (net, len) = (HEADROOM + link.len(), link.len() + packet.len());
        self.memory.settle();
        if self.memory.len() < HEADROOM + len {
            self.memory = Memory::new(HEADROOM + len);
        }
        self.memory.receive(HEADROOM, link);
        self.memory.receive(net, packet);
        self.headers.set(Headers { mac: HEADROOM, net, transport: None });
        self.renew(len, pkt_type, protocol);
    }

    /// Says of a packet what is known of one that is new here.
    #[inline]
    fn renew(&mut self, wire_len: usize, pkt_type: u32, protocol: u16) {
        self.fields = Fields::default();
        self.seen = true;
        self.describe(wire_len, pkt_type, protocol);
        self.checksum.set(Checksum::None);
        self.hashed.set(false);
        self.encapsulated.set(false);
        self.writable = true;
        self.padding = 0;
        *self.redirect.get_mut() = None;
        self.copies.get_mut().clear();
    }

    /// Says of a packet what differs between new ones.
    #[inline]
    fn describe(&self, wire_len: usize, pkt_type: u32, protocol: u16) {
        self.fields.ifindex.set(1);
        self.fields.wire_len.set(wire_len as u32);
        self.fields.pkt_type.set(pkt_type);
        self.fields.protocol.set(protocol.to_be());
    }

    /// Says where packets come from, and when, in ns; for the packet that was just set.
    pub fn set_ingress(&mut self, ifindex: u32, time: u64) {
        self.fields.ingress_ifindex.set(ifindex);
        self.fields.ifindex.set(ifindex);
        self.fields.tstamp.set(time);
    }

    /// Bytes from where the program's packet begins.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end() - self.start()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the program's packet behind what is in `out`.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        self.append(self.start(), self.len(), out);
    }

    /// The program's packet.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.append_to(&mut out);
        out
    }

    /// The packet as it would be sent: from its Ethernet header on, with the VLAN tag that stands beside it.
    #[must_use]
    pub fn to_wire(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mac = self.headers.get().mac.min(self.start());
        self.append(mac, self.end() - mac, &mut out);
        if self.fields.vlan_present.get() != 0 && out.len() >= 12 {
            let (proto, tci) = (self.fields.vlan_proto.get().to_ne_bytes(), self.fields.vlan_tci.get().to_be_bytes());
            out.splice(12..12, [proto[0], proto[1], tci[0], tci[1]]);
        }
        out
    }

    /// Whether the program's packet is `other`.
    #[must_use]
    pub fn is(&self, other: &[u8]) -> bool {
        self.len() == other.len() && self.memory.equals(self.start(), other)
    }

    /// Whether the packet as it would be sent is `other`.
    #[must_use]
    pub fn wire_is(&self, other: &[u8]) -> bool {
        let mac = self.headers.get().mac.min(self.start());
        let tagged = self.fields.vlan_present.get() != 0;
        let other = &other[..other.len().saturating_sub(self.padding)];
        !tagged && self.end() - mac == other.len() && self.memory.equals(mac, other)
    }

    /// The copies that were sent during the run.
    #[must_use]
    pub fn copies(&self) -> Vec<Sent> {
        self.copies.borrow().clone()
    }

    /// `tc_classid`: the class that a classifier chose.
    #[must_use]
    pub fn classid(&self) -> u32 {
        self.fields.tc_classid.get().into()
    }

    /// `mark`, as the program left it.
    #[must_use]
    pub fn mark(&self) -> u32 {
        self.fields.mark.get()
    }

    /// `priority`, as the program left it.
    #[must_use]
    pub fn priority(&self) -> u32 {
        self.fields.priority.get()
    }

    /// `cb`, as the program left it.
    #[must_use]
    pub fn cb(&self) -> [u32; 5] {
        self.fields.cb.get()
    }

    /// `tstamp`, as the program left it, in ns.
    #[must_use]
    pub fn tstamp(&self) -> u64 {
        self.fields.tstamp.get()
    }

    /// What the program last said about where the packet is to be redirected to.
    pub(crate) fn redirected(&self) -> Option<Redirect> {
        self.redirect.borrow().clone()
    }

    /// What a return value means for the packet.
    #[must_use]
    pub fn verdict(&self, profile: &Profile, ty: ProgType, value: u64) -> Verdict {
        const REDIRECT: u32 = 7;
        let redirect = match ty {
            _ if value as u32 != REDIRECT => None,
            ProgType::SOCKET_FILTER | ProgType::LWT_IN | ProgType::LWT_OUT => None,
            ProgType::LWT_SEG6LOCAL => {
                self.routed.way().map(|way| Redirect::Route { table: way.table, next_hop: way.next_hop })
            }
            _ => self.redirect.borrow().clone(),
        };
        Verdict::new(profile, ty, value, redirect)
    }

    fn append(&self, at: usize, len: usize, out: &mut Vec<u8>) {
        let end = out.len();
        out.resize(end + len, 0);
        self.memory.get(at, &mut out[end..]);
    }

    // Places count from the start of the memory, offsets from the start of the program's packet.

    fn place(&self, start: usize, end: usize) {
        let base = self.memory.address();
        self.data.set(base + start as u64);
        self.data_end.set(base + end as u64);
        self.fields.len.set((end - start) as u32);
    }

    fn start(&self) -> usize {
        self.data.get().wrapping_sub(self.memory.address()) as usize
    }

    fn end(&self) -> usize {
        self.data_end.get().wrapping_sub(self.memory.address()) as usize
    }

    /// The place of `len` bytes at `offset`, if the packet has them.
    fn at(&self, offset: u64, len: u64) -> Option<usize> {
        let end = offset.checked_add(len)?;
        (end <= self.len() as u64).then(|| self.start() + offset as usize)
    }

    fn net_offset(&self) -> i64 {
        self.headers.get().net as i64 - self.start() as i64
    }

    /// `skb_mac_header_len`.
    fn mac_len(&self) -> usize {
        let headers = self.headers.get();
        headers.net.saturating_sub(headers.mac)
    }

    fn protocol(&self) -> u16 {
        u16::from_be(self.fields.protocol.get())
    }

    /// Makes room for `len` more bytes before the packet, and makes them part of it.
    fn push(&self, len: usize) {
        if self.front() < len {
            self.move_to(HEADROOM + len, self.end() - self.front());
        }
        self.place(self.start() - len, self.end());
    }

    /// Where the packet begins, with a link header that may stand before what the program sees.
    fn front(&self) -> usize {
        self.start().min(self.headers.get().mac)
    }

    /// Moves the packet to another place, where there shall be room for `room` bytes.
    fn move_to(&self, place: usize, room: usize) {
        let (front, start, end) = (self.front(), self.start(), self.end());
        // If at all then to twice the length: a program that makes packets longer and shorter for ever does not grow
        // memory for ever.
        if place + room > self.memory.len() {
            self.memory.grow((place + room).max(2 * self.memory.len()), front, end - front, place);
        } else {
            self.memory.shift(front, place, end - front);
        }
        let moved = |at: usize| (at + place).saturating_sub(front);
        let mut headers = self.headers.get();
        headers.mac = moved(headers.mac);
        headers.net = moved(headers.net);
        headers.transport = headers.transport.map(moved);
        self.headers.set(headers);
        self.place(moved(start), moved(end));
    }

    /// Makes the first `len` bytes no part of the packet.
    fn pull(&self, len: usize) {
        self.place(self.start() + len, self.end());
    }

    /// Makes the packet `len` bytes long; new ones are zero.
    fn resize(&self, len: usize) {
        if self.start() + len > self.memory.len() {
            self.move_to(HEADROOM, self.start() - self.front() + len);
        }
        let (start, old) = (self.start(), self.end());
        let end = start + len;
        if end > old {
            self.memory.fill(old, end - old);
        }
        self.place(start, end);
    }
}

/// `eth_type_trans`: who a packet is for, seen from a device whose address is all zero.
fn packet_type(packet: &[u8]) -> u32 {
    const HOST: u32 = 0;
    const BROADCAST: u32 = 1;
    const MULTICAST: u32 = 2;
    const OTHERHOST: u32 = 3;
    match packet.first_chunk::<6>() {
        None | Some([0, 0, 0, 0, 0, 0]) => HOST,
        Some([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => BROADCAST,
        Some([first, ..]) if first & 1 != 0 => MULTICAST,
        Some(_) => OTHERHOST,
    }
}

/// `eth_type_trans`: what follows the Ethernet header.
fn protocol(packet: &[u8]) -> u16 {
    let word = |at: usize| packet.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]));
    match word(12) {
        Some(ty) => ethernet(ty, word(14)),
        None => 0,
    }
}

/// A length instead of a type is one of the two old frame formats.
fn ethernet(ty: u16, payload: Option<u16>) -> u16 {
    match (ty, payload) {
        (0x600.., _) => ty,
        (_, Some(0xffff)) => ETH_P_802_3,
        _ => ETH_P_802_2,
    }
}

/// Offset of a field of [`Fields`] in [`SkBuff`].
macro_rules! place {
    ($field:ident) => {
        ::std::mem::offset_of!(SkBuff, fields) + ::std::mem::offset_of!(Fields, $field)
    };
}
use place;
