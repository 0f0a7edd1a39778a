//! See [`fuzz::lwm2m::link_format`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::lwm2m::link_format(data));
