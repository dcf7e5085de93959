#![no_main]
//! See `streamgauge_fuzz::trigger_metadata`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| streamgauge_fuzz::trigger_metadata(bytes));
