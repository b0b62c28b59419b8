//! A name server of a few names, and someone who asks it (RFC 1035).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    thread,
    time::Duration,
};

use crate::Outcome;

const PORT: u16 = 53;

const A: u16 = 1;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const INTERNET: u16 = 1;

/// Set in an answer: it is one, the server is authoritative, recursion was asked for. The name does not exist.
const ANSWER: u16 = 0x8500;
const NO_SUCH_NAME: u16 = 3;

const NAMES: &[(&str, u8)] =
    &[("www.example.com", 80), ("mail.example.com", 25), ("hive.example.net", 7), ("queen.hive.example.net", 8)];
const UNKNOWN_NAME: &str = "wasp.example.org";

const ROUNDS: u16 = 18;

/// Answers queries until the process ends.
pub(crate) fn serve(address: IpAddr) -> Outcome {
    let socket = UdpSocket::bind((address, PORT)).map_err(|error| format!("[{address}]:{PORT}: {error}"))?;
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Some(answer) = answer(&query[..length]) {
                // A client that went away does not need its answer.
                drop(socket.send_to(&answer, from));
            }
        }
    });
    Ok(())
}

/// Asks for every name by every type, from a port of its own each time, and waits for each answer.
pub(crate) fn ask(server: IpAddr) -> Outcome {
    let failed = |error: std::io::Error| format!("DNS {server}: {error}");
    let names = || NAMES.iter().map(|(name, _)| *name).chain([UNKNOWN_NAME]);
    let questions = (0..ROUNDS).flat_map(|_| names().flat_map(|name| [A, AAAA, TXT].map(|kind| (name, kind))));
    for (id, (name, kind)) in (1..).zip(questions) {
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).map_err(failed)?;
        socket.set_read_timeout(Some(Duration::from_secs(5))).map_err(failed)?;
        socket.connect((server, PORT)).map_err(failed)?;
        socket.send(&query(id, name, kind)).map_err(failed)?;
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).map_err(failed)?;
        if length < 12 || answer[..2] != u16::to_be_bytes(id) {
            return Err(format!("DNS {server}: an answer to another question"));
        }
    }
    Ok(())
}

fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    const RECURSION_DESIRED: u16 = 0x0100;
    let mut message = [id, RECURSION_DESIRED, 1, 0, 0, 0].map(u16::to_be_bytes).concat();
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend([kind, INTERNET].map(u16::to_be_bytes).as_flattened());
    message
}

/// The answer to a query with one question; `None` if it is no such query.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    while let Some(length) = query.get(at).copied().map(usize::from).filter(|length| *length > 0) {
        labels.push(std::str::from_utf8(query.get(at + 1..at + 1 + length)?).ok()?);
        at += 1 + length;
    }
    let question = query.get(12..at + 5)?;
    let kind = u16::from_be_bytes([*query.get(at + 1)?, *query.get(at + 2)?]);
    let host = NAMES.iter().find(|(name, _)| *name == labels.join(".")).map(|(_, host)| *host);

    let data = match (host, kind) {
        (Some(host), A) => Some(Ipv4Addr::new(198, 51, 100, host).octets().to_vec()),
        (Some(host), AAAA) => Some(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, host.into()).octets().to_vec()),
        (Some(host), TXT) => {
            let text = format!("v=hive1 cell={host} frames=10 keeper=bees@example.com");
            Some([&[text.len() as u8], text.as_bytes()].concat())
        }
        _ => None,
    };
    let id = u16::from_be_bytes([query[0], query[1]]);
    let flags = if host.is_some() { ANSWER } else { ANSWER | NO_SUCH_NAME };
    let mut message = [id, flags, 1, data.is_some().into(), 0, 0].map(u16::to_be_bytes).concat();
    message.extend(question);
    if let Some(data) = data {
        // The name is a pointer to the question's; the answer holds for an hour.
        let head = [0xc00c, kind, INTERNET, 0, 3600, data.len() as u16];
        message.extend(head.map(u16::to_be_bytes).as_flattened());
        message.extend(data);
    }
    Some(message)
}
