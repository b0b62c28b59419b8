//! Objects and programs, loaded by the facade. What needs clang-19 is skipped by name where it is missing.

mod byte_order;
mod errors;
mod inner_maps;
mod lifetime;
mod linked;
mod sizes;
