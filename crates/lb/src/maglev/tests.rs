//! What users may rely on: shares, little movement, the same table everywhere.

use super::*;
use proptest::prelude::*;

fn size(slots: u32) -> Size {
    Size::new(slots).expect("a prime number")
}

fn members(keys: &[u64], weight: impl Fn(usize) -> u32) -> Vec<Member> {
    keys.iter().enumerate().map(|(i, key)| Member::new(*key, weight(i))).collect()
}

fn counts(table: &[u32], members: usize) -> Vec<u32> {
    let mut counts = vec![0; members];
    table.iter().for_each(|index| counts[*index as usize] += 1);
    counts
}

/// Keys of this many servers of one site.
fn site(number: u8, servers: u16) -> Vec<u64> {
    (0..servers).map(|i| key(IpAddr::from([10, number, (i >> 8) as u8, i as u8]), None)).collect()
}

#[test]
fn sizes_are_prime() {
    assert_eq!(Size::new(16381).map(Size::slots), Some(16381));
    assert_eq!(Size::new(16384), None);
    assert_eq!(Size::new(2), None, "there is no order of preference among so few");
    assert_eq!(Size::at_least(10_000).slots(), 10_007);
    assert_eq!(Size::at_least(0).slots(), 3);
    assert_eq!(Size::new(Size::at_least(u32::MAX).slots()), Some(Size::at_least(u32::MAX)));
}

#[test]
fn nobody_with_weight_is_no_table() {
    assert_eq!(table(size(17), &[]), None);
    assert_eq!(table(size(17), &[Member::new(1, 0)]), None);
    assert_eq!(table(size(17), &[Member::new(1, 9)]), Some(vec![0; 17]));
}

#[test]
fn members_of_one_key_share() {
    let twins = [Member::new(7, 1), Member::new(7, 1)];
    let counts = counts(&table(size(101), &twins).expect("weights"), 2);
    assert_eq!(counts.iter().sum::<u32>(), 101);
    assert!(counts.iter().all(|count| (50..=51).contains(count)), "{counts:?}");
}

/// Rounds in which nobody takes a slot are not waited for: there would be four billion of them.
#[test]
fn the_light_wait_for_nobody() {
    let most = u32::MAX;
    // 17 slots: eight for each of the heavy ones, and one that the light one is due with the largest rest.
    let all = [Member::new(1, most), Member::new(2, most - 8), Member::new(3, most / 16)];
    let counts = counts(&table(size(17), &all).expect("weights"), 3);
    assert_eq!(counts, [8, 8, 1]);
    let one = [Member::new(1, most), Member::new(2, 1)];
    assert!(table(size(Size::at_least(most).slots()), &one).is_some());
}

#[test]
fn keys_tell_addresses_and_ports_apart() {
    let four = IpAddr::from([192, 0, 2, 1]);
    assert_ne!(key(four, None), key(IpAddr::from([192, 0, 2, 2]), None));
    assert_ne!(key(four, None), key(four, Some(0)));
    assert_ne!(key(four, Some(80)), key(four, Some(81)));
}

/// How many slots of others than `gone` have another server afterwards, and how many they are.
fn moved(before: &[u32], after: &[u32], gone: usize) -> (usize, usize) {
    let others = || before.iter().zip(after).filter(|(was, _)| **was != gone as u32);
    (others().filter(|(was, is)| was != is).count(), others().count())
}

/// Who is taken out of the configuration, rather than away for a while.
fn without(all: &[Member], gone: usize) -> Vec<Member> {
    let mut fewer = all.to_vec();
    // Its number stays, so that the others' do.
    (fewer[gone].weight, fewer[gone].now) = (0, 0);
    fewer
}

#[test]
fn the_removal_of_one_of_a_hundred_moves_little_else() {
    for (slots, bound) in [(10_007, 0.018), (16_381, 0.014), (65_537, 0.006)] {
        let all = members(&site(1, 100), |_| 1);
        let before = table(size(slots), &all).expect("weights");
        let mut mean = 0.0;
        for gone in 0..all.len() {
            let after = table(size(slots), &without(&all, gone)).expect("weights");
            let (moved, others) = moved(&before, &after, gone);
            mean += moved as f64 / others as f64 / all.len() as f64;
        }
        assert!(mean <= bound, "{slots} slots: {mean} of the others' flows move");
    }
}

/// What one removal moves at worst: 330 slots for each server and more keep it well below two in a hundred.
#[test]
fn the_worst_removal_of_one_of_a_hundred() {
    for (slots, bound) in [(16_381, 0.022), (32_749, 0.013), (65_537, 0.009)] {
        for number in 0..4 {
            let all = members(&site(number, 100), |_| 1);
            let before = table(size(slots), &all).expect("weights");
            for gone in 0..all.len() {
                let after = table(size(slots), &without(&all, gone)).expect("weights");
                let (moved, others) = moved(&before, &after, gone);
                assert!(moved as f64 <= bound * others as f64, "{slots} slots, site {number}: {moved} of {others}");
            }
        }
    }
}

/// A server that flaps.
#[test]
fn who_is_away_moves_nobody_else_and_comes_back_to_its_place() {
    let all = members(&site(2, 100), |_| 1);
    let before = table(size(16_381), &all).expect("weights");
    for gone in 0..all.len() {
        let mut fewer = all.clone();
        fewer[gone].now = 0;
        let after = table(size(16_381), &fewer).expect("weights");
        assert_eq!(moved(&before, &after, gone).0, 0, "server {gone}");
        assert!(!after.contains(&(gone as u32)));
        let counts = counts(&after, 100);
        assert!((0..100).all(|i| i == gone || (165..=166).contains(&counts[i])), "{counts:?}");
    }
}

/// A server that starts slowly takes its own slots, a few each time.
#[test]
fn a_slow_start_grows_into_the_place_of_the_server() {
    let mut all = members(&site(3, 10), |_| 100);
    let whole = table(size(10_007), &all).expect("weights");
    let mut before = Vec::new();
    for now in [10, 25, 50, 99] {
        all[4].now = now;
        let table = table(size(10_007), &all).expect("weights");
        let its: Vec<usize> = (0..table.len()).filter(|slot| table[*slot] == 4).collect();
        let share = 10_007.0 * f64::from(now) / f64::from(900 + now);
        assert!((its.len() as f64 - share).abs() < 1.0, "{} slots at {now}", its.len());
        assert!(its.iter().all(|slot| whole[*slot] == 4), "its own");
        assert!(before.iter().all(|slot| its.contains(slot)), "what it had before");
        before = its;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A server's slots are its share of the table, rounded: off by less than one slot, which is 1 % of the mean share
    /// where there are a hundred slots for each server.
    #[test]
    fn shares_are_weights(number in any::<u8>(), weights in prop::collection::vec(0u32..100_000, 1..160)) {
        let keys = site(number, weights.len() as u16);
        let all = members(&keys, |i| weights[i]);
        let size = Size::at_least(100 * weights.len() as u32);
        let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let Some(table) = table(size, &all) else {
            prop_assert_eq!(sum, 0);
            return Ok(());
        };
        let mean = f64::from(size.slots()) / weights.len() as f64;
        for (count, weight) in counts(&table, weights.len()).into_iter().zip(weights) {
            let wanted = f64::from(size.slots()) * f64::from(weight) / sum as f64;
            prop_assert!((f64::from(count) - wanted).abs() < 1.0, "{count} slots where {wanted} are its share");
            prop_assert!((f64::from(count) - wanted).abs() <= 0.01 * mean);
        }
    }

    /// Where servers have the same weight, none has more than 1 % more than its share.
    #[test]
    fn equal_shares_are_equal(number in any::<u8>(), servers in 1u16..200) {
        let keys = site(number, servers);
        let size = Size::at_least(100 * u32::from(servers));
        let table = table(size, &members(&keys, |_| 7)).expect("weights");
        let wanted = f64::from(size.slots()) / f64::from(servers);
        for count in counts(&table, keys.len()) {
            prop_assert!((f64::from(count) / wanted - 1.0).abs() <= 0.01, "{count} slots, {wanted} are its share");
        }
    }

    /// Neither the order of the configuration nor the unit of weights changes a flow's server.
    #[test]
    fn a_table_is_who_is_in_it(number in any::<u8>(), servers in 2u16..40, by in 1usize..39, unit in 2u32..1000) {
        let keys = site(number, servers);
        let all = members(&keys, |i| 1 + i as u32 % 5);
        let whose = |of: &[Member]| {
            let table = table(size(4093), of).expect("weights");
            table.into_iter().map(|index| of[index as usize].key).collect::<Vec<_>>()
        };
        let mut turned = all.clone();
        turned.rotate_left(by % all.len());
        prop_assert_eq!(whose(&all), whose(&turned));
        let scaled: Vec<_> = all.iter().map(|m| Member::new(m.key, m.weight * unit)).collect();
        prop_assert_eq!(whose(&all), whose(&scaled));
    }

    /// The removal of one of a hundred servers moves at most 2 % of the flows of others, whichever servers they are.
    #[test]
    fn removal_moves_little(number in any::<u8>(), gone in 0usize..100, slots in prop::sample::select(vec![32_749, 65_537])) {
        let all = members(&site(number, 100), |_| 1);
        let before = table(size(slots), &all).expect("weights");
        let after = table(size(slots), &without(&all, gone)).expect("weights");
        let (moved, others) = moved(&before, &after, gone);
        prop_assert!(moved as f64 <= 0.02 * others as f64, "{moved} of {others} slots");
    }

    /// Whoever is away, with whatever weights: others keep their slots, but for one that rounding may cost each.
    #[test]
    fn absence_moves_only_what_it_must(number in any::<u8>(), weights in prop::collection::vec((1u32..1000, any::<bool>()), 2..60)) {
        let mut all = members(&site(number, weights.len() as u16), |i| weights[i].0);
        let before = table(size(8191), &all).expect("weights");
        for (member, (_, there)) in all.iter_mut().zip(&weights) {
            member.now = if *there { member.weight } else { 0 };
        }
        let Some(after) = table(size(8191), &all) else {
            prop_assert!(weights.iter().all(|(_, there)| !there));
            return Ok(());
        };
        let moved = before.iter().zip(&after).filter(|(was, is)| was != is && weights[**was as usize].1).count();
        prop_assert!(moved < weights.len(), "{moved} slots");
        let sum: u32 = all.iter().map(|member| member.now).sum();
        for (count, member) in counts(&after, all.len()).into_iter().zip(&all) {
            prop_assert!((f64::from(count) - 8191.0 * f64::from(member.now) / f64::from(sum)).abs() < 1.0);
        }
    }
}
