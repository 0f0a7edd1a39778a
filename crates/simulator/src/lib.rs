//! A fleet of simulated LwM2M devices on real UDP: one thread, one event loop, a timing wheel.
//!
//! [`run`] drives as many `device::Device`s as [`FleetConfig`] asks for against a server: they
//! register, update, answer commands, change their values and notify. The binary `lwm2m-sim` is a
//! command line around it, the gateway's `--demo` runs it in a thread. What one device does is the
//! job of `device`, moving datagrams that of `udpio`.
#![forbid(unsafe_code)]

mod address;
mod clock;
mod config;
mod drive;
mod fleet;
mod latency;
mod network;
mod plan;
pub mod scenario;
mod span;
mod spread;
mod stats;
mod summary;
mod values;
mod wire;

pub use address::{AddressError, resolve_server};
pub use config::{
    COUNT_MAX, ConfigError, FleetConfig, Group, Leave, Notify, Ramp, Rebind, Reboot, Signal, Sleep,
    Sources, Start,
};
pub use drive::{FleetError, run};
pub use latency::Latency;
pub use scenario::{Scenario, ScenarioError};
pub use span::{SpanError, parse_span};
pub use spread::Spread;
pub use stats::Snapshot;
pub use summary::Summary;

#[cfg(test)]
mod tests;
