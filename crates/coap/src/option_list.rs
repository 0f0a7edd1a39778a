//! Options of a message that is being built, kept encoded and in the order of their numbers.
//!
//! Reading options of a received message is the job of [`crate::options`].

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use crate::{ContentFormat, OptionNumber, Options, OptionsIter};

/// Owned options, ready to be copied into a datagram. Empty lists own no memory.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct OptionList {
    wire: Vec<u8>,
    last: u16,
}

impl OptionList {
    /// The longest value that the encoding can express (RFC 7252 3.1).
    pub const VALUE_LEN_MAX: usize = 269 + u16::MAX as usize;

    /// No options.
    pub const fn new() -> Self {
        Self { wire: Vec::new(), last: 0 }
    }

    /// Takes everything out, and keeps the memory.
    pub fn clear(&mut self) {
        self.wire.clear();
        self.last = 0;
    }

    /// Adds an option behind those of the same and of lower numbers. A value above
    /// [`Self::VALUE_LEN_MAX`] cannot be expressed and is left out.
    pub fn push(&mut self, number: OptionNumber, value: &[u8]) {
        if value.len() > Self::VALUE_LEN_MAX {
            debug_assert!(false, "an option value of {} bytes", value.len());
            return;
        }
        if number.0 >= self.last {
            append(&mut self.wire, number.0 - self.last, value);
            self.last = number.0;
        } else {
            self.insert(number, value);
        }
    }

    /// [`Self::push`] as a builder.
    #[must_use]
    pub fn with(mut self, number: OptionNumber, value: &[u8]) -> Self {
        self.push(number, value);
        self
    }

    /// Adds an unsigned integer in as few bytes as it needs (RFC 7252 3.2).
    pub fn push_uint(&mut self, number: OptionNumber, value: u64) {
        let bytes = value.to_be_bytes();
        let zeros = value.leading_zeros() as usize / 8;
        self.push(number, bytes.get(zeros..).unwrap_or_default());
    }

    /// [`Self::push_uint`] as a builder.
    #[must_use]
    pub fn with_uint(mut self, number: OptionNumber, value: u64) -> Self {
        self.push_uint(number, value);
        self
    }

    /// Adds one segment of the Uri-Path.
    pub fn uri_path(&mut self, segment: &str) {
        self.push(OptionNumber::URI_PATH, segment.as_bytes());
    }

    /// Adds one argument of the Uri-Query.
    pub fn uri_query(&mut self, argument: &str) {
        self.push(OptionNumber::URI_QUERY, argument.as_bytes());
    }

    /// Adds one segment of the Location-Path.
    pub fn location_path(&mut self, segment: &str) {
        self.push(OptionNumber::LOCATION_PATH, segment.as_bytes());
    }

    /// Adds Content-Format.
    pub fn content_format(&mut self, format: impl Into<ContentFormat>) {
        self.push_uint(OptionNumber::CONTENT_FORMAT, u64::from(format.into().0));
    }

    /// Adds Accept.
    pub fn accept(&mut self, format: impl Into<ContentFormat>) {
        self.push_uint(OptionNumber::ACCEPT, u64::from(format.into().0));
    }

    /// Adds Observe; only the low 24 bits count (RFC 7641 2).
    pub fn observe(&mut self, number: u32) {
        self.push_uint(OptionNumber::OBSERVE, u64::from(number & 0x00ff_ffff));
    }

    /// Adds Max-Age in seconds.
    pub fn max_age(&mut self, seconds: u32) {
        self.push_uint(OptionNumber::MAX_AGE, u64::from(seconds));
    }

    /// Takes out all options of that number.
    pub fn remove(&mut self, number: OptionNumber) {
        if self.options().first(number).is_some() {
            *self = self
                .iter()
                .filter(|(found, _)| *found != number)
                .fold(Self::new(), |list, (found, value)| list.with(found, value));
        }
    }

    /// Puts one option in the place of all of that number.
    pub fn replace_uint(&mut self, number: OptionNumber, value: u64) {
        self.remove(number);
        self.push_uint(number, value);
    }

    /// The options for reading.
    pub fn options(&self) -> Options<'_> {
        Options::from_wire(Cow::Borrowed(&self.wire))
    }

    /// All options in the order of their numbers.
    pub fn iter(&self) -> OptionsIter<'_> {
        OptionsIter::over(&self.wire)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.wire.is_empty()
    }

    /// The bytes as they stand in a message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.wire
    }

    /// The same as [`Options`] of their own.
    pub fn into_options(self) -> Options<'static> {
        Options::from_wire(Cow::Owned(self.wire))
    }

    /// Inserts before the first option of a higher number, whose delta shrinks.
    fn insert(&mut self, number: OptionNumber, value: &[u8]) {
        let mut rebuilt =
            Self { wire: Vec::with_capacity(self.wire.len() + value.len() + 5), last: 0 };
        let mut pending = Some(value);
        for (found, old) in self.iter() {
            if found > number
                && let Some(value) = pending.take()
            {
                rebuilt.push(number, value);
            }
            rebuilt.push(found, old);
        }
        *self = rebuilt;
    }
}

impl fmt::Debug for OptionList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options().fmt(f)
    }
}

impl From<u16> for ContentFormat {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

/// Writes one option: delta and length with their extensions, then the value (RFC 7252 3.1).
fn append(wire: &mut Vec<u8>, delta: u16, value: &[u8]) {
    let len = value.len().min(OptionList::VALUE_LEN_MAX) as u32;
    let (delta_nibble, delta_extension) = nibble(u32::from(delta));
    let (len_nibble, len_extension) = nibble(len);
    wire.push(delta_nibble << 4 | len_nibble);
    extend(wire, delta_extension);
    extend(wire, len_extension);
    wire.extend_from_slice(value);
}

enum Extension {
    None,
    One(u8),
    Two(u16),
}

fn nibble(value: u32) -> (u8, Extension) {
    match value {
        0..13 => (value as u8, Extension::None),
        13..269 => (13, Extension::One((value - 13) as u8)),
        _ => (14, Extension::Two((value - 269) as u16)),
    }
}

fn extend(wire: &mut Vec<u8>, extension: Extension) {
    match extension {
        Extension::None => {}
        Extension::One(byte) => wire.push(byte),
        Extension::Two(bytes) => wire.extend_from_slice(&bytes.to_be_bytes()),
    }
}
