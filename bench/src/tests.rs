//! Every kernel and example does natively, interpreted and as native code of ours the same: what is measured is what was meant.

use crate::{
    compile::{CLANG, Scratch},
    engines, examples,
    rounds::Rounds,
    set::{FIRST, SECOND},
};
use std::time::Duration;

#[test]
fn kernels_do_the_same_on_all_engines() {
    if CLANG.version().is_none() {
        return eprintln!("SKIP kernels_do_the_same_on_all_engines: {} is missing", CLANG.program);
    }
    let _scratch = Scratch;
    let columns = engines::columns(false);
    for set in [&FIRST, &SECOND] {
        for kernel in set.kernels {
            let once = Rounds { count: 1, batch: Duration::ZERO };
            let times = engines::measure(&columns, set.name, kernel, "v4", once).expect("all return the same");
            assert!(times[0].is_some() && times[2].is_some() && times[3].is_some(), "{}", kernel.name);
        }
    }
}

#[test]
fn examples_do_the_same_on_all_engines() {
    if CLANG.version().is_none() {
        return eprintln!("SKIP examples_do_the_same_on_all_engines: {} is missing", CLANG.program);
    }
    let _scratch = Scratch;
    examples::check().expect("every packet ends alike");
}
