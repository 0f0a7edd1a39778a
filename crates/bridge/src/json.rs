//! JSON as this contract needs it: read without losing a digit, written without a tree.
//!
//! Reading keeps each value as the text it came in, so that members nobody knows go back as they
//! were. Writing appends to a byte buffer. What the members mean is the job of [`crate::downlink`]
//! and [`crate::uplink`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use lwm2m::{Path, Value};

/// One JSON value as the text it came in, checked to be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Json<'a>(&'a str);

/// What a JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean(bool),
    Number,
    String,
    Array,
    Object,
}

impl<'a> Json<'a> {
    /// The text as it came.
    pub(crate) const fn text(self) -> &'a str {
        self.0
    }

    pub(crate) fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'"') => Kind::String,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b't') => Kind::Boolean(true),
            Some(b'f') => Kind::Boolean(false),
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    pub(crate) fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The characters of a string; `None` for anything else and for half a surrogate pair.
    pub(crate) fn string(self) -> Option<Cow<'a, str>> {
        if self.kind() != Kind::String {
            return None;
        }
        serde_json::from_str::<Text<'a>>(self.0).ok().map(|text| text.0)
    }

    /// The members of an object; `None` for anything else.
    pub(crate) fn object(self) -> Option<Members<'a>> {
        serde_json::from_str(self.0).ok()
    }

    /// The elements of an array; `None` for anything else.
    pub(crate) fn array(self) -> Option<Vec<Self>> {
        serde_json::from_str::<Elements<'a>>(self.0).ok().map(|elements| elements.0)
    }
}

/// The members of an object in their order; a repeated name stands once, where it came last.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Members<'a> {
    /// Reads a whole payload, which has to be one JSON object.
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(payload)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Json<'a>> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// As [`Members::find`], with `null` as good as absent.
    pub(crate) fn find_value(&self, name: &str) -> Option<Json<'a>> {
        self.find(name).filter(|value| !value.is_null())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Json<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    fn keep_last(mut members: Vec<(Cow<'a, str>, Json<'a>)>) -> Self {
        let last: BTreeMap<&str, usize> =
            members.iter().enumerate().map(|(at, (name, _))| (&**name, at)).collect();
        if last.len() < members.len() {
            let kept: Vec<bool> = members
                .iter()
                .enumerate()
                .map(|(at, (name, _))| last.get(&**name) == Some(&at))
                .collect();
            let mut kept = kept.into_iter();
            members.retain(|_| kept.next().unwrap_or(true));
        }
        Self(members)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Text(name)) = map.next_key()? {
            members.push((name, Json(map.next_value::<&RawValue>()?.get())));
        }
        Ok(Members::keep_last(members))
    }
}

struct Elements<'a>(Vec<Json<'a>>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element::<&RawValue>()? {
            list.push(Json(element.get()));
        }
        Ok(Elements(list))
    }
}

/// A string that borrows from the payload unless it has escapes; serde's own `Cow` always copies.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

/// Appends a string with its quotes, escaping what RFC 8259 7 demands and nothing else.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_string_content(out, text);
    out.push(b'"');
}

fn push_string_content(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| needs_escape(*byte)) {
        let (plain, escaped) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let Some((byte, behind)) = escaped.split_first() else { return };
        push_escape(out, *byte);
        rest = behind;
    }
    out.extend_from_slice(rest);
}

const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        // Writing to a Vec cannot fail.
        other => {
            return {
                let _ = write!(out, "\\u{other:04x}");
            };
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends an integer.
pub(crate) fn push_integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a float with the fewest digits that read back as the same number.
///
/// Whole numbers keep a `.0`, as in EMQX. Plain notation between 1e-7 and 1e21, as in JavaScript; a
/// three hundred digit number helps nobody. JSON has no NaN and no infinity: these become null.
pub(crate) fn push_float(out: &mut Vec<u8>, number: f64) {
    if !number.is_finite() {
        return out.extend_from_slice(b"null");
    }
    let magnitude = number.abs();
    // Writing to a Vec cannot fail.
    let _ = if magnitude != 0.0 && !(1e-7..1e21).contains(&magnitude) {
        write!(out, "{number:e}")
    } else if number.fract() == 0.0 {
        write!(out, "{number:.1}")
    } else {
        write!(out, "{number}")
    };
}

/// Appends bytes as a Base64 string.
pub(crate) fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "\"{}\"", Base64Display::new(bytes, &STANDARD));
}

/// Whether a path is written with its first slash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeadingSlash {
    Kept,
    LeftOut,
}

/// Appends a path as a string.
pub(crate) fn push_path(out: &mut Vec<u8>, path: &Path, slash: LeadingSlash) {
    out.push(b'"');
    for (at, id) in path.ids().iter().enumerate() {
        if at > 0 || slash == LeadingSlash::Kept {
            out.push(b'/');
        }
        push_integer(out, *id);
    }
    if path.is_root() {
        out.push(b'/');
    }
    out.push(b'"');
}

/// Appends a value as the contract shows its type.
pub(crate) fn push_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) | Value::Corelnk(text) => push_string(out, text),
        Value::Integer(number) | Value::Time(number) => push_integer(out, *number),
        Value::Unsigned(number) => push_integer(out, *number),
        Value::Float(number) => push_float(out, *number),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Opaque(bytes) => push_base64(out, bytes),
        // Writing to a Vec cannot fail.
        Value::Objlnk(object, instance) => {
            let _ = write!(out, "\"{object}:{instance}\"");
        }
    }
}

#[cfg(test)]
mod tests;
