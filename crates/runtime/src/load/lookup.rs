//! Lookups in arrays as instructions: a comparison and an address in place of a call.

use super::emit::Line;
use crate::LoadedMap;
use alveary_abi::MapType;
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Wide, Width};
use alveary_maps::Layout;
use alveary_vm::{Env, Known, Memory, Sym, Table};

/// Where an array's entries stand.
#[derive(Clone, Copy, Debug)]
struct Array {
    map: u16,
    data: u64,
    stride: u32,
    max: u32,
    /// From one CPU's values to the next's, if each has its own.
    cpu_stride: u64,
}

/// `r0` becomes the address of the entry whose number stands where `r2` points to, or NULL. `key` is that number, if it
/// is known. `None` if this is no array, or one whose numbers do not fit instructions.
pub(super) fn array(map: &LoadedMap, number: u16, key: Option<u64>) -> Option<Vec<Line>> {
    let is_array = matches!(map.spec.def.ty, MapType::ARRAY | MapType::PERCPU_ARRAY);
    let Layout::Array { data, stride, max, cpu_stride, .. } = map.map.layout() else { return None };
    let array = Array { map: number, data, stride, max, cpu_stride };
    if !is_array {
        return None;
    }
    match key {
        Some(key) => array.at(key),
        None => array.search(),
    }
}

/// Where a map's entries stand, in the engine's words, for lookups that stay calls.
pub(super) fn table(map: &LoadedMap) -> Option<Table> {
    // What is found in a map of maps is a map, which the helper has to make known.
    if map.holds_maps() {
        return None;
    }
    match map.map.layout() {
        Layout::Array { data, stride, max, cpu_stride, .. } => Some(Table::Array { data, stride, max, cpu_stride }),
        Layout::Hash {
            buckets, mask, slots, slot, next, key, values, value_stride, cpu_stride, seed, used, ..
        } => Some(Table::Hash { buckets, mask, slots, slot, next, key, values, value_stride, cpu_stride, seed, used }),
        Layout::Trie { version, root, nodes, node, child, bits, prefix, value, .. } => {
            Some(Table::Trie { version, root, nodes, node, child, bits, prefix, value })
        }
        Layout::Opaque | Layout::Values { .. } | Layout::Words { .. } => None,
    }
}

impl Array {
    /// The entry of a number that is known.
    fn at(&self, key: u64) -> Option<Vec<Line>> {
        if key >= u64::from(self.max) {
            return Some(vec![Line::new(mov(Reg::R0, 0))]);
        }
        let mut code = vec![self.address(Reg::R0, key * u64::from(self.stride))];
        code.extend(self.of_this_cpu()?);
        if let Some(last) = code.pop() {
            code.push(last.knowing(Known { not_null: true, ..Known::NOTHING }));
        }
        Some(code)
    }

    /// The entry whose number stands in memory.
    fn search(&self) -> Option<Vec<Line>> {
        let max = i32::try_from(self.max).ok()?;
        let read = Inst::Load { width: Width::B4, signed: false, dst: Reg::R0, src: Reg::R2, off: 0 };
        let mut found = Vec::new();
        match self.stride {
            1 => {}
            stride if stride.is_power_of_two() => {
                found.push(Line::new(alu(AluOp::Lsh, Reg::R0, Operand::Imm(stride.trailing_zeros() as i32))));
            }
            stride => found.push(Line::new(alu(AluOp::Mul, Reg::R0, Operand::Imm(i32::try_from(stride).ok()?)))),
        }
        found.push(self.address(Reg::AX, 0));
        found.push(Line::new(alu(AluOp::Add, Reg::R0, Operand::Reg(Reg::AX))));
        found.extend(self.of_this_cpu()?);
        found.push(Line::new(Inst::Ja { off: 1, long: false }));
        let behind = found.iter().map(Line::slots).sum::<usize>();
        let compare = Inst::Jmp {
            wide: Wide::W64,
            op: CmpOp::Ge,
            dst: Reg::R0,
            src: Operand::Imm(max),
            off: i16::try_from(behind).ok()?,
        };
        let mut code = vec![Line::new(read), Line::new(compare)];
        code.extend(found);
        code.push(Line::new(mov(Reg::R0, 0)));
        Some(code)
    }

    /// The address of what is `off` bytes into the values of the first CPU.
    fn address(&self, dst: Reg, off: u64) -> Line {
        Line::symbol(Inst::LoadImm64 { dst, value: 0 }, Sym::Memory(self.map, self.data + off))
    }

    /// From the first CPU's value in `r0` to that of the CPU that runs.
    fn of_this_cpu(&self) -> Option<Vec<Line>> {
        if self.cpu_stride == 0 {
            return Some(Vec::new());
        }
        let stride = i32::try_from(self.cpu_stride).ok()?;
        Some(vec![
            environment(Reg::AX, Env::CPU),
            Line::new(alu(AluOp::Mul, Reg::AX, Operand::Imm(stride))),
            Line::new(alu(AluOp::Add, Reg::R0, Operand::Reg(Reg::AX))),
        ])
    }
}

/// A load from the running engine's environment.
pub(super) fn environment(dst: Reg, off: i16) -> Line {
    let load = Inst::Load { width: Width::B8, signed: false, dst, src: Reg::ENV, off };
    Line::new(load).knowing(Known { memory: Memory::Environment, ..Known::NOTHING })
}

fn mov(dst: Reg, number: i32) -> Inst {
    alu(AluOp::Mov, dst, Operand::Imm(number))
}

fn alu(op: AluOp, dst: Reg, src: Operand) -> Inst {
    Inst::Alu { wide: Wide::W64, op, dst, src }
}
