//! `cargo xtask bench`: the figures of docs/performance.md. With `--peers`, the engine beside others alone.
//!
//! - the engine's and the capture reader's own benchmarks,
//! - `alveary run` with the smallest program over captures of 64-byte packets: packets a second of the whole process
//!   (best of several runs), and the peak of its anonymous memory, which `/proc/PID/status` shows as `RssAnon` while it
//!   runs (the kernel keeps no peak of that figure: it is looked at every millisecond),
//! - how fast the kernel's types are opened, and written as a C header beside bpftool, if both are there,
//! - how long an object with 500 CO-RE relocations takes to be resolved, beside libbpf,
//! - how fast packets are forwarded through segments, by programs and without, in the kernel (as root) and in user space,
//! - how fast a ring buffer of the kernel is read, and how long an object of 10,000 instructions takes to be loaded, beside
//!   libbpf,
//! - delays and goodput of the labs of segment routing, medians of nine rounds, and their drawings,
//! - `alveary show` on a small object: wall time from start to end, median of several runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use alveary_ports::{LinkType, Writer};

use crate::{
    Outcome, libbpf, peers,
    process::{self, cargo, command, run},
};

/// Does nothing but let the packet pass.
const SMALLEST_PROGRAM: &str = ".section xdp\n.globl pass\npass:\n    r0 = 2\n    exit\n";

/// Captures: packets, runs over it.
const CAPTURES: &[(u64, usize)] = &[(1_000_000, 7), (10_000_000, 3)];
const PACKET_BYTES: usize = 64;

const STARTS: usize = 20;

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const BPFTOOL: &str = "bpftool";

/// The command.
pub(crate) fn measure_all(arguments: &[String]) -> Outcome {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        ["--peers"] => return peers::measure(),
        _ => return Err("takes --peers or nothing".into()),
    }
    run(&mut cargo(&["bench", "--package", "alveary-vm", "--bench", "engine"]))?;
    run(&mut cargo(&["bench", "--package", "alveary-ports", "--bench", "read"]))?;
    run(&mut cargo(&["bench", "--package", "alveary-btf", "--bench", "open"]))?;
    run(&mut cargo(&["bench", "--package", "alveary-linux", "--bench", "ring"]))?;
    run(&mut cargo(&["bench", "--package", "alveary", "--bench", "srv6"]))?;
    run(&mut cargo(&["build", "--release", "--package", "alveary-cli"]))?;
    let alveary = process::target().join("release/alveary");
    let alveary = alveary.to_str().ok_or("the target folder's path is not UTF-8")?;
    throughput(alveary)?;
    start_up(alveary)?;
    header(alveary)?;
    labs(alveary)?;
    libbpf::measure()?;
    libbpf::measure_load()
}

fn throughput(alveary: &str) -> Outcome {
    let source = Scratch::new("pass.s");
    fs::write(&source.0, SMALLEST_PROGRAM).map_err(|error| format!("{}: {error}", source.0.display()))?;
    let object = Scratch::new("pass.o");
    run(command(alveary, &["asm"]).arg(&source.0).arg("-o").arg(&object.0))?;
    for (packets, runs) in CAPTURES {
        let capture = Scratch::new("packets.pcap");
        generate(&capture.0, *packets)?;
        let mut least = Duration::MAX;
        let mut peak = 0;
        for _ in 0..*runs {
            let mut run = command(alveary, &["run"]);
            run.arg(&object.0).arg("--pcap").arg(&capture.0).stdout(Stdio::null());
            let (time, memory) = measure(&mut run)?;
            least = least.min(time);
            peak = peak.max(memory);
        }
        let rate = *packets as f64 / least.as_secs_f64() / 1e6;
        println!(
            "alveary run, {packets} packets of {PACKET_BYTES} bytes: {rate:.1} million packets/s, {:.1} ns a packet, RssAnon at most {:.1} MB",
            least.as_nanos() as f64 / *packets as f64,
            peak as f64 * 1024.0 / 1e6,
        );
    }
    Ok(())
}

fn start_up(alveary: &str) -> Outcome {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let mut show = command(alveary, &["show", "examples/count.bpf.o"]);
        let start = Instant::now();
        run(show.stdout(Stdio::null()))?;
        times.push(start.elapsed());
    }
    times.sort();
    let median = times[STARTS / 2].as_secs_f64() * 1e3;
    println!("alveary show examples/count.bpf.o: {median:.1} ms (median of {STARTS})");
    Ok(())
}

/// The kernel's types as a C header, in the file's order and in that of names: this and bpftool in turn, the least wall
/// time of each.
fn header(alveary: &str) -> Outcome {
    if !Path::new(VMLINUX).exists() || command(BPFTOOL, &["version"]).stdout(Stdio::null()).status().is_err() {
        println!("SKIP: the C header needs {VMLINUX} and bpftool");
        return Ok(());
    }
    let sorted = [alveary, "btf", "dump", "file", VMLINUX, "format", "c"];
    let unsorted = [alveary, "btf", "dump", "file", VMLINUX, "format", "c", "unsorted"];
    let theirs = [BPFTOOL, "btf", "dump", "file", VMLINUX, "format", "c"];
    let mut least = [Duration::MAX; 3];
    for _ in 0..STARTS {
        for (words, least) in [&unsorted[..], &sorted[..], &theirs[..]].into_iter().zip(&mut least) {
            let start = Instant::now();
            run(command(words[0], &words[1..]).stdout(Stdio::null()))?;
            *least = start.elapsed().min(*least);
        }
    }
    let [unsorted, sorted, theirs] = least.map(|time| time.as_secs_f64() * 1e3);
    println!("C header of the kernel's types, bpftool: {theirs:.0} ms");
    for (order, ours) in [("unsorted", unsorted), ("by name", sorted)] {
        println!("C header of the kernel's types, {order}: {ours:.0} ms, {:.2} of bpftool's time", ours / theirs);
    }
    Ok(())
}

/// What the labs of segment routing tell and draw.
fn labs(alveary: &str) -> Outcome {
    if !process::is_root() {
        println!("SKIP: the labs need root");
        return Ok(());
    }
    for lab in ["delay", "hybrid"] {
        let drawing = process::path(&format!("docs/srv6-{lab}.svg"));
        let mut command = command(alveary, &["srv6", "lab", lab, "--rounds", "9", "--plot"]);
        run(command.arg(drawing))?;
    }
    run(&mut command(alveary, &["srv6", "lab", "hybrid", "--simulated", "--transfer", "65536"]))
}

/// Runs a command: its wall time, and the largest `RssAnon` that was seen, in KiB.
fn measure(command: &mut Command) -> Result<(Duration, u64), String> {
    let start = Instant::now();
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let watch = thread::spawn({
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        move || peak_of(&status)
    });
    let status = child.wait().map_err(|error| error.to_string())?;
    let time = start.elapsed();
    let peak = watch.join().map_err(|_| "the watch on memory failed")?;
    if status.success() { Ok((time, peak)) } else { Err(format!("alveary failed: {status}")) }
}

/// Looks at a process' anonymous memory until it ends.
fn peak_of(status: &Path) -> u64 {
    let mut peak = 0;
    while let Some(now) = fs::read_to_string(status).ok().as_deref().and_then(anonymous_kib) {
        peak = peak.max(now);
        thread::sleep(Duration::from_millis(1));
    }
    peak
}

fn anonymous_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// A capture of UDP datagrams, each with another source port.
fn generate(file: &Path, packets: u64) -> Outcome {
    let fail = |error: alveary_diag::Diagnostic| error.to_string();
    let mut packet = [0u8; PACKET_BYTES];
    packet[12..24].copy_from_slice(&[0x08, 0x00, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17]);
    packet[26..34].copy_from_slice(&[192, 0, 2, 1, 192, 0, 2, 2]);
    packet[36..40].copy_from_slice(&[0, 53, 0, 30]);
    let mut writer = Writer::create(file, LinkType::Ethernet).map_err(fail)?;
    for number in 0..packets {
        packet[34..36].copy_from_slice(&(number as u16).to_be_bytes());
        writer.write(number * 100, PACKET_BYTES as u32, &packet).map_err(fail)?;
    }
    writer.finish().map(drop).map_err(fail)
}

/// A file that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Scratch(process::target().join(format!("bench-{}-{name}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}
