//! Captures built by hand, byte by byte, and what a reader makes of them.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::io::Cursor;

use alveary_diag::Diagnostic;
use alveary_ports::{Capture, LinkType};

/// A packet that outlives the reader's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    pub timestamp_ns: u64,
    pub original_len: u32,
    pub data: Vec<u8>,
    pub interface: u32,
    pub link: LinkType,
}

/// All packets of a capture, and the error that ended it, if one did.
pub fn read(bytes: &[u8]) -> (Vec<Owned>, Option<Diagnostic>) {
    let mut packets = Vec::new();
    let mut capture = match Capture::from_reader("test.pcap", Cursor::new(bytes.to_vec())) {
        Ok(capture) => capture,
        Err(error) => return (packets, Some(error)),
    };
    while let Some(packet) = capture.next() {
        match packet {
            Ok(packet) => packets.push(Owned {
                timestamp_ns: packet.timestamp_ns,
                original_len: packet.original_len,
                data: packet.data.to_vec(),
                interface: packet.interface,
                link: packet.link,
            }),
            Err(error) => {
                assert!(capture.next().is_none(), "an error is the last thing that a capture says");
                return (packets, Some(error));
            }
        }
    }
    (packets, None)
}

/// All packets of a capture that has no fault.
pub fn read_whole(bytes: &[u8]) -> Vec<Owned> {
    let (packets, error) = read(bytes);
    assert!(error.is_none(), "{}", error.unwrap());
    packets
}

/// The error that ends a capture.
pub fn error_of(bytes: &[u8]) -> Diagnostic {
    read(bytes).1.expect("an error")
}

/// The byte order of a capture under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

impl Order {
    pub fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        }
    }

    pub fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        }
    }

    pub fn u64(self, value: u64) -> [u8; 8] {
        match self {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        }
    }
}

pub const MICROSECONDS: u32 = 0xa1b2_c3d4;
pub const NANOSECONDS: u32 = 0xa1b2_3c4d;

/// A pcap file's header.
pub fn pcap_header(order: Order, magic: u32, link: u32) -> Vec<u8> {
    let mut bytes = order.u32(magic).to_vec();
    bytes.extend(order.u16(2));
    bytes.extend(order.u16(4));
    bytes.extend([0; 8]);
    bytes.extend(order.u32(65535));
    bytes.extend(order.u32(link));
    bytes
}

/// A pcap record.
pub fn pcap_record(order: Order, seconds: u32, fraction: u32, original_len: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = [seconds, fraction, data.len() as u32, original_len].map(|word| order.u32(word)).concat();
    bytes.extend(data);
    bytes
}

/// A pcapng block around a body, padded to four bytes.
pub fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let len = 12 + body.len().next_multiple_of(4);
    let mut bytes = order.u32(kind).to_vec();
    bytes.extend(order.u32(len as u32));
    bytes.extend(body);
    bytes.resize(len - 4, 0);
    bytes.extend(order.u32(len as u32));
    bytes
}

/// A section header block.
pub fn section(order: Order) -> Vec<u8> {
    let mut body = order.u32(0x1a2b_3c4d).to_vec();
    body.extend(order.u16(1));
    body.extend(order.u16(0));
    body.extend([0xff; 8]);
    block(order, 0x0a0d_0d0a, &body)
}

/// An interface description block with options as (code, value).
pub fn interface(order: Order, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = order.u16(link).to_vec();
    body.extend([0; 2]);
    body.extend(order.u32(snaplen));
    for (code, value) in options {
        body.extend(order.u16(*code));
        body.extend(order.u16(value.len() as u16));
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    if !options.is_empty() {
        body.extend([0; 4]);
    }
    block(order, 1, &body)
}

/// An enhanced packet block.
pub fn enhanced(order: Order, interface: u32, ticks: u64, original_len: u32, data: &[u8]) -> Vec<u8> {
    let words = [interface, (ticks >> 32) as u32, ticks as u32, data.len() as u32, original_len];
    let mut body = words.map(|word| order.u32(word)).concat();
    body.extend(data);
    block(order, 6, &body)
}

/// A simple packet block.
pub fn simple(order: Order, original_len: u32, data: &[u8]) -> Vec<u8> {
    let mut body = order.u32(original_len).to_vec();
    body.extend(data);
    block(order, 3, &body)
}

/// The packet block that the enhanced one took the place of.
pub fn obsolete(order: Order, interface: u16, ticks: u64, original_len: u32, data: &[u8]) -> Vec<u8> {
    let mut body = order.u16(interface).to_vec();
    body.extend(order.u16(0xffff));
    body.extend(
        [(ticks >> 32) as u32, ticks as u32, data.len() as u32, original_len].map(|word| order.u32(word)).concat(),
    );
    body.extend(data);
    block(order, 2, &body)
}
