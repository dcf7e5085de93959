#![no_main]
//! See `streamgauge_fuzz::redis_replies`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| streamgauge_fuzz::redis_replies(bytes));
