//! A filter as the data plane asks for it: entries of `matches`, of which any must fit; an entry that does not suffice for
//! what must fit together goes on in the next one.

use super::filter::{Filter, Side, Test, wrong};
use crate::wire::address;
use alveary_diag::Diagnostic;
use alveary_sort::{Gather, Sort};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::Range,
};

/// Entries that there are.
pub const MOST: usize = 16;
/// Alternatives that are looked at before it is clear that there are too many.
const ALTERNATIVES: usize = 4096;

/// What a filter names is found by this: numbers of VIPs and reals.
pub trait Numbers {
    /// VIPs of this address, and of this port if one is said.
    fn vips(&self, address: IpAddr, port: Option<u16>) -> BTreeSet<u32>;
    /// Reals of this address.
    fn reals(&self, address: IpAddr) -> BTreeSet<u32>;
}

/// `struct lb_match`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    given: u32,
    not: u32,
    prefixes: [Option<(IpAddr, u8)>; 2],
    ranges: [(u32, u32); RANGES.len()],
}

/// Bits of `given` and `not`: those of addresses are the first two.
const AND: u32 = 1 << 31;
/// What has ranges: its bit, and the largest number.
const RANGES: [(u32, u32); 8] = [
    (1 << 2, u16::MAX as u32),
    (1 << 3, u16::MAX as u32),
    (1 << 4, u8::MAX as u32),
    (1 << 5, u8::MAX as u32),
    (1 << 6, u32::MAX),
    (1 << 7, u32::MAX),
    (1 << 8, u32::MAX),
    (1 << 9, u16::MAX as u32),
];
const PROTOCOL: usize = 2;
const VERSION: usize = 3;
const VIP: usize = 4;
const REAL: usize = 5;
const VERDICT: usize = 6;
const LENGTH: usize = 7;

impl Match {
    /// Bytes of it.
    pub const SIZE: usize = 116;

    /// As the map has it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = [self.given, self.not].iter().flat_map(|word| word.to_ne_bytes()).collect();
        for prefix in self.prefixes {
            let (ip, bits) = prefix.unwrap_or((IpAddr::from([0; 4]), 0));
            bytes.extend(address(ip));
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            bytes.extend(mask.to_be_bytes());
        }
        for at in [0, 1, LENGTH] {
            let (first, last) = self.ranges[at];
            bytes.extend([first as u16, last as u16].iter().flat_map(|half| half.to_ne_bytes()));
        }
        for at in [PROTOCOL, VERSION] {
            let (first, last) = self.ranges[at];
            bytes.extend([first as u8, last as u8]);
        }
        let version = |prefix: Option<(IpAddr, u8)>| prefix.map_or(0, |(ip, _)| if ip.is_ipv4() { 4 } else { 6 });
        bytes.extend(self.prefixes.map(version));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        for at in [VIP, REAL, VERDICT] {
            let (first, last) = self.ranges[at];
            bytes.extend([first, last].iter().flat_map(|word| word.to_ne_bytes()));
        }
        bytes
    }
}

/// The matches of a filter; none if no packet can fit it.
///
/// # Errors
/// A VIP or a real that there is not; more than [`MOST`] entries. With the place in the filter's text.
pub fn matches(text: &str, filter: &Filter, numbers: &dyn Numbers) -> Result<Vec<Match>, Diagnostic> {
    let alternatives = alternatives(text, filter, false, numbers)?;
    let mut all: Vec<Match> = Vec::new();
    let mut known: Vec<Vec<Match>> = Vec::new();
    for alternative in &alternatives {
        let Some(entries) = together(alternative) else { continue };
        if known.contains(&entries) {
            continue;
        }
        if all.len() + entries.len() > MOST {
            let place = alternative.iter().map(|literal| &literal.place).max_by_key(|place| place.end);
            return Err(too_many(text, place.unwrap_or(&(0..text.len()))));
        }
        all.extend(entries.iter().cloned());
        known.push(entries);
    }
    Ok(all)
}

fn too_many(text: &str, place: &Range<usize>) -> Diagnostic {
    wrong(text, place, format!("from here on the filter needs more than the {MOST} matches that the data plane asks"))
        .help(
            "each `or` takes one, and what is combined with it by `and` is multiplied; `host` and `port` are two each",
        )
        .help("ranges and prefixes instead of single values; or record more, and filter the file")
}

/// A test that is wanted, or not.
#[derive(Clone, Debug)]
struct Literal {
    wants: Wants,
    not: bool,
    place: Range<usize>,
}

#[derive(Clone, Debug)]
enum Wants {
    Prefix(usize, IpAddr, u8),
    Range(usize, u32, u32),
}

/// What must fit together.
type Together = Vec<Literal>;

/// A filter as alternatives, each of what must fit together; its opposite if `not`.
fn alternatives(text: &str, filter: &Filter, not: bool, numbers: &dyn Numbers) -> Result<Vec<Together>, Diagnostic> {
    match filter {
        Filter::Not(inner) => alternatives(text, inner, !not, numbers),
        Filter::Test(test, place) => literals(text, test, place, not, numbers),
        // Not all of them: one that is not. Not any of them: all that are not.
        Filter::All(parts) | Filter::Any(parts) if matches!(filter, Filter::Any(_)) != not => {
            let mut any = Vec::new();
            for part in parts {
                any.extend(alternatives(text, part, not, numbers)?);
                if any.len() > ALTERNATIVES {
                    return Err(too_many(text, &place_of(part, text)));
                }
            }
            Ok(any)
        }
        Filter::All(parts) | Filter::Any(parts) => {
            let mut all: Vec<Together> = vec![Vec::new()];
            for part in parts {
                let more = alternatives(text, part, not, numbers)?;
                if all.len() * more.len() > ALTERNATIVES {
                    return Err(too_many(text, &place_of(part, text)));
                }
                let both = |one: &Together| more.iter().map(|two| [&one[..], two].concat()).collect::<Vec<_>>();
                // What cannot be is none, and what is the same is one: else each part could double them.
                let known = all.iter().flat_map(both).filter_map(|all| Some((together(&all)?, all)));
                all = known.gather::<BTreeMap<_, _>>().into_values().collect();
            }
            Ok(all)
        }
    }
}

fn place_of(filter: &Filter, text: &str) -> Range<usize> {
    match filter {
        Filter::Test(_, place) => place.clone(),
        Filter::Not(inner) => place_of(inner, text),
        Filter::All(parts) | Filter::Any(parts) => match &parts[..] {
            [first, .., last] => place_of(first, text).start..place_of(last, text).end,
            [only] => place_of(only, text),
            [] => 0..text.len(),
        },
    }
}

/// One test as alternatives.
fn literals(
    text: &str,
    test: &Test,
    place: &Range<usize>,
    not: bool,
    numbers: &dyn Numbers,
) -> Result<Vec<Together>, Diagnostic> {
    let side = |side: &Side| usize::from(*side == Side::Destination);
    let one = |wants: Wants| Literal { wants, not, place: place.clone() };
    let range = |what: usize, first: u32, last: u32| Ok(vec![vec![one(Wants::Range(what, first, last))]]);
    let any_of = |what: usize, set: BTreeSet<u32>| {
        let literals = set.into_iter().map(|number| one(Wants::Range(what, number, number)));
        // None of them: all that are not.
        if not { vec![literals.collect()] } else { literals.map(|literal| vec![literal]).collect() }
    };
    match test {
        Test::Address(of, ip, bits) => Ok(vec![vec![one(Wants::Prefix(side(of), *ip, *bits))]]),
        Test::Port(of, first, last) => range(side(of), (*first).into(), (*last).into()),
        Test::Protocol(number) => range(PROTOCOL, (*number).into(), (*number).into()),
        Test::Version(number) => range(VERSION, (*number).into(), (*number).into()),
        Test::Length(first, last) => range(LENGTH, (*first).into(), (*last).into()),
        Test::Verdict(first, last) => range(VERDICT, *first, *last),
        Test::Vip(ip, port) => {
            let found = numbers.vips(*ip, *port);
            if found.is_empty() {
                return Err(wrong(text, place, "the balancer has no such VIP").help("alveary lb vips"));
            }
            Ok(any_of(VIP, found))
        }
        Test::Real(ip) => {
            let found = numbers.reals(*ip);
            if found.is_empty() {
                return Err(wrong(text, place, "the balancer has no such real").help("alveary lb reals"));
            }
            Ok(any_of(REAL, found))
        }
    }
}

/// Entries for what must fit together: as many as the field that is asked most often needs. `None`: nothing can fit.
fn together(literals: &Together) -> Option<Vec<Match>> {
    let mut entries: Vec<Match> = vec![Match::default()];
    let mut put = |index: usize, bit: u32, not: bool, set: &dyn Fn(&mut Match)| {
        while entries.len() <= index {
            entries.push(Match::default());
        }
        let entry = &mut entries[index];
        entry.given |= bit;
        entry.not |= if not { bit } else { 0 };
        set(entry);
    };
    for side in 0..2 {
        for (index, (ip, bits, not)) in prefixes(literals, side)?.into_iter().enumerate() {
            put(index, 1 << side, not, &|entry| entry.prefixes[side] = Some((ip, bits)));
        }
    }
    for (what, (bit, most)) in RANGES.into_iter().enumerate() {
        for (index, (first, last, not)) in ranges(literals, what, most)?.into_iter().enumerate() {
            put(index, bit, not, &|entry| entry.ranges[what] = (first, last));
        }
    }
    let last = entries.len() - 1;
    entries[..last].iter_mut().for_each(|entry| entry.given |= AND);
    Some(entries)
}

/// Prefixes that an address has to be in, or must not be in.
fn prefixes(literals: &Together, side: usize) -> Option<Vec<(IpAddr, u8, bool)>> {
    let mut within: Option<(IpAddr, u8)> = None;
    let mut without: Vec<(IpAddr, u8)> = Vec::new();
    for literal in literals {
        let Wants::Prefix(of, ip, bits) = literal.wants else { continue };
        if of != side {
            continue;
        }
        if literal.not {
            without.push((ip, bits));
        } else if let Some(before) = within {
            // Two prefixes are one in the other, or have nothing in common.
            within = match (holds(before, (ip, bits)), holds((ip, bits), before)) {
                (true, _) => Some((ip, bits)),
                (_, true) => Some(before),
                _ => return None,
            };
        } else {
            within = Some((ip, bits));
        }
    }
    let mut all: Vec<(IpAddr, u8, bool)> = within.map(|(ip, bits)| (ip, bits, false)).into_iter().collect();
    without.order_by_key(|(_, bits)| *bits);
    let mut kept: Vec<(IpAddr, u8)> = Vec::new();
    for hole in without {
        if within.is_some_and(|within| holds(hole, within)) {
            return None;
        }
        let matters = within.is_none_or(|within| holds(within, hole));
        if matters && !kept.iter().any(|other| holds(*other, hole)) {
            kept.push(hole);
        }
    }
    all.extend(kept.into_iter().map(|(ip, bits)| (ip, bits, true)));
    Some(all)
}

/// Whether all addresses of a prefix are in another.
fn holds(outer: (IpAddr, u8), inner: (IpAddr, u8)) -> bool {
    let bits = |ip: IpAddr| u128::from_be_bytes(address(ip));
    let differs = bits(outer.0) ^ bits(inner.0);
    outer.0.is_ipv4() == inner.0.is_ipv4() && outer.1 <= inner.1 && differs.leading_zeros() >= outer.1.into()
}

/// Ranges that a number has to be in, or must not be in.
fn ranges(literals: &Together, what: usize, most: u32) -> Option<Vec<(u32, u32, bool)>> {
    let (mut first, mut last) = (0, most);
    let mut holes: Vec<(u32, u32)> = Vec::new();
    for literal in literals {
        match literal.wants {
            Wants::Range(of, from, to) if of == what && literal.not => holes.push((from, to)),
            Wants::Range(of, from, to) if of == what => (first, last) = (first.max(from), last.min(to)),
            _ => {}
        }
    }
    holes.order();
    let mut inner: Vec<(u32, u32)> = Vec::new();
    for (from, to) in holes {
        // Holes that overlap or touch are one.
        match inner.last_mut() {
            Some((_, end)) if from <= end.saturating_add(1) => *end = to.max(*end),
            _ => inner.push((from, to)),
        }
    }
    let mut kept = Vec::new();
    let whole = (first, last) == (0, most);
    for (from, to) in inner {
        if from <= first && to >= last {
            return None;
        }
        match (from <= first, to >= last) {
            _ if to < first || from > last => {}
            // A hole at an end is a shorter range.
            (true, _) if !whole => first = to + 1,
            (_, true) if !whole => last = from - 1,
            _ => kept.push((from, to, true)),
        }
    }
    if first > last {
        return None;
    }
    let mut all = Vec::new();
    if (first, last) != (0, most) {
        all.push((first, last, false));
    }
    all.extend(kept);
    Some(all)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
