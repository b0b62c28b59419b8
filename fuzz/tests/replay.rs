//! Runs every target's body over its seeds and over random changes of them, without a fuzzer. A failure prints the
//! input; the same run makes the same inputs.

use alveary_fuzz::TARGETS;
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

/// Changed inputs for each target.
const CHANGED: usize = 2000;
/// Longest input: what libFuzzer makes of small seeds.
const LONGEST: usize = 4096;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// One of the changes that fuzzers make.
    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.below(16)).min(input.len());
        match self.below(7) {
            0 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (self.next() % 8)),
            1 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte = self.next() as u8),
            2 => input.splice(at..end, []).for_each(drop),
            3 => input.splice(at..at, self.next().to_le_bytes()).for_each(drop),
            4 => input.truncate(at),
            5 => {
                let edge = [0, 1, u64::MAX, 1 << 31, 0x7fff][self.below(5)].to_le_bytes();
                input.iter_mut().skip(at).zip(edge).take(1 << self.below(4)).for_each(|(to, from)| *to = from);
            }
            _ => {
                let from = self.below(other.len());
                input.splice(at..end, other[from..].iter().copied().take(64)).for_each(drop);
            }
        }
        input.truncate(LONGEST.max(other.len()));
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = fs::read_dir(root.join("seeds").join(target))
        .expect("a target has seeds")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a readable file")).collect()
}

fn hold(target: &str, body: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(input))) {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("{target} fails on {hex}");
        std::panic::resume_unwind(panic);
    }
}

fn replay(target: &str) {
    let (_, body) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target of this name");
    let seeds = seeds(target);
    assert!(!seeds.is_empty());
    let mut random = Random(1);
    seeds.iter().for_each(|seed| hold(target, *body, seed));
    for _ in 0..CHANGED {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..1 + random.below(8) {
            let other = &seeds[random.below(seeds.len())];
            random.change(&mut input, other);
        }
        hold(target, *body, &input);
    }
}

macro_rules! replayed {
    ($($target:ident)*) => {
        $(#[test] fn $target() { replay(stringify!($target)); })*

        #[test]
        fn every_target_is_replayed() {
            let here = [$(stringify!($target)),*];
            assert_eq!(here.to_vec(), TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
    };
}
replayed! { assemble btf btf_write capture cbpf checked decode elf lb link programs read_types verify }
