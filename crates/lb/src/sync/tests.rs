//! Entries, what is believed, who is answered.

use super::{entry::*, seal::*, *};
use proptest::prelude::*;
use std::net::IpAddr;

fn entry(client: &str, vip: &str, real: &str) -> Entry {
    let ip = |text: &str| text.parse().expect("an address");
    Entry { client: (ip(client), 40_000), vip: (ip(vip), 443), protocol: 6, port: 33_000, real: (4, ip(real), 8080) }
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
        life: 1,
        seen: Arc::default(),
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
fn each_number_of_a_life_counts_once() {
    let mut seen = Seen::new().expect("random numbers");
    assert_eq!(seen.hears(9, 1), Heard::Stranger);
    let now = Instant::now();
    let nonce = seen.asks(now).expect("it is asked for");
    assert_eq!(seen.asks(now), None, "not for each datagram");
    assert_eq!(seen.asks(now + Duration::from_secs(1)), Some(nonce));
    assert!(!seen.proves(9, 1, &[0; 16]).expect("random numbers"));
    assert!(seen.proves(9, 1, &nonce).expect("random numbers"));
    let new: Vec<bool> =
        [1, 2, 2, 5, 4, 4, 3, 100, 5, 37, 36, 99].map(|number| seen.hears(9, number) == Heard::New).into();
    assert_eq!(new, [false, true, false, true, true, false, true, true, false, true, false, true]);
    // Another life, whatever its number: that of before does not come back, by no proof of then.
    let next = seen.asks(now).expect("it is asked for");
    assert!(next != nonce && seen.hears(8, 200) == Heard::Stranger);
    assert!(!seen.proves(8, 1, &nonce).expect("random numbers") && seen.proves(8, 1, &next).expect("random numbers"));
    assert_eq!([seen.hears(8, 2), seen.hears(9, 300)], [Heard::New, Heard::Stranger]);
    assert!(!seen.proves(9, 1, &nonce).expect("random numbers") && !seen.proves(9, 1, &next).expect("random numbers"));
}

/// Both live, and neither can tell: they go on alone, and say so.
#[test]
fn a_peer_with_another_secret_is_not_heard_nor_waited_for_without_end() {
    if !alveary_testing::bpf::permitted("sync_secret") {
        return;
    }
    let object = alveary::Object::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb.bpf.o"));
    let object = object.expect("the object");
    let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a port"));
    let [one, two] = sockets.each_ref().map(|socket| socket.local_addr().expect("an address"));
    let secrets = [b"a secret of ours", b"one of nobody's."].into_iter();
    let mut both: Vec<Peers> = sockets
        .into_iter()
        .zip([two, one])
        .zip(secrets)
        .map(|((socket, peer), secret)| {
            socket.set_read_timeout(Some(TURN)).expect("a time");
            let linux = alveary::Linux::builder().without_pins().build();
            let loaded = alveary::Loader::new(linux).program("lb").load(&object).expect("it is loaded");
            let ready = Ready { socket, secret: secret.to_vec(), peers: vec![peer] };
            Peers::with(ready, &|map| loaded.map(map).expect("a map").clone()).expect("peers")
        })
        .collect();
    // Who begins asks for some seconds alone, and loading takes as long on a machine that has other work.
    both.iter_mut().for_each(|peers| peers.begin().expect("threads"));
    for (peers, of) in both.iter().zip([two, one]) {
        // They ask for some seconds; nobody says in how many all is over.
        while !peers.complete() {
            thread::sleep(TURN);
        }
        let status = peers.status();
        assert_eq!(status["peers"], json!([{ "address": of, "heard": false }]));
        assert!(status["refused"].as_u64() > Some(0) && status["heard"] == 0, "{status}");
    }
}

/// What comes to a balancer next, and from where.
fn comes(to: &Shared) -> (Vec<u8>, SocketAddr) {
    let mut datagram = vec![0; 2048];
    let (len, from) = to.socket.recv_from(&mut datagram).expect("it is told");
    datagram.truncate(len);
    (datagram, from)
}

/// Lets a balancer hear what comes to it next.
fn hears(to: &Shared) -> (Vec<u8>, SocketAddr) {
    let (datagram, from) = comes(to);
    to.hears(from, &datagram);
    (datagram, from)
}

#[test]
fn a_peer_that_begins_anew_is_heard_whatever_its_clock_says_and_its_earlier_life_is_not() {
    if !alveary_testing::bpf::permitted("sync_lives") {
        return;
    }
    let object = alveary::Object::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb.bpf.o"));
    let object = object.expect("the object");
    let (mut hearer, mut teller) = (shared(&object, Vec::new()), shared(&object, Vec::new()));
    let own = |one: &Shared| one.socket.local_addr().expect("an address");
    (hearer.peers, teller.peers) = (vec![own(&teller)], vec![own(&hearer)]);
    teller.complete.store(true, Relaxed);
    hearer.complete.store(true, Relaxed);
    let [one, two] = ["198.51.100.7", "198.51.100.8"].map(|client| entry(client, "192.0.2.1", "10.0.0.1"));
    let has = |entry: &Entry| hearer.tables[0].lookup(&entry.key()).expect("read").is_some();
    // A stranger is asked, and what he said is not taken.
    let met = |teller: &Shared| {
        teller.send(ENTRIES, &one.bytes(), &teller.peers);
        hears(&hearer);
        assert!(!has(&one));
        hears(teller);
        hears(&hearer)
    };
    let proof = met(&teller);
    teller.send(ENTRIES, &one.bytes(), &teller.peers);
    let old = hears(&hearer);
    assert!(has(&one));

    hearer.tables[0].delete(&one.key()).expect("it is there");
    let again = Shared { life: 0, next: AtomicU64::new(1), socket: teller.socket, ..shared(&object, teller.peers) };
    again.complete.store(true, Relaxed);
    met(&again);
    again.send(ENTRIES, &two.bytes(), &again.peers);
    hears(&hearer);
    assert!(has(&two));

    // What was said in the life before, and proved it, is worth nothing now.
    let before = hearer.counts.refused.load(Relaxed);
    for (datagram, from) in [&old, &proof, &old] {
        hearer.hears(*from, datagram);
    }
    assert!(!has(&one) && hearer.counts.refused.load(Relaxed) == before + 2);
    again.send(ENTRIES, &one.bytes(), &again.peers);
    hears(&hearer);
    assert!(has(&one), "and the peer is heard as before");
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(decoded(&bytes));
        prop_assert!(opened(b"a secret of ours", at("10.0.9.2:7947"), &bytes).is_none());
    }
}
