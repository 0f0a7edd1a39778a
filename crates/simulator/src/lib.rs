//! A fleet of simulated LwM2M devices on real UDP: one thread, one event loop, a timing wheel.
//!
//! [`run`] drives as many `device::Device`s as [`FleetConfig`] asks for against a server: they
//! register, update, answer commands, change their values and notify. The binary `lwm2m-sim` is a
//! command line around it, the gateway's `--demo` runs it in a thread. What one device does is the
//! job of `device`, moving datagrams that of `udpio`.
#![forbid(unsafe_code)]

mod clock;
mod config;
mod fleet;
mod latency;
mod network;
mod span;
mod stats;
mod values;

pub use config::{COUNT_MAX, ConfigError, FleetConfig, Leave, Sources, Start, resolve_server};
pub use fleet::{FleetError, run};
pub use latency::Latency;
pub use span::{SpanError, parse_span};
pub use stats::{Snapshot, Summary};

#[cfg(test)]
mod tests;
