//! Scalars in the notation of the kernel's log, with what it leaves out.

use super::{Scalar, Tnum};
use std::fmt::{self, Display, Formatter};

/// The id that links registers of one origin, and the distance from it if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Id {
    /// The number; 0 is none.
    pub id: u32,
    /// The constant that was added since.
    pub distance: Option<i32>,
}

/// A scalar as the kernel prints it: `scalar(id=1,umax=255,var_off=(0x0; 0xff))`.
#[derive(Clone, Copy, Debug)]
pub struct Printed<'a> {
    /// What is known of it.
    pub scalar: &'a Scalar,
    /// Its id.
    pub id: Id,
    /// Whether its exact value matters to the verdict, which `P` says.
    pub precise: bool,
}

impl Display for Printed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.precise {
            f.write_str("P")?;
        }
        if let Some(value) = self.scalar.value() {
            return print_snum(f, value as i64);
        }
        f.write_str("scalar(")?;
        let mut separator = "";
        if self.id.id != 0 {
            write!(f, "id={}", self.id.id)?;
            if let Some(distance) = self.id.distance {
                write!(f, "{distance:+}")?;
            }
            separator = ",";
        }
        self.scalar.print_ranges(f, separator)?;
        f.write_str(")")
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printed { scalar: self, id: Id::default(), precise: false }.fmt(f)
    }
}

/// A limit, as the log has it.
struct Limit {
    name: &'static str,
    value: u64,
    signed: bool,
    printed: bool,
}

impl Limit {
    const fn negative(&self) -> bool {
        self.signed && (self.value as i64) < 0
    }
}

impl Scalar {
    /// Ranges and bits, as they stand in the parentheses of scalars and of pointers: limits that say nothing are left
    /// out, equal ones share their number.
    ///
    /// # Errors
    /// The writer's.
    pub fn print_ranges(&self, f: &mut impl fmt::Write, mut separator: &str) -> fmt::Result {
        let mut limits = self.limits();
        for at in 0..limits.len() {
            let (head, rest) = limits.split_at_mut(at + 1);
            let limit = &head[at];
            if !limit.printed {
                continue;
            }
            write!(f, "{separator}{}=", limit.name)?;
            separator = ",";
            for same in rest.iter_mut().skip(1).step_by(2) {
                if same.printed && same.value == limit.value && same.negative() == limit.negative() {
                    same.printed = false;
                    write!(f, "{}=", same.name)?;
                }
            }
            if limit.signed { print_snum(f, limit.value as i64)? } else { print_unum(f, limit.value)? }
        }
        if !self.bits.is_unknown() {
            write!(f, "{separator}var_off={}", self.bits)?;
        }
        Ok(())
    }

    fn limits(&self) -> [Limit; 8] {
        let (wide, half) = (&self.wide, &self.half);
        let signed =
            |name, value: i64, omitted| Limit { name, value: value as u64, signed: true, printed: value != omitted };
        let unsigned = |name, value, omitted| Limit { name, value, signed: false, printed: value != omitted };
        // Numbers of 32 bits that are printed in hexadecimal are not sign-extended.
        let signed32 = |name, value: i64, omitted: i32| {
            let shown = if is_short(value) { value } else { i64::from(value as u32) };
            Limit { name, value: shown as u64, signed: true, printed: value != i64::from(omitted) }
        };
        [
            signed("smin", wide.smin, i64::MIN),
            signed("smax", wide.smax, i64::MAX),
            unsigned("umin", wide.umin, 0),
            unsigned("umax", wide.umax, u64::MAX),
            signed32("smin32", half.smin, i32::MIN),
            signed32("smax32", half.smax, i32::MAX),
            unsigned("umin32", half.umin, 0),
            unsigned("umax32", half.umax, u64::from(u32::MAX)),
        ]
    }
}

impl Display for Tnum<64> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.value() {
            Some(value) => print_unum(f, value),
            None => write!(f, "({:#x}; {:#x})", self.ones, self.unknown),
        }
    }
}

const fn is_short(number: i64) -> bool {
    number as i16 as i64 == number
}

/// A signed number as the log has it: decimal if it fits 16 bits, else hexadecimal.
///
/// # Errors
/// The writer's.
pub fn print_snum(f: &mut impl fmt::Write, number: i64) -> fmt::Result {
    if is_short(number) { write!(f, "{number}") } else { write!(f, "{number:#x}") }
}

/// An unsigned number as the log has it: decimal if it fits 16 bits, else hexadecimal.
///
/// # Errors
/// The writer's.
pub fn print_unum(f: &mut impl fmt::Write, number: u64) -> fmt::Result {
    if number <= u64::from(u16::MAX) { write!(f, "{number}") } else { write!(f, "{number:#x}") }
}
