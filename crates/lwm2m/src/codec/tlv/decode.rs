//! Reading TLV: which path a record has, and which value.

use super::record::{Kind, Record, Records};
use crate::codec::typing::{self, Definitions};
use crate::codec::{Context, DecodeError, UnknownPolicy};
use crate::{Content, DataType, Layout, Path, Reading, Readings, Value};

/// Decodes the records of an answer.
///
/// Where the outermost records belong, by their kind and the path of the request:
///
/// * A resource alone, under a resource or resource instance: the path of the request; the id of
///   the record only says which definition the value has.
/// * Resources and multiple resources otherwise: the instance of the request, plus the ids of the
///   records. Under an object that is instance 0, if the object has only one.
/// * Resource instances: the resource of the request, plus the ids of the records; one alone under
///   a resource instance: the path of the request.
/// * An object instance alone: the instance of the request, if it names one.
/// * Object instances otherwise: the instances of the records.
pub fn decode(
    request_path: &Path,
    payload: &[u8],
    context: &Context<'_>,
) -> Result<Content, DecodeError> {
    let mut records = Records::new(payload);
    let first = records.next().ok_or(DecodeError::Empty)??;
    let alone = records.rest_is_empty();
    let mut decoder = Decoder {
        request: *request_path,
        records: Records::new(payload),
        definitions: Definitions::new(context),
        readings: Readings::with_capacity(if alone { 1 } else { READINGS_GUESS }),
    };
    let layout = match first.kind {
        Kind::Resource if alone => decoder.resource_alone(first)?,
        Kind::Resource | Kind::MultipleResource => decoder.resources()?,
        Kind::ResourceInstance => decoder.resource_instances(alone)?,
        Kind::ObjectInstance if alone => decoder.instance_alone(first)?,
        Kind::ObjectInstance => decoder.instances()?,
    };
    let layout = if decoder.readings.is_empty() { Layout::Empty } else { layout };
    Ok(Content { readings: decoder.readings, layout })
}

/// Room for this many readings is made when there are several: a Device object has about as many.
const READINGS_GUESS: usize = 16;

const MISPLACED: DecodeError = DecodeError::Malformed("a TLV record at the wrong level");

struct Decoder<'a, 'p> {
    request: Path,
    records: Records<'p>,
    definitions: Definitions<'a>,
    readings: Readings,
}

impl<'p> Decoder<'_, 'p> {
    fn resource_alone(&mut self, record: Record<'p>) -> Result<Layout, DecodeError> {
        let own = self.instance()?.child(record.id).ok_or(MISPLACED)?;
        let path = if self.request.resource_id().is_some() { self.request } else { own };
        self.push(path, own, record.value)?;
        Ok(Layout::Resource)
    }

    fn resources(&mut self) -> Result<Layout, DecodeError> {
        let instance = self.instance()?;
        self.resources_of(instance, self.records.clone())?;
        Ok(Layout::Resources)
    }

    fn resource_instances(&mut self, alone: bool) -> Result<Layout, DecodeError> {
        if self.request.resource_id().is_none() {
            return Err(DecodeError::Unfitting(self.request));
        }
        let resource = self.request.truncated(3);
        if alone && self.request != resource {
            let record = self.records.clone().next().ok_or(MISPLACED)??;
            self.push(self.request, resource, record.value)?;
        } else {
            self.resource_instances_of(resource, self.records.clone())?;
        }
        Ok(Layout::ResourceInstances)
    }

    fn instance_alone(&mut self, record: Record<'p>) -> Result<Layout, DecodeError> {
        let instance = match self.request.instance_id() {
            Some(_) => self.request.truncated(2),
            None => self.instance_of_record(record)?,
        };
        self.resources_of(instance, Records::new(record.value))?;
        Ok(Layout::Instance)
    }

    fn instances(&mut self) -> Result<Layout, DecodeError> {
        for record in self.records.clone() {
            let record = record?;
            if record.kind != Kind::ObjectInstance {
                return Err(MISPLACED);
            }
            let instance = self.instance_of_record(record)?;
            self.resources_of(instance, Records::new(record.value))?;
        }
        Ok(Layout::Instances)
    }

    /// The instance of the request; that of a single-instance object when only the object was asked
    /// for.
    fn instance(&mut self) -> Result<Path, DecodeError> {
        let object = self.object()?;
        if self.request.instance_id().is_some() {
            return Ok(self.request.truncated(2));
        }
        let single = self.definitions.object(object).is_some_and(|model| !model.is_multiple());
        let instance = if single { self.request.child(0) } else { None };
        instance.ok_or(DecodeError::Unfitting(self.request))
    }

    fn instance_of_record(&self, record: Record<'_>) -> Result<Path, DecodeError> {
        Path::object(self.object()?).child(record.id).ok_or(MISPLACED)
    }

    fn object(&self) -> Result<u16, DecodeError> {
        self.request.object_id().ok_or(DecodeError::Unfitting(self.request))
    }

    fn resources_of(&mut self, instance: Path, records: Records<'p>) -> Result<(), DecodeError> {
        for record in records {
            let record = record?;
            let resource = instance.child(record.id).ok_or(MISPLACED)?;
            match record.kind {
                Kind::Resource => self.push(resource, resource, record.value)?,
                Kind::MultipleResource => {
                    self.resource_instances_of(resource, Records::new(record.value))?;
                }
                Kind::ObjectInstance | Kind::ResourceInstance => return Err(MISPLACED),
            }
        }
        Ok(())
    }

    fn resource_instances_of(
        &mut self,
        resource: Path,
        records: Records<'p>,
    ) -> Result<(), DecodeError> {
        for record in records {
            let record = record?;
            if record.kind != Kind::ResourceInstance {
                return Err(MISPLACED);
            }
            let path = resource.child(record.id).ok_or(MISPLACED)?;
            self.push(path, path, record.value)?;
        }
        Ok(())
    }

    /// Adds the value at `path`, which has the definition of `defined`.
    fn push(&mut self, path: Path, defined: Path, bytes: &[u8]) -> Result<(), DecodeError> {
        let data_type = self.definitions.data_type(&defined);
        let value = data_type.and_then(|data_type| value(bytes, data_type));
        let (value, raw) = match (value, self.definitions.policy()) {
            (Some(value), _) => (value, false),
            (None, UnknownPolicy::Raw) => (Value::Opaque(bytes.to_vec()), true),
            (None, UnknownPolicy::Reject) if data_type.is_none() => {
                return Err(DecodeError::Undefined(path));
            }
            (None, UnknownPolicy::Reject) => return Err(DecodeError::BadValue(path)),
        };
        let reading = Reading { path, value: Some(value), time_ms: None, raw };
        typing::push(&mut self.readings, reading)
    }
}

/// The value that bytes are in a type: OMA Core Appendix C. `None` when they do not fit it.
fn value(bytes: &[u8], data_type: DataType) -> Option<Value> {
    Some(match data_type {
        DataType::String => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        DataType::Corelnk => Value::Corelnk(String::from_utf8_lossy(bytes).into_owned()),
        DataType::Integer => Value::Integer(signed(bytes)?),
        DataType::Unsigned => Value::Unsigned(unsigned(bytes)?),
        // Four bytes are how devices write the time, most of them without a sign: that is what
        // takes them past 2038.
        DataType::Time if bytes.len() == 4 => Value::Time(unsigned(bytes)?.cast_signed()),
        DataType::Time => Value::Time(signed(bytes)?),
        DataType::Float => Value::Float(float(bytes)?),
        DataType::Boolean => match bytes {
            [0] => Value::Boolean(false),
            [1] => Value::Boolean(true),
            _ => return None,
        },
        DataType::Opaque => Value::Opaque(bytes.to_vec()),
        DataType::Objlnk => {
            let [object_high, object_low, high, low] = *bytes else { return None };
            Value::Objlnk(
                u16::from_be_bytes([object_high, object_low]),
                u16::from_be_bytes([high, low]),
            )
        }
        DataType::None => return None,
    })
}

/// Zero to eight bytes; none are 0, from devices that strip leading zero bytes.
fn unsigned(bytes: &[u8]) -> Option<u64> {
    if bytes.len() > 8 {
        return None;
    }
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn signed(bytes: &[u8]) -> Option<i64> {
    let number = unsigned(bytes)?;
    let unused_bits = 64 - 8 * bytes.len();
    if unused_bits == 64 {
        return Some(0);
    }
    // Shifting up and back down repeats the sign bit.
    Some((number << unused_bits).cast_signed() >> unused_bits)
}

fn float(bytes: &[u8]) -> Option<f64> {
    match bytes.len() {
        4 => Some(f32::from_be_bytes(bytes.try_into().ok()?).into()),
        8 => Some(f64::from_be_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}
