//! See [`fuzz::lwm2m::senml_cbor`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::lwm2m::senml_cbor(data));
