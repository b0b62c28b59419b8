//! Fields of contexts as instructions: what the checked mode evaluates by a [`crate::Backing`] is emitted here.
//!
//! For little-endian machines: on others nothing is proven, so nothing comes here.

use crate::{Step, context::FieldAccess};
use alveary_abi::FieldKind;
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Swap, Wide, Width};

/// A load: the address of the context is in `src`, the value goes to `dst`, zero-extended from `width` if it is a
/// number. `None` if this field cannot be had in so few instructions.
pub(super) fn load(access: &FieldAccess, width: Width, signed: bool, dst: Reg, src: Reg) -> Option<Vec<Inst>> {
    let mut code = unsigned(access, width, dst, src)?;
    if signed && width != Width::B8 {
        code.push(Inst::MovSx { wide: Wide::W64, bits: width.bytes() as u8 * 8, dst, src: dst });
    }
    Some(code)
}

fn unsigned(access: &FieldAccess, width: Width, dst: Reg, src: Reg) -> Option<Vec<Inst>> {
    let (field, steps) = (access.place.field, access.place.backing.load);
    let element = field.width.bytes();
    match (field.kind, steps) {
        // It stands there as the UAPI has it: any part of it is loaded from where it stands.
        (FieldKind::Scalar, [Step::Load(place, off)]) if *place == field.width => {
            let off = i16::try_from(usize::from(*off) + access.within).ok()?;
            return Some(vec![Inst::Load { width, signed: false, dst, src, off }]);
        }
        (FieldKind::Scalar | FieldKind::PacketStart | FieldKind::PacketMeta | FieldKind::PacketEnd, _) => {}
        // There is no such object.
        (FieldKind::SockCommonOrNull | FieldKind::SocketOrNull, [Step::Const(0)]) => {}
        _ => return None,
    }
    let (first, within) = (access.within / element, access.within % element);
    if field.kind != FieldKind::Scalar {
        return steps_of(steps, first, dst, src);
    }
    if within + width.bytes() > element {
        return None;
    }
    let mut code = steps_of(steps, first, dst, src)?;
    if within > 0 {
        code.push(alu(Wide::W64, AluOp::Rsh, dst, within as i32 * 8));
    }
    if most(steps) >> (within * 8) > u64::MAX >> (64 - width.bytes() * 8) {
        code.push(truncation(width, dst)?);
    }
    Some(code)
}

/// The value of an element by the steps of its backing.
fn steps_of(steps: &[Step], element: usize, dst: Reg, src: Reg) -> Option<Vec<Inst>> {
    let mut code = Vec::new();
    let mut from = src;
    for (n, step) in steps.iter().enumerate() {
        match *step {
            Step::Load(width, off) => {
                let off = i16::try_from(usize::from(off) + element * width.bytes()).ok()?;
                code.push(Inst::Load { width, signed: false, dst, src: from, off });
            }
            Step::Const(number) => code.push(constant(dst, number)),
            Step::And(mask) => code.push(match i32::try_from(mask) {
                Ok(mask) => alu(Wide::W64, AluOp::And, dst, mask),
                Err(_) => alu(Wide::W32, AluOp::And, dst, u32::try_from(mask).ok()? as i32),
            }),
            Step::Shr(bits) => code.push(alu(Wide::W64, AluOp::Rsh, dst, i32::from(bits & 63))),
            Step::Swap(width) => {
                let bits = if width == Width::B1 { 32 } else { width.bytes() as u8 * 8 };
                code.push(Inst::Swap { kind: Swap::Bswap, bits, dst });
            }
            Step::OrElse(number) => {
                let rest = steps_of(&steps[n + 1..], element, dst, dst)?;
                let behind: usize = rest.iter().map(Inst::slots).sum();
                let otherwise = constant(dst, number);
                let jump = 1 + otherwise.slots();
                code.push(Inst::Jmp {
                    wide: Wide::W64,
                    op: CmpOp::Ne,
                    dst,
                    src: Operand::Imm(0),
                    off: i16::try_from(jump).ok()?,
                });
                code.push(otherwise);
                code.push(Inst::Ja { off: behind as i32, long: false });
                code.extend(rest);
                return Some(code);
            }
        }
        from = dst;
    }
    // Steps that load nothing would leave the address where the number should be.
    matches!(steps.first(), None | Some(Step::Load(..) | Step::Const(_))).then_some(code)
}

/// The most that the value of steps can be.
fn most(steps: &[Step]) -> u64 {
    let (mut most, mut otherwise) = (u64::MAX, 0);
    for step in steps {
        most = match *step {
            Step::Load(width, _) => u64::MAX >> (64 - width.bytes() * 8),
            Step::And(mask) => most.min(mask),
            Step::Shr(bits) => most >> (bits & 63),
            Step::Swap(Width::B2) => u16::MAX.into(),
            Step::Swap(Width::B8) => u64::MAX,
            Step::Swap(_) => u32::MAX.into(),
            Step::Const(number) => number,
            Step::OrElse(number) => {
                otherwise = otherwise.max(number);
                most
            }
        };
    }
    most.max(otherwise)
}

fn truncation(width: Width, dst: Reg) -> Option<Inst> {
    Some(match width {
        Width::B1 => alu(Wide::W32, AluOp::And, dst, 0xff),
        Width::B2 => alu(Wide::W32, AluOp::And, dst, 0xffff),
        Width::B4 => Inst::Alu { wide: Wide::W32, op: AluOp::Mov, dst, src: Operand::Reg(dst) },
        Width::B8 => return None,
    })
}

fn constant(dst: Reg, number: u64) -> Inst {
    match i32::try_from(number) {
        Ok(number) => alu(Wide::W64, AluOp::Mov, dst, number),
        Err(_) => Inst::LoadImm64 { dst, value: number },
    }
}

fn alu(wide: Wide, op: AluOp, dst: Reg, imm: i32) -> Inst {
    Inst::Alu { wide, op, dst, src: Operand::Imm(imm) }
}

/// A store of a register or constant into a field of the context whose address is in `dst`. `None` as in [`load`].
pub(super) fn store(access: &FieldAccess, width: Width, dst: Reg, src: Operand) -> Option<Vec<Inst>> {
    let field = access.place.field;
    let Some(place) = access.place.backing.store else { return Some(Vec::new()) };
    let element = field.width.bytes();
    if place.width == field.width && place.max == u64::MAX {
        let off = i16::try_from(usize::from(place.off) + access.within).ok()?;
        return Some(vec![Inst::Store { width, dst, off, src }]);
    }
    if width != field.width || !access.within.is_multiple_of(element) {
        return None;
    }
    let off = i16::try_from(usize::from(place.off) + access.within / element * place.width.bytes()).ok()?;
    let put = Inst::Store { width: place.width, dst, off, src };
    if place.max == u64::MAX {
        return Some(vec![put]);
    }
    match src {
        Operand::Imm(imm) => Some(if i64::from(imm) as u64 <= place.max { vec![put] } else { Vec::new() }),
        Operand::Reg(src) => {
            let most = Operand::Imm(i32::try_from(place.max).ok()?);
            Some(vec![Inst::Jmp { wide: Wide::W64, op: CmpOp::Gt, dst: src, src: most, off: 1 }, put])
        }
    }
}
