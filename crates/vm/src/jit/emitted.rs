//! Machine code as the code generator has made it, made shorter; on x86-64 alone.
//!
//! Pass `short`: the code generator writes every distance and most numbers as 32 bits. Jumps to what is near become two
//! bytes, and arithmetic with small numbers takes one byte for them: loops touch fewer cache lines, and processors see
//! more branches at a time. Sound because the instructions are the same ones, in their order, in another encoding, and
//! whatever says a distance says the new one: jumps, tables of jumps, addresses of constants.
//!
//! Pass `leaf`: functions that call nobody and keep nothing in memory of their own have no frame. Sound because nothing in
//! them uses the two registers of frames but what puts them up and takes them down.
//!
//! Each instruction has to be known (`x64`), blocks have to begin where instructions do, and what is not known to be an
//! instruction is constants, which nothing jumps to. Where something else is found, the code stays as it was.

use super::pass::{Pass, Passes};
use super::x64::{self, Decoded, Kind};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{CompiledCode, FinalizedRelocTarget};
use std::borrow::Cow;
use std::ops::Range;

/// Machine code of a function.
pub(super) struct Emitted<'a> {
    pub(super) compiled: &'a CompiledCode,
    pub(super) code: Cow<'a, [u8]>,
    /// Where instructions began and begin, in order; none: where they were.
    moved: Vec<(u32, u32)>,
}

/// What constants behind the code are aligned to, at most.
const ALIGNMENT: usize = 16;
/// Jumps farther than this before anything becomes shorter stay as they are.
const FAR: usize = 512;

impl<'a> Emitted<'a> {
    /// What passes make of compiled code.
    pub(super) fn of(compiled: &'a CompiledCode, isa: &dyn TargetIsa, passes: Passes) -> Emitted<'a> {
        let as_it_is = || Emitted { compiled, code: compiled.code_buffer().into(), moved: Vec::new() };
        if isa.name() != "x64" || !(passes.has(Pass::Short) || passes.has(Pass::Leaf)) {
            return as_it_is();
        }
        let Some(mut read) = Read::of(compiled) else { return as_it_is() };
        if passes.has(Pass::Leaf) {
            read.drop_frame();
        }
        if passes.has(Pass::Short) {
            read.shorten();
        }
        read.lay_out();
        let moved = read.pieces.iter().map(|piece| (piece.was.start as u32, piece.begin as u32)).collect();
        read.write().map_or_else(as_it_is, |code| Emitted { compiled, code: code.into(), moved })
    }

    /// Where a byte of the code is that the code generator had put at `offset`.
    pub(super) fn place(&self, offset: usize) -> usize {
        let at = self.moved.partition_point(|(was, _)| *was as usize <= offset);
        let Some(&(was, is)) = at.checked_sub(1).and_then(|at| self.moved.get(at)) else { return offset };
        let inside = is as usize + offset - was as usize;
        // What became shorter ends where the next one begins.
        self.moved.get(at).map_or(inside, |next| inside.min(next.1 as usize))
    }
}

/// A piece of code: an instruction, a table of jumps, or the constants at the end.
struct Piece {
    /// Where the code generator had it.
    was: Range<usize>,
    what: What,
    /// Its bytes, and where they begin now.
    len: usize,
    begin: usize,
}

#[derive(Clone, Copy)]
enum What {
    /// The same bytes.
    Same,
    /// None.
    Gone,
    /// A jump to where something was.
    Jump { condition: Option<u8>, to: usize },
    /// An instruction that accesses memory where something was; the distance stands there in it.
    Near { at: usize, to: usize },
    /// Arithmetic with a number, whose opcode stands there in it.
    Small { at: usize },
    /// Distances from the table's start to where something was.
    Table,
}

struct Read<'a> {
    code: &'a [u8],
    pieces: Vec<Piece>,
    /// Where the constants begin.
    end: usize,
    /// What can be encoded shorter, by number; and it is.
    decoded: Vec<(usize, Decoded)>,
}

impl<'a> Read<'a> {
    fn of(compiled: &'a CompiledCode) -> Option<Read<'a>> {
        let code = compiled.code_buffer();
        let relocations = compiled.buffer.relocs();
        let is_strange = |target: &FinalizedRelocTarget| matches!(target, FinalizedRelocTarget::Func(_));
        if !relocations.is_sorted_by_key(|one| one.offset) || relocations.iter().any(|one| is_strange(&one.target)) {
            return None;
        }
        let is_relocated = |at: usize| relocations.binary_search_by_key(&at, |one| one.offset as usize).is_ok();
        let mut blocks = compiled.bb_starts.iter().map(|&start| start as usize).peekable();
        let mut read = Read { code, pieces: Vec::new(), end: 0, decoded: Vec::new() };
        let mut at = 0;
        loop {
            blocks.next_if_eq(&at);
            // A block begins inside of an instruction.
            if blocks.peek().is_some_and(|next| *next < at) {
                return None;
            }
            let decoded = x64::decode(&code[at..])?;
            let end = at + decoded.len;
            let distance = |at: usize| Some(i32::from_le_bytes(*code.get(at..)?.first_chunk()?) as isize);
            let target = |at: usize| usize::try_from(end as isize + distance(at)?).ok();
            let what = match decoded.kind {
                Kind::Jump(condition) => {
                    if is_relocated(end - 4) {
                        return None;
                    }
                    What::Jump { condition, to: target(end - 4)? }
                }
                Kind::Call if !is_relocated(end - 4) => return None,
                _ => match decoded.near {
                    Some(near) if !is_relocated(at + near) => What::Near { at: near, to: target(at + near)? },
                    _ => What::Same,
                },
            };
            read.decoded.push((read.pieces.len(), decoded));
            read.push(at..end, what);
            at = end;
            match decoded.kind {
                Kind::Table => {
                    let end = *blocks.peek()?;
                    if !(end - at).is_multiple_of(4) {
                        return None;
                    }
                    read.push(at..end, What::Table);
                    at = end;
                }
                Kind::Return | Kind::Never | Kind::Jump(None) if !read.goes_on(blocks.len(), blocks.peek(), at) => {
                    break;
                }
                _ => {}
            }
        }
        read.end = at;
        read.push(at..code.len(), What::Same);
        read.is_understood().then_some(read)
    }

    /// Whether there is code at `at`, behind an instruction that nothing follows, with so many blocks to come. The last of
    /// them may be one whose only jump the code generator has left out: it is empty, and nobody comes to it.
    fn goes_on(&self, left: usize, next: Option<&usize>, at: usize) -> bool {
        if left != 1 || next != Some(&at) {
            return left > 0;
        }
        let leads_there = |piece: &Piece| {
            matches!(piece.what, What::Jump { to, .. } if to == at) || matches!(piece.what, What::Table)
        };
        let is_jump = x64::decode(&self.code[at..]).is_some_and(|decoded| decoded.kind == Kind::Jump(None));
        is_jump || at < self.code.len() && self.pieces.iter().any(leads_there)
    }

    fn push(&mut self, was: Range<usize>, what: What) {
        self.pieces.push(Piece { len: was.len(), begin: 0, was, what });
    }

    /// Whether control stays in what was read, but for traps among the constants.
    fn is_understood(&self) -> bool {
        let jumps_well = |to: usize| match self.number(to) {
            Some(_) if to < self.end => true,
            _ => to >= self.end && self.code.get(to..).is_some_and(|at| at.starts_with(&x64::NEVER)),
        };
        self.pieces.iter().all(|piece| match piece.what {
            What::Jump { to, .. } => jumps_well(to),
            What::Near { to, .. } => to >= self.end && to <= self.code.len() || self.number(to).is_some(),
            What::Table => self.ways(piece).all(|to| to < self.end && self.number(to).is_some()),
            _ => true,
        })
    }

    /// The piece that began at `was`.
    fn number(&self, was: usize) -> Option<usize> {
        self.pieces.binary_search_by_key(&was, |piece| piece.was.start).ok()
    }

    /// Where a table's jumps led to.
    fn ways(&self, table: &Piece) -> impl Iterator<Item = usize> {
        let entries = self.code[table.was.clone()].as_chunks::<4>().0.iter();
        let start = table.was.start as isize;
        // What is before the function is none of its instructions.
        entries.map(move |entry| usize::try_from(start + i32::from_le_bytes(*entry) as isize).unwrap_or(usize::MAX))
    }

    /// Takes the frame away that nothing uses.
    fn drop_frame(&mut self) {
        let is =
            |number: usize, bytes: &[u8]| self.pieces.get(number).is_some_and(|at| &self.code[at.was.clone()] == bytes);
        let mut frame = Vec::new();
        if !is(0, x64::ENTER[0]) || !is(1, x64::ENTER[1]) {
            return;
        }
        frame.extend([0, 1]);
        for &(number, decoded) in &self.decoded {
            if decoded.kind == Kind::Return {
                match number {
                    2.. if is(number - 2, x64::LEAVE[0]) && is(number - 1, x64::LEAVE[1]) => {
                        frame.extend([number - 2, number - 1]);
                    }
                    _ => return,
                }
            }
        }
        let is_used = self.decoded.iter().any(|(number, decoded)| decoded.frame && !frame.contains(number));
        if frame.len() < 4 || is_used {
            return;
        }
        for number in frame {
            self.pieces[number].what = What::Gone;
            self.pieces[number].len = 0;
        }
    }

    fn shorten(&mut self) {
        for &(number, decoded) in &self.decoded {
            let piece = &mut self.pieces[number];
            match (piece.what, decoded.small) {
                (What::Jump { to, .. }, _) if to.abs_diff(piece.was.end) < FAR => piece.len = 2,
                (What::Same, Some(at)) => {
                    piece.what = What::Small { at };
                    piece.len -= 3;
                }
                _ => {}
            }
        }
    }

    /// Says where pieces begin; jumps that are too far then for a byte get long again.
    fn lay_out(&mut self) {
        loop {
            let mut at = 0;
            for piece in &mut self.pieces {
                if piece.was.start == self.end {
                    // Constants stay as they were aligned.
                    at += (self.end % ALIGNMENT + ALIGNMENT - at % ALIGNMENT) % ALIGNMENT
                        * usize::from(!piece.was.is_empty());
                }
                piece.begin = at;
                at += piece.len;
            }
            let mut is_done = true;
            for number in 0..self.pieces.len() {
                let piece = &self.pieces[number];
                if let What::Jump { to, .. } = piece.what
                    && piece.len == 2
                    && self.distance(piece, to).is_none_or(|distance| i8::try_from(distance).is_err())
                {
                    self.pieces[number].len = self.pieces[number].was.len();
                    is_done = false;
                }
            }
            if is_done {
                return;
            }
        }
    }

    /// Where something is now.
    fn now(&self, was: usize) -> Option<usize> {
        match self.number(was) {
            Some(number) => Some(self.pieces[number].begin),
            None => Some(self.pieces.last()?.begin + was.checked_sub(self.end)?),
        }
    }

    /// From the end of a piece to where something is now.
    fn distance(&self, from: &Piece, to: usize) -> Option<i32> {
        i32::try_from(self.now(to)? as i64 - (from.begin + from.len) as i64).ok()
    }

    fn write(&self) -> Option<Vec<u8>> {
        let mut code = Vec::with_capacity(self.code.len());
        for piece in &self.pieces {
            let bytes = &self.code[piece.was.clone()];
            code.resize(piece.begin, 0);
            match piece.what {
                What::Same => code.extend_from_slice(bytes),
                What::Gone => {}
                What::Jump { condition, to } => {
                    let distance = self.distance(piece, to)?;
                    let short = piece.len == 2;
                    let (opcode, len) = x64::jump(condition, short);
                    code.extend_from_slice(&opcode[..len]);
                    match short {
                        true => code.extend_from_slice(&i8::try_from(distance).ok()?.to_le_bytes()),
                        false => code.extend_from_slice(&distance.to_le_bytes()),
                    }
                }
                What::Near { at, to } => {
                    code.extend_from_slice(&bytes[..at]);
                    code.extend_from_slice(&self.distance(piece, to)?.to_le_bytes());
                    code.extend_from_slice(&bytes[at + 4..]);
                }
                What::Small { at } => {
                    code.extend_from_slice(&bytes[..at]);
                    code.push(x64::SMALL);
                    code.extend_from_slice(&bytes[at + 1..bytes.len() - 3]);
                }
                What::Table => {
                    for to in self.ways(piece) {
                        let distance = i32::try_from(self.now(to)? as i64 - piece.begin as i64).ok()?;
                        code.extend_from_slice(&distance.to_le_bytes());
                    }
                }
            }
            // What was said of it has to hold.
            if code.len() != piece.begin + piece.len {
                return None;
            }
        }
        Some(code)
    }
}
