//! Members of `data` with which a command asks for more than EMQX knows (design, section 5):
//! `timeout`, `ttl`, `accept`, `format`, `mode`.

use engine::{Duration, Instant, Priority};
use lwm2m::{Format, WriteMode};

use super::Fault;
use crate::json::{Json, Kind, Members};

/// One day: a device that has not answered by then never will, and no queue keeps a command longer.
const SECONDS_MAX: f64 = 86_400.0;

/// A limit in seconds, a number or its text.
fn seconds(data: &Members<'_>, member: &'static str) -> Result<Option<Duration>, Fault> {
    let Some(value) = data.find_value(member) else { return Ok(None) };
    let expected = "a number of seconds up to 86400";
    let number = number_text(value).and_then(|text| text.parse::<f64>().ok());
    match number {
        Some(number) if (0.0..=SECONDS_MAX).contains(&number) => {
            Ok(Some(Duration::from_secs_f64(number)))
        }
        _ => Err(Fault::Member { member, expected }),
    }
}

/// The text of a number, also of one in quotes.
pub(super) fn number_text(value: Json<'_>) -> Option<std::borrow::Cow<'_, str>> {
    match value.kind() {
        Kind::Number => Some(value.text().into()),
        _ => value.string(),
    }
}

/// How long the device may take, `data.timeout`.
pub(super) fn timeout(data: &Members<'_>) -> Result<Option<Duration>, Fault> {
    match seconds(data, "timeout")? {
        Some(Duration::ZERO) => {
            Err(Fault::Member { member: "timeout", expected: "more than 0 seconds" })
        }
        timeout => Ok(timeout),
    }
}

/// When the command is of no use any more: after `data.ttl` or the message's own expiry, whichever
/// is first.
pub(super) fn expires(
    data: &Members<'_>,
    now: Instant,
    expiry: Option<Duration>,
) -> Result<Option<Instant>, Fault> {
    let ttl = seconds(data, "ttl")?;
    let first = match (ttl, expiry) {
        (Some(ttl), Some(expiry)) => Some(ttl.min(expiry)),
        (ttl, expiry) => ttl.or(expiry),
    };
    Ok(first.map(|span| now + span))
}

/// `"mheaders":{"ttl":0}` does not wait for its turn (EMQX 6.1.1).
pub(super) fn priority(command: &Members<'_>) -> Priority {
    let ttl =
        command.find("mheaders").and_then(Json::object).and_then(|headers| headers.find("ttl"));
    match ttl {
        Some(ttl) if ttl.text() == "0" => Priority::Urgent,
        _ => Priority::Normal,
    }
}

/// A content format by its number or one of these names.
const FORMATS: [(&str, Format); 8] = [
    ("text", Format::TEXT),
    ("opaque", Format::OCTETS),
    ("cbor", Format::CBOR),
    ("senml-json", Format::SENML_JSON),
    ("senml-cbor", Format::SENML_CBOR),
    ("tlv", Format::TLV),
    ("json", Format::JSON),
    ("lwm2m-cbor", Format::LWM2M_CBOR),
];

/// The format in `data.accept` or `data.format`.
pub(super) fn format(data: &Members<'_>, member: &'static str) -> Result<Option<Format>, Fault> {
    let Some(value) = data.find_value(member) else { return Ok(None) };
    let text = number_text(value);
    let named = text.as_deref().and_then(|text| {
        let named = FORMATS.iter().find(|(name, _)| *name == text).map(|(_, format)| *format);
        named.or_else(|| text.parse().ok().map(Format))
    });
    let expected = "a content format: its number, or one of text, opaque, cbor, senml-json, \
                    senml-cbor, tlv, json, lwm2m-cbor";
    named.map(Some).ok_or(Fault::Member { member, expected })
}

/// What becomes of what a write does not name, `data.mode`; `usual` is EMQX's choice.
pub(super) fn write_mode(data: &Members<'_>, usual: WriteMode) -> Result<WriteMode, Fault> {
    let Some(value) = data.find_value("mode") else { return Ok(usual) };
    match value.string().as_deref() {
        Some("replace") => Ok(WriteMode::Replace),
        Some("update") => Ok(WriteMode::Update),
        _ => Err(Fault::Member { member: "mode", expected: "replace or update" }),
    }
}
