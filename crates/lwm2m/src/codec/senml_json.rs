//! SenML JSON: RFC 8428 5, OMA Core 7.4.5.
//!
//! What the records mean is the job of the private module `senml`.

use super::json::{self, Members, Reader};
use super::senml::{self, Label, Missing, Record, Resolver};
use super::typing::Definitions;
use super::{Context, DecodeError, EncodeError};
use crate::{Content, DataType, Path, Reading, Value};

/// Decodes an array of records. Paths are those of the records; the request does not matter.
///
/// Several records of one path are its history. They stay in the order of the payload, which is the
/// order in which they are to be delivered; [`super::current`] finds the newest.
pub fn decode(_: &Path, payload: &[u8], context: &Context<'_>) -> Result<Content, DecodeError> {
    let text = json::text(payload)?;
    let mut reader = Reader::new(&text);
    let mut resolver = Resolver::new(context, 1);
    reader.open(b'[')?;
    let mut first = true;
    while reader.more(&mut first, b']')? {
        resolver.push(record(&mut reader)?)?;
    }
    reader.end()?;
    resolver.finish()
}

fn record<'a>(reader: &mut Reader<'a>) -> Result<Record<'a>, DecodeError> {
    let mut record = Record::default();
    reader.open(b'{')?;
    let mut first = true;
    while reader.more(&mut first, b'}')? {
        let label = Label::of_text(&reader.key()?)?;
        record.set(label, reader.value()?)?;
    }
    Ok(record)
}

/// Appends records: the first with `bn`, each with the rest of its path as `n`.
pub fn encode(
    base: &Path,
    readings: &[Reading],
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    write(base, readings, Missing::among(readings), context, out)
}

/// As [`encode`], for `senml-etch+json`: a reading without a value is always a null, RFC 8790 3.2.
pub fn encode_etch(
    base: &Path,
    readings: &[Reading],
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    write(base, readings, Missing::Null, context, out)
}

/// Appends records that only name paths.
pub fn encode_paths(paths: &[Path], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, path) in paths.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        json::write_plain(&format!("{comma}{{\"n\":\"{path}\"}}"), out);
    }
    out.push(b']');
}

fn write(
    base: &Path,
    readings: &[Reading],
    missing: Missing,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut definitions = Definitions::new(context);
    let base_name = senml::base_name(base, readings);
    let mut name = String::new();
    out.push(b'[');
    for (index, reading) in readings.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{" } else { b",{" });
        let mut members = Members::new(out);
        if let Some(base_name) = base_name.as_deref().filter(|_| index == 0) {
            json::write_string(base_name, members.label("bn"));
        }
        senml::write_name(base, &reading.path, &mut name);
        if !name.is_empty() {
            json::write_string(&name, members.label("n"));
        }
        match &reading.value {
            Some(value) => write_value(reading.path, value, &mut definitions, &mut members)?,
            None if missing == Missing::Null => json::write_plain("null", members.label("v")),
            None => {}
        }
        if let Some(time_ms) = reading.time_ms {
            json::write_seconds(time_ms, members.label("t"));
        }
        out.push(b'}');
    }
    out.push(b']');
    Ok(())
}

fn write_value(
    path: Path,
    value: &Value,
    definitions: &mut Definitions<'_>,
    members: &mut Members<'_>,
) -> Result<(), EncodeError> {
    match value {
        Value::String(text) | Value::Corelnk(text) => {
            json::write_string(text, members.label("vs"));
        }
        Value::Integer(value) | Value::Time(value) => {
            json::write_plain(&value.to_string(), members.label("v"));
        }
        Value::Unsigned(value) => json::write_plain(&value.to_string(), members.label("v")),
        Value::Float(value) if value.is_finite() => {
            json::write_plain(&format!("{value:?}"), members.label("v"));
        }
        Value::Float(_) => return Err(EncodeError::NotFinite(path)),
        Value::Boolean(value) => json::write_plain(&value.to_string(), members.label("vb")),
        Value::Opaque(bytes) => match as_text(bytes, path, definitions) {
            Some(text) => json::write_string(text, members.label("vs")),
            None => json::write_base64_url(bytes, members.label("vd")),
        },
        Value::Objlnk(object, instance) => {
            json::write_string(&format!("{object}:{instance}"), members.label("vlo"));
        }
    }
    Ok(())
}

/// Bytes that were given for a resource that is text: then they are the text.
pub(crate) fn as_text<'b>(
    bytes: &'b [u8],
    path: Path,
    definitions: &mut Definitions<'_>,
) -> Option<&'b str> {
    match definitions.data_type(&path) {
        Some(DataType::String | DataType::Corelnk) => str::from_utf8(bytes).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
