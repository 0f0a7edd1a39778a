//! See [`fuzz::bridge::mqtt_topic`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::bridge::mqtt_topic(data));
