//! Packets and what is expected of them, against a balancer's configuration: `cargo run -p alveary-lb --example fixtures --
//! CONFIG.toml PACKETS.tsv [SET …]`. Each line of the second file has the packet's name, a description, `XDP_TX|PASS|DROP`, the frame that
//! comes and the one that leaves, in hexadecimal; the name's first word is its set, and all of a set come one after the other
//! (`SET` chooses some). They go through the data plane on the user target, filled by the control plane; what is told is
//! which are the same, and where others differ. Made for fixtures of other balancers, converted outside of this repository.

use alveary::{Object, Packet, Target};
use alveary_lb::{
    config::Config,
    store::{Store, prepare},
    wanted::{Devices, Standing, wanted},
    wire::VERDICTS,
};
use std::{collections::BTreeMap, error::Error, fs};

/// Devices are not needed: frames have no wire. The address is the one that frames leave with.
struct Nowhere;

impl Devices for Nowhere {
    fn device(&self, _: &str) -> Option<(u32, [u8; 6])> {
        Some((0, [2, 0, 0, 0, 0, 0]))
    }
}

/// The bytes that hexadecimal digits stand for.
fn bytes(digits: &str) -> Result<Vec<u8>, String> {
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some((char::from(*high).to_digit(16)? << 4 | char::from(*low).to_digit(16)?) as u8),
        _ => None,
    };
    let read = |(at, two)| pair(two).ok_or_else(|| format!("no two hexadecimal digits after {} of them", 2 * at));
    digits.as_bytes().chunks(2).enumerate().map(read).collect()
}

/// The fields of an Ethernet frame with one IP header, by name; what is behind that, and of GUE its UDP header.
fn fields(frame: &[u8]) -> Vec<(&'static str, &[u8])> {
    let mut all = Vec::new();
    let mut cut = |name: &'static str, from: usize, to: usize| {
        all.push((name, frame.get(from..to.min(frame.len())).unwrap_or_default()));
    };
    cut("to Ethernet", 0, 6);
    cut("from Ethernet", 6, 12);
    cut("ethertype", 12, 14);
    let (protocol, end) = match frame.get(12..14) {
        Some([8, 0]) => {
            let fields = [("version", 14, 15), ("TOS", 15, 16), ("length", 16, 18), ("id", 18, 20), ("DF", 20, 22)];
            let more = [("TTL", 22, 23), ("protocol", 23, 24), ("IP checksum", 24, 26), ("source", 26, 30)];
            fields.into_iter().chain(more).for_each(|(name, from, to)| cut(name, from, to));
            cut("destination", 30, 34);
            (frame.get(23), 34)
        }
        Some([0x86, 0xdd]) => {
            let fields = [("traffic class and flow label", 14, 18), ("length", 18, 20), ("protocol", 20, 21)];
            fields.into_iter().for_each(|(name, from, to)| cut(name, from, to));
            cut("hop limit", 21, 22);
            cut("source", 22, 38);
            cut("destination", 38, 54);
            (frame.get(20), 54)
        }
        _ => (None, 14),
    };
    let end = match protocol {
        Some(17) => {
            cut("UDP source port", end, end + 2);
            cut("UDP destination port", end + 2, end + 4);
            cut("UDP length", end + 4, end + 6);
            cut("UDP checksum", end + 6, end + 8);
            end + 8
        }
        _ => end,
    };
    cut("what is in it", end, frame.len());
    all
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, packets, sets @ ..] = &arguments[..] else { return Err("CONFIG.toml PACKETS.tsv [SET …]".into()) };
    let config = Config::read(config, &fs::read_to_string(config)?).map_err(|faults| format!("{faults:#?}"))?;
    let mut object = Object::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb.bpf.o"))?;
    prepare(&mut object, &config, 1)?;
    let loaded = object.load(Target::user())?;
    let mut store = Store::open(&loaded)?;
    store.apply(&wanted(&config, &|_, _| Standing::WELL, &Nowhere))?;
    let mut cpu = loaded.target().vcpu(0)?;
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for (number, line) in (1..).zip(fs::read_to_string(packets)?.lines()) {
        let wrong = |what: String| format!("{packets}:{number}: {what}");
        let all: Vec<&str> = line.split('\t').collect();
        let [name, about, action, came, left] = all[..] else {
            return Err(wrong(format!("expected 5 fields with tabs between them, found {}", all.len())).into());
        };
        if !sets.is_empty() && !sets.iter().any(|set| name.split(' ').next() == Some(set)) {
            continue;
        }
        let before = store.verdicts()?;
        let (came, wanted) = (bytes(came).map_err(wrong)?, bytes(left).map_err(wrong)?);
        let mut runs = loaded.program("lb")?.packets(&mut cpu)?;
        let ran = runs.run(&Packet { data: &came, time: 5 << 30, ..Packet::default() });
        let ran = ran.map_err(|fault| fault.diagnostic().to_string())?;
        let did = ["XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"].get(ran.code() as usize).copied();
        let did = did.unwrap_or_default();
        let frame = ran.bytes();
        let after = store.verdicts()?;
        let verdict = after.iter().zip(&before).position(|(after, before)| after != before);
        let verdict = verdict.and_then(|at| VERDICTS.get(at)).map_or("?", |(name, _)| name);
        let (ours, theirs) = (fields(&frame), fields(&wanted));
        let what = if did != action {
            format!("{did}, not {action}")
        } else if did == "XDP_DROP" || frame == wanted {
            "the same".to_owned()
        } else if ours.iter().map(|(name, _)| name).ne(theirs.iter().map(|(name, _)| name)) {
            "other headers".to_owned()
        } else {
            let differs = ours.iter().zip(&theirs).filter(|((_, ours), (_, theirs))| ours != theirs);
            let names: Vec<&str> = differs.map(|((name, _), _)| *name).collect();
            format!("the same but for: {}", names.join(", "))
        };
        println!("{name:12} {verdict:16} {what:60} {about}");
        *counts.entry(what).or_default() += 1;
    }
    println!();
    for (what, count) in counts {
        println!("{count:5}  {what}");
    }
    Ok(())
}
