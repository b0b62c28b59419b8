//! The helpers that every family has, bound to abi's rows. Bodies are safe Rust: the row vouches for the arguments.

mod elements;
mod flow;
mod numbers;
pub(crate) mod streams;
mod strings;
mod task;

pub(crate) use numbers::CSUM_DIFF_FOLDS;

use crate::{Backing, Bind, Family};
use alveary_abi::ProgType;
use alveary_vm::Region;

/// The family of helpers that need no context: a body that is bound for it serves every family.
#[derive(Debug)]
pub struct AnyFamily;

// SAFETY: there are no backings and no regions.
unsafe impl Family for AnyFamily {
    type Ctx = ();
    type State = ();
    const NAME: &'static str = "any";
    const TYPES: &'static [ProgType] = &[];
    fn backings() -> &'static [Backing] {
        &[]
    }
    fn helpers() -> &'static [Bind] {
        &[]
    }
    fn regions((): &(), _: &mut dyn FnMut(Region)) {}
}

/// A context that common helpers get: they use none.
pub(crate) type Cx<'a> = crate::Cx<'a, AnyFamily>;

/// All of them.
pub(crate) fn common() -> impl Iterator<Item = Bind> {
    [elements::ALL, flow::ALL, numbers::ALL, streams::ALL, strings::ALL, task::ALL].into_iter().flatten().copied()
}
