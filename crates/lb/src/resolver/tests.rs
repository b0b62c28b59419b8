use super::*;
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{TcpListener, ToSocketAddrs},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

fn all(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|address| address.parse().expect("an address")).collect()
}

#[test]
fn a_file_of_hosts_has_names_and_others_for_them() {
    let text = "127.0.0.1 localhost\n10.0.0.1\tetcd1 etcd1.example # etcd3\n# 10.0.0.9 etcd1\nfd00::1 ETCD1\n\
                10.0.0.1 etcd1\nnonsense etcd1\n10.0.0.2 etcd2\n10.0.0.3";
    assert_eq!(in_hosts(text, "Etcd1"), all(&["10.0.0.1", "fd00::1"]));
    assert_eq!(in_hosts(text, "etcd1.example."), all(&["10.0.0.1"]));
    assert!(in_hosts(text, "etcd3").is_empty());
    assert_eq!(in_hosts(text, "localhost"), all(&["127.0.0.1"]));
    assert_eq!(in_hosts(text, "a.localhost"), all(&["::1", "127.0.0.1"]));
}

#[test]
fn this_machine_is_where_the_c_library_finds_it() {
    let theirs: BTreeSet<IpAddr> = ("localhost", 0).to_socket_addrs().expect("known").map(|at| at.ip()).collect();
    let ours: BTreeSet<IpAddr> = addresses("localhost").expect("known").into_iter().collect();
    assert!(theirs.is_subset(&ours), "{theirs:?} {ours:?}");
    assert_eq!(addresses("192.0.2.7").expect("itself"), all(&["192.0.2.7"]));
    assert_eq!(addresses("2001:db8::7").expect("itself"), all(&["2001:db8::7"]));
}

#[test]
fn settings_are_read_as_their_page_has_them() {
    let text = "nameserver 10.0.0.53 # ours\n;nameserver 10.0.0.54\nsearch a.example b.example\nnameserver fd00::53\n\
                options ndots:2 timeout:0 attempts:99 rotate ndots:x\nnameserver name\n";
    let expected = Settings {
        servers: vec!["10.0.0.53:53".parse().expect("one"), "[fd00::53]:53".parse().expect("one")],
        search: vec!["a.example".into(), "b.example".into()],
        ndots: 2,
        timeout: Duration::from_secs(1),
        attempts: ATTEMPTS,
    };
    assert_eq!(Settings::read(text), expected);
    let none = Settings::read("");
    assert_eq!((none.servers, none.ndots, none.attempts), (vec!["127.0.0.1:53".parse().expect("one")], 1, 2));
    assert_eq!(Settings::read(&"nameserver 10.0.0.1\n".repeat(9)).servers.len(), SERVERS);
}

#[test]
fn names_are_looked_for_below_the_domains_that_are_searched() {
    let settings = Settings::read("search a b\noptions ndots:2");
    assert_eq!(settings.candidates("x.y"), ["x.y.a", "x.y.b", "x.y"]);
    assert_eq!(settings.candidates("x.y.z"), ["x.y.z", "x.y.z.a", "x.y.z.b"]);
    assert_eq!(settings.candidates("x.y."), ["x.y"]);
}

/// A name server that knows a few names; what is asked of it is counted.
struct Server {
    at: SocketAddr,
    asked: &'static AtomicUsize,
}

impl Server {
    fn new() -> Server {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("bound")) {
                break (udp, tcp);
            }
        };
        let at = udp.local_addr().expect("bound");
        let asked: &'static AtomicUsize = Box::leak(Box::default());
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((len, from)) = udp.recv_from(&mut buffer) {
                asked.fetch_add(1, Relaxed);
                let question = &buffer[..len];
                // One that answers something else comes first.
                let mut other = answer(question, false);
                other[1] ^= 1;
                *other.last_mut().expect("bytes") ^= 1;
                let _ = udp.send_to(&other, from);
                let _ = udp.send_to(&answer(question, false), from);
            }
        });
        thread::spawn(move || {
            for stream in tcp.incoming() {
                let mut stream = stream.expect("a stream");
                let mut len = [0; 2];
                stream.read_exact(&mut len).expect("a length");
                let mut question = vec![0; u16::from_be_bytes(len).into()];
                stream.read_exact(&mut question).expect("a question");
                let answer = answer(&question, true);
                stream.write_all(&(answer.len() as u16).to_be_bytes()).expect("a length");
                stream.write_all(&answer).expect("an answer");
            }
        });
        Server { at, asked }
    }
}

/// The answer to a question.
fn answer(question: &[u8], whole: bool) -> Vec<u8> {
    let (mut name, mut at) = (String::new(), 12);
    while question[at] != 0 {
        let label = &question[at + 1..=at + usize::from(question[at])];
        name += &format!("{}.", std::str::from_utf8(label).expect("text").to_ascii_lowercase());
        at += 1 + label.len();
    }
    let kind = question[at + 2];
    let mut answer = question.to_vec();
    (answer[2], answer[3]) = (0x81, 0x80);
    let mut put = |kind: u8, data: &[u8]| {
        answer[7] += 1;
        answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        answer.extend(data);
    };
    match (&*name, kind) {
        ("two.test.", 1) => {
            put(5, &[3, b'a', b'b', b'c', 0]);
            put(1, &[192, 0, 2, 1]);
            put(1, &[192, 0, 2, 2]);
        }
        ("two.test.", 28) => put(28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("old.test.", 1) => put(1, &[192, 0, 2, 4]),
        ("old.test.", _) => answer[3] = 0x84,
        ("large.test.", 1) if whole => (0..200).for_each(|n| put(1, &[198, 51, 100, n])),
        ("large.test.", 1) => answer[2] |= 2,
        ("broken.test.", 1) => put(1, &[192, 0, 2]),
        ("empty.test." | "large.test." | "broken.test.", _) => {}
        ("fails.test.", _) => answer[3] = 0x82,
        _ => answer[3] = 0x83,
    }
    answer
}

fn asking(servers: &[SocketAddr]) -> Settings {
    Settings { servers: servers.to_vec(), ..Settings::read("search test\noptions timeout:30 attempts:1") }
}

#[test]
fn dns_is_asked_for_both_kinds_of_addresses() {
    let server = Server::new();
    let settings = asking(&[server.at]);
    let mut found = settings.look_up("two.test").expect("known");
    found.sort();
    assert_eq!(found, all(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]));
    assert_eq!(settings.look_up("TWO").expect("searched").len(), 3);
    assert_eq!(settings.look_up("old.test").expect("one kind"), all(&["192.0.2.4"]));
    assert_eq!(settings.look_up("large.test.").expect("by TCP").len(), 200);
    let why = |name| settings.look_up(name).expect_err("unknown").to_string();
    assert_eq!(why("none.test."), "the name `none.test.` has no address, in /etc/hosts or by DNS");
    assert_eq!(why("empty.test"), "the name `empty.test` has no address, in /etc/hosts or by DNS");
    assert_eq!(why("fails.test."), "the name server 127.0.0.1 is no help with `fails.test`: it answers with code 2");
    assert_eq!(why("broken.test."), "the name server 127.0.0.1 is no help with `broken.test`: its answer is broken");
    assert_eq!(why("a..b"), "`a..b` is no name of a host");
}

#[test]
fn another_server_is_asked_where_one_is_not_there() {
    let gone = UdpSocket::bind("127.0.0.1:0").expect("a socket").local_addr().expect("bound");
    let (first, second) = (Server::new(), Server::new());
    assert_eq!(asking(&[gone, first.at, second.at]).look_up("two.test").expect("known").len(), 3);
    assert_eq!((first.asked.load(Relaxed), second.asked.load(Relaxed)), (2, 0));
    let why = asking(&[gone]).look_up("two.test.").expect_err("nobody is there").to_string();
    assert!(why.contains("127.0.0.1") && why.contains("refused"), "{why}");
}

#[test]
fn answers_may_be_anything() {
    for name in ["two.test", "broken.test", "none.test"] {
        let question = dns::Question::new(name, 1).expect("a question");
        let whole = answer(&question.bytes, false);
        assert!(question.is_answered_by(&whole));
        for len in 0..whole.len() {
            let _ = (question.is_answered_by(&whole[..len]), question.read(&whole[..len]));
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x3f, 0x7f, 0xc0, 0xff] {
                let mut other = whole.clone();
                other[at] = value;
                let _ = (question.is_answered_by(&other), question.read(&other));
            }
        }
    }
    assert!(dns::Question::new(&"a.".repeat(130), 1).is_err() && dns::Question::new(&"a".repeat(64), 1).is_err());
}
