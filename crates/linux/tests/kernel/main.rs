//! bpf(2) against the running kernel.

mod contexts;
mod elements;
mod modules;
mod objects;
mod profile;
mod programs;
mod reading;
mod refusals;
mod support;
