//! Short commands and long lists beside bpftool: `cargo bench -p alveary-cli --bench bpftool`.
//!
//! 100 programs and a hash of a million elements are made, the two tools take turns. `ALVEARY=FILE` measures another binary:
//! that of `cargo xtask dist`, which is linked as it is shipped.

use alveary_abi::{MapType, ProgType};
use alveary_linux::sys::{MapCreate, ProgLoad};
use std::{
    env,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const PROGRAMS: usize = 100;
const ELEMENTS: u32 = 1_000_000;
/// Rounds of short commands, and of dumps.
const ROUNDS: usize = 41;
const DUMPS: usize = 5;

fn main() {
    let ours = env::var("ALVEARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_alveary").to_owned());
    let code = alveary_testing::code("r0 = 0\nexit", |_, _| unreachable!("there is no symbol"));
    let load = ProgLoad { license: c"GPL", ..ProgLoad::new(ProgType::SOCKET_FILTER, &code) };
    let programs: Vec<_> = (0..PROGRAMS).map(|_| load.load().expect("a program")).collect();
    for words in [&["net", "show"][..], &["prog", "show"], &["-j", "prog", "show"]] {
        compare(&ours, words, ROUNDS);
    }
    drop(programs);

    let create = MapCreate { map_type: MapType::HASH.0, key_size: 4, value_size: 8, ..MapCreate::default() };
    let map = MapCreate { max_entries: ELEMENTS, name: "bench", ..create }.create().expect("a map");
    let keys: Vec<u8> = (0..ELEMENTS).flat_map(u32::to_ne_bytes).collect();
    let values: Vec<u8> =
        (0..ELEMENTS).flat_map(|n| u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_ne_bytes()).collect();
    map.update_batch(&keys, &values, 0).expect("there is room");
    let id = map.info().expect("the kernel tells").id.to_string();
    for words in [&["map", "dump", "id", &id][..], &["-j", "map", "dump", "id", &id]] {
        compare(&ours, words, DUMPS);
    }
}

/// Prints least and median time of either tool.
fn compare(ours: &str, words: &[&str], rounds: usize) {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (tool, times) in ["bpftool", ours].iter().zip(&mut times) {
            let began = Instant::now();
            let done = Command::new(tool).args(words).stdout(Stdio::null()).status().expect("the tool runs");
            times.push(began.elapsed());
            assert!(done.success(), "{tool} {words:?}");
        }
    }
    let [theirs, ours] = times.map(|mut times: Vec<Duration>| {
        times.sort_unstable();
        (times[0], times[times.len() / 2])
    });
    let ratio = theirs.0.as_secs_f64() / ours.0.as_secs_f64();
    println!("{}: bpftool {theirs:.1?}, ours {ours:.1?} (least, median); {ratio:.2} times as fast", words.join(" "));
}
