//! Every program type, attached to a place of the test's own, triggered, seen in a map, detached: on the running kernel,
//! and by `cargo xtask attach-table` on others. Prints a line for each, of which docs/linux.md is made.

mod bench;
mod cases;
mod lab;
mod leaks;
mod others;
mod probed;
mod struct_ops;
mod triggers;

use bench::Bench;

#[test]
fn every_type_is_attached_triggered_and_detached() {
    if !alveary_testing::bpf::permitted("every_type_is_attached_triggered_and_detached") {
        return;
    }
    let lab = lab::Lab::new();
    let mut broken = Vec::new();
    for case in cases::CASES {
        let bench = Bench::new();
        let result = (case.run)(&bench, &lab).unwrap_or_else(|refusal| refusal.to_string());
        println!("TABLE\t{}\t{result}", case.name);
        if result.starts_with(bench::BROKEN) {
            broken.push(format!("{}: {result}", case.name));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
