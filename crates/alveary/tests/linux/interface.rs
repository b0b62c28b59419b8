//! Kernel interfaces of objects: two congestion controls for TCP, by a link and without one; and one of a module.

use crate::support::{allowed, compiled};
use alveary::{
    Linux, Loaded, MapHandle, Object, Target,
    kernel::attach::{Pinned, unregister},
};
use alveary_testing::BpfFs;
use rustix::net::sockopt::set_tcp_congestion;
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process,
};

const SOURCE: &str = r#"
    struct sock;
    struct tcp_congestion_ops___mine {
        __u32 (*ssthresh)(struct sock *sk);
        void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
        __u32 (*undo_cwnd)(struct sock *sk);
        char name[16];
    };
    char LICENSE[] SEC("license") = "GPL";
    long runs;
    SEC("struct_ops") __u32 ssthresh(__u64 *ctx) { return 2; }
    SEC("struct_ops") void cong_avoid(__u64 *ctx) { runs++; }
    SEC("struct_ops") __u32 undo_cwnd(__u64 *ctx) { return 2; }
    #define CONTROL(text) { .ssthresh = (void *)ssthresh, .cong_avoid = (void *)cong_avoid, \
                            .undo_cwnd = (void *)undo_cwnd, .name = text }
    SEC(".struct_ops.link") struct tcp_congestion_ops___mine linked = CONTROL("LINKED");
    SEC(".struct_ops") struct tcp_congestion_ops___mine plain = CONTROL("PLAIN");
"#;

/// The interfaces, and what the kernel calls them: its list is the whole machine's.
struct Controls {
    loaded: Loaded<Linux>,
    linked: String,
    plain: String,
}

fn controls(test: &str) -> Option<Controls> {
    let name = |of: char| format!("alv{of}{}{}", test.len(), process::id());
    let (linked, plain) = (name('l'), name('p'));
    let source = SOURCE.replace("LINKED", &linked).replace("PLAIN", &plain);
    let object = allowed(test).then(|| compiled(test, &source)).flatten()?;
    Some(Controls { loaded: object.load(Target::linux()).expect("it loads"), linked, plain })
}

/// Sends something over a connection that asks for a congestion control; `false` if there is none of that name.
fn control(name: &str) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    let (mut server, _) = listener.accept().expect("its other end");
    if set_tcp_congestion(&client, name).is_err() {
        return false;
    }
    for _ in 0..4 {
        client.write_all(&[7; 4096]).expect("room");
        server.read_exact(&mut [0; 4096]).expect("what was sent");
    }
    true
}

fn runs(loaded: &Loaded<Linux>) -> u64 {
    let bytes = loaded.map(".bss").expect("variables").lookup(&[0; 4]).expect("a map").expect("an element");
    u64::from_ne_bytes(bytes[..8].try_into().expect("eight bytes"))
}

#[test]
fn interfaces_are_registered_as_long_as_their_links_live() {
    let test = "interfaces_are_registered_as_long_as_their_links_live";
    let Some(Controls { loaded, linked, plain }) = controls(test) else { return };
    assert_eq!(loaded.interfaces().collect::<Vec<_>>(), ["linked", "plain"]);
    for (map, name) in [("linked", &linked), ("plain", &plain)] {
        assert!(!control(name), "{map}: loaded is not registered");
        let before = runs(&loaded);
        let link = loaded.register(map).expect("it registers");
        assert!(control(name), "{map}: registered");
        assert!(runs(&loaded) > before, "{map}: its function ran");
        let again = loaded.register(map).expect_err("it is registered").to_string();
        let expected = ["none of this name that is registered", "an interface that never was registered"];
        assert!(expected.iter().any(|expected| again.contains(expected)), "{again}");
        drop(link);
        assert!(!control(name), "{map}: taken out");
    }
    loaded.register("linked").expect("and in again").detach().expect("and out");
    assert!(!control(&linked), "detached");
    let why = loaded.attach("cong_avoid").expect_err("it is a part").to_string();
    assert!(why.contains("a function of a kernel interface"), "{why}");
    assert!(loaded.register(".bss").expect_err("no interface").to_string().contains("linked, plain"));
}

/// Two objects with a congestion control of one name: connections that ask for it get the second one's from then on.
#[test]
fn interfaces_take_each_others_place() {
    let test = "interfaces_take_each_others_place";
    let (Some(first), Some(second)) = (controls(test), controls(test)) else { return };
    let mut link = first.loaded.register("linked").expect("it registers");
    assert!(control(&first.linked) && runs(&first.loaded) > 0 && runs(&second.loaded) == 0);
    second.loaded.replace_interface(&mut link, "linked").expect("another one");
    let before = runs(&first.loaded);
    assert!(control(&first.linked) && runs(&second.loaded) > 0, "the second one runs");
    assert_eq!(runs(&first.loaded), before, "the first one does not");

    let why = first.loaded.replace_interface(&mut link, "plain").expect_err("it has no link").to_string();
    assert!(why.contains("`plain` has no link"), "{why}");
    assert!(!control(&first.plain), "it was not registered by that");
    let mut plain = first.loaded.register("plain").expect("it registers");
    let why = second.loaded.replace_interface(&mut plain, "linked").expect_err("that has no link").to_string();
    assert!(why.contains("the kernel interface plain has no link"), "{why}");
    drop(link);
    assert!(!control(&first.linked), "the link's end is the end of either");
}

#[test]
fn interfaces_that_are_kept_stay() {
    let test = "interfaces_that_are_kept_stay";
    let Some(Controls { loaded, linked: on, plain: off }) = controls(test) else { return };
    let Some(pins) = BpfFs::mount(test) else { return };
    let (linked, plain) = (pins.path.join("linked"), pins.path.join("plain"));
    let kept = |map| loaded.register(map).expect("it registers");
    assert_eq!(kept("linked").pin(&linked).expect("a pin"), Pinned::At(linked.clone()));
    assert_eq!(kept("plain").pin(&plain).expect("no pin"), Pinned::Without);
    assert!(control(&on) && control(&off) && !plain.exists());
    std::fs::remove_file(linked).expect("the pin goes");
    unregister(loaded.map("plain").expect("the map").sys()).expect("it goes by hand");
    assert!(!control(&on) && !control(&off));
}

/// The module of `module/alveary_ops.c` gives a number that is written there to whatever is registered, which doubles it,
/// and adds the interface's own.
#[test]
fn interfaces_of_modules_are_registered() {
    const ASK: &str = "/sys/module/alveary_ops/parameters/ask";
    let test = "interfaces_of_modules_are_registered";
    if !allowed(test) {
        return;
    }
    if !Path::new(ASK).exists() {
        eprintln!("SKIP {test}: the module alveary_ops is not loaded");
        return;
    }
    let object = Object::parse(include_bytes!("module.bpf.o")).expect("an object");
    let loaded = object.load(Target::linux()).expect("it loads");
    let asked = |number: i32| {
        fs::write(ASK, number.to_string()).expect("it takes a number");
        fs::read_to_string(ASK).expect("it says one").trim().parse::<i32>().expect("a number")
    };
    for (map, own) in [("linked", 7), ("plain", 9)] {
        assert_eq!(asked(20), -1, "{map}: loaded is not registered");
        let link = loaded.register(map).expect("it registers");
        assert_eq!(asked(20), 40 + own, "{map}: registered");
        drop(link);
        assert_eq!(asked(20), -1, "{map}: taken out");
    }
}
