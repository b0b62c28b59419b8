//! Verdicts on every program of some objects, a line each: what `alveary check --format csv` has, and the message.
//!
//! `cargo run -p alveary-verifier --example verdicts -- OBJ…`; with `LOG=2` and `PROG=name` the log of one program.

use alveary_abi::{MapType, Profile};
use alveary_btf::Btf;
use alveary_object::{Options, read, resolve};
use alveary_spec::Kernel;
use alveary_verifier::{Env, LogLevel, Verdict, check};
use std::{env, fs, sync::Arc, time::Instant};

fn main() {
    let level = env::var("LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(0);
    let only = env::var("PROG").ok();
    let types = fs::read("/sys/kernel/btf/vmlinux").ok().and_then(|bytes| Btf::read(&bytes, None).ok());
    let kernel = Kernel { btf: types.map(Arc::new), cpus: 2, ..Kernel::of(Profile::linux_6_18()) };
    for path in env::args().skip(1) {
        let spec = match fs::read(&path).map_err(|e| e.to_string()).and_then(|b| read(&b).map_err(|e| e.to_string())) {
            Ok(spec) => spec,
            Err(why) => {
                println!("{path}\t-\topen\t{why}");
                continue;
            }
        };
        for name in spec.programs.keys().filter(|name| only.as_ref().is_none_or(|wanted| wanted == *name)) {
            let wanted = Options { programs: Some(vec![name.clone()]), ty: None };
            let mut resolved = match resolve(&spec, &kernel, &wanted) {
                Ok(resolved) => resolved,
                Err(errors) => {
                    let why = errors.first().map(ToString::to_string).unwrap_or_default();
                    println!("{path}\t{name}\tunresolved\t{}", why.replace('\n', " / "));
                    continue;
                }
            };
            let Some(program) = resolved.programs.iter().find(|program| *program.name == **name) else { continue };
            // Sizes that a program's loader is meant to set.
            let storage = [MapType::SK_STORAGE, MapType::TASK_STORAGE, MapType::INODE_STORAGE, MapType::CGRP_STORAGE];
            for map in resolved.maps.values_mut().filter(|map| !storage.contains(&map.def.ty)) {
                map.def.max_entries = map.def.max_entries.max(1);
            }
            let start = Instant::now();
            let report = check(program, &Env { log: LogLevel(level), ..Env::new(&kernel, &resolved.maps) });
            let time = start.elapsed().as_micros();
            if level != 0 {
                print!("{}", report.log);
            }
            let (verdict, message) = match report.verdict {
                Verdict::Accept => ("accept", String::new()),
                Verdict::Reject(why) => ("reject", format!("{} {:?} {}", why.errno, why.insn, why.message)),
                Verdict::Refused { reason, insn } => ("refused", format!("{insn} {reason}")),
            };
            let stats = report.stats;
            println!(
                "{path}\t{name}\t{verdict}\t{}\t{},{},{},{}\t{time}",
                message.replace('\n', " / "),
                stats.insns_processed,
                stats.max_states_per_insn,
                stats.total_states,
                stats.peak_states
            );
        }
    }
}
