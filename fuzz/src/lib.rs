//! The bodies of the fuzz targets, one function for each decoder that meets foreign bytes.
//!
//! They are ordinary functions of ordinary files, so that `tests/corpus.rs` of each crate takes in
//! the same ones and plain `cargo test` replays the corpora.

pub mod bridge;
pub mod coap;
pub mod engine;
pub mod input;
pub mod lwm2m;
