//! Why a command is not sent: the application's fault, named so that it can be mended.

use lwm2m::PathError;

/// Why a message on a command topic is no command that can be sent (contract, section 3.6).
///
/// Its text is the `reason` of the report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The topic is not one that a device could be addressed by.
    #[error("the topic names no device")]
    NoEndpoint,
    /// The gateway's own message for a device whose name makes it match the command filter.
    #[error("the topic is one that the gateway publishes to")]
    OwnTopic,
    /// Not JSON, or JSON that is no object.
    #[error("the payload is not a JSON object: {0}")]
    NotAnObject(String),
    /// No `msgType` member.
    #[error("msgType is missing")]
    NoMessageType,
    /// A `msgType` that is no string, or of no command.
    #[error("msgType is none of the commands")]
    UnknownMessageType,
    /// No `data` member, or one that is no object.
    #[error("data is missing or no object")]
    NoData,
    /// Longer than `command_payload_max`.
    #[error("the payload has more than {0} bytes")]
    PayloadTooLong(usize),
    /// A Response Topic that must not be published to.
    #[error("the response topic is not allowed")]
    ResponseTopic,
    /// Too much to be repeated with each notification.
    #[error(
        "data and the members to be repeated by each notification have more than {max} bytes",
        max = engine::Origin::OBSERVE_LEN_MAX
    )]
    EchoTooLong,
    /// A member that the command needs is not there.
    #[error("data.{0} is missing")]
    Missing(&'static str),
    /// A member of `data` is of a JSON type that it cannot have, or beyond its limits.
    #[error("data.{member} must be {expected}")]
    Member {
        /// The name of the member.
        member: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A path that is none.
    #[error("data.{member} is no path: {error}")]
    Path {
        /// The name of the member.
        member: &'static str,
        /// What is wrong.
        error: PathError,
    },
    /// A path that leads too high or too deep for the command.
    #[error("data.{member} must have {expected}")]
    PathDepth {
        /// The name of the member.
        member: &'static str,
        /// How many segments it may have.
        expected: &'static str,
    },
    /// A query behind a path that does not fit into Uri-Query options.
    #[error("the query behind the path is too long")]
    Query,
    /// `encoding` is hex and a value is not.
    #[error("value {0}: not hexadecimal")]
    NotHex(usize),
    /// A value that cannot be written.
    #[error("value {item}: {error}")]
    Value {
        /// Which one, from 0.
        item: usize,
        /// What is wrong.
        error: ValueFault,
    },
}

/// What is wrong with one value of a write or create.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueFault {
    /// An element of `content` that is no object.
    #[error("not a JSON object")]
    NotAnObject,
    /// No `type`, or one that is not known. Names are case-sensitive.
    #[error(
        "type must be String, Integer, Unsigned Integer, Float, Boolean, Opaque, Time, Objlnk \
         or Corelnk"
    )]
    Type,
    /// No `value`.
    #[error("value is missing")]
    Missing,
    /// A JSON type or text that the value cannot have.
    #[error("value must be {0}")]
    Mismatch(&'static str),
    /// A number that no device can be sent.
    #[error("value is out of range")]
    Range,
    /// No `path`, or one that does not fit below `basePath`.
    #[error("path does not fit below the path of the command")]
    Path,
}

/// Whether a release of EMQX says so on MQTT (contract, section 3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// No release reports it, and neither do we: there is nobody to report to.
    Always,
    /// Reported with `report = "all"`.
    ByProfile,
    /// EMQX 6.1.1 reports it too.
    Emqx4Only,
}

impl Fault {
    pub(crate) const fn silence(&self) -> Silence {
        match self {
            Self::NoEndpoint | Self::OwnTopic | Self::NotAnObject(_) | Self::NoMessageType => {
                Silence::Always
            }
            Self::UnknownMessageType | Self::NoData | Self::NotHex(_) => Silence::Emqx4Only,
            Self::PayloadTooLong(_)
            | Self::ResponseTopic
            | Self::EchoTooLong
            | Self::Missing(_)
            | Self::Member { .. }
            | Self::Path { .. }
            | Self::PathDepth { .. }
            | Self::Query
            | Self::Value { .. } => Silence::ByProfile,
        }
    }

    /// The name in logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoEndpoint => "no_endpoint",
            Self::OwnTopic => "own_topic",
            Self::NotAnObject(_) => "not_an_object",
            Self::NoMessageType => "no_msg_type",
            Self::UnknownMessageType => "unknown_msg_type",
            Self::NoData => "no_data",
            Self::PayloadTooLong(_) => "payload_too_long",
            Self::ResponseTopic => "response_topic",
            Self::EchoTooLong => "echo_too_long",
            Self::Missing(_) | Self::Member { .. } => "member",
            Self::Path { .. } | Self::PathDepth { .. } | Self::Query => "path",
            Self::NotHex(_) => "not_hex",
            Self::Value { .. } => "value",
        }
    }
}
