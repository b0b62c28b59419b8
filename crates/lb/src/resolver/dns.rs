//! DNS: one question for addresses to one server (RFC 1035, RFC 3596), by UDP, and by TCP where the answer is too long.

use super::socket;
use std::{
    hash::{BuildHasher, RandomState},
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

const A: u16 = 1;
const AAAA: u16 = 28;
const IN: u16 = 1;
const HEADER: usize = 12;
/// In a header's third byte: an answer; it is cut off. And that the server is to ask others.
const ANSWER: u8 = 0x80;
const CUT: u8 = 0x02;
const RECURSE: u8 = 0x01;
/// Codes of answers.
const NO_ERROR: u8 = 0;
const NO_NAME: u8 = 3;
/// Bytes of a label, and of a name with its lengths.
const LABEL: usize = 63;
const NAME: usize = 255;
/// Bytes of an answer by UDP: more than are asked for.
const DATAGRAM: usize = 4096;

/// The addresses of a name; none if it has none, or is not there.
pub(super) fn ask(server: SocketAddr, name: &str, timeout: Duration) -> io::Result<Vec<IpAddr>> {
    let mut open = vec![Question::new(name, AAAA)?, Question::new(name, A)?];
    let socket = socket(server.ip())?;
    socket.connect(server)?;
    for question in &open {
        socket.send(&question.bytes)?;
    }
    let until = Instant::now() + timeout;
    let (mut found, mut failed) = (Vec::new(), None);
    let mut buffer = [0; DATAGRAM];
    while !open.is_empty() {
        let received = left(until).and_then(|left| {
            socket.set_read_timeout(Some(left))?;
            socket.recv(&mut buffer)
        });
        let datagram = match received {
            Ok(len) => buffer.get(..len).unwrap_or_default(),
            Err(why) => {
                failed = Some(match why.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => io::Error::other("no answer in time"),
                    _ => why,
                });
                break;
            }
        };
        // What answers no question was sent by somebody else, or for one that was asked before.
        let Some(at) = open.iter().position(|question| question.is_answered_by(datagram)) else { continue };
        let question = open.swap_remove(at);
        let said = match datagram.get(2).is_some_and(|flags| flags & CUT != 0) {
            true => left(until).and_then(|left| question.by_tcp(server, left)).and_then(|whole| question.read(&whole)),
            false => question.read(datagram),
        };
        match said {
            Ok(addresses) => found.extend(addresses),
            Err(why) => failed = Some(why),
        }
    }
    match failed {
        Some(why) if found.is_empty() => Err(why),
        _ => Ok(found),
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A question, as it is sent.
pub(super) struct Question {
    pub(super) bytes: Vec<u8>,
    kind: u16,
}

impl Question {
    pub(super) fn new(name: &str, kind: u16) -> io::Result<Question> {
        let number = RandomState::new().hash_one(kind) as u16;
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.extend([RECURSE, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        for label in name.split('.') {
            if label.is_empty() || label.len() > LABEL {
                let words = format!("`{name}` is no name of a host");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
            }
            bytes.push(label.len() as u8);
            bytes.extend(label.as_bytes());
        }
        bytes.push(0);
        if bytes.len() > HEADER + NAME {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("the name `{name}` is too long")));
        }
        bytes.extend(kind.to_be_bytes());
        bytes.extend(IN.to_be_bytes());
        Ok(Question { bytes, kind })
    }

    /// Whether a message answers this question: it has its number and says it again.
    pub(super) fn is_answered_by(&self, message: &[u8]) -> bool {
        let asked = &self.bytes;
        message.get(..2) == asked.get(..2)
            && message.get(2).is_some_and(|flags| flags & ANSWER != 0)
            && message.get(4..6) == Some(&[0, 1])
            && message.get(HEADER..asked.len()).is_some_and(|said| said.eq_ignore_ascii_case(&asked[HEADER..]))
    }

    /// The addresses in an answer, whatever names lead to them.
    pub(super) fn read(&self, message: &[u8]) -> io::Result<Vec<IpAddr>> {
        match message.get(3).map(|flags| flags & 15) {
            Some(NO_ERROR) => {}
            Some(NO_NAME) => return Ok(Vec::new()),
            Some(code) => return Err(io::Error::other(format!("it answers with code {code}"))),
            None => return Err(io::ErrorKind::InvalidData.into()),
        }
        self.records(message).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its answer is broken"))
    }

    fn records(&self, message: &[u8]) -> Option<Vec<IpAddr>> {
        let word = |at: usize| Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
        let (mut at, mut found) = (self.bytes.len(), Vec::new());
        for _ in 0..word(6)? {
            at = behind_name(message, at)?;
            let (kind, class, len) = (word(at)?, word(at + 2)?, usize::from(word(at + 8)?));
            let data = message.get(at + 10..at + 10 + len)?;
            if (kind, class) == (self.kind, IN) {
                found.push(match kind {
                    A => Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into(),
                    _ => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into(),
                });
            }
            at += 10 + len;
        }
        Some(found)
    }

    /// The answer in a stream, which is as long as it has to be.
    fn by_tcp(&self, server: SocketAddr, timeout: Duration) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&server, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.write_all(&[&(self.bytes.len() as u16).to_be_bytes()[..], &self.bytes].concat())?;
        let mut len = [0; 2];
        stream.read_exact(&mut len)?;
        let mut message = vec![0; u16::from_be_bytes(len).into()];
        stream.read_exact(&mut message)?;
        if self.is_answered_by(&message) { Ok(message) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// Where a name ends that begins at a place: behind its last label, or behind the first reference to another place.
fn behind_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            len => at += 1 + usize::from(len),
        }
    }
}
