//! See `ringfence_domains::fuzz::votes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringfence_domains::fuzz::votes(bytes));
