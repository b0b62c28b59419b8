//! How long it takes to open the kernel's BTF and to find one type in it: the struct that stands last; then what each
//! question by name and kind takes, when many are asked. Prints the least of several runs.

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
    let names: Vec<_> = structs.map(|t| t.name().to_owned()).collect();
    let last = names.last().cloned().unwrap_or_default();
    let mut least = [f64::MAX; 4];
    for _ in 0..RUNS {
        let start = Instant::now();
        let bytes = std::fs::read(VMLINUX).unwrap_or_default();
        let read = start.elapsed();
        let btf = Btf::read_owned(bytes, None).unwrap_or_else(|why| panic!("{why}"));
        let open = start.elapsed();
        black_box(btf.find(&last, Kind::Struct)).unwrap_or_else(|| panic!("{last} is there"));
        let found = start.elapsed();
        // The index is made by then.
        for _ in 0..8 {
            black_box(btf.find(&last, Kind::Struct));
        }
        let start = Instant::now();
        let all = names.iter().filter(|name| btf.find(name, Kind::Struct).is_some()).count();
        let each = start.elapsed() / all.max(1) as u32;
        for (least, took) in least.iter_mut().zip([read, open, found, each]) {
            *least = least.min(took.as_secs_f64() * 1e3);
        }
    }
    let [read, open, found, each] = least;
    println!("{} bytes: read {read:.1} ms, opened {open:.1} ms, `{last}` found {found:.1} ms", bytes.len());
    println!("each of {} more structs by name: {:.0} ns", names.len(), each * 1e6);
}
