//! Write and Create on the data of a device: OMA Core 6.3.3, 6.3.6, 6.3.9.
//!
//! Everything is checked before anything is changed. What a written value sets in motion is the job
//! of [`crate::device`].

use coap::Code;
use lwm2m::Level;
use lwm2m::codec;
use lwm2m::{Format, Path, Reading, Value, WriteMode};

use crate::data::Data;
use crate::profile::UnstatedFormat;
use crate::tree::Slot;

/// A value that may be written, or a slot that may be emptied.
enum Change {
    Set(Path, Value),
    /// A multiple resource that shall have no instances but those that follow.
    Empty(Path),
    Remove(Path),
}

/// Who may set a resource: a server by Write only what is writable, by Create whatever has a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Write,
    Create,
}

impl Data {
    /// Writes a payload to an instance, a resource or a resource instance; says what was set.
    pub(crate) fn write(
        &mut self,
        path: &Path,
        mode: WriteMode,
        format: Option<Format>,
        payload: &[u8],
    ) -> Result<Vec<Path>, Code> {
        self.check_writable_path(path)?;
        let readings = self.decode(path, format, payload)?;
        let changes = self.checked(path, readings, Access::Write)?;
        if mode == WriteMode::Replace {
            self.clear_for(path);
        }
        Ok(self.apply(changes))
    }

    /// Writes values anywhere, all or nothing: OMA Core 6.3.9.
    pub(crate) fn write_many(
        &mut self,
        format: Option<Format>,
        payload: &[u8],
    ) -> Result<Vec<Path>, Code> {
        let readings = self.decode(&Path::ROOT, format, payload)?;
        for reading in &readings {
            self.check_exists(&reading.path.truncated(2))?;
        }
        let changes = self.checked(&Path::ROOT, readings, Access::Write)?;
        Ok(self.apply(changes))
    }

    /// Creates an instance of an object, or several; says which. OMA Core 6.3.6.
    pub(crate) fn create(
        &mut self,
        object: u16,
        format: Option<Format>,
        payload: &[u8],
    ) -> Result<Vec<Path>, Code> {
        self.check_exists(&Path::object(object))?;
        if !self.may_change_instances(object) {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        let free = self.free_instance(object)?;
        let own = instance_of_empty_wrapper(format, payload)
            .map_or(free, |instance| Path::instance(object, instance));
        let base = base_of_create(own, format, payload);
        let readings =
            if payload.is_empty() { Vec::new() } else { self.decode(&base, format, payload)? };
        let mut created: Vec<Path> =
            readings.iter().map(|reading| reading.path.truncated(2)).collect();
        created.sort_unstable();
        created.dedup();
        if created.is_empty() {
            created.push(own);
        }
        if created.iter().any(|path| path.len() < 2 || self.tree.contains(path)) {
            return Err(Code::BAD_REQUEST);
        }
        let changes = self.checked(&Path::object(object), readings, Access::Create)?;
        for path in &created {
            self.furnish(*path);
        }
        self.apply(changes);
        Ok(created)
    }

    /// Sets a value from inside, whatever a server may do with it.
    pub(crate) fn put(&mut self, path: Path, value: Value) {
        for level in 2..path.len() {
            let above = path.truncated(level);
            if self.tree.slot(&above).is_none() {
                self.tree.set(above, if level == 2 { Slot::Instance } else { Slot::Multiple });
            }
        }
        self.tree.set(path, Slot::Value(value));
    }

    fn check_writable_path(&self, path: &Path) -> Result<(), Code> {
        match path.level() {
            Level::Root | Level::Object => {
                self.check_exists(path)?;
                Err(Code::METHOD_NOT_ALLOWED)
            }
            Level::Instance => self.check_exists(path),
            Level::Resource | Level::ResourceInstance => {
                self.check_exists(&path.truncated(2))?;
                let definition = self.definition(path).ok_or(Code::NOT_FOUND)?;
                if definition.operations.is_writable() {
                    Ok(())
                } else {
                    Err(Code::METHOD_NOT_ALLOWED)
                }
            }
        }
    }

    fn decode(
        &self,
        path: &Path,
        format: Option<Format>,
        payload: &[u8],
    ) -> Result<Vec<Reading>, Code> {
        let format = match (format, self.profile.unstated_format) {
            (Some(format), _) | (None, UnstatedFormat::Means(format)) => format,
            (None, UnstatedFormat::Refused(code)) => return Err(code),
        };
        if !self.profile.formats.contains(&format) {
            return Err(Code::UNSUPPORTED_CONTENT_FORMAT);
        }
        codec::decode(Some(format), path, payload, &self.context())
            .map(|content| content.readings.into_vec())
            .map_err(|_| Code::BAD_REQUEST)
    }

    fn checked(
        &self,
        base: &Path,
        readings: Vec<Reading>,
        access: Access,
    ) -> Result<Vec<Change>, Code> {
        readings
            .into_iter()
            .map(|reading| {
                if !reading.path.starts_with(base) {
                    return Err(Code::BAD_REQUEST);
                }
                self.checked_change(reading, access)
            })
            .filter_map(Result::transpose)
            .collect()
    }

    /// One value that may be set; `None` for an empty instance, which sets nothing.
    fn checked_change(&self, reading: Reading, access: Access) -> Result<Option<Change>, Code> {
        let path = reading.path;
        if path.len() < 3 {
            return if reading.value.is_none() { Ok(None) } else { Err(Code::BAD_REQUEST) };
        }
        let definition = self.definition(&path).ok_or(Code::NOT_FOUND)?;
        let operations = definition.operations;
        let allowed = match access {
            Access::Write => operations.is_writable(),
            Access::Create => !operations.is_executable(),
        };
        if !allowed {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        let deep = path.level() == Level::ResourceInstance;
        match (reading.value, definition.is_multiple(), deep) {
            // The type is in the definition; a value that does not fit it was decoded raw.
            (Some(_), _, _) if reading.raw => Err(Code::BAD_REQUEST),
            (Some(value), true, true) | (Some(value), false, false) => {
                Ok(Some(Change::Set(path, value)))
            }
            (None, true, false) => Ok(Some(Change::Empty(path))),
            (None, true, true) => Ok(Some(Change::Remove(path))),
            (Some(_), _, _) | (None, _, _) => Err(Code::BAD_REQUEST),
        }
    }

    /// What a replacing Write takes away before it sets: the writable values at or below the path.
    fn clear_for(&mut self, path: &Path) {
        if path.level() == Level::ResourceInstance {
            return;
        }
        let doomed: Vec<(Path, bool)> = self
            .tree
            .under(*path)
            .filter(|(at, _)| at.len() == 3)
            .filter(|(at, _)| {
                self.definition(at).is_some_and(|definition| definition.operations.is_writable())
            })
            .map(|(at, slot)| (at, *slot == Slot::Multiple))
            .collect();
        for (at, multiple) in doomed {
            self.tree.remove(&at);
            if multiple {
                self.tree.set(at, Slot::Multiple);
            }
        }
    }

    fn apply(&mut self, changes: Vec<Change>) -> Vec<Path> {
        let mut written = Vec::with_capacity(changes.len());
        for change in changes {
            match change {
                Change::Set(path, value) => {
                    self.put(path, value);
                    written.push(path);
                }
                Change::Empty(path) => {
                    self.tree.remove(&path);
                    self.tree.set(path, Slot::Multiple);
                    written.push(path);
                }
                Change::Remove(path) => {
                    self.tree.remove(&path);
                    written.push(path);
                }
            }
        }
        written
    }

    fn free_instance(&self, object: u16) -> Result<Path, Code> {
        (0..lwm2m::MAX_ID)
            .map(|instance| Path::instance(object, instance))
            .find(|path| !self.tree.contains(path))
            .ok_or(Code::INTERNAL_SERVER_ERROR)
    }

    /// Gives a new instance what instance 0 of its object has by default.
    pub(crate) fn furnish(&mut self, path: Path) {
        self.tree.set(path, Slot::Instance);
        let Some(object) = path.object_id() else { return };
        let model = Path::instance(object, 0);
        let profile = std::sync::Arc::clone(&self.profile);
        for (at, slot) in profile.objects.iter().filter(|(at, _)| at.starts_with(&model)) {
            let ids = at.ids().get(2..).unwrap_or_default();
            let target = ids.iter().try_fold(path, |path, id| path.child(*id));
            if let Some(target) = target {
                self.tree.set(target, slot.clone());
            }
        }
    }
}

/// The path that the payload of a Create is read at: TLV without the instance around it, and an
/// empty payload, leave the id to the device.
fn base_of_create(own: Path, format: Option<Format>, payload: &[u8]) -> Path {
    let wrapped = payload.first().is_some_and(|first| is_instance(*first));
    if payload.is_empty() || is_tlv(format) && !wrapped { own } else { own.truncated(1) }
}

/// The id of a TLV that is one object instance without resources.
fn instance_of_empty_wrapper(format: Option<Format>, payload: &[u8]) -> Option<u16> {
    const WIDE_ID: u8 = 0b0010_0000;
    match payload {
        [first, id, rest @ ..] if is_tlv(format) && is_instance(*first) => match rest {
            [] | [0] if first & WIDE_ID == 0 => Some(u16::from(*id)),
            [low] | [low, 0] if first & WIDE_ID != 0 => Some(u16::from_be_bytes([*id, *low])),
            _ => None,
        },
        _ => None,
    }
}

fn is_tlv(format: Option<Format>) -> bool {
    format.is_some_and(|format| format.normalized() == Format::TLV)
}

/// Whether the first byte of a TLV says that it is an object instance.
const fn is_instance(first: u8) -> bool {
    first >> 6 == 0
}
