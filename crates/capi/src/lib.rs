//! `libalveary`: the library for C. `include/alveary.h` is its documentation; each function here stands there.
//!
//! | file | holds |
//! |---|---|
//! | `boundary` | the way in and out of each function: errors, panics, pointers that came from C |
//! | `error` | `alveary_error` |
//! | `settings` | `alveary_settings`: what a target shall be like |
//! | `helper` | a helper with a body in C |
//! | `target` | targets and virtual CPUs |
//! | `object` | objects, and loading them |
//! | `run` | programs over packets and over memory |
//! | `memory` | the program type "memory" |
//! | `map` | maps |
//!
//! It decides nothing by itself: what a program may do is the runtime's to say.

#![allow(non_camel_case_types, reason = "the types have their names in C")]

mod boundary;
mod error;
mod helper;
mod map;
mod memory;
mod object;
mod run;
mod settings;
mod target;

use std::ffi::c_char;

/// The version, ended by NUL.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

#[unsafe(no_mangle)]
extern "C" fn alveary_version() -> *const c_char {
    VERSION.as_ptr().cast()
}
