//! Rates, times and shares as people write them: `20mbit`, `15ms`, `1%`.

use serde::{Deserialize, Deserializer, de::Error};

/// A unit, and how much it is.
type Unit = (&'static str, f64);

/// Bits per second. What others end with comes last.
const RATES: &[Unit] = &[("gbit", 1e9), ("mbit", 1e6), ("kbit", 1e3), ("bit", 1.0)];
/// Nanoseconds.
const TIMES: &[Unit] = &[("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)];
/// Parts of a million.
const SHARES: &[Unit] = &[("%", 1e4)];
/// More than this of nothing is meant by anyone: a year in nanoseconds is less.
const MOST: f64 = 1e17;

/// Bits per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate(pub(super) u64);

/// Nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Time(pub(super) u64);

/// Parts of a million.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share(pub(super) u32);

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Rate, D::Error> {
        let rate = quantity(&String::deserialize(from)?, "rate", RATES).map_err(D::Error::custom)?;
        if rate == 0 { Err(D::Error::custom("by a rate of 0 nothing is ever sent")) } else { Ok(Rate(rate)) }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
        quantity(&String::deserialize(from)?, "time", TIMES).map(Time).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Share, D::Error> {
        let text = String::deserialize(from)?;
        let parts = quantity(&text, "share", SHARES).map_err(D::Error::custom)?;
        let share = u32::try_from(parts).ok().filter(|parts| *parts <= 1_000_000);
        share.map(Share).ok_or_else(|| D::Error::custom(format!("`{text}` is more than everything")))
    }
}

fn quantity(text: &str, what: &str, units: &[Unit]) -> Result<u64, String> {
    let number = |(unit, factor): &Unit| {
        let number: f64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        Some(number * factor).filter(|number| (0.0..MOST).contains(number))
    };
    let found = units.iter().find_map(number);
    found.map(|number| number.round() as u64).ok_or_else(|| {
        let units = units.iter().map(|(unit, _)| *unit).collect::<Vec<_>>().join(", ");
        format!("`{text}` is no {what}: a number and its unit ({units})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_unit() {
        for (text, units, expected) in [
            ("20mbit", RATES, Some(20_000_000)),
            ("1.5 gbit", RATES, Some(1_500_000_000)),
            ("7bit", RATES, Some(7)),
            ("15ms", TIMES, Some(15_000_000)),
            ("0.25us", TIMES, Some(250)),
            ("2s", TIMES, Some(2_000_000_000)),
            ("0.1%", SHARES, Some(1000)),
            ("15", TIMES, None),
            ("-1ms", TIMES, None),
            ("NaNs", TIMES, None),
            ("1e30s", TIMES, None),
            ("mbit", RATES, None),
        ] {
            assert_eq!(quantity(text, "quantity", units).ok(), expected, "{text}");
        }
    }
}
