//! How often which value came: buckets that grow with the value, so that each is told to 3 % from nanoseconds to minutes.

/// Buckets for each power of two.
const PARTS: u64 = 32;
const BITS: u32 = PARTS.trailing_zeros();

/// Values and how often they came.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: i128,
    least: i64,
    most: i64,
}

impl Histogram {
    /// One more value. What is below 0 (clocks that differ) counts as 0 among the buckets.
    pub(in super::super) fn add(&mut self, value: i64) {
        let bucket = bucket(value.max(0) as u64);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        (self.least, self.most) =
            if self.count == 0 { (value, value) } else { (self.least.min(value), self.most.max(value)) };
        self.count += 1;
        self.sum += i128::from(value);
    }

    pub(in super::super) fn count(&self) -> u64 {
        self.count
    }

    pub(in super::super) fn sum(&self) -> i128 {
        self.sum
    }

    pub(in super::super) fn least(&self) -> Option<i64> {
        (self.count > 0).then_some(self.least)
    }

    pub(in super::super) fn most(&self) -> Option<i64> {
        (self.count > 0).then_some(self.most)
    }

    /// The value that this part of all (0 to 1) is not above.
    pub(in super::super) fn quantile(&self, part: f64) -> Option<i64> {
        let rank = ((self.count as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some((upper(found) as i64).clamp(self.least, self.most))
    }

    /// How many were not above each of these values, by whole buckets.
    pub(in super::super) fn up_to(&self, value: u64) -> u64 {
        self.buckets.iter().take(bucket(value) + 1).sum()
    }

    /// Up to which value, in milliseconds, which part of all is: what a curve of it goes through.
    pub(in super::super) fn course(&self) -> Vec<(f64, f64)> {
        let mut seen = 0;
        let mut points = Vec::new();
        for (from, to, count) in self.filled() {
            points.push((from as f64 / 1e6, seen as f64 / self.count as f64));
            seen += count;
            points.push((to as f64 / 1e6, seen as f64 / self.count as f64));
        }
        points
    }

    /// Each bucket that holds something: from, to, how many.
    pub(in super::super) fn filled(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let full = self.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
        full.map(|(at, count)| (if at == 0 { 0 } else { upper(at - 1) + 1 }, upper(at), *count))
    }
}

/// Values below [`PARTS`] have one each; above, the highest bits tell.
fn bucket(value: u64) -> usize {
    let power = value.checked_ilog2().unwrap_or(0);
    if power < BITS {
        return value as usize;
    }
    let shift = power - BITS;
    (u64::from(shift + 1) * PARTS + ((value >> shift) - PARTS)) as usize
}

/// The highest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < PARTS {
        return bucket;
    }
    let shift = bucket / PARTS - 1;
    (((bucket % PARTS + PARTS + 1) as u128) << shift).saturating_sub(1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_a_bucket_that_is_no_wider_than_three_percent() {
        for value in (0..63).flat_map(|power| [(1u64 << power) - 1, 1 << power, (1 << power) + (1 << power) / 3]) {
            let at = bucket(value);
            assert!(upper(at) >= value && (at == 0 || upper(at - 1) < value), "{value}: bucket {at}");
            assert!((upper(at) - value) as f64 <= value as f64 / 31.0, "{value}: up to {}", upper(at));
        }
        assert_eq!(upper(bucket(u64::MAX)), u64::MAX);
    }

    #[test]
    fn quantiles() {
        let mut all = Histogram::default();
        assert_eq!((all.quantile(0.5), all.least()), (None, None));
        (1..=1000).for_each(|value| all.add(value * 1000));
        for (part, value) in [(0.5, 500_000.0), (0.99, 990_000.0), (1.0, 1_000_000.0)] {
            let told = all.quantile(part).expect("there are some") as f64;
            assert!((told - value).abs() <= value / 31.0, "{part}: {told}");
        }
        all.add(-5);
        assert_eq!((all.least(), all.most(), all.count()), (Some(-5), Some(1_000_000), 1001));
        assert_eq!(all.filled().map(|(_, _, count)| count).sum::<u64>(), 1001);
    }
}
