//! SenML CBOR: RFC 8428 6, OMA Core 7.4.5.
//!
//! What the records mean is the job of the private module `senml`.

use minicbor::decode::Decoder;

use super::cbor_item::{self, Items, cbor};
use super::cbor_write::{self, Major, Times};
use super::senml::{self, Label, Missing, Record, Resolver};
use super::typing::Definitions;
use super::{Context, DecodeError, EncodeError};
use crate::{Content, Path, Reading, Value};

/// Decodes an array of records. Paths are those of the records; the request does not matter.
///
/// Several records of one path are its history. They stay in the order of the payload, which is the
/// order in which they are to be delivered; [`super::current`] finds the newest.
pub fn decode(_: &Path, payload: &[u8], context: &Context<'_>) -> Result<Content, DecodeError> {
    if payload.is_empty() {
        return Err(DecodeError::Empty);
    }
    let mut decoder = Decoder::new(payload);
    let len = decoder.array().map_err(cbor)?;
    let mut records = Items::new(len);
    let mut resolver = Resolver::new(context, expected(len));
    while records.more(&mut decoder)? {
        resolver.push(record(&mut decoder)?)?;
    }
    cbor_item::end(&decoder)?;
    resolver.finish()
}

/// How many records to make room for: what the payload claims, up to a Device object's worth.
fn expected(len: Option<u64>) -> usize {
    const EXPECTED_MAX: u64 = 16;
    len.map_or(1, |len| usize::try_from(len.min(EXPECTED_MAX)).unwrap_or(1))
}

fn record<'a>(decoder: &mut Decoder<'a>) -> Result<Record<'a>, DecodeError> {
    let mut record = Record::default();
    let mut members = Items::new(decoder.map().map_err(cbor)?);
    while members.more(decoder)? {
        let label = label(decoder)?;
        record.set(label, cbor_item::value(decoder)?)?;
    }
    Ok(record)
}

/// Labels are numbers; some devices write their names instead, and `vlo` has only a name.
fn label(decoder: &mut Decoder<'_>) -> Result<Label, DecodeError> {
    let start = decoder.position();
    match decoder.input().get(start) {
        // One byte is all that the known numbers take: 0 to 23, and -1 to -24.
        Some(byte @ 0..=0x17) => {
            decoder.set_position(start + 1);
            Ok(Label::of_number(i64::from(*byte)))
        }
        Some(byte @ 0x20..=0x37) => {
            decoder.set_position(start + 1);
            Ok(Label::of_number(-1 - i64::from(byte - 0x20)))
        }
        Some(0x60..=0x7f) => Label::of_text(&cbor_item::text(decoder)?),
        _ => Ok(Label::of_number(decoder.i64().map_err(cbor)?)),
    }
}

/// Appends records: the first with the base name, each with the rest of its path as name.
pub fn encode(
    base: &Path,
    readings: &[Reading],
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    write(base, readings, Missing::among(readings), context, out);
    Ok(())
}

/// As [`encode`], for `senml-etch+cbor`: a reading without a value is always a null, RFC 8790 3.2.
pub fn encode_etch(
    base: &Path,
    readings: &[Reading],
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    write(base, readings, Missing::Null, context, out);
    Ok(())
}

/// Appends records that only name paths.
pub fn encode_paths(paths: &[Path], out: &mut Vec<u8>) {
    cbor_write::sized(Major::Array, paths.len(), out);
    for path in paths {
        cbor_write::sized(Major::Map, 1, out);
        cbor_write::integer(NAME, out);
        cbor_write::text(&path.to_string(), out);
    }
}

/// Labels of RFC 8428 6.
const BASE_NAME: i64 = -2;
const NAME: i64 = 0;
const VALUE: i64 = 2;
const STRING_VALUE: i64 = 3;
const BOOLEAN_VALUE: i64 = 4;
const TIME: i64 = 6;
const DATA_VALUE: i64 = 8;
const OBJECT_LINK: &str = "vlo";

fn write(
    base: &Path,
    readings: &[Reading],
    missing: Missing,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) {
    let mut definitions = Definitions::new(context);
    let base_name = senml::base_name(base, readings);
    let mut name = String::new();
    cbor_write::sized(Major::Array, readings.len(), out);
    for (index, reading) in readings.iter().enumerate() {
        let base_name = base_name.as_deref().filter(|_| index == 0);
        senml::write_name(base, &reading.path, &mut name);
        let with_value = reading.value.is_some() || missing == Missing::Null;
        let members = usize::from(base_name.is_some())
            + usize::from(!name.is_empty())
            + usize::from(with_value)
            + usize::from(reading.time_ms.is_some());
        cbor_write::sized(Major::Map, members, out);
        if let Some(base_name) = base_name {
            cbor_write::integer(BASE_NAME, out);
            cbor_write::text(base_name, out);
        }
        if !name.is_empty() {
            cbor_write::integer(NAME, out);
            cbor_write::text(&name, out);
        }
        if with_value {
            write_value(reading, &mut definitions, out);
        }
        if let Some(time_ms) = reading.time_ms {
            cbor_write::integer(TIME, out);
            write_seconds(time_ms, out);
        }
    }
}

fn write_value(reading: &Reading, definitions: &mut Definitions<'_>, out: &mut Vec<u8>) {
    let Some(value) = &reading.value else {
        cbor_write::integer(VALUE, out);
        cbor_write::null(out);
        return;
    };
    match value {
        Value::String(_) | Value::Corelnk(_) => cbor_write::integer(STRING_VALUE, out),
        Value::Integer(_) | Value::Time(_) | Value::Unsigned(_) | Value::Float(_) => {
            cbor_write::integer(VALUE, out);
        }
        Value::Boolean(_) => cbor_write::integer(BOOLEAN_VALUE, out),
        Value::Objlnk(..) => cbor_write::text(OBJECT_LINK, out),
        Value::Opaque(bytes) => {
            let text = super::senml_json::as_text(bytes, reading.path, definitions);
            cbor_write::integer(if text.is_some() { STRING_VALUE } else { DATA_VALUE }, out);
        }
    }
    cbor_write::value(reading.path, value, Times::Bare, definitions, out);
}

/// Whole seconds as an integer, others as a float, whose 52 bits hold milliseconds for ages.
fn write_seconds(time_ms: i64, out: &mut Vec<u8>) {
    if time_ms % 1000 == 0 {
        cbor_write::integer(time_ms / 1000, out);
    } else {
        #[allow(clippy::cast_precision_loss)]
        cbor_write::float(time_ms as f64 / 1000.0, out);
    }
}

#[cfg(test)]
mod tests;
