//! One datagram as a message and back: RFC 7252 3.
//!
//! Parsing copies nothing and allocates nothing. What a receiver does with a message is the job of
//! [`crate::endpoint`].

use alloc::vec::Vec;

use crate::options::PAYLOAD_MARKER;
use crate::{Code, MessageId, Options, Token, Type};

/// A message, borrowed from its datagram.
#[derive(Clone, Debug, PartialEq)]
pub struct Message<'a> {
    /// Confirmable, non-confirmable, acknowledgement or reset.
    pub kind: Type,
    /// Method or response code.
    pub code: Code,
    /// Message id.
    pub id: MessageId,
    /// Token.
    pub token: Token,
    /// Options.
    pub options: Options<'a>,
    /// Payload; empty means that there is none.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// Says what RFC 7252 3 forbids; [`ParseError::is_silent`] tells what is not even answered.
    #[inline]
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let Some((&[first, code, high, low], rest)) = datagram.split_first_chunk() else {
            return Err(ParseError::Header);
        };
        if first >> 6 != VERSION {
            return Err(ParseError::Version);
        }
        let token_len = usize::from(first & 0x0f);
        if token_len > Token::LEN_MAX {
            return Err(ParseError::TokenLength);
        }
        let code = Code::from_byte(code);
        if code == Code::EMPTY && (token_len != 0 || !rest.is_empty()) {
            return Err(ParseError::NotEmpty);
        }
        let (token, rest) = rest.split_at_checked(token_len).ok_or(ParseError::TokenTruncated)?;
        let (options, payload) = Options::parse(rest)?;
        Ok(Self {
            kind: Type::from_bits(first >> 4),
            code,
            id: MessageId::new(u16::from_be_bytes([high, low])),
            token: Token::new(token).ok_or(ParseError::TokenLength)?,
            options,
            payload,
        })
    }

    /// Appends the datagram to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        write(out, &Head { kind: self.kind, code: self.code, id: self.id, token: self.token });
        out.extend_from_slice(self.options.as_bytes());
        write_payload(out, self.payload);
    }
}

/// What every message starts with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) kind: Type,
    pub(crate) code: Code,
    pub(crate) id: MessageId,
    pub(crate) token: Token,
}

/// Header and token.
pub(crate) fn write(out: &mut Vec<u8>, head: &Head) {
    let [high, low] = head.id.value().to_be_bytes();
    let first = VERSION << 6 | head.kind.bits() << 4 | head.token.len() as u8;
    out.extend_from_slice(&[first, head.code.byte(), high, low]);
    out.extend_from_slice(head.token.as_bytes());
}

/// Marker and payload; neither if the payload is empty.
pub(crate) fn write_payload(out: &mut Vec<u8>, payload: &[u8]) {
    if !payload.is_empty() {
        out.push(PAYLOAD_MARKER);
        out.extend_from_slice(payload);
    }
}

/// Type and message id of a datagram of this protocol version, whatever follows: enough to reject a
/// message that cannot be read.
pub(crate) fn peek(datagram: &[u8]) -> Option<(Type, MessageId)> {
    let (&[first, _, high, low], _) = datagram.split_first_chunk()?;
    (first >> 6 == VERSION)
        .then(|| (Type::from_bits(first >> 4), MessageId::new(u16::from_be_bytes([high, low]))))
}

/// The protocol version of RFC 7252 3.
const VERSION: u8 = 1;

/// What is wrong with a datagram (RFC 7252 3, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ParseError {
    /// Shorter than the four bytes of the header.
    #[error("shorter than the header")]
    Header,
    /// Another protocol version.
    #[error("another protocol version")]
    Version,
    /// A token length of 9 to 15.
    #[error("reserved token length")]
    TokenLength,
    /// The datagram ends inside the token.
    #[error("token cut off")]
    TokenTruncated,
    /// Code 0.00 with a token or with bytes behind the message id.
    #[error("empty message with content")]
    NotEmpty,
    /// A delta or length of 15 that is no payload marker.
    #[error("reserved option delta or length")]
    OptionReserved,
    /// The datagram ends inside an option.
    #[error("option cut off")]
    OptionTruncated,
    /// An option number above 65535.
    #[error("option number above 65535")]
    OptionNumber,
    /// A payload marker with nothing behind it.
    #[error("payload marker without payload")]
    EmptyPayload,
}

impl ParseError {
    /// Whether the datagram is ignored even if it claims to be confirmable: it is no message of
    /// this protocol version.
    pub const fn is_silent(self) -> bool {
        matches!(self, Self::Header | Self::Version)
    }
}
