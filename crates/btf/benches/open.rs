//! How long it takes to open the kernel's BTF and to find one type in it: the struct that stands last.
//! Prints the least of several runs.

use alveary_btf::{Btf, Kind};
use std::{hint::black_box, time::Instant};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const RUNS: usize = 30;

fn main() {
    let Ok(bytes) = std::fs::read(VMLINUX) else {
        println!("SKIP: there is no {VMLINUX}");
        return;
    };
    let btf = Btf::read(&bytes, None).unwrap_or_else(|why| panic!("{why}"));
    let structs = btf.ids().filter_map(|id| btf.ty(id)).filter(|t| t.kind() == Kind::Struct && !t.name().is_empty());
    let last = structs.last().map_or_else(String::new, |t| t.name().to_owned());
    let mut least = [f64::MAX; 3];
    for _ in 0..RUNS {
        let start = Instant::now();
        let bytes = std::fs::read(VMLINUX).unwrap_or_default();
        let read = start.elapsed();
        let btf = Btf::read_owned(bytes, None).unwrap_or_else(|why| panic!("{why}"));
        let open = start.elapsed();
        black_box(btf.find(&last, Kind::Struct)).unwrap_or_else(|| panic!("{last} is there"));
        let found = start.elapsed();
        for (least, took) in least.iter_mut().zip([read, open, found]) {
            *least = least.min(took.as_secs_f64() * 1e3);
        }
    }
    let [read, open, found] = least;
    println!("{} bytes: read {read:.1} ms, opened {open:.1} ms, `{last}` found {found:.1} ms", bytes.len());
}
