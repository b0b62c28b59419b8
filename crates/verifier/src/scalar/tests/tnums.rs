//! Tristate numbers of 6 bits: all of them, and all pairs of them.

use super::super::Tnum;

const B: u32 = 6;
type Small = Tnum<B>;
type Binary = (&'static str, fn(Small, Small) -> Small, fn(u64, u64) -> u64);

/// All tristate numbers.
pub(super) fn all<const B: u32>() -> Vec<Tnum<B>> {
    let top = 1u64 << B;
    (0..top)
        .flat_map(|unknown| (0..top).filter(move |ones| ones & unknown == 0).map(move |ones| Tnum { ones, unknown }))
        .collect()
}

/// The numbers that fit, by ascending value.
fn members(t: Small) -> impl Iterator<Item = u64> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let part = next?;
        next = (part != t.unknown).then_some((part.wrapping_sub(t.unknown)) & t.unknown);
        Some(t.ones | part)
    })
}

/// The best that a tristate number can say of a set: the bits that are one in all, and those that differ.
fn best(values: impl Iterator<Item = u64>) -> Small {
    let (ones, any) = values.fold((u64::MAX, 0), |(ones, any), v| (ones & v, any | v));
    Tnum { ones: ones & 63, unknown: any & !ones & 63 }
}

#[test]
fn members_of_a_tristate_number_are_those_that_fit_it() {
    for t in all::<B>() {
        assert_eq!(members(t).collect::<Vec<_>>(), (0..64).filter(|v| t.contains(*v)).collect::<Vec<_>>(), "{t:?}");
    }
}

#[test]
fn sums_differences_and_bitwise_operations_are_the_best_possible() {
    let cases: [Binary; 5] = [
        ("add", Tnum::add, |a, b| (a + b) & 63),
        ("sub", Tnum::sub, |a, b| a.wrapping_sub(b) & 63),
        ("and", Tnum::and, |a, b| a & b),
        ("or", Tnum::or, |a, b| a | b),
        ("xor", Tnum::xor, |a, b| a ^ b),
    ];
    let all = all::<B>();
    for (name, abstracted, concrete) in cases {
        for &a in &all {
            for &b in &all {
                let exact = best(members(a).flat_map(|x| members(b).map(move |y| concrete(x, y))));
                assert_eq!(abstracted(a, b), exact, "{name} of {a:?} and {b:?}");
            }
        }
    }
}

#[test]
fn products_cover_every_product() {
    let all = all::<B>();
    for &a in &all {
        for &b in &all {
            let product = a.mul(b);
            for (x, y) in members(a).flat_map(|x| members(b).map(move |y| (x, y))) {
                assert!(product.contains(x * y), "{x} * {y} of {a:?} and {b:?}: {product:?}");
            }
        }
    }
}

#[test]
fn shifts_are_the_best_possible() {
    for t in all::<B>() {
        for by in 0..B {
            assert_eq!(t.shl(by), best(members(t).map(|v| v << by)), "{t:?} << {by}");
            assert_eq!(t.shr(by), best(members(t).map(|v| v >> by)), "{t:?} >> {by}");
            let signed = |v: u64| ((v as i64) << 58 >> 58 >> by) as u64;
            assert_eq!(t.sar(by), best(members(t).map(signed)), "{t:?} s>> {by}");
        }
    }
}

#[test]
fn ranges_become_their_common_bits() {
    for min in 0..64 {
        for max in min..64 {
            // Not the best for every range: bits below the highest that differs are all given up.
            let t = Small::range(min, max);
            assert!((min..=max).all(|v| t.contains(v)));
            assert_eq!(t.ones >> (64 - t.unknown.leading_zeros()), min >> (64 - t.unknown.leading_zeros()));
            assert_eq!(t.unknown, best(min..=max).unknown, "{min}..={max}");
        }
    }
}

#[test]
fn relations_say_what_sets_say() {
    let all = all::<4>();
    let set = |t: Tnum<4>| (0..16).filter(|v| t.contains(*v)).fold(0u32, |set, v| set | 1 << v);
    for &a in &all {
        for &b in &all {
            assert_eq!(a.covers(b), set(b) & !set(a) == 0, "{a:?} {b:?}");
            assert_eq!(a.overlaps(b), set(a) & set(b) != 0, "{a:?} {b:?}");
            assert_eq!(set(a.union(b)) & (set(a) | set(b)), set(a) | set(b), "{a:?} {b:?}");
            if a.overlaps(b) {
                assert_eq!(set(a.intersect(b)), set(a) & set(b), "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn after_gives_the_next_number_that_fits() {
    for t in all::<B>() {
        for value in 0..64 {
            let next = members(t).find(|v| *v > value).unwrap_or(t.umax());
            assert_eq!(t.after(value), next, "after {value} in {t:?}");
        }
    }
}
