//! Writing TLV.

use super::record::{Kind, write_header};
use crate::codec::{Context, EncodeError};
use crate::path::Level;
use crate::{Path, Reading, Value};

/// Appends the readings as records, from the level below `base` on.
///
/// Under an object these are object instances, under an instance resources and multiple resources;
/// under a resource its one value, or one multiple resource of its instances; at a resource
/// instance that instance alone, as LwM2M 1.1 devices answer it. Readings of one instance or
/// resource need not follow one another: they are gathered where the first one stands. A reading
/// without a value is an empty multiple resource, or an empty object instance.
pub fn encode(
    base: &Path,
    readings: &[Reading],
    _: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    // The one value of a resource is what nearly every notification carries.
    if let [reading] = readings
        && reading.path == *base
        && reading.value.is_some()
        && base.level() == Level::Resource
    {
        return leaf(Kind::Resource, reading, out);
    }
    let all: Vec<&Reading> = readings.iter().collect();
    match base.level() {
        Level::Root => Err(EncodeError::Unfitting(*base)),
        Level::Object => instances(&all, out),
        Level::Instance => resources(&all, out),
        Level::Resource if all.is_empty() => Ok(()),
        Level::Resource => resource(*base, &all, out),
        Level::ResourceInstance => match readings {
            [reading] => leaf(Kind::ResourceInstance, reading, out),
            _ => Err(EncodeError::NotOneValue),
        },
    }
}

fn instances(readings: &[&Reading], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    for (instance, members) in grouped(readings, Level::Instance)? {
        let within = members.iter().filter(|reading| reading.path != instance).copied();
        let within: Vec<&Reading> = within.collect();
        if members.iter().any(|reading| reading.path == instance && reading.value.is_some()) {
            return Err(EncodeError::Unfitting(instance));
        }
        container(Kind::ObjectInstance, instance, out, |out| resources(&within, out))?;
    }
    Ok(())
}

fn resources(readings: &[&Reading], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    for (path, members) in grouped(readings, Level::Resource)? {
        resource(path, &members, out)?;
    }
    Ok(())
}

fn resource(path: Path, members: &[&Reading], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match members {
        [reading] if reading.path == path && reading.value.is_some() => {
            leaf(Kind::Resource, reading, out)
        }
        [reading] if reading.path == path => {
            container(Kind::MultipleResource, path, out, |_| Ok(()))
        }
        _ if members.iter().any(|reading| reading.path == path) => {
            Err(EncodeError::Unfitting(path))
        }
        _ => container(Kind::MultipleResource, path, out, |out| {
            members.iter().try_for_each(|reading| leaf(Kind::ResourceInstance, reading, out))
        }),
    }
}

/// A group of readings below one path of `level`, groups in the order of their first reading.
fn grouped<'r>(
    readings: &[&'r Reading],
    level: Level,
) -> Result<Vec<(Path, Vec<&'r Reading>)>, EncodeError> {
    let mut groups: Vec<(Path, Vec<&'r Reading>)> = Vec::new();
    for reading in readings {
        if reading.path.level() < level {
            return Err(EncodeError::Unfitting(reading.path));
        }
        let path = reading.path.truncated(level as usize);
        // Looked for from the end, since readings of one group nearly always stand together.
        match groups.iter_mut().rev().find(|(known, _)| *known == path) {
            Some((_, members)) => members.push(reading),
            None => groups.push((path, vec![reading])),
        }
    }
    Ok(groups)
}

/// Appends a record whose value is what `write` appends.
fn container(
    kind: Kind,
    path: Path,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    write(out)?;
    let value_end = out.len();
    header(kind, path, value_end - start, out)?;
    // The length is known only now, so the header is written last and then moved to the front.
    let header_len = out.len() - value_end;
    if let Some(record) = out.get_mut(start..) {
        record.rotate_right(header_len);
    }
    Ok(())
}

fn leaf(kind: Kind, reading: &Reading, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let path = reading.path;
    match &reading.value {
        None => Err(EncodeError::Unfitting(path)),
        Some(Value::String(text) | Value::Corelnk(text)) => {
            record(kind, path, text.as_bytes(), out)
        }
        Some(Value::Opaque(bytes)) => record(kind, path, bytes, out),
        Some(Value::Integer(value)) => integer(kind, path, *value, out),
        // A 4-byte time may be read without its sign, so a negative one takes 8.
        Some(Value::Time(value)) if i16::try_from(*value).is_err() && *value < 0 => {
            record(kind, path, &value.to_be_bytes(), out)
        }
        Some(Value::Time(value)) => integer(kind, path, *value, out),
        Some(Value::Unsigned(value)) => match i64::try_from(*value) {
            // With the leading zero bit, so that it reads the same with and without a sign.
            Ok(value) => integer(kind, path, value, out),
            Err(_) => record(kind, path, &value.to_be_bytes(), out),
        },
        Some(Value::Float(value)) => record(kind, path, &value.to_be_bytes(), out),
        Some(Value::Boolean(value)) => record(kind, path, &[u8::from(*value)], out),
        Some(Value::Objlnk(object, instance)) => {
            let [object_high, object_low] = object.to_be_bytes();
            let [high, low] = instance.to_be_bytes();
            record(kind, path, &[object_high, object_low, high, low], out)
        }
    }
}

/// 1, 2, 4 or 8 bytes in two's complement, the fewest that hold the value.
fn integer(kind: Kind, path: Path, value: i64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Ok(value) = i8::try_from(value) {
        record(kind, path, &value.to_be_bytes(), out)
    } else if let Ok(value) = i16::try_from(value) {
        record(kind, path, &value.to_be_bytes(), out)
    } else if let Ok(value) = i32::try_from(value) {
        record(kind, path, &value.to_be_bytes(), out)
    } else {
        record(kind, path, &value.to_be_bytes(), out)
    }
}

fn record(kind: Kind, path: Path, value: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    header(kind, path, value.len(), out)?;
    out.extend_from_slice(value);
    Ok(())
}

fn header(kind: Kind, path: Path, len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let id = path.ids().last().ok_or(EncodeError::Unfitting(path))?;
    write_header(kind, *id, len, out).ok_or(EncodeError::TooLong(path))
}
