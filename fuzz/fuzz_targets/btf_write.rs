//! `alveary_fuzz::btf_write` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| alveary_fuzz::btf_write(bytes));
