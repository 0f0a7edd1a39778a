//! The corpus of the fuzz target of this crate, and mutations of it: see fuzz/README.md.

#![allow(unreachable_pub, dead_code, reason = "the files are shared with the fuzz targets")]

#[path = "../../../fuzz/src/input.rs"]
mod input;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/engine.rs"]
mod targets;

use replay::replay;

#[test]
fn the_corpus_of_engine_datagrams_holds() {
    replay("engine_datagrams", 200, targets::engine_datagrams);
}
