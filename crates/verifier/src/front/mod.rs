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

use crate::{stop::Check, verifier::Verifier};

/// All of it, in the kernel's order.
pub(crate) fn check(v: &mut Verifier<'_>) -> Check {
    btf::check_functions_early(v)?;
    subprogs::find(v)?;
    subprogs::check(v)?;
    btf::check(v)?;
    resolve::check(v)?;
    cfg::check(v)?;
    flow::order(v);
    scc::find(v);
    live::find(v);
    Ok(())
}
