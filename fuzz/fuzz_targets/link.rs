//! `alveary_fuzz::link_objects` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| alveary_fuzz::link_objects(bytes));
