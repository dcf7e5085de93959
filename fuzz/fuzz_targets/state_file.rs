#![no_main]
//! See `streamgauge_fuzz::state_file`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| streamgauge_fuzz::state_file(bytes));
