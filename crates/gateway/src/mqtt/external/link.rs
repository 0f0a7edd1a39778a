//! What the session needs of an MQTT client library, the same for both protocol versions.
//!
//! [`super::v5`] and [`super::v4`] implement it; order, repetition and subscriptions are the
//! business of [`super::session`].

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use crate::mqtt::{Filter, Incoming, Publication, Qos};
use crate::outbox::Ticket;

/// A message on its way, kept until its end is known because it may have to be sent again.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) correlation: Option<Bytes>,
    /// At least its bytes on the wire.
    pub(super) size: usize,
    pub(super) ticket: Ticket,
}

impl Outgoing {
    pub(super) fn new(publication: Publication, ticket: Ticket) -> Self {
        let size = crate::mqtt::packet_size(&publication);
        let Publication { topic, payload, qos, retain, correlation } = publication;
        let payload = Bytes::from(payload);
        Self {
            topic,
            payload,
            qos,
            retain,
            correlation: correlation.map(Bytes::from),
            size,
            ticket,
        }
    }
}

/// How a publication ended, as far as the library knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Written (QoS 0) or acknowledged.
    Taken,
    /// The broker answered with a failure.
    Refused(String),
    /// The library gave it up because the session is gone: ours to send again.
    Again,
}

/// Resolves to the end of a publication.
pub(super) type Notice = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Resolves to the answer to a subscription.
pub(super) type Granted = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Why a request cannot even be queued.
#[derive(Debug)]
pub(super) enum Unsendable {
    /// The library's queue is full: later.
    Full,
    /// It will never be accepted.
    Invalid(String),
}

/// The half that requests.
pub(super) trait Requests: Send + Sync + 'static {
    /// What acknowledges one incoming message.
    type Ack: Send + 'static;

    fn publish(&self, message: &Outgoing) -> Result<Notice, Unsendable>;
    fn subscribe(&self, filters: &[Filter]) -> Result<Granted, Unsendable>;
    fn unsubscribe(&self, filters: &[Filter]) -> Result<(), Unsendable>;
    fn acknowledge(&self, ack: Self::Ack) -> Result<(), Unsendable>;
    /// Sends what is under way, then DISCONNECT; gives up after `within`.
    fn disconnect(&self, within: Duration) -> Result<(), Unsendable>;
}

/// The half that moves bytes.
pub(super) trait Connection: Send + 'static {
    type Ack: Send + 'static;

    /// Connects if need be, reads and writes until there is something to tell. Must not be
    /// cancelled: an acknowledgement that was read could be lost.
    fn poll(&mut self) -> impl Future<Output = Result<Happening<Self::Ack>, Lost>> + Send;

    /// Forgets all protocol state: every notice ends as [`Outcome::Again`].
    fn reset(&mut self);
}

/// What the broker said in its CONNACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Welcome {
    pub(super) session_present: bool,
    /// Largest packet it takes.
    pub(super) packet_max: Option<usize>,
    /// Whether it keeps retained messages.
    pub(super) retain_available: bool,
}

/// What happened on the connection.
#[derive(Debug)]
pub(super) enum Happening<A> {
    Connected(Welcome),
    Message(Box<Arrived<A>>),
    /// Something that only matters to the library.
    Other,
}

/// A message from the broker.
#[derive(Debug)]
pub(super) struct Arrived<A> {
    pub(super) incoming: Incoming,
    /// Packet id and acknowledgement of QoS 1 and 2.
    pub(super) ack: Option<(u16, A)>,
}

/// The end of a connection, or of an attempt.
#[derive(Debug)]
pub(super) enum Lost {
    /// The broker refused the connection.
    Refused(String),
    /// The broker takes only smaller packets than one that is under way.
    TooLarge(String),
    /// We disconnected.
    Finished,
    /// Everything else.
    Broken(String),
}
