//! Read, Discover, Delete and Execute on the data of a device: OMA Core 6.3.
//!
//! Knows paths and formats, no CoAP messages. Writing and creating is the job of [`crate::write`],
//! reading a message that of [`crate::management`].

use std::sync::Arc;

use coap::{Code, Instant};
use lwm2m::Level;
use lwm2m::codec::{self, Context, UnknownPolicy};
use lwm2m::{Format, ModelView, Path, Reading, ResourceModel, Value};

use crate::attributes::{AttributeTable, Attributes};
use crate::habits::Habits;
use crate::profile::{AcceptOption, Profile};
use crate::tree::{PMAX_DEFAULT, PMIN_DEFAULT, Slot, Tree, seconds_of};

/// The security object, which only a bootstrap server may touch: OMA Core 6.3.
const SECURITY: u16 = 0;

/// What a device knows and what was set on it.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    pub(crate) profile: Arc<Profile>,
    pub(crate) habits: Habits,
    pub(crate) tree: Tree,
    pub(crate) attributes: AttributeTable,
    /// The time of the last input, for values that tell the time.
    pub(crate) now: Instant,
}

/// A payload and what it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Body {
    pub(crate) format: Format,
    pub(crate) bytes: Vec<u8>,
}

/// What a payload is wanted for, which decides its format when the server did not choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Answer,
    Notification,
}

impl Data {
    pub(crate) fn new(profile: Arc<Profile>, habits: Habits) -> Self {
        let tree = Tree::new(Arc::clone(&profile.objects));
        Self { profile, habits, tree, attributes: AttributeTable::default(), now: Instant::ZERO }
    }

    /// The data of another device, as it begins.
    pub(crate) fn become_of(&mut self, profile: &Arc<Profile>, habits: Habits) {
        self.tree.begin_with(&profile.objects);
        if !Arc::ptr_eq(&self.profile, profile) {
            self.profile = Arc::clone(profile);
        }
        self.habits = habits;
        self.attributes.clear();
    }

    /// Which format a path is answered in; 4.06 when the wanted one cannot be had.
    pub(crate) fn choose_format(
        &self,
        path: &Path,
        accept: Option<Format>,
        purpose: Use,
    ) -> Result<Format, Code> {
        let profile = &self.profile;
        let single = matches!(self.tree.slot(path), Some(Slot::Value(_)));
        if let Some(format) = accept {
            return match profile.accept {
                _ if profile.formats.contains(&format) => Ok(format),
                AcceptOption::Honoured => Err(Code::NOT_ACCEPTABLE),
                AcceptOption::Ignored => Ok(if single { Format::TEXT } else { Format::JSON }),
            };
        }
        Ok(match (single, purpose) {
            (false, _) => profile.format_of_many,
            (true, Use::Answer) => profile.format_of_value,
            (true, Use::Notification) => profile.format_of_notification,
        })
    }

    /// What Read answers for a path in a format: OMA Core 6.3.1.
    pub(crate) fn read(&self, path: &Path, format: Format) -> Result<Body, Code> {
        let readings = self.readings(path, format)?;
        self.encode(path, format, &readings)
    }

    /// The readable values at or below a path, or why there are none.
    pub(crate) fn readings(&self, path: &Path, format: Format) -> Result<Vec<Reading>, Code> {
        let mut readings = Vec::new();
        self.add_readings(path, format, &mut readings)?;
        Ok(readings)
    }

    /// The same into a list that there is already.
    pub(crate) fn add_readings(
        &self,
        path: &Path,
        format: Format,
        readings: &mut Vec<Reading>,
    ) -> Result<(), Code> {
        self.check_exists(path)?;
        let models = self.models();
        let readable =
            |at: &Path| models.resource(at).is_none_or(|model| model.operations.is_readable());
        if matches!(path.level(), Level::Resource | Level::ResourceInstance) && !readable(path) {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        if let Some(Slot::Value(value)) = self.tree.slot(path) {
            let value = self.own_value(path).unwrap_or_else(|| value.clone());
            readings.push(Reading::new(*path, value));
            return Ok(());
        }
        let nested = format.normalized() == Format::TLV;
        let slots = self.tree.under(*path).filter(|(at, _)| at.len() < 3 || readable(at));
        readings.extend(slots.filter_map(|(at, slot)| self.reading(at, slot, nested)));
        Ok(())
    }

    /// One slot as a reading; an empty multiple resource shows in TLV only, where it has a form.
    fn reading(&self, at: Path, slot: &Slot, nested: bool) -> Option<Reading> {
        match slot {
            Slot::Value(value) => {
                Some(Reading::new(at, self.own_value(&at).unwrap_or_else(|| value.clone())))
            }
            Slot::Multiple if nested && self.tree.under(at).nth(1).is_none() => {
                Some(Reading::path_only(at))
            }
            Slot::Multiple | Slot::Instance | Slot::Executable => None,
        }
    }

    /// What a device says of itself until somebody writes another value: the time, if it knows it
    /// (`/3/0/13`), and the lifetime that it registers with (`/1/0/1`).
    fn own_value(&self, at: &Path) -> Option<Value> {
        const CURRENT_TIME: Path = Path::resource(3, 0, 13);
        const LIFETIME: Path = Path::resource(1, 0, 1);
        if ![CURRENT_TIME, LIFETIME].contains(at) || self.tree.changed_value(at).is_some() {
            return None;
        }
        if *at == LIFETIME {
            return self.habits.lifetime.map(|seconds| Value::Integer(i64::from(seconds)));
        }
        Some(Value::Time(self.wall_ms()? / 1000))
    }

    /// Wall-clock time in milliseconds since 1970, if the device knows it.
    pub(crate) fn wall_ms(&self) -> Option<i64> {
        let since = i64::try_from(self.now.as_micros() / 1000).ok()?;
        self.profile.epoch_ms?.checked_add(since)
    }

    /// Values as a payload; 4.06 when the format has no form for them.
    pub(crate) fn encode(
        &self,
        base: &Path,
        format: Format,
        readings: &[Reading],
    ) -> Result<Body, Code> {
        let mut bytes = Vec::new();
        self.write_payload(base, format, readings, &mut bytes)?;
        Ok(Body { format, bytes })
    }

    /// The same, appended to what there is.
    pub(crate) fn write_payload(
        &self,
        base: &Path,
        format: Format,
        readings: &[Reading],
        out: &mut Vec<u8>,
    ) -> Result<(), Code> {
        // Formats that can hold many values have a form for none of them: no bytes, or an empty
        // list. The others cannot be asked for where there may be none.
        codec::encode(format, base, readings, &self.context(), out)
            .map_err(|_| Code::NOT_ACCEPTABLE)
    }

    /// Default Minimum and Maximum Period of the server object: `/1/0/2`, `/1/0/3`.
    pub(crate) fn server_periods(&self) -> Attributes {
        let period = |path: Path, usual| match self.tree.change_at(&path) {
            None => usual,
            Some(Some(Slot::Value(value))) => seconds_of(value),
            Some(_) => None,
        };
        let [pmin, pmax] = self.profile.objects.server_periods();
        Attributes {
            pmin: period(PMIN_DEFAULT, pmin),
            pmax: period(PMAX_DEFAULT, pmax),
            ..Attributes::default()
        }
    }

    /// What Read-Composite answers, OMA Core 6.3.8.
    pub(crate) fn read_many(&self, paths: &[Path], format: Format) -> Result<Body, Code> {
        self.encode(&Path::ROOT, format, &self.readings_of_many(paths, format))
    }

    /// What exists of the paths and can be read.
    pub(crate) fn readings_of_many(&self, paths: &[Path], format: Format) -> Vec<Reading> {
        paths.iter().filter_map(|path| self.readings(path, format).ok()).flatten().collect()
    }

    /// What Discover answers, in link format: OMA Core 6.3.2.
    pub(crate) fn discover(&self, path: &Path) -> Result<Vec<u8>, Code> {
        if path.is_root() {
            return Err(Code::BAD_REQUEST);
        }
        if path.level() == Level::ResourceInstance {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        self.check_exists(path)?;
        let mut links = String::new();
        if path.level() == Level::Object {
            self.write_link(*path, &mut links);
        }
        for (at, _) in self.tree.under(*path).filter(|(at, _)| at.len() <= 3) {
            self.write_link(at, &mut links);
        }
        // A resource asked for by itself shows what it inherits too.
        if path.level() == Level::Resource {
            links.clear();
            self.write_target(*path, &mut links);
            self.write_dimension(path, &mut links);
            self.attributes.effective(path).write_link(&mut links);
        }
        Ok(links.into_bytes())
    }

    fn write_link(&self, at: Path, links: &mut String) {
        if !links.is_empty() {
            links.push(',');
        }
        self.write_target(at, links);
        if at.level() == Level::Object
            && let Some(version) = self.stated_version(at)
        {
            links.push_str(&format!(";ver={version}"));
        }
        self.write_dimension(&at, links);
        self.attributes.at(&at).write_link(links);
    }

    fn write_target(&self, at: Path, links: &mut String) {
        let root = self.profile.alternate_path.as_deref().unwrap_or_default();
        links.push_str(&format!("<{root}{at}>"));
    }

    fn write_dimension(&self, at: &Path, links: &mut String) {
        if matches!(self.tree.slot(at), Some(Slot::Multiple)) {
            let instances = self.tree.under(*at).count().saturating_sub(1);
            links.push_str(&format!(";dim={instances}"));
        }
    }

    /// The version that the device states for an object, if it does.
    pub(crate) fn stated_version(&self, object: Path) -> Option<lwm2m::Version> {
        let object = object.object_id()?;
        self.profile.versions.iter().find(|entry| entry.object == object)?.version
    }

    /// Removes an instance; which ones may be removed is decided here. OMA Core 6.3.7.
    pub(crate) fn delete(&mut self, path: &Path) -> Result<(), Code> {
        let Some(object) = path.object_id() else { return Err(Code::METHOD_NOT_ALLOWED) };
        self.check_exists(path)?;
        if path.level() != Level::Instance || !self.may_change_instances(object) {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        self.tree.remove(path);
        self.attributes.remove(path);
        Ok(())
    }

    /// Whether a server may create and delete instances: of objects with several, its own account
    /// excepted.
    pub(crate) fn may_change_instances(&self, object: u16) -> bool {
        const SERVER: u16 = 1;
        object != SERVER && self.models().object(object).is_some_and(|model| model.is_multiple())
    }

    /// 4.01 for the security object, 4.04 for what is not there.
    pub(crate) fn check_exists(&self, path: &Path) -> Result<(), Code> {
        match path.object_id() {
            None => Err(Code::METHOD_NOT_ALLOWED),
            Some(SECURITY) => Err(Code::UNAUTHORIZED),
            Some(object) if path.len() == 1 => self.check_object(object),
            // Looking at the place itself is cheaper than looking below it, and mostly enough.
            Some(_) if self.tree.slot(path).is_some() || self.tree.contains(path) => Ok(()),
            Some(_) => Err(Code::NOT_FOUND),
        }
    }

    /// An object exists when the device states it, also without instances.
    pub(crate) fn check_object(&self, object: u16) -> Result<(), Code> {
        let stated = self.profile.versions.iter().any(|entry| entry.object == object);
        if stated || self.tree.contains(&Path::object(object)) {
            Ok(())
        } else {
            Err(Code::NOT_FOUND)
        }
    }

    pub(crate) fn models(&self) -> ModelView<'_> {
        ModelView::new(&self.profile.models, &self.profile.versions)
    }

    pub(crate) fn definition(&self, path: &Path) -> Option<&ResourceModel> {
        self.models().resource(path)
    }

    pub(crate) fn context(&self) -> Context<'_> {
        let wall_ms = self.wall_ms().unwrap_or(0);
        Context { models: self.models(), wall_ms, unknown: UnknownPolicy::Raw }
    }

    /// The lifetime in seconds that a server wrote to the server object, if one did.
    pub(crate) fn written_lifetime(&self) -> Option<u64> {
        match self.tree.changed_value(&Path::resource(1, 0, 1))? {
            Value::Integer(seconds) => u64::try_from(*seconds).ok(),
            _ => None,
        }
    }

    /// The lifetime in seconds as the server has it.
    pub(crate) fn lifetime(&self) -> u64 {
        let stated = self.habits.lifetime.unwrap_or(crate::profile::LIFETIME_DEFAULT);
        self.written_lifetime().unwrap_or(u64::from(stated))
    }

    /// The value at a path as a number, if it is one.
    pub(crate) fn number(&self, path: &Path) -> Option<f64> {
        match self.tree.value(path)? {
            Value::Integer(number) | Value::Time(number) => Some(*number as f64),
            Value::Unsigned(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::String(_)
            | Value::Boolean(_)
            | Value::Opaque(_)
            | Value::Objlnk(..)
            | Value::Corelnk(_) => None,
        }
    }
}
