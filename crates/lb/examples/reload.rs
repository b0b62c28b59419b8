//! How long a reload of 1,000 VIPs with 100 reals each takes, in the running kernel, and what the process needs for it:
//! `sudo cargo run --release -p alveary-lb --example reload`. Nothing is attached.

use alveary::{Backend, Linux, Loader, Object};
use alveary_lb::{
    config::Config,
    store::{Store, prepare},
    wanted::{Devices, Standing, wanted},
};
use std::{error::Error, fmt::Write as _, fs, time::Instant};

const VIPS: usize = 1000;
const REALS: usize = 100;
const SLOTS: u32 = 16_381;

struct Nothing;

impl Devices for Nothing {
    fn device(&self, _: &str) -> Option<(u32, [u8; 6])> {
        None
    }
}

/// Each VIP has reals of its own; `first` is the weight of its first one.
fn config(first: u32) -> Result<Config, Box<dyn Error>> {
    let mut text = format!(
        "[balancer]\ndevices = [\"eth0\"]\nsource = \"192.0.2.1\"\n[limits]\nvips = {VIPS}\nreals = {}\nslots = {}\n[default]\nslots = {SLOTS}\n",
        VIPS * REALS,
        (VIPS as u32 + 50) * SLOTS,
    );
    for vip in 0..VIPS {
        write!(text, "[[vip]]\naddress = \"198.18.{}.{}\"\nport = 80\nreal = [", vip / 250, vip % 250)?;
        for real in 0..REALS {
            let weight = if real == 0 { first } else { 1 };
            write!(text, "{{ address = \"10.{}.{}.{real}\", weight = {weight} }},", vip / 250, vip % 250)?;
        }
        text.push_str("]\n");
    }
    Config::read("reload", &text).map_err(|faults| faults[0].to_string().into())
}

/// A line of `/proc/self/status`, in MB.
fn memory(what: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix(what)?.trim().strip_suffix(" kB")?.trim().parse().ok());
    kilobytes.map_or_else(|| "?".into(), |kilobytes: f64| format!("{:.0} MB", kilobytes / 1024.0))
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb.bpf.o");
    let linux = Linux::builder().without_pins().build();
    let before = config(1)?;
    let mut object = Object::open(path)?;
    prepare(&mut object, &before, linux.kernel().cpus)?;
    let loaded = Loader::new(linux).program("lb").load(&object)?;
    let mut store: Store<Linux> = Store::open(&loaded)?;
    let well = |_, _| Standing::WELL;
    let first_down = |_: usize, real: usize| if real == 0 { Standing::GONE } else { Standing::WELL };
    let one_down = |vip: usize, real: usize| if (vip, real) == (0, 0) { Standing::GONE } else { Standing::WELL };
    println!("{VIPS} VIPs, {REALS} reals each, tables of {SLOTS}");
    type How<'a> = &'a dyn Fn(usize, usize) -> Standing;
    for (what, weight, standing) in [
        ("from nothing", 1, &well as How<'_>),
        ("a real of each VIP is down", 1, &first_down),
        ("all are well again", 1, &well),
        ("nothing has changed", 1, &well),
        ("one real is down", 1, &one_down),
        ("another weight in each VIP", 3, &well),
    ] {
        let begun = Instant::now();
        let config = config(weight)?;
        let read = begun.elapsed();
        let changed = store.apply(&wanted(&config, standing, &Nothing)?)?;
        let took = begun.elapsed();
        println!(
            "  {what:28} {:5.2} s, {:4.2} of them reading  ({} VIPs changed; resident {})",
            took.as_secs_f64(),
            read.as_secs_f64(),
            changed.vips,
            memory("VmRSS:"),
        );
    }
    let begun = Instant::now();
    store.read()?;
    println!(
        "  {:28} {:5.2} s  (anonymous memory {})",
        "read back, as an adopter does",
        begun.elapsed().as_secs_f64(),
        memory("RssAnon:")
    );
    Ok(())
}
