//! LwM2M CBOR: OMA Core 1.2, 7.5.8 (and its CDDL).
//!
//! Maps within maps, from the object down; a key is one id, or an array of several, so that a lone
//! value needs only one map. Paths begin at the root, whatever was asked for.

use minicbor::data::Type;
use minicbor::decode::Decoder;

use super::cbor_item::{self, Items, cbor};
use super::cbor_write::{self, Major, Times};
use super::senml::Held;
use super::typing::{self, Definitions};
use super::{Context, DecodeError, EncodeError};
use crate::path::Level;
use crate::{Content, Path, Reading, Readings};

/// Decodes a map of values. The request does not matter.
pub fn decode(_: &Path, payload: &[u8], context: &Context<'_>) -> Result<Content, DecodeError> {
    if payload.is_empty() {
        return Err(DecodeError::Empty);
    }
    let mut walk = Walk {
        decoder: Decoder::new(payload),
        definitions: Definitions::new(context),
        readings: Readings::new(),
    };
    walk.map(Path::ROOT)?;
    cbor_item::end(&walk.decoder)?;
    Ok(typing::with_paths(walk.readings))
}

struct Walk<'a, 'p> {
    decoder: Decoder<'p>,
    definitions: Definitions<'a>,
    readings: Readings,
}

impl Walk<'_, '_> {
    /// Reads a map below `above`. It calls itself for the maps inside, at most four deep, since
    /// each key makes the path longer and a path has four ids.
    fn map(&mut self, above: Path) -> Result<(), DecodeError> {
        let mut entries = Items::new(self.decoder.map().map_err(cbor)?);
        while entries.more(&mut self.decoder)? {
            let path = self.key(above)?;
            match self.decoder.datatype().map_err(cbor)? {
                Type::Map | Type::MapIndef => self.map(path)?,
                _ => self.value(path)?,
            }
        }
        Ok(())
    }

    fn key(&mut self, above: Path) -> Result<Path, DecodeError> {
        match self.decoder.datatype().map_err(cbor)? {
            Type::Array | Type::ArrayIndef => {
                let mut ids = Items::new(self.decoder.array().map_err(cbor)?);
                let mut path = above;
                while ids.more(&mut self.decoder)? {
                    path = self.id(path)?;
                }
                if path == above {
                    return Err(DecodeError::Malformed("a key of no ids"));
                }
                Ok(path)
            }
            _ => self.id(above),
        }
    }

    fn id(&mut self, above: Path) -> Result<Path, DecodeError> {
        let id = self.decoder.u16().map_err(cbor)?;
        above.child(id).ok_or(DecodeError::Malformed("a path of too many ids, or id 65535"))
    }

    fn value(&mut self, path: Path) -> Result<(), DecodeError> {
        let (value, raw) = match cbor_item::value(&mut self.decoder)? {
            Held::Value(_) if path.level() < Level::Resource => {
                return Err(DecodeError::Malformed("a value where no resource is"));
            }
            Held::Value(wire) => {
                let (value, raw) = self.definitions.value(path, wire)?;
                (Some(value), raw)
            }
            Held::Null | Held::Absent => (None, false),
        };
        typing::push(&mut self.readings, Reading { path, value, time_ms: None, raw })
    }
}

/// Appends a map of the readings, sorted by path; of several with one path the last one counts.
pub fn encode(
    _: &Path,
    readings: &[Reading],
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut sorted: Vec<&Reading> = readings.iter().collect();
    // A stable sort: the last of equals is the last one given.
    sorted.sort_by_key(|reading| reading.path);
    let mut unique: Vec<&Reading> = Vec::with_capacity(sorted.len());
    for reading in sorted {
        match unique.last_mut() {
            Some(last) if last.path == reading.path => *last = reading,
            _ => unique.push(reading),
        }
    }
    write_map(&unique, 0, &mut Definitions::new(context), out)
}

/// Appends a map of paths without values, as Read-Composite asks for them.
pub fn encode_paths(paths: &[Path], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    cbor_write::sized(Major::Map, paths.len(), out);
    for path in paths {
        if path.is_root() {
            return Err(EncodeError::Unfitting(*path));
        }
        cbor_write::sized(Major::Array, path.len(), out);
        path.ids().iter().for_each(|id| cbor_write::integer((*id).into(), out));
        cbor_write::null(out);
    }
    Ok(())
}

/// Appends the map of readings whose first `depth` ids are the same.
fn write_map(
    readings: &[&Reading],
    depth: usize,
    definitions: &mut Definitions<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let id = |reading: &Reading| reading.path.ids().get(depth).copied();
    let groups = || readings.chunk_by(|left, right| id(left) == id(right));
    cbor_write::sized(Major::Map, groups().count(), out);
    for group in groups() {
        let [first, others @ ..] = group else { continue };
        let key = id(first).ok_or(EncodeError::Unfitting(first.path))?;
        cbor_write::integer(key.into(), out);
        if first.path.len() > depth + 1 {
            write_map(group, depth + 1, definitions, out)?;
        } else if others.is_empty() {
            write_leaf(first, definitions, out)?;
        } else {
            // A value here and others below it.
            return Err(EncodeError::Unfitting(first.path));
        }
    }
    Ok(())
}

fn write_leaf(
    reading: &Reading,
    definitions: &mut Definitions<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    match &reading.value {
        None => cbor_write::null(out),
        Some(_) if reading.path.level() < Level::Resource => {
            return Err(EncodeError::Unfitting(reading.path));
        }
        Some(value) => cbor_write::value(reading.path, value, Times::Tagged, definitions, out),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
