//! Writing CBOR items: RFC 8949 3, always in the shortest form of their kind (4.2.1).

use super::senml_json::as_text;
use super::typing::Definitions;
use crate::{Path, Value};

/// The first three bits of an item.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Major {
    Unsigned = 0,
    Negative = 1,
    Bytes = 2,
    Text = 3,
    Array = 4,
    Map = 5,
    Tag = 6,
}

const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;
const SINGLE: u8 = 0xfa;
const DOUBLE: u8 = 0xfb;

/// Whether a time carries its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// Tag 1, seconds since 1970.
    Tagged,
    /// A bare number, where the definition says that it is a time.
    Bare,
}

/// Appends the head of an item.
pub(crate) fn head(major: Major, number: u64, out: &mut Vec<u8>) {
    let major = (major as u8) << 5;
    let [.., byte3, byte2, byte1, byte0] = number.to_be_bytes();
    match number {
        0..=23 => out.push(major | byte0),
        24..=0xff => out.extend_from_slice(&[major | 24, byte0]),
        0x100..=0xffff => out.extend_from_slice(&[major | 25, byte1, byte0]),
        0x1_0000..=0xffff_ffff => {
            out.extend_from_slice(&[major | 26, byte3, byte2, byte1, byte0]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// Appends the head of an array, map or string of this many items or bytes.
pub(crate) fn sized(major: Major, len: usize, out: &mut Vec<u8>) {
    head(major, len as u64, out);
}

/// Appends an integer.
pub(crate) fn integer(value: i64, out: &mut Vec<u8>) {
    match u64::try_from(value) {
        Ok(value) => head(Major::Unsigned, value, out),
        // -1 - value, without leaving the range.
        Err(_) => head(Major::Negative, (!value).cast_unsigned(), out),
    }
}

/// Appends a float, in 32 bits if it survives that.
///
/// Not in 16: devices that read 64 and 32 bits exist that do not read those.
#[allow(clippy::cast_possible_truncation)] // What does not survive is written in 64 bits.
pub(crate) fn float(value: f64, out: &mut Vec<u8>) {
    let single = value as f32;
    if f64::from(single).to_bits() == value.to_bits() {
        out.push(SINGLE);
        out.extend_from_slice(&single.to_be_bytes());
    } else {
        out.push(DOUBLE);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends a text.
pub(crate) fn text(text: &str, out: &mut Vec<u8>) {
    sized(Major::Text, text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

/// Appends null.
pub(crate) fn null(out: &mut Vec<u8>) {
    out.push(NULL);
}

/// Appends a value of a resource.
///
/// Bytes that were given for a resource that is text are written as the text.
pub(crate) fn value(
    path: Path,
    value: &Value,
    times: Times,
    definitions: &mut Definitions<'_>,
    out: &mut Vec<u8>,
) {
    match value {
        Value::String(value) | Value::Corelnk(value) => text(value, out),
        Value::Integer(value) => integer(*value, out),
        Value::Time(value) => {
            if times == Times::Tagged {
                head(Major::Tag, 1, out);
            }
            integer(*value, out);
        }
        Value::Unsigned(value) => head(Major::Unsigned, *value, out),
        Value::Float(value) => float(*value, out),
        Value::Boolean(value) => out.push(if *value { TRUE } else { FALSE }),
        Value::Opaque(bytes) => match as_text(bytes, path, definitions) {
            Some(value) => text(value, out),
            None => {
                sized(Major::Bytes, bytes.len(), out);
                out.extend_from_slice(bytes);
            }
        },
        Value::Objlnk(object, instance) => text(&format!("{object}:{instance}"), out),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::hex;
    use super::*;

    #[test]
    fn items_of_appendix_a_are_written() {
        let cases: [(i64, &str); 9] = [
            (0, "00"),
            (23, "17"),
            (24, "1818"),
            (1000, "1903e8"),
            (1_000_000, "1a000f4240"),
            (1_000_000_000_000, "1b000000e8d4a51000"),
            (-1, "20"),
            (-1000, "3903e7"),
            (i64::MIN, "3b7fffffffffffffff"),
        ];
        for (value, expected) in cases {
            let mut out = Vec::new();
            integer(value, &mut out);
            assert_eq!(out, hex(expected), "{value}");
        }
        for (value, expected) in [(100_000.0, "fa47c35000"), (1.1, "fb3ff199999999999a")] {
            let mut out = Vec::new();
            float(value, &mut out);
            assert_eq!(out, hex(expected), "{value}");
        }
    }
}
