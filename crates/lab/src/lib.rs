//! Networks to try things in: each node a network namespace, between them Ethernet pairs or links with rate, delay and
//! loss, whose packets this process carries. Needs no `ip`, no `netem`; what is made ends with the [`Network`], or with the
//! process however that ends.
//!
//! ```no_run
//! use alveary_lab::{Network, Shape};
//! use std::time::Duration;
//! # fn main() -> Result<(), alveary_diag::Diagnostic> {
//! let mut network = Network::new();
//! let [west, east] = [network.node("west")?, network.node("east")?];
//! let slow = Shape { rate: Some(20_000_000), delay: Duration::from_millis(10), ..Shape::default() };
//! network.link([(west, "east"), (east, "west")], slow)?;
//! network.address(west, "east", "fc00::1/64")?;
//! network.address(east, "west", "fc00::2/64")?;
//! let socket = network.at(west, || std::net::UdpSocket::bind("[fc00::1]:0"))?.expect("a socket");
//! # Ok(())
//! # }
//! ```
//!
//! Knows nothing of what is tried in it: no programs, no tests, no figures.

#![forbid(unsafe_code)]

mod carrier;
mod network;
mod shape;

pub use carrier::{Carried, Link};
pub use network::{Network, Node};
pub use shape::{Pipe, Shape};
