//! What is handed to the endpoint and what it hands back: whole requests and responses, ids.
//!
//! Bodies are complete here; cutting them into blocks and putting them together is the job of
//! [`crate::block`].

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use crate::block::BlockOption;
use crate::time::{Duration, Instant};
use crate::{Code, MessageId, OptionList, Options, Peer, Reliability, Token, Type};

/// A request to be sent, with its whole body.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Method.
    pub code: Code,
    /// Options without Block1, Size1, Request-Tag and (for `observe`) Observe, which the endpoint
    /// adds.
    pub options: OptionList,
    /// Body; leaves in blocks if it is large.
    pub payload: Vec<u8>,
}

impl Request {
    /// A request without options and payload.
    pub const fn new(code: Code) -> Self {
        Self { code, options: OptionList::new(), payload: Vec::new() }
    }
}

/// A response to be sent, with its whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Response code.
    pub code: Code,
    /// Options without Block1, Block2 and Size2, which the endpoint adds.
    pub options: OptionList,
    /// Body; leaves in blocks if it is large.
    pub payload: Vec<u8>,
}

impl Response {
    /// A response without options and payload.
    pub const fn new(code: Code) -> Self {
        Self { code, options: OptionList::new(), payload: Vec::new() }
    }
}

/// A complete request, response or notification that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming<'d> {
    /// Method or response code.
    pub code: Code,
    /// Options; of a body in blocks those of its last block (request) or first block (response).
    pub options: Options<'d>,
    /// The whole body.
    pub payload: Cow<'d, [u8]>,
    /// Token.
    pub token: Token,
    /// Message id.
    pub id: MessageId,
    /// Message type.
    pub kind: Type,
}

impl Incoming<'_> {
    /// The same without the tie to the datagram.
    pub fn into_owned(self) -> Incoming<'static> {
        Incoming {
            code: self.code,
            options: self.options.into_owned(),
            payload: Cow::Owned(self.payload.into_owned()),
            token: self.token,
            id: self.id,
            kind: self.kind,
        }
    }
}

/// How a request is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestOptions {
    /// When to give up, counted from the first transmission and anew from each block that made
    /// progress; `None` means `EndpointConfig::request_timeout`.
    pub deadline_after: Option<Duration>,
    /// Does not wait for its turn under NSTART.
    pub urgent: bool,
    /// Confirmable unless said otherwise.
    pub reliability: Reliability,
}

/// Where a response or the acknowledgement of a notification goes. Opaque; at most 96 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct ReplyTo {
    pub(crate) peer: Peer,
    pub(crate) token: Token,
    pub(crate) id: MessageId,
    pub(crate) kind: Type,
    pub(crate) target: Target,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Request(Asked),
    Notification(ObservationId),
}

/// What a response must know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Place of the peer and serial of the deduplication entry, which is never used again: a place
    /// that has another user by now has no such entry.
    pub(crate) place: u32,
    pub(crate) entry: u32,
    pub(crate) method: Code,
    /// No-Response of RFC 7967, 0 if absent.
    pub(crate) no_response: u8,
    /// Hash of what makes two requests ask for the same thing.
    pub(crate) key: u64,
    /// The Block1 option to be repeated.
    pub(crate) block1: Option<BlockOption>,
    /// The Block2 option that was asked for.
    pub(crate) block2: Option<BlockOption>,
}

impl ReplyTo {
    /// Whether the sender waits for an acknowledgement.
    pub fn is_confirmable(&self) -> bool {
        self.kind == Type::Confirmable
    }

    /// Who is answered.
    pub fn peer(&self) -> Peer {
        self.peer
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyTo({}, {:?}, {:?})", self.peer, self.id, self.token)
    }
}

/// What becomes of a notification (or of a request that is not answered) that was handed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Responsibility is taken: acknowledged, and repeated when the message is.
    Accept,
    /// The message is rejected with Reset; the sender of a notification forgets the observation.
    Reject,
    /// No answer and no memory of it: a retransmission counts as new.
    Refuse,
}

/// Names a request (or notification) of ours until its final event. Never used again within 2^32
/// of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId {
    pub(crate) index: u32,
    pub(crate) serial: u32,
}

/// Names an observation of ours until it is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObservationId {
    pub(crate) slot: u32,
    pub(crate) random: u32,
}

impl ObservationId {
    /// The slot, 24 bits: small and dense, so that it can index a table. Slots are used again, ids
    /// are not.
    pub const fn slot(self) -> u32 {
        self.slot
    }
}

/// What must survive a restart of an observation; plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservationState {
    /// Token.
    pub token: Token,
    /// The last fresh Observe number and when it came.
    pub last: Option<(u32, Instant)>,
    /// Message ids of the last notifications that were acknowledged or taken, and when the last of
    /// them came.
    pub message_ids: Vec<MessageId>,
    /// When the last of `message_ids` came.
    pub heard: Instant,
    /// What was asked, needed to fetch the rest of a notification that comes in blocks.
    pub request: Option<Request>,
}
