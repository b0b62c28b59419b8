//! What it costs to walk over a capture of a million 64-byte packets: `cargo bench -p alveary-ports`.
//!
//! Prints, per format, the least nanoseconds a packet of nine passes over a file in the page cache.

use std::{path::PathBuf, time::Instant};

use alveary_ports::{Capture, LinkType, Writer};

const PACKETS: u64 = 1_000_000;

fn main() -> Result<(), alveary_diag::Diagnostic> {
    for name in ["pcap", "pcapng", "pcap.gz"] {
        let file = Scratch(std::env::temp_dir().join(format!("alveary-bench-{}.{name}", std::process::id())));
        let mut writer = Writer::create(&file.0, LinkType::Ethernet)?;
        for number in 0..PACKETS {
            writer.write(number * 1000, 64, &[number as u8; 64])?;
        }
        writer.finish()?;
        let mut least = f64::INFINITY;
        for _ in 0..9 {
            let start = Instant::now();
            let mut capture = Capture::open(&file.0)?;
            let mut sum = 0u64;
            while let Some(packet) = capture.next() {
                sum += u64::from(packet?.data[0]);
            }
            std::hint::black_box(sum);
            assert_eq!(capture.packets(), PACKETS);
            least = least.min(start.elapsed().as_nanos() as f64 / PACKETS as f64);
        }
        println!("{name:8} {least:6.1} ns a packet");
    }
    Ok(())
}

/// A file that is removed at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
