#![no_main]
//! See `streamgauge_fuzz::journal_records`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| streamgauge_fuzz::journal_records(bytes));
