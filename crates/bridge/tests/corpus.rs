//! The corpora of the fuzz targets of this crate, and mutations of them: see fuzz/README.md.

#![allow(unreachable_pub, dead_code, reason = "the files are shared with the fuzz targets")]

#[path = "../../../fuzz/src/input.rs"]
mod input;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/bridge.rs"]
mod targets;

use replay::replay;

#[test]
fn the_corpus_of_mqtt_command_holds() {
    replay("mqtt_command", 1000, targets::mqtt_command);
}

#[test]
fn the_corpus_of_mqtt_answer_holds() {
    replay("mqtt_answer", 1000, targets::mqtt_answer);
}

#[test]
fn the_corpus_of_mqtt_topic_holds() {
    replay("mqtt_topic", 1000, targets::mqtt_topic);
}
