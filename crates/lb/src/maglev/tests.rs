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

/// The part of the flows of others that moves when each of these goes: on the average, and at worst.
fn disruption(slots: u32, all: &[Member], gone: impl Iterator<Item = usize>) -> (f64, f64) {
    let before = table(size(slots), all).expect("weights");
    let parts: Vec<f64> = gone
        .map(|gone| {
            let (moved, others) = moved(&before, &table(size(slots), &without(all, gone)).expect("weights"), gone);
            moved as f64 / others as f64
        })
        .collect();
    (parts.iter().sum::<f64>() / parts.len() as f64, parts.iter().copied().fold(0.0, f64::max))
}

/// Tables with room for a hundred servers, from the smallest on which shares are within 1 %.
const SIZES: [u32; 6] = [10_007, 16_381, 32_749, 65_537, 131_071, 262_139];

/// Weights of a site: all the same; few different ones; up to ten times the smallest; half to one and a half times the mean.
const WEIGHTS: [fn(u64) -> u32; 4] =
    [|_| 1, |key| 1 + (key % 5) as u32, |key| 1 + (key % 10) as u32, |key| 50 + (key % 101) as u32];

/// What one removal moves at worst, and on the average. The figures are those of docs/lb.md; `--no-capture` prints them.
#[test]
fn the_removal_of_one_of_a_hundred_moves_at_most_two_in_a_hundred() {
    for (slots, mean) in SIZES.into_iter().zip([0.0125, 0.0105, 0.008, 0.006, 0.004, 0.003]) {
        for (kind, weight) in WEIGHTS.into_iter().enumerate() {
            let (mut sum, mut worst, sites) = (0.0, 0.0f64, if slots < 30_000 { 4 } else { 1 });
            for number in 0..sites {
                let keys = site(number, 100);
                let all = members(&keys, |i| weight(keys[i]));
                // Of large tables fewer.
                let step = (slots as usize / 16_381).max(1);
                let of = disruption(slots, &all, (0..100).step_by(step));
                (sum, worst) = (sum + of.0 / f64::from(sites), worst.max(of.1));
            }
            eprintln!(
                "{slots:7} slots, weights {kind}: {:.2} % on the average, {:.2} % at worst",
                sum * 100.0,
                worst * 100.0
            );
            assert!(sum <= mean, "{slots} slots, weights {kind}: {sum} of the others' flows on the average");
            assert!(worst <= 0.02, "{slots} slots, weights {kind}: {worst} of the others' flows at worst");
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

    /// The removal of one of a hundred servers moves at most 2 % of the flows of others, whichever servers they are, however
    /// many slots their table has, whatever their weights: as long as it has no more than three times the mean of those.
    #[test]
    fn removal_moves_little(
        number in any::<u8>(), gone in 0usize..100, slots in 10_000u32..70_000,
        weights in prop::collection::vec(1u32..=100, 100), same in any::<bool>(),
    ) {
        let all = members(&site(number, 100), |i| if same { 1 } else { weights[i] });
        let (_, part) = disruption(Size::at_least(slots).slots(), &all, std::iter::once(gone));
        let sum: u32 = all.iter().map(|member| member.weight).sum();
        prop_assume!(all[gone].weight * 100 <= 3 * sum);
        prop_assert!(part <= 0.02, "{part} of the slots of others move");
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
