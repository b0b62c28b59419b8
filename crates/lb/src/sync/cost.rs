//! What it costs that a peer follows: by our datagrams, and by etcd (Debian's `etcd-server`, one member on this machine's
//! disk). A measurement, for docs/lb.md:
//! `cargo nextest run -p alveary-lb --lib --run-ignored only --no-capture what_following_costs`, as root.

use super::{entry::*, tests::*, *};
use rustix::time::{ClockId, clock_gettime};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::AtomicUsize,
};

const RATES: [u32; 2] = [10_000, 100_000];
const SECONDS: u32 = 5;
/// Entries of a datagram of ours, and of a transaction of etcd's, which takes up to 128.
const TOGETHER: u32 = 45;
const CLIENTS: u32 = 8;

/// The connection of this number.
fn numbered(number: u32) -> Entry {
    let client = (IpAddr::from(Ipv4Addr::from(0x0a00_0000 + number / 50_000)), (10_000 + number % 50_000) as u16);
    Entry { client, ..entry("198.51.100.7", "192.0.2.1", "10.0.0.1") }
}

/// Seconds that this thread has had a CPU.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// What came of one way at one rate.
struct Cost {
    done: u32,
    seconds: f64,
    bytes: u64,
    cpu: f64,
}

impl Cost {
    fn line(&self, way: &str, rate: u32) {
        let Cost { done, seconds, bytes, cpu } = self;
        let done = f64::from(*done);
        eprintln!(
            "{way:5} {rate:7}/s asked: {:7.0}/s done, {:5.0} bytes each, {:6.2} µs of a CPU each, {:5.1} % of a CPU",
            done / seconds,
            *bytes as f64 / done,
            cpu / done * 1e6,
            cpu / seconds * 100.0,
        );
    }
}

/// By our datagrams: from entries here to entries in the peer's table.
fn told(object: &alveary::Object, rate: u32) -> Cost {
    let (mut teller, mut hearer) = (shared(object, Vec::new()), shared(object, Vec::new()));
    let own = |one: &Shared| one.socket.local_addr().expect("an address");
    (teller.peers, hearer.peers) = (vec![own(&hearer)], vec![own(&teller)]);
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&hearer.socket, BUFFER);
    let met = hearer.of_peer(hearer.peers[0], |seen| {
        let nonce = seen.asks(Instant::now()).expect("it was not asked before");
        seen.proves(teller.life, 0, &nonce)
    });
    assert_eq!(met, Some(true));
    let all = rate * SECONDS;
    let hears = thread::spawn(move || {
        let (mut datagram, mut bytes, before) = (vec![0; 2048], 0, cpu());
        hearer.socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a time");
        while let Ok((len, from)) = hearer.socket.recv_from(&mut datagram) {
            // Headers of IP and UDP too.
            bytes += len as u64 + 28;
            hearer.hears(from, &datagram[..len]);
            if hearer.counts.heard.load(Relaxed) == u64::from(all) {
                break;
            }
        }
        (hearer.counts.heard.load(Relaxed) as u32, bytes, cpu() - before)
    });
    let (begun, before) = (Instant::now(), cpu());
    let turns = SECONDS * 1000 / TURN.as_millis() as u32;
    for turn in 0..turns {
        let mut batch = Batch::new(&teller, ENTRIES, &teller.peers);
        (turn * (all / turns)..(turn + 1) * (all / turns)).for_each(|number| batch.add(&numbered(number)));
        batch.end();
        thread::sleep((TURN * (turn + 1)).saturating_sub(begun.elapsed()));
    }
    let ours = cpu() - before;
    let (done, bytes, theirs) = hears.join().expect("it ends");
    Cost { done, seconds: f64::from(SECONDS), bytes, cpu: ours + theirs }
}

/// An etcd of one member, in a folder of its own.
struct Member {
    process: Child,
    at: String,
    folder: PathBuf,
}

impl Member {
    fn start() -> Option<Member> {
        let folder = std::env::temp_dir().join(format!("alveary-lb-cost-{}", std::process::id()));
        let port = || TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
        let (at, peers) = (port().to_string(), format!("http://{}", port()));
        let clients = format!("http://{at}");
        let process = Command::new("etcd")
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("default={peers}"), "--log-level", "error", "--data-dir"])
            .arg(&folder)
            .stderr(Stdio::null())
            .spawn();
        let member = Member { process: process.ok()?, at, folder };
        while TcpStream::connect(&member.at).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        Some(member)
    }

    fn about(&self, file: &str) -> String {
        fs::read_to_string(Path::new("/proc").join(self.process.id().to_string()).join(file)).expect("it runs")
    }

    /// Seconds that it has had CPUs.
    fn cpu(&self) -> f64 {
        let stat = self.about("stat");
        let (_, words) = stat.rsplit_once(") ").expect("a name");
        let words: Vec<f64> = words.split(' ').map(|word| word.parse().unwrap_or_default()).collect();
        (words[11] + words[12]) / 100.0
    }

    /// Bytes that it has had written to the disk.
    fn written(&self) -> u64 {
        let io = self.about("io");
        let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("a line");
        line.parse().expect("a number")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Letters of which 64 stand for six bits each.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let all = three.iter().enumerate().fold(0u32, |all, (at, byte)| all | u32::from(*byte) << (16 - 8 * at));
        (0..4).for_each(|at| {
            text.push(if at > three.len() { '=' } else { LETTERS[(all >> (18 - 6 * at)) as usize & 63].into() })
        });
    }
    text
}

/// One transaction: its entries are there when this ends.
fn put(stream: &mut BufReader<TcpStream>, at: &str, first: u32) {
    let put = |number: u32| {
        let entry = numbered(number);
        json!({ "requestPut": { "key": base64(&entry.key()), "value": base64(&entry.bytes()) } })
    };
    let body = json!({ "success": (first..first + TOGETHER).map(put).collect::<Vec<_>>() }).to_string();
    let head = format!("POST /v3/kv/txn HTTP/1.1\r\nHost: {at}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.get_mut().write_all((head + &body).as_bytes()).expect("it is sent");
    let (mut length, mut line, mut is_first) = (None, String::new(), true);
    loop {
        line.clear();
        stream.read_line(&mut line).expect("an answer");
        assert!(!is_first || line.contains(" 200 "), "{line}");
        is_first = false;
        if line.trim_end().is_empty() {
            break;
        }
        if let Some(("content-length", said)) = line.trim_end().to_ascii_lowercase().split_once(": ") {
            length = said.parse::<u64>().ok();
        }
    }
    let mut skip = |length: u64| io::copy(&mut stream.by_ref().take(length), &mut io::sink()).expect("an answer");
    let Some(length) = length else {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).expect("a chunk");
            let length = u64::from_str_radix(line.trim(), 16).expect("its length");
            io::copy(&mut stream.by_ref().take(length + 2), &mut io::sink()).expect("a chunk");
            if length == 0 {
                return;
            }
        }
    };
    skip(length);
}

/// By etcd, as fast as it takes them but no faster than that.
fn stored(member: &Member, rate: u32) -> Cost {
    let (next, begun) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let (before, written) = (member.cpu(), member.written());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (next, at) = (next.clone(), member.at.clone());
            thread::spawn(move || {
                let mut stream = BufReader::new(TcpStream::connect(&at).expect("a connection"));
                let mut done = 0;
                while begun.elapsed() < Duration::from_secs(SECONDS.into()) {
                    let first = next.fetch_add(1, Relaxed) as u32 * TOGETHER;
                    let due = Duration::from_secs_f64(f64::from(first) / f64::from(rate));
                    thread::sleep(due.saturating_sub(begun.elapsed()));
                    put(&mut stream, &at, first);
                    done += TOGETHER;
                }
                done
            })
        })
        .collect();
    let done = clients.into_iter().map(|client| client.join().expect("it ends")).sum();
    let seconds = begun.elapsed().as_secs_f64();
    Cost { done, seconds, bytes: member.written() - written, cpu: member.cpu() - before }
}

#[test]
#[ignore = "a measurement"]
fn what_following_costs() {
    if !alveary_testing::bpf::permitted("sync_cost") {
        return;
    }
    let object = alveary::Object::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb.bpf.o"));
    let object = object.expect("the object");
    for rate in RATES {
        told(&object, rate).line("UDP", rate);
    }
    let Some(member) = Member::start() else {
        eprintln!("SKIP what_following_costs: etcd is not installed (Debian's etcd-server)");
        return;
    };
    for rate in RATES {
        stored(&member, rate).line("etcd", rate);
    }
}
