//! Message types, codes, message ids and content formats: RFC 7252 3, 12.1, 12.3.
//!
//! How they stand in a datagram is the job of [`crate::message`].

use core::fmt;

/// What kind of message a datagram is (RFC 7252 4.2, 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Wants an acknowledgement, and is sent again until it comes.
    Confirmable,
    /// Fire and forget.
    NonConfirmable,
    /// Acknowledges a confirmable message, perhaps with the answer in it.
    Acknowledgement,
    /// Says that a message could not be processed.
    Reset,
}

impl Type {
    /// The type in the two low bits of `bits`.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0 => Self::Confirmable,
            1 => Self::NonConfirmable,
            2 => Self::Acknowledgement,
            _ => Self::Reset,
        }
    }

    /// The two bits of the header field.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Confirmable => 0,
            Self::NonConfirmable => 1,
            Self::Acknowledgement => 2,
            Self::Reset => 3,
        }
    }
}

/// Whether a message that we start is confirmable (RFC 7252 4.2, 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reliability {
    /// Sent again until it is acknowledged.
    #[default]
    Confirmable,
    /// Sent once.
    NonConfirmable,
}

/// Method or response code, `class.detail` (RFC 7252 3, 12.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u8);

impl Code {
    /// 0.00: an empty message.
    pub const EMPTY: Self = Self::new(0, 0);
    /// 0.01
    pub const GET: Self = Self::new(0, 1);
    /// 0.02
    pub const POST: Self = Self::new(0, 2);
    /// 0.03
    pub const PUT: Self = Self::new(0, 3);
    /// 0.04
    pub const DELETE: Self = Self::new(0, 4);
    /// 0.05 (RFC 8132)
    pub const FETCH: Self = Self::new(0, 5);
    /// 0.06 (RFC 8132)
    pub const PATCH: Self = Self::new(0, 6);
    /// 0.07 (RFC 8132)
    pub const IPATCH: Self = Self::new(0, 7);
    /// 2.01
    pub const CREATED: Self = Self::new(2, 1);
    /// 2.02
    pub const DELETED: Self = Self::new(2, 2);
    /// 2.03
    pub const VALID: Self = Self::new(2, 3);
    /// 2.04
    pub const CHANGED: Self = Self::new(2, 4);
    /// 2.05
    pub const CONTENT: Self = Self::new(2, 5);
    /// 2.31 (RFC 7959)
    pub const CONTINUE: Self = Self::new(2, 31);
    /// 4.00
    pub const BAD_REQUEST: Self = Self::new(4, 0);
    /// 4.01
    pub const UNAUTHORIZED: Self = Self::new(4, 1);
    /// 4.02
    pub const BAD_OPTION: Self = Self::new(4, 2);
    /// 4.03
    pub const FORBIDDEN: Self = Self::new(4, 3);
    /// 4.04
    pub const NOT_FOUND: Self = Self::new(4, 4);
    /// 4.05
    pub const METHOD_NOT_ALLOWED: Self = Self::new(4, 5);
    /// 4.06
    pub const NOT_ACCEPTABLE: Self = Self::new(4, 6);
    /// 4.08 (RFC 7959)
    pub const REQUEST_ENTITY_INCOMPLETE: Self = Self::new(4, 8);
    /// 4.09 (RFC 8132)
    pub const CONFLICT: Self = Self::new(4, 9);
    /// 4.12
    pub const PRECONDITION_FAILED: Self = Self::new(4, 12);
    /// 4.13
    pub const REQUEST_ENTITY_TOO_LARGE: Self = Self::new(4, 13);
    /// 4.15
    pub const UNSUPPORTED_CONTENT_FORMAT: Self = Self::new(4, 15);
    /// 4.22 (RFC 8132)
    pub const UNPROCESSABLE_ENTITY: Self = Self::new(4, 22);
    /// 4.29 (RFC 8516)
    pub const TOO_MANY_REQUESTS: Self = Self::new(4, 29);
    /// 5.00
    pub const INTERNAL_SERVER_ERROR: Self = Self::new(5, 0);
    /// 5.01
    pub const NOT_IMPLEMENTED: Self = Self::new(5, 1);
    /// 5.02
    pub const BAD_GATEWAY: Self = Self::new(5, 2);
    /// 5.03
    pub const SERVICE_UNAVAILABLE: Self = Self::new(5, 3);
    /// 5.04
    pub const GATEWAY_TIMEOUT: Self = Self::new(5, 4);
    /// 5.05
    pub const PROXYING_NOT_SUPPORTED: Self = Self::new(5, 5);

    /// The code `class.detail`; only the low three and five bits count.
    pub const fn new(class: u8, detail: u8) -> Self {
        Self((class & 0b111) << 5 | detail & 0b1_1111)
    }

    /// The code of a header byte.
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The header byte.
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// The digit before the dot.
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// The two digits behind the dot.
    pub const fn detail(self) -> u8 {
        self.0 & 0b1_1111
    }

    /// A method, known or not: 0.01 to 0.31.
    pub const fn is_request(self) -> bool {
        self.class() == 0 && self.detail() != 0
    }

    /// A response: class 2, 4 or 5.
    pub const fn is_response(self) -> bool {
        matches!(self.class(), 2 | 4 | 5)
    }

    /// A response of class 2.
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }

    /// A method that changes nothing, so that it may be run again (RFC 7252 5.1, RFC 8132).
    pub const fn is_safe_method(self) -> bool {
        matches!(self, Self::GET | Self::FETCH)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.detail())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Tells the messages between two peers apart for a while (RFC 7252 4.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u16);

impl MessageId {
    /// The message id of a header field.
    pub const fn new(id: u16) -> Self {
        Self(id)
    }

    /// The header field.
    pub const fn value(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mid {:#06x}", self.0)
    }
}

/// A Content-Format or Accept number (RFC 7252 12.3 and the IANA registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentFormat(pub u16);

impl ContentFormat {
    /// `text/plain;charset=utf-8`
    pub const TEXT: Self = Self(0);
    /// `application/link-format`
    pub const LINK: Self = Self(40);
    /// `application/octet-stream`
    pub const OCTETS: Self = Self(42);
    /// `application/cbor`
    pub const CBOR: Self = Self(60);
    /// `application/senml+json`
    pub const SENML_JSON: Self = Self(110);
    /// `application/senml+cbor`
    pub const SENML_CBOR: Self = Self(112);
    /// `application/vnd.oma.lwm2m+tlv`
    pub const TLV: Self = Self(11542);
    /// `application/vnd.oma.lwm2m+json`
    pub const JSON: Self = Self(11543);
    /// `application/vnd.oma.lwm2m+cbor`
    pub const LWM2M_CBOR: Self = Self(11544);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_print_as_class_dot_detail() {
        assert_eq!(Code::CONTENT.to_string(), "2.05");
        assert_eq!(Code::from_byte(0x8d).to_string(), "4.13");
        assert_eq!(Code::EMPTY.to_string(), "0.00");
    }

    #[test]
    fn requests_responses_and_reserved_classes_are_told_apart() {
        assert!(Code::GET.is_request() && Code::new(0, 31).is_request());
        assert!(!Code::EMPTY.is_request() && !Code::EMPTY.is_response());
        assert!(Code::CONTENT.is_response() && Code::CONTENT.is_success());
        assert!(Code::NOT_FOUND.is_response() && !Code::NOT_FOUND.is_success());
        for class in [1, 3, 6, 7] {
            let code = Code::new(class, 1);
            assert!(!code.is_request() && !code.is_response());
        }
    }

    #[test]
    fn types_survive_their_bits() {
        for bits in 0..4 {
            assert_eq!(Type::from_bits(bits).bits(), bits);
        }
    }
}
