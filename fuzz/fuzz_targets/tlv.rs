//! See [`fuzz::lwm2m::tlv`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::lwm2m::tlv(data));
