//! Connections told to peers: what is new in this balancer's tables goes to theirs, by datagrams that are signed. A balancer
//! that begins asks for all that its peers have; they answer it alone, and what it knows better stays. Which real a connection has is
//! said by how that is reached, since names of reals are each balancer's own.
//!
//! | file | holds |
//! |---|---|
//! | `entry` | a connection, as peers tell each other of it and as tables have it |
//! | `seal` | datagrams: signed, and each taken once |

mod entry;
mod seal;

use crate::{
    Fault, Result,
    api::patiently,
    apply::Running,
    clock::coarse,
    config::{Places, Sync, here::secret},
    occupied::{self, Kind},
    store::Plane as _,
    wanted::Wanted,
    wire::{self, some},
};
use alveary::{
    Linux, LinuxMap, MapHandle,
    kernel::read::{RingBuffer, Waiter},
};
use alveary_diag::{Diagnostic, Place};
use entry::{Entry, Reached, address, connection, decoded};
use seal::{HEAD, Heard, Nonce, SIGNATURE, Seen, opened, random, sealed};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry as Slot},
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Bytes of a datagram: it passes any link whole.
const DATAGRAM: usize = 1232;
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
/// Whoever lives is to say this nonce, and says it.
const CHALLENGE: u8 = 5;
const PROOF: u8 = 6;
/// `BPF_NOEXIST`.
const NO_EXIST: u64 = 1;

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
pub struct Peers {
    /// What waits until it may begin.
    waits: Option<(Arc<Shared>, RingBuffer, Waiter)>,
    names: Arc<RwLock<Names>>,
    counts: Arc<Counts>,
    complete: Arc<AtomicBool>,
    seen: Arc<Mutex<HashMap<SocketAddr, Seen>>>,
    /// Whom the configuration names.
    peers: Vec<SocketAddr>,
}

/// A port and a secret that can be used.
pub struct Ready {
    socket: UdpSocket,
    secret: Vec<u8>,
    peers: Vec<SocketAddr>,
}

fn wrong(what: String, why: &str) -> Fault {
    Diagnostic::new("lb-sync", what, Place::Nowhere).found(why.to_owned()).into()
}

/// What all threads have.
struct Shared {
    socket: UdpSocket,
    peers: Vec<SocketAddr>,
    secret: Vec<u8>,
    /// Which process this is.
    life: u64,
    /// What is known of peers.
    seen: Arc<Mutex<HashMap<SocketAddr, Seen>>>,
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
    /// Reads the secret and takes the port. Nobody is told anything, or heard, yet.
    ///
    /// # Errors
    /// The secret cannot be used; the system's.
    pub fn open(sync: &Sync, places: &Places) -> Result<Ready> {
        let secret = secret(&sync.key).map_err(|why| wrong("the secret of the peers cannot be used".into(), &why))?;
        let bound = patiently(|| UdpSocket::bind(sync.listen)).and_then(|socket| {
            socket.set_read_timeout(Some(TURN))?;
            // Without the privilege it has less room.
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER);
            Ok(socket)
        });
        let listen = ("sync", "listen");
        let socket = bound.map_err(|why| occupied::address("lb-sync", sync.listen, Kind::Udp, listen, &why, places))?;
        Ok(Ready { socket, secret, peers: sync.peers.clone() })
    }

    /// With the maps of a balancer. Nobody is told anything, or heard, yet.
    ///
    /// # Errors
    /// The system's.
    pub fn with(ready: Ready, maps: &dyn Fn(&str) -> LinuxMap) -> Result<Peers> {
        let news = maps("news");
        let begin = || -> io::Result<Peers> {
            let ring = RingBuffer::open(news.sys())?;
            let mut waiter = Waiter::new()?;
            waiter.add(ring.as_fd(), 0)?;
            let complete = Arc::new(AtomicBool::new(ready.peers.is_empty()));
            let (names, counts) = (Arc::<RwLock<Names>>::default(), Arc::<Counts>::default());
            let (seen, peers) = (Arc::<Mutex<HashMap<SocketAddr, Seen>>>::default(), ready.peers.clone());
            let shared = Arc::new(Shared {
                socket: ready.socket,
                peers: ready.peers,
                secret: ready.secret,
                life: u64::from_ne_bytes(random()?),
                seen: seen.clone(),
                next: AtomicU64::new(1),
                names: names.clone(),
                counts: counts.clone(),
                answers: Mutex::default(),
                complete: complete.clone(),
                tables: [maps("connections4"), maps("connections6")],
            });
            Ok(Peers { waits: Some((shared, ring, waiter)), names, counts, complete, seen, peers })
        };
        begin().map_err(|why| wrong("peers cannot be told".into(), &why.to_string()))
    }

    /// Begins to tell, and to listen: what reals are called is known by now.
    ///
    /// # Errors
    /// The system's.
    pub fn begin(&mut self) -> Result<()> {
        let Some((shared, ring, waiter)) = self.waits.take() else { return Ok(()) };
        let other = shared.clone();
        let tells = thread::Builder::new().name("tells".into()).spawn(move || other.tells(ring, waiter));
        tells
            .and_then(|_| thread::Builder::new().name("listens".into()).spawn(move || shared.listens()))
            .map(drop)
            .map_err(|why| wrong("peers cannot be told".into(), &why.to_string()))
    }

    /// Takes the names that reals have now, those too that are not well: they may be soon.
    pub fn learn(&self, running: &Running, wanted: &Wanted) {
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
    pub fn complete(&self) -> bool {
        self.complete.load(Relaxed)
    }

    /// What was told and heard.
    pub fn status(&self) -> Value {
        let [told, heard, unknown, refused] = self.counters().map(|(_, _, count)| count);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = |peer: &SocketAddr| json!({ "address": peer, "heard": seen.get(peer).is_some_and(Seen::lives) });
        json!({
            "complete": self.complete(), "peers": self.peers.iter().map(peer).collect::<Vec<_>>(),
            "told": told, "heard": heard, "unknown": unknown, "refused": refused,
        })
    }

    /// The same for Prometheus: name, what it is, count.
    pub(crate) fn counters(&self) -> [(&'static str, &'static str, u64); 4] {
        let Counts { told, heard, unknown, refused } = &*self.counts;
        [
            ("sync_told_total", "Connections told to peers", told),
            ("sync_heard_total", "Connections heard of from peers", heard),
            ("sync_unknown_total", "Connections of peers whose real is none here", unknown),
            (
                "sync_refused_total",
                "Datagrams that no peer signed, that came before, or whose sender has not yet proved that it lives",
                refused,
            ),
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
                    // What they answer is theirs if they live.
                    let silent = self.silent();
                    silent.iter().for_each(|peer| self.challenge(*peer));
                    self.send(ASKS, &[], &silent);
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
            let width = if four { 4 } else { 16 };
            // What cannot be read is told when it is new again.
            let _ = Linux::each(table, &mut |key, value| {
                let port = |at| u16::from_be_bytes(some(key, at));
                let real = self.names().reached.get(&wire::word(value, 0)).copied();
                if let Some(real) = real {
                    batch.add(&Entry {
                        client: (address(key, 0, four), port(2 * width)),
                        vip: (address(key, width, four), port(2 * width + 2)),
                        protocol: key.get(2 * width + 4).copied().unwrap_or_default(),
                        port: u16::from_be_bytes(some(value, 4)),
                        real,
                    });
                }
                true
            });
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
                _ => sealed_by.insert((from, sealed(&self.secret, from, kind, self.life, number, entries))),
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
        let mut datagram = vec![0; 2048];
        loop {
            let Ok((len, from)) = self.socket.recv_from(&mut datagram) else { continue };
            self.hears(from, &datagram[..len]);
        }
    }

    /// Asks a peer to prove that its life is one.
    fn challenge(&self, peer: SocketAddr) {
        let nonce = self.of_peer(peer, |seen| Ok(seen.asks(Instant::now())));
        if let Some(nonce) = nonce.flatten() {
            self.send(CHALLENGE, &nonce, &[peer]);
        }
    }

    /// What is known of a peer; `None` without random numbers.
    fn of_peer<T>(&self, peer: SocketAddr, of: impl FnOnce(&mut Seen) -> io::Result<T>) -> Option<T> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let one = match seen.entry(peer) {
            Slot::Occupied(one) => one.into_mut(),
            Slot::Vacant(free) => free.insert(Seen::new().ok()?),
        };
        of(one).ok()
    }

    /// Takes a datagram.
    fn hears(&self, from: SocketAddr, datagram: &[u8]) {
        // Who says something that others did not sign, says nothing.
        let known = self.peers.contains(&from);
        let refused = || {
            self.counts.refused.fetch_add(1, Relaxed);
        };
        let Some((kind, life, number, entries)) = opened(&self.secret, from, datagram).filter(|_| known) else {
            return refused();
        };
        match kind {
            // That it is answered is of use to him alone who asks, and once.
            CHALLENGE => {
                if entries.len() == size_of::<Nonce>() {
                    self.send(PROOF, entries, &[from]);
                }
                if !self.complete.load(Relaxed) && self.silent().contains(&from) {
                    self.send(ASKS, &[], &[from]);
                }
                return;
            }
            PROOF => {
                self.of_peer(from, |seen| seen.proves(life, number, entries));
                return;
            }
            _ => {}
        }
        match self.of_peer(from, |seen| Ok(seen.hears(life, number))) {
            Some(Heard::New) => {}
            Some(Heard::Stranger) => {
                self.challenge(from);
                return refused();
            }
            Some(Heard::Again) | None => return refused(),
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

/// The data plane's tick.
fn tick() -> u16 {
    (coarse() >> TICK_SHIFT) as u16
}

#[cfg(test)]
mod tests;
