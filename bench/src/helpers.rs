//! What calls of helpers cost that the compiler does by itself, with that pass and without.

use crate::{
    ours::Ours,
    rounds::{Rounds, Runs},
};
use alveary_abi::{Profile, ProgType};
use alveary_isa::asm::assemble;
use alveary_net::{Net, Xdp};
use alveary_runtime::{Engine, Pass, Passes, Runtime, World};
use alveary_spec::{Kernel, Program};
use std::sync::Arc;

/// Calls in a program.
const CALLS: usize = 16;
/// What is called, and how; `r6` is the context.
const HELPERS: [(&str, &str); 4] = [
    (
        "bpf_csum_diff, 20 bytes",
        "r1 = 0\nr2 = 0\nr3 = r10\nr3 += -64\nr4 = 20\nr5 = r7\ncall bpf_csum_diff\nr7 += r0\n",
    ),
    (
        "bpf_xdp_load_bytes, 14 bytes",
        "r1 = r6\nr2 = 14\nr3 = r10\nr3 += -64\nr4 = 14\ncall bpf_xdp_load_bytes\nr7 += r0\n",
    ),
    (
        "bpf_xdp_store_bytes, 6 bytes",
        "r1 = r6\nr2 = 6\nr3 = r10\nr3 += -64\nr4 = 6\ncall bpf_xdp_store_bytes\nr7 += r0\n",
    ),
    ("bpf_get_prandom_u32", "call bpf_get_prandom_u32\nr7 += r0\n"),
];

/// Prints them.
pub(crate) fn measure(rounds: Rounds) -> Result<(), String> {
    for (name, call) in HELPERS {
        let clear: String = (1..=8).map(|word| format!("*(u64 *)(r10 - {}) = r7\n", 8 * word)).collect();
        let text = |calls| format!("r6 = r1\nr7 = 0\n{clear}{}r0 = 2\nexit\n", call.repeat(calls));
        let run = |calls, passes| Ok(Some(Box::new(load(&text(calls), passes)?) as Box<dyn Runs>));
        let (called, in_place) = (Passes::ALL.without(Pass::Helper), Passes::ALL);
        let runs = [run(0, called), run(CALLS, called), run(0, in_place), run(CALLS, in_place)];
        let times = rounds.measure(&mut runs.into_iter().collect::<Result<Vec<_>, String>>()?)?;
        let [called, in_place] = [0, 2].map(|at| match (times[at], times[at + 1]) {
            (Some(none), Some(all)) => (all.least - none.least) / CALLS as f64,
            _ => f64::NAN,
        });
        println!("{name}: {called:.1} ns called, {in_place:.1} ns in place");
    }
    Ok(())
}

fn load(text: &str, passes: Passes) -> Result<Ours, String> {
    let profile = Profile::linux_6_18();
    let number = |name: &str| profile.helper_named(name.strip_prefix("bpf_")?).map(|helper| helper.id.0 as i32);
    let (assembly, errors) = assemble(text, &number);
    let insns = if errors.is_empty() { assembly.into_raw() } else { Err(errors) };
    let insns = insns.map_err(|errors| format!("{errors:?}"))?;
    let (name, license) = ("helpers".into(), "GPL".into());
    let subprogs = vec![(0, "helpers".into())];
    let program = Program { name, license, subprogs, ty: ProgType::XDP, insns, ..Program::default() };
    let builder = Runtime::builder(Kernel::of(profile), World::repeatable()).family::<Xdp>(Arc::new(Net::default()));
    let runtime = builder.engine(Engine::Jit).passes(passes).build();
    let prog = runtime.load(Arc::new(program), vec![]).map_err(|why| why.to_string())?;
    Ours::new(runtime.vcpu(0).ok_or("no CPU")?, prog, &[0; 64])
}
