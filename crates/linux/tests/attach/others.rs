//! Programs that are there already.

use super::{
    bench::{Bench, Kindred},
    lab::{Lab, becomes},
};
use alveary_abi::{AttachType as A, ProgType as P};
use alveary_linux::{
    attach::{Direction, Link, Place, Program, attach},
    sys::{self, Object, Order, ProgParts},
};
use alveary_spec::XdpMode;
use std::os::fd::{AsFd, OwnedFd};

const XDP: Kindred = Kindred::of(P::XDP, "r0 = 2").expecting(A::XDP);

fn loaded(kindred: &Kindred) -> OwnedFd {
    Bench::new().load(kindred).map_err(|refusal| refusal.to_string()).expect("a program")
}

fn program<'a>(fd: &'a OwnedFd, kindred: &Kindred, name: &'a str) -> Program<'a> {
    Program { fd: fd.as_fd(), ty: kindred.ty, expected: kindred.expected, name }
}

fn id(fd: &OwnedFd) -> u32 {
    sys::prog_info(fd.as_fd(), ProgParts::default()).expect("a program").id
}

#[test]
fn another_xdp_program_is_named_with_its_owner() {
    if !alveary_testing::bpf::permitted("another_xdp_program_is_named_with_its_owner") {
        return;
    }
    let lab = Lab::new();
    let place = |mode, replace| Place::Xdp { device: lab.device.clone(), mode, replace };
    let (first, second) = (loaded(&XDP), loaded(&XDP));
    let held = attach(program(&first, &XDP, "first"), &place(XdpMode::Native, false)).expect("the first");
    let why = attach(program(&second, &XDP, "second"), &place(XdpMode::Any, false)).expect_err("occupied");
    let text = format!("{why:?}");
    assert!(text.contains(&format!("id {}", id(&first))), "{text}");
    assert!(text.contains(&format!("({})", std::process::id())), "names this process: {text}");
    assert!(text.contains("--replace"), "{text}");

    let taken = attach(program(&second, &XDP, "second"), &place(XdpMode::Native, true)).expect("it takes over");
    assert!(taken.notes().iter().any(|note| note.contains("took the place")), "{:?}", taken.notes());
    assert_eq!(alveary_linux::netlink::device_xdp(lab.device.index).progs[0].1, id(&second));
    drop(held);
    assert_eq!(alveary_linux::netlink::device_xdp(lab.device.index).progs.len(), 1, "the old link has nothing to undo");
    drop(taken);
    assert_eq!(alveary_linux::netlink::device_xdp(lab.device.index).progs, []);
}

#[test]
fn a_link_swaps_its_program() {
    if !alveary_testing::bpf::permitted("a_link_swaps_its_program") {
        return;
    }
    let lab = Lab::new();
    let (first, second) = (loaded(&XDP), loaded(&XDP));
    let place = Place::Xdp { device: lab.device.clone(), mode: XdpMode::Native, replace: false };
    let mut link: Link = attach(program(&first, &XDP, "first"), &place).expect("the first");
    link.replace(program(&second, &XDP, "second")).expect("the second");
    assert_eq!(alveary_linux::netlink::device_xdp(lab.device.index).progs[0].1, id(&second));
}

#[test]
fn filters_of_others_stay_and_are_named() {
    if !alveary_testing::bpf::permitted("filters_of_others_stay_and_are_named") {
        return;
    }
    let lab = Lab::new();
    let cls = Kindred::of(P::SCHED_CLS, "r0 = 0");
    let (first, second) = (loaded(&cls), loaded(&cls));
    let (device, direction) = (lab.device.clone(), Direction::Ingress);
    let place = Place::Tc { device, direction, priority: 5, handle: 1, replace: false };
    let held = attach(program(&first, &cls, "first"), &place).expect("the first");
    let why = attach(program(&second, &cls, "second"), &place).expect_err("the place is taken");
    let why = format!("{why:?}");
    assert!(why.contains(&format!("id {}", id(&first))), "{why}");
    let (device, direction) = (lab.device.clone(), Direction::Ingress);
    let behind = Place::Tc { device, direction, priority: 9, handle: 1, replace: false };
    let other = attach(program(&second, &cls, "second"), &behind).expect("another priority");
    assert!(other.notes().iter().any(|note| note.contains("runs before it")), "{:?}", other.notes());
    let running = || alveary_linux::netlink::filters(lab.device.index, alveary_linux::netlink::Parent::Ingress);
    assert_eq!(running().iter().map(|filter| filter.prog).collect::<Vec<_>>(), [id(&first), id(&second)]);
    drop(held);
    assert_eq!(running().len(), 1, "clsact stays while somebody uses it");
    drop(other);
    assert_eq!(running().len(), 0);
}

#[test]
fn tcx_says_who_runs_before() {
    if !alveary_testing::bpf::permitted("tcx_says_who_runs_before") {
        return;
    }
    let lab = Lab::new();
    let cls = Kindred::of(P::SCHED_CLS, "r0 = 0").expecting(A::TCX_INGRESS);
    let (first, second) = (loaded(&cls), loaded(&cls));
    let place = |order| Place::Tcx { device: lab.device.clone(), direction: Direction::Ingress, order };
    let Ok(_held) = attach(program(&first, &cls, "first"), &place(Order::default())) else {
        eprintln!("SKIP tcx_says_who_runs_before: this kernel has no tcx");
        return;
    };
    let last = attach(program(&second, &cls, "second"), &place(Order::default())).expect("the second");
    assert!(last.notes().iter().any(|note| note.contains("runs before it")), "{:?}", last.notes());
    drop(last);
    let at_start = Order { before: true, ..Order::default() };
    let first_now = attach(program(&second, &cls, "second"), &place(at_start)).expect("the second");
    assert!(first_now.notes().iter().any(|note| note.contains("runs behind it")), "{:?}", first_now.notes());
}

#[test]
fn a_pinned_link_stays_and_its_removal_detaches() {
    if !alveary_testing::bpf::permitted("a_pinned_link_stays_and_its_removal_detaches") {
        return;
    }
    let lab = Lab::new();
    let fd = loaded(&XDP);
    let place = Place::Xdp { device: lab.device.clone(), mode: XdpMode::Native, replace: false };
    let path = std::path::PathBuf::from(format!("/sys/fs/bpf/alveary-test-{}", std::process::id()));
    let link = attach(program(&fd, &XDP, "pinned"), &place).expect("a link");
    link.pin(&path).expect("a pin");
    let there = alveary_linux::netlink::device_xdp(lab.device.index).progs;
    let opened = sys::obj_get(&path, sys::PathFlags::default()).map(drop);
    std::fs::remove_file(&path).expect("the pin");
    assert_eq!(there.len(), 1, "it stays");
    assert!(opened.is_ok());
    // The kernel lets go of it a little later.
    let gone = || alveary_linux::netlink::device_xdp(lab.device.index).progs.is_empty();
    assert!(becomes(gone), "it goes with its file");
    assert!(sys::ids(Object::Prog).map_while(Result::ok).any(|prog| prog == id(&fd)));
}

#[test]
fn a_program_of_another_type_is_refused_before_the_kernel_is_asked() {
    if !alveary_testing::bpf::permitted("a_program_of_another_type_is_refused_before_the_kernel_is_asked") {
        return;
    }
    let fd = loaded(&XDP);
    let place = Place::RawTracepoint { name: "sys_enter".into(), cookie: 0 };
    let why = attach(program(&fd, &XDP, "filter"), &place).expect_err("an XDP program").to_string();
    assert!(why.contains("raw_tracepoint") && why.contains("xdp"), "{why}");
}
