//! Scalars of 6 and 8 bits: every value of every operand, over many operands.
//!
//! The short run takes some of the operands and of their pairs; with `ALVEARY_EXHAUSTIVE` set, all are taken.

use super::super::{Bounds, ScalarOf};
use super::tnums;
use alveary_isa::Wide;
use alveary_testing::{
    arith,
    instructions::{ALU, CMP, WIDE},
};

/// Every how manieth is taken: `short`, a prime, so that no pattern of the lists is met, or all.
fn stride(short: usize) -> usize {
    if std::env::var_os("ALVEARY_EXHAUSTIVE").is_some() { 1 } else { short }
}

/// The width of an operation.
const fn width<const W: u32, const H: u32>(wide: Wide) -> u32 {
    match wide {
        Wide::W64 => W,
        Wide::W32 => H,
    }
}

/// Scalars of one kind of knowledge, brought in line, and of two kinds at once.
fn operands<const W: u32, const H: u32>() -> Vec<ScalarOf<W, H>> {
    let unknown = ScalarOf::<W, H>::UNKNOWN;
    let mut all = vec![unknown];
    all.extend(tnums::all::<W>().into_iter().map(|bits| ScalarOf { bits, ..unknown }));
    all.extend(ranges::<W>().map(|wide| ScalarOf { wide, ..unknown }));
    all.extend(ranges::<H>().map(|half| ScalarOf { half, ..unknown }));
    let mixed: Vec<_> = all
        .iter()
        .step_by(7)
        .zip(all.iter().rev().step_by(5))
        .map(|(a, b)| {
            let mut both = *a;
            both.bits = a.bits.intersect(b.bits);
            both.wide.intersect(&b.wide);
            both.half.intersect(&b.half);
            both
        })
        .collect();
    all.extend(mixed);
    for scalar in &mut all {
        scalar.sync();
    }
    all.retain(|scalar| scalar.is_consistent() && values(scalar).next().is_some());
    all.sort_by_key(|s| {
        (
            s.wide.umin,
            s.wide.umax,
            s.wide.smin,
            s.wide.smax,
            s.half.umin,
            s.half.umax,
            s.half.smin,
            s.half.smax,
            s.bits.ones,
            s.bits.unknown,
        )
    });
    all.dedup();
    all
}

/// Unsigned ranges and signed ones.
fn ranges<const B: u32>() -> impl Iterator<Item = Bounds<B>> {
    let top = 1u64 << B;
    let pairs = move || (0..top).flat_map(move |min| (min..top).map(move |max| (min, max)));
    let unsigned = pairs().map(|(umin, umax)| Bounds { umin, umax, ..Bounds::FULL });
    let lowest = Bounds::<B>::SMIN;
    let signed =
        pairs().map(move |(min, max)| Bounds { smin: lowest + min as i64, smax: lowest + max as i64, ..Bounds::FULL });
    unsigned.chain(signed)
}

fn values<const W: u32, const H: u32>(scalar: &ScalarOf<W, H>) -> impl Iterator<Item = u64> {
    (0..1u64 << W).filter(|v| scalar.contains(*v))
}

/// Pairs of operands, with the values of each.
fn each_pair<const W: u32, const H: u32>(mut judge: impl FnMut(&ScalarOf<W, H>, &[u64], &ScalarOf<W, H>, &[u64])) {
    let all: Vec<_> = operands::<W, H>().into_iter().map(|s| (s, values(&s).collect::<Vec<_>>())).collect();
    for pair in (0..all.len() * all.len()).step_by(stride(4001)) {
        let ((a, of_a), (b, of_b)) = (&all[pair / all.len()], &all[pair % all.len()]);
        judge(a, of_a, b, of_b);
    }
}

fn sync_loses_no_value<const W: u32, const H: u32>() {
    let unknown = ScalarOf::<W, H>::UNKNOWN;
    let halves: Vec<_> = ranges::<H>().collect();
    let wides: Vec<_> = ranges::<W>().step_by(stride(if W > 6 { 431 } else { 3 })).collect();
    for wide in &wides {
        for half in &halves {
            let before = ScalarOf { wide: *wide, half: *half, ..unknown };
            let mut after = before;
            after.sync();
            for value in values(&before) {
                assert!(after.contains(value), "{value} of {before:?}, lost in {after:?}");
            }
        }
    }
}

fn operations_cover_every_result<const W: u32, const H: u32>() {
    each_pair::<W, H>(|a, of_a, b, of_b| {
        for (op, wide) in ALU.into_iter().flat_map(|op| WIDE.map(|wide| (op, wide))) {
            let mut result = *a;
            result.apply(op, b, wide);
            for (&x, &y) in of_a.iter().flat_map(|x| of_b.iter().map(move |y| (x, y))) {
                let exact = arith::alu(width::<W, H>(wide), op, x, y);
                assert!(result.contains(exact), "{x} {op:?} {y} = {exact} at {wide:?}, of {a:?} and {b:?}: {result:?}");
            }
        }
    });
}

fn jumps_lose_no_value<const W: u32, const H: u32>() {
    each_pair::<W, H>(|a, of_a, b, of_b| {
        for (op, wide) in CMP.into_iter().flat_map(|op| WIDE.map(|wide| (op, wide))) {
            let decided = a.compare(op, b, wide);
            let sides = a.split(op, b, wide);
            for (&x, &y) in of_a.iter().flat_map(|x| of_b.iter().map(move |y| (x, y))) {
                let holds = arith::compare(width::<W, H>(wide), op, x, y);
                assert!(
                    decided.is_none_or(|d| d == holds),
                    "{x} {op:?} {y} at {wide:?} is {holds}, of {a:?} and {b:?}"
                );
                let [to_a, to_b] = if holds { &sides.taken } else { &sides.not_taken };
                assert!(
                    to_a.contains(x) && to_b.contains(y),
                    "{x} {op:?} {y} at {wide:?} of {a:?} and {b:?}: {sides:?}"
                );
            }
        }
    });
}

fn operations_of_one_operand_cover_every_result<const W: u32, const H: u32>() {
    for scalar in operands::<W, H>().into_iter().step_by(stride(if W > 6 { 149 } else { 7 })) {
        let hold = |what: &str, n: u32, after: ScalarOf<W, H>, exact: &dyn Fn(u64) -> u64| {
            for value in values(&scalar) {
                let exact = exact(value) & Bounds::<W>::UMAX;
                assert!(after.contains(exact), "{what} {n} of {value} is {exact}; of {scalar:?}: {after:?}");
            }
        };
        let low = |n: u32, v: u64| v & (u64::MAX >> (64 - n));
        let extend = |n: u32, v: u64| ((v << (64 - n)) as i64 >> (64 - n)) as u64;
        let after = |change: &dyn Fn(&mut ScalarOf<W, H>)| {
            let mut after = scalar;
            change(&mut after);
            after
        };
        hold("negate", W, after(&|s| s.negate(alveary_isa::Wide::W64)), &u64::wrapping_neg);
        hold("negate", H, after(&|s| s.negate(alveary_isa::Wide::W32)), &|v| low(H, v.wrapping_neg()));
        for n in 1..W {
            hold("zero-extend", n, after(&|s| s.zero_extend(n)), &|v| low(n, v));
        }
        for n in 1..=H {
            hold("sign-extend", n, after(&|s| s.sign_extend(n)), &|v| extend(n, v));
        }
        for n in 1..H {
            hold("sign-extend half", n, after(&|s| s.sign_extend_half(n)), &|v| low(H, extend(n, v)));
        }
        hold("move half", H, after(&|s| s.zero_extend_half()), &|v| low(H, v));
        if let Some((zero, ones)) = scalar.fork() {
            assert!(
                values(&scalar).all(|v| zero.contains(v) || ones.contains(v)),
                "{scalar:?} forks to {zero:?}, {ones:?}"
            );
        }
        for (op, wide) in CMP.into_iter().flat_map(|op| WIDE.map(|wide| (op, wide))) {
            let [taken, not_taken] = scalar.split_itself(op, wide);
            for value in values(&scalar) {
                let side = if arith::compare(width::<W, H>(wide), op, value, value) { &taken } else { &not_taken };
                assert!(side.contains(value), "{value} {op:?} itself at {wide:?}, of {scalar:?}: {side:?}");
            }
        }
    }
}

fn joins_hold_both<const W: u32, const H: u32>() {
    each_pair::<W, H>(|a, of_a, b, of_b| {
        let joined = a.join(b);
        let mut widened = joined;
        widened.widen_from(a);
        assert!(widened.covers(&joined) && joined.covers(a) && joined.covers(b), "{a:?} and {b:?}: {joined:?}");
        for value in of_a.iter().chain(of_b) {
            assert!(joined.contains(*value) && widened.contains(*value), "{value} of {a:?} and {b:?}: {joined:?}");
        }
    });
}

#[test]
fn joins_hold_both_of_6_bits() {
    joins_hold_both::<6, 3>();
}

#[test]
fn sync_loses_no_value_of_6_bits() {
    sync_loses_no_value::<6, 3>();
}

#[test]
fn sync_loses_no_value_of_8_bits() {
    sync_loses_no_value::<8, 4>();
}

#[test]
fn operations_cover_every_result_of_6_bits() {
    operations_cover_every_result::<6, 3>();
}

#[test]
fn jumps_lose_no_value_of_6_bits() {
    jumps_lose_no_value::<6, 3>();
}

#[test]
fn operations_of_one_operand_cover_every_result_of_6_bits() {
    operations_of_one_operand_cover_every_result::<6, 3>();
}

#[test]
fn operations_of_one_operand_cover_every_result_of_8_bits() {
    operations_of_one_operand_cover_every_result::<8, 4>();
}
