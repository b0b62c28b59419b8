//! `cargo xtask capture`: records `examples/traffic.pcap`.
//!
//! Two threads of this process live in network namespaces of their own, joined by a veth pair that is created inside
//! them. Neither has a name or a file, so both end with the process, however it ends; nothing outside is touched.

mod checksum;
mod dns;
mod http;
mod ping;
mod system;
mod tagged;

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    process::{Child, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use alveary_ports::Capture;

use crate::{
    Outcome,
    process::{self, command, path},
};

/// The link, as both ends call it.
const DEVICE: &str = "veth0";

/// Addresses of the two ends, from the ranges that are set aside for documentation.
const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SERVER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// What the recording must have, to serve as an example.
const LEAST_PACKETS: u64 = 2000;
const MOST_BYTES: u64 = 2_000_000;

/// The command.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if !arguments.is_empty() {
        return Err("takes no arguments".into());
    }
    if !process::is_root() {
        return Err("network namespaces need root".into());
    }
    let client = Namespace::new()?;
    let server = Namespace::new()?;
    let peer = server.thread.to_string();
    client.run(move || ip(&["link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE, "netns", &peer]))??;
    client.run(|| configure(CLIENT_V4, CLIENT_V6))??;
    server.run(|| configure(SERVER_V4, SERVER_V6))??;
    server.run(|| -> Outcome {
        for address in [IpAddr::V4(SERVER_V4), IpAddr::V6(SERVER_V6)] {
            http::serve(address)?;
            dns::serve(address)?;
        }
        Ok(())
    })??;
    let (fresh, example) = (process::target().join("traffic.pcap"), path("examples/traffic.pcap"));
    client.run({
        let fresh = fresh.clone();
        move || record(&fresh)
    })??;
    report(&fresh)?;
    fs::copy(&fresh, &example).map(drop).map_err(|error| format!("{}: {error}", example.display()))
}

/// Addresses, and checksums and segments as they would stand on a wire.
fn configure(v4: Ipv4Addr, v6: Ipv6Addr) -> Outcome {
    system::disable_offloads(DEVICE)?;
    ip(&["address", "add", &format!("{v4}/24"), "dev", DEVICE])?;
    ip(&["address", "add", &format!("{v6}/64"), "dev", DEVICE, "nodad"])?;
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "set", DEVICE, "up"])
}

/// Records what the client does.
fn record(file: &Path) -> Outcome {
    let recorder = Recorder::start(file)?;
    for server in [IpAddr::V4(SERVER_V4), IpAddr::V6(SERVER_V6)] {
        dns::ask(server)?;
        ping::ping(server)?;
        http::browse(server)?;
    }
    let last = tagged::send(DEVICE)?;
    wait_for_frame(file, &last)?;
    recorder.stop()
}

/// Waits until the recording ends with this frame: what was sent is not written at once.
fn wait_for_frame(file: &Path, frame: &[u8]) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        if fs::read(file).is_ok_and(|bytes| bytes.ends_with(frame)) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err("the last frame was not recorded".into())
}

/// Reads the recording back and holds it against what it is for.
fn report(file: &Path) -> Outcome {
    let mut capture = Capture::open(file).map_err(|error| error.to_string())?;
    while let Some(packet) = capture.next() {
        packet.map_err(|error| error.to_string())?;
    }
    let (packets, bytes) = (capture.packets(), capture.bytes_read());
    println!("{}: {packets} packets, {bytes} bytes", file.display());
    if packets < LEAST_PACKETS || bytes > MOST_BYTES {
        return Err(format!("expected at least {LEAST_PACKETS} packets in at most {MOST_BYTES} bytes"));
    }
    Ok(())
}

fn ip(arguments: &[&str]) -> Outcome {
    process::run(&mut command("ip", arguments))
}

/// A thread in a network namespace of its own. Threads and processes that it starts are in it too.
struct Namespace {
    /// The kernel's number of the thread, by which `ip` names the namespace.
    thread: i32,
    jobs: mpsc::Sender<Box<dyn FnOnce() + Send>>,
}

impl Namespace {
    fn new() -> Result<Self, String> {
        let (jobs, queue) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let (ready, entered) = mpsc::channel();
        thread::spawn(move || {
            let _ = ready.send(system::enter_new_network_namespace());
            for job in queue {
                job();
            }
        });
        let thread = entered.recv().map_err(|_| "the namespace's thread ended")??;
        Ok(Namespace { thread, jobs })
    }

    /// Does something in the namespace, and waits for it.
    fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let (done, result) = mpsc::channel();
        let job = Box::new(move || drop(done.send(job())));
        self.jobs.send(job).map_err(|_| "the namespace's thread ended")?;
        result.recv().map_err(|_| "the namespace's thread ended".into())
    }
}

/// tcpdump at work.
struct Recorder(Child);

impl Recorder {
    /// Returns once it listens.
    fn start(file: &Path) -> Result<Self, String> {
        let arguments = ["-i", DEVICE, "-n", "-s", "2048", "-B", "8192", "-U", "--immediate-mode", "-Z", "root", "-w"];
        let child = command("tcpdump", &arguments).arg(file).stderr(Stdio::piped()).spawn();
        let mut recorder = Recorder(child.map_err(|error| format!("tcpdump: {error}"))?);
        recorder.wait_for("listening on")?;
        Ok(recorder)
    }

    /// Ends the recording; an error if packets were lost.
    fn stop(mut self) -> Outcome {
        system::interrupt(self.0.id());
        self.wait_for("0 packets dropped by kernel")?;
        self.0.wait().map_err(|error| format!("tcpdump: {error}"))?;
        Ok(())
    }

    /// Reads what it prints up to a line with these words.
    fn wait_for(&mut self, words: &str) -> Outcome {
        let stderr = self.0.stderr.as_mut().ok_or("tcpdump has no output")?;
        let mut line = String::new();
        let mut output = BufReader::with_capacity(1, stderr);
        let mut seen = String::new();
        while output.read_line(&mut line).map_err(|error| format!("tcpdump: {error}"))? > 0 {
            if line.contains(words) {
                return Ok(());
            }
            seen.push_str(&line);
            line.clear();
        }
        Err(format!("tcpdump ended without saying {words:?}: {seen}"))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
