//! See [`fuzz::lwm2m::senml_json`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::lwm2m::senml_json(data));
