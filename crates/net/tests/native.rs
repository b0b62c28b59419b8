//! What native code does by itself in place of helpers: the same as they do.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use alveary_abi::{Profile, ProgType};
use alveary_isa::asm::assemble;
use alveary_net::{Net, SkBuff, Skb, Start, Xdp, XdpBuff};
use alveary_runtime::{Engine, Pass, Passes, Prog, Runtime, Trust, World};
use alveary_spec::{Kernel, Program};
use std::sync::Arc;

/// Each way to run a program: what is done in place of helpers is in the last one alone.
const WAYS: [(Engine, Passes); 3] = [
    (Engine::Interp, Passes::ALL),
    (Engine::Jit, Passes::ALL.without(Pass::Helper)),
    (Engine::Jit, Passes::only(Pass::Helper)),
];
const IN_PLACE: usize = 2;

fn runtime((engine, passes): (Engine, Passes)) -> Arc<Runtime> {
    let (kernel, net) = (Kernel::of(Profile::linux_6_18()), Arc::new(Net::default()));
    let builder = Runtime::builder(kernel, World::repeatable()).family::<Xdp>(net.clone()).family::<Skb>(net);
    builder.engine(engine).passes(passes).build()
}

fn load(runtime: &Runtime, ty: ProgType, text: &str) -> Arc<Prog> {
    let profile = Profile::linux_6_18();
    let number = |name: &str| profile.helper_named(name.strip_prefix("bpf_")?).map(|h| h.id.0 as i32);
    let (assembly, errors) = assemble(text, &number);
    assert!(errors.is_empty(), "{errors:?}");
    let insns = assembly.sections[0].insns.clone();
    let subprogs = vec![(0, "native".into())];
    let program = Program { name: "native".into(), ty, insns, subprogs, license: "GPL".into(), ..Program::default() };
    let prog = runtime.load(Arc::new(program), vec![]).unwrap_or_else(|why| panic!("{text}\n{why}"));
    assert!(matches!(prog.trust(), Trust::Proven(_)), "{text}\n{:?}", prog.trust());
    prog
}

/// How many calls by address are in the program's native code.
fn calls(runtime: &Runtime, prog: &Prog) -> usize {
    let listed = runtime.list(prog).expect("it has native code");
    listed.iter().flat_map(|function| &function.lifted).filter(|line| line.text.contains("call_indirect")).count()
}

/// What each way gives of an XDP program, whose `rx_queue_index` is this, on a packet, and leaves of that.
fn xdp(text: &str, packet: &[u8], queues: impl Iterator<Item = u32> + Clone) -> [Vec<(u64, Vec<u8>)>; 3] {
    WAYS.map(|way| {
        let runtime = runtime(way);
        let prog = load(&runtime, ProgType::XDP, text);
        let mut cpu = runtime.vcpu(0).expect("CPU 0");
        let run = |queue| {
            let mut buff = XdpBuff::new();
            buff.set(packet);
            buff.set_ingress(1, queue);
            (cpu.run::<Xdp>(&prog, &buff).expect("no trap").value, buff.to_vec())
        };
        queues.clone().map(run).collect()
    })
}

/// A packet of which each byte is another one.
fn packet() -> Vec<u8> {
    (1..=60).collect()
}

const SIZES: [usize; 7] = [1, 7, 8, 14, 16, 31, 60];

#[test]
fn bytes_of_packets_are_read() {
    for size in SIZES {
        let text = format!(
            "r2 = *(u32 *)(r1 + 16)\nr6 = 0\n*(u64 *)(r10 - 64) = r6\nr3 = r10\nr3 += -64\nr4 = {size}\n\
             call bpf_xdp_load_bytes\nif r0 != 0 goto out\nr0 = *(u8 *)(r10 - 64)\nr0 <<= 8\n\
             r1 = *(u8 *)(r10 - {})\nr0 |= r1\nout: exit\n",
            65 - size
        );
        let packet = packet();
        let queues = (0..64).chain([0xffff, 0x1_0000, 0x7fff_ffff, 0xffff_ffff]);
        let expected = queues.clone().map(|queue| {
            let at = queue as usize;
            let inside = || Some((u64::from(*packet.get(at)?) << 8) | u64::from(*packet.get(at + size - 1)?));
            let value = inside().unwrap_or(if at > 0xffff { -14_i64 as u64 } else { -22_i64 as u64 });
            (value, packet.clone())
        });
        let expected: Vec<_> = expected.collect();
        for (way, found) in xdp(&text, &packet, queues).into_iter().enumerate() {
            assert_eq!(found, expected, "{size} bytes, {:?}", WAYS[way]);
        }
    }
}

#[test]
fn bytes_of_packets_are_written() {
    for size in SIZES {
        let bytes: Vec<u8> = (100..164).collect();
        let words = bytes.as_chunks().0.iter().enumerate();
        let fill: String = words
            .map(|(n, word)| format!("r3 = {} ll\n*(u64 *)(r10 - {}) = r3\n", u64::from_ne_bytes(*word), 64 - 8 * n))
            .collect();
        let text =
            format!("r2 = *(u32 *)(r1 + 16)\n{fill}r3 = r10\nr3 += -64\nr4 = {size}\ncall bpf_xdp_store_bytes\nexit\n");
        let packet = packet();
        let expected = (0..64).map(|at: usize| {
            let mut after = packet.clone();
            match at + size <= packet.len() {
                true => after[at..at + size].copy_from_slice(&bytes[..size]),
                false => return (-22_i64 as u64, after),
            }
            (0, after)
        });
        let expected: Vec<_> = expected.collect();
        for (way, found) in xdp(&text, &packet, 0..64).into_iter().enumerate() {
            assert_eq!(found, expected, "{size} bytes, {:?}", WAYS[way]);
        }
    }
}

#[test]
fn bytes_of_socket_buffers_are_read_and_written() {
    let text = "r6 = r1\nr2 = 20\nr3 = r10\nr3 += -16\nr4 = 12\ncall bpf_skb_load_bytes\nif r0 != 0 goto out\n\
                r1 = r6\nr2 = 2\nr3 = r10\nr3 += -16\nr4 = 12\nr5 = 0\ncall bpf_skb_store_bytes\nif r0 != 0 goto out\n\
                r1 = r6\nr2 = 50\nr3 = r10\nr3 += -16\nr4 = 12\ncall bpf_skb_load_bytes\nout: exit\n";
    for way in WAYS {
        let runtime = runtime(way);
        let prog = load(&runtime, ProgType::SCHED_CLS, text);
        let mut buff = SkBuff::new();
        buff.set(&packet(), Start::Link);
        let value = runtime.vcpu(0).expect("CPU 0").run::<Skb>(&prog, &buff).expect("no trap").value;
        let mut after = packet();
        after.copy_within(20..32, 2);
        assert_eq!((value as i64, buff.to_vec()), (-14, after), "{way:?}");
    }
}

#[test]
fn checksums_are_put_right_without_a_call() {
    // How the helper is called, with which flags: of some the verifier does not know whether there is one.
    let calls = [
        ("l3_csum_replace", "r5 = 2"),
        ("l3_csum_replace", "r5 = 4"),
        ("l4_csum_replace", "r5 = 2"),
        ("l4_csum_replace", "r5 = 0x14"),
        ("l4_csum_replace", "r5 = 0x24"),
        ("l4_csum_replace", "r5 &= 0x20\nr5 |= 0x12"),
        ("l4_csum_replace", "r5 &= 0x20\nr5 |= 0x14"),
    ];
    const WORDS: [u64; 7] = [0, 1, 0xffff, 0x1234, 0xffff_0000, 0xffff_ffff, 0xffff_ffff_8765_4321];
    let with = |at: u32, from: u64, to: u64, flag: u32| {
        let mut bytes = packet();
        bytes[28..32].copy_from_slice(&at.to_ne_bytes());
        bytes[32..40].copy_from_slice(&from.to_ne_bytes());
        bytes[40..48].copy_from_slice(&to.to_ne_bytes());
        bytes[48..52].copy_from_slice(&flag.to_ne_bytes());
        bytes
    };
    for (helper, flags) in calls {
        let text = format!(
            "r7 = *(u32 *)(r1 + 76)\nr8 = *(u32 *)(r1 + 80)\nr0 = r7\nr0 += 52\nif r0 > r8 goto out\n\
             r2 = *(u32 *)(r7 + 28)\nr3 = *(u64 *)(r7 + 32)\nr4 = *(u64 *)(r7 + 40)\nr5 = *(u32 *)(r7 + 48)\n\
             {flags}\ncall bpf_{helper}\nout: exit\n"
        );
        let ways = WAYS.map(|way| {
            let runtime = runtime(way);
            let prog = load(&runtime, ProgType::SCHED_CLS, &text);
            let mut cpu = runtime.vcpu(0).expect("CPU 0");
            let mut all = vec![];
            for (old, at) in [0_u16, 1, 0x00ff, 0xfffe, 0xffff, 0x1234].into_iter().zip([0, 24, 26, 58, 2, 4]) {
                for (from, to) in WORDS.iter().flat_map(|from| WORDS.map(|to| (*from, to))) {
                    for flag in [0, 0x20] {
                        let mut bytes = with(at as u32, from, to, flag);
                        bytes[at..at + 2].copy_from_slice(&old.to_ne_bytes());
                        let mut buff = SkBuff::new();
                        buff.set(&bytes, Start::Link);
                        assert_eq!(cpu.run::<Skb>(&prog, &buff).expect("no trap").value, 0);
                        all.push(buff.to_vec());
                    }
                }
            }
            // Where there is none: at an odd place, behind the packet, far behind.
            for at in [1, 59, 60, 0x1_0000, u32::MAX] {
                let (mut buff, bytes) = (SkBuff::new(), with(at, 1, 2, 0));
                buff.set(&bytes, Start::Link);
                let value = cpu.run::<Skb>(&prog, &buff).expect("no trap").value;
                assert_eq!((value as i64, buff.to_vec()), (-14, bytes), "{at}");
            }
            all
        });
        assert_eq!(ways[0], ways[1], "{helper} {flags}");
        assert_eq!(ways[0], ways[IN_PLACE], "{helper} {flags}");
    }
}

#[test]
fn sums_and_random_numbers_are_made_without_a_call() {
    let fill: String = (0..16)
        .map(|n| format!("r1 = {:#x} ll\n*(u64 *)(r10 - {}) = r1\n", 0xfedc_ba98_7654_3210_u64 >> n, 8 * n + 8))
        .collect();
    let sum = |from: usize, to: usize| {
        let place = |size, at| if size == 0 { "0".to_owned() } else { format!("r10\nrX += -{at}") };
        let (from_at, to_at) = (place(from, 128).replace("rX", "r1"), place(to, 64).replace("rX", "r3"));
        let seed = "r5 = *(u32 *)(r6 + 16)";
        format!(
            "r6 = r1\n{fill}r1 = {from_at}\nr2 = {from}\nr3 = {to_at}\nr4 = {to}\n{seed}\ncall bpf_csum_diff\nexit\n"
        )
    };
    let random =
        "r6 = r1\ncall bpf_get_prandom_u32\nr7 = r0\ncall bpf_get_prandom_u32\nr7 <<= 32\nr0 |= r7\nexit\n".to_owned();
    let sums = [(0, 0), (4, 0), (0, 8), (4, 4), (64, 64), (40, 12)].map(|(from, to)| sum(from, to));
    for text in sums.iter().chain([&random]) {
        let [interpreted, called, in_place] =
            xdp(text, &packet(), [0, 1, 0xffff, 0x8000_0000, 0xffff_ffff].into_iter());
        assert_eq!(interpreted, called, "{text}");
        assert_eq!(interpreted, in_place, "{text}");
        let [called, in_place] = [IN_PLACE - 1, IN_PLACE].map(|way| {
            let runtime = runtime(WAYS[way]);
            calls(&runtime, &load(&runtime, ProgType::XDP, text))
        });
        assert!(called > in_place, "{text}");
    }
}
