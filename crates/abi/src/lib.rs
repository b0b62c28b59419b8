//! Linux's eBPF contract as tables: what a program type, a map type, a helper, a context field *is*.
//!
//! Data only: no function bodies, no engine, no offsets of our own structures. Everyone who must know the contract
//! (verifier, runtime, checked mode, disassembler, documentation) reads these rows through a [`Profile`], so that
//! rows added by embedders count as much as the built-in ones.

mod types;

pub use types::*;
