//! Objects compiled by clang, loaded by the facade. Skipped by name where clang-19 is missing.

mod byte_order;
mod inner_maps;
mod sizes;
