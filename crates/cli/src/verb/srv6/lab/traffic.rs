//! What hosts of a lab send each other: numbered datagrams, and transfers over TCP whose bytes are looked at.

use crate::failure::Failure;
use alveary_diag::{Diagnostic, Place};
use alveary_lab::{Network, Node};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::sockopt::set_tcp_congestion,
};
use std::{
    io::{self, Read, Write},
    net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

/// Who hears nothing for so long gives up.
const PATIENCE: Duration = Duration::from_secs(20);
const PORT: u16 = 5201;
/// Congestion control of transfers: Linux's default. Where there is none, the machine's own stays.
const CONTROL: &str = "cubic";
/// Bytes of a datagram.
const DATAGRAM: usize = 400;

fn wrong(message: &str, why: &io::Error) -> Failure {
    Diagnostic::new("lab", message.to_owned(), Place::Nowhere).found(why.to_string()).into()
}

/// What came of datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Datagrams {
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Such as came behind one that was sent later.
    pub(super) overtaken: u64,
}

/// Sends numbered datagrams from one address to another, one each `pause`, and waits for those that come.
pub(super) fn datagrams(
    network: &Network,
    [from, to]: [(Node, Ipv6Addr); 2],
    count: u64,
    pause: Duration,
) -> Result<Datagrams, Failure> {
    let socket = |(node, address): (Node, Ipv6Addr), port| {
        let socket = network.at(node, || UdpSocket::bind((address, port)))?;
        socket.map_err(|why| wrong("a host of the lab cannot send", &why))
    };
    let (here, there) = (socket(from, 0)?, socket(to, PORT)?);
    there.set_read_timeout(Some(Duration::from_millis(500)))?;
    thread::scope(|scope| {
        let received = scope.spawn(|| {
            let (mut seen, mut buffer) = (Datagrams { sent: count, ..Datagrams::default() }, [0; 2 * DATAGRAM]);
            let (mut next, begun) = (0, Instant::now());
            while seen.received < count && begun.elapsed() < PATIENCE {
                let Ok(len) = there.recv(&mut buffer) else {
                    // What has not come half a second after the last one does not come.
                    if begun.elapsed() > pause * count as u32 + Duration::from_secs(1) {
                        break;
                    }
                    continue;
                };
                let number = buffer[..len].first_chunk().map_or(0, |number| u64::from_be_bytes(*number));
                seen.received += 1;
                seen.overtaken += u64::from(number < next);
                next = next.max(number + 1);
            }
            seen
        });
        let begun = Instant::now();
        for number in 0..count {
            let mut datagram = [0; DATAGRAM];
            datagram[..8].copy_from_slice(&number.to_be_bytes());
            here.send_to(&datagram, (to.1, PORT)).map_err(|why| wrong("a host of the lab cannot send", &why))?;
            thread::sleep((pause * (number + 1) as u32).saturating_sub(begun.elapsed()));
        }
        Ok(received.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// What came of a transfer.
#[derive(Clone, Debug, Default)]
pub(super) struct Transfer {
    pub(super) bytes: u64,
    /// Whether all bytes are those that were sent.
    pub(super) right: bool,
    pub(super) time: Duration,
    /// At which time since its begin how many bytes were there.
    pub(super) course: Vec<(Duration, u64)>,
}

impl Transfer {
    /// Bits a second.
    pub(super) fn rate(&self) -> f64 {
        self.bytes as f64 * 8.0 / self.time.as_secs_f64().max(1e-9)
    }
}

/// The next connection; who waits for one in vain gives up.
fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let seconds = PATIENCE.as_secs() as i64;
    let wait = Timespec { tv_sec: seconds, tv_nsec: 0 };
    match poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&wait))? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(listener.accept()?.0),
    }
}

/// The byte at some place of what is transferred: no two blocks of it are alike.
pub(super) fn byte(at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// Sends so many bytes over one connection. `progress` is told how many are there.
pub(super) fn transfer(network: &Network, [from, to]: [(Node, Ipv6Addr); 2], bytes: u64) -> Result<Transfer, Failure> {
    let failed = |why: &io::Error| wrong("a transfer of the lab has failed", why);
    let listener = network.at(to.0, || TcpListener::bind((to.1, PORT)))?.map_err(|why| failed(&why))?;
    thread::scope(|scope| {
        let received = scope.spawn(move || -> io::Result<Transfer> {
            let mut stream = accept(&listener)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let (begun, mut done) = (Instant::now(), Transfer { right: true, ..Transfer::default() });
            let mut buffer = vec![0; 1 << 16];
            while done.bytes < bytes {
                let len = stream.read(&mut buffer)?;
                if len == 0 {
                    break;
                }
                done.right &= buffer[..len].iter().zip(done.bytes..).all(|(one, at)| *one == byte(at));
                done.bytes += len as u64;
                done.time = begun.elapsed();
                done.course.push((done.time, done.bytes));
            }
            Ok(done)
        });
        let sent = network.at(from.0, || -> io::Result<()> {
            let mut stream = TcpStream::connect_timeout(&(to.1, PORT).into(), PATIENCE)?;
            // What this machine has for its default would decide what comes of overtaking.
            let _ = set_tcp_congestion(&stream, CONTROL);
            stream.set_write_timeout(Some(PATIENCE))?;
            let mut at = 0;
            while at < bytes {
                let len = (bytes - at).min(1 << 16);
                let block: Vec<u8> = (at..at + len).map(byte).collect();
                stream.write_all(&block)?;
                at += len;
            }
            Ok(())
        })?;
        sent.map_err(|why| failed(&why))?;
        let received = received.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        received.map_err(|why| failed(&why))
    })
}
