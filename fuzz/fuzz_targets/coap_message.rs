//! See [`fuzz::coap::coap_message`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::coap::coap_message(data));
