//! Settings and listeners that change while the gateway runs: real sockets, the embedded broker,
//! the data directory of a restart.
#![cfg(feature = "embedded-broker")]

#[path = "../common/mqtt.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod mqtt;
#[path = "../common/node.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod node;
#[path = "../common/raw.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod raw;

mod limits;
mod listeners;
mod rig;
mod settings;
