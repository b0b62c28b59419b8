//! ns per packet of small programs, checked, on one virtual CPU: taking the packet in, running, reading the verdict.
//!
//! `cargo bench -p alveary-net`

use alveary_abi::{Profile, ProgType};
use alveary_isa::{Insn, asm::assemble};
use alveary_net::{Net, SkBuff, Skb, Start, Xdp, XdpBuff};
use alveary_runtime::{Prog, Runtime, World};
use alveary_spec::{Kernel, Program};
use std::{hint::black_box, sync::Arc, time::Instant};

const PACKETS: u32 = 2_000_000;
const PASSES: usize = 5;

fn insns(text: &str) -> Vec<Insn> {
    let profile = Profile::linux_6_18();
    let number = |name: &str| profile.helper_named(name.strip_prefix("bpf_")?).map(|h| h.id.0 as i32);
    let (assembly, errors) = assemble(text, &number);
    assert!(errors.is_empty(), "{errors:?}");
    assembly.into_raw().expect("one section")
}

fn load(runtime: &Runtime, ty: ProgType, text: &str) -> Arc<Prog> {
    let program = Program {
        name: "bench".into(),
        section: "bench".into(),
        ty,
        insns: insns(text),
        subprogs: vec![(0, "bench".into())],
        license: "GPL".into(),
        ..Program::default()
    };
    runtime.load_unverified(Arc::new(program), vec![]).expect("it loads")
}

/// The fastest pass, in ns per packet.
fn fastest(mut pass: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..PASSES {
        let start = Instant::now();
        pass();
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(PACKETS));
    }
    best
}

fn main() {
    let kernel = Kernel::of(Profile::linux_6_18());
    let net = Arc::new(Net::default());
    let runtime = Runtime::builder(kernel, World::repeatable()).family::<Xdp>(net.clone()).family::<Skb>(net).build();
    let packet = [0x5au8; 64];
    let mut cpu = runtime.vcpu(0).expect("CPU 0");

    let parse = "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr0 = 2\nr4 = r2\nr4 += 34\nif r4 > r3 goto out\n\
                 r5 = *(u16 *)(r2 + 12)\nr0 = 1\nif r5 != 8 goto out\nr5 = *(u8 *)(r2 + 23)\nr0 = 2\n\
                 if r5 == 6 goto out\nr0 = 1\nout: exit\n";
    let helper = "r2 = 0\ncall bpf_xdp_adjust_head\nr0 = 2\nexit\n";
    for (name, text) in
        [("xdp, one instruction", "r0 = 2\nexit\n"), ("xdp, parse", parse), ("xdp, adjust_head", helper)]
    {
        let prog = load(&runtime, ProgType::XDP, text);
        let mut buff = XdpBuff::new();
        let ns = fastest(|| {
            let mut batch = cpu.batch::<Xdp>(&prog).expect("an XDP program");
            for _ in 0..PACKETS {
                buff.set(black_box(&packet));
                let _ = black_box(batch.run(&buff).expect("no trap"));
            }
        });
        println!("{name:24} {ns:7.1} ns per packet");
    }
    let prog = load(&runtime, ProgType::SCHED_CLS, "r0 = 0\nexit\n");
    let mut buff = SkBuff::new();
    let ns = fastest(|| {
        let mut batch = cpu.batch::<Skb>(&prog).expect("a classifier");
        for _ in 0..PACKETS {
            buff.set(black_box(&packet), Start::Link);
            let _ = black_box(batch.run(&buff).expect("no trap"));
        }
    });
    println!("{:24} {ns:7.1} ns per packet", "tc, one instruction");
}
