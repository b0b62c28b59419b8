//! How long an object takes from its file to programs in the running kernel, in ns:
//! `cargo run --release -p alveary --example load_time OBJ`.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use alveary::{Linux, Object};
    use std::time::Instant;

    let path = std::env::args().nth(1).ok_or("usage: load_time OBJ")?;
    let start = Instant::now();
    let loaded = Object::open(&path)?.load(Linux::builder().without_pins().build())?;
    let took = start.elapsed();
    assert!(loaded.programs().count() > 0, "a program is loaded");
    println!("{}", took.as_nanos());
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("SKIP: this is not Linux");
}
