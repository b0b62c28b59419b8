//! Which filters Linux takes: the rules of `bpf_check_classic`, so that a filter that passes can be run and translated.

use super::op::AluOp;
use super::{MAX_INSNS, MEM_WORDS, Op, SKF_AD_OFF, SockFilter, Source};
use std::fmt;

/// A filter that Linux would take: every jump is forward and lands inside, every path ends in a return, scratch
/// memory is written before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    insns: Vec<SockFilter>,
    ops: Vec<Op>,
}

/// Why Linux would not take a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// The instruction; the number of instructions if the filter as a whole is wrong.
    pub index: usize,
    /// The field: `code`, `jt`, `jf`, `k`, or `length`.
    pub field: &'static str,
    /// What it holds.
    pub found: u32,
    /// What would be right.
    pub expected: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FilterError { index, field, found, expected } = self;
        match *field {
            "length" => write!(f, "a filter of {found} instructions: expected {expected}"),
            "code" => write!(f, "instruction {index}: code is {found:#x}; expected {expected}"),
            _ => write!(f, "instruction {index}: {field} is {found}; expected {expected}"),
        }
    }
}

impl std::error::Error for FilterError {}

impl Filter {
    /// Checks a filter.
    ///
    /// # Errors
    /// The first instruction that Linux would refuse.
    pub fn new(insns: Vec<SockFilter>) -> Result<Filter, FilterError> {
        let len = insns.len();
        let error =
            |index, field, found, expected: &str| FilterError { index, field, found, expected: expected.into() };
        if len == 0 || len > MAX_INSNS {
            return Err(error(len, "length", len as u32, "1 to 4096"));
        }
        let mut ops = Vec::with_capacity(len);
        for (index, insn) in insns.iter().enumerate() {
            let Some(op) = insn.op() else {
                return Err(error(index, "code", insn.code.into(), "an instruction of classic BPF"));
            };
            let left = len - index - 1;
            let k = |expected: &str| error(index, "k", insn.k, expected);
            match op {
                Op::Alu { op: AluOp::Div | AluOp::Mod, src: Source::K(0) } => return Err(k("a divisor that is not 0")),
                Op::Alu { op: AluOp::Lsh | AluOp::Rsh, src: Source::K(32..) } => {
                    return Err(k("a shift of less than 32"));
                }
                Op::LoadMem(cell) | Op::LoadXMem(cell) | Op::Store(cell) | Op::StoreX(cell)
                    if cell as usize >= MEM_WORDS =>
                {
                    return Err(k("a cell of scratch memory, 0 to 15"));
                }
                Op::LoadAbs { k: at, .. } if at >= SKF_AD_OFF as u32 => {
                    return Err(k("an offset, or one of Linux's ancillary loads"));
                }
                Op::Ja { k: skip } if skip as usize >= left => return Err(k("a jump forward inside the filter")),
                Op::Jmp { jt, .. } if usize::from(jt) >= left => {
                    return Err(error(index, "jt", jt.into(), "a jump inside the filter"));
                }
                Op::Jmp { jf, .. } if usize::from(jf) >= left => {
                    return Err(error(index, "jf", jf.into(), "a jump inside the filter"));
                }
                _ => {}
            }
            ops.push(op);
        }
        if !matches!(ops.last(), Some(Op::RetK(_) | Op::RetA)) {
            let code = insns.last().map_or(0, |insn| insn.code);
            return Err(error(len - 1, "code", code.into(), "a return as the last instruction"));
        }
        check_memory(&ops)?;
        Ok(Filter { insns, ops })
    }

    /// The instructions as encoded.
    #[must_use]
    pub fn insns(&self) -> &[SockFilter] {
        &self.insns
    }

    /// The instructions as meant.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }
}

/// On every path a cell is written before it is read. All jumps go forward, so one pass sees every way to a place
/// before the place.
fn check_memory(ops: &[Op]) -> Result<(), FilterError> {
    let mut written_at = vec![u16::MAX; ops.len()];
    let mut written = 0u16;
    for (index, op) in ops.iter().enumerate() {
        written &= written_at[index];
        let mut reaches = |skip: usize| {
            if let Some(at) = written_at.get_mut(index + 1 + skip) {
                *at &= written;
            }
        };
        match *op {
            Op::Store(cell) | Op::StoreX(cell) => written |= 1 << cell,
            Op::LoadMem(cell) | Op::LoadXMem(cell) if written & 1 << cell == 0 => {
                let expected = "a cell that was written before on every path".into();
                return Err(FilterError { index, field: "k", found: cell, expected });
            }
            Op::Ja { k } => {
                reaches(k as usize);
                written = u16::MAX;
            }
            Op::Jmp { jt, jf, .. } => {
                reaches(jt.into());
                reaches(jf.into());
                written = u16::MAX;
            }
            _ => {}
        }
    }
    Ok(())
}
