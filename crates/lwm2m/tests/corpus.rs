//! The corpora of the fuzz targets of this crate, and mutations of them: see fuzz/README.md.

#![allow(unreachable_pub, dead_code, reason = "the files are shared with the fuzz targets")]

#[path = "../../../fuzz/src/input.rs"]
mod input;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/lwm2m.rs"]
mod targets;

use replay::replay;

/// Changed copies of each file: with all files some 150 000 inputs, a second in all.
const MUTATIONS: u32 = 1000;

#[test]
fn the_corpus_of_tlv_holds() {
    replay("tlv", MUTATIONS, targets::tlv);
}

#[test]
fn the_corpus_of_lwm2m_json_holds() {
    replay("lwm2m_json", MUTATIONS, targets::lwm2m_json);
}

#[test]
fn the_corpus_of_senml_json_holds() {
    replay("senml_json", MUTATIONS, targets::senml_json);
}

#[test]
fn the_corpus_of_senml_cbor_holds() {
    replay("senml_cbor", MUTATIONS, targets::senml_cbor);
}

#[test]
fn the_corpus_of_cbor_holds() {
    replay("cbor", MUTATIONS, targets::cbor);
}

#[test]
fn the_corpus_of_lwm2m_cbor_holds() {
    replay("lwm2m_cbor", MUTATIONS, targets::lwm2m_cbor);
}

#[test]
fn the_corpus_of_text_holds() {
    replay("text", MUTATIONS, targets::text);
}

#[test]
fn the_corpus_of_opaque_holds() {
    replay("opaque", MUTATIONS, targets::opaque);
}

#[test]
fn the_corpus_of_link_format_holds() {
    replay("link_format", MUTATIONS, targets::link_format);
}

#[test]
fn the_corpus_of_register_holds() {
    replay("register", MUTATIONS, targets::register);
}

#[test]
fn the_corpus_of_object_xml_holds() {
    replay("object_xml", MUTATIONS, targets::object_xml);
}

#[test]
fn the_corpus_of_attributes_holds() {
    replay("attributes", MUTATIONS, targets::attributes);
}

#[test]
fn the_corpus_of_execute_arguments_holds() {
    replay("execute_arguments", MUTATIONS, targets::execute_arguments);
}
