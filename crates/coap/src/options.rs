//! Options as they stand in a message: RFC 7252 3.1, 5.10 and the registry of option numbers.
//!
//! [`Options`] reads validated wire bytes without copying. Building them is the job of
//! [`crate::option_list`], which of them a receiver accepts that of [`crate::option_rules`].

use alloc::borrow::Cow;
use core::fmt;

use crate::{ContentFormat, OptionList, ParseError};

/// Number of an option (RFC 7252 12.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OptionNumber(pub u16);

impl OptionNumber {
    /// If-Match
    pub const IF_MATCH: Self = Self(1);
    /// Uri-Host
    pub const URI_HOST: Self = Self(3);
    /// ETag
    pub const ETAG: Self = Self(4);
    /// If-None-Match
    pub const IF_NONE_MATCH: Self = Self(5);
    /// Observe (RFC 7641)
    pub const OBSERVE: Self = Self(6);
    /// Uri-Port
    pub const URI_PORT: Self = Self(7);
    /// Location-Path
    pub const LOCATION_PATH: Self = Self(8);
    /// Uri-Path
    pub const URI_PATH: Self = Self(11);
    /// Content-Format
    pub const CONTENT_FORMAT: Self = Self(12);
    /// Max-Age
    pub const MAX_AGE: Self = Self(14);
    /// Uri-Query
    pub const URI_QUERY: Self = Self(15);
    /// Accept
    pub const ACCEPT: Self = Self(17);
    /// Location-Query
    pub const LOCATION_QUERY: Self = Self(20);
    /// Block2 (RFC 7959)
    pub const BLOCK2: Self = Self(23);
    /// Block1 (RFC 7959)
    pub const BLOCK1: Self = Self(27);
    /// Size2 (RFC 7959)
    pub const SIZE2: Self = Self(28);
    /// Proxy-Uri
    pub const PROXY_URI: Self = Self(35);
    /// Proxy-Scheme
    pub const PROXY_SCHEME: Self = Self(39);
    /// Size1
    pub const SIZE1: Self = Self(60);
    /// Echo (RFC 9175)
    pub const ECHO: Self = Self(252);
    /// No-Response (RFC 7967)
    pub const NO_RESPONSE: Self = Self(258);
    /// Request-Tag (RFC 9175)
    pub const REQUEST_TAG: Self = Self(292);

    /// Whether a receiver that does not know it must refuse the message (RFC 7252 5.4.1).
    pub const fn is_critical(self) -> bool {
        self.0 & 1 == 1
    }
}

impl fmt::Debug for OptionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "option {}", self.0)
    }
}

/// The options of a message: validated wire bytes, borrowed from the datagram or owned.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Options<'a> {
    wire: Cow<'a, [u8]>,
}

impl<'a> Options<'a> {
    /// No options.
    pub const EMPTY: Options<'static> = Options { wire: Cow::Borrowed(&[]) };

    /// Splits `bytes`, which follow the token, into options and payload.
    ///
    /// # Errors
    /// Whatever RFC 7252 3.1 calls a message format error.
    #[inline]
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let mut rest = bytes;
        let mut number = 0u32;
        while let Some((&head, behind)) = rest.split_first() {
            if head == PAYLOAD_MARKER {
                if behind.is_empty() {
                    return Err(ParseError::EmptyPayload);
                }
                let options = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
                return Ok((Self { wire: Cow::Borrowed(options) }, behind));
            }
            let (delta, len, behind) = option_head(head, behind)?;
            number += delta;
            if number > u32::from(u16::MAX) {
                return Err(ParseError::OptionNumber);
            }
            rest = behind.get(len as usize..).ok_or(ParseError::OptionTruncated)?;
        }
        Ok((Self { wire: Cow::Borrowed(bytes) }, &[]))
    }

    /// The bytes of an [`OptionList`].
    pub(crate) fn from_wire(wire: Cow<'a, [u8]>) -> Self {
        Self { wire }
    }

    /// The bytes as they stand in a message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.wire
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.wire.is_empty()
    }

    /// The same options without the tie to the datagram.
    pub fn into_owned(self) -> Options<'static> {
        Options { wire: Cow::Owned(self.wire.into_owned()) }
    }

    /// A list that can be changed.
    pub fn to_list(&self) -> OptionList {
        self.iter().fold(OptionList::new(), |list, (number, value)| list.with(number, value))
    }

    /// All options in the order of their numbers.
    #[inline]
    pub fn iter(&self) -> OptionsIter<'_> {
        OptionsIter::over(&self.wire)
    }

    /// The value of the first option of that number.
    pub fn first(&self, number: OptionNumber) -> Option<&[u8]> {
        self.all(number).next()
    }

    /// The values of all options of that number, in order.
    pub fn all(&self, number: OptionNumber) -> impl Iterator<Item = &[u8]> + Clone + '_ {
        self.iter()
            .skip_while(move |(found, _)| *found < number)
            .take_while(move |(found, _)| *found == number)
            .map(|(_, value)| value)
    }

    /// The first option of that number as an unsigned integer of at most `len_max` bytes; an
    /// over-long value counts as absent (RFC 7252 5.4.3).
    pub fn uint(&self, number: OptionNumber, len_max: usize) -> Option<u32> {
        self.first(number).filter(|value| value.len() <= len_max.min(4)).map(uint)
    }

    /// The segments of the Uri-Path.
    pub fn uri_path(&self) -> impl Iterator<Item = &[u8]> + Clone + '_ {
        self.all(OptionNumber::URI_PATH)
    }

    /// The arguments of the Uri-Query.
    pub fn uri_query(&self) -> impl Iterator<Item = &[u8]> + Clone + '_ {
        self.all(OptionNumber::URI_QUERY)
    }

    /// The segments of the Location-Path.
    pub fn location_path(&self) -> impl Iterator<Item = &[u8]> + Clone + '_ {
        self.all(OptionNumber::LOCATION_PATH)
    }

    /// Content-Format.
    pub fn content_format(&self) -> Option<ContentFormat> {
        self.uint(OptionNumber::CONTENT_FORMAT, 2).map(|format| ContentFormat(format as u16))
    }

    /// Accept.
    pub fn accept(&self) -> Option<ContentFormat> {
        self.uint(OptionNumber::ACCEPT, 2).map(|format| ContentFormat(format as u16))
    }

    /// Observe, 24 bits (RFC 7641 2).
    pub fn observe(&self) -> Option<u32> {
        self.uint(OptionNumber::OBSERVE, 3)
    }

    /// Max-Age in seconds; `None` means the default of 60 s (RFC 7252 5.10.5).
    pub fn max_age(&self) -> Option<u32> {
        self.uint(OptionNumber::MAX_AGE, 4)
    }

    /// ETag.
    pub fn etag(&self) -> Option<&[u8]> {
        self.first(OptionNumber::ETAG).filter(|tag| (1..=8).contains(&tag.len()))
    }

    /// Size1 in bytes.
    pub fn size1(&self) -> Option<u32> {
        self.uint(OptionNumber::SIZE1, 4)
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(number, value)| (number.0, value))).finish()
    }
}

impl<'o> IntoIterator for &'o Options<'_> {
    type Item = (OptionNumber, &'o [u8]);
    type IntoIter = OptionsIter<'o>;

    fn into_iter(self) -> OptionsIter<'o> {
        self.iter()
    }
}

/// Walks over [`Options`].
#[derive(Clone, Debug)]
pub struct OptionsIter<'o> {
    rest: &'o [u8],
    number: u16,
}

impl<'o> OptionsIter<'o> {
    /// Walks over validated wire bytes.
    pub(crate) fn over(wire: &'o [u8]) -> Self {
        Self { rest: wire, number: 0 }
    }
}

impl<'o> Iterator for OptionsIter<'o> {
    type Item = (OptionNumber, &'o [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (&head, behind) = self.rest.split_first()?;
        let (delta, len, behind) = option_head(head, behind).ok()?;
        let (value, rest) = behind.split_at_checked(len as usize)?;
        self.number = u16::try_from(u32::from(self.number) + delta).ok()?;
        self.rest = rest;
        Some((OptionNumber(self.number), value))
    }
}

/// Delta and length of the option whose first byte is `head`, and what follows them.
#[inline]
fn option_head(head: u8, behind: &[u8]) -> Result<(u32, u32, &[u8]), ParseError> {
    let (delta, len) = (u32::from(head >> 4), u32::from(head & 0x0f));
    if delta < 13 && len < 13 {
        return Ok((delta, len, behind));
    }
    let (delta, behind) = extended(delta, behind)?;
    let (len, behind) = extended(len, behind)?;
    Ok((delta, len, behind))
}

/// A delta or length with its extension bytes (RFC 7252 3.1).
fn extended(nibble: u32, bytes: &[u8]) -> Result<(u32, &[u8]), ParseError> {
    match (nibble, bytes) {
        (0..13, rest) => Ok((nibble, rest)),
        (13, &[low, ref rest @ ..]) => Ok((13 + u32::from(low), rest)),
        (14, &[high, low, ref rest @ ..]) => {
            Ok((269 + u32::from(u16::from_be_bytes([high, low])), rest))
        }
        (13 | 14, _) => Err(ParseError::OptionTruncated),
        _ => Err(ParseError::OptionReserved),
    }
}

/// The value of a uint option of at most four bytes (RFC 7252 3.2).
pub(crate) fn uint(value: &[u8]) -> u32 {
    value.iter().fold(0u32, |sum, &byte| sum << 8 | u32::from(byte))
}

/// Separates options and payload (RFC 7252 3).
pub(crate) const PAYLOAD_MARKER: u8 = 0xff;
