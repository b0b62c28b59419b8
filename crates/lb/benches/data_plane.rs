//! What the data plane takes for a packet: `cargo bench -p alveary-lb --bench data_plane`, as root. Median of 25 rounds, in
//! which everything takes its turn, each of 200,000 packets of one known TCP flow: on the kernel by `BPF_PROG_TEST_RUN`
//! (every run of it restores the packet first, which is in the figures), on the user target as native code, each packet
//! copied in. `-- --katran IPIP.o --katran-gue GUE.o` measures objects built from Katran's source beside it.

use alveary::{
    Backend, Linux, Loaded, MapHandle, Object, Origin, Packet, Target, User,
    kernel::sys::{TestRun, stay_on_cpu},
};
use alveary_lb::wire::{Real, Service, Way, address, vip_key};
use std::{hint::black_box, net::IpAddr, os::fd::AsFd, time::Instant};

const ROUNDS: usize = 25;
const REPEAT: u32 = 200_000;
const TCP: u8 = 6;
const VIP: [u8; 4] = [192, 0, 2, 10];

type Failed = Box<dyn std::error::Error>;

/// A TCP segment of ten bytes, checksums left out: nobody asks for them here.
fn packet() -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    bytes.extend([0x45, 0, 0, 60, 0x12, 0x34, 0x40, 0, 64, TCP, 0, 0, 203, 0, 113, 5]);
    bytes.extend(VIP);
    bytes.extend([0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0x10, 0, 0, 0, 0, 0]);
    bytes.resize(14 + 60, 7);
    bytes
}

fn example(name: &str) -> Result<Object, Failed> {
    Ok(Object::open(format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR")))?)
}

/// The data plane with one service that has one real.
fn ours<B: Backend>(on: B, cpus: u32, way: Way) -> Result<Loaded<B>, Failed> {
    let mut object = example("lb.bpf.o")?;
    object.set_variable("lb_cpus", &cpus.to_ne_bytes())?;
    object.map_spec_mut("cached")?.def.max_entries = 1024 * cpus;
    let loaded = object.load(on)?;
    let to = |text: &str| address(text.parse::<IpAddr>().expect("an address"));
    let port = if matches!(way, Way::Gue) { 6080 } else { 0 };
    let (address, source) = (to("10.1.0.3"), to("198.51.100.1"));
    let real = Real { name: 3, way, port, address, source, mtu: 1500, ..Real::default() };
    let service = Service { number: 1, ring_size: 1021, ..Service::default() };
    let put = |map: &str, key: &[u8], value: &[u8]| loaded.map(map)?.update(key, value, 0);
    put("reals", &3u32.to_ne_bytes(), &real.to_bytes())?;
    for place in 0..1021u32 {
        put("rings", &place.to_ne_bytes(), &3u32.to_ne_bytes())?;
    }
    put("services", &1u32.to_ne_bytes(), &service.to_bytes())?;
    let mut settings = vec![0; 32];
    settings[28..30].copy_from_slice(&50_000u16.to_ne_bytes());
    settings[30..32].copy_from_slice(&59_999u16.to_ne_bytes());
    put(".data.settings", &[0; 4], &settings)?;
    put("vips4", &vip_key(VIP.into(), 80, TCP), &1u32.to_ne_bytes())?;
    Ok(loaded)
}

/// Katran's object with the same service.
fn katran(path: &str) -> Result<Loaded<Linux>, Failed> {
    let object = Object::open(path)?;
    let loaded = object.load(Linux::builder().without_pins().build())?;
    let put = |map: &str, key: &[u8], value: &[u8]| -> Result<(), Failed> {
        let map = loaded.map(map)?;
        let mut value = value.to_vec();
        value.resize(map.spec().def.value_size as usize, 0);
        Ok(map.update(key, &value, 0)?)
    };
    let mut vip = VIP.to_vec();
    vip.resize(16, 0);
    vip.extend([0, 80, TCP, 0]);
    put("vip_map", &vip, &[])?;
    put("ctl_array", &[0; 4], &[2, 0, 0, 0, 0, 9])?;
    put("reals", &1u32.to_ne_bytes(), &[10, 1, 0, 3])?;
    if loaded.map("pckt_srcs").is_ok() {
        put("pckt_srcs", &[0; 4], &[198, 51, 100, 1])?;
    }
    for place in 0..65537u32 {
        put("ch_rings", &place.to_ne_bytes(), &1u32.to_ne_bytes())?;
    }
    let mut inner = *object.map_spec("lru_mapping")?.inner.clone().ok_or("lru_mapping without a template")?;
    inner.def.max_entries = 100_000;
    let table = loaded.target().create_map(&inner, None, &Origin::default())?;
    loaded.target().set_map(loaded.map("lru_mapping")?, &[0; 4], &table)?;
    Ok(loaded)
}

/// Something on the kernel that is measured.
struct Measured {
    name: String,
    /// Keeps the program alive.
    _program: Loaded<Linux>,
    again: Loaded<Linux>,
    entry: &'static str,
    times: Vec<f64>,
}

impl Measured {
    fn new(name: &str, program: Loaded<Linux>, which: &str, longer: usize) -> Result<Measured, Failed> {
        let again = example("lb-repeat.bpf.o")?.load(Linux::builder().without_pins().build())?;
        let mut original = (packet().len() as u64).to_ne_bytes().to_vec();
        original.extend(&packet()[..64]);
        again.map("original")?.update(&[0; 4], &original, 0)?;
        let handle = program.program(which)?.handle().clone();
        let frags = again.target().set_program(again.map("target_frags")?, 0, &handle).is_ok();
        if !frags {
            again.target().set_program(again.map("target")?, 0, &handle)?;
        }
        let entry = if frags { "again_frags" } else { "again" };
        let measured = Measured { name: name.into(), _program: program, again, entry, times: Vec::new() };
        let (verdict, length, _) = measured.run(1)?;
        if verdict != 3 || length != packet().len() + longer {
            return Err(format!("{name}: verdict {verdict}, {length} bytes").into());
        }
        Ok(measured)
    }

    fn run(&self, repeat: u32) -> Result<(u32, usize, u32), Failed> {
        let program = self.again.program(self.entry)?.handle().clone();
        let (data, mut out) = (packet(), vec![0; 4096]);
        let run = TestRun { data: &data, data_out: &mut out, repeat, ..TestRun::default() };
        let outcome = run.run(program.as_fd()).map_err(|e| format!("{e:?}"))?;
        Ok((outcome.retval, outcome.data, outcome.duration))
    }
}

/// ns a packet on the user target.
fn on_user(loaded: &Loaded<User>) -> Result<f64, Failed> {
    let mut cpu = loaded.target().vcpu(0)?;
    let mut packets = loaded.program("lb")?.packets(&mut cpu)?;
    let data = packet();
    let start = Instant::now();
    for _ in 0..REPEAT {
        let verdict = packets.run(&Packet { data: black_box(&data), ..Packet::default() });
        if verdict.map_err(|fault| fault.diagnostic().to_string())?.code() != 3 {
            return Err("not XDP_TX".into());
        }
    }
    Ok(start.elapsed().as_nanos() as f64 / f64::from(REPEAT))
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1)).cloned();
    if !alveary_testing::bpf::permitted("the data plane's figures") {
        return Ok(());
    }
    stay_on_cpu(0)?;
    let linux = || Linux::builder().without_pins().build();
    let cpus = alveary_testing::bpf::possible_cpus();
    let ways = [("IPIP", Way::Ip, 20), ("GUE", Way::Gue, 28), ("NAT", Way::Nat, 0), ("L2", Way::L2, 0)];
    let mut all = Vec::new();
    for (name, way, longer) in ways {
        all.push(Measured::new(name, ours(linux(), cpus, way)?, "lb", longer)?);
    }
    for (name, option, longer) in [("Katran IPIP", "--katran", 20), ("Katran GUE", "--katran-gue", 28)] {
        if let Some(path) = after(option) {
            all.push(Measured::new(name, katran(&path)?, "balancer_ingress", longer)?);
        }
    }
    let mut user = Vec::new();
    for (name, way, _) in ways {
        user.push((name, ours(Target::user(), 1, way)?, Vec::new()));
    }
    for _ in 0..ROUNDS {
        for one in &mut all {
            let (_, _, duration) = one.run(REPEAT)?;
            one.times.push(f64::from(duration));
        }
        for (_, loaded, times) in &mut user {
            times.push(on_user(loaded)?);
        }
    }
    for one in &mut all {
        println!("kernel  {:12} {:6.0} ns", one.name, median(&mut one.times));
    }
    for (name, _, times) in &mut user {
        println!("user    {name:12} {:6.1} ns", median(times));
    }
    Ok(())
}
