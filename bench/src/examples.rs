//! The programs of examples/ over the packets of their capture: nanoseconds a packet, packets copied in.

use crate::rounds::{Rounds, Runs};
use alveary::{Loaded, Loader, Object, Packet, User};
use alveary_ports::Capture;
use alveary_runtime::{Engine, Trust, Vcpu};
use std::path::{Path, PathBuf};

const ENGINES: [(&str, Engine); 2] = [("interpreter", Engine::Interp), ("JIT", Engine::Jit)];

/// A program over all packets of the capture.
struct Replay {
    loaded: Loaded<User>,
    name: String,
    cpu: Vcpu,
    packets: Vec<Vec<u8>>,
}

impl Runs for Replay {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        let program = self.loaded.program(&self.name).map_err(|error| error.to_string())?;
        let mut through = program.packets(&mut self.cpu).map_err(|error| error.to_string())?;
        let mut sum = 0u32;
        for _ in 0..times {
            for data in &self.packets {
                let verdict = through.run(&Packet { data, ..Packet::default() });
                sum = sum.wrapping_add(verdict.map_err(|fault| fault.diagnostic().to_string())?.code() as u32);
            }
        }
        Ok(sum)
    }
}

/// Prints a table.
pub(crate) fn measure(rounds: Rounds) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut capture = Capture::open(folder.join("traffic.pcap")).map_err(|error| error.to_string())?;
    let mut packets = vec![];
    while let Some(packet) = capture.next() {
        packets.push(packet.map_err(|error| error.to_string())?.data.to_vec());
    }
    println!("| program | {} | interpreted by native |", ENGINES.map(|engine| engine.0).join(" ns | "));
    println!("|---|---:|---:|---:|");
    for object in objects(&folder)? {
        for name in names(&object)? {
            let engine = |(_, engine)| {
                replay(&object, &name, engine, &packets).map(|replay| Some(Box::new(replay) as Box<dyn Runs>))
            };
            let mut engines = ENGINES.into_iter().map(engine).collect::<Result<Vec<_>, String>>()?;
            let times = rounds.measure(&mut engines)?;
            let [interpreted, native] =
                [0, 1].map(|n: usize| times[n].map_or(0.0, |time| time.least / packets.len() as f64));
            println!("| {name} | {interpreted:.1} | {native:.1} | {:.2} |", interpreted / native);
        }
    }
    Ok(())
}

fn objects(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut objects: Vec<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "o")).collect();
    objects.sort();
    Ok(objects)
}

/// The programs of an object that are proven and take packets.
fn names(object: &Path) -> Result<Vec<String>, String> {
    let loaded = Object::open(object).and_then(|object| object.load(User::builder().build()));
    let loaded = loaded.map_err(|error| error.to_string())?;
    let proven = loaded.programs().filter(|program| matches!(program.handle().trust(), Trust::Proven(_)));
    Ok(proven.map(|program| program.spec().name.to_string()).collect())
}

fn replay(object: &Path, name: &str, engine: Engine, packets: &[Vec<u8>]) -> Result<Replay, String> {
    let said = |error: alveary::Error| error.to_string();
    let target = User::builder().engine(engine).build();
    let loaded = Loader::new(target).program(name).load(&Object::open(object).map_err(said)?).map_err(said)?;
    let cpu = loaded.target().vcpu(0).map_err(said)?;
    Ok(Replay { loaded, name: name.to_owned(), cpu, packets: packets.to_vec() })
}
