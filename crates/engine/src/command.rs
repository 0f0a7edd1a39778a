//! What enters the engine from above, [`Command`], and how it ends: [`Answer`] or [`CommandError`].

use core::fmt;
use std::sync::Arc;

use coap::{Code, Duration, Instant};
use lwm2m::{EndpointName, Format, Operation};

/// Who asked for something: opaque to the engine, handed back with every outcome.
///
/// Observations of the same origin share one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin(Arc<[u8]>);

impl Origin {
    /// The longest origin that an observation keeps, in bytes. A million observations with an
    /// origin of their own of this size are 512 MB: half of what a device may cost.
    pub const OBSERVE_LEN_MAX: usize = 512;

    /// An origin of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes as they were given.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) const fn shared(bytes: Arc<[u8]>) -> Self {
        Self(bytes)
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({})", self.0.escape_ascii())
    }
}

impl From<Vec<u8>> for Origin {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

/// Whether a command waits for those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Priority {
    /// In its turn.
    #[default]
    Normal,
    /// At once, whatever else is in flight. It wakes no sleeper.
    Urgent,
}

/// One operation for one device.
#[derive(Clone, Debug)]
pub struct Command {
    /// The device.
    pub endpoint: EndpointName,
    /// What it is to do.
    pub operation: Operation,
    /// Uri-Query options beyond those of the operation.
    pub query: Vec<String>,
    /// Handed back with every outcome.
    pub origin: Origin,
    /// The longest wait for the answer from the first transmission; `None`: `command_timeout`.
    pub timeout: Option<Duration>,
    /// When the command is of no use any more if it still waits; not later than the queue's `age`
    /// from now.
    pub expires: Option<Instant>,
    /// Whether it waits for its turn.
    pub priority: Priority,
}

impl Command {
    /// A command with nothing but what it must have.
    #[must_use]
    pub fn new(endpoint: EndpointName, operation: Operation, origin: Origin) -> Self {
        let (query, timeout, expires) = (Vec::new(), None, None);
        Self { endpoint, operation, query, origin, timeout, expires, priority: Priority::Normal }
    }
}

/// A command that was not accepted: no [`crate::event::CommandFinished`] follows.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// The command as it was given.
    pub command: Box<Command>,
    /// Why.
    pub reason: CommandError,
}

/// The final answer of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The response code, as it came.
    pub code: Code,
    /// The Content-Format; `None` when it was missing.
    pub format: Option<Format>,
    /// The payload, not decoded.
    pub body: Vec<u8>,
    /// The Observe option; `None` when it was missing.
    pub observe: Option<u32>,
    /// For an accepted observe: `observe`, or the made-up number that the observation starts from.
    pub sequence: Option<u32>,
    /// The Location-Path with `/` before each segment; empty when there was none (OMA Core 6.3.6).
    pub location: String,
}

/// Why a command ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The device answered with Reset.
    #[error("the device sent a reset")]
    Reset,
    /// No answer in time.
    #[error("the device did not answer in time")]
    Timeout {
        /// Whether it said that it has the command.
        acked: bool,
    },
    /// The answer was unusable: a block-wise transfer that failed.
    #[error("the answer could not be put together: {0}")]
    Transfer(coap::ExchangeFailure),
    /// It waited longer than it wanted to.
    #[error("the command expired in the queue")]
    Expired,
    /// The device's queue has no room.
    #[error("the queue of the device is full")]
    QueueFull,
    /// The device deregistered, was kicked, or its lifetime passed.
    #[error("the device deregistered")]
    Deregistered,
    /// The lifetime passed.
    #[error("the registration expired")]
    RegistrationExpired,
    /// The device registered again while the command was in flight.
    #[error("the registration was replaced")]
    Replaced,
    /// No device of that name is registered here.
    #[error("no such device is registered")]
    UnknownDevice,
    /// The gateway stops, and there is no store that could keep the command.
    #[error("the gateway stops")]
    Stopping,
    /// The device has no composite operations: it said so by this code, or was silent once in this
    /// registration.
    #[error("the device does not support composite operations")]
    CompositeUnsupported(Option<Code>),
    /// The operation cannot be carried out, or its content not be written in the format.
    #[error("{0}")]
    Unsupported(String),
}

impl CommandError {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Timeout { .. } => "timeout",
            Self::Transfer(_) => "transfer_failed",
            Self::Expired => "expired",
            Self::QueueFull => "queue_full",
            Self::Deregistered => "deregistered",
            Self::RegistrationExpired => "registration_expired",
            Self::Replaced => "replaced",
            Self::UnknownDevice => "unknown_device",
            Self::Stopping => "stopping",
            Self::CompositeUnsupported(_) => "composite_unsupported",
            Self::Unsupported(_) => "unsupported",
        }
    }
}
