//! From a program to something that can run: what is not there is refused by name, then the code is lowered and linked.

mod lower;
mod refuse;
mod site;

pub(crate) use lower::plain;
pub(crate) use refuse::{foreign_map, refused_by_engine, unsupported_type};
pub(crate) use site::{Site, Sites, bodies};
