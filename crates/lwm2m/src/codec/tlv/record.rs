//! One record of TLV: type byte, id, length, value; OMA Core 7.4.3, table of the TLV format.

use crate::MAX_ID;
use crate::codec::DecodeError;

/// What a record is; the number is that of bits 7 and 6 of the type byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Holds resources.
    ObjectInstance = 0,
    /// Holds a value of a multiple resource.
    ResourceInstance = 1,
    /// Holds resource instances.
    MultipleResource = 2,
    /// Holds the value of a single resource.
    Resource = 3,
}

/// A record whose value has not been looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it is.
    pub kind: Kind,
    /// The id of the object instance, resource or resource instance.
    pub id: u16,
    /// The bytes of the value, or of the records inside.
    pub value: &'a [u8],
}

/// The records of a payload, or of the value of a record that holds others. Ends after an error.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
}

/// The largest value: lengths have at most 24 bits.
pub(super) const VALUE_LEN_MAX: usize = 0xff_ffff;

const WIDE_ID: u8 = 0b0010_0000;

impl<'a> Records<'a> {
    /// The records in these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all records have been read.
    pub(super) const fn rest_is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn read(&mut self) -> Option<Record<'a>> {
        let kind_byte = u8::try_from(self.unsigned(1)?).ok()?;
        let id = self.unsigned(if kind_byte & WIDE_ID == 0 { 1 } else { 2 })?;
        let len = match kind_byte >> 3 & 0b11 {
            // Only then are the lowest bits a length; otherwise they mean nothing.
            0 => u32::from(kind_byte & 0b111),
            bytes => self.unsigned(bytes)?,
        };
        let (value, rest) = self.rest.split_at_checked(usize::try_from(len).ok()?)?;
        self.rest = rest;
        Some(Record { kind: Kind::of(kind_byte), id: u16::try_from(id).ok()?, value })
    }

    /// An unsigned number of one to three bytes, in network order.
    fn unsigned(&mut self, len: u8) -> Option<u32> {
        let (bytes, rest) = self.rest.split_at_checked(usize::from(len))?;
        self.rest = rest;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match self.read() {
            None => {
                self.rest = &[];
                Some(Err(DecodeError::Truncated))
            }
            Some(record) if record.id == MAX_ID => {
                self.rest = &[];
                Some(Err(DecodeError::Malformed("the id 65535 is reserved")))
            }
            Some(record) => Some(Ok(record)),
        }
    }
}

impl Kind {
    const fn of(kind_byte: u8) -> Self {
        match kind_byte >> 6 {
            0 => Self::ObjectInstance,
            1 => Self::ResourceInstance,
            2 => Self::MultipleResource,
            _ => Self::Resource,
        }
    }
}

/// Appends everything of a record but its value; `None` when the value is too long.
pub(super) fn write_header(kind: Kind, id: u16, len: usize, out: &mut Vec<u8>) -> Option<()> {
    let len = u32::try_from(len).ok().filter(|len| *len as usize <= VALUE_LEN_MAX)?;
    let [_, len_high, len_middle, len_low] = len.to_be_bytes();
    let [id_high, id_low] = id.to_be_bytes();
    let (len_bits, len_bytes): (u8, &[u8]) = match len {
        0..=7 => (len_low, &[]),
        8..=0xff => (1 << 3, &[len_low]),
        0x100..=0xffff => (2 << 3, &[len_middle, len_low]),
        _ => (3 << 3, &[len_high, len_middle, len_low]),
    };
    let (id_bits, id_bytes): (u8, &[u8]) =
        if id_high == 0 { (0, &[id_low]) } else { (WIDE_ID, &[id_high, id_low]) };
    out.push((kind as u8) << 6 | id_bits | len_bits);
    out.extend_from_slice(id_bytes);
    out.extend_from_slice(len_bytes);
    Some(())
}
