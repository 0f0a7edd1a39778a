//! From what a payload says to typed values: OMA Core Appendix C, with the object definitions.
//!
//! Formats that describe their values (JSON, SenML, CBOR) hand in a [`Wire`]; what TLV and text do
//! with bare bytes is the job of [`super::tlv`] and [`super::text`].

use std::borrow::Cow;

use super::number::Number;
use smallvec::smallvec;

use super::{Context, DecodeError, READINGS_MAX, UnknownPolicy, base64_text};
use crate::{
    Content, DataType, Layout, ObjectModel, Path, Reading, Readings, ResourceModel, Value,
};

/// A value as the payload describes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wire<'a> {
    Number(Number<'a>),
    Text(Cow<'a, str>),
    Boolean(bool),
    Bytes(Cow<'a, [u8]>),
    /// Text that the format says is Base64 (`vd` in JSON).
    Base64(Cow<'a, str>),
    /// Text that the format says is an object link (`vlo`, `ov`).
    Link(Cow<'a, str>),
    /// A number that the format says is a time (CBOR tags 0 and 1).
    Time(Number<'a>),
    /// The bytes of something that no resource holds, a list for example.
    Other(&'a [u8]),
}

/// What the definition says of a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definitions<'a> {
    context: Context<'a>,
    /// The object looked up last: nearly always the next value is of the same.
    last: Option<(u16, Option<&'a ObjectModel>)>,
}

impl<'a> Definitions<'a> {
    pub(crate) const fn new(context: &Context<'a>) -> Self {
        Self { context: *context, last: None }
    }

    pub(crate) fn object(&mut self, object: u16) -> Option<&'a ObjectModel> {
        match self.last {
            Some((id, model)) if id == object => model,
            _ => {
                let model = self.context.models.object(object);
                self.last = Some((object, model));
                model
            }
        }
    }

    pub(crate) fn resource(&mut self, path: &Path) -> Option<&'a ResourceModel> {
        let own = self.object(path.object_id()?)?.resource(path.resource_id()?);
        // The view also looks into other versions of the object, which is seldom needed.
        own.or_else(|| self.context.models.resource(path))
    }

    /// The type of the values at a path; `None` without a definition, or for an executable
    /// resource, which has no values.
    pub(crate) fn data_type(&mut self, path: &Path) -> Option<DataType> {
        self.resource(path)
            .map(|resource| resource.data_type)
            .filter(|data_type| *data_type != DataType::None)
    }

    pub(crate) const fn policy(&self) -> UnknownPolicy {
        self.context.unknown
    }

    /// Types a value, or keeps it as the payload describes it.
    pub(crate) fn value(
        &mut self,
        path: Path,
        wire: Wire<'_>,
    ) -> Result<(Value, bool), DecodeError> {
        let refused = match self.data_type(&path) {
            Some(data_type) => match typed(wire, data_type) {
                Ok(value) => return Ok((value, false)),
                Err(wire) => (DecodeError::BadValue(path), wire),
            },
            None => (DecodeError::Undefined(path), wire),
        };
        match self.policy() {
            UnknownPolicy::Raw => Ok((natural(refused.1), true)),
            UnknownPolicy::Reject => Err(refused.0),
        }
    }
}

/// Adds a reading, up to [`READINGS_MAX`].
pub(crate) fn push(readings: &mut Readings, reading: Reading) -> Result<(), DecodeError> {
    if readings.len() >= READINGS_MAX {
        return Err(DecodeError::TooMany);
    }
    readings.push(reading);
    Ok(())
}

/// The content of a format whose values carry their own paths.
pub(crate) fn with_paths(readings: Readings) -> Content {
    let layout = if readings.is_empty() { Layout::Empty } else { Layout::Paths };
    Content { readings, layout }
}

/// The content of a format that holds one value at the request path.
pub(crate) fn single(path: Path, value: Option<Value>, raw: bool) -> Content {
    let reading = Reading { path, value, time_ms: None, raw };
    Content { readings: smallvec![reading], layout: Layout::Resource }
}

/// The value in the type of the definition; the wire form back when it does not fit.
pub(crate) fn typed(wire: Wire<'_>, data_type: DataType) -> Result<Value, Wire<'_>> {
    let value = match (data_type, &wire) {
        (DataType::String, Wire::Text(_)) => return Ok(natural(wire)),
        (DataType::Corelnk, Wire::Text(text)) => Some(Value::Corelnk(text.clone().into_owned())),
        (DataType::Integer, Wire::Number(number) | Wire::Time(number)) => {
            integer(*number).map(Value::Integer)
        }
        (DataType::Time, Wire::Number(number) | Wire::Time(number)) => {
            integer(*number).map(Value::Time)
        }
        (DataType::Unsigned, Wire::Number(number) | Wire::Time(number)) => {
            let value = number.integer().and_then(|value| u64::try_from(value).ok());
            value.map(Value::Unsigned)
        }
        (DataType::Float, Wire::Number(number)) => number.float().map(Value::Float),
        (DataType::Boolean, Wire::Boolean(value)) => Some(Value::Boolean(*value)),
        (DataType::Boolean, Wire::Number(number)) => match number.integer() {
            Some(0) => Some(Value::Boolean(false)),
            Some(1) => Some(Value::Boolean(true)),
            _ => None,
        },
        (DataType::Opaque, Wire::Bytes(_)) => return Ok(natural(wire)),
        (DataType::Opaque, Wire::Base64(text) | Wire::Text(text)) => {
            base64_text::decode(text).map(Value::Opaque)
        }
        (DataType::Objlnk, Wire::Link(text) | Wire::Text(text)) => object_link(text),
        // Everything else contradicts the definition.
        _ => None,
    };
    value.ok_or(wire)
}

fn integer(number: Number<'_>) -> Option<i64> {
    number.integer().and_then(|value| i64::try_from(value).ok())
}

/// The value that the payload describes, without a definition.
pub(crate) fn natural(wire: Wire<'_>) -> Value {
    match wire {
        Wire::Number(number) => number.natural(),
        Wire::Text(text) => Value::String(text.into_owned()),
        Wire::Boolean(value) => Value::Boolean(value),
        Wire::Bytes(bytes) => Value::Opaque(bytes.into_owned()),
        Wire::Base64(text) => match base64_text::decode(&text) {
            Some(bytes) => Value::Opaque(bytes),
            None => Value::String(text.into_owned()),
        },
        Wire::Link(text) => object_link(&text).unwrap_or_else(|| Value::String(text.into_owned())),
        Wire::Time(number) => integer(number).map_or_else(|| number.natural(), Value::Time),
        Wire::Other(bytes) => Value::Opaque(bytes.to_vec()),
    }
}

/// An object link as text, `3:0`; 65535 is allowed, since 65535:65535 is the null link.
pub(crate) fn object_link(text: &str) -> Option<Value> {
    let (object, instance) = text.split_once(':')?;
    Some(Value::Objlnk(link_id(object)?, link_id(instance)?))
}

fn link_id(text: &str) -> Option<u16> {
    // `u16::from_str` takes a sign, which no id has.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fact 58: an object link is `10:0`, and `65535:65535` is the null link.
    #[test]
    fn object_links_are_two_ids_with_a_colon() {
        let cases = [
            ("10:0", Some(Value::Objlnk(10, 0))),
            ("65535:65535", Some(Value::Objlnk(65535, 65535))),
            ("65536:0", None),
            ("3", None),
            ("3:", None),
            (":0", None),
            ("+3:0", None),
            ("3:0:1", None),
            ("3: 0", None),
        ];
        for (text, expected) in cases {
            assert_eq!(object_link(text), expected, "{text}");
        }
    }
}
