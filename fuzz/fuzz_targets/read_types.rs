//! `alveary_fuzz::types_of_files` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| alveary_fuzz::types_of_files(bytes));
