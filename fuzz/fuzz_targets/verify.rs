//! `alveary_fuzz::verify` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| alveary_fuzz::verify(bytes));
