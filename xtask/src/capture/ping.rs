//! Echo requests, small ones and ones that need fragments; the kernel on the other side answers.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{checksum, system};
use crate::Outcome;

const IDENTIFIER: u16 = 0x5157;

/// Payload lengths, in the order in which they are sent. The longer ones do not fit an MTU of 1500.
const LENGTHS: [usize; 12] = [56, 56, 56, 56, 0, 1, 512, 1400, 56, 1472, 3000, 4000];
const ROUNDS: u16 = 10;

/// Sends echo requests to `server` and waits for each answer.
pub(crate) fn ping(server: IpAddr) -> Outcome {
    let socket = system::icmp_socket(server)?;
    let failed = |error: std::io::Error| format!("ping {server}: {error}");
    socket.set_read_timeout(Some(Duration::from_secs(5))).map_err(failed)?;
    for round in 0..ROUNDS {
        for (step, length) in LENGTHS.iter().enumerate() {
            let sequence = round * LENGTHS.len() as u16 + step as u16;
            let request = echo_request(server, sequence, *length);
            socket.send_to(&request, SocketAddr::new(server, 0)).map_err(failed)?;
            let mut answer = [0; 8192];
            while !is_answer(&answer, server, sequence) {
                let (_, from) = socket.recv_from(&mut answer).map_err(failed)?;
                if from.ip() != server {
                    answer = [0; 8192];
                }
            }
        }
    }
    Ok(())
}

fn echo_request(server: IpAddr, sequence: u16, length: usize) -> Vec<u8> {
    let kind = if server.is_ipv4() { 8 } else { 128 };
    let mut message = vec![kind, 0, 0, 0];
    message.extend(IDENTIFIER.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend((0..length).map(|index| index as u8));
    // For IPv6 the kernel fills in the checksum: it covers addresses that are not known here.
    let checksum = checksum::internet(&[&message]);
    message[2..4].copy_from_slice(&checksum);
    message
}

/// Whether these bytes are the echo reply with that number. IPv4's come with their IP header.
fn is_answer(bytes: &[u8], server: IpAddr, sequence: u16) -> bool {
    let (kind, message) = match server {
        IpAddr::V4(_) => (0, &bytes[usize::from(bytes[0] & 0xf) * 4..]),
        IpAddr::V6(_) => (129, bytes),
    };
    bytes[0] != 0
        && message[0] == kind
        && message[4..6] == IDENTIFIER.to_be_bytes()
        && message[6..8] == sequence.to_be_bytes()
}
