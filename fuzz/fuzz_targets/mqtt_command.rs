//! See [`fuzz::bridge::mqtt_command`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::bridge::mqtt_command(data));
