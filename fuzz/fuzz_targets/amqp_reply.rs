#![no_main]
//! See `streamgauge_fuzz::amqp_reply`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| streamgauge_fuzz::amqp_reply(bytes));
