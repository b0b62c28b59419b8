//! `alveary lb record`.

use super::{
    client::name,
    serve::{OBJECT, ROOT, all},
};
use crate::{failure::Failure, files, output, table};
use alveary::kernel::{netlink::devices, signal::Ending};
use alveary_diag::{Diagnostic, Place};
use alveary_lb::{
    config::{TIME, duration},
    record::{Bounds, Known, Recorded, Recorder, SNAP, monotonic},
    trace, wire,
};
use alveary_ports::{Direction, Format, LinkType, Writer};
use alveary_sort::Gather;
use clap::{Args, ValueHint};
use serde_json::json;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

/// How often it is looked whether it shall end.
const LOOK: Duration = Duration::from_millis(100);
/// How often the data plane is told that somebody records.
const RENEW: Duration = Duration::from_secs(1);
/// What a packet takes in a capture beside its bytes and its comment, at most.
const BLOCK: u64 = 60;

/// Record packets of the running balancer as they come and as they leave, until Ctrl-C
///
/// The running data plane is asked by a match, without reload; when this ends, even by being killed, nothing is asked any
/// more. Filters are tcpdump's (`tcp dst port 443 and src net 198.51.100.0/24`), with `vip ADDRESS[:PORT]`, `real ADDRESS`
/// and `verdict NAME` (`dropped`, `forwarded`, `no-real` …) beside them. Each packet has what became of it as a comment: the
/// VIP, the real, the verdict; an ICMP error has the flow that it is about. A packet that leaves as another one is two frames of
/// the file: as it came, and as it left; how many there are of both is said at the end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary lb record 'verdict dropped' -w drops.pcapng
  alveary lb record 'vip 192.0.2.1:443 and host 198.51.100.7' -w client.pcapng --count 100
  alveary lb record 'real 10.0.1.11 and not port 22' -w real.pcapng --for 30s --rate 10")]
pub(super) struct Record {
    /// Which packets; every one of them, if it is empty
    #[arg(value_name = "FILTER", default_value = "")]
    filter: String,

    /// Where they are written to
    #[arg(short = 'w', long = "write", value_name = "FILE.pcapng", value_hint = ValueHint::FilePath, value_parser = files::written)]
    file: PathBuf,

    /// No more packets a second on each CPU; 0 for no limit
    #[arg(long, value_name = "N", default_value_t = 1000)]
    rate: u32,

    /// Bytes that are kept of each packet
    #[arg(long, value_name = "BYTES", default_value_t = SNAP, value_parser = clap::value_parser!(u32).range(1..=i64::from(SNAP)))]
    snap: u32,

    /// End when so many packets have come
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End before the file is larger than so many MiB, uncompressed
    #[arg(long, value_name = "MIB", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..1 << 30))]
    size: u64,

    /// End after this time
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,

    /// The balancer's name, if it has one
    #[arg(long, value_name = "NAME", default_value = "main", value_parser = name)]
    name: String,

    /// The BPF file system in which it is pinned
    #[arg(long, value_name = "DIR", default_value = ROOT, value_hint = ValueHint::DirPath)]
    bpffs: PathBuf,
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| TIME.into())
}

impl Record {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        if Format::of(&self.file).0 != Format::PcapNg {
            let message = format!("`{}` would be no pcapng, and others have no comments", self.file.display());
            let why = Diagnostic::new("lb-record", message, Place::Nowhere);
            return Err(why.expected("a name that ends in .pcapng or .pcapng.gz").into());
        }
        let one = |why| all(vec![why]);
        let ending = Ending::expect()?;
        let mut recorder = Recorder::open(&OBJECT, &self.bpffs, &self.name).map_err(one)?;
        // What is wrong with the filter is said before a file is made, or lost.
        recorder.check(&self.filter)?;
        let mut file = File::create(self)?;
        recorder.begin(&self.filter, Bounds { rate: self.rate, bytes: self.snap }).map_err(one)?;
        if !json {
            output::plain(&format!("recording to {}; Ctrl-C ends it\n", self.file.display()))?;
        }
        let (begin, mut renewed) = (Instant::now(), Instant::now());
        while !file.full && !ending.came() {
            let left = self.time.map(|time| time.saturating_sub(begin.elapsed()));
            if left == Some(Duration::ZERO) {
                break;
            }
            recorder.take(left.map_or(LOOK, |left| left.min(LOOK)), |known, packet| file.put(known, &packet))?;
            if renewed.elapsed() >= RENEW {
                renewed = Instant::now();
                recorder.renew().map_err(one)?;
            }
        }
        let missed = recorder.end(|known, packet| file.put(known, &packet)).map_err(one)?;
        if let Some(why) = file.failed {
            return Err(why.into());
        }
        file.writer.finish()?;
        if json {
            return output::object(
                &json!({ "packets": file.count, "frames": file.frames, "missed": missed, "bytes": file.bytes }),
            );
        }
        let packets = table::count(file.count, "packet", "packets");
        let missed = if missed > 0 { format!("; {missed} more fitted, and were over the rate") } else { String::new() };
        let frames = table::count(file.frames, "frame", "frames");
        let left = match file.frames - file.count {
            0 => "none".into(),
            left => table::grouped(left),
        };
        let file = self.file.display();
        output::plain(&format!("{packets} in {file}: {frames}, {left} of them as a packet left{missed}\n"))
    }
}

/// The capture.
struct File {
    writer: Writer,
    /// From the data plane's clock to that of the day.
    ahead: u64,
    /// Of devices, by number.
    names: BTreeMap<u32, String>,
    /// Packets; and what stands in the file: each as it came, and as it left.
    count: u64,
    frames: u64,
    most: u64,
    bytes: u64,
    size: u64,
    full: bool,
    failed: Option<Diagnostic>,
}

impl File {
    fn create(record: &Record) -> Result<File, Failure> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(File {
            writer: Writer::create(&record.file, LinkType::Ethernet)?,
            ahead: (now.as_nanos() as u64).saturating_sub(monotonic()),
            names: devices().unwrap_or_default().into_iter().map(|device| (device.index, device.name)).gather(),
            count: 0,
            frames: 0,
            most: record.count.unwrap_or(u64::MAX),
            bytes: BLOCK,
            size: record.size << 20,
            full: false,
            failed: None,
        })
    }

    /// Appends a packet as it came and, if it left as another one, as it left.
    fn put(&mut self, known: &Known, packet: &Recorded) {
        let comment = self.comment(known, packet);
        let frames = [(Some(&packet.came), Direction::In), (packet.left.as_ref(), Direction::Out)];
        let frames: Vec<_> = frames.into_iter().filter_map(|(frame, way)| frame.map(|frame| (frame, way))).collect();
        let more: u64 = frames.iter().map(|((frame, _), _)| frame.len() as u64 + comment.len() as u64 + BLOCK).sum();
        if self.full || self.failed.is_some() || self.bytes + more > self.size {
            self.full = true;
            return;
        }
        for ((frame, length), way) in frames {
            let time = packet.time + self.ahead;
            if let Err(why) = self.writer.write_with_direction(time, *length, frame, &comment, way) {
                (self.full, self.failed) = (true, Some(why));
                return;
            }
            self.frames += 1;
        }
        self.bytes += more;
        self.count += 1;
        self.full = self.count >= self.most;
    }

    fn comment(&self, known: &Known, packet: &Recorded) -> String {
        let device = self.names.get(&packet.ifindex).cloned().unwrap_or_else(|| format!("device {}", packet.ifindex));
        let (verdict, about) = wire::VERDICTS.get(packet.verdict as usize).copied().unwrap_or(("unknown", ""));
        let vip = packet.vip.map_or_else(|| "none".into(), |number| known.vip(number));
        let real = packet.real.map_or_else(|| "none".into(), |number| known.real(number));
        let action = trace::action(packet.action);
        format!("{verdict}: {about}\nvip {vip}\nreal {real}\n{action}, came by {device}")
    }
}
