//! See `ringfence_journal::testing::fuzz_reader`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringfence_journal::testing::fuzz_reader(bytes));
