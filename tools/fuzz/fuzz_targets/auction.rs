//! See `ringfence_domains::fuzz::auction`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringfence_domains::fuzz::auction(bytes));
