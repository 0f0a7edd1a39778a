//! See [`fuzz::lwm2m::object_xml`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::lwm2m::object_xml(data));
