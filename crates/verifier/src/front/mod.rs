//! What is checked before any path is followed: functions, control flow, BTF, `ld_imm64`; and what later steps need of
//! it: prune points, live registers, loops.
//!
//! Knows instructions and tables; no registers' states.

mod btf;
mod cfg;
mod flow;
mod live;
mod resolve;
mod scc;
mod subprogs;

use crate::{
    stop::{Check, reject},
    verifier::Verifier,
};
use alveary_abi::{ProgSet, ProgType as P, flags::BPF_F_SLEEPABLE};

/// Types of which programs may be loaded to sleep; of kprobes, those in user space.
const SLEEPERS: ProgSet = ProgSet::of(&[P::TRACING, P::LSM, P::KPROBE, P::STRUCT_OPS, P::SYSCALL]);

/// All of it, in the kernel's order.
pub(crate) fn check(v: &mut Verifier<'_>) -> Check {
    btf::check_functions_early(v)?;
    subprogs::find(v)?;
    subprogs::check(v)?;
    btf::check(v)?;
    check_sleeper(v)?;
    resolve::check(v)?;
    cfg::check(v)?;
    flow::order(v);
    scc::find(v);
    live::find(v);
    Ok(())
}

fn check_sleeper(v: &mut Verifier<'_>) -> Check {
    let (ty, sleeps) = (v.program.program.ty, v.program.program.flags & BPF_F_SLEEPABLE != 0);
    if ty == P::SYSCALL && !sleeps {
        reject!(v, EINVAL, "Syscall programs can only be sleepable\n");
    }
    if sleeps && !SLEEPERS.has(ty) {
        reject!(v, EINVAL, "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable\n");
    }
    Ok(())
}
