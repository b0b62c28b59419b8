//! What becomes of packets beyond what BPF_PROG_TEST_RUN shows: verdicts, redirections, copies, events, reuse.

use alveary_abi::{Helper, HelperId, MapDef, MapType, Profile, ProgType, Proto};
use alveary_isa::{Inst, asm::assemble, encode};
use alveary_net::{Host, Net, Redirect, SkBuff, Skb, Start, Verdict, Way, Xdp, XdpBuff};
use alveary_runtime::{AnyFamily, Args, Cx, Family, LoadedMap, Prog, Runtime, World};
use alveary_spec::{Kernel, MapSpec, Program};
use std::rc::Rc;
use std::slice::from_ref;
use std::sync::Arc;

fn runtime_with(net: Net) -> Arc<Runtime> {
    let kernel = Kernel::of(Profile::linux_6_18());
    let net = Arc::new(net);
    Runtime::builder(kernel, World::repeatable()).family::<Xdp>(net.clone()).family::<Skb>(net).build()
}

fn runtime() -> Arc<Runtime> {
    runtime_with(Net::default())
}

fn load(runtime: &Runtime, ty: ProgType, text: &str, maps: &[LoadedMap]) -> Arc<Prog> {
    let profile = Profile::linux_6_18();
    let number = |name: &str| profile.helper_named(name.strip_prefix("bpf_")?).map(|h| h.id.0 as i32);
    let (assembly, errors) = assemble(text, &number);
    assert!(errors.is_empty(), "{errors:?}");
    let mut insns = assembly.sections[0].insns.clone();
    for reference in &assembly.sections[0].references {
        let at = reference.slot as usize;
        let dst = insns[at].dst;
        insns[at..at + 2].copy_from_slice(&encode(&Inst::MapIdx { dst, idx: 0 }));
    }
    let program = Program {
        name: "packets".into(),
        section: "test".into(),
        ty,
        insns,
        subprogs: vec![(0, "packets".into())],
        license: "GPL".into(),
        ..Program::default()
    };
    runtime.load_unverified(Arc::new(program), maps.to_vec()).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

fn map(runtime: &Runtime, ty: MapType, max_entries: u32) -> LoadedMap {
    let def = MapDef { ty, key_size: 4, value_size: 4, max_entries, flags: 0, extra: 0, special: vec![] };
    let spec = MapSpec::new("tx_port", def, ".maps");
    runtime.create_map(&spec).expect("a map")
}

fn xdp(runtime: &Arc<Runtime>, text: &str, maps: &[LoadedMap], packet: &[u8]) -> (Verdict, XdpBuff) {
    let prog = load(runtime, ProgType::XDP, text, maps);
    let mut buff = XdpBuff::new();
    buff.set(packet);
    let ran = runtime.vcpu(0).expect("CPU 0").run::<Xdp>(&prog, &buff).expect("no trap");
    (buff.verdict(&runtime.kernel().profile, ran.value), buff)
}

fn tc(runtime: &Arc<Runtime>, text: &str, maps: &[LoadedMap], packet: &[u8]) -> (Verdict, SkBuff) {
    let prog = load(runtime, ProgType::SCHED_CLS, text, maps);
    let mut buff = SkBuff::new();
    buff.set(packet, Start::Link);
    let ran = runtime.vcpu(0).expect("CPU 0").run::<Skb>(&prog, &buff).expect("no trap");
    (buff.verdict(&runtime.kernel().profile, ProgType::SCHED_CLS, ran.value), buff)
}

const PACKET: [u8; 60] = [0x11; 60];

#[test]
fn verdicts_have_names() {
    let runtime = runtime();
    assert_eq!(xdp(&runtime, "r0 = 1\nexit\n", &[], &PACKET).0.name, Some("XDP_DROP"));
    assert_eq!(tc(&runtime, "r0 = -1\nexit\n", &[], &PACKET).0.name, Some("TC_ACT_UNSPEC"));
    let odd = xdp(&runtime, "r0 = 77\nexit\n", &[], &PACKET).0;
    assert_eq!((odd.code, odd.name), (77, None));
}

#[test]
fn a_redirection_says_where_the_packet_goes() {
    let runtime = runtime();
    let (verdict, _) = xdp(&runtime, "r1 = 3\nr2 = 0\ncall bpf_redirect\nexit\n", &[], &PACKET);
    assert_eq!(verdict.redirect, Some(Redirect::Device { ifindex: 3, way: Way::Egress }));
    let unused = xdp(&runtime, "r1 = 3\nr2 = 0\ncall bpf_redirect\nr0 = 2\nexit\n", &[], &PACKET).0;
    assert_eq!(unused.redirect, None, "XDP_PASS goes nowhere");
    for (helper, flags, way) in [("redirect", 1, Way::Ingress), ("redirect_peer", 0, Way::Peer)] {
        let (verdict, _) = tc(&runtime, &format!("r1 = 3\nr2 = {flags}\ncall bpf_{helper}\nexit\n"), &[], &PACKET);
        assert_eq!(verdict.name, Some("TC_ACT_REDIRECT"));
        assert_eq!(verdict.redirect, Some(Redirect::Device { ifindex: 3, way }));
    }
}

#[test]
fn a_redirection_through_a_map_says_what_the_entry_holds() {
    let runtime = runtime();
    let devices = map(&runtime, MapType::DEVMAP, 4);
    devices.map.write(&2u32.to_ne_bytes(), &9u32.to_ne_bytes(), 0).expect("an entry");
    let text = |key: u32, flags: u32| format!("r1 = m ll\nr2 = {key}\nr3 = {flags}\ncall bpf_redirect_map\nexit\n");
    let to = |key, flags| xdp(&runtime, &text(key, flags), from_ref(&devices), &PACKET).0;
    let redirect = |key, value, exclude_ingress| {
        Some(Redirect::Map { map: "tx_port".into(), ty: MapType::DEVMAP, key, value, exclude_ingress })
    };
    assert_eq!(to(2, 0).redirect, redirect(2, Some(9), false));
    assert_eq!(to(0, 24).redirect, redirect(0, None, true), "broadcast goes to all");
    let missing = to(1, 2);
    assert_eq!((missing.name, missing.redirect), (Some("XDP_PASS"), None));
}

#[test]
fn copies_are_kept_and_need_a_device() {
    struct Two;
    impl Host for Two {
        fn has_device(&self, ifindex: u32) -> bool {
            ifindex == 2
        }
    }
    let runtime = runtime_with(Net::new(Two));
    let clone = |ifindex| format!("r2 = {ifindex}\nr3 = 0\ncall bpf_clone_redirect\nexit\n");
    let (verdict, buff) = tc(&runtime, &clone(2), &[], &PACKET);
    assert_eq!(verdict.code, 0);
    let copies = buff.copies();
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].to, Redirect::Device { ifindex: 2, way: Way::Egress });
    assert_eq!(copies[0].bytes, PACKET);
    assert_eq!(tc(&runtime, &clone(3), &[], &PACKET).0.code, -22);
}

#[test]
fn events_carry_the_packets_first_bytes() {
    let runtime = runtime();
    let events = map(&runtime, MapType::PERF_EVENT_ARRAY, 1);
    let text = "r6 = r1\n*(u32 *)(r10 - 4) = 0x01020304\nr2 = m ll\nr3 = 0x6ffffffff ll\nr4 = r10\nr4 += -4\nr5 = 4\n\
                call bpf_perf_event_output\nexit\n";
    for run in [0, 1] {
        let code = if run == 0 {
            xdp(&runtime, text, from_ref(&events), &PACKET).0.code
        } else {
            tc(&runtime, text, from_ref(&events), &PACKET).0.code
        };
        assert_eq!(code, 0);
        let mut seen = Vec::new();
        events.map.streams().expect("a stream").drain(&mut |event| seen.push(event.data.to_vec()));
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0][..4], 0x0102_0304u32.to_ne_bytes());
        assert_eq!(seen[0][4..10], PACKET[..6]);
    }
    let too_long = text.replace("0x6ffffffff", "0x3dffffffff");
    assert_eq!(xdp(&runtime, &too_long, &[events], &PACKET).0.code, -14);
}

#[test]
fn a_tag_beside_the_packet_is_on_the_wire() {
    let (_, buff) = tc(&runtime(), "r2 = 129\nr3 = 5\ncall bpf_skb_vlan_push\nexit\n", &[], &PACKET);
    assert_eq!(buff.to_vec(), PACKET, "the program does not see it");
    let wire = buff.to_wire();
    assert_eq!(wire.len(), 64);
    assert_eq!(wire[12..16], [0x81, 0, 0, 5]);
}

#[test]
fn a_packet_sees_nothing_of_the_one_before() {
    let runtime = runtime();
    // Writes into the headroom, then shows what is there.
    let text = "r6 = r1\nr2 = -8\ncall bpf_xdp_adjust_head\nr2 = *(u32 *)(r6 + 0)\nr0 = *(u64 *)(r2 + 0)\n\
                *(u64 *)(r2 + 0) = -1\nexit\n";
    let prog = load(&runtime, ProgType::XDP, text, &[]);
    let mut buff = XdpBuff::new();
    let mut cpu = runtime.vcpu(0).expect("CPU 0");
    let mut batch = cpu.batch::<Xdp>(&prog).expect("a batch");
    for _ in 0..2 {
        buff.set(&PACKET);
        assert_eq!(batch.run(&buff).expect("no trap").value, 0);
        assert_eq!(buff.len(), 68);
    }
}

#[test]
fn the_flow_hash_is_the_same_for_both_directions() {
    let runtime = runtime();
    let mut forth = vec![0; 12];
    forth.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1, 0, 2, 0, 0, 8, 0, 0]);
    let mut back = forth.clone();
    back[26..30].copy_from_slice(&forth[30..34]);
    back[30..34].copy_from_slice(&forth[26..30]);
    back[34..36].copy_from_slice(&forth[36..38]);
    back[36..38].copy_from_slice(&forth[34..36]);
    let mut other = forth.clone();
    other[34] ^= 1;
    let hash = |packet: &[u8]| {
        tc(&runtime, "r6 = r1\ncall bpf_get_hash_recalc\nr0 = *(u32 *)(r6 + 68)\nexit\n", &[], packet).0.code
    };
    assert_ne!(hash(&forth), 0);
    assert_eq!(hash(&forth), hash(&back));
    assert_ne!(hash(&forth), hash(&other));
}

#[test]
fn packet_bounds_hold() {
    let runtime = runtime();
    let read = |off: i32| format!("r2 = *(u32 *)(r1 + 0)\nr0 = *(u8 *)(r2 + {off})\nexit\n");
    assert_eq!(xdp(&runtime, &read(59), &[], &PACKET).0.code, 0x11);
    for off in [60, -1] {
        let prog = load(&runtime, ProgType::XDP, &read(off), &[]);
        let mut buff = XdpBuff::new();
        buff.set(&PACKET);
        let d = runtime.vcpu(0).expect("CPU 0").run::<Xdp>(&prog, &buff).expect_err("outside");
        assert_eq!(d.code.0, "trap-load", "{off}");
    }
    let stores = "*(u32 *)(r1 + 0) = 1\nr0 = 0\nexit\n";
    let prog = load(&runtime, ProgType::XDP, stores, &[]);
    let d = runtime.vcpu(0).expect("CPU 0").run::<Xdp>(&prog, &XdpBuff::new()).expect_err("`data` is read-only");
    assert_eq!(d.code.0, "trap-store");
}

/// A body is bound to the prototype that the family's types have, or no program could call it.
#[test]
fn every_bound_helper_can_be_called() {
    let runtime = runtime();
    let profile = &runtime.kernel().profile;
    let types = Xdp::TYPES.iter().chain(Skb::TYPES);
    for ty in types {
        for row in profile.tables().helpers.iter() {
            let callable = row.proto(*ty, None, profile.version).is_some();
            if callable && runtime.has_helper(*ty, row.id) {
                load(&runtime, *ty, &format!("call {}\nexit\n", row.id.0), &[]);
            }
        }
    }
    assert!(!runtime.has_helper(ProgType::XDP, HelperId::FIB_LOOKUP), "it is refused by name");
}

/// Every field that the layout has for these types stands somewhere.
#[test]
fn every_context_field_has_a_backing() {
    let profile = Profile::linux_6_18();
    let all = [(Xdp::TYPES, Xdp::backings()), (Skb::TYPES, Skb::backings())];
    for (types, backings) in all {
        for ty in types {
            let layout = profile.prog_type(*ty).and_then(|row| row.ctx).expect("a layout");
            for field in layout.fields {
                if field.access(*ty, None, profile.version).is_some() {
                    assert!(backings.iter().any(|b| b.field == field.name), "{}.{}", layout.name, field.name);
                }
            }
        }
    }
}

#[test]
fn a_packet_that_grows_under_a_run_leaves_that_run_its_memory() {
    // An embedder's helper runs another program on the same packet: it grows, and the outer run knows nothing of it.
    // What the outer program then touched had been freed.
    thread_local! {
        static PACKET: Rc<SkBuff> = Rc::new({
            let mut buff = SkBuff::new();
            buff.set(&[7; 64], Start::Link);
            buff
        });
    }
    static ROW: Helper = Helper::new(HelperId(HelperId::FIRST_OWN.0 + 9), "grow").protos(&[Proto::takes(&[])]);
    let inner = runtime();
    let grow = "r6 = r1\nr2 = 9000\nr3 = 0\ncall bpf_skb_change_tail\nr1 = r6\nr2 = 5000\nr3 = 0\n\
                call bpf_skb_change_head\nexit\n";
    let prog = load(&inner, ProgType::SCHED_CLS, grow, &[]);
    let kernel = Kernel::of(Profile::linux_6_18());
    let body = move |_: &Cx<'_, AnyFamily>, _: &Args<'_>| {
        PACKET.with(|packet| inner.vcpu(0).expect("CPU 0").run::<Skb>(&prog, packet).expect("no trap").value as i64)
    };
    let outer = Runtime::builder(kernel, World::repeatable())
        .family::<Skb>(Arc::new(Net::default()))
        .helper_fn::<AnyFamily>(&ROW, body)
        .build();
    let text = format!(
        "r6 = *(u32 *)(r1 + 76)\nr7 = *(u32 *)(r1 + 80)\nr8 = r6\nr8 += 14\nif r8 > r7 goto out\ncall {}\n\
         r9 = *(u8 *)(r6 + 0)\n*(u8 *)(r6 + 1) = 1\nout: r0 = r9\nexit\n",
        ROW.id.0
    );
    let prog = load(&outer, ProgType::SCHED_CLS, &text, &[]);
    let ran = PACKET.with(|packet| outer.vcpu(0).expect("CPU 0").run::<Skb>(&prog, packet));
    assert_eq!(ran.map(|ran| ran.value).map_err(|d| d.to_string()), Ok(7));
    PACKET.with(|packet| assert_eq!((packet.len(), packet.to_vec()[0], packet.to_vec()[5000]), (14_000, 0, 7)));
}

#[test]
fn a_packet_made_longer_and_shorter_for_ever_keeps_its_bytes() {
    let runtime = runtime();
    let text = "r6 = r1\nr7 = 2000\nagain:\nr1 = r6\nr2 = 9000\nr3 = 0\ncall bpf_skb_change_head\n\
                r1 = r6\nr2 = -4000\nr3 = 1\nr4 = 0\ncall bpf_skb_adjust_room\nr1 = r6\nr2 = -4000\nr3 = 1\nr4 = 0\n\
                call bpf_skb_adjust_room\nr1 = r6\nr2 = 64\nr3 = 0\ncall bpf_skb_change_tail\n\
                r1 = r6\nr2 = 9000\nr3 = 0\ncall bpf_skb_change_tail\nr1 = r6\nr2 = 64\nr3 = 0\n\
                call bpf_skb_change_tail\nr7 += -1\nif r7 != 0 goto again\nr0 = 0\nexit\n";
    let mut packet = [0; 64];
    packet[12..15].copy_from_slice(&[8, 0, 0x45]);
    let (_, buff) = tc(&runtime, text, &[], &packet);
    assert_eq!(buff.len(), buff.to_vec().len());
    let debug = format!("{buff:?}");
    let bytes = debug.split("Memory(").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|n| n.parse().ok());
    assert!(bytes.is_some_and(|bytes: usize| bytes < 1 << 18), "{bytes:?} bytes");
}

#[test]
fn room_before_a_packet_without_its_link_header_moves_both() {
    let runtime = runtime();
    for len in [257, 262, 270, 271, 300] {
        let text = format!("r2 = {len}\nr3 = 1\nr4 = 0\ncall bpf_skb_adjust_room\nexit\n");
        let prog = load(&runtime, ProgType::SCHED_CLS, &text, &[]);
        let mut packet: Vec<u8> = (0..64).collect();
        packet[12..15].copy_from_slice(&[8, 0, 0x45]);
        let mut buff = SkBuff::new();
        buff.set(&packet, Start::Network);
        let ran = runtime.vcpu(0).expect("CPU 0").run::<Skb>(&prog, &buff).expect("no trap");
        assert_eq!(ran.value as i64, 0);
        assert_eq!(buff.len(), 50 + len);
    }
}

#[test]
fn copies_and_tags_are_bounded() {
    let runtime = runtime();
    let endless = |call: &str| {
        format!("r6 = r1\nr7 = 6000\nagain:\nr1 = r6\n{call}\nr7 += -1\nif r7 != 0 goto again\nr0 = 0\nexit\n")
    };
    let (_, buff) = tc(&runtime, &endless("r2 = 1\nr3 = 0\ncall bpf_clone_redirect"), &[], &[0; 64]);
    assert_eq!(buff.copies().len(), 1024);
    let (_, buff) = tc(&runtime, &endless("r2 = 0\nr3 = 1\ncall bpf_skb_vlan_push"), &[], &[0; 64]);
    assert!(buff.len() <= 4 * 4096, "{} bytes", buff.len());
}

#[test]
fn load_bytes_gives_long_pieces_whole() {
    let runtime = runtime();
    let text = "r6 = r1\nr2 = 10\nr3 = r10\nr3 += -152\nr4 = 150\ncall bpf_skb_load_bytes\nif r0 != 0 goto out\n\
                r0 = *(u8 *)(r10 - 152)\nr1 = *(u8 *)(r10 - 88)\nr0 <<= 8\nr0 |= r1\nr1 = *(u8 *)(r10 - 3)\n\
                r0 <<= 8\nr0 |= r1\nout:\nexit\n";
    let prog = load(&runtime, ProgType::SCHED_CLS, text, &[]);
    let packet: Vec<u8> = (0..200).collect();
    let mut buff = SkBuff::new();
    buff.set(&packet, Start::Link);
    let ran = runtime.vcpu(0).expect("CPU 0").run::<Skb>(&prog, &buff).expect("it runs");
    assert_eq!(ran.value.to_be_bytes()[5..], [10, 74, 159]);
}
