//! See [`fuzz::lwm2m::execute_arguments`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::lwm2m::execute_arguments(data));
