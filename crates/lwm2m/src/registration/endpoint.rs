//! Endpoint names: OMA Core 6.2.1, with the limits that MQTT topics and CoAP options set.

use core::borrow::Borrow;
use core::fmt;
use std::sync::Arc;

/// The longest endpoint name in bytes: a Uri-Query option holds 255 (RFC 7252 5.10), of which `ep=`
/// takes three.
pub const ENDPOINT_NAME_LEN_MAX: usize = 252;

/// The name by which a device is known: it is unique, and part of MQTT topics.
///
/// Cheap to clone; the text is stored once.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointName(Arc<str>);

impl EndpointName {
    /// Takes 1 to [`ENDPOINT_NAME_LEN_MAX`] bytes without `+`, `#`, control characters, and without
    /// `/` at either end.
    ///
    /// `+` and `#` are wildcards of MQTT filters: a device of that name would get the commands of
    /// all.
    pub fn parse(name: &str) -> Result<Self, EndpointNameError> {
        if name.is_empty() {
            return Err(EndpointNameError::Empty);
        }
        if name.len() > ENDPOINT_NAME_LEN_MAX {
            return Err(EndpointNameError::TooLong);
        }
        if name.contains(['+', '#']) {
            return Err(EndpointNameError::Wildcard);
        }
        if name.contains(char::is_control) {
            return Err(EndpointNameError::Control);
        }
        if name.starts_with('/') || name.ends_with('/') {
            return Err(EndpointNameError::SlashAtEnd);
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shared text, for holders that want to keep it without this type.
    pub fn as_arc(&self) -> &Arc<str> {
        &self.0
    }
}

impl AsRef<str> for EndpointName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Lets maps keyed by endpoint name be asked with a `&str`.
impl Borrow<str> for EndpointName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointName({:?})", &*self.0)
    }
}

/// Why a text is not an [`EndpointName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointNameError {
    /// No bytes at all.
    #[error("an endpoint name must not be empty")]
    Empty,
    /// More than [`ENDPOINT_NAME_LEN_MAX`] bytes.
    #[error("an endpoint name has at most {ENDPOINT_NAME_LEN_MAX} bytes")]
    TooLong,
    /// `+` or `#`.
    #[error("an endpoint name must not contain + or #")]
    Wildcard,
    /// NUL or another control character.
    #[error("an endpoint name must not contain control characters")]
    Control,
    /// `/` at the beginning or the end.
    #[error("an endpoint name must not begin or end with /")]
    SlashAtEnd,
}
