//! The verifier: a pure function of a program and what it is checked for. No OS, no engine, no I/O.
//!
//! It follows Linux's own algorithm, so that its verdicts are Linux's.

#![forbid(unsafe_code)]

pub mod scalar;
