//! Packets in batches: the same as one by one, on every engine.

use alveary::{MapHandle, Object, Packet, User, runtime::Engine};
use std::ops::ControlFlow;

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// What a program makes of packets: verdicts, bytes and, in the end, its map.
fn run(engine: Engine, batched: bool) -> (Vec<(i32, Vec<u8>)>, Entries) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/count.bpf.o");
    let target = User::builder().engine(engine).build();
    let loaded = Object::open(path).expect("an object").load(target).expect("it loads");
    let mut cpu = loaded.target().vcpu(0).expect("CPU 0");
    let data: Vec<Vec<u8>> = (0..1_500_u32)
        .map(|n| {
            let mut packet = vec![0; 60 + n as usize % 40];
            packet[12..14].copy_from_slice(&[8, if n % 3 == 0 { 0 } else { 6 }]);
            packet[14..34].copy_from_slice(&[
                0x45,
                0,
                0,
                46,
                0,
                0,
                0,
                0,
                64,
                17,
                0,
                0,
                10,
                0,
                0,
                (n % 5) as u8,
                10,
                0,
                0,
                2,
            ]);
            packet
        })
        .collect();
    let packets = data.iter().zip(1..).map(|(data, time)| Packet { data, time, ..Packet::default() });
    let mut ends = Vec::new();
    {
        let mut ready = loaded.program("count").expect("there").packets(&mut cpu).expect("XDP");
        if batched {
            ready.run_batch(packets, |_, verdict| {
                let verdict = verdict.expect("no trap");
                ends.push((verdict.code(), verdict.bytes()));
                ControlFlow::Continue(())
            });
        } else {
            for packet in packets {
                let verdict = ready.run(&packet).expect("no trap");
                ends.push((verdict.code(), verdict.bytes()));
            }
        }
    }
    let mut entries = loaded.map("kinds").expect("there").entries().expect("an array");
    entries.extend(loaded.map("services").expect("there").entries().expect("a hash"));
    entries.sort();
    (ends, entries)
}

#[test]
fn a_batch_gives_what_single_packets_give() {
    let expected = run(Engine::Interp, false);
    assert_eq!(expected.0.len(), 1_500);
    for engine in [Engine::Interp, Engine::Auto, Engine::Jit] {
        if engine == Engine::Jit && !cfg!(target_arch = "x86_64") {
            continue;
        }
        assert!(run(engine, true) == expected, "{engine:?}");
        assert!(run(engine, false) == expected, "{engine:?}");
    }
}

#[test]
fn a_batch_ends_when_asked() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/count.bpf.o");
    let loaded = Object::open(path).expect("an object").load(User::builder().build()).expect("it loads");
    let mut cpu = loaded.target().vcpu(0).expect("CPU 0");
    let mut seen = 0;
    let packets = std::iter::repeat_n(Packet { data: &[0; 64], ..Packet::default() }, 10);
    loaded.program("count").expect("there").packets(&mut cpu).expect("XDP").run_batch(packets, |_, _| {
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(seen, 3);
}
