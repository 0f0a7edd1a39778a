//! See [`fuzz::lwm2m::cbor`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::lwm2m::cbor(data));
