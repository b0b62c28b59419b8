//! Where permission is given: addresses for symbols, memory for checked runs, judgement of what they do.
//! The only module besides `bind` that holds `unsafe` code; `memory` holds the copies that both use.

mod field;
mod held;
mod judge;
mod link;
mod regions;
mod word;

pub(crate) use held::{Held, Known};
pub(crate) use judge::{CONTEXT, Judge};
pub(crate) use link::Addresses;
pub(crate) use regions::{FAMILY_REGIONS, family_regions, map_regions, special_at};
pub(crate) use word::Inner;
