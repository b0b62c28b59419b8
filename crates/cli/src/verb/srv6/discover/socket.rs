//! Questions to the network that this machine is in.

use crate::failure::Failure;
use alveary::{kernel::Probing, net::discovery::Wire};
use alveary_diag::{Diagnostic, Place};
use std::{
    io,
    net::Ipv6Addr,
    time::{Duration, Instant},
};

/// Raw sockets, and how long answers are waited for.
pub(in super::super) struct Socket {
    probing: Probing,
    patience: Duration,
}

impl Socket {
    pub(in super::super) fn open(patience: Duration) -> Result<Socket, Failure> {
        Ok(Socket { probing: probing()?, patience })
    }
}

/// Raw sockets of this network namespace.
pub(in super::super) fn probing() -> Result<Probing, Failure> {
    let probing = Probing::open().map_err(|why| {
        let said = Diagnostic::new("discover", "probes cannot be sent", Place::Nowhere).found(why.to_string());
        if why.kind() == io::ErrorKind::PermissionDenied {
            return said.expected("CAP_NET_RAW").help("run it as root: sudo");
        }
        said
    })?;
    Ok(probing)
}

impl Wire for Socket {
    type Error = Failure;

    fn exchange(&mut self, packets: &[Vec<u8>], reply: &mut dyn FnMut(Ipv6Addr, &[u8]) -> bool) -> Result<(), Failure> {
        for packet in packets {
            match self.probing.send(packet) {
                // What there is no way for is not answered.
                Err(why)
                    if matches!(why.kind(), io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {}
                sent => sent?,
            }
        }
        let (start, mut open) = (Instant::now(), packets.len());
        while let Some(left) = self.patience.checked_sub(start.elapsed()).filter(|_| open > 0) {
            let Some((from, message)) = self.probing.receive(left)? else { break };
            open -= usize::from(reply(from, &message));
        }
        Ok(())
    }
}
