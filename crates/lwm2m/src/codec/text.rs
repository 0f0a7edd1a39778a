//! Plain text, one value: OMA Core 7.4.1, Appendix C.
//!
//! Also what answers without a Content-Format are read as.

use std::io::Write as _;

use super::number::Number;
use super::typing::{self, Definitions, Wire};
use super::{Context, DecodeError, EncodeError, UnknownPolicy, base64_text};
use crate::{Content, DataType, Path, Reading, Value};

/// Decodes one value at the request path.
pub fn decode(
    request_path: &Path,
    payload: &[u8],
    context: &Context<'_>,
) -> Result<Content, DecodeError> {
    let mut definitions = Definitions::new(context);
    let refusal = match definitions.data_type(request_path) {
        Some(data_type) => match typed(payload, data_type) {
            Some(value) => return Ok(typing::single(*request_path, Some(value), false)),
            None => DecodeError::BadValue(*request_path),
        },
        None => DecodeError::Undefined(*request_path),
    };
    match context.unknown {
        UnknownPolicy::Raw => Ok(typing::single(*request_path, Some(untyped(payload)), true)),
        UnknownPolicy::Reject => Err(refusal),
    }
}

/// The text, or what is none byte for byte: a device without Content-Format may send anything.
fn untyped(payload: &[u8]) -> Value {
    match str::from_utf8(payload) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => Value::Opaque(payload.to_vec()),
    }
}

fn typed(payload: &[u8], data_type: DataType) -> Option<Value> {
    let text = String::from_utf8_lossy(payload);
    match data_type {
        DataType::String | DataType::Corelnk => typing::typed(Wire::Text(text), data_type).ok(),
        // OMA says that the text is Base64. Devices that send the bytes themselves are taken at
        // their word.
        DataType::Opaque => Some(Value::Opaque(
            base64_text::decode_canonical(payload).unwrap_or_else(|| payload.to_vec()),
        )),
        DataType::Boolean => match text.trim_ascii() {
            "1" | "true" => Some(Value::Boolean(true)),
            "0" | "false" => Some(Value::Boolean(false)),
            _ => None,
        },
        DataType::Objlnk => typing::object_link(text.trim_ascii()),
        DataType::Integer | DataType::Unsigned | DataType::Float | DataType::Time => {
            let text = text.trim_ascii();
            // Rust also reads `inf` and `nan`, which are no numbers here.
            let numeric = text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
            let wire = Wire::Number(Number::Decimal(text));
            if numeric { typing::typed(wire, data_type).ok() } else { None }
        }
        DataType::None => None,
    }
}

/// Appends the one value of the request path.
///
/// Opaque values are Base64 where the definition says Opaque or nothing; under any other type they
/// are the text itself, which is how `encoding: hex` writes bytes of its own choice.
pub fn encode(
    base: &Path,
    readings: &[Reading],
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let value = single_value(base, readings)?;
    let written = match value {
        Value::String(text) | Value::Corelnk(text) => out.write_all(text.as_bytes()),
        Value::Integer(value) | Value::Time(value) => write!(out, "{value}"),
        Value::Unsigned(value) => write!(out, "{value}"),
        Value::Float(value) if value.is_finite() => write!(out, "{value}"),
        Value::Float(_) => return Err(EncodeError::NotFinite(*base)),
        Value::Boolean(value) => out.write_all(if *value { b"1" } else { b"0" }),
        Value::Opaque(bytes) => {
            match Definitions::new(context).data_type(base) {
                Some(DataType::Opaque) | None => base64_text::encode_standard(bytes, out),
                Some(_) => out.extend_from_slice(bytes),
            }
            Ok(())
        }
        Value::Objlnk(object, instance) => write!(out, "{object}:{instance}"),
    };
    debug_assert!(written.is_ok(), "a Vec takes everything");
    Ok(())
}

/// The one value that formats without paths hold.
pub(crate) fn single_value<'r>(
    base: &Path,
    readings: &'r [Reading],
) -> Result<&'r Value, EncodeError> {
    let [reading] = readings else { return Err(EncodeError::NotOneValue) };
    if reading.path != *base || base.resource_id().is_none() {
        return Err(EncodeError::NotOneValue);
    }
    reading.value.as_ref().ok_or(EncodeError::NotOneValue)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, Fleet};
    use super::*;

    /// Fact 58: Booleans are `1` and `0`, Opaque is Base64, links are `10:0`, times are seconds.
    #[test]
    fn text_is_read_by_the_type_of_the_definition() {
        let fleet = Fleet::new();
        let cases: [(&str, &[u8], Value); 16] = [
            ("/3/0/0", b"EMQ", Value::String("EMQ".into())),
            ("/3/0/0", b"\"quoted\"", Value::String("\"quoted\"".into())),
            ("/3/0/0", b"caf\xe9", Value::String("caf\u{fffd}".into())),
            ("/3/0/9", b"95", Value::Integer(95)),
            ("/3/0/9", b" -5\n", Value::Integer(-5)),
            ("/3/0/9", b"5.0", Value::Integer(5)),
            ("/3/0/13", b"1367491215", Value::Time(1_367_491_215)),
            ("/3442/0/125", b"9223372036854775808", Value::Unsigned(1 << 63)),
            ("/3442/0/130", b"-12.25", Value::Float(-12.25)),
            ("/3442/0/140", b"1", Value::Boolean(true)),
            ("/3442/0/140", b"false", Value::Boolean(false)),
            ("/3442/0/150", b"AQID", Value::Opaque(vec![1, 2, 3])),
            ("/3442/0/150", b"not base64!", Value::Opaque(b"not base64!".to_vec())),
            ("/3442/0/170", b"10:0", Value::Objlnk(10, 0)),
            ("/3442/0/180", b"</3442>", Value::Corelnk("</3442>".into())),
            ("/3/0/6/1", b"5", Value::Integer(5)),
        ];
        for (path, payload, expected) in cases {
            let content = decode(&testing::path(path), payload, &fleet.context());
            let expected = typing::single(testing::path(path), Some(expected), false);
            assert_eq!(content, Ok(expected), "{path} {payload:?}");
        }
    }

    #[test]
    fn text_that_fits_no_definition_stays_text() {
        let fleet = Fleet::new();
        let cases = [
            ("/3/0/9", "ninety"),
            ("/3/0/9", "5.5"),
            ("/3/0/9", ""),
            ("/3442/0/130", "inf"),
            ("/3442/0/130", "1e400"),
            ("/3442/0/140", "True"),
            ("/3442/0/125", "-1"),
            ("/3/0/4", "executable"),
            ("/9999/0/0", "no such object"),
            ("/3/0", "not a resource"),
        ];
        for (path, text) in cases {
            let path = testing::path(path);
            let content = decode(&path, text.as_bytes(), &fleet.context());
            let expected = typing::single(path, Some(Value::String(text.into())), true);
            assert_eq!(content, Ok(expected), "{path} {text}");
            assert!(decode(&path, text.as_bytes(), &fleet.strict()).is_err(), "{path} {text}");
        }
    }

    /// Fact 54: no Content-Format means text by habit, but binary answers without one lose nothing.
    #[test]
    fn what_is_no_text_stays_bytes() {
        let fleet = Fleet::new();
        for path in ["/3/0", "/9999/0/0", "/3/0/9"] {
            let path = testing::path(path);
            let content = decode(&path, &[0xc1, 0x09, 0xff], &fleet.context());
            let bytes = Value::Opaque(vec![0xc1, 0x09, 0xff]);
            assert_eq!(content, Ok(typing::single(path, Some(bytes), true)), "{path}");
        }
    }

    #[test]
    fn values_are_written_as_text() {
        let fleet = Fleet::new();
        let cases = [
            ("/3/0/0", Value::String("EMQ".into()), "EMQ"),
            ("/3/0/9", Value::Integer(-5), "-5"),
            ("/3/0/13", Value::Time(1_367_491_215), "1367491215"),
            ("/3442/0/125", Value::Unsigned(u64::MAX), "18446744073709551615"),
            ("/3442/0/130", Value::Float(5.0), "5"),
            ("/3442/0/130", Value::Float(1e-7), "0.0000001"),
            ("/3442/0/140", Value::Boolean(true), "1"),
            ("/3442/0/150", Value::Opaque(vec![1, 2, 3]), "AQID"),
            ("/3/0/0", Value::Opaque(b"hex".to_vec()), "hex"),
            ("/3442/0/170", Value::Objlnk(65535, 65535), "65535:65535"),
        ];
        for (path, value, expected) in cases {
            let path = testing::path(path);
            let mut out = Vec::new();
            let encoded = encode(&path, &[Reading::new(path, value)], &fleet.context(), &mut out);
            assert_eq!((encoded, out.as_slice()), (Ok(()), expected.as_bytes()));
        }
    }

    #[test]
    fn text_holds_one_finite_value_of_a_resource() {
        let fleet = Fleet::new();
        let path = testing::path("/3442/0/130");
        let reading = Reading::new(path, Value::Float(f64::NAN));
        let mut out = Vec::new();
        let context = fleet.context();
        let twice = [reading.clone(), reading.clone()];
        assert_eq!(
            encode(&path, &[reading], &context, &mut out),
            Err(EncodeError::NotFinite(path))
        );
        assert_eq!(encode(&path, &twice, &context, &mut out), Err(EncodeError::NotOneValue));
        assert_eq!(encode(&path, &[], &context, &mut out), Err(EncodeError::NotOneValue));
    }
}
