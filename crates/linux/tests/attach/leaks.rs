//! What is attached and detached leaves nothing behind.

use super::{
    bench::{Bench, Kindred},
    lab::{Lab, becomes, own_mounts},
};
use alveary_abi::{AttachType as A, ProgType as P};
use alveary_linux::{
    attach::{Direction, Place, Program, attach},
    netlink::{Hook, Parent, Route, Tunnel, device_xdp, filters},
    sys::{self, Object, Order, ProgParts},
};
use alveary_spec::XdpMode;
use std::{
    fs,
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr},
    os::fd::AsFd,
    process::{Command, Stdio},
};

/// Rounds of each kind of attachment: with its load about a thousand in all.
const ROUNDS: usize = 250;
/// By this name the test's own programs and maps are told from other people's.
const NAME: &str = "attach_leaks";

#[test]
fn a_thousand_cycles_leave_nothing_behind() {
    if !alveary_testing::bpf::permitted("a_thousand_cycles_leave_nothing_behind") {
        return;
    }
    let lab = Lab::new();
    let device = || lab.device.clone();
    let destination = IpAddr::V4(Ipv4Addr::new(10, 9, 9, 0));
    let route = Route { destination, prefix: 24, device: lab.device.index, gateway: None, table: 0 };
    let kinds = [
        (
            Kindred::of(P::XDP, "r0 = 2").expecting(A::XDP),
            Place::Xdp { device: device(), mode: XdpMode::Native, replace: false },
        ),
        (
            Kindred::of(P::SCHED_CLS, "r0 = 0"),
            Place::Tc { device: device(), direction: Direction::Ingress, priority: 0, handle: 0, replace: false },
        ),
        (
            Kindred::of(P::LWT_XMIT, "r0 = 0"),
            Place::Route { route, tunnel: Tunnel::Bpf(Hook::Xmit, 0), replace: false },
        ),
        (
            Kindred::of(P::CGROUP_SKB, "r0 = 1").expecting(A::CGROUP_INET_EGRESS),
            Place::Cgroup { directory: lab.cgroup.as_fd(), order: Order::default() },
        ),
    ];
    let descriptors = || fs::read_dir("/proc/self/fd").expect("descriptors").count();
    let before = descriptors();
    for (kindred, place) in &kinds {
        for _ in 0..ROUNDS {
            let bench = Bench::named(NAME);
            let fd = bench.load(kindred).map_err(|refusal| refusal.to_string()).expect("a program");
            let program = Program { fd: fd.as_fd(), ty: kindred.ty, expected: kindred.expected, name: NAME };
            drop(attach(program, place).unwrap_or_else(|why| panic!("{place}: {why}")));
        }
    }
    assert!(descriptors() <= before, "descriptors");
    assert_eq!(device_xdp(lab.device.index).progs, []);
    assert_eq!(filters(lab.device.index, Parent::Ingress), []);
    let routes = fs::read_to_string("/proc/thread-self/net/route").expect("routes");
    assert!(!routes.contains("0009090A"), "{routes}");
    let link = sys::ids(Object::Link).map_while(Result::ok).find(|id| on_us(*id, lab.device.index));
    assert_eq!(link, None, "a link");
    assert_eq!(ours(NAME), 0, "maps, which live as long as a program that uses them");
}

fn on_us(link: u32, device: u32) -> bool {
    let info = sys::open_id(Object::Link, link, 0, None).and_then(|fd| sys::link_info(fd.as_fd()));
    info.is_ok_and(|info| matches!(info.detail, sys::LinkDetail::Xdp { ifindex } if ifindex == device))
}

/// Maps of this name. The kernel frees them a little later than it lets go of them.
fn ours(name: &str) -> usize {
    let count = || {
        let maps = sys::ids(Object::Map).map_while(Result::ok);
        maps.filter_map(|id| sys::open_id(Object::Map, id, 0, None).ok())
            .filter(|fd| sys::map_info(fd.as_fd()).is_ok_and(|info| info.name == name))
            .count()
    };
    if becomes(|| count() == 0) { 0 } else { count() }
}

/// Set in the process that is killed.
const VICTIM: &str = "ALVEARY_ATTACH_VICTIM";

#[test]
fn a_killed_process_leaves_only_pins() {
    if std::env::var_os(VICTIM).is_some() {
        return hold_and_wait();
    }
    if !alveary_testing::bpf::permitted("a_killed_process_leaves_only_pins") {
        return;
    }
    // The process that is killed sees them, too.
    own_mounts(0);
    let exe = std::env::current_exe().expect("this program");
    let mut child = Command::new(exe)
        .args(["--exact", "leaks::a_killed_process_leaves_only_pins", "--nocapture", "--test-threads=1"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    // The runner may have begun the line.
    let said = output.lines().map_while(Result::ok).find_map(|line| Some(line.split_once("HOLDS ")?.1.to_owned()));
    let ids: Vec<u32> = said.iter().flat_map(|said| said.split(' ')).filter_map(|id| id.parse().ok()).collect();
    child.kill().expect("an end");
    child.wait().expect("an end");
    let [dropped, pinned] = ids[..] else { panic!("the process held nothing") };
    let there = |id| sys::open_id(Object::Prog, id, 0, None).is_ok();
    assert!(becomes(|| !there(dropped)), "what was not pinned goes");
    let path = pin(child.id());
    let stayed = there(pinned);
    drop(fs::remove_file(&path));
    assert!(stayed, "what was pinned stays");
    assert!(becomes(|| !there(pinned)), "and goes with its pin");
}

fn pin(pid: u32) -> std::path::PathBuf {
    format!("/sys/fs/bpf/alveary-leaks-{pid}").into()
}

/// Attaches two programs to a tracepoint that nobody hits, pins one of the links, and waits for its end.
fn hold_and_wait() {
    let kindred = Kindred::of(P::RAW_TRACEPOINT, "r0 = 0").own();
    let place = Place::RawTracepoint { name: "sys_enter".into(), cookie: 0 };
    let hold = || {
        let fd = Bench::named(NAME).load(&kindred).map_err(|refusal| refusal.to_string()).expect("a program");
        let program = Program { fd: fd.as_fd(), ty: kindred.ty, expected: None, name: NAME };
        let link = attach(program, &place).unwrap_or_else(|why| panic!("{why}"));
        (sys::prog_info(fd.as_fd(), ProgParts::default()).expect("a program").id, link)
    };
    let (dropped, _link) = hold();
    let (pinned, link) = hold();
    link.pin(&pin(std::process::id())).expect("a pin");
    println!("HOLDS {dropped} {pinned}");
    loop {
        std::thread::park();
    }
}
