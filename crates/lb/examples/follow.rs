//! What it costs that a peer follows: by our datagrams, from a new connection in one balancer's data plane to the entry in
//! the other's table, and by etcd (Debian's `etcd-server`, one member on this machine's disk). The figures are those of
//! docs/lb.md: `cargo run -p alveary-lb --example follow`, as root; nothing of it leaves its own network.

use alveary::{Backend as _, Linux, LinuxMap, Loaded, Loader, Object, Packet};
use alveary_lb::{
    config::Config,
    store::{Store, prepare},
    sync::Peers,
    wanted::{Devices, Standing, wanted},
};
use alveary_testing::network;
use serde_json::json;
use std::{
    error::Error,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

const RATES: [u32; 2] = [10_000, 100_000];
const SECONDS: u32 = 5;
/// Entries of a transaction of etcd's, which takes up to 128: as many as a datagram of ours has.
const TOGETHER: u32 = 45;
const CLIENTS: u32 = 8;
const TURN: Duration = Duration::from_millis(10);
/// Where the two balancers listen.
const OURS: [&str; 2] = ["127.0.0.1:7947", "127.0.0.2:7947"];

type Failed = Box<dyn Error>;

/// The client of the connection of this number.
fn client(number: u32) -> (Ipv4Addr, u16) {
    (Ipv4Addr::from(0x0a00_0000 + number / 50_000), (10_000 + number % 50_000) as u16)
}

/// What came of one way at one rate.
struct Cost {
    done: u64,
    seconds: f64,
    bytes: u64,
    cpu: f64,
}

impl Cost {
    fn line(&self, way: &str, rate: u32) {
        let Cost { done, seconds, bytes, cpu } = self;
        let done = *done as f64;
        println!(
            "{way:5} {rate:7}/s asked: {:7.0}/s done, {:5.0} bytes each, {:6.2} µs of a CPU each, {:5.1} % of a CPU",
            done / seconds,
            *bytes as f64 / done,
            cpu / done * 1e6,
            cpu / seconds * 100.0,
        );
    }
}

struct Nothing;

impl Devices for Nothing {
    fn device(&self, _: &str) -> Option<(u32, [u8; 6])> {
        None
    }
}

/// A balancer whose data plane is asked by hand, with its peers.
struct Balancer {
    loaded: Loaded<Linux>,
    peers: Peers,
}

impl Balancer {
    fn new(object: &str, key: &Path, own: &str, other: &str) -> Result<Balancer, Failed> {
        let text = format!(
            "[balancer]\ndevices = [\"lo\"]\nsource = \"10.9.0.1\"\n[limits]\nconnections = {}\n[rates]\nnew-connections = 0\n\
             [sync]\nlisten = \"{own}\"\npeers = [\"{other}\"]\nkey = {key:?}\n\
             [[vip]]\naddress = \"192.0.2.1\"\nport = 443\nreal = [{{ address = \"10.9.0.2\" }}]\n",
            1 << 20,
        );
        let (config, places) = Config::read_placed("follow", &text, None).map_err(|faults| faults[0].to_string())?;
        let linux = Linux::builder().without_pins().build();
        let mut object = Object::open(object)?;
        prepare(&mut object, &config, linux.kernel().cpus)?;
        let loaded = Loader::new(linux).program("lb").load(&object)?;
        let mut store: Store<Linux> = Store::open(&loaded)?;
        let wanted = wanted(&config, &|_, _| Standing::WELL, &Nothing);
        store.apply(&wanted)?;
        let ready = Peers::open(config.sync.as_ref().ok_or("no [sync]")?, &places)?;
        let map = |name: &str| -> LinuxMap { store.map(name).clone() };
        let mut peers = Peers::with(ready, &map)?;
        peers.learn(&store.running, &wanted);
        peers.begin()?;
        Ok(Balancer { loaded, peers })
    }

    fn heard(&self) -> u64 {
        self.peers.status()["heard"].as_u64().unwrap_or_default()
    }
}

/// The SYN that opens the connection of this number; checksums are left out: nobody asks for them.
fn syn(number: u32) -> Vec<u8> {
    let (from, port) = client(number);
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    bytes.extend([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    bytes.extend(from.octets());
    bytes.extend([192, 0, 2, 1]);
    bytes.extend(port.to_be_bytes());
    bytes.extend([1, 187, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x10, 0, 0, 0, 0, 0]);
    bytes.resize(64, 0);
    bytes
}

/// Seconds that the threads which tell and listen have had a CPU.
fn cpu() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of = |task: fs::DirEntry| -> Option<f64> {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        if !["tells", "listens"].contains(&name.trim()) {
            return None;
        }
        let about = fs::read_to_string(task.path().join("schedstat")).ok()?;
        about.split(' ').next()?.parse::<f64>().ok()
    };
    tasks.filter_map(of).sum::<f64>() / 1e9
}

/// Bytes that this network has sent, headers of IP included.
fn sent() -> u64 {
    let text = fs::read_to_string("/proc/net/netstat").unwrap_or_default();
    let mut lines = text.lines().filter(|line| line.starts_with("IpExt:"));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let found = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == "OutOctets");
    found.and_then(|(_, value)| value.parse().ok()).unwrap_or_default()
}

/// By our datagrams. `first` is the number of the first connection.
fn told([teller, hearer]: &[Balancer; 2], first: u32, rate: u32) -> Result<Cost, Failed> {
    let program = teller.loaded.program("lb")?;
    let mut packets = program.packets()?;
    let (all, turns) = (rate * SECONDS, SECONDS * 1000 / TURN.as_millis() as u32);
    let (before, used, bytes, begun) = (hearer.heard(), cpu(), sent(), Instant::now());
    for turn in 0..turns {
        for number in turn * (all / turns)..(turn + 1) * (all / turns) {
            packets.run(&Packet { data: &syn(first + number), ..Packet::default() })?;
        }
        thread::sleep((TURN * (turn + 1)).saturating_sub(begun.elapsed()));
    }
    let seconds = begun.elapsed().as_secs_f64();
    // What is still on its way arrives; what is lost does not.
    let end = Instant::now() + Duration::from_secs(1);
    while hearer.heard() - before < u64::from(all) && Instant::now() < end {
        thread::sleep(TURN);
    }
    Ok(Cost { done: hearer.heard() - before, seconds, bytes: sent() - bytes, cpu: cpu() - used })
}

/// Both balancers, when they know each other.
fn balancers(object: &str, folder: &Path) -> Result<[Balancer; 2], Failed> {
    let key = folder.join("key");
    fs::write(&key, "a secret for nobody else")?;
    let both = [Balancer::new(object, &key, OURS[0], OURS[1])?, Balancer::new(object, &key, OURS[1], OURS[0])?];
    while !both.iter().all(|one| one.peers.complete()) {
        thread::sleep(TURN);
    }
    Ok(both)
}

/// An etcd of one member, in a folder of its own.
struct Member {
    process: Child,
    at: String,
}

impl Member {
    fn start(folder: PathBuf) -> Option<Member> {
        let port = || TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
        let (at, peers) = (port().to_string(), format!("http://{}", port()));
        let clients = format!("http://{at}");
        let process = Command::new("etcd")
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("default={peers}"), "--log-level", "error", "--data-dir"])
            .arg(folder)
            .stderr(Stdio::null())
            .spawn();
        let member = Member { process: process.ok()?, at };
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
        // As many bytes as our tables' key, and our datagrams' entry, have.
        let (from, port) = client(number);
        let key = [&from.octets()[..], &[192, 0, 2, 1], &port.to_be_bytes(), &[1, 187, 6, 0, 0, 0]].concat();
        let value = [&key[..], &[10, 9, 0, 2, 0, 0, 0, 4]].concat();
        json!({ "requestPut": { "key": base64(&key), "value": base64(&value) } })
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
    let done = clients.into_iter().map(|client| u64::from(client.join().expect("it ends"))).sum();
    let seconds = begun.elapsed().as_secs_f64();
    Cost { done, seconds, bytes: member.written() - written, cpu: member.cpu() - before }
}

fn main() -> Result<(), Failed> {
    network::enter()?;
    network::ip("link set lo up");
    let folder = std::env::temp_dir().join(format!("alveary-lb-follow-{}", process::id()));
    fs::create_dir_all(&folder)?;
    let done = measure(&folder);
    fs::remove_dir_all(&folder)?;
    done
}

fn measure(folder: &Path) -> Result<(), Failed> {
    let both = balancers(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb.bpf.o"), folder)?;
    let mut first = 0;
    for rate in RATES {
        told(&both, first, rate)?.line("UDP", rate);
        first += rate * SECONDS;
    }
    let Some(member) = Member::start(folder.join("etcd")) else {
        println!("etcd is not installed (Debian's etcd-server)");
        return Ok(());
    };
    for rate in RATES {
        stored(&member, rate).line("etcd", rate);
    }
    Ok(())
}
