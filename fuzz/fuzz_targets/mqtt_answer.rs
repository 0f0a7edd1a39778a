//! See [`fuzz::bridge::mqtt_answer`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::bridge::mqtt_answer(data));
