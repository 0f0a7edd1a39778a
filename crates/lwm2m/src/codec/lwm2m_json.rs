//! The JSON of LwM2M 1.0: OMA Core 1.0 6.4.4, Core 1.1 7.4.4.

use std::borrow::Cow;

use super::json::{self, Members, Reader};
use super::name::Ids;
use super::senml::{self, Held};
use super::typing::{self, Definitions, Wire};
use super::{Context, DecodeError, EncodeError, UnknownPolicy};
use crate::path::Level;
use crate::{Content, Path, Reading, Readings, Value};

/// Decodes the entries of `e`.
///
/// A path is `bn` and `n` with exactly one slash between them; without `bn` it is relative to the
/// request, unless `n` begins with a slash. A time is `bt` plus `t` in seconds, since 1970 if
/// positive, else before now. A definition is not needed: without one, values are what the entry
/// says.
///
/// Wakaama 1.0 answers a Read of resource /3/0/9 with `"bn":"/3/0/9/"` and `"n":"9"`, one level too
/// deep. When a resource was asked for, what is below it is that resource itself
/// if the definition has it single, or if there is no definition and `n` repeats its id. Below a
/// multiple resource `n` is the resource instance; a repeated id before it (`6/1`) is left out.
pub fn decode(
    request_path: &Path,
    payload: &[u8],
    context: &Context<'_>,
) -> Result<Content, DecodeError> {
    let text = json::text(payload)?;
    let outline = Outline::read(&text)?;
    let mut entries = outline.entries.ok_or(DecodeError::Malformed("no entries"))?;
    let lenient = Context { unknown: UnknownPolicy::Raw, ..*context };
    let mut placement = Placement {
        request: *request_path,
        base_name: outline.base_name,
        definitions: Definitions::new(&lenient),
    };
    let mut readings = Readings::new();
    let mut first = true;
    entries.open(b'[')?;
    while entries.more(&mut first, b']')? {
        let entry = Entry::read(&mut entries)?;
        let path = placement.path(entry.name.as_deref().unwrap_or(""))?;
        let time_ms = time_ms(outline.base_time, entry.time, context.wall_ms);
        let (value, raw) = match entry.value() {
            Some(wire) => {
                let (value, raw) = placement.definitions.value(path, wire)?;
                // EMQX knows no raw values, and decodes these like any others.
                (Some(value), raw && context.unknown == UnknownPolicy::Raw)
            }
            None => (None, false),
        };
        typing::push(&mut readings, Reading { path, value, time_ms, raw })?;
    }
    Ok(typing::with_paths(readings))
}

/// The members of the object, which come in any order: entries are read when the base is known.
struct Outline<'a> {
    base_name: Option<Cow<'a, str>>,
    base_time: Option<f64>,
    entries: Option<Reader<'a>>,
}

impl<'a> Outline<'a> {
    fn read(text: &'a str) -> Result<Self, DecodeError> {
        let mut outline = Self { base_name: None, base_time: None, entries: None };
        let mut reader = Reader::new(text);
        let mut first = true;
        reader.open(b'{')?;
        while reader.more(&mut first, b'}')? {
            let key = reader.key()?;
            let start = reader;
            match (&*key, reader.value()?) {
                ("bn", held) => outline.base_name = Some(text_of(held)?),
                ("bt", held) => outline.base_time = Some(seconds_of(held)?),
                ("e", _) => outline.entries = Some(start),
                // Unknown members are the sender's own business.
                _ => {}
            }
        }
        reader.end()?;
        Ok(outline)
    }
}

/// An entry as it is written.
#[derive(Default)]
struct Entry<'a> {
    name: Option<Cow<'a, str>>,
    time: Option<f64>,
    number: Option<Wire<'a>>,
    boolean: Option<Wire<'a>>,
    link: Option<Wire<'a>>,
    text: Option<Wire<'a>>,
}

impl<'a> Entry<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut entry = Self::default();
        let mut first = true;
        reader.open(b'{')?;
        while reader.more(&mut first, b'}')? {
            let key = reader.key()?;
            match (&*key, reader.value()?) {
                ("n", held) => entry.name = Some(text_of(held)?),
                ("t", held) => entry.time = Some(seconds_of(held)?),
                ("v", Held::Value(wire)) => entry.number = Some(wire),
                ("bv", Held::Value(wire)) => entry.boolean = Some(wire),
                ("ov", Held::Value(Wire::Text(text))) => entry.link = Some(Wire::Link(text)),
                ("sv", Held::Value(wire)) => entry.text = Some(wire),
                // Nulls say nothing, unknown members are the sender's own business.
                _ => {}
            }
        }
        Ok(entry)
    }

    fn value(self) -> Option<Wire<'a>> {
        self.number.or(self.boolean).or(self.link).or(self.text)
    }
}

fn text_of(held: Held<'_>) -> Result<Cow<'_, str>, DecodeError> {
    match held {
        Held::Value(Wire::Text(text)) => Ok(text),
        _ => Err(DecodeError::Malformed("a name that is no text")),
    }
}

fn seconds_of(held: Held<'_>) -> Result<f64, DecodeError> {
    match held {
        Held::Value(Wire::Number(number)) => senml::seconds(number),
        _ => Err(DecodeError::Malformed("a time that is no number")),
    }
}

/// The draft of SenML that this format is made of knows no 2^28: zero is now, negative is before
/// now.
fn time_ms(base: Option<f64>, time: Option<f64>, wall_ms: i64) -> Option<i64> {
    if base.is_none() && time.is_none() {
        return None;
    }
    let seconds = base.unwrap_or(0.0) + time.unwrap_or(0.0);
    let relative = if seconds > 0.0 { 0 } else { wall_ms };
    Some(relative.saturating_add(senml::milliseconds(seconds)))
}

/// Says where entries belong.
struct Placement<'a, 'c> {
    request: Path,
    base_name: Option<Cow<'a, str>>,
    definitions: Definitions<'c>,
}

impl Placement<'_, '_> {
    fn path(&mut self, name: &str) -> Result<Path, DecodeError> {
        let ids = match &self.base_name {
            Some(base_name) => Ids::joined(base_name, name)?,
            None if name.starts_with('/') => Ids::joined("", name)?,
            None => Ids::joined(&self.request.to_string(), name)?,
        };
        match self.collapsed(ids.as_slice()) {
            Some(path) => Ok(path),
            None => ids.path(),
        }
    }

    /// The path of ids that go one level too deep below the resource that was asked for.
    fn collapsed(&mut self, ids: &[u16]) -> Option<Path> {
        if self.request.level() != Level::Resource {
            return None;
        }
        let below = ids.strip_prefix(self.request.ids())?;
        let resource_id = self.request.resource_id()?;
        let resource = self.definitions.resource(&self.request);
        match *below {
            [id] if resource.map_or(id == resource_id, |model| !model.is_multiple()) => {
                Some(self.request)
            }
            [id, instance] if id == resource_id => self.request.child(instance),
            _ => None,
        }
    }
}

/// Appends `bn` and the entries.
pub fn encode(
    base: &Path,
    readings: &[Reading],
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut definitions = Definitions::new(context);
    let mut name = String::new();
    out.push(b'{');
    let mut outer = Members::new(out);
    if let Some(base_name) = senml::base_name(base, readings) {
        json::write_string(&base_name, outer.label("bn"));
    }
    let out = outer.label("e");
    out.push(b'[');
    for (index, reading) in readings.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{" } else { b",{" });
        let mut members = Members::new(out);
        senml::write_name(base, &reading.path, &mut name);
        if !name.is_empty() {
            json::write_string(&name, members.label("n"));
        }
        if let Some(value) = &reading.value {
            write_value(reading.path, value, &mut definitions, &mut members)?;
        }
        if let Some(time_ms) = reading.time_ms {
            json::write_seconds(time_ms, members.label("t"));
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
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
            json::write_string(text, members.label("sv"));
        }
        Value::Integer(value) | Value::Time(value) => {
            json::write_plain(&value.to_string(), members.label("v"));
        }
        Value::Unsigned(value) => json::write_plain(&value.to_string(), members.label("v")),
        Value::Float(value) if value.is_finite() => {
            json::write_plain(&format!("{value:?}"), members.label("v"));
        }
        Value::Float(_) => return Err(EncodeError::NotFinite(path)),
        Value::Boolean(value) => json::write_plain(&value.to_string(), members.label("bv")),
        Value::Opaque(bytes) => match super::senml_json::as_text(bytes, path, definitions) {
            Some(text) => json::write_string(text, members.label("sv")),
            None => json::write_base64(bytes, members.label("sv")),
        },
        Value::Objlnk(object, instance) => {
            json::write_string(&format!("{object}:{instance}"), members.label("ov"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
