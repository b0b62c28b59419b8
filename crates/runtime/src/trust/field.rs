//! Evaluates a field's [`crate::Backing`]: what lowering emits as instructions is done here at once.

use crate::{Step, context::FieldAccess};
use alveary_abi::FieldKind;
use alveary_isa::Width;

/// The value that a load gives.
///
/// # Safety
/// `ctx` is the address of the context that the field's family has; its backings are true ([`crate::Family`]).
pub(super) unsafe fn load(ctx: u64, access: &FieldAccess, width: Width) -> u64 {
    let field = access.place.field;
    let element = field.width.bytes();
    // SAFETY: the caller's promise.
    let value = |i: usize| unsafe { evaluate(ctx, access.place.backing.load, i) };
    if field.kind != FieldKind::Scalar || (width == field.width && access.within.is_multiple_of(element)) {
        return value(access.within / element);
    }
    let mut out = [0; 8];
    for (i, byte) in out[..width.bytes()].iter_mut().enumerate() {
        let at = access.within + i;
        *byte = bytes_of(value(at / element), field.width)[at % element];
    }
    number(&out[..width.bytes()])
}

/// Stores a value.
///
/// # Safety
/// As for [`load`]; and no reference says that the field does not change.
pub(super) unsafe fn store(ctx: u64, access: &FieldAccess, width: Width, new: u64) {
    let field = access.place.field;
    let Some(place) = access.place.backing.store else { return };
    let element = field.width.bytes();
    let put = |i: usize, value: u64| {
        if value <= place.max {
            let at = ctx + u64::from(place.off) + (i * place.width.bytes()) as u64;
            // SAFETY: the backing says that a value of this width stands there, in a cell.
            unsafe { poke(at, place.width, value) };
        }
    };
    if width == field.width && access.within.is_multiple_of(element) {
        return put(access.within / element, new);
    }
    for (i, byte) in bytes_of(new, width)[..width.bytes()].iter().enumerate() {
        let at = access.within + i;
        // SAFETY: the caller's promise.
        let mut old = bytes_of(unsafe { evaluate(ctx, access.place.backing.load, at / element) }, field.width);
        old[at % element] = *byte;
        put(at / element, number(&old[..element]));
    }
}

/// Takes a backing's steps for element `i`.
unsafe fn evaluate(ctx: u64, steps: &[Step], i: usize) -> u64 {
    let mut value = ctx;
    for step in steps {
        value = match *step {
            // SAFETY: the family promises that the step stays inside what the address points to.
            Step::Load(width, off) => unsafe { peek(value + u64::from(off) + (i * width.bytes()) as u64, width) },
            Step::And(mask) => value & mask,
            Step::Shr(bits) => value >> (bits & 63),
            Step::Swap(Width::B2) => u64::from((value as u16).swap_bytes()),
            Step::Swap(Width::B8) => value.swap_bytes(),
            Step::Swap(_) => u64::from((value as u32).swap_bytes()),
            Step::Const(number) => number,
            Step::OrElse(number) if value == 0 => return number,
            Step::OrElse(_) => value,
        };
    }
    value
}

/// A number in memory.
///
/// # Safety
/// One of this width stands there.
#[inline]
pub(super) unsafe fn peek(addr: u64, width: Width) -> u64 {
    let at = addr as usize;
    // SAFETY: a number of this width stands at the address, by the caller's promise.
    unsafe {
        match width {
            Width::B1 => u64::from((at as *const u8).read()),
            Width::B2 => u64::from((at as *const u16).read_unaligned()),
            Width::B4 => u64::from((at as *const u32).read_unaligned()),
            Width::B8 => (at as *const u64).read_unaligned(),
        }
    }
}

unsafe fn poke(addr: u64, width: Width, value: u64) {
    let at = addr as usize;
    // SAFETY: a cell of this width stands at the address, by the caller's promise.
    unsafe {
        match width {
            Width::B1 => (at as *mut u8).write(value as u8),
            Width::B2 => (at as *mut u16).write_unaligned(value as u16),
            Width::B4 => (at as *mut u32).write_unaligned(value as u32),
            Width::B8 => (at as *mut u64).write_unaligned(value),
        }
    }
}

/// The bytes of a number in memory order, from the front.
fn bytes_of(value: u64, width: Width) -> [u8; 8] {
    let mut out = [0; 8];
    let len = width.bytes();
    if cfg!(target_endian = "big") {
        out[..len].copy_from_slice(&value.to_be_bytes()[8 - len..]);
    } else {
        out[..len].copy_from_slice(&value.to_le_bytes()[..len]);
    }
    out
}

/// The number that bytes in memory order are.
fn number(bytes: &[u8]) -> u64 {
    let mut out = [0; 8];
    if cfg!(target_endian = "big") {
        out[8 - bytes.len()..].copy_from_slice(bytes);
        u64::from_be_bytes(out)
    } else {
        out[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(out)
    }
}
