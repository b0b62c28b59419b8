//! Connections that are held while something happens to the site: each asks again and again, and is answered by the same
//! real, or broken.

use super::{
    server::{TCP, UDP},
    site::{Site, VIP},
};
use crate::failure::Failure;
use alveary_diag::{Diagnostic, Place};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Who is not answered for so long is broken: longer than TCP needs to send again several times what was lost.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two questions of all connections.
const PAUSE: Duration = Duration::from_millis(50);
const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n";
/// Descriptors that are not connections.
const OTHERS: u64 = 256;

/// Flows of datagrams: one of so many connections has one beside it, up to so many of a client. All ask at once, and what does
/// not fit into sockets is lost.
const DATAGRAMS: usize = 10;
const MOST: usize = 32;
/// A datagram that is not answered by then is sent again.
const LOST: Duration = Duration::from_millis(300);

struct Connection {
    wire: Wire,
    /// Who answers it.
    real: String,
}

enum Wire {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

/// All of them, by client.
pub(super) struct Held {
    clients: Vec<Vec<Connection>>,
}

/// Says that all is over when it is dropped: a step that panics is waited for by nobody.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What came of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Broken {
    /// How many there were.
    pub(super) of: usize,
    /// How many broke, by the real that they had.
    pub(super) by_real: BTreeMap<String, usize>,
    /// How often all of them asked.
    pub(super) rounds: usize,
    /// What was wrong with the first one.
    pub(super) first: Option<String>,
}

impl Broken {
    pub(super) fn count(&self) -> usize {
        self.by_real.values().sum()
    }
}

/// Sees to it that there can be as many connections.
pub(super) fn room(connections: u32) -> Result<(), Failure> {
    let needs = u64::from(connections) + u64::from(connections).div_ceil(DATAGRAMS as u64) + OTHERS;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needs) {
        if limit.maximum.is_some_and(|most| most < needs) {
            let message = format!("{connections} connections need more descriptors than a process may have");
            return Err(Diagnostic::new("lab", message, Place::Nowhere)
                .expected(format!("at least {needs}"))
                .found(limit.maximum.unwrap_or_default().to_string())
                .help("ulimit -Hn says how many; fewer --connections")
                .into());
        }
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit).map_err(io::Error::from)?;
    }
    Ok(())
}

impl Held {
    pub(super) fn new(site: &Site) -> Held {
        Held { clients: site.clients.iter().map(|_| Vec::new()).collect() }
    }

    /// Opens connections until there are so many.
    pub(super) fn fill(&mut self, site: &Site, count: usize) -> Result<(), Failure> {
        let clients = self.clients.len();
        let opened: Vec<io::Result<()>> = thread::scope(|scope| {
            let all = self.clients.iter_mut().zip(&site.clients).enumerate().map(|(number, (held, node))| {
                let own = count / clients + usize::from(number < count % clients);
                scope.spawn(move || {
                    let open = || {
                        let datagrams = own.div_ceil(DATAGRAMS).min(MOST);
                        let udp = held.iter().filter(|one| matches!(one.wire, Wire::Udp(_))).count();
                        for _ in udp..datagrams {
                            held.push(Connection::datagrams()?);
                        }
                        while held.len() < own + datagrams {
                            held.push(Connection::open()?);
                        }
                        Ok(())
                    };
                    site.network.at(*node, open).unwrap_or_else(|why| Err(io::Error::other(why.message.clone())))
                })
            });
            let all: Vec<_> = all.collect();
            all.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        opened.into_iter().collect::<io::Result<()>>().map_err(|why| {
            Diagnostic::new("lab", "a client of the lab cannot connect", Place::Nowhere).found(why.to_string()).into()
        })
    }

    pub(super) fn count(&self) -> usize {
        self.clients.iter().map(Vec::len).sum()
    }

    /// How many each real has.
    pub(super) fn by_real(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for connection in self.clients.iter().flatten() {
            *all.entry(connection.real.clone()).or_default() += 1;
        }
        all
    }

    /// Has all of them ask while something is done, and once more behind it. Those that broke are gone then.
    pub(super) fn through(&mut self, step: impl FnOnce() -> Result<(), Failure>) -> Result<Broken, Failure> {
        let (over, of) = (AtomicBool::new(false), self.count());
        let (done, told) = thread::scope(|scope| {
            let over = &over;
            let asking: Vec<_> =
                self.clients.iter_mut().map(|held| scope.spawn(move || asks_until(held, over))).collect();
            let done = {
                let _over = Over(over);
                step()
            };
            let told =
                asking.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            (done, told.collect::<Vec<_>>())
        });
        done?;
        let mut all =
            Broken { of, rounds: told.iter().map(|one| one.rounds).min().unwrap_or_default(), ..Broken::default() };
        for one in told {
            one.by_real.into_iter().for_each(|(real, count)| *all.by_real.entry(real).or_default() += count);
            all.first = all.first.or(one.first);
        }
        Ok(all)
    }
}

impl Connection {
    fn open() -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&SocketAddr::from((VIP, TCP)), PATIENCE)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Connection::named(Wire::Tcp(stream))
    }

    fn datagrams() -> io::Result<Connection> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((VIP, UDP))?;
        socket.set_read_timeout(Some(LOST))?;
        Connection::named(Wire::Udp(socket))
    }

    fn named(mut wire: Wire) -> io::Result<Connection> {
        wire.ask()?;
        let real = wire.answer(Instant::now() + PATIENCE)?;
        Ok(Connection { wire, real })
    }

    fn local(&self) -> Option<SocketAddr> {
        match &self.wire {
            Wire::Tcp(stream) => stream.local_addr().ok(),
            Wire::Udp(socket) => socket.local_addr().ok(),
        }
    }
}

impl Wire {
    fn ask(&mut self) -> io::Result<()> {
        match self {
            Wire::Tcp(stream) => stream.write_all(ASK),
            Wire::Udp(socket) => match socket.send(ASK) {
                // That nobody was there, some time before.
                Err(why) if why.kind() == ErrorKind::ConnectionRefused => socket.send(ASK).map(drop),
                sent => sent.map(drop),
            },
        }
    }

    /// Reads an answer: the name of who gave it.
    fn answer(&mut self, end: Instant) -> io::Result<String> {
        match self {
            Wire::Tcp(stream) => page(stream, end),
            Wire::Udp(_) => loop {
                match self.datagram() {
                    Err(_) if Instant::now() < end => self.ask()?,
                    said => return said,
                }
            },
        }
    }

    fn datagram(&self) -> io::Result<String> {
        let Wire::Udp(socket) = self else { return Err(ErrorKind::InvalidInput.into()) };
        let mut some = [0; 512];
        let len = socket.recv(&mut some)?;
        let text = String::from_utf8_lossy(&some[..len]);
        Ok(text.split(' ').next().unwrap_or_default().to_owned())
    }
}

/// What a server answers: its name.
fn page(stream: &mut TcpStream, end: Instant) -> io::Result<String> {
    let (mut all, mut some) = (Vec::new(), [0; 512]);
    loop {
        // Each has waited as long as the ones before it; what is there by then is read.
        let left = end.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match stream.read(&mut some)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            len => all.extend(&some[..len]),
        }
        let text = String::from_utf8_lossy(&all);
        let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
        if let Some(name) = body.strip_suffix('\n') {
            return Ok(name.to_owned());
        }
    }
}

/// Has connections ask again and again; the last time begins when all else is over.
fn asks_until(held: &mut Vec<Connection>, over: &AtomicBool) -> Broken {
    let mut told = Broken::default();
    loop {
        let last = over.load(Ordering::Relaxed);
        ask(held, &mut told);
        told.rounds += 1;
        if last {
            return told;
        }
        thread::sleep(PAUSE);
    }
}

/// All of them ask, then all answers are read.
fn ask(held: &mut Vec<Connection>, told: &mut Broken) {
    let end = Instant::now() + PATIENCE;
    let mut failed: Vec<Option<String>> =
        held.iter_mut().map(|one| one.wire.ask().err().map(|why| why.to_string())).collect();
    for (one, failed) in held.iter_mut().zip(&mut failed) {
        if failed.is_some() {
            continue;
        }
        *failed = match one.wire.answer(end) {
            Ok(real) if real == one.real => None,
            Ok(real) => Some(format!("answered by {real}")),
            Err(why) => Some(why.to_string()),
        };
    }
    let mut failed = failed.into_iter();
    held.retain(|one| match failed.next().flatten() {
        Some(why) => {
            *told.by_real.entry(one.real.clone()).or_default() += 1;
            told.first.get_or_insert(first(one.local(), &why));
            false
        }
        None => true,
    });
}

/// What was wrong, and with whose connection, if that is known.
fn first(local: Option<SocketAddr>, why: &str) -> String {
    local.map_or_else(|| why.to_owned(), |local| format!("{local}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_told_as_people_write_it() {
        let local = "10.1.1.2:30234".parse().expect("one");
        assert_eq!(first(Some(local), "Connection reset by peer"), "10.1.1.2:30234: Connection reset by peer");
        assert_eq!(first(None, "gone"), "gone");
    }
    use std::{net::TcpListener, panic};

    #[test]
    fn who_was_read_late_once_is_waited_for_the_next_time() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut near = TcpStream::connect(listener.local_addr().expect("its address")).expect("it listens");
        let (mut far, _) = listener.accept().expect("someone");
        page(&mut near, Instant::now()).expect_err("there is no answer");
        far.write_all(b"HTTP/1.1 200 OK\r\n\r\nreal1\n").expect("sent");
        assert_eq!(page(&mut near, Instant::now() + PATIENCE).expect("an answer"), "real1");
        assert!(near.read_timeout().expect("it is known").is_some_and(|left| left > PATIENCE / 2));
    }

    #[test]
    fn a_step_that_panics_ends() {
        let mut held = Held { clients: vec![Vec::new()] };
        let through = panic::AssertUnwindSafe(|| held.through(|| panic!("on purpose")).is_ok());
        assert!(panic::catch_unwind(through).is_err());
    }
}
