//! See [`fuzz::engine::engine_datagrams`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::engine::engine_datagrams(data));
