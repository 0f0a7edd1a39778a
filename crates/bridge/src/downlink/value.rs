//! Values of write and create: the type that the command names and a JSON number or text
//! (contract, section 3.4).
//!
//! Their bytes are the job of `lwm2m::codec`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use lwm2m::{DataType, Value};

use super::fault::ValueFault;
use crate::json::{Json, Kind};

/// How `value` is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it stands.
    Plain,
    /// `"encoding":"hex"`: hexadecimal for the bytes of what would stand there otherwise.
    Hex,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// `encoding` is hex, and the value is not.
    NotHex,
    Other(ValueFault),
}

impl From<ValueFault> for Unreadable {
    fn from(fault: ValueFault) -> Self {
        Self::Other(fault)
    }
}

/// Applications send padding or not, EMQX decodes either.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Reads a value of the type that the command names. `defined` is the type in the object
/// definition.
pub(super) fn read(
    data_type: DataType,
    value: Json<'_>,
    encoding: Encoding,
    defined: Option<DataType>,
) -> Result<Value, Unreadable> {
    if encoding == Encoding::Plain {
        return Ok(plain(data_type, value, defined)?);
    }
    let text = value.string().ok_or(Unreadable::NotHex)?;
    let bytes = from_hex(&text).ok_or(Unreadable::NotHex)?;
    match data_type {
        DataType::Opaque => Ok(Value::Opaque(bytes)),
        // These are the payload bytes, whatever they are: a String need not be UTF-8 here.
        DataType::String | DataType::Corelnk => Ok(match String::from_utf8(bytes) {
            Ok(text) => text_value(data_type, text),
            Err(error) => Value::Opaque(error.into_bytes()),
        }),
        _ => {
            let text = String::from_utf8(bytes).map_err(|_| Unreadable::NotHex)?;
            Ok(from_text(data_type, &text, defined)?)
        }
    }
}

fn plain(
    data_type: DataType,
    value: Json<'_>,
    defined: Option<DataType>,
) -> Result<Value, ValueFault> {
    match (value.kind(), data_type) {
        (Kind::Null, _) => Err(ValueFault::Missing),
        (Kind::String, _) => {
            let text = value.string().ok_or(ValueFault::Mismatch("valid Unicode text"))?;
            from_text(data_type, &text, defined)
        }
        (Kind::Boolean(value), DataType::Boolean) => Ok(Value::Boolean(value)),
        (
            Kind::Number,
            DataType::Integer | DataType::Unsigned | DataType::Time | DataType::Float,
        ) => from_text(data_type, value.text(), defined),
        _ => Err(ValueFault::Mismatch(expected(data_type))),
    }
}

const fn expected(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Integer | DataType::Time => "an integer or its decimal text",
        DataType::Unsigned => "an integer without sign or its decimal text",
        DataType::Float => "a number or its decimal text",
        DataType::Boolean => "true, false, or these words as text",
        DataType::Opaque => "Base64 text",
        DataType::Objlnk => "two numbers up to 65535 as text, such as \"3:0\"",
        DataType::String | DataType::Corelnk | DataType::None => "text",
    }
}

fn from_text(
    data_type: DataType,
    text: &str,
    defined: Option<DataType>,
) -> Result<Value, ValueFault> {
    let mismatch = ValueFault::Mismatch(expected(data_type));
    match data_type {
        DataType::String | DataType::Corelnk => Ok(text_value(data_type, text.to_owned())),
        DataType::Integer => integer(text, defined),
        DataType::Unsigned => integer_text(text)
            .ok_or(mismatch)
            .and_then(|text| text.parse().map(Value::Unsigned).map_err(|_| ValueFault::Range)),
        DataType::Time => integer_text(text)
            .ok_or(mismatch)
            .and_then(|text| text.parse().map(Value::Time).map_err(|_| ValueFault::Range)),
        DataType::Float => float(text),
        DataType::Boolean => match text {
            "true" => Ok(Value::Boolean(true)),
            "false" => Ok(Value::Boolean(false)),
            _ => Err(mismatch),
        },
        DataType::Opaque => from_base64(text).map(Value::Opaque).ok_or(mismatch),
        DataType::Objlnk => object_link(text).ok_or(mismatch),
        DataType::None => Err(ValueFault::Type),
    }
}

const fn text_value(data_type: DataType, text: String) -> Value {
    match data_type {
        DataType::Corelnk => Value::Corelnk(text),
        _ => Value::String(text),
    }
}

/// An Integer above 2^63 - 1 is written if the definition says Unsigned Integer.
fn integer(text: &str, defined: Option<DataType>) -> Result<Value, ValueFault> {
    let digits = integer_text(text).ok_or(ValueFault::Mismatch(expected(DataType::Integer)))?;
    match (digits.parse(), digits.parse()) {
        (Ok(signed), _) => Ok(Value::Integer(signed)),
        (Err(_), Ok(unsigned)) if defined == Some(DataType::Unsigned) => {
            Ok(Value::Unsigned(unsigned))
        }
        _ => Err(ValueFault::Range),
    }
}

/// Decimal digits with at most a sign: no point, no exponent, no space.
fn integer_text(text: &str) -> Option<&str> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    decimal.then_some(text)
}

/// With or without a point: EMQX writes text without one as an integer, which no device takes.
fn float(text: &str) -> Result<Value, ValueFault> {
    let mismatch = ValueFault::Mismatch(expected(DataType::Float));
    // Rust also reads `inf` and `nan`.
    let numeric =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.bytes().all(numeric) {
        return Err(mismatch);
    }
    let number: f64 = text.parse().map_err(|_| mismatch)?;
    if number.is_finite() { Ok(Value::Float(number)) } else { Err(ValueFault::Range) }
}

fn object_link(text: &str) -> Option<Value> {
    let (object, instance) = text.split_once(':')?;
    let id = |text: &str| -> Option<u16> {
        let decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if decimal { text.parse().ok() } else { None }
    };
    Some(Value::Objlnk(id(object)?, id(instance)?))
}

/// EMQX's decoder skips white space, which MIME puts into long texts.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let spaced = text.bytes().any(|byte| byte.is_ascii_whitespace());
    let text: Cow<'_, str> = if spaced {
        text.chars().filter(|character| !character.is_ascii_whitespace()).collect()
    } else {
        text.into()
    };
    BASE64.decode(&*text).ok()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests;
