//! From a program to something that can run: what is not there is refused by name, then the code is lowered.
//!
//! | file | holds |
//! |---|---|
//! | `lower` | the walk over the program, and what is done to any |
//! | `proven` | what facts allow besides |
//! | `body` | what helpers do, for the engine |
//! | `field`, `lookup` | fields of contexts and lookups in arrays, as instructions |
//! | `emit` | code in the making |
//! | `site` | helpers as one program calls them |
//! | `refuse` | the words in which a program is refused |

mod body;
mod emit;
mod field;
mod lookup;
mod lower;
mod proven;
mod refuse;
mod site;

pub(crate) use lower::{Lowered, lower};
pub(crate) use proven::Proven;
pub(crate) use refuse::{
    foreign_map, not_ahead, not_native, not_worth, proven_elsewhere, refused_by_engine, rejected, unsupported_type,
};
pub(crate) use site::{Owner, Site, Sites, bodies};
