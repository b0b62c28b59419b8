//! Every type with every place that it has, by the names that people give them.

use super::{
    bench::{BROKEN, Bench, Kindred, Refusal, Steps, reason, refusal},
    lab::Lab,
    struct_ops, triggers,
};
use alveary_abi::{AttachType as A, MapType, ProgType as P};
use alveary_btf::{Builder, Kind, Linkage, New, Param, TypeId};
use alveary_isa::Endian;
use alveary_linux::{
    attach::{Direction, Family, PerfEvent, Place, Program, Side, Watched, attach},
    netlink::{Hook, Route, Tunnel},
    sys::{self, BtfLoad, IterTarget, Map, MapCreate, Order, ProgLoad, TestRun},
};
use alveary_spec::XdpMode;
use std::{
    fs::File,
    io::Read,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::PathBuf,
};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Bench, &Lab) -> Steps,
}

const fn case(name: &'static str, run: fn(&Bench, &Lab) -> Steps) -> Case {
    Case { name, run }
}

const ZERO: &str = "r0 = 0";
const ONE: &str = "r0 = 1";
const PASS: &str = "r0 = 2";
const KEEP: &str = "r0 = -1";
const SLEEPABLE: u32 = alveary_abi::flags::BPF_F_SLEEPABLE;

const XDP: Kindred = Kindred::of(P::XDP, PASS).expecting(A::XDP);
const CLS: Kindred = Kindred::of(P::SCHED_CLS, ZERO);
const PROBE: Kindred = Kindred::of(P::KPROBE, ZERO).own();

pub(crate) const CASES: &[Case] = &[
    case("xdp: native", |bench, lab| xdp(bench, lab, XdpMode::Native)),
    case("xdp: generic", |bench, lab| xdp(bench, lab, XdpMode::Generic)),
    case("xdp: any, loaded for no attach type", |bench, lab| {
        let place = Place::Xdp { device: lab.device.clone(), mode: XdpMode::Any, replace: false };
        bench.live(&Kindred::of(P::XDP, PASS), &place, || triggers::incoming(lab))
    }),
    case("sched_cls: clsact ingress", |bench, lab| tc(bench, lab, CLS, Direction::Ingress)),
    case("sched_cls: clsact egress", |bench, lab| tc(bench, lab, CLS, Direction::Egress)),
    case("sched_cls: tcx ingress", |bench, lab| tcx(bench, lab, CLS.expecting(A::TCX_INGRESS), Direction::Ingress)),
    case("sched_cls: tcx egress", |bench, lab| tcx(bench, lab, CLS.expecting(A::TCX_EGRESS), Direction::Egress)),
    case("sched_cls: netkit primary", |bench, lab| netkit(bench, lab, A::NETKIT_PRIMARY, Side::Primary)),
    case("sched_cls: netkit peer", |bench, lab| netkit(bench, lab, A::NETKIT_PEER, Side::Peer)),
    case("lwt_in", |bench, lab| route(bench, lab, P::LWT_IN, Tunnel::Bpf(Hook::In, 0), || triggers::incoming(lab))),
    case("lwt_out", |bench, lab| route(bench, lab, P::LWT_OUT, Tunnel::Bpf(Hook::Out, 0), triggers::routed)),
    case("lwt_xmit", |bench, lab| route(bench, lab, P::LWT_XMIT, Tunnel::Bpf(Hook::Xmit, 0), triggers::routed)),
    case("lwt_seg6local", |bench, lab| {
        let destination = IpAddr::V6(Ipv6Addr::new(0xfc00, 0xe, 0, 0, 0, 0, 0, 0));
        let route = Route { destination, prefix: 64, device: lab.device.index, gateway: None, table: 0 };
        let place = Place::Route { route, tunnel: Tunnel::Seg6Local, replace: false };
        bench.live(&Kindred::of(P::LWT_SEG6LOCAL, ZERO), &place, || triggers::segment(lab))
    }),
    case("netfilter: ipv4", |bench, _| netfilter(bench, Family::Ipv4)),
    case("netfilter: ipv6", |bench, _| netfilter(bench, Family::Ipv6)),
    case("flow_dissector", |bench, lab| {
        let dissector = Kindred::of(P::FLOW_DISSECTOR, ZERO).expecting(A::FLOW_DISSECTOR);
        bench.live(&dissector, &Place::Netns(lab.netns.as_fd()), || triggers::incoming(lab))
    }),
    case("sk_lookup", |bench, lab| {
        let lookup = Kindred::of(P::SK_LOOKUP, ONE).expecting(A::SK_LOOKUP);
        bench.live(&lookup, &Place::Netns(lab.netns.as_fd()), triggers::nobody)
    }),
    case("socket_filter", |bench, _| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let to = socket.local_addr().expect("its address").to_string();
        bench.live(&Kindred::of(P::SOCKET_FILTER, KEEP), &Place::Socket(socket.as_fd()), || triggers::send_to(&to))
    }),
    case("sk_reuseport: select", |bench, _| reuseport(bench, A::SK_REUSEPORT_SELECT)),
    case("sk_reuseport: select or migrate", |bench, _| reuseport(bench, A::SK_REUSEPORT_SELECT_OR_MIGRATE)),
    case("sk_skb: verdict", |bench, _| {
        sockmap(bench, Kindred::of(P::SK_SKB, ONE).expecting(A::SK_SKB_VERDICT), MapType::SOCKMAP)
    }),
    case("sk_skb: stream verdict", |bench, _| {
        sockmap(bench, Kindred::of(P::SK_SKB, ONE).expecting(A::SK_SKB_STREAM_VERDICT), MapType::SOCKMAP)
    }),
    case("sk_skb: stream parser", stream_parser),
    case("sk_msg: sockmap", |bench, _| {
        sockmap(bench, Kindred::of(P::SK_MSG, ONE).expecting(A::SK_MSG_VERDICT), MapType::SOCKMAP)
    }),
    case("sk_msg: sockhash", |bench, _| {
        sockmap(bench, Kindred::of(P::SK_MSG, ONE).expecting(A::SK_MSG_VERDICT), MapType::SOCKHASH)
    }),
    case("cgroup_skb: ingress", |b, l| cgroup(b, l, P::CGROUP_SKB, A::CGROUP_INET_INGRESS)),
    case("cgroup_skb: egress", |b, l| cgroup(b, l, P::CGROUP_SKB, A::CGROUP_INET_EGRESS)),
    case("cgroup_sock: create", |b, l| cgroup(b, l, P::CGROUP_SOCK, A::CGROUP_INET_SOCK_CREATE)),
    case("cgroup_sock: release", |b, l| cgroup(b, l, P::CGROUP_SOCK, A::CGROUP_INET_SOCK_RELEASE)),
    case("cgroup_sock: post_bind4", |b, l| cgroup(b, l, P::CGROUP_SOCK, A::CGROUP_INET4_POST_BIND)),
    case("cgroup_sock: post_bind6", |b, l| cgroup(b, l, P::CGROUP_SOCK, A::CGROUP_INET6_POST_BIND)),
    case("cgroup_sock_addr: bind4", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_INET4_BIND)),
    case("cgroup_sock_addr: bind6", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_INET6_BIND)),
    case("cgroup_sock_addr: connect4", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_INET4_CONNECT)),
    case("cgroup_sock_addr: connect6", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_INET6_CONNECT)),
    case("cgroup_sock_addr: connect_unix", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_UNIX_CONNECT)),
    case("cgroup_sock_addr: sendmsg4", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_UDP4_SENDMSG)),
    case("cgroup_sock_addr: sendmsg6", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_UDP6_SENDMSG)),
    case("cgroup_sock_addr: sendmsg_unix", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_UNIX_SENDMSG)),
    case("cgroup_sock_addr: recvmsg4", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_UDP4_RECVMSG)),
    case("cgroup_sock_addr: recvmsg6", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_UDP6_RECVMSG)),
    case("cgroup_sock_addr: recvmsg_unix", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_UNIX_RECVMSG)),
    case("cgroup_sock_addr: getpeername4", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_INET4_GETPEERNAME)),
    case("cgroup_sock_addr: getpeername6", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_INET6_GETPEERNAME)),
    case("cgroup_sock_addr: getpeername_unix", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_UNIX_GETPEERNAME)),
    case("cgroup_sock_addr: getsockname4", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_INET4_GETSOCKNAME)),
    case("cgroup_sock_addr: getsockname6", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_INET6_GETSOCKNAME)),
    case("cgroup_sock_addr: getsockname_unix", |b, l| cgroup(b, l, P::CGROUP_SOCK_ADDR, A::CGROUP_UNIX_GETSOCKNAME)),
    case("cgroup_sysctl", |b, l| cgroup(b, l, P::CGROUP_SYSCTL, A::CGROUP_SYSCTL)),
    case("cgroup_sockopt: getsockopt", |b, l| cgroup(b, l, P::CGROUP_SOCKOPT, A::CGROUP_GETSOCKOPT)),
    case("cgroup_sockopt: setsockopt", |b, l| cgroup(b, l, P::CGROUP_SOCKOPT, A::CGROUP_SETSOCKOPT)),
    case("cgroup_device", |b, l| cgroup(b, l, P::CGROUP_DEVICE, A::CGROUP_DEVICE)),
    case("sock_ops", |b, l| cgroup(b, l, P::SOCK_OPS, A::CGROUP_SOCK_OPS)),
    case("lsm: cgroup", |bench, lab| {
        let lsm = Kindred::of(P::LSM, ONE).expecting(A::LSM_CGROUP).at("bpf_lsm_socket_bind", Kind::Func);
        let place = Place::Cgroup { directory: lab.cgroup.as_fd(), order: Order::default() };
        bench.live(&lsm, &place, triggers::sockets)
    }),
    case("tracepoint", |bench, _| {
        let (category, name) = ("syscalls".into(), "sys_enter_getppid".into());
        bench.live(
            &Kindred::of(P::TRACEPOINT, ZERO).own(),
            &Place::Tracepoint { category, name, cookie: 0 },
            triggers::getppid,
        )
    }),
    case("raw_tracepoint", |bench, _| {
        let place = Place::RawTracepoint { name: "sys_enter".into(), cookie: 0 };
        bench.live(&Kindred::of(P::RAW_TRACEPOINT, ZERO).own(), &place, triggers::getppid)
    }),
    case("raw_tracepoint_writable", |bench, _| {
        let xdp = Bench::new().load(&XDP)?;
        let place = Place::RawTracepoint { name: "bpf_test_finish".into(), cookie: 0 };
        bench.live(&Kindred::of(P::RAW_TRACEPOINT_WRITABLE, ZERO).own(), &place, || {
            drop(TestRun { data: &[0; 64], ..TestRun::default() }.run(xdp.as_fd()));
        })
    }),
    case("tracing: raw_tp (tp_btf)", |bench, _| {
        let tp = tracing(A::TRACE_RAW_TP, "btf_trace_sys_enter", Kind::Typedef);
        bench.live(&tp, &Place::Loaded { cookie: 0 }, triggers::getppid)
    }),
    case("tracing: fentry", |bench, _| {
        bench.live(&tracing(A::TRACE_FENTRY, SECURITY, Kind::Func), &Place::Loaded { cookie: 0 }, triggers::getpgid)
    }),
    case("tracing: fentry with a cookie", |bench, _| {
        bench.live(&tracing(A::TRACE_FENTRY, SECURITY, Kind::Func), &Place::Loaded { cookie: 7 }, triggers::getpgid)
    }),
    case("tracing: fentry, sleepable", |bench, _| {
        let sleepable = tracing(A::TRACE_FENTRY, GETPGID, Kind::Func).flagged(SLEEPABLE);
        bench.live(&sleepable, &Place::Loaded { cookie: 0 }, triggers::getpgid)
    }),
    case("tracing: fexit", |bench, _| {
        bench.live(&tracing(A::TRACE_FEXIT, SECURITY, Kind::Func), &Place::Loaded { cookie: 0 }, triggers::getpgid)
    }),
    case("tracing: fmod_ret", |bench, _| {
        bench.live(&tracing(A::MODIFY_RETURN, SECURITY, Kind::Func), &Place::Loaded { cookie: 0 }, triggers::getpgid)
    }),
    case("tracing: iter", iterator),
    case("lsm", |bench, _| {
        let lsm = Kindred { ty: P::LSM, ..tracing(A::LSM_MAC, "bpf_lsm_task_getpgid", Kind::Func) };
        bench.live(&lsm, &Place::Loaded { cookie: 0 }, triggers::getpgid)
    }),
    case("ext (freplace)", replacement),
    case("struct_ops: tcp_congestion_ops", struct_ops::congestion_control),
    case("kprobe", |bench, _| kprobe(bench, false)),
    case("kprobe: kretprobe", |bench, _| kprobe(bench, true)),
    case("kprobe: ksyscall", |bench, _| {
        bench.live(&PROBE, &Place::Ksyscall { name: "getppid".into(), ret: false }, triggers::getppid)
    }),
    case("kprobe: kprobe.multi", |bench, _| kprobes(bench, A::TRACE_KPROBE_MULTI, "*_sys_getppid", false)),
    case("kprobe: kretprobe.multi", |bench, _| kprobes(bench, A::TRACE_KPROBE_MULTI, GETPGID, true)),
    case("kprobe: kprobe.session", |bench, _| kprobes(bench, A::TRACE_KPROBE_SESSION, GETPGID, false)),
    case("kprobe: uprobe", |bench, _| uprobe(bench, false, 0)),
    case("kprobe: uprobe, sleepable", |bench, _| uprobe(bench, false, SLEEPABLE)),
    case("kprobe: uretprobe", |bench, _| uprobe(bench, true, 0)),
    case("kprobe: uprobe.multi", |bench, _| uprobes(bench, A::TRACE_UPROBE_MULTI, false)),
    case("kprobe: uretprobe.multi", |bench, _| uprobes(bench, A::TRACE_UPROBE_MULTI, true)),
    case("kprobe: uprobe.session", |bench, _| uprobes(bench, A::TRACE_UPROBE_SESSION, false)),
    case("kprobe: usdt", |bench, _| {
        let (provider, name) = ("alveary".into(), "probe".into());
        let place = Place::Usdt { path: ourselves(), provider, name, pid: None, cookie: 0, maps: None };
        bench.live(&PROBE, &place, triggers::probe)
    }),
    case("perf_event: clock", |bench, _| {
        let watched = Watched::Process(std::process::id());
        // The event counts for this thread, which is not the one that the process is named after.
        // SAFETY: it takes nothing.
        let thread = unsafe { libc::gettid() } as u32;
        let watched = if thread == std::process::id() { watched } else { Watched::Process(thread) };
        let place = Place::PerfEvent { event: PerfEvent::clock(1000), watched, cookie: 0 };
        bench.live(&Kindred::of(P::PERF_EVENT, ZERO), &place, triggers::work)
    }),
    case("lirc_mode2", |bench, _| {
        let program = bench.load(&Kindred::of(P::LIRC_MODE2, ZERO).expecting(A::LIRC_MODE2))?;
        let Ok(receiver) = File::open("/dev/lirc0") else {
            return Err(Refusal("loaded; there is no receiver to attach it to".into()));
        };
        let kindred = Kindred::of(P::LIRC_MODE2, ZERO);
        bench.live_with(&kindred, program.as_fd(), &Place::Lirc(receiver.as_fd()), || {})
    }),
];

const SECURITY: &str = "security_task_getpgid";
const GETPGID: &str = if cfg!(target_arch = "aarch64") { "__arm64_sys_getpgid" } else { "__x64_sys_getpgid" };

const fn tracing(expected: A, name: &'static str, kind: Kind) -> Kindred {
    Kindred::of(P::TRACING, ZERO).expecting(expected).at(name, kind).own()
}

fn xdp(bench: &Bench, lab: &Lab, mode: XdpMode) -> Steps {
    let place = Place::Xdp { device: lab.device.clone(), mode, replace: false };
    bench.live(&XDP, &place, || triggers::incoming(lab))
}

fn packets(lab: &Lab, direction: Direction) {
    match direction {
        Direction::Ingress => triggers::incoming(lab),
        Direction::Egress => triggers::outgoing(lab),
    }
}

fn tc(bench: &Bench, lab: &Lab, kindred: Kindred, direction: Direction) -> Steps {
    let place = Place::Tc { device: lab.device.clone(), direction, priority: 0, handle: 0, replace: false };
    bench.live(&kindred, &place, || packets(lab, direction))
}

fn tcx(bench: &Bench, lab: &Lab, kindred: Kindred, direction: Direction) -> Steps {
    let place = Place::Tcx { device: lab.device.clone(), direction, order: Order::default() };
    bench.live(&kindred, &place, || packets(lab, direction))
}

fn netkit(bench: &Bench, lab: &Lab, expected: A, side: Side) -> Steps {
    let program = CLS.expecting(expected);
    let loaded = bench.load(&program)?;
    let Some((device, _)) = &lab.netkit else {
        return Err(Refusal("no netkit devices (Linux 6.7, CONFIG_NETKIT)".into()));
    };
    let place = Place::Netkit { device: device.clone(), side, order: Order::default() };
    let both = || {
        triggers::send_to("10.9.2.77:9");
        triggers::neighbours(lab);
    };
    bench.live_with(&program, loaded.as_fd(), &place, both)
}

fn route(bench: &Bench, lab: &Lab, ty: P, tunnel: Tunnel, trigger: impl FnMut()) -> Steps {
    let destination = IpAddr::V4(Ipv4Addr::new(10, 9, 9, 0));
    let route = Route { destination, prefix: 24, device: lab.device.index, gateway: None, table: 0 };
    bench.live(&Kindred::of(ty, ZERO), &Place::Route { route, tunnel, replace: false }, trigger)
}

fn netfilter(bench: &Bench, family: Family) -> Steps {
    let program = Kindred::of(P::NETFILTER, ONE).expecting(A::NETFILTER);
    bench.live(&program, &Place::Netfilter { family, hook: 1, priority: 10, defragment: false }, triggers::sockets)
}

fn reuseport(bench: &Bench, expected: A) -> Steps {
    let program = Kindred::of(P::SK_REUSEPORT, ONE).expecting(expected);
    let group = triggers::group();
    let to = group.local_addr().expect("its address").to_string();
    bench.live(&program, &Place::Reuseport(group.as_fd()), || triggers::send_to(&to))
}

fn sockets_map(ty: MapType) -> Map {
    let map = MapCreate { map_type: ty.0, key_size: 4, value_size: 4, max_entries: 4, ..MapCreate::default() };
    map.create().expect("a map of sockets")
}

/// A connection with one end in the map: what it sends or gets goes through the programs there.
fn talk_through(map: &Map) {
    use std::io::Write;
    let Some((mut inside, mut outside)) = triggers::connected("127.0.0.1:0") else { return };
    map.update(&0u32.to_ne_bytes(), &(inside.as_raw_fd() as u32).to_ne_bytes(), 0).expect("a socket in the map");
    drop(inside.write_all(b"out"));
    drop(outside.read(&mut [0; 8]));
    drop(outside.write_all(b"in"));
    drop(inside.read(&mut [0; 8]));
    drop(map.delete(&0u32.to_ne_bytes()));
}

fn sockmap(bench: &Bench, kindred: Kindred, ty: MapType) -> Steps {
    let map = sockets_map(ty);
    bench.live(&kindred, &Place::Sockmap(map.as_fd()), || talk_through(&map))
}

/// A parser runs only beside a verdict.
fn stream_parser(bench: &Bench, _: &Lab) -> Steps {
    let map = sockets_map(MapType::SOCKMAP);
    let verdict = Kindred::of(P::SK_SKB, ONE).expecting(A::SK_SKB_STREAM_VERDICT);
    let other = Bench::new();
    let loaded = other.load(&verdict)?;
    let program = Program { fd: loaded.as_fd(), ty: P::SK_SKB, expected: verdict.expected, name: "verdict" };
    let _verdict = attach(program, &Place::Sockmap(map.as_fd())).map_err(|why| Refusal(reason(&why)))?;
    let parser = Kindred::of(P::SK_SKB, "r0 = *(u32 *)(r6 + 0)").expecting(A::SK_SKB_STREAM_PARSER);
    bench.live(&parser, &Place::Sockmap(map.as_fd()), || talk_through(&map))
}

fn cgroup(bench: &Bench, lab: &Lab, ty: P, expected: A) -> Steps {
    let place = Place::Cgroup { directory: lab.cgroup.as_fd(), order: Order::default() };
    bench.live(&Kindred::of(ty, ONE).expecting(expected), &place, triggers::sockets)
}

/// An iterator runs when its file is read.
fn iterator(bench: &Bench, _: &Lab) -> Steps {
    let kindred = Kindred { own: false, ..tracing(A::TRACE_ITER, "bpf_iter_bpf_map", Kind::Func) };
    let loaded = bench.load(&kindred)?;
    let program = Program { fd: loaded.as_fd(), ty: P::TRACING, expected: kindred.expected, name: "iter" };
    let link = attach(program, &Place::Iter(IterTarget::All)).map_err(|why| Refusal(reason(&why)))?;
    let open = || link.fds().next().and_then(|fd| sys::iter_create(fd).ok());
    let read = |file: Option<OwnedFd>| {
        let mut file = File::from(file.expect("an iterator's file"));
        drop(file.read_to_string(&mut String::new()));
    };
    let file = open();
    let descriptor = link.fds().next().and_then(|fd| fd.try_clone_to_owned().ok()).expect("a link");
    let mut first = Some(file);
    let steps = bench.watch(link, || {
        if let Some(file) = first.take() {
            read(file);
        }
    });
    // The link lives by our own descriptor: its files can still be made, by whoever holds it.
    if steps.is_ok() && sys::iter_create(descriptor.as_fd()).is_err() {
        return Err(Refusal(format!("{BROKEN}: a held link makes no files")));
    }
    steps
}

/// A function of an XDP program of ours is replaced.
fn replacement(bench: &Bench, _: &Lab) -> Steps {
    let mut types = Builder::new(Endian::HOST);
    let int = types.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let ctx = types.add(&New::Struct { name: "xdp_md", size: 0, members: &[] });
    let pointer = types.add(&New::Ptr(ctx));
    let proto = types.add(&New::FuncProto { ret: int, params: &[Param { name: "ctx", ty: pointer }] });
    let main = types.add(&New::Func { name: "main", proto, linkage: Linkage::Global });
    let inner = types.add(&New::Func { name: "replaced", proto, linkage: Linkage::Global });
    let bytes = types.write();
    let load = || BtfLoad { bytes: &bytes, token: None }.load();
    let btf = load().map_err(|error| Refusal(format!("BTF: {}", error.errno())))?;
    let outer = alveary_testing::code("call inner\nexit\ninner: r0 = 2\nexit", |_, name| panic!("no {name}"));
    let funcs = [alveary_btf::FuncInfo { insn: 0, ty: main }, alveary_btf::FuncInfo { insn: 2, ty: inner }];
    let target = ProgLoad { btf: Some(btf.as_fd()), funcs: &funcs, license: c"GPL", ..ProgLoad::new(P::XDP, &outer) };
    let target = target.load().map_err(|error| Refusal(format!("load: {error}")))?.fd;
    let code = bench.code(&Kindred::of(P::EXT, PASS));
    let replacing = ProgLoad {
        btf: Some(btf.as_fd()),
        funcs: &funcs[1..].iter().map(|_| alveary_btf::FuncInfo { insn: 0, ty: inner }).collect::<Vec<_>>(),
        license: c"GPL",
        attach_btf_id: inner,
        attach_to: Some(target.as_fd()),
        ..ProgLoad::new(P::EXT, &code)
    };
    let kindred = Kindred::of(P::EXT, PASS);
    let loaded = replacing.load().map_err(|error| Refusal(refusal(&kindred, error.errno())))?.fd;
    let place = Place::Replace { target: target.as_fd(), function: TypeId::VOID };
    bench.live_with(&kindred, loaded.as_fd(), &place, || {
        drop(TestRun { data: &[0; 64], ..TestRun::default() }.run(target.as_fd()));
    })
}

fn kprobe(bench: &Bench, ret: bool) -> Steps {
    let place = Place::Kprobe { function: GETPGID.into(), offset: 0, ret, cookie: 0 };
    bench.live(&PROBE, &place, triggers::getpgid)
}

fn kprobes(bench: &Bench, expected: A, pattern: &str, ret: bool) -> Steps {
    let trigger = || {
        triggers::getpgid();
        triggers::getppid();
    };
    bench.live(&PROBE.expecting(expected), &Place::Kprobes { pattern: pattern.into(), ret }, trigger)
}

fn ourselves() -> PathBuf {
    std::env::current_exe().expect("this program")
}

fn uprobe(bench: &Bench, ret: bool, flags: u32) -> Steps {
    let function = "alveary_probed_function".into();
    let place = Place::Uprobe { path: ourselves(), function, offset: 0, ret, pid: None, cookie: 0 };
    bench.live(&PROBE.flagged(flags), &place, triggers::functions)
}

fn uprobes(bench: &Bench, expected: A, ret: bool) -> Steps {
    let place = Place::Uprobes { path: ourselves(), pattern: "alveary_*_function".into(), ret, pid: None };
    bench.live(&PROBE.expecting(expected), &place, triggers::functions)
}
