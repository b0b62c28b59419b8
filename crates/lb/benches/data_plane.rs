//! What the data plane takes for a packet: `cargo bench -p alveary-lb --bench data_plane`, as root. Median of 25 rounds, in
//! which everything takes its turn, each of 200,000 packets of one known TCP flow: on the kernel by `BPF_PROG_TEST_RUN`
//! (every run of it restores the packet first, which is in the figures), on the user target as native code, each packet
//! copied in. `IPIP, bare` is without the recorder, which is off in the others. `-- --katran IPIP.o --katran-gue GUE.o` measures objects built from Katran's source beside it.

#[path = "setup/mod.rs"]
mod setup;

use alveary::{
    Backend, Linux, Loaded, Packet, Target, User,
    kernel::sys::{TestRun, stay_on_cpu},
};
use setup::{Failed, KATRAN, WAYS, after, again, katran, linux, median, ours, packet};
use std::{hint::black_box, os::fd::AsFd, time::Instant};

const ROUNDS: usize = 25;
const REPEAT: u32 = 200_000;

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
        let again = again(0, longer)?;
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

fn main() -> Result<(), Failed> {
    if !alveary_testing::bpf::permitted("the data plane's figures") {
        return Ok(());
    }
    stay_on_cpu(0)?;
    let cpus = alveary_testing::bpf::possible_cpus();
    let mut all = Vec::new();
    for (name, way, longer) in WAYS {
        all.push(Measured::new(name, ours(linux(), cpus, way, true)?, "lb", longer)?);
    }
    // The same without the recorder, which is off above: what it costs then.
    let (name, way, longer) = WAYS[0];
    all.push(Measured::new(&format!("{name}, bare"), ours(linux(), cpus, way, false)?, "lb", longer)?);
    for (name, option, longer) in KATRAN {
        if let Some(path) = after(option) {
            all.push(Measured::new(name, katran(&path)?, "balancer_ingress", longer)?);
        }
    }
    let mut user = Vec::new();
    for (name, way, _) in WAYS {
        user.push((name, ours(Target::user(), 1, way, true)?, Vec::new()));
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
