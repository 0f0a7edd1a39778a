//! CoAP as a state machine: no sockets, no clock, no async.
//!
//! [`Endpoint`] takes datagrams and calls, and gives datagrams and [`Event`]s: confirmable
//! transmission, deduplication and separate responses (RFC 7252), observation (RFC 7641) and
//! block-wise transfer (RFC 7959), in both roles. What LwM2M makes of it is the job of the crates
//! above.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

extern crate alloc;

mod block;
mod body;
mod code;
mod config;
mod dedup;
mod endpoint;
mod event;
mod exchange;
mod intern;
mod message;
mod observe;
mod option_list;
mod option_rules;
mod options;
mod outbox;
mod params;
mod peer;
mod peers;
mod receive;
mod request;
mod serve;
mod slab;
mod stats;
pub mod time;
mod token;
pub mod wheel;

pub use code::{Code, ContentFormat, MessageId, Reliability, Type};
pub use config::EndpointConfig;
pub use endpoint::{Credit, Endpoint, Listening};
pub use event::{Event, Evidence, ExchangeFailure, Freshness, Note, NoteKind};
pub use message::{Message, ParseError};
pub use option_list::OptionList;
pub use options::{OptionNumber, Options, OptionsIter};
pub use params::TransmissionParams;
pub use peer::Peer;
pub use request::{
    Completion, ExchangeId, Incoming, ObservationId, ObservationState, ReplyTo, Request,
    RequestOptions, Response,
};
pub use stats::{EndpointStats, EndpointUsage};
pub use time::{Duration, Instant};
pub use token::{Token, token_shard};
