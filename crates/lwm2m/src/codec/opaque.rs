//! Octets, one value: OMA Core 7.4.2.
//!
//! Whatever the definition says, the value is the bytes: a device chose this format to send bytes.

use super::text::single_value;
use super::typing;
use super::{Context, DecodeError, EncodeError};
use crate::{Content, Path, Reading, Value};

/// Decodes one value at the request path; needs no definition, so nothing is refused.
pub fn decode(
    request_path: &Path,
    payload: &[u8],
    _: &Context<'_>,
) -> Result<Content, DecodeError> {
    Ok(typing::single(*request_path, Some(Value::Opaque(payload.to_vec())), false))
}

/// Appends the one value of the request path, which has to be bytes or text.
pub fn encode(
    base: &Path,
    readings: &[Reading],
    _: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    match single_value(base, readings)? {
        Value::Opaque(bytes) => out.extend_from_slice(bytes),
        Value::String(text) | Value::Corelnk(text) => out.extend_from_slice(text.as_bytes()),
        _ => return Err(EncodeError::Unfitting(*base)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, Fleet};
    use super::*;

    #[test]
    fn octets_are_the_value_of_any_path() {
        let fleet = Fleet::new();
        for path in ["/3/0/0", "/5/0/0", "/9999/0/0", "/9999/0"] {
            let path = testing::path(path);
            let content = decode(&path, &[0, 255], &fleet.strict());
            let expected = typing::single(path, Some(Value::Opaque(vec![0, 255])), false);
            assert_eq!(content, Ok(expected));
        }
    }

    #[test]
    fn octets_are_written_as_they_are_and_numbers_are_not() {
        let fleet = Fleet::new();
        let path = testing::path("/5/0/0");
        let mut out = Vec::new();
        let bytes = Reading::new(path, Value::Opaque(vec![0, 255]));
        assert_eq!(encode(&path, &[bytes], &fleet.context(), &mut out), Ok(()));
        assert_eq!(out, [0, 255]);
        let number = Reading::new(path, Value::Integer(1));
        assert_eq!(
            encode(&path, &[number], &fleet.context(), &mut out),
            Err(EncodeError::Unfitting(path))
        );
    }
}
