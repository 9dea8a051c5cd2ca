//! See `ringfence_domains::fuzz::atm`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringfence_domains::fuzz::atm(bytes));
