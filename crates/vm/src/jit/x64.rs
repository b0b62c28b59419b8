//! What machine code of x86-64 says of itself: how long its instructions are, where they say distances to other places,
//! which of the two registers of frames they use (Intel SDM, volume 2, chapter 2 and appendix A). Knows the instructions
//! that the code generator makes; of others it says nothing.

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Its bytes.
    pub(super) len: usize,
    pub(super) kind: Kind,
    /// Where in it the distance stands from its end to memory that it accesses.
    pub(super) near: Option<usize>,
    /// Where its opcode is, if it is the `0x81` of arithmetic with a number of 32 bits that eight would do for.
    pub(super) small: Option<usize>,
    /// It may read or write rsp or rbp.
    pub(super) frame: bool,
}

/// Where control goes behind an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    /// As far behind its end as its last four bytes say: always, or by a condition.
    Jump(Option<u8>),
    /// A call of what its last four bytes say.
    Call,
    /// Where a register says.
    Table,
    Return,
    Never,
}

/// `mov rsp, rbp`: what a function begins with, behind `push rbp`.
pub(super) const ENTER: [&[u8]; 2] = [&[0x55], &[0x48, 0x89, 0xe5]];
/// What it ends with before it returns.
pub(super) const LEAVE: [&[u8]; 2] = [&[0x48, 0x89, 0xec], &[0x5d]];
pub(super) const NEVER: [u8; 2] = [0x0f, 0x0b];
/// The opcode of arithmetic with a number of eight bits.
pub(super) const SMALL: u8 = 0x83;

/// A jump of two bytes, one of six or five: what comes before the distance.
pub(super) fn jump(condition: Option<u8>, short: bool) -> ([u8; 2], usize) {
    match (condition, short) {
        (None, true) => ([0xeb, 0], 1),
        (None, false) => ([0xe9, 0], 1),
        (Some(code), true) => ([0x70 | code, 0], 1),
        (Some(code), false) => ([0x0f, 0x80 | code], 2),
    }
}

/// The sets of opcodes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Map {
    One,
    Two,
    Three38,
    Three3a,
}

/// What stands before an opcode.
#[derive(Default)]
struct Prefixes {
    narrow: bool,
    /// W, R, X, B of REX.
    rex: u8,
    vector: bool,
}

/// The instruction that `code` begins with.
pub(super) fn decode(code: &[u8]) -> Option<Decoded> {
    let (mut at, mut prefixes) = (0, Prefixes::default());
    let byte = |at: usize| code.get(at).copied();
    loop {
        match byte(at)? {
            0x66 => prefixes.narrow = true,
            0xf0 | 0xf2 | 0xf3 => {}
            _ => break,
        }
        at += 1;
    }
    let mut map = Map::One;
    match byte(at)? {
        first @ 0x40..=0x4f => {
            prefixes.rex = first & 15;
            at += 1;
        }
        // VEX and EVEX have R, X, B upside down; what they have of more registers is of vectors.
        0xc5 => (map, prefixes, at) = (Map::Two, vector(!byte(at + 1)? >> 5 & 4), at + 2),
        0xc4 => (map, prefixes, at) = (map_of(byte(at + 1)? & 31)?, vector(!byte(at + 1)? >> 5), at + 3),
        0x62 => (map, prefixes, at) = (map_of(byte(at + 1)? & 7)?, vector(!byte(at + 1)? >> 5), at + 4),
        _ => {}
    }
    let mut opcode = byte(at)?;
    if map == Map::One && opcode == 0x0f {
        at += 1;
        opcode = byte(at)?;
        map = match opcode {
            0x38 => Map::Three38,
            0x3a => Map::Three3a,
            _ => Map::Two,
        };
        if map != Map::Two {
            at += 1;
            opcode = byte(at)?;
        }
    }
    let opcode_at = at;
    at += 1;
    let group = byte(at).map_or(0, |modrm| modrm >> 3 & 7);
    let shape = shape(map, opcode, group, &prefixes)?;
    let mut decoded = Decoded { len: 0, kind: shape.kind, near: None, small: None, frame: shape.frame };
    if shape.modrm {
        let modrm = byte(at)?;
        at += 1;
        let (mode, rm) = (modrm >> 6, modrm & 7);
        let is_frame = |low: u8, high: u8| matches!(low, 4 | 5) && prefixes.rex & high == 0;
        // A group's number is no register.
        let has_reg =
            !(map == Map::One && matches!(opcode, 0x80..=0x83 | 0xc0 | 0xc1 | 0xc6 | 0xc7 | 0xd0..=0xd3 | 0xf6..));
        // Neither register is allocated: vector instructions have them in addresses alone.
        decoded.frame |= has_reg && !prefixes.vector && is_frame(group, 4);
        if mode == 3 {
            decoded.frame |= !prefixes.vector && is_frame(rm, 1);
            if (map, opcode, group) == (Map::One, 0xff, 4) {
                decoded.kind = Kind::Table;
            }
        } else {
            let mut base = rm;
            if rm == 4 {
                let sib = byte(at)?;
                at += 1;
                base = sib & 7;
                // Index 4 without REX is none.
                decoded.frame |= sib >> 3 & 7 == 5 && prefixes.rex & 2 == 0;
            }
            let absolute = mode == 0 && base == 5;
            decoded.frame |= !absolute && is_frame(base, 1);
            if absolute && rm == 5 {
                decoded.near = Some(at);
            }
            at += match mode {
                1 => 1,
                2 => 4,
                _ if absolute => 4,
                _ => 0,
            };
            // Jumps and calls by what is in memory are not made.
            if map == Map::One && opcode == 0xff && matches!(group, 2..=5) {
                return None;
            }
        }
    }
    at += shape.immediate;
    if (map, opcode, shape.immediate) == (Map::One, 0x81, 4) && decoded.near.is_none() {
        let number = i32::from_le_bytes(*code.get(at - 4..at)?.first_chunk()?);
        decoded.small = i8::try_from(number).is_ok().then_some(opcode_at);
    }
    decoded.len = at;
    (at <= code.len()).then_some(decoded)
}

fn vector(rex: u8) -> Prefixes {
    Prefixes { narrow: false, rex: rex & 7, vector: true }
}

fn map_of(number: u8) -> Option<Map> {
    Some(match number {
        1 => Map::Two,
        2 => Map::Three38,
        3 => Map::Three3a,
        _ => return None,
    })
}

/// What follows an opcode.
struct Shape {
    modrm: bool,
    immediate: usize,
    kind: Kind,
    frame: bool,
}

fn shape(map: Map, opcode: u8, group: u8, prefixes: &Prefixes) -> Option<Shape> {
    let wide = if prefixes.narrow && prefixes.rex & 8 == 0 { 2 } else { 4 };
    let plain = |modrm: bool, immediate: usize| Shape { modrm, immediate, kind: Kind::Plain, frame: false };
    let of_kind = |kind: Kind, immediate: usize| Shape { modrm: false, immediate, kind, frame: false };
    Some(match (map, opcode) {
        (Map::Three38, _) => plain(true, 0),
        (Map::Three3a, _) => plain(true, 1),
        (Map::Two, 0x77) => plain(false, 0),
        (Map::Two, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6) => plain(true, 1),
        (Map::Two, 0x10..=0x17 | 0x28..=0x2f | 0x50..=0x6f | 0x74..=0x76 | 0x7c..=0x7f | 0xd0..=0xfe) => plain(true, 0),
        (Map::Two, 0x40..=0x4f | 0x78..=0x7b | 0x90..=0x99) if prefixes.vector => plain(true, 0),
        (_, _) if prefixes.vector => return None,
        (Map::One, 0xc6 | 0xc7) if group != 0 => return None,
        (Map::Two, 0x0b) => of_kind(Kind::Never, 0),
        (Map::Two, 0x80..=0x8f) => of_kind(Kind::Jump(Some(opcode & 15)), 4),
        (Map::Two, 0xa4 | 0xac | 0xba) => plain(true, 1),
        (Map::Two, 0x1f | 0x40..=0x4f | 0x90..=0x9f | 0xa3 | 0xa5 | 0xab | 0xad..=0xb1 | 0xb3 | 0xb6..=0xb8) => {
            plain(true, 0)
        }
        (Map::Two, 0xbb..=0xc1 | 0xc3 | 0xc7) => plain(true, 0),
        (Map::Two, 0xc8..=0xcf) => Shape { frame: matches!(opcode & 7, 4 | 5), ..plain(false, 0) },
        (Map::One, 0x00..=0x3f) if opcode & 7 < 4 => plain(true, 0),
        (Map::One, 0x00..=0x3f) if opcode & 7 == 4 => plain(false, 1),
        (Map::One, 0x00..=0x3f) if opcode & 7 == 5 => plain(false, wide),
        (Map::One, 0x50..=0x5f) => Shape { frame: true, ..plain(false, 0) },
        (Map::One, 0x63 | 0x84..=0x8b | 0x8d | 0xd0..=0xd3 | 0xfe) => plain(true, 0),
        (Map::One, 0x69 | 0x81) => plain(true, wide),
        (Map::One, 0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6) => plain(true, 1),
        (Map::One, 0xc7) => plain(true, wide),
        (Map::One, 0x90 | 0x98 | 0x99) => plain(false, 0),
        (Map::One, 0xa8) => plain(false, 1),
        (Map::One, 0xa9) => plain(false, wide),
        (Map::One, 0xb0..=0xb7) => Shape { frame: matches!(opcode & 7, 4 | 5), ..plain(false, 1) },
        (Map::One, 0xb8..=0xbf) => {
            let immediate = if prefixes.rex & 8 != 0 { 8 } else { wide };
            Shape { frame: matches!(opcode & 7, 4 | 5), ..plain(false, immediate) }
        }
        (Map::One, 0xc3) => of_kind(Kind::Return, 0),
        (Map::One, 0xe8) => Shape { frame: true, ..of_kind(Kind::Call, 4) },
        (Map::One, 0xe9) => of_kind(Kind::Jump(None), 4),
        (Map::One, 0xf6) => plain(true, usize::from(group < 2)),
        (Map::One, 0xf7) => plain(true, if group < 2 { wide } else { 0 }),
        (Map::One, 0xff) => Shape { frame: matches!(group, 2 | 3 | 6), ..plain(true, 0) },
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
