//! A device at rest: what is left of one that is registered and has nothing open.
//!
//! A fleet of a million devices keeps [`Rest`]s and a few [`Device`]s; the one that a datagram or a
//! timer concerns is woken, acts, and is put to rest again. It then behaves byte for byte like one
//! that was never at rest. What most devices have stands in the value itself; the rest of it
//! ([`Extra`]) is on the heap, and most of that is gone minutes after the server's last request.

use std::collections::VecDeque;
use std::sync::Arc;

use coap::{Instant, MessageId, Token};
use lwm2m::{Format, Path, Value};

use crate::attributes::AttributeTable;
use crate::chance::Chance;
use crate::device::Device;
use crate::firmware::Firmware;
use crate::habits::Habits;
use crate::location::Location;
use crate::messages::Remembered;
use crate::name::Name;
use crate::observe::{Observation, Target};
use crate::profile::Profile;
use crate::registration::{Registered, State};
use crate::requests::Updated;
use crate::tree::{Change, Slot};

/// A device at rest, 136 bytes and nothing on the heap when it is registered, has one observation
/// of one path, and differs from its fleet in one number.
#[derive(Debug)]
pub struct Rest {
    chance: u64,
    /// When the device has something to do.
    timeout: Instant,
    location: Location,
    /// The number that stands at `changed`.
    value: f64,
    observation: Watch,
    extra: Option<Box<Extra>>,
    next_observe: u32,
    /// Where the device differs from its fleet, if it is one number.
    changed: Option<Path>,
    next_id: u16,
    registered: bool,
}

/// The only observation of a device, without what can be told from elsewhere.
#[derive(Debug, Default)]
struct Watch {
    key: u64,
    last_sent: Instant,
    last_confirmed: Instant,
    token: Token,
    path: Option<Path>,
    accept: Option<Format>,
    last_id: Option<MessageId>,
    told: Told,
}

/// What was last told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Told {
    #[default]
    Nothing,
    /// The value that stands there.
    Current,
}

/// What not every device has.
#[derive(Debug, Default)]
struct Extra {
    changes: Vec<Change>,
    attributes: AttributeTable,
    observations: Vec<Observation>,
    executions: Vec<(Path, u32)>,
    remembered: VecDeque<Remembered>,
    update_at: Option<Instant>,
    changed: Updated,
}

/// Who a device at rest is: what its owner can tell without it.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    /// Its name.
    pub name: Name,
    /// What its fleet has in common.
    pub profile: &'a Arc<Profile>,
    /// What differs.
    pub habits: Habits,
}

impl Rest {
    /// When [`Device::handle_timeout`] has something to do; `None`: not before the next input.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.timeout != NEVER).then_some(self.timeout)
    }

    /// Whether everything stands in the value itself.
    pub fn owns_nothing(&self) -> bool {
        self.extra.is_none() && matches!(self.location, Location::Short { .. })
    }

    /// Whether the server has the registration.
    pub const fn is_registered(&self) -> bool {
        self.registered
    }
}

/// Further than any clock goes.
const NEVER: Instant = Instant::from_micros(u64::MAX);

impl Device {
    /// A device that is nobody: to be woken as one, over and over.
    pub fn nobody(profile: Arc<Profile>) -> Self {
        let habits = profile.habits();
        Self::off(Name::Numbered(0), profile, habits, Chance::seeded(0))
    }

    /// What is left of the device when it has nothing open; `None` when it has. Afterwards it is
    /// nobody, and its buffers serve the next one.
    pub fn rest(&mut self) -> Option<Rest> {
        if !self.can_rest() {
            return None;
        }
        let timeout = self.rest_timeout();
        let (registered, location, update_at, updated) =
            match std::mem::replace(&mut self.state, State::Off) {
                State::Registered(Registered { location, update_at, changed }) => {
                    (true, location, update_at, changed)
                }
                _ => (false, Location::EMPTY, NEVER, Updated::default()),
            };
        let mut extra = Extra {
            executions: std::mem::take(&mut self.executions),
            remembered: self.messages.take_remembered(),
            update_at: (update_at != timeout).then_some(update_at),
            changed: updated,
            ..Extra::default()
        };
        // Before the value goes, which it is compared with.
        let observation = self.rest_observation(&mut extra);
        let (changed, value) = self.rest_changes(&mut extra);
        if !self.data.attributes.is_empty() {
            extra.attributes = std::mem::take(&mut self.data.attributes);
        }
        Some(Rest {
            chance: self.chance.state(),
            timeout,
            location,
            value,
            observation,
            extra: (!extra.is_empty()).then(|| Box::new(extra)),
            next_observe: self.next_observe,
            changed,
            next_id: self.messages.next_id(),
            registered,
        })
    }

    /// Makes nobody, or whoever this device was, the device that was put to rest.
    pub fn wake(&mut self, rest: Rest, identity: Identity<'_>) {
        let Identity { name, profile, habits } = identity;
        self.data.become_of(profile, habits);
        self.endpoint = name;
        self.chance = Chance::seeded(rest.chance);
        self.next_observe = rest.next_observe;
        self.messages.restart(rest.next_id);
        self.request = None;
        self.sends.clear();
        self.upload = None;
        self.download = None;
        self.firmware = Firmware::Idle;
        self.delayed.clear();
        self.events.clear();
        if let Some(path) = rest.changed {
            self.data.put(path, Value::Float(rest.value));
        }
        self.wake_observation(&rest.observation);
        let mut update_at = rest.timeout;
        let mut updated = Updated::default();
        self.executions.clear();
        if let Some(extra) = rest.extra {
            update_at = extra.update_at.unwrap_or(update_at);
            updated = extra.changed;
            self.executions = extra.executions;
            self.messages.put_remembered(extra.remembered);
            self.data.attributes = extra.attributes;
            if !extra.changes.is_empty() {
                self.data.tree.put_changes(extra.changes);
            }
            if !extra.observations.is_empty() {
                self.observations = extra.observations;
            }
        }
        self.state = if rest.registered {
            State::Registered(Registered { location: rest.location, update_at, changed: updated })
        } else {
            State::Off
        };
    }

    fn can_rest(&self) -> bool {
        matches!(self.state, State::Registered(_) | State::Off)
            && self.request.is_none()
            && self.sends.is_empty()
            && self.upload.is_none()
            && self.download.is_none()
            && self.firmware == Firmware::Idle
            && self.delayed.is_empty()
            && self.events.is_empty()
            && self.messages.can_rest()
    }

    /// When the device has something to do, or something to forget.
    fn rest_timeout(&self) -> Instant {
        let due = [self.poll_timeout(), self.messages.forget_at()];
        due.into_iter().flatten().min().unwrap_or(NEVER)
    }

    fn rest_observation(&mut self, extra: &mut Extra) -> Watch {
        if let [only] = self.observations.as_slice()
            && let Some(watch) = self.watch(only)
        {
            self.observations.clear();
            return watch;
        }
        if !self.observations.is_empty() {
            extra.observations = std::mem::take(&mut self.observations);
        }
        Watch::default()
    }

    /// The short form of an observation, if it has one.
    fn watch(&self, observation: &Observation) -> Option<Watch> {
        let Observation { token, ref target, accept, key, told, .. } = *observation;
        let Observation { last_sent, last_confirmed, changed, last_id, .. } = *observation;
        let Target::One(path) = *target else { return None };
        if changed.is_some() {
            return None;
        }
        let told = match told {
            None => Told::Nothing,
            told if told.map(f64::to_bits) == self.data.number(&path).map(f64::to_bits) => {
                Told::Current
            }
            Some(_) => return None,
        };
        let path = Some(path);
        Some(Watch { key, last_sent, last_confirmed, token, path, accept, last_id, told })
    }

    fn wake_observation(&mut self, watch: &Watch) {
        self.observations.clear();
        let Some(path) = watch.path else { return };
        let told = match watch.told {
            Told::Nothing => None,
            Told::Current => self.data.number(&path),
        };
        if self.observations.capacity() == 0 {
            self.observations.reserve_exact(1);
        }
        self.observations.push(Observation {
            token: watch.token,
            target: Target::One(path),
            accept: watch.accept,
            key: watch.key,
            told,
            last_sent: watch.last_sent,
            last_confirmed: watch.last_confirmed,
            changed: None,
            last_id: watch.last_id,
        });
    }

    /// What differs from the fleet, in short if it is one number.
    fn rest_changes(&mut self, extra: &mut Extra) -> (Option<Path>, f64) {
        match self.data.tree.changes() {
            [] => (None, 0.0),
            [(path, Some(Slot::Value(Value::Float(number))))] => {
                let short = (Some(*path), *number);
                self.data.tree.forget();
                short
            }
            _ => {
                extra.changes = self.data.tree.take_changes();
                (None, 0.0)
            }
        }
    }
}

impl Extra {
    fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.attributes.is_empty()
            && self.observations.is_empty()
            && self.executions.is_empty()
            && self.remembered.is_empty()
            && self.update_at.is_none()
            && self.changed == Updated::default()
    }
}
