//! Packets a second over a pair of Ethernet devices between two namespaces: `cargo bench -p alveary-lb --bench wire`, as
//! root. One sends live frames of one known TCP flow (`BPF_F_TEST_XDP_LIVE_FRAMES`), the balancer in the other sends them
//! back by XDP_TX, where they are counted and dropped; all of it on one CPU. Median of 25 rounds, in which everything takes
//! its turn, each of 200,000 packets. `-- --katran IPIP.o --katran-gue GUE.o` measures objects built from Katran's source
//! beside it.

#[path = "setup/mod.rs"]
mod setup;

use alveary::{
    Linux, Loaded, MapHandle,
    kernel::{
        attach::{Device, Link, Place},
        sys::{TestRun, stay_on_cpu},
    },
    spec::XdpMode,
};
use alveary_lab::{Network, Node};
use setup::{Failed, KATRAN, WAYS, after, again, katran, linux, median, ours, packet};
use std::{os::fd::AsFd, time::Instant};

const ROUNDS: usize = 25;
const FRAMES: u32 = 200_000;
/// `BPF_F_TEST_XDP_LIVE_FRAMES`.
const LIVE_FRAMES: u32 = 1 << 1;

/// A balancer on its wire.
struct Wire {
    name: String,
    rates: Vec<f64>,
    sender: Loaded<Linux>,
    client: Node,
    // The links go before the devices.
    _links: [Link; 2],
    _balancer: Loaded<Linux>,
    network: Network,
}

impl Wire {
    fn new(name: &str, balancer: Loaded<Linux>, program: &str, longer: usize) -> Result<Wire, Failed> {
        let mut network = Network::new();
        let (client, here) = (network.node("client")?, network.node("balancer")?);
        network.pair([(client, "up"), (here, "eth0")])?;
        let attach = |loaded: &Loaded<Linux>, program: &str, device: &str| -> Result<Link, String> {
            let device = Device::named(device).map_err(|why| why.to_string())?;
            let place = Place::Xdp { device, mode: XdpMode::Native, replace: false };
            loaded.attach_to(program, &place).map_err(|why| why.to_string())
        };
        let device = network.at(client, || Device::named("up").map(|device| device.index))?;
        let sender = again(device.map_err(|why| why.to_string())?, longer)?;
        let links = [
            network.at(here, || attach(&balancer, program, "eth0"))??,
            network.at(client, || attach(&sender, "counted", "up"))??,
        ];
        let (name, rates) = (name.to_owned(), Vec::new());
        let wire = Wire { name, rates, sender, client, _links: links, _balancer: balancer, network };
        wire.round()?;
        Ok(wire)
    }

    /// Packets that came back so far, as long as they should be.
    fn came(&self) -> Result<u64, Failed> {
        let all = self.sender.map("came")?.lookup(&[0; 4])?.unwrap_or_default();
        Ok(all.chunks_exact(8).map(|count| u64::from_ne_bytes(count.try_into().unwrap_or_default())).sum())
    }

    /// Millions of packets a second.
    fn round(&self) -> Result<f64, Failed> {
        let before = self.came()?;
        let program = self.sender.program("sent")?.handle().clone();
        let data = packet();
        let run = || {
            // A thread of the namespace's own, which is not where this one is.
            stay_on_cpu(0).map_err(|why| why.to_string())?;
            let start = Instant::now();
            let run = TestRun { data: &data, repeat: FRAMES, flags: LIVE_FRAMES, ..TestRun::default() };
            run.run(program.as_fd()).map_err(|why| format!("{why:?}"))?;
            Ok::<_, String>(start.elapsed().as_secs_f64())
        };
        let seconds = self.network.at(self.client, run)??;
        let packets = self.came()? - before;
        if packets < u64::from(FRAMES - FRAMES / 100) {
            return Err(format!("{}: {packets} packets came back of {FRAMES}", self.name).into());
        }
        Ok(packets as f64 / seconds / 1e6)
    }
}

fn main() -> Result<(), Failed> {
    if !alveary_testing::bpf::permitted("the data plane's figures") {
        return Ok(());
    }
    let cpus = alveary_testing::bpf::possible_cpus();
    let mut all = Vec::new();
    for (name, way, longer) in WAYS {
        all.push(Wire::new(name, ours(linux(), cpus, way, true)?, "lb", longer)?);
    }
    for (name, option, longer) in KATRAN {
        if let Some(path) = after(option) {
            all.push(Wire::new(name, katran(&path)?, "balancer_ingress", longer)?);
        }
    }
    for _ in 0..ROUNDS {
        for one in &mut all {
            let rate = one.round()?;
            one.rates.push(rate);
        }
    }
    for one in &mut all {
        println!("veth    {:12} {:6.2} Mpps", one.name, median(&mut one.rates));
    }
    Ok(())
}
