//! The paper's table on End.BPF, again: how many packets a second are forwarded through segments of a router's own and
//! programs behind segments, by the running kernel and by the router in user space. The packets are those of the paper:
//! IPv6, a header of two segments, UDP with 64 bytes.
//!
//! `cargo bench -p alveary --bench srv6`, as root for the kernel's part

mod kernel;
mod user;

use std::net::Ipv6Addr;

const OBJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/srv6-functions.bpf.o");
/// Each time is the least of so many rounds or a multiple of them, in each of which all have their turn.
const ROUNDS: usize = 25;

/// What is done with packets.
#[derive(Clone, Copy)]
enum Does {
    /// They only go on.
    Routes,
    End,
    EndT,
    /// A program of the object sees them.
    Runs(&'static str),
}

/// What is measured, by name.
const CASES: [(&str, Does); 7] = [
    ("no segment", Does::Routes),
    ("End", Does::End),
    ("End.BPF that does nothing", Does::Runs("end")),
    ("End.T", Does::EndT),
    ("End.T by End.BPF", Does::Runs("end_t")),
    ("Tag++", Does::Runs("tag")),
    ("Add TLV", Does::Runs("add_tlv")),
];
/// The case that others are compared with.
const STATIC: usize = 1;

fn address(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

/// A packet of some flow: its first segment, its second one is fc00:b::1.
fn packet(segment: Ipv6Addr, flow: u32) -> Vec<u8> {
    let udp = 8 + 64;
    let mut packet = vec![0x60, 0, (flow >> 8) as u8, flow as u8, 0, 40 + udp, 43, 64];
    packet.extend(address("fc00:a::1").octets());
    packet.extend(segment.octets());
    packet.extend([17, 4, 4, 1, 1, 0, 0, 0]);
    packet.extend(address("fc00:b::1").octets());
    packet.extend(segment.octets());
    packet.extend([0x12, 0x34, 0, 53, 0, udp, 0, 0]);
    packet.extend([flow as u8; 64]);
    packet
}

/// A cell: nanoseconds, millions a second, and how many of the static End's that is.
fn cells(time: f64, end: f64) -> String {
    format!("{time:.1} | {:.2} | {:.2}", 1e3 / time, end / time)
}

fn main() {
    let [native, interpreted] = user::measure();
    println!("In user space, over a capture in memory, one core:\n");
    println!("| | native ns | M/s | rate by End's | interpreted ns | M/s | rate by End's |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (at, (name, does)) in CASES.iter().enumerate() {
        let interpreted = match does {
            Does::Runs(_) => cells(interpreted[at], interpreted[STATIC]),
            _ => " | | ".to_owned(),
        };
        println!("| {name} | {} | {interpreted} |", cells(native[at], native[STATIC]));
    }
    match kernel::measure() {
        Err(why) => println!("\nThe kernel is not measured: {why}"),
        Ok(kernel::Times { generating, cases }) => {
            println!("\nIn the kernel, from a TUN device to another namespace:\n");
            println!("| | ns with generating | ns | M/s | rate by End's |");
            println!("|---|---:|---:|---:|---:|");
            println!("| generating: a black hole takes them | {generating:.1} | | | |");
            for ((name, _), time) in CASES.iter().zip(&cases) {
                println!("| {name} | {time:.1} | {} |", cells(time - generating, cases[STATIC] - generating));
            }
        }
    }
}
