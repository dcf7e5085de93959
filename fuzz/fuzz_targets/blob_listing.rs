#![no_main]
//! See `streamgauge_fuzz::blob_listing`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| streamgauge_fuzz::blob_listing(bytes));
