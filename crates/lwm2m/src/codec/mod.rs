//! Content formats, bytes to [`Reading`]s and back: OMA Core 7.4 (1.2: 7.5), one module per format.
//!
//! [`decode`] and [`encode`] choose the module by the Content-Format. Each module has the same two
//! functions, so that they can be tested and fuzzed one by one. Link format (40) is not a way to
//! carry values: see [`crate::link_format`].

pub mod cbor;
pub mod lwm2m_cbor;
pub mod lwm2m_json;
pub mod opaque;
pub mod senml_cbor;
pub mod senml_json;
pub mod text;
pub mod tlv;

mod base64_text;
mod cbor_item;
mod cbor_write;
mod error;
mod json;
mod name;
mod number;
mod senml;
mod typing;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use error::{DecodeError, EncodeError};

use crate::{Content, Format, ModelView, Path, Reading};

/// What a codec has to know besides the payload. Copied freely.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The object definitions as the device means them; they say which type a value has.
    pub models: ModelView<'a>,
    /// Wall-clock time in milliseconds since 1970, for times that are relative to now.
    pub wall_ms: i64,
    /// What to do with values that have no definition or do not fit theirs.
    pub unknown: UnknownPolicy,
}

/// What becomes of a value without a definition, or with one that it does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnknownPolicy {
    /// Keep what the payload says of itself, marked [`Reading::raw`]; the other values are not
    /// harmed.
    Raw,
    /// Refuse the whole payload, as EMQX does. Formats that EMQX decodes without definitions
    /// (opaque, LwM2M JSON) still need none.
    Reject,
}

/// Readings in one payload: no object instance of a real device comes near it.
///
/// The shortest value is a TLV of 2 bytes, while a reading takes about 64; at this limit they take
/// 4 MiB, however large a block-wise body may be.
pub const READINGS_MAX: usize = 65_536;

/// Decodes the answer of a device, or what it sends on its own.
///
/// `request_path` is the path that was asked for; values that do not say where they belong are put
/// there. Without a format the payload is taken as text, the habit of devices that leave the option
/// out of a single value's answer.
pub fn decode(
    format: Option<Format>,
    request_path: &Path,
    payload: &[u8],
    context: &Context<'_>,
) -> Result<Content, DecodeError> {
    let format = format.unwrap_or(Format::TEXT);
    let decode = match format.normalized() {
        Format::TEXT => text::decode,
        Format::OCTETS => opaque::decode,
        Format::CBOR => cbor::decode,
        Format::TLV => tlv::decode,
        Format::JSON => lwm2m_json::decode,
        Format::SENML_JSON | Format::SENML_ETCH_JSON => senml_json::decode,
        Format::SENML_CBOR | Format::SENML_ETCH_CBOR => senml_cbor::decode,
        Format::LWM2M_CBOR => lwm2m_cbor::decode,
        _ => return Err(DecodeError::UnsupportedFormat(format)),
    };
    decode(request_path, payload, context)
}

/// Appends the payload of a request (or of a device's answer) to `out`.
///
/// `base` is the path of the request; each reading's path is `base` or below it. On an error `out`
/// is as it was.
///
/// A [`Reading`] without a value becomes a SenML or CBOR null, an empty multiple resource or an
/// empty object instance. When no reading at all has a value, the formats 110 and 112 give a list
/// of paths, as [`encode_paths`] does.
pub fn encode(
    format: Format,
    base: &Path,
    readings: &[Reading],
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let start = out.len();
    let encoded = encode_as(format, base, readings, context, out);
    if encoded.is_err() {
        out.truncate(start);
    }
    encoded
}

fn encode_as(
    format: Format,
    base: &Path,
    readings: &[Reading],
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    if let Some(stray) = readings.iter().find(|reading| !reading.path.starts_with(base)) {
        return Err(EncodeError::OutsideBase(stray.path));
    }
    let encode = match format.normalized() {
        Format::TEXT => text::encode,
        Format::OCTETS => opaque::encode,
        Format::CBOR => cbor::encode,
        Format::TLV => tlv::encode,
        Format::JSON => lwm2m_json::encode,
        Format::SENML_JSON => senml_json::encode,
        Format::SENML_ETCH_JSON => senml_json::encode_etch,
        Format::SENML_CBOR => senml_cbor::encode,
        Format::SENML_ETCH_CBOR => senml_cbor::encode_etch,
        Format::LWM2M_CBOR => lwm2m_cbor::encode,
        _ => return Err(EncodeError::UnsupportedFormat(format)),
    };
    encode(base, readings, context, out)
}

/// Appends the list of paths that Read-Composite and Observe-Composite ask for: OMA Core 6.3.8.
pub fn encode_paths(format: Format, paths: &[Path], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match format {
        Format::SENML_JSON | Format::SENML_ETCH_JSON => senml_json::encode_paths(paths, out),
        Format::SENML_CBOR | Format::SENML_ETCH_CBOR => senml_cbor::encode_paths(paths, out),
        Format::LWM2M_CBOR => lwm2m_cbor::encode_paths(paths, out)?,
        _ => return Err(EncodeError::UnsupportedFormat(format)),
    }
    Ok(())
}

/// Leaves of each path only the last reading, in the order of these last ones.
///
/// That is how EMQX treats a path that a write names twice: the last one wins and moves to the end.
pub fn last_wins(readings: &mut Vec<Reading>) {
    let mut seen = std::collections::HashSet::with_capacity(readings.len());
    readings.reverse();
    readings.retain(|reading| seen.insert(reading.path));
    readings.reverse();
}

/// The reading of a path that is current, among several that are its history.
///
/// It is the newest one; one without a time of its own counts as newer than any that has one, and
/// of equals the last in the payload.
pub fn current<'r>(readings: &'r [Reading], path: &Path) -> Option<&'r Reading> {
    readings
        .iter()
        .filter(|reading| reading.path == *path)
        .max_by_key(|reading| reading.time_ms.unwrap_or(i64::MAX))
}
