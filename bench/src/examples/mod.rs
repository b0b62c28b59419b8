//! The programs of examples/ over packets of their capture, natively too: their very sources, with `native/` in place of
//! the kernel's headers. Every engine gives each packet the same verdict and the same bytes before it is measured.

mod kernel;
mod list;
mod native;
mod ours;
mod table;

use crate::{
    compile::{CLANG, Compiler, GCC},
    rounds::{Rounds, Runs, Time},
};
use alveary_ports::Capture;
use alveary_runtime::{Engine, Passes};
pub(crate) use list::Example;
use list::Hook;
use native::Helpers;
use std::{path::Path, rc::Rc};
use table::Table;

/// Packets, by their bytes.
pub(crate) type Packets = Rc<[Vec<u8>]>;

/// A program that is ready to run over packets: a run is over all of them, and gives the sum of the verdicts.
trait Replay: Runs {
    /// The verdict on one of them, and the packet as it was left.
    fn one(&mut self, packet: &[u8]) -> Result<(u32, Vec<u8>), String>;

    /// One of so many packets is all that it runs over.
    fn of(&self) -> usize {
        1
    }
}

type Made = Result<Box<dyn Replay>, String>;

/// An engine: its name in the table, and what makes a program ready for it.
struct Column {
    name: &'static str,
    make: fn(&Example, Packets) -> Made,
    /// It may not be there.
    foreign: bool,
}

/// The first is what all are compared with.
const COLUMNS: [Column; 6] = [
    Column {
        name: "clang -O2",
        make: |example, packets| native(CLANG, Helpers::Called, example, packets),
        foreign: false,
    },
    Column {
        name: "clang -O2, maps compiled in",
        make: |example, packets| native(CLANG, Helpers::Within, example, packets),
        foreign: false,
    },
    Column { name: "gcc -O3", make: |example, packets| native(GCC, Helpers::Called, example, packets), foreign: true },
    Column { name: "JIT", make: |example, packets| ours(Engine::Jit, example, packets), foreign: false },
    Column { name: "interpreter", make: |example, packets| ours(Engine::Interp, example, packets), foreign: false },
    Column {
        name: "kernel",
        make: |example, packets| Ok(Box::new(kernel::Kernel::load(example, packets)?)),
        foreign: true,
    },
];

fn native(compiler: Compiler, helpers: Helpers, example: &Example, packets: Packets) -> Made {
    Ok(Box::new(native::Native::open(compiler, helpers, example, packets)?))
}

fn ours(engine: Engine, example: &Example, packets: Packets) -> Made {
    Ok(Box::new(ours::Ours::load(engine, Passes::default(), example, packets)?))
}

/// Prints a table of the programs that are named, or all.
pub(crate) fn measure(rounds: Rounds, names: &[String]) -> Result<(), String> {
    let rows = each(names, |example, empty, packets| row(example, empty, packets, rounds))?;
    print!("{}", Table(&rows));
    Ok(())
}

/// Asks for something of the programs that are named, or all: of each with the one that does nothing, and its packets.
pub(crate) fn each<R>(
    names: &[String],
    ask: impl Fn(&'static Example, &'static Example, &Packets) -> Result<R, String>,
) -> Result<Vec<R>, String> {
    let wanted = list::EXAMPLES.iter().filter(|example| names.is_empty() || names.iter().any(|n| n == example.name));
    wanted.map(|example| ask(example, list::empty(example.hook), &packets(example)?)).collect()
}

/// A program on what all are compared with, and on ours with these passes.
pub(crate) fn by_passes(
    example: &Example,
    packets: &Packets,
    passes: impl Iterator<Item = Passes>,
) -> Result<Vec<Option<Box<dyn Runs>>>, String> {
    let mut engines: Vec<Option<Box<dyn Runs>>> =
        vec![Some((COLUMNS[0].make)(example, packets.clone())? as Box<dyn Runs>)];
    for passes in passes {
        engines.push(Some(Box::new(ours::Ours::load(Engine::Jit, passes, example, packets.clone())?)));
    }
    Ok(engines)
}

/// Whether all engines do the same with all packets.
#[cfg(test)]
pub(crate) fn check() -> Result<(), String> {
    let all = list::EXAMPLES.iter().chain([Hook::Xdp, Hook::Tc].map(list::empty));
    all.into_iter().try_for_each(|example| engines(example, &packets(example)?).map(drop))
}

/// What was measured of a program.
struct Row {
    name: &'static str,
    hook: Hook,
    /// By column, ns a packet.
    times: Vec<Option<Time>>,
    /// The same of a program that does nothing, measured in turns with it.
    empty: Vec<Option<Time>>,
}

fn row(example: &'static Example, empty: &'static Example, packets: &Packets, rounds: Rounds) -> Result<Row, String> {
    let mut engines = engines(example, packets)?;
    engines.extend(self::engines(empty, packets)?);
    let mut times = rounds.measure(&mut engines)?;
    let each =
        |time: Time| Time { least: time.least / packets.len() as f64, median: time.median / packets.len() as f64 };
    times.iter_mut().for_each(|time| *time = time.map(each));
    let empty = times.split_off(COLUMNS.len());
    Ok(Row { name: example.name, hook: example.hook, times, empty })
}

/// The packets that a program gets of the capture.
fn packets(example: &Example) -> Result<Packets, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/traffic.pcap");
    let mut capture = Capture::open(path).map_err(|error| error.to_string())?;
    let mut packets = vec![];
    while let Some(packet) = capture.next() {
        packets.push((example.packet)(packet.map_err(|error| error.to_string())?.data));
    }
    Ok(packets.into())
}

/// The columns' engines for a program; what cannot run it is none, and says why on the standard error.
fn engines(example: &Example, packets: &Packets) -> Result<Vec<Option<Box<dyn Runs>>>, String> {
    let mut engines: Vec<Option<Box<dyn Runs>>> = vec![];
    let mut expected = vec![];
    for column in &COLUMNS {
        let made = (column.make)(example, packets.clone()).and_then(|mut replay| {
            compare(replay.as_mut(), packets, &mut expected)?;
            Ok(replay as Box<dyn Runs>)
        });
        engines.push(match made {
            Ok(replay) => Some(replay),
            Err(why) if column.foreign => {
                eprintln!("{} {}: {why}", example.name, column.name);
                None
            }
            Err(why) => return Err(format!("{} {}: {why}", example.name, column.name)),
        });
    }
    Ok(engines)
}

/// Holds what becomes of each packet against what became of it on the first engine.
fn compare(replay: &mut dyn Replay, packets: &Packets, expected: &mut Vec<(u32, Vec<u8>)>) -> Result<(), String> {
    let first = expected.is_empty();
    for (number, packet) in packets.iter().enumerate().step_by(replay.of()) {
        let end = replay.one(packet)?;
        if first {
            expected.push(end);
        } else if expected[number] != end {
            let ((was, bytes), (is, left)) = (&expected[number], &end);
            let at = bytes.iter().zip(left).take_while(|(was, is)| was == is).count();
            let (before, after) = (bytes.len(), left.len());
            return Err(format!(
                "packet {}: verdict {is} for {was}, {after} bytes for {before}, equal up to {at}",
                number + 1
            ));
        }
    }
    Ok(())
}
