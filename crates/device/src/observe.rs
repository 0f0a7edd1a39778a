//! What a server observes and when it is told: RFC 7641, OMA Core 6.4.
//!
//! Keeps the observations and decides which notification is due. Making and sending it is the job
//! of [`crate::device`].

use coap::{Code, Duration, Instant, MessageId, Token};
use lwm2m::{Format, Path, Reading};

use crate::attributes::Attributes;
use crate::data::{Data, Use};
use crate::profile::{InstanceNotifications, Timestamps};

/// A NON-only observation is confirmed at least that often: RFC 7641 4.5.
const CONFIRM_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What is observed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    One(Path),
    /// Observe-Composite.
    Many(Box<[Path]>),
}

/// One observation of the server.
#[derive(Debug, Clone)]
pub(crate) struct Observation {
    pub(crate) token: Token,
    pub(crate) target: Target,
    pub(crate) accept: Option<Format>,
    /// Key of the plain request for the same, with which the rest of a large notification is
    /// fetched.
    pub(crate) key: u64,
    /// The number last told, which thresholds and steps are compared with.
    pub(crate) told: Option<f64>,
    pub(crate) last_sent: Instant,
    pub(crate) last_confirmed: Instant,
    /// What changed since then and has to be told.
    pub(crate) changed: Option<Path>,
    /// The last notification, for a Reset that answers it.
    pub(crate) last_id: Option<MessageId>,
}

impl Target {
    /// Whether a change at a path is one of what is observed.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        let touches = |target: &Path| path.starts_with(target) || target.starts_with(path);
        match self {
            Self::One(target) => touches(target),
            Self::Many(targets) => targets.iter().any(touches),
        }
    }

    /// The path that events name; the root for a list.
    pub(crate) const fn path(&self) -> Path {
        match self {
            Self::One(path) => *path,
            Self::Many(_) => Path::ROOT,
        }
    }
}

impl Observation {
    /// When it has something to tell; `None`: not before a value changes.
    pub(crate) fn due_at(&self, data: &Data) -> Option<Instant> {
        let attributes = self.attributes(data);
        let pmin = attributes.pmin.unwrap_or(0);
        if self.changed.is_some() {
            return Some(self.last_sent + Duration::from_secs(u64::from(pmin)));
        }
        // A pmax below pmin is ignored, and 0 means that there is none.
        let pmax = attributes.pmax.filter(|pmax| *pmax > 0 && *pmax >= pmin)?;
        Some(self.last_sent + Duration::from_secs(u64::from(pmax)))
    }

    /// Takes note of a changed value, if it is one that has to be told.
    pub(crate) fn on_change(&mut self, data: &Data, path: &Path) {
        if self.target.covers(path) && self.is_significant(data) {
            self.changed = Some(*path);
        }
    }

    /// Whether the next notification must be confirmable whatever the profile says.
    pub(crate) fn must_confirm(&self, now: Instant) -> bool {
        now - self.last_confirmed >= CONFIRM_EVERY
    }

    /// Appends what a notification carries; says its format. `readings`: room to work in.
    pub(crate) fn write_body(
        &self,
        data: &Data,
        readings: &mut Vec<Reading>,
        out: &mut Vec<u8>,
    ) -> Result<Format, Code> {
        readings.clear();
        let (base, format) = match &self.target {
            Target::One(path) => {
                data.check_exists(path)?;
                let format = data.choose_format(path, self.accept, Use::Notification)?;
                data.add_readings(&self.part_of(path, data), format, readings)?;
                (*path, format)
            }
            Target::Many(paths) => {
                let format = self.accept.unwrap_or(Format::SENML_CBOR);
                readings.extend(data.readings_of_many(paths, format));
                (Path::ROOT, format)
            }
        };
        let senml = [Format::SENML_JSON, Format::SENML_CBOR].contains(&format);
        if senml && data.profile.timestamps == Timestamps::Stated {
            for reading in readings.iter_mut() {
                reading.time_ms = data.wall_ms();
            }
        }
        data.write_payload(&base, format, readings, out)?;
        Ok(format)
    }

    /// The part of an instance that is told: all of it, or the resource that changed.
    fn part_of(&self, target: &Path, data: &Data) -> Path {
        match self.changed {
            Some(changed)
                if data.profile.instance_notifications == InstanceNotifications::Changed
                    && target.len() <= 2
                    && changed.len() > 2 =>
            {
                changed.truncated(3)
            }
            Some(_) | None => *target,
        }
    }

    fn attributes(&self, data: &Data) -> Attributes {
        let own = match &self.target {
            Target::One(path) if !data.attributes.is_empty() => data.attributes.effective(path),
            Target::One(_) | Target::Many(_) => Attributes::default(),
        };
        own.or(data.server_periods())
    }

    /// Thresholds and steps hold a change back; anything else is told.
    fn is_significant(&self, data: &Data) -> bool {
        let Target::One(path) = &self.target else { return true };
        let attributes = data.attributes.effective(path);
        let (Some(told), Some(current)) = (self.told, data.number(path)) else { return true };
        if !attributes.has_thresholds() {
            return true;
        }
        let crosses =
            |limit: Option<f64>| limit.is_some_and(|limit| (told <= limit) != (current <= limit));
        let steps = attributes.st.is_some_and(|step| (current - told).abs() >= step);
        crosses(attributes.gt) || crosses(attributes.lt) || steps
    }
}
