//! Where permission is given: proofs, addresses for symbols, memory for checked runs, judgement of what they do.
//! Besides it, `unsafe` code is in `bind` and `args` (how bodies are called), `memory` (the copies that both use) and
//! `vcpu` (what runs, and for how long it lives).

mod field;
mod held;
mod judge;
mod link;
mod near;
mod proof;
mod regions;
mod word;

pub(crate) use held::{Held, Known};
pub(crate) use judge::{CONTEXT, Judge};
pub(crate) use link::Addresses;
pub(crate) use near::Near;
pub(crate) use proof::Proof;
pub(crate) use regions::{FAMILY_REGIONS, family_regions, map_regions, special_at};
pub(crate) use word::Inner;
