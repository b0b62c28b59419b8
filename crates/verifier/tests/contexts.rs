//! Every load and store of every context, by offset and size: ours has to allow what the running kernel allows.

use alveary_abi::ProgType as P;
use alveary_spec::Kernel;
use alveary_testing::{bpf, code, kernel, program};
use alveary_verifier::{Env, Verdict, check};
use std::{collections::BTreeMap, thread};

/// Types of programs that bpf(2) loads without an attach type.
const TYPES: [P; 17] = [
    P::SOCKET_FILTER,
    P::KPROBE,
    P::SCHED_CLS,
    P::TRACEPOINT,
    P::XDP,
    P::PERF_EVENT,
    P::CGROUP_SKB,
    P::CGROUP_SOCK,
    P::LWT_IN,
    P::LWT_XMIT,
    P::SOCK_OPS,
    P::SK_SKB,
    P::CGROUP_DEVICE,
    P::SK_MSG,
    P::RAW_TRACEPOINT,
    P::FLOW_DISSECTOR,
    P::SK_REUSEPORT,
];

#[test]
fn the_running_kernel_allows_the_same() {
    if !bpf::permitted("contexts") {
        return;
    }
    let kernel = &kernel(bpf::possible_cpus());
    let wrong: Vec<String> = thread::scope(|scope| {
        let parts = TYPES.map(|ty| scope.spawn(move || differences(ty, kernel)));
        parts.into_iter().flat_map(|part| part.join().expect("no panic")).collect()
    });
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn differences(ty: P, kernel: &Kernel) -> Vec<String> {
    let maps = BTreeMap::new();
    let mut wrong = Vec::new();
    for (off, bytes) in (0..240).flat_map(|off| [1, 2, 4, 8].map(|bytes| (off, bytes))) {
        let place = format!("*(u{} *)(r1 + {off})", bytes * 8);
        let load = (off % bytes == 0).then(|| format!("r0 = {place}\nr0 = 0\nexit"));
        let store = (off % bytes.max(4) == 0).then(|| format!("r2 = 0\n{place} = r2\nr0 = 0\nexit"));
        for text in load.into_iter().chain(store) {
            let insns = code(&text, |_, _| unreachable!("no program has maps"));
            let theirs = bpf::Prog::load(ty, &insns).is_ok();
            let ours = check(&program(ty, insns), &Env::new(kernel, &maps)).verdict;
            if matches!(ours, Verdict::Accept) != theirs {
                wrong.push(format!("{ty:?}: {text:?}: the kernel accepts: {theirs}; ours: {ours:?}"));
            }
        }
    }
    wrong
}
