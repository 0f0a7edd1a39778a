//! Replies that are given later: the delayed acknowledgement of notifications and Sends.
//!
//! A device is answered when the gateway has taken responsibility for what it sent, not before; who
//! knows that is the driver, by [`crate::Server::complete`].

use coap::ObservationId;

/// Where the reply to a notification or Send goes. Opaque; handed back once.
#[derive(Clone, Debug)]
pub struct ReplyTo {
    pub(crate) message: coap::ReplyTo,
    pub(crate) duty: Duty,
}

/// What completing means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// A notification is acknowledged.
    Acknowledge,
    /// The last notification of an observation is acknowledged, and the observation forgotten.
    AcknowledgeLast(ObservationId),
    /// A Send gets its 2.04.
    Answer,
}

impl ReplyTo {
    /// Whether the device waits. Completing one that does not wait is harmless, and right.
    #[must_use]
    pub fn is_confirmable(&self) -> bool {
        self.message.is_confirmable()
    }
}

/// What became of a notification or Send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Responsibility is taken: the device is acknowledged.
    Accept,
    /// There is no room: the device hears nothing, and its retransmission counts as new.
    Refuse,
}
