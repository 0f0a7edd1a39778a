//! The LwM2M server as a pure state machine: OMA-TS-LightweightM2M_Core-V1_1_1 and Transport.
//!
//! [`Server`] owns a [`coap::Endpoint`] and the registrations, observations and commands of one
//! shard. Everything enters by `handle_*`, `submit`, `complete` and `restore`; everything leaves by
//! `poll_*`. There is no clock, socket, thread or lock: the driver brings time and datagrams.
//! Topics and JSON are the job of `bridge`, the loop around it all that of `gateway`.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod arming;
mod claim;
mod command;
mod commands;
mod event;
mod formats;
mod identity;
mod interface;
mod intern;
mod limits;
mod links;
mod listing;
mod note;
mod observations;
mod paged;
mod probing;
mod queue;
mod rate;
mod record;
mod registrations;
mod registry;
mod rejection;
mod reply;
mod server;
mod settings;
mod stats;
mod used;
mod waking;

#[cfg(test)]
mod tests;

pub use claim::{Claim, ClaimAnswer, Handover};
pub use command::{Answer, Command, CommandError, Origin, Priority, Refused};
pub use event::{
    Arrival, CommandFinished, Continuation, Device, Event, Notification, ObserveCause, Observed,
    Presence, RegisteredInfo, UpdateContent,
};
pub use identity::{ClaimId, CommandId, Identity, REGISTRATION_ID_LEN, RegistrationId};
pub use listing::{Cursor, ObservedPath, PAGE_LEN_MAX, Page, Row};
pub use note::{EVIDENCE_LEN_MAX, Evidence, Note, NoteKind, RegistrationFault, Who};
pub use queue::Reachability;
pub use record::{Change, Record, RecordError};
pub use rejection::Rejection;
pub use reply::{Completion, ReplyTo};
pub use server::{Datagram, Intake, Routed, Server, WallMs};
pub use settings::{
    AcceptedVersion, AutoObserve, Config, LifetimePolicy, Profile, QueueLimits, QueueOverflow,
    Rearm, Rebind, Records, Settings, SleepEvents,
};
pub use stats::Stats;

// What crosses upwards, so that nobody above has to name the message layer.
/// What the message layer notes, as part of [`NoteKind::Message`].
pub use coap::NoteKind as MessageNoteKind;
pub use coap::{
    Code, ContentFormat, Duration, EndpointConfig, EndpointStats, ExchangeFailure, Freshness,
    Instant, Peer, Reliability, TransmissionParams,
};
