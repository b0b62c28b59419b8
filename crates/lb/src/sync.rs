//! Connections told to peers: what is new in this balancer's tables goes to theirs, by datagrams that are signed. A balancer
//! that begins asks for all that its peers have; they answer it alone, and what it knows better stays. Which real a connection has is said by how that is reached, since names of
//! reals are each balancer's own.
//!
//! A datagram: `ALB2`, kind, three zeros, when the sender began (ns since 1970), its number, entries, HMAC-SHA256 of all
//! that and of the sender's address and port, so that nobody says in another's name what a peer has said in its own.

use crate::{
    Fault, Result,
    apply::Running,
    config::Sync,
    wanted::Wanted,
    wire::{self, some},
};
use alveary::{
    LinuxMap, MapHandle,
    kernel::read::{RingBuffer, Waiter},
};
use alveary_diag::{Diagnostic, Place};
use hmac::{Hmac, Mac};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use sha2::Sha256;
use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const MAGIC: &[u8; 4] = b"ALB2";
const HEAD: usize = 24;
const SIGNATURE: usize = 32;
/// Bytes of a datagram: it passes any link whole.
const DATAGRAM: usize = 1232;
/// Numbers that a datagram may be behind the latest: networks change their order.
const WINDOW: u64 = 64;
/// Bytes of a secret at least.
const SECRET: usize = 16;
/// Entries that wait go out by then.
const TURN: Duration = Duration::from_millis(100);
/// Between two questions for all, and how often it is asked.
const ASK: Duration = Duration::from_secs(1);
const QUESTIONS: u32 = 3;
/// Datagrams of all, between which peers get time to read.
const BURST: usize = 32;
const PAUSE: Duration = Duration::from_millis(2);
/// Room for datagrams that are not yet read.
const BUFFER: usize = 8 << 20;
/// Ticks of the data plane are so many nanoseconds, as a power of two.
const TICK_SHIFT: u32 = 30;

/// Kinds of datagrams.
const ENTRIES: u8 = 1;
const ASKS: u8 = 2;
const ALL_SAID: u8 = 3;
/// Entries that were asked for: newer ones stay.
const KNOWN: u8 = 4;
/// `BPF_NOEXIST`.
const NO_EXIST: u64 = 1;

/// How a real is reached: what is the same at all balancers.
type Reached = (u8, IpAddr, u16);

/// A connection, and how its real is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    client: (IpAddr, u16),
    vip: (IpAddr, u16),
    protocol: u8,
    /// The balancer's port for NAT.
    port: u16,
    real: Reached,
}

/// Names of reals here.
#[derive(Debug, Default)]
struct Names {
    reached: HashMap<u32, Reached>,
    named: HashMap<Reached, u32>,
}

/// What is counted.
#[derive(Debug, Default)]
struct Counts {
    told: AtomicU64,
    heard: AtomicU64,
    unknown: AtomicU64,
    refused: AtomicU64,
}

/// Peers that are told.
#[derive(Debug)]
pub(crate) struct Peers {
    names: Arc<RwLock<Names>>,
    counts: Arc<Counts>,
    complete: Arc<AtomicBool>,
}

/// What all threads have.
struct Shared {
    socket: UdpSocket,
    peers: Vec<SocketAddr>,
    secret: Vec<u8>,
    began: u64,
    next: AtomicU64,
    names: Arc<RwLock<Names>>,
    counts: Arc<Counts>,
    answers: Mutex<Answers>,
    /// All peers have said all that they know, or do not answer.
    complete: Arc<AtomicBool>,
    tables: [LinuxMap; 2],
}

/// Questions for all, and answers to them.
#[derive(Debug, Default)]
struct Answers {
    /// Peers that ask.
    askers: BTreeSet<SocketAddr>,
    /// Peers that have said all.
    have_said: BTreeSet<SocketAddr>,
    /// When the last entries came that we asked for.
    last: Option<Instant>,
}

impl Peers {
    /// Begins to tell, and to listen.
    ///
    /// # Errors
    /// The secret cannot be used; the system's.
    pub(crate) fn new(sync: &Sync, maps: &dyn Fn(&str) -> LinuxMap) -> Result<Peers> {
        let wrong = |what: String, why: &dyn std::fmt::Display| -> Fault {
            Diagnostic::new("lb-sync", what, Place::Nowhere).found(why.to_string()).into()
        };
        let key = sync.key.display();
        let secret = fs::read(&sync.key).map_err(|why| wrong(format!("the secret in {key} cannot be read"), &why))?;
        let secret = secret.trim_ascii().to_vec();
        if secret.len() < SECRET {
            return Err(wrong(format!("the secret in {key} can be guessed"), &format!("{} bytes", secret.len())));
        }
        let news = maps("news");
        let begin = || -> io::Result<Peers> {
            let socket = UdpSocket::bind(sync.listen)?;
            socket.set_read_timeout(Some(TURN))?;
            // Without the privilege it has less room.
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER);
            let ring = RingBuffer::open(news.sys())?;
            let mut waiter = Waiter::new()?;
            waiter.add(ring.as_fd(), 0)?;
            let complete = Arc::new(AtomicBool::new(sync.peers.is_empty()));
            let (names, counts) = (Arc::<RwLock<Names>>::default(), Arc::<Counts>::default());
            let shared = Arc::new(Shared {
                socket,
                peers: sync.peers.clone(),
                secret,
                began: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64),
                next: AtomicU64::new(1),
                names: names.clone(),
                counts: counts.clone(),
                answers: Mutex::default(),
                complete: complete.clone(),
                tables: [maps("connections4"), maps("connections6")],
            });
            let other = shared.clone();
            thread::Builder::new().name("tells".into()).spawn(move || other.tells(ring, waiter))?;
            thread::Builder::new().name("listens".into()).spawn(move || shared.listens())?;
            Ok(Peers { names, counts, complete })
        };
        begin().map_err(|why| wrong(format!("peers cannot be told at {}", sync.listen), &why))
    }

    /// Takes the names that reals have now, those too that are not well: they may be soon.
    pub(crate) fn learn(&self, running: &Running, wanted: &Wanted) {
        let named = |(real, _): &(wire::Real, _)| {
            let number = running.real_number(real)?;
            Some((running.reals.get(number)?.name, (real.way as u8, real.ip(), real.port)))
        };
        let all: Vec<(u32, Reached)> = wanted.reals.iter().filter_map(named).collect();
        let names =
            Names { reached: all.iter().copied().collect(), named: all.into_iter().map(|(a, b)| (b, a)).collect() };
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// Whether peers have said all that they know, or do not answer.
    pub(crate) fn complete(&self) -> bool {
        self.complete.load(Relaxed)
    }

    /// What was told and heard.
    pub(crate) fn status(&self) -> Value {
        let [told, heard, unknown, refused] = self.counters().map(|(_, _, count)| count);
        json!({ "complete": self.complete(), "told": told, "heard": heard, "unknown": unknown, "refused": refused })
    }

    /// The same for Prometheus: name, what it is, count.
    pub(crate) fn counters(&self) -> [(&'static str, &'static str, u64); 4] {
        let Counts { told, heard, unknown, refused } = &*self.counts;
        [
            ("sync_told_total", "Connections told to peers", told),
            ("sync_heard_total", "Connections heard of from peers", heard),
            ("sync_unknown_total", "Connections of peers whose real is none here", unknown),
            ("sync_refused_total", "Datagrams that no peer signed, or that came before", refused),
        ]
        .map(|(name, about, count)| (name, about, count.load(Relaxed)))
    }
}

impl Shared {
    /// Tells peers what is new, and all if one asks.
    fn tells(&self, mut ring: RingBuffer, mut waiter: Waiter) {
        let (mut asked, mut questions) = (None::<Instant>, 0);
        loop {
            // As long as entries come nothing is asked anew.
            let heard = self.answers().last;
            if !self.complete.load(Relaxed) && asked.max(heard).is_none_or(|last| last.elapsed() >= ASK) {
                if questions == QUESTIONS {
                    self.complete.store(true, Relaxed);
                } else {
                    (asked, questions) = (Some(Instant::now()), questions + 1);
                    self.send(ASKS, &[], &self.silent());
                }
            }
            // Interrupted, it looks whether there is something.
            let _ = waiter.wait(Some(TURN)).map(|ready| ready.for_each(drop));
            let mut batch = Batch::new(self, ENTRIES, &self.peers);
            ring.drain(|news| {
                if let Some(entry) = self.of_news(news) {
                    batch.add(&entry);
                }
            });
            batch.end();
            let askers = std::mem::take(&mut self.answers().askers);
            if !askers.is_empty() {
                self.tell_all(&askers.into_iter().collect::<Vec<_>>());
            }
        }
    }

    fn of_news(&self, news: &[u8]) -> Option<Entry> {
        let four = wire::word(news, 40) == 4;
        let ip = |at| address(news, at, four);
        let port = |at| u16::from_be_bytes(some(news, at));
        let real = *self.names().reached.get(&wire::word(news, 44))?;
        let [protocol] = some(news, 36);
        Some(Entry { client: (ip(0), port(32)), vip: (ip(16), port(34)), protocol, port: port(48), real })
    }

    fn names(&self) -> std::sync::RwLockReadGuard<'_, Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Peers that have not said all.
    fn silent(&self) -> Vec<SocketAddr> {
        let answers = self.answers();
        self.peers.iter().filter(|peer| !answers.have_said.contains(peer)).copied().collect()
    }

    /// All that the tables have, to those who ask.
    fn tell_all(&self, askers: &[SocketAddr]) {
        let mut batch = Batch::new(self, KNOWN, askers);
        for (table, four) in self.tables.iter().zip([true, false]) {
            // What cannot be read is told when it is new again.
            for (key, value) in table.entries().unwrap_or_default() {
                let width = if four { 4 } else { 16 };
                let port = |at| u16::from_be_bytes(some(&key, at));
                let Some(real) = self.names().reached.get(&wire::word(&value, 0)).copied() else { continue };
                batch.add(&Entry {
                    client: (address(&key, 0, four), port(2 * width)),
                    vip: (address(&key, width, four), port(2 * width + 2)),
                    protocol: key.get(2 * width + 4).copied().unwrap_or_default(),
                    port: u16::from_be_bytes(some(&value, 4)),
                    real,
                });
            }
        }
        batch.end();
        self.send(ALL_SAID, &[], askers);
    }

    fn send(&self, kind: u8, entries: &[u8], to: &[SocketAddr]) {
        let number = self.next.fetch_add(1, Relaxed);
        let mut sealed_by = None;
        for peer in to {
            let Ok(from) = self.source(peer) else { continue };
            let (_, datagram) = match sealed_by.take() {
                Some((by, datagram)) if by == from => sealed_by.insert((by, datagram)),
                _ => sealed_by.insert((from, sealed(&self.secret, from, kind, self.began, number, entries))),
            };
            // A peer that is away asks for all when it is back.
            let _ = self.socket.send_to(datagram, peer);
        }
    }

    /// The address that a peer sees us at: that which we listen at, or if that is any, the one on the way to the peer.
    fn source(&self, peer: &SocketAddr) -> io::Result<SocketAddr> {
        let mut own = self.socket.local_addr()?;
        if own.ip().is_unspecified() {
            let way = UdpSocket::bind((own.ip(), 0))?;
            way.connect(peer)?;
            own.set_ip(way.local_addr()?.ip());
        }
        Ok(own)
    }

    /// Takes what peers tell.
    fn listens(&self) {
        let mut seen = HashMap::<SocketAddr, Seen>::new();
        let mut datagram = vec![0; 2048];
        loop {
            let Ok((len, from)) = self.socket.recv_from(&mut datagram) else { continue };
            // Who says something that others did not sign, says nothing.
            let known = self.peers.contains(&from);
            let opened = opened(&self.secret, from, &datagram[..len]).filter(|_| known);
            let Some((kind, began, number, entries)) = opened else {
                self.counts.refused.fetch_add(1, Relaxed);
                continue;
            };
            if !seen.entry(from).or_default().is_new(began, number) {
                self.counts.refused.fetch_add(1, Relaxed);
                continue;
            }
            match kind {
                ENTRIES => decoded(entries).into_iter().for_each(|entry| self.take(&entry)),
                KNOWN => {
                    self.answers().last = Some(Instant::now());
                    decoded(entries).into_iter().for_each(|entry| self.take_known(&entry));
                }
                ASKS => drop(self.answers().askers.insert(from)),
                ALL_SAID => {
                    self.answers().have_said.insert(from);
                    if self.silent().is_empty() {
                        self.complete.store(true, Relaxed);
                    }
                }
                _ => {}
            }
        }
    }

    /// Puts a connection into the table.
    fn take(&self, entry: &Entry) {
        self.put(entry, |_, _| true);
    }

    /// The same of one that we asked for: what is in the table came later, unless its real is gone.
    fn take_known(&self, entry: &Entry) {
        self.put(entry, |table, key| {
            let there = table.lookup(key).ok().flatten();
            there.is_none_or(|there| !self.names().reached.contains_key(&wire::word(&there, 0)))
        });
    }

    /// Puts a connection into the table; `over` says whether over one that is there.
    fn put(&self, entry: &Entry, over: impl Fn(&LinuxMap, &[u8]) -> bool) {
        let Some(real) = self.names().named.get(&entry.real).copied() else {
            self.counts.unknown.fetch_add(1, Relaxed);
            return;
        };
        let (key, value) = (entry.key(), connection(real, entry.port, tick()));
        let table = &self.tables[usize::from(entry.vip.0.is_ipv6())];
        if table.update(&key, &value, NO_EXIST).is_ok() || over(table, &key) && table.update(&key, &value, 0).is_ok() {
            self.counts.heard.fetch_add(1, Relaxed);
        }
    }
}

/// Entries on their way into datagrams.
struct Batch<'a> {
    by: &'a Shared,
    kind: u8,
    to: &'a [SocketAddr],
    bytes: Vec<u8>,
    sent: usize,
}

impl<'a> Batch<'a> {
    fn new(by: &'a Shared, kind: u8, to: &'a [SocketAddr]) -> Batch<'a> {
        Batch { by, kind, to, bytes: Vec::with_capacity(DATAGRAM), sent: 0 }
    }

    fn add(&mut self, entry: &Entry) {
        let bytes = entry.bytes();
        if HEAD + self.bytes.len() + bytes.len() + SIGNATURE > DATAGRAM {
            self.go();
        }
        self.bytes.extend(bytes);
        self.by.counts.told.fetch_add(1, Relaxed);
    }

    fn go(&mut self) {
        self.by.send(self.kind, &self.bytes, self.to);
        self.bytes.clear();
        self.sent += 1;
        if self.kind == KNOWN && self.sent.is_multiple_of(BURST) {
            thread::sleep(PAUSE);
        }
    }

    fn end(mut self) {
        if !self.bytes.is_empty() {
            self.go();
        }
    }
}

impl Entry {
    /// Family, protocol, ports and addresses of the flow; the port of NAT; the real's way, family, port and address.
    fn bytes(&self) -> Vec<u8> {
        let family = |ip: IpAddr| if ip.is_ipv4() { 4 } else { 6 };
        let octets = |ip: IpAddr| match ip {
            IpAddr::V4(four) => four.octets().to_vec(),
            IpAddr::V6(six) => six.octets().to_vec(),
        };
        let (way, real, real_port) = self.real;
        let mut bytes = vec![family(self.vip.0), self.protocol];
        for port in [self.client.1, self.vip.1, self.port, real_port] {
            bytes.extend(port.to_be_bytes());
        }
        bytes.extend([way, family(real)]);
        [self.client.0, self.vip.0, real].into_iter().for_each(|ip| bytes.extend(octets(ip)));
        bytes
    }

    /// The same from bytes, and how many it has.
    fn read(bytes: &[u8]) -> Option<(Entry, usize)> {
        let head: &[u8; 12] = bytes.first_chunk()?;
        let width = |family: u8| match family {
            4 => Some(4),
            6 => Some(16),
            _ => None,
        };
        let (flow, real) = (width(head[0])?, width(head[11])?);
        let len = 12 + 2 * flow + real;
        let all = bytes.get(..len)?;
        let port = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let ip = |at, width| address(all, at, width == 4);
        let entry = Entry {
            client: (ip(12, flow), port(2)),
            vip: (ip(12 + flow, flow), port(4)),
            protocol: head[1],
            port: port(6),
            real: (head[10], ip(12 + 2 * flow, real), port(8)),
        };
        Some((entry, len))
    }

    /// Its key in `connections4` or `connections6`.
    fn key(&self) -> Vec<u8> {
        let width = if self.vip.0.is_ipv4() { 4 } else { 16 };
        let mut key = Vec::with_capacity(40);
        for ip in [self.client.0, self.vip.0] {
            key.extend(&wire::address(ip)[..width]);
        }
        key.extend(self.client.1.to_be_bytes());
        key.extend(self.vip.1.to_be_bytes());
        key.extend([self.protocol, 0, 0, 0]);
        key
    }
}

/// `struct lb_connection`.
fn connection(real: u32, port: u16, seen: u16) -> Vec<u8> {
    [&real.to_ne_bytes()[..], &port.to_be_bytes(), &seen.to_ne_bytes()].concat()
}

fn address(bytes: &[u8], at: usize, four: bool) -> IpAddr {
    if four { some::<4>(bytes, at).into() } else { some::<16>(bytes, at).into() }
}

/// The data plane's tick.
fn tick() -> u16 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    ((now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64) >> TICK_SHIFT) as u16
}

/// Numbers that a peer has used.
#[derive(Debug, Default)]
struct Seen {
    began: u64,
    latest: u64,
    /// Bit n: the one that is n behind the latest.
    window: u64,
}

impl Seen {
    /// Whether a datagram of this number was not seen before.
    fn is_new(&mut self, began: u64, number: u64) -> bool {
        if began < self.began {
            return false;
        }
        if began > self.began {
            *self = Seen { began, latest: number, window: 1 };
            return true;
        }
        if number > self.latest {
            let by = number - self.latest;
            self.window = if by < WINDOW { self.window << by | 1 } else { 1 };
            self.latest = number;
            return true;
        }
        let behind = self.latest - number;
        let is_new = behind < WINDOW && self.window & 1 << behind == 0;
        if is_new {
            self.window |= 1 << behind;
        }
        is_new
    }
}

fn signer(secret: &[u8]) -> Option<Hmac<Sha256>> {
    // A key may have any length.
    Hmac::<Sha256>::new_from_slice(secret).ok()
}

/// What is signed besides what is said: who says it.
fn signed_address(from: SocketAddr) -> Vec<u8> {
    [&wire::address(from.ip())[..], &[u8::from(from.is_ipv6())], &from.port().to_be_bytes()].concat()
}

fn sealed(secret: &[u8], from: SocketAddr, kind: u8, began: u64, number: u64, entries: &[u8]) -> Vec<u8> {
    let mut datagram = MAGIC.to_vec();
    datagram.extend([kind, 0, 0, 0]);
    datagram.extend(began.to_be_bytes());
    datagram.extend(number.to_be_bytes());
    datagram.extend(entries);
    if let Some(signer) = signer(secret) {
        let signature = signer.chain_update(&datagram).chain_update(signed_address(from)).finalize().into_bytes();
        datagram.extend(signature);
    }
    datagram
}

/// Kind, when the sender began, number, entries; `None` if nobody who has the secret sent it from there.
fn opened<'d>(secret: &[u8], from: SocketAddr, datagram: &'d [u8]) -> Option<(u8, u64, u64, &'d [u8])> {
    let at = datagram.len().checked_sub(SIGNATURE).filter(|at| *at >= HEAD)?;
    let (said, signature) = datagram.split_at(at);
    signer(secret)?.chain_update(said).chain_update(signed_address(from)).verify_slice(signature).ok()?;
    (said.starts_with(MAGIC)).then_some(())?;
    Some((said[4], u64::from_be_bytes(some(said, 8)), u64::from_be_bytes(some(said, 16)), &said[HEAD..]))
}

/// Entries up to what is none.
fn decoded(mut bytes: &[u8]) -> Vec<Entry> {
    let mut all = Vec::new();
    while let Some((entry, len)) = Entry::read(bytes) {
        all.push(entry);
        bytes = &bytes[len..];
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(client: &str, vip: &str, real: &str) -> Entry {
        let ip = |text: &str| text.parse().expect("an address");
        Entry {
            client: (ip(client), 40_000),
            vip: (ip(vip), 443),
            protocol: 6,
            port: 33_000,
            real: (4, ip(real), 8080),
        }
    }

    #[test]
    fn entries_go_there_and_back() {
        let all = [
            entry("198.51.100.7", "192.0.2.1", "10.0.0.1"),
            entry("2001:db8::7", "2001:db8::1", "10.0.0.1"),
            entry("198.51.100.7", "192.0.2.1", "fc00::1"),
        ];
        let bytes: Vec<u8> = all.iter().flat_map(Entry::bytes).collect();
        assert_eq!(decoded(&bytes), all);
        assert_eq!(decoded(&bytes[..bytes.len() - 1]), all[..2], "what is cut is none");
        assert_eq!(all[0].key(), [198, 51, 100, 7, 192, 0, 2, 1, 0x9c, 0x40, 1, 187, 6, 0, 0, 0]);
        assert_eq!(all[1].key().len(), 40);
    }

    #[test]
    fn datagrams_are_believed_of_those_who_have_the_secret() {
        let bytes = entry("198.51.100.7", "192.0.2.1", "10.0.0.1").bytes();
        let us = at("10.0.9.2:7947");
        let good = sealed(b"a secret of ours", us, ENTRIES, 5, 7, &bytes);
        assert_eq!(opened(b"a secret of ours", us, &good), Some((ENTRIES, 5, 7, bytes.as_slice())));
        assert_eq!(opened(b"a secret of others", us, &good), None);
        for other in ["10.0.9.3:7947", "10.0.9.2:7948", "[a00:902::]:7947"] {
            assert_eq!(opened(b"a secret of ours", at(other), &good), None, "as if from {other}");
        }
        for at in 0..good.len() {
            let mut other = good.clone();
            other[at] ^= 1;
            assert_eq!(opened(b"a secret of ours", us, &other), None, "byte {at}");
            assert_eq!(opened(b"a secret of ours", us, &good[..at]), None, "{at} bytes");
        }
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// A balancer at a port of its own, with empty tables, who has the names of two reals; it has no threads.
    fn shared(object: &alveary::Object, peers: Vec<SocketAddr>) -> Shared {
        let linux = alveary::Linux::builder().without_pins().build();
        let loaded = alveary::Loader::new(linux).program("lb").load(object).expect("it is loaded");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
        let reached: HashMap<u32, Reached> =
            (1..3).map(|real| (real, (4, IpAddr::from([10, 0, 0, real as u8]), 8080))).collect();
        let named = reached.iter().map(|(name, reached)| (*reached, *name)).collect();
        Shared {
            socket,
            peers,
            secret: b"a secret of ours".to_vec(),
            began: 1,
            next: AtomicU64::new(1),
            names: Arc::new(RwLock::new(Names { reached, named })),
            counts: Arc::default(),
            answers: Mutex::default(),
            complete: Arc::default(),
            tables: ["connections4", "connections6"].map(|map| loaded.map(map).expect("a map").clone()),
        }
    }

    #[test]
    fn who_asks_is_answered_alone_and_what_is_newer_stays() {
        if !alveary_testing::bpf::permitted("sync_answers") {
            return;
        }
        let object = alveary::Object::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb.bpf.o"));
        let object = object.expect("the object");
        let [asker, other] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a port"));
        let peers: Vec<SocketAddr> = [&asker, &other].map(|peer| peer.local_addr().expect("an address")).into();
        let teller = shared(&object, peers.clone());
        let one = entry("198.51.100.7", "192.0.2.1", "10.0.0.1");
        teller.take(&one);
        teller.tell_all(&peers[..1]);
        let from = teller.socket.local_addr().expect("an address");
        let mut datagram = [0; 2048];
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let len = asker.recv(&mut datagram).expect("it is told");
            let (kind, _, _, entries) = opened(b"a secret of ours", from, &datagram[..len]).expect("it is signed");
            kinds.push((kind, decoded(entries)));
        }
        assert_eq!(kinds, [(KNOWN, vec![one]), (ALL_SAID, vec![])]);
        other.set_nonblocking(true).expect("it does not wait");
        assert!(other.recv(&mut datagram).is_err(), "who did not ask is told nothing");

        // What the asker knows is newer, unless it names a real that is gone.
        let real = |table: &LinuxMap| table.lookup(&one.key()).expect("read").map(|to| wire::word(&to, 0));
        let hears = |first: Option<u32>| {
            let hearer = shared(&object, Vec::new());
            if let Some(first) = first {
                hearer.tables[0].update(&one.key(), &connection(first, 0, 0), 0).expect("an entry");
            }
            hearer.take_known(&one);
            let known = real(&hearer.tables[0]);
            hearer.take(&one);
            (known, real(&hearer.tables[0]))
        };
        assert_eq!(hears(None), (Some(1), Some(1)));
        assert_eq!(hears(Some(2)), (Some(2), Some(1)), "what is new is put over it");
        assert_eq!(hears(Some(9)), (Some(1), Some(1)));
    }

    #[test]
    fn nobody_is_asked_twice_who_has_said_all() {
        let [one, two] = [at("10.0.9.2:7947"), at("10.0.9.3:7947")];
        if !alveary_testing::bpf::permitted("sync_silent") {
            return;
        }
        let object = alveary::Object::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb.bpf.o"));
        let asks = shared(&object.expect("the object"), vec![one, two]);
        assert_eq!(asks.silent(), [one, two]);
        asks.answers().have_said.insert(one);
        assert_eq!(asks.silent(), [two]);
    }

    #[test]
    fn each_number_counts_once() {
        let mut seen = Seen::default();
        let new: Vec<bool> = [1, 2, 2, 5, 4, 4, 3, 100, 5, 37, 36, 99].map(|number| seen.is_new(9, number)).into();
        assert_eq!(new, [true, true, false, true, true, false, true, true, false, true, false, true]);
        assert!(!seen.is_new(8, 200), "of the time before");
        assert!(seen.is_new(10, 1) && !seen.is_new(10, 1) && !seen.is_new(9, 300));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(decoded(&bytes));
            prop_assert!(opened(b"a secret of ours", at("10.0.9.2:7947"), &bytes).is_none());
        }
    }
}
