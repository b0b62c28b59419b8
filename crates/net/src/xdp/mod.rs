//! XDP: packets before they get a socket buffer. Context, memory, family.

mod helpers;
mod redirect;

use crate::{Net, Redirect, Verdict, memory::Memory};
use alveary_abi::{Profile, ProgType};
use alveary_isa::Width;
use alveary_runtime::{Backing, Bind, Family, Step};
use alveary_vm::Region;
use std::{
    cell::{Cell, RefCell},
    mem::offset_of,
};

/// Bytes before a packet (`XDP_PACKET_HEADROOM`).
const HEADROOM: usize = 256;
/// Bytes at the start of the headroom that stay Linux's own (`sizeof(struct xdp_frame)`).
const FRAME: usize = 40;
/// Bytes behind a packet that stay Linux's own (`struct skb_shared_info`, aligned).
const TAIL: usize = 320;
const PAGE: usize = 4096;
/// Shortest packet that helpers make.
const ETH_HLEN: usize = 14;

/// A packet and its `xdp_md`. Its memory is used again for the next packet. `Send`.
#[derive(Debug)]
#[repr(C)]
pub struct XdpBuff {
    // Addresses, as programs get them.
    data: Cell<u64>,
    data_end: Cell<u64>,
    data_meta: Cell<u64>,
    ingress_ifindex: Cell<u32>,
    rx_queue_index: Cell<u32>,
    egress_ifindex: Cell<u32>,
    /// How many bytes of the memory a packet and its headroom may use: a page less the tail, more for longer packets.
    room: Cell<usize>,
    /// Lowest place that the packet has reached.
    low: Cell<usize>,
    redirect: RefCell<Option<Redirect>>,
    memory: Memory,
}

impl Default for XdpBuff {
    fn default() -> XdpBuff {
        XdpBuff::new()
    }
}

impl XdpBuff {
    /// An empty packet from device 1, queue 0.
    #[must_use]
    pub fn new() -> XdpBuff {
        let buff = XdpBuff {
            data: Cell::new(0),
            data_end: Cell::new(0),
            data_meta: Cell::new(0),
            ingress_ifindex: Cell::new(1),
            rx_queue_index: Cell::new(0),
            egress_ifindex: Cell::new(0),
            room: Cell::new(PAGE - TAIL),
            low: Cell::new(HEADROOM),
            redirect: RefCell::new(None),
            memory: Memory::new(PAGE - TAIL),
        };
        buff.place(HEADROOM, HEADROOM, HEADROOM);
        buff
    }

    /// Takes in a packet, from its Ethernet header on. The rest is as if it were the first.
    pub fn set(&mut self, packet: &[u8]) {
        let pages = (HEADROOM + packet.len() + TAIL).div_ceil(PAGE).max(1);
        self.room.set(pages * PAGE - TAIL);
        if self.memory.len() < self.room.get() {
            self.memory = Memory::new(self.room.get());
        } else if self.low.get() < HEADROOM {
            self.memory.fill(self.low.get(), HEADROOM - self.low.get());
        }
        self.low.set(HEADROOM);
        self.memory.put(HEADROOM, packet);
        self.place(HEADROOM, HEADROOM, HEADROOM + packet.len());
        if self.redirect.get_mut().is_some() {
            *self.redirect.get_mut() = None;
        }
    }

    /// Says where packets come from.
    pub fn set_ingress(&mut self, ifindex: u32, queue: u32) {
        self.ingress_ifindex.set(ifindex);
        self.rx_queue_index.set(queue);
    }

    /// Bytes of the packet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end() - self.start()
    }

    /// Whether the packet has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the packet behind what is in `out`.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        self.append(self.start(), self.len(), out);
    }

    /// The packet.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.append_to(&mut out);
        out
    }

    /// The metadata before the packet (`bpf_xdp_adjust_meta`).
    #[must_use]
    pub fn meta(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.append(self.meta_start(), self.start() - self.meta_start(), &mut out);
        out
    }

    /// Whether the packet is `other`.
    #[must_use]
    pub fn is(&self, other: &[u8]) -> bool {
        self.len() == other.len() && self.memory.equals(self.start(), other)
    }

    /// What a return value means for the packet.
    #[must_use]
    pub fn verdict(&self, profile: &Profile, value: u64) -> Verdict {
        const REDIRECT: u32 = 4;
        let redirect = if value as u32 == REDIRECT { self.redirect.borrow().clone() } else { None };
        Verdict::new(profile, ProgType::XDP, value, redirect)
    }

    fn append(&self, at: usize, len: usize, out: &mut Vec<u8>) {
        let end = out.len();
        out.resize(end + len, 0);
        self.memory.get(at, &mut out[end..]);
    }

    /// Moves the packet's start, and its metadata with it, if the packet then has a header and the headroom is not used up.
    // By addresses, which stand there: programs that put headers in front do so for each packet.
    fn move_start(&self, by: i32) -> bool {
        let (base, start, meta) = (self.memory.address(), self.data.get(), self.data_meta.get());
        let (to, new_meta) = (start.wrapping_add_signed(by.into()), meta.wrapping_add_signed(by.into()));
        if new_meta < base + FRAME as u64 || to + ETH_HLEN as u64 > self.data_end.get() {
            return false;
        }
        let (from, place) = ((meta - base) as usize, (new_meta - base) as usize);
        if start != meta {
            self.memory.shift(from, place, (start - meta) as usize);
        }
        self.data.set(to);
        self.data_meta.set(new_meta);
        self.low.set(self.low.get().min(place));
        true
    }

    // Places count from the start of the memory.

    fn place(&self, meta: usize, start: usize, end: usize) {
        let base = self.memory.address();
        self.data_meta.set(base + meta as u64);
        self.data.set(base + start as u64);
        self.data_end.set(base + end as u64);
        self.low.set(self.low.get().min(meta));
    }

    fn start(&self) -> usize {
        (self.data.get() - self.memory.address()) as usize
    }

    fn end(&self) -> usize {
        (self.data_end.get() - self.memory.address()) as usize
    }

    fn meta_start(&self) -> usize {
        (self.data_meta.get() - self.memory.address()) as usize
    }
}

/// The family of XDP programs.
#[derive(Debug)]
pub struct Xdp;

const fn field(name: &'static str, load: &'static [Step]) -> Backing {
    Backing::read(name, load)
}

macro_rules! at {
    ($width:ident, $field:ident) => {
        &[Step::Load(Width::$width, offset_of!(XdpBuff, $field) as u16)]
    };
}

// SAFETY: each backing is a cell of `XdpBuff` of that width. The region is the packet with its metadata: bytes of
// `Memory`, which are cells; it moves only when a helper whose row says `changes_packet` runs, and in `set`, which
// takes the buffer mutably.
unsafe impl Family for Xdp {
    type Ctx = XdpBuff;
    type State = Net;
    const NAME: &'static str = "xdp";
    const TYPES: &'static [ProgType] = &[ProgType::XDP];

    fn backings() -> &'static [Backing] {
        const {
            &[
                field("data", at!(B8, data)),
                field("data_end", at!(B8, data_end)),
                field("data_meta", at!(B8, data_meta)),
                field("ingress_ifindex", at!(B4, ingress_ifindex)),
                field("rx_queue_index", at!(B4, rx_queue_index)),
                field("egress_ifindex", at!(B4, egress_ifindex)),
            ]
        }
    }

    fn helpers() -> &'static [Bind] {
        helpers::ALL
    }

    fn regions(ctx: &XdpBuff, add: &mut dyn FnMut(Region)) {
        let addr = ctx.data_meta.get();
        add(Region { addr, len: ctx.data_end.get() - addr, write: true, slots: None });
    }
}
