//! What the benchmarks measure: the data plane with one service that has one real, and Katran's object with the same.

use alveary::{Backend, Linux, Loaded, MapHandle, Object, Origin};
use alveary_lb::wire::{Real, Service, Way, address, vip_key};
use std::net::IpAddr;

const TCP: u8 = 6;
const VIP: [u8; 4] = [192, 0, 2, 10];

pub(crate) type Failed = Box<dyn std::error::Error>;

/// The ways, and by how much they make a packet longer.
pub(crate) const WAYS: [(&str, Way, usize); 4] =
    [("IPIP", Way::Ip, 20), ("GUE", Way::Gue, 28), ("NAT", Way::Nat, 0), ("L2", Way::L2, 0)];

/// What Katran's objects are given by, and by how much they make a packet longer.
pub(crate) const KATRAN: [(&str, &str, usize); 2] =
    [("Katran IPIP", "--katran", 20), ("Katran GUE", "--katran-gue", 28)];

/// The word behind an option of the command line.
pub(crate) fn after(option: &str) -> Option<String> {
    let arguments: Vec<String> = std::env::args().collect();
    arguments.iter().position(|a| a == option).and_then(|at| arguments.get(at + 1)).cloned()
}

/// The kernel's target, which pins nothing.
pub(crate) fn linux() -> Linux {
    Linux::builder().without_pins().build()
}

/// What makes packets what they were: by `device` they are sent, and come back longer.
pub(crate) fn again(device: u32, longer: usize) -> Result<Loaded<Linux>, Failed> {
    let again = example("lb-repeat.bpf.o")?.load(linux())?;
    let lengths = [packet().len() as u64, device.into(), (packet().len() + longer) as u64];
    let mut original: Vec<u8> = lengths.iter().flat_map(|n| n.to_ne_bytes()).collect();
    original.extend(&packet()[..64]);
    again.map("original")?.update(&[0; 4], &original, 0)?;
    Ok(again)
}

pub(crate) fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A TCP segment of ten bytes, checksums left out: nobody asks for them here.
pub(crate) fn packet() -> Vec<u8> {
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

/// The data plane with one service that has one real; `recorder` says whether it has code for that.
pub(crate) fn ours<B: Backend>(on: B, cpus: u32, way: Way, recorder: bool) -> Result<Loaded<B>, Failed> {
    let mut object = example("lb.bpf.o")?;
    object.set_variable("lb_cpus", &cpus.to_ne_bytes())?;
    object.set_variable("lb_records", &[recorder.into()])?;
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
pub(crate) fn katran(path: &str) -> Result<Loaded<Linux>, Failed> {
    let object = Object::open(path)?;
    let loaded = object.load(linux())?;
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
