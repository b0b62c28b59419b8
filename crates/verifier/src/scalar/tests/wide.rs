//! Scalars of 64 and 32 bits: drawn operands, and drawn values of them.

use super::super::{Bounds, Scalar, Tnum};
use alveary_testing::{
    arith,
    instructions::{ALU, CMP, WIDE},
};
use proptest::prelude::*;

/// Numbers near limits of all widths, and any.
fn number() -> impl Strategy<Value = u64> {
    let limits = prop::sample::select(vec![
        0,
        1,
        u64::MAX,
        1 << 31,
        (1 << 31) - 1,
        1 << 32,
        u64::from(u32::MAX),
        1 << 63,
        i64::MAX as u64,
        255,
        32768,
    ]);
    prop_oneof![(limits, -2i64..=2).prop_map(|(at, near)| at.wrapping_add_signed(near)), any::<u64>(), 0u64..64]
}

/// A value and a scalar that it is one of.
fn member() -> impl Strategy<Value = (u64, Scalar)> {
    (number(), number(), number(), number(), prop_oneof![Just(0), Just(u64::MAX), any::<u64>()], any::<[bool; 4]>())
        .prop_map(|(value, a, b, c, unknown, keep)| {
            let mut scalar = Scalar { bits: Tnum { ones: value & !unknown, unknown }, ..Scalar::UNKNOWN };
            if keep[0] {
                (scalar.wide.umin, scalar.wide.umax) = (value.min(a), value.max(a));
            }
            if keep[1] {
                (scalar.wide.smin, scalar.wide.smax) = ((value as i64).min(b as i64), (value as i64).max(b as i64));
            }
            let (low, other) = (value as u32, c as u32);
            if keep[2] {
                (scalar.half.umin, scalar.half.umax) = (u64::from(low.min(other)), u64::from(low.max(other)));
            }
            if keep[3] {
                (scalar.half.smin, scalar.half.smax) =
                    (i64::from((low as i32).min(other as i32)), i64::from((low as i32).max(other as i32)));
            }
            scalar.sync();
            (value, scalar)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn sync_keeps_the_value_and_stays_consistent((value, scalar) in member()) {
        prop_assert!(scalar.contains(value));
        prop_assert!(scalar.is_consistent());
        prop_assert!(Scalar::UNKNOWN.covers(&scalar));
        prop_assert!(scalar.covers(&Scalar::known(value)));
    }

    #[test]
    fn operations_cover_the_result((x, a) in member(), (y, b) in member(), shift in 0u64..64) {
        for (op, wide) in ALU.into_iter().flat_map(|op| WIDE.map(|wide| (op, wide))) {
            for (y, b) in [(y, b), (shift, Scalar::known(shift))] {
                let mut result = a;
                result.apply(op, &b, wide);
                let exact = arith::alu(arith::bits(wide), op, x, y);
                prop_assert!(result.contains(exact), "{x:#x} {op:?} {y:#x} at {wide:?} of {a} and {b}: {result}");
            }
        }
    }

    #[test]
    fn jumps_keep_the_value((x, a) in member(), (y, b) in member()) {
        for (op, wide) in CMP.into_iter().flat_map(|op| WIDE.map(|wide| (op, wide))) {
            let holds = arith::compare(arith::bits(wide), op, x, y);
            prop_assert!(a.compare(op, &b, wide).is_none_or(|decided| decided == holds), "{op:?} {wide:?} {a} {b}");
            let sides = a.split(op, &b, wide);
            let [to_a, to_b] = if holds { sides.taken } else { sides.not_taken };
            prop_assert!(to_a.contains(x) && to_b.contains(y), "{x:#x} {op:?} {y:#x} {wide:?} of {a} and {b}: {to_a} {to_b}");
        }
    }

    #[test]
    fn extensions_cover_the_result((value, scalar) in member()) {
        for n in [8, 16, 32] {
            let mut narrow = scalar;
            narrow.zero_extend(n);
            prop_assert!(narrow.contains(value & (u64::MAX >> (64 - n))));
            let extended = ((value << (64 - n)) as i64 >> (64 - n)) as u64;
            let mut narrow = scalar;
            narrow.sign_extend(n);
            prop_assert!(narrow.contains(extended), "{n} {value:#x} of {scalar}: {narrow}");
            if n < 32 {
                let mut narrow = scalar;
                narrow.sign_extend_half(n);
                prop_assert!(narrow.contains(u64::from(extended as u32)), "{n} {value:#x} of {scalar}: {narrow}");
            }
        }
    }
}

#[test]
fn a_scalar_is_printed_as_the_kernel_prints_it() {
    let of = |change: fn(&mut Scalar)| {
        let mut scalar = Scalar::UNKNOWN;
        change(&mut scalar);
        scalar.sync();
        scalar.to_string()
    };
    assert_eq!(of(|_| {}), "scalar()");
    assert_eq!(of(|s| *s = Scalar::known(70_000)), "0x11170");
    assert_eq!(of(|s| *s = Scalar::known(u64::MAX)), "-1");
    assert_eq!(of(|s| s.zero_extend(8)), "scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))");
    assert_eq!(of(|s| s.zero_extend_half()), "scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff))");
    assert_eq!(of(|s| (s.wide.smin, s.wide.smax) = (-4096, 100)), "scalar(smin=smin32=-4096,smax=smax32=100)");
    assert_eq!(Bounds::<32>::SMIN, i64::from(i32::MIN));
}
