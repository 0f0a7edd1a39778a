//! The LwM2M client as a state machine: the other end of the wire in tests and in the simulator.
//!
//! A [`Device`] takes datagrams and the time and gives datagrams and [`Event`]s, like the server it
//! faces. What a fleet has in common stands in one shared [`Profile`]; a device with nothing open
//! can be put to [`Rest`], where it needs 136 bytes. It has its own small message layer, so that a
//! mistake of the server's layer does not meet itself: only the message codec of `coap` and the
//! vocabulary of `lwm2m` are shared. Sockets and clocks are the job of `simulator`.
//!
//! ```
//! use std::sync::Arc;
//!
//! use coap::Instant;
//! use device::{Device, Profile};
//! use lwm2m::{Models, Version};
//!
//! let profile = Profile::new(Version::V1_1, Arc::new(Models::builtin())).into_shared();
//! let mut device = Device::new("sensor-1", profile, 7, Instant::ZERO);
//! let mut datagram = Vec::new();
//! device.poll_transmit(&mut datagram);
//! let register = coap::Message::parse(&datagram).unwrap();
//! assert_eq!(register.options.uri_path().next(), Some(&b"rd"[..]));
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod attributes;
mod block;
mod chance;
mod data;
mod device;
mod event;
mod firmware;
mod habits;
mod inbound;
mod location;
mod management;
mod messages;
mod name;
mod notify;
mod objects;
mod observe;
mod outbox;
mod profile;
mod registration;
mod reply;
mod requests;
mod rest;
mod tree;
mod write;

pub use coap::Reliability;
pub use device::{Device, SendError};
pub use event::{Event, ObservationEnd};
pub use habits::Habits;
pub use name::Name;
pub use profile::{
    AcceptOption, Answers, Composite, ContentFormatOption, Diagnostics, InstanceNotifications,
    LargeBlock, Profile, QueueMode, Reboot, RootLink, Timestamps, UnstatedFormat,
};
pub use rest::{Identity, Rest};
pub use tree::{Defaults, Slot};

#[cfg(test)]
mod tests;
