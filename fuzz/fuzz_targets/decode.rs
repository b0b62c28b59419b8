//! `alveary_fuzz::decode` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| alveary_fuzz::decode(bytes));
