//! One message of ours that waits for something: a request for its answer, a separate response or
//! notification for its acknowledgement: RFC 7252 4.2, 5.2, 5.3.
//!
//! Sending, repeating and matching is the job of [`crate::endpoint`].

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::block::{BlockOption, BlockSize};
use crate::body::{Fetching, Sending};
use crate::message::{self, Head};
use crate::time::{Duration, Instant};
use crate::{
    Code, Freshness, Incoming, MessageId, ObservationId, OptionNumber, Peer, Reliability, ReplyTo,
    Request, Token, Type,
};

/// A message on its way, or waiting to be sent.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Tells it from an earlier user of its place.
    pub(crate) serial: u32,
    pub(crate) peer: Peer,
    pub(crate) role: Role,
    pub(crate) phase: Phase,
    pub(crate) id: MessageId,
    /// The message as it was sent.
    pub(crate) datagram: Vec<u8>,
    pub(crate) reliability: Reliability,
    pub(crate) turn: Turn,
    pub(crate) deadline_after: Duration,
    /// `None` until the first transmission.
    pub(crate) deadline: Option<Instant>,
    /// The earliest timer that is set for it.
    pub(crate) timer: Option<Instant>,
}

/// Whether it waits for its turn under NSTART (RFC 7252 4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    InOrder,
    AtOnce,
}

/// What the message is for.
#[derive(Debug)]
pub(crate) enum Role {
    /// A request.
    Ask(Box<Ask>),
    /// A separate response, of which nothing is reported.
    Answer,
    /// A notification, of which the end is reported.
    Notify,
}

/// How far it has come (RFC 7252 4.2, 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not sent.
    Waiting,
    /// Confirmable and not acknowledged: sent again at `at`.
    Unacked { attempt: u8, timeout: Duration, at: Instant },
    /// Confirmable, not acknowledged and not sent again: an answer is taken until then.
    Unheard { until: Instant },
    /// Acknowledged: the separate response is waited for.
    Acked,
    /// Non-confirmable and sent.
    Sent,
}

impl Phase {
    /// Whether it counts against NSTART.
    pub(crate) const fn is_outstanding(self) -> bool {
        matches!(self, Self::Unacked { .. } | Self::Unheard { .. } | Self::Sent)
    }
}

/// A request and how far its bodies have come.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) token: Token,
    /// The slot of the token, if it is not that of an observation.
    pub(crate) slot: Option<u32>,
    pub(crate) purpose: Purpose,
    pub(crate) request: Arc<Request>,
    /// The request body, if it leaves in blocks.
    pub(crate) sending: Option<Sending>,
    /// The response body, if it comes in blocks.
    pub(crate) fetching: Option<Fetching>,
    /// The block to ask for.
    pub(crate) wanted: Option<BlockOption>,
    /// What came before the acknowledgement and may be the answer or a notification.
    pub(crate) early: Option<Box<Early>>,
    /// Whether the empty acknowledgement was reported.
    pub(crate) acked_told: bool,
}

/// A message with an observation's token whose meaning is not clear yet.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) peer: Peer,
    pub(crate) message: Incoming<'static>,
}

/// Why the request is made.
#[derive(Debug)]
pub(crate) enum Purpose {
    Plain,
    /// The first time that this observation is asked for.
    Observe(ObservationId),
    /// Asked for again.
    Reobserve(ObservationId),
    Cancel(ObservationId),
    /// The rest of a notification.
    Fetch(Box<Fetch>),
}

/// The notification whose rest is fetched.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) observation: ObservationId,
    pub(crate) reply_to: ReplyTo,
    pub(crate) freshness: Freshness,
}

impl Purpose {
    /// The observation that this request asks for or cancels.
    pub(crate) const fn observation(&self) -> Option<ObservationId> {
        match self {
            Self::Plain | Self::Fetch(_) => None,
            Self::Observe(id) | Self::Reobserve(id) | Self::Cancel(id) => Some(*id),
        }
    }

    /// The Observe option of the request (RFC 7641 2, 3.6).
    const fn observe(&self) -> Option<u64> {
        match self {
            Self::Plain | Self::Fetch(_) => None,
            Self::Observe(_) | Self::Reobserve(_) => Some(0),
            Self::Cancel(_) => Some(1),
        }
    }
}

impl Exchange {
    pub(crate) fn ask(&self) -> Option<&Ask> {
        match &self.role {
            Role::Ask(ask) => Some(ask),
            Role::Answer | Role::Notify => None,
        }
    }

    /// Whether its next message is a block of a body of ours.
    pub(crate) fn is_sending(&self) -> bool {
        self.ask().is_some_and(|ask| ask.sending.is_some())
    }

    pub(crate) fn ask_mut(&mut self) -> Option<&mut Ask> {
        match &mut self.role {
            Role::Ask(ask) => Some(ask),
            Role::Answer | Role::Notify => None,
        }
    }

    /// When its message left for the last time as a new one, repetitions apart.
    pub(crate) fn launched(&self) -> Option<Instant> {
        self.deadline.map(|deadline| deadline - self.deadline_after)
    }

    /// When something is due, if it was sent.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Unacked { at, .. } | Phase::Unheard { until: at } => {
                Some(self.deadline.map_or(at, |deadline| deadline.min(at)))
            }
            Phase::Waiting | Phase::Acked | Phase::Sent => self.deadline,
        }
    }

    /// Puts the message with its id into `datagram`.
    pub(crate) fn encode(&mut self, id: MessageId, size_max: BlockSize) {
        self.id = id;
        let kind = match self.reliability {
            Reliability::Confirmable => Type::Confirmable,
            Reliability::NonConfirmable => Type::NonConfirmable,
        };
        match &self.role {
            Role::Ask(ask) => {
                self.datagram.clear();
                ask.encode(kind, id, size_max, &mut self.datagram);
            }
            Role::Answer | Role::Notify => {
                if let Some(field) = self.datagram.get_mut(2..4) {
                    field.copy_from_slice(&id.value().to_be_bytes());
                }
            }
        }
    }
}

impl Ask {
    pub(crate) fn new(purpose: Purpose, request: Arc<Request>, token: Token) -> Self {
        Self {
            token,
            slot: None,
            purpose,
            request,
            sending: None,
            fetching: None,
            wanted: None,
            early: None,
            acked_told: false,
        }
    }

    fn encode(&self, kind: Type, id: MessageId, size_max: BlockSize, out: &mut Vec<u8>) {
        let Request { code, options, payload } = &*self.request;
        message::write(out, &Head { kind, code: *code, id, token: self.token });
        let (wanted, body) = (self.wanted_block(size_max), self.body(size_max));
        // Nothing of its own to add: the caller's options are copied as they are.
        if wanted.is_none() && self.sending.is_none() && self.purpose.observe().is_none() {
            out.extend_from_slice(options.as_bytes());
            return message::write_payload(out, body);
        }
        let mut options = options.clone();
        // The rest of a body is asked for without Observe (RFC 7959 2.6).
        if let Some(observe) = self.purpose.observe().filter(|_| self.fetching.is_none()) {
            options.replace_uint(OptionNumber::OBSERVE, observe);
        }
        if let Some(block) = wanted {
            options.replace_uint(OptionNumber::BLOCK2, block.value());
        }
        if let Some(sending) = &self.sending {
            options.replace_uint(OptionNumber::BLOCK1, sending.block().0.value());
            if sending.is_first() {
                options.replace_uint(OptionNumber::SIZE1, payload.len() as u64);
            }
            if let Some(tag) = sending.tag {
                options.push(OptionNumber::REQUEST_TAG, &tag.to_be_bytes());
            }
        }
        out.extend_from_slice(options.as_bytes());
        message::write_payload(out, body);
    }

    /// The block to ask for; smaller blocks than usual are negotiated early (RFC 7959 2.4).
    fn wanted_block(&self, size_max: BlockSize) -> Option<BlockOption> {
        let early = size_max < BlockSize::MAX
            && self.request.code.is_safe_method()
            && self.request.options.options().first(OptionNumber::BLOCK2).is_none();
        let first = BlockOption { number: 0, more: false, size: size_max };
        self.wanted.or(early.then_some(first))
    }

    /// The bytes that this message carries. A FETCH is asked again for each block with its body,
    /// which is part of the question; other bodies, and those that left in blocks themselves, were
    /// taken already (RFC 7959 2.7).
    fn body(&self, size_max: BlockSize) -> &[u8] {
        let Request { code, payload, .. } = &*self.request;
        let taken = *code != Code::FETCH || payload.len() > size_max.bytes();
        match &self.sending {
            Some(sending) => payload.get(sending.block().1).unwrap_or_default(),
            None if self.fetching.is_some() && taken => &[],
            None => payload,
        }
    }
}
