#![no_main]
//! See `streamgauge_fuzz::config_yaml`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| streamgauge_fuzz::config_yaml(bytes));
