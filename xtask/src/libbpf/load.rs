//! How long an object of 10,000 instructions takes to be loaded, beside libbpf: both in turn, the least of each.

use crate::{
    Outcome,
    process::{self, cargo, command, run},
};
use std::{fs, path::Path, process::Command};

const ROUNDS: usize = 25;
const INSTRUCTIONS: usize = 10_000;

/// Measures it, or says why it cannot.
pub(crate) fn measure() -> Outcome {
    let folder = process::target().join("libbpf");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let (source, object) = (folder.join("large.s"), folder.join("large.o"));
    fs::write(&source, large()).map_err(|error| format!("{}: {error}", source.display()))?;
    run(cargo(&["run", "--release", "--quiet", "--package", "alveary-cli", "--", "asm"])
        .arg(&source)
        .arg("-o")
        .arg(&object))?;
    run(&mut cargo(&["build", "--release", "--quiet", "--package", "alveary", "--example", "load_time"]))?;
    let theirs = folder.join("load");
    let mut compile = command("cc", &["-O2", "-Wall", "-Wextra", "xtask/src/libbpf/load.c", "-o"]);
    if !compile.arg(&theirs).arg("-lbpf").status().is_ok_and(|status| status.success()) {
        println!("SKIP: loading beside libbpf needs cc and libbpf-dev");
        return Ok(());
    }
    let ours = process::target().join("release/examples/load_time");
    let mut least = [u64::MAX; 2];
    for _ in 0..ROUNDS {
        for (program, least) in [&ours, &theirs].into_iter().zip(&mut least) {
            let Some(took) = time(program, &object) else {
                println!("SKIP: loading beside libbpf needs bpf(2)");
                return Ok(());
            };
            *least = took.min(*least);
        }
    }
    let [ours, theirs] = least.map(|ns| ns as f64 * 1e-6);
    println!(
        "an object of {INSTRUCTIONS} instructions loaded: {ours:.2} ms, libbpf {theirs:.2} ms, {:.2} of its time",
        ours / theirs
    );
    Ok(())
}

/// Straight on, so that the verifier's work is as small as it can be.
fn large() -> String {
    let mut text = ".section xdp\n.globl large\nlarge:\n    r0 = 2\n    r1 = 1\n".to_owned();
    for index in 0..INSTRUCTIONS - 4 {
        text += if index % 2 == 0 { "    r1 += 3\n" } else { "    r1 ^= 5\n" };
    }
    text + "    r0 = 2\n    exit\n"
}

fn time(program: &Path, object: &Path) -> Option<u64> {
    let output = Command::new(program).arg(object).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
