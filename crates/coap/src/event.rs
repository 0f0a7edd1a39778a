//! What the endpoint tells its owner.

use crate::{ExchangeId, Incoming, MessageId, ObservationId, Peer, ReplyTo};

/// Something happened that the owner of the endpoint has to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'d> {
    /// A new and complete request. Repetitions never come up: they are answered from memory.
    Request {
        /// Who asks.
        peer: Peer,
        /// Where the answer goes.
        reply_to: ReplyTo,
        /// What is asked.
        request: Incoming<'d>,
    },
    /// An empty acknowledgement came. For a request: interim, at most once. For a notification sent
    /// by `notify`: final.
    Acked {
        /// The exchange.
        exchange: ExchangeId,
    },
    /// The final answer to a request. A separate response was acknowledged already.
    Response {
        /// The exchange, which has ended.
        exchange: ExchangeId,
        /// Where the answer came from.
        peer: Peer,
        /// The answer.
        response: Incoming<'d>,
    },
    /// The peer rejected the message; final.
    Reset {
        /// The exchange, which has ended.
        exchange: ExchangeId,
    },
    /// No answer in time; final.
    TimedOut {
        /// The exchange, which has ended.
        exchange: ExchangeId,
        /// Whether the peer acknowledged the request at least.
        acked: bool,
    },
    /// The exchange could not be completed; final.
    Failed {
        /// The exchange, which has ended.
        exchange: ExchangeId,
        /// Why.
        reason: ExchangeFailure,
    },
    /// A notification, complete. A confirmable one is not acknowledged before
    /// `Endpoint::complete`. Repetitions never come up.
    Notification {
        /// The observation.
        observation: ObservationId,
        /// Where it came from.
        peer: Peer,
        /// To be completed if confirmable; completing another one does nothing.
        reply_to: ReplyTo,
        /// What is notified.
        response: Incoming<'d>,
        /// Its place among the others.
        freshness: Freshness,
    },
    /// Something was refused, ignored or given up; for logs and counters.
    Noted(Note),
}

impl Event<'_> {
    /// The same without the tie to the datagram.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Event::Request { peer, reply_to, request } => {
                Event::Request { peer, reply_to, request: request.into_owned() }
            }
            Event::Acked { exchange } => Event::Acked { exchange },
            Event::Response { exchange, peer, response } => {
                Event::Response { exchange, peer, response: response.into_owned() }
            }
            Event::Reset { exchange } => Event::Reset { exchange },
            Event::TimedOut { exchange, acked } => Event::TimedOut { exchange, acked },
            Event::Failed { exchange, reason } => Event::Failed { exchange, reason },
            Event::Notification { observation, peer, reply_to, response, freshness } => {
                let response = response.into_owned();
                Event::Notification { observation, peer, reply_to, response, freshness }
            }
            Event::Noted(note) => Event::Noted(note),
        }
    }
}

/// Place of a notification among those before it (RFC 7641 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// Newer than every one before.
    Fresh,
    /// Its Observe number is not newer than that of one before.
    Stale,
    /// It carries no Observe number.
    NoNumber,
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ExchangeFailure {
    /// The body of the answer is above the limit.
    #[error("the answer is larger than the limit")]
    BodyTooLarge,
    /// Blocks do not fit together, even after a second try.
    #[error("the blocks do not fit together")]
    BlockMismatch,
    /// The answer carries a critical option that is not understood (RFC 7252 5.4.1).
    #[error("the answer has a critical option that is not understood")]
    UnknownCriticalOption,
    /// All 2^24 token slots are in use.
    #[error("no token is free")]
    NoToken,
    /// The observation does not exist (any more).
    #[error("no such observation")]
    NoObservation,
    /// The request cannot be put into one datagram (its options are too long).
    #[error("the request does not fit a datagram")]
    TooLong,
}

/// Something that the endpoint refused, ignored or gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Who sent what is noted.
    pub peer: Peer,
    /// What happened.
    pub kind: NoteKind,
    /// The first bytes of the datagram.
    pub evidence: Evidence,
}

/// The first bytes of a datagram: header, token and the beginning of the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Evidence {
    bytes: [u8; Self::LEN_MAX],
    len: u8,
}

impl Evidence {
    /// Enough to tell messages apart, little enough for a note per datagram.
    pub const LEN_MAX: usize = 23;

    /// The beginning of a datagram.
    pub fn of(datagram: &[u8]) -> Self {
        let mut bytes = [0; Self::LEN_MAX];
        let len = datagram.len().min(Self::LEN_MAX);
        for (to, from) in bytes.iter_mut().zip(datagram) {
            *to = *from;
        }
        Self { bytes, len: len as u8 }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }
}

/// What a [`Note`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoteKind {
    /// A datagram that is no message; rejected with Reset if confirmable.
    FormatError(crate::ParseError),
    /// A message that makes no sense (a reserved code class, an acknowledgement that asks).
    Nonsense,
    /// A response or notification with a token that nobody waits for.
    UnknownToken,
    /// A request with a critical option that is unknown, repeated or of a wrong length.
    BadOption(crate::OptionNumber),
    /// A request to be forwarded to another server (5.05).
    ProxyRequest,
    /// A request in blocks above the limit (4.13).
    BodyTooLarge,
    /// A request in blocks for which there is no room (5.03).
    NoRoomForBody,
    /// A block that does not follow the one before (4.08, or 4.00 for a bad size).
    BlockMismatch,
    /// A block-wise request that was never completed.
    BodyGivenUp,
    /// The rest of a notification could not be fetched.
    FetchGivenUp,
    /// An answer was not sent: three times what an unproven peer sent is used up.
    Amplification,
    /// A message of ours was rejected by the peer with Reset.
    ResetReceived(MessageId),
    /// A separate response of ours was never acknowledged.
    ResponseGivenUp,
}

impl NoteKind {
    /// The name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FormatError(_) => "format_error",
            Self::Nonsense => "nonsense",
            Self::UnknownToken => "unknown_token",
            Self::BadOption(_) => "bad_option",
            Self::ProxyRequest => "proxy_request",
            Self::BodyTooLarge => "body_too_large",
            Self::NoRoomForBody => "no_room_for_body",
            Self::BlockMismatch => "block_mismatch",
            Self::BodyGivenUp => "body_given_up",
            Self::FetchGivenUp => "fetch_given_up",
            Self::Amplification => "amplification",
            Self::ResetReceived(_) => "reset_received",
            Self::ResponseGivenUp => "response_given_up",
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn a_note_is_named_as_its_kind_in_snake_case() {
        for kind in [
            NoteKind::FormatError(crate::ParseError::Header),
            NoteKind::Nonsense,
            NoteKind::UnknownToken,
            NoteKind::BadOption(crate::OptionNumber::BLOCK1),
            NoteKind::ProxyRequest,
            NoteKind::BodyTooLarge,
            NoteKind::NoRoomForBody,
            NoteKind::BlockMismatch,
            NoteKind::BodyGivenUp,
            NoteKind::FetchGivenUp,
            NoteKind::Amplification,
            NoteKind::ResetReceived(MessageId::new(1)),
            NoteKind::ResponseGivenUp,
        ] {
            let printed = format!("{kind:?}");
            let variant = printed.split('(').next().unwrap_or_default();
            assert_eq!(kind.name().replace('_', ""), variant.to_ascii_lowercase());
        }
    }
}
