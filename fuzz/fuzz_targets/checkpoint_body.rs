#![no_main]
//! See `streamgauge_fuzz::checkpoint_body`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| streamgauge_fuzz::checkpoint_body(bytes));
