//! Packets in and out: capture files.
//!
//! [`Capture`] reads pcap and pcapng (either byte order, gzip of either) as a stream: memory does not grow with the
//! file. [`Writer`] writes both. [`EthernetView`] shows raw IP and Linux cooked packets to programs that expect Ethernet.
//!
//! This crate knows no programs and no maps: it hands out packets and takes them back.

#![forbid(unsafe_code)]

mod capture;
mod ethernet;
mod foreign;
mod input;
mod link;
mod pcap;
mod pcapng;
mod writer;

pub use capture::{Capture, Packet};
pub use ethernet::{ETHERNET_HEADER, EthernetView};
pub use input::MAX_PACKET;
pub use link::LinkType;
pub use writer::{Direction, Format, Writer};
