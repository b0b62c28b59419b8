//! How long an object takes to be resolved: `cargo run --release -p alveary-object --example resolve_time OBJ BTF`.
//!
//! Each part is done 21 times from nothing; the median counts.

use alveary_abi::Profile;
use alveary_btf::Btf;
use alveary_object::{Options, read, resolve};
use alveary_spec::Kernel;
use std::{error::Error, sync::Arc, time::Instant};

const TIMES: usize = 21;

fn main() -> Result<(), Box<dyn Error>> {
    let [object, types] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: resolve_time OBJ BTF".into());
    };
    let (object, types) = (std::fs::read(object)?, std::fs::read(types)?);
    let (mut reading, mut resolving, mut again) = (Vec::new(), Vec::new(), Vec::new());
    let mut relocations = 0;
    for _ in 0..TIMES {
        let start = Instant::now();
        let btf = Some(Arc::new(Btf::read(&types, None)?));
        reading.push(start.elapsed());
        let spec = read(&object)?;
        let kernel = Kernel { btf, ..Kernel::of(Profile::linux_6_18()) };
        relocations = spec.functions.values().map(|f| f.core.len()).sum();
        for times in [&mut resolving, &mut again] {
            let start = Instant::now();
            resolve(&spec, &kernel, &Options::default()).map_err(|all| all[0].to_string())?;
            times.push(start.elapsed());
        }
    }
    println!("{relocations} relocations");
    for (what, times) in [
        ("kernel's types read", &mut reading),
        ("object resolved, types new", &mut resolving),
        ("object resolved, types known", &mut again),
    ] {
        times.sort();
        println!("{what:30} {:8.2} ms", times[TIMES / 2].as_secs_f64() * 1e3);
    }
    Ok(())
}
