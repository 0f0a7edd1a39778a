//! Why a payload cannot be decoded or encoded.

use crate::{Format, Path};

/// Why the payload of a device was refused: the device's fault, except for the policy's two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A Content-Format that carries no values, or that nobody knows.
    #[error("content format {0} cannot be decoded")]
    UnsupportedFormat(Format),
    /// No bytes at all, in a format where not even nothing is written so.
    #[error("the payload is empty")]
    Empty,
    /// The payload ends in the middle of something.
    #[error("the payload is cut short")]
    Truncated,
    /// The payload breaks the rules of its format.
    #[error("malformed payload: {0}")]
    Malformed(&'static str),
    /// The payload does not fit what was asked for.
    #[error("the payload does not fit the path {0} of the request")]
    Unfitting(Path),
    /// More than [`super::READINGS_MAX`] values.
    #[error("the payload holds too many values")]
    TooMany,
    /// A value without a definition, while [`super::UnknownPolicy::Reject`] is on.
    #[error("there is no definition of {0}")]
    Undefined(Path),
    /// A value that does not fit its definition, while [`super::UnknownPolicy::Reject`] is on.
    #[error("the value of {0} does not fit its definition")]
    BadValue(Path),
}

/// Why readings cannot be written in a format: the caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A Content-Format that carries no values, or that nobody knows.
    #[error("content format {0} cannot be encoded")]
    UnsupportedFormat(Format),
    /// A reading that is not below the path of the request.
    #[error("{0} is outside of the path of the request")]
    OutsideBase(Path),
    /// The format holds one value, at the path of the request.
    #[error("the format holds exactly one value, of the resource that is asked for")]
    NotOneValue,
    /// A path that leads to no resource, or to a resource and to one of its instances at once.
    #[error("{0} cannot be written in this format")]
    Unfitting(Path),
    /// JSON has no infinity and no NaN.
    #[error("the value of {0} is not a finite number")]
    NotFinite(Path),
    /// TLV counts at most 16 777 215 bytes.
    #[error("the value of {0} is too long")]
    TooLong(Path),
}
