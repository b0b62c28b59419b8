//! How long the kernel's types take to become a C header, in the file's order and in that of names. Prints the least of
//! several runs.

use alveary_btf::{Btf, TypeId};
use std::time::Instant;

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const RUNS: usize = 30;

fn main() {
    let Ok(bytes) = std::fs::read(VMLINUX) else {
        println!("SKIP: there is no {VMLINUX}");
        return;
    };
    let mut least = [f64::MAX; 4];
    for _ in 0..RUNS {
        let start = Instant::now();
        let btf = Btf::read(&bytes, None).unwrap_or_else(|why| panic!("{why}"));
        let open = start.elapsed();
        let unsorted = btf.to_c_whole((1..btf.count()).map(TypeId)).unwrap_or_else(|why| panic!("{why}")).len();
        let in_order = start.elapsed() - open;
        let all = btf.sorted();
        let sorting = start.elapsed() - open - in_order;
        let sorted = btf.to_c_whole(all).unwrap_or_else(|why| panic!("{why}")).len();
        let by_name = start.elapsed() - open - in_order;
        assert!(unsorted > 0 && sorted > 0);
        for (least, took) in least.iter_mut().zip([open, in_order, sorting, by_name]) {
            *least = least.min(took.as_secs_f64() * 1e3);
        }
    }
    let [open, in_order, sorting, by_name] = least;
    println!("opened {open:.1} ms, header {in_order:.1} ms, by name {by_name:.1} ms of which sorting {sorting:.1} ms");
}
