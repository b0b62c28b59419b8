//! Objects read, resolved and linked: those of Debian, what clang makes of each feature, and damaged ones.

mod binary;
mod common;
mod compiled;
mod core;
mod damaged;
mod debian;
mod externs;
mod interfaces;
mod linked;
mod modules;
mod written;
