//! See [`fuzz::coap::coap_endpoint`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::coap::coap_endpoint(data));
