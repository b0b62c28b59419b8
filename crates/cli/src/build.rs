//! Packs the objects that are part of the binary, of which most is what the kernel's verifier says the lines of the source by.

use flate2::{Compression, write::GzEncoder};
use std::{env, error::Error, fs, io::Write, path::Path};

/// Those of `examples/`.
const OBJECTS: [&str; 5] = ["lb.bpf.o", "lb-decap.bpf.o", "srv6-delay.bpf.o", "srv6-hybrid.bpf.o", "srv6-oamp.bpf.o"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR")?;
    for name in OBJECTS {
        let object = Path::new("../../../examples").join(name);
        println!("cargo::rerun-if-changed={}", object.display());
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(&fs::read(&object).map_err(|error| format!("{}: {error}", object.display()))?)?;
        fs::write(Path::new(&out).join(name), packer.finish()?)?;
    }
    Ok(())
}
