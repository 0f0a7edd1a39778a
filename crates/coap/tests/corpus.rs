//! The corpora of the fuzz targets of this crate, and mutations of them: see fuzz/README.md.

#![allow(unreachable_pub, dead_code, reason = "the files are shared with the fuzz targets")]

#[path = "../../../fuzz/src/input.rs"]
mod input;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/coap.rs"]
mod targets;

use replay::replay;

#[test]
fn the_corpus_of_coap_message_holds() {
    replay("coap_message", 5000, targets::coap_message);
}

#[test]
fn the_corpus_of_coap_endpoint_holds() {
    replay("coap_endpoint", 1000, targets::coap_endpoint);
}
