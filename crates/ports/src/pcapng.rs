//! The pcapng format: sections of blocks, interfaces with clocks of their own, three kinds of packet block.
//!
//! Source: <https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/>. Blocks that hold no packets are passed over.

use alveary_diag::{Diagnostic, Place};

use crate::{
    capture::Record,
    input::{Input, MAX_PACKET, WINDOW},
    link::LinkType,
    pcap::{too_long, truncated},
};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// What a section header holds in its third word, read in the section's own byte order.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// Type and length before a block's body, the length again after it.
const BLOCK_HEAD: usize = 8;
const BLOCK_TAIL: usize = 4;

/// Bytes of a packet block's body before the packet.
const SIMPLE_HEADER: usize = 4;
const PACKET_HEADER: usize = 20;

/// Options of an interface: resolution of its clock, seconds to add to its times.
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

/// Interfaces that one section may describe. A capture of every interface of a large router has a few thousand.
const MAX_INTERFACES: usize = 1 << 16;

/// The current section.
pub(crate) struct PcapNg {
    order: Order,
    interfaces: Vec<Interface>,
}

/// One interface: what its packets are, how its clock counts.
struct Interface {
    /// A refusal for a link type that is not read is for the first packet: an interface without packets may have any.
    link: Result<LinkType, Diagnostic>,
    snaplen: u32,
    clock: Clock,
    offset_s: i64,
}

/// How an interface's ticks become nanoseconds.
#[derive(Clone, Copy)]
enum Clock {
    /// A tick is this many nanoseconds.
    Times(u64),
    /// A nanosecond is this many ticks.
    Part(u64),
    /// A second is two to this power of ticks.
    Binary(u32),
}

impl Clock {
    /// By the byte of option `if_tsresol`: a negative power of ten, or of two if the top bit is set.
    fn from_resolution(byte: u8) -> Self {
        let power = u32::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            Clock::Binary(power)
        } else if power <= 9 {
            Clock::Times(10u64.pow(9 - power))
        } else {
            Clock::Part(10u64.checked_pow(power - 9).unwrap_or(u64::MAX))
        }
    }

    #[inline]
    fn nanoseconds(self, ticks: u64) -> u64 {
        match self {
            Clock::Times(factor) => ticks.saturating_mul(factor),
            Clock::Part(part) => ticks / part,
            Clock::Binary(power) => u64::try_from((u128::from(ticks) * 1_000_000_000) >> power).unwrap_or(u64::MAX),
        }
    }
}

/// The byte order of a section.
#[derive(Clone, Copy)]
struct Order {
    big_endian: bool,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        Some(self.word(bytes.get(at..)?.first_chunk::<4>()?, 0))
    }

    /// A word of a header whose length is known.
    #[inline]
    fn word<const N: usize>(self, bytes: &[u8; N], at: usize) -> u32 {
        let bytes = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn i64(self, bytes: &[u8], at: usize) -> Option<i64> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { i64::from_be_bytes(bytes) } else { i64::from_le_bytes(bytes) })
    }
}

/// Type and length of a block, and where it stands.
#[derive(Clone, Copy)]
struct Block {
    kind: u32,
    len: usize,
    at: u64,
}

impl Block {
    fn body_len(self) -> usize {
        self.len - BLOCK_HEAD - BLOCK_TAIL
    }

    fn holds_packet(self) -> bool {
        matches!(self.kind, ENHANCED_PACKET | SIMPLE_PACKET | OBSOLETE_PACKET)
    }

    fn truncated(self, number: u64, found: usize) -> Diagnostic {
        if self.holds_packet() {
            return truncated(self.at, number, "block", self.len, found);
        }
        Diagnostic::new("capture-truncated", "the capture ends inside a block", Place::Byte { at: self.at })
            .expected(format!("{} bytes of a block of type {:#x}", self.len, self.kind))
            .found(format!("{found}"))
            .note(format!("packets before it: {}", number - 1))
            .help("the file was cut: copy or record it again; what comes before is sound")
    }

    fn malformed(self, message: impl Into<std::borrow::Cow<'static, str>>) -> Diagnostic {
        Diagnostic::new("capture-block", message, Place::Byte { at: self.at })
    }

    fn too_short(self) -> Diagnostic {
        self.malformed(format!("a block of type {:#x} is too short for what it holds", self.kind))
            .found(format!("{} bytes", self.len))
    }
}

/// The byte order that a section header tells of, whose first bytes these are.
#[cold]
fn section_order(bytes: &[u8], block: Block, number: u64) -> Result<Order, Diagnostic> {
    let Some(word) = bytes.get(BLOCK_HEAD..).and_then(|word| word.first_chunk()) else {
        return Err(block.truncated(number, bytes.len()));
    };
    match u32::from_le_bytes(*word) {
        BYTE_ORDER => Ok(Order { big_endian: false }),
        other if other == BYTE_ORDER.swap_bytes() => Ok(Order { big_endian: true }),
        other => Err(block
            .malformed("the section header does not say its byte order")
            .expected("1a2b3c4d in either byte order")
            .found(format!("{:08x}", other.swap_bytes()))),
    }
}

/// A packet block's body, decoded. `from` and `len` say where the packet stands in the body.
struct PacketBlock {
    interface: u32,
    ticks: u64,
    original_len: u32,
    from: usize,
    len: usize,
}

impl PcapNg {
    /// First word of a file, the same in either byte order.
    pub(crate) const MAGIC: u32 = SECTION_HEADER;

    /// Reads the first section's header and its blocks up to the first packet, so that the file's link type is known.
    pub(crate) fn open(input: &mut Input) -> Result<(Self, LinkType), Diagnostic> {
        let mut ng = PcapNg { order: Order { big_endian: false }, interfaces: Vec::new() };
        while let Some(block) = ng.block(input, 1)? {
            if block.holds_packet() {
                break;
            }
            ng.pass_over(input, block, 1)?;
            if !ng.interfaces.is_empty() {
                break;
            }
        }
        match ng.interfaces.first() {
            Some(interface) => {
                let link = interface.link.clone()?;
                Ok((ng, link))
            }
            // A section without an interface holds no packets; one that has packets all the same is refused at them.
            None => Ok((ng, LinkType::Ethernet)),
        }
    }

    /// The next packet; `number` is its number, from 1.
    #[inline]
    pub(crate) fn next(&mut self, input: &mut Input, number: u64) -> Result<Option<Record>, Diagnostic> {
        while let Some(block) = self.block(input, number)? {
            if block.holds_packet() {
                return self.packet(input, block, number).map(Some);
            }
            self.pass_over(input, block, number)?;
        }
        Ok(None)
    }

    /// The head of the next block, which stays in the window; a section header sets the byte order.
    #[inline]
    fn block(&mut self, input: &mut Input, number: u64) -> Result<Option<Block>, Diagnostic> {
        let at = input.offset();
        let bytes = input.peek(BLOCK_HEAD);
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut block = Block { kind: 0, len: BLOCK_HEAD, at };
        let Some(head) = bytes.first_chunk::<BLOCK_HEAD>().copied() else {
            return Err(block.truncated(number, bytes.len()));
        };
        let kind = self.order.word(&head, 0);
        block.kind = kind;
        if kind == SECTION_HEADER {
            self.order = section_order(input.peek(BLOCK_HEAD + 4), block, number)?;
        }
        let len = self.order.word(&head, 4);
        block.len = len as usize;
        if !len.is_multiple_of(4) || block.len < BLOCK_HEAD + BLOCK_TAIL {
            return Err(block
                .malformed(format!("the length of a block of type {kind:#x} cannot be"))
                .expected("a multiple of 4, at least 12")
                .found(format!("{len}")));
        }
        Ok(Some(block))
    }

    /// Brings a whole block into the window: its bytes, with their length checked at both ends.
    #[inline]
    fn whole<'a>(&self, input: &'a mut Input, block: Block, number: u64) -> Result<&'a [u8], Diagnostic> {
        if block.len > WINDOW {
            return Err(if block.holds_packet() {
                too_long(block.at + 4, number, block.len as u64)
            } else {
                block
                    .malformed(format!("a block of type {:#x} is too long", block.kind))
                    .expected(format!("at most {WINDOW} bytes"))
                    .found(format!("{}", block.len))
            });
        }
        let found = input.peek(block.len);
        let Some(bytes) = found.get(..block.len) else {
            return Err(block.truncated(number, found.len()));
        };
        let tail = self.order.u32(bytes, block.len - BLOCK_TAIL);
        if tail != Some(block.len as u32) {
            return Err(block
                .malformed(format!("the two lengths of a block of type {:#x} differ", block.kind))
                .expected(format!("{}", block.len))
                .found(format!("{} at its end", tail.unwrap_or(0))));
        }
        Ok(bytes)
    }

    /// Takes what a block without a packet has to say and moves on.
    fn pass_over(&mut self, input: &mut Input, block: Block, number: u64) -> Result<(), Diagnostic> {
        match block.kind {
            SECTION_HEADER => {
                let bytes = self.whole(input, block, number)?;
                let major = self.order.u16(bytes, 12).ok_or_else(|| block.too_short())?;
                if major != 1 {
                    return Err(block
                        .malformed("this version of pcapng is not read")
                        .expected("version 1")
                        .found(format!("version {major}")));
                }
                self.interfaces.clear();
                input.pass(block.len);
            }
            INTERFACE => {
                let interface = self.interface(self.whole(input, block, number)?, block)?;
                if self.interfaces.len() == MAX_INTERFACES {
                    return Err(block.malformed("too many interfaces").expected(format!("at most {MAX_INTERFACES}")));
                }
                self.interfaces.push(interface);
                input.pass(block.len);
            }
            _ => {
                let before = input.offset();
                if !input.skip(block.len as u64) {
                    return Err(block.truncated(number, (input.offset() - before) as usize));
                }
            }
        }
        Ok(())
    }

    fn interface(&self, bytes: &[u8], block: Block) -> Result<Interface, Diagnostic> {
        let order = self.order;
        let body = &bytes[..bytes.len() - BLOCK_TAIL];
        let (Some(link), Some(snaplen)) = (order.u16(body, 8), order.u32(body, 12)) else {
            return Err(block.too_short());
        };
        let link = LinkType::from_number(link, Place::Byte { at: block.at + 8 });
        let mut interface = Interface { link, snaplen, clock: Clock::from_resolution(6), offset_s: 0 };
        let mut at = 16;
        while let (Some(code), Some(len)) = (order.u16(body, at), order.u16(body, at + 2)) {
            let value = at + 4;
            if code == 0 {
                break;
            }
            if body.len() < value + usize::from(len) {
                return Err(block
                    .malformed(format!("option {code} of an interface does not fit its block"))
                    .expected(format!("{len} bytes"))
                    .found(format!("{}", body.len().saturating_sub(value))));
            }
            match (code, len) {
                (IF_TSRESOL, 1) => interface.clock = Clock::from_resolution(body[value]),
                (IF_TSOFFSET, 8) => interface.offset_s = order.i64(body, value).unwrap_or(0),
                _ => {}
            }
            at = value + usize::from(len).next_multiple_of(4);
        }
        Ok(interface)
    }

    #[inline]
    fn packet(&self, input: &mut Input, block: Block, number: u64) -> Result<Record, Diagnostic> {
        let bytes = self.whole(input, block, number)?;
        let body = &bytes[BLOCK_HEAD..block.len - BLOCK_TAIL];
        let packet = self.packet_block(block, body).ok_or_else(|| block.too_short())?;
        let Some(interface) = self.interfaces.get(packet.interface as usize) else {
            return Err(block
                .malformed(format!("packet {number} comes from an interface that the file does not describe"))
                .expected(format!("one of {} interfaces", self.interfaces.len()))
                .found(format!("interface {}", packet.interface)));
        };
        if packet.len > MAX_PACKET {
            return Err(too_long(block.at, number, packet.len as u64));
        }
        if packet.len > block.body_len() - packet.from {
            return Err(block
                .malformed(format!("packet {number} does not fit its block"))
                .expected(format!("{} bytes", packet.len))
                .found(format!("{}", block.body_len() - packet.from)));
        }
        let link = match &interface.link {
            Ok(link) => *link,
            Err(refusal) => return Err(refusal.clone()),
        };
        let since = interface.clock.nanoseconds(packet.ticks);
        let timestamp_ns = match interface.offset_s {
            0 => since,
            offset => {
                let time = i128::from(since) + i128::from(offset) * 1_000_000_000;
                time.clamp(0, i128::from(u64::MAX)) as u64
            }
        };
        input.pass(block.len);
        Ok(Record {
            timestamp_ns,
            original_len: packet.original_len,
            interface: packet.interface,
            link,
            passed: block.len,
            from: BLOCK_HEAD + packet.from,
            len: packet.len,
        })
    }

    /// The fields of a packet block; `None` if its body is too short for them.
    #[inline]
    fn packet_block(&self, block: Block, body: &[u8]) -> Option<PacketBlock> {
        let order = self.order;
        if block.kind == SIMPLE_PACKET {
            let original_len = order.u32(body, 0)?;
            // No captured length of its own: what the interface's limit left.
            let snaplen = self.interfaces.first().map_or(0, |first| first.snaplen);
            let len = if snaplen == 0 { original_len } else { original_len.min(snaplen) };
            return Some(PacketBlock { interface: 0, ticks: 0, original_len, from: SIMPLE_HEADER, len: len as usize });
        }
        let head = body.first_chunk::<PACKET_HEADER>()?;
        let interface = match block.kind {
            OBSOLETE_PACKET => u32::from(order.u16(head, 0)?),
            _ => order.word(head, 0),
        };
        Some(PacketBlock {
            interface,
            ticks: u64::from(order.word(head, 4)) << 32 | u64::from(order.word(head, 8)),
            len: order.word(head, 12) as usize,
            original_len: order.word(head, 16),
            from: PACKET_HEADER,
        })
    }
}
