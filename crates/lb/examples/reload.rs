//! How long a reload of 1,000 VIPs with 100 reals each takes, in the running kernel, and how much memory the process has:
//! `sudo cargo run --release -p alveary-lb --example reload` of the maps alone, with nothing attached; `-- serve` of a
//! balancer that is served, in a network of its own, and is asked by its API.

use alveary::{Backend, Linux, Loader, Object};
use alveary_lb::{
    config::Config,
    serve::Server,
    store::{Store, prepare},
    wanted::{Devices, Standing, wanted},
};
use alveary_testing::{BpfFs, network};
use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    process, thread,
    time::Instant,
};

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
fn config(first: u32, device: &str) -> String {
    let mut text = format!(
        "[balancer]\ndevices = [\"{device}\"]\nname = \"reload\"\nsource = \"192.0.2.1\"\n[limits]\nvips = {VIPS}\nreals = {}\nslots = {}\n[default]\nslots = {SLOTS}\n",
        VIPS * REALS,
        (VIPS as u32 + 50) * SLOTS,
    );
    for vip in 0..VIPS {
        write!(text, "[[vip]]\naddress = \"198.18.{}.{}\"\nport = 80\nreal = [", vip / 250, vip % 250)
            .expect("there is room");
        for real in 0..REALS {
            let weight = if real == 0 { first } else { 1 };
            write!(text, "{{ address = \"10.{}.{}.{real}\", weight = {weight} }},", vip / 250, vip % 250)
                .expect("there is room");
        }
        text.push_str("]\n");
    }
    text
}

fn read(first: u32) -> Result<Config, Box<dyn Error>> {
    Config::read("reload", &config(first, "eth0")).map_err(|faults| faults[0].to_string().into())
}

/// A line of `/proc/self/status`, in MB.
fn memory(what: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix(what)?.trim().strip_suffix(" kB")?.trim().parse().ok());
    kilobytes.map_or_else(|| "?".into(), |kilobytes: f64| format!("{:.0} MB", kilobytes / 1024.0))
}

/// Seconds that the processors worked for this process.
fn worked() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// What the kernel has for the maps that are open here, in MB.
fn maps() -> f64 {
    let held = |path: PathBuf| {
        let about = fs::read_to_string(path).ok()?;
        about.lines().find_map(|line| line.strip_prefix("memlock:")?.trim().parse::<f64>().ok())
    };
    let files = fs::read_dir("/proc/self/fdinfo").into_iter().flatten().flatten();
    files.filter_map(|file| held(file.path())).sum::<f64>() / f64::from(1 << 20)
}

/// Asks the API to read the configuration again, and waits until that is done.
fn ask(socket: &PathBuf) -> Result<(), Box<dyn Error>> {
    let mut to = UnixStream::connect(socket)?;
    to.write_all(b"POST /v1/reload HTTP/1.1\r\nHost: lb\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    to.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(answer.into()) }
}

/// A balancer as it is served.
fn serve(object: &str) -> Result<(), Box<dyn Error>> {
    network::enter()?;
    network::ip("link set lo up");
    let bpffs = BpfFs::mount("reload").ok_or("no BPF file system can be mounted")?;
    let folder = env::temp_dir().join(format!("alveary-reload-served-{}", process::id()));
    fs::create_dir_all(&folder)?;
    let (path, socket) = (folder.join("lb.toml"), folder.join("lb.sock"));
    let write = |weight, path: &PathBuf, socket: &PathBuf| {
        // What follows the file is never to read half of it.
        let new = path.with_extension("new");
        fs::write(&new, config(weight, "lo") + &format!("[api]\nsocket = \"{}\"\n", socket.display()))?;
        fs::rename(new, path)
    };
    write(1, &path, &socket)?;
    println!("{VIPS} VIPs, {REALS} reals each, tables of {SLOTS}, served");
    let (begun, before) = (Instant::now(), worked());
    let say = move |what: &str, begun: Instant, before: f64| {
        println!(
            "  {what:28} {:5.2} s, processor {:5.2} s  (resident {}, at most {}; maps {:.0} MB of the kernel's)",
            begun.elapsed().as_secs_f64(),
            worked() - before,
            memory("VmRSS:"),
            memory("VmHWM:"),
            maps(),
        );
    };
    let object = fs::read(object)?;
    let mut log = |line: &str| println!("  {line}");
    let orders = alveary::kernel::signal::Orders::expect()?;
    let server = Server::begin(&path, &object, &bpffs.path, &mut log).map_err(|faults| faults[0].to_string())?;
    drop(object);
    say("from nothing", begun, before);
    let asker = thread::spawn(move || {
        let asked = || -> Result<(), Box<dyn Error>> {
            while !socket.exists() {
                thread::yield_now();
            }
            for (what, weight) in
                [("another weight in each VIP", 3), ("and again", 2), ("and again", 3), ("nothing has changed", 3)]
            {
                write(weight, &path, &socket)?;
                let (begun, before) = (Instant::now(), worked());
                ask(&socket)?;
                say(what, begun, before);
            }
            Ok(())
        };
        let done = asked();
        let _ = fs::remove_dir_all(&folder);
        // What is mounted and attached goes with the namespaces.
        process::exit(done.map_or_else(
            |why| {
                eprintln!("{why}");
                1
            },
            |()| 0,
        ));
    });
    server.run(orders)?;
    drop(asker);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb.bpf.o");
    if env::args().nth(1).as_deref() == Some("serve") {
        return serve(path);
    }
    let linux = Linux::builder().without_pins().build();
    let before = read(1)?;
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
        let (begun, before) = (Instant::now(), worked());
        let config = read(weight)?;
        let read = begun.elapsed();
        let changed = store.apply(&wanted(&config, standing, &Nothing))?;
        let took = begun.elapsed();
        println!(
            "  {what:28} {:5.2} s, processor {:5.2} s, {:4.2} of them reading  ({} VIPs changed; resident {})",
            took.as_secs_f64(),
            worked() - before,
            read.as_secs_f64(),
            changed.vips,
            memory("VmRSS:"),
        );
    }
    let begun = Instant::now();
    store.read()?;
    println!(
        "  {:28} {:5.2} s  (resident at most {}; maps {:.0} MB of the kernel's)",
        "read back, as an adopter does",
        begun.elapsed().as_secs_f64(),
        memory("VmHWM:"),
        maps(),
    );
    Ok(())
}
