//! What must survive a restart: registrations with their observations and commands.
//!
//! A record is opaque to the store. It begins with a version, so that a newer engine reads what an
//! older one wrote. Times are written by the wall clock, since the monotonic one begins anew. What
//! stands in a record is in [`stored`], how it is written in [`wire`].

mod stored;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use coap::Instant;

use crate::arming::plan::Plan;
use crate::event::Device;
use crate::identity::{Identity, RegistrationId};
use crate::listing::Cursor;
use crate::note::NoteKind;
use crate::observations::Observation;
use crate::registry::{Key, Recorded, Registration, Route};
use crate::server::{Server, WallMs};
use crate::settings::Records;
use stored::{Stored, StoredObservation};
use wire::Clocks;

/// One change of one registration, for a store that knows nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose change it is.
    pub registration: RegistrationId,
    /// What it is.
    pub change: Change,
}

/// What a store has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Keep this in place of what there was.
    Put(Vec<u8>),
    /// Forget the registration.
    Delete,
}

/// Why a record cannot be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It was written by a newer engine.
    #[error("the record is of version {0}, which is not known")]
    Version(u8),
    /// It ends too early, or holds what cannot be.
    #[error("the record is damaged")]
    Damaged,
    /// A device of this name, or this registration, is there already.
    #[error("the device is registered already")]
    Taken,
    /// It is a deletion.
    #[error("the record is a deletion")]
    Deleted,
}

/// Registrations whose record is to be written.
#[derive(Debug)]
pub(crate) struct RecordLog {
    records: Records,
    changed: VecDeque<RegistrationId>,
}

impl RecordLog {
    pub(crate) const fn new(records: Records) -> Self {
        Self { records, changed: VecDeque::new() }
    }

    pub(crate) const fn is_on(&self) -> bool {
        matches!(self.records, Records::On)
    }

    /// A registration is gone; if its change still waits, that becomes the deletion.
    pub(crate) fn on_end(&mut self, registration: &Registration) {
        if self.is_on() && registration.recorded == Recorded::Clean {
            self.changed.push_back(registration.id());
        }
    }
}

impl Server {
    /// The next change for the store, if records are on. Many changes of a registration since the
    /// last call are one record of what it is now. Notifications do not change a record: what they
    /// move (Observe numbers) is written with the next change, or by [`Self::dump`].
    pub fn poll_record(&mut self, now: Instant) -> Option<Record> {
        let registration = self.records.changed.pop_front()?;
        let Some(key) = self.registry.find_id(registration) else {
            return Some(Record { registration, change: Change::Delete });
        };
        let record = self.record_of(now, key);
        if let Some(found) = self.registry.get_mut(key) {
            found.recorded = Recorded::Clean;
        }
        record
    }

    /// Records of the registrations of a page as they are now, and where the next page begins: for
    /// a snapshot, or before a clean stop.
    #[must_use]
    pub fn dump(
        &self,
        now: Instant,
        after: Option<Cursor>,
        max: usize,
    ) -> (Vec<Record>, Option<Cursor>) {
        let (keys, next) = self.page(after, max);
        (keys.into_iter().filter_map(|key| self.record_of(now, key)).collect(), next)
    }

    /// Takes a registration back as it was: its id, its tokens, its commands. The driver tells the
    /// directory. A registration of a shard that is no more lives here from now on.
    pub fn restore(
        &mut self,
        now: Instant,
        wall: WallMs,
        record: &Record,
    ) -> Result<Device, RecordError> {
        self.set_wall(now, wall);
        let Change::Put(bytes) = &record.change else { return Err(RecordError::Deleted) };
        let stored = Stored::read(bytes, Clocks { now, wall })?;
        let id = record.registration;
        let known = self.registry.find(stored.endpoint.as_str()).or(self.registry.find_id(id));
        if known.is_some() {
            return Err(RecordError::Taken);
        }
        if !self.stands_for(id.shard()) {
            self.adopt(id.shard());
        }
        Ok(self.take_back(now, id, stored))
    }

    /// Notes that a registration is not what the store knows. Many changes in a turn are one
    /// record.
    pub(crate) fn record(&mut self, key: Key) {
        if !self.records.is_on() {
            return;
        }
        if let Some(registration) = self.registry.get_mut(key)
            && registration.recorded == Recorded::Clean
        {
            registration.recorded = Recorded::Dirty;
            self.records.changed.push_back(registration.id());
        }
    }

    fn record_of(&self, now: Instant, key: Key) -> Option<Record> {
        let registration = self.registry.get(key)?;
        let observations = self.observations.chain(registration.observations);
        // One that the engine asks for is part of the plan until it is answered.
        let plan = registration.queue.as_deref().and_then(|queue| queue.plan.as_deref());
        let asked = plan.and_then(Plan::asking).map(|asking| asking.observation);
        let settled = observations.filter(|observation| Some(observation.id) != asked);
        let states = settled.filter_map(|observation| {
            self.coap.export_observation(observation.id).map(|state| (observation, state))
        });
        let clocks = Clocks { now, wall: self.wall_at(now) };
        let bytes = stored::write(registration, states, clocks);
        Some(Record { registration: registration.id(), change: Change::Put(bytes) })
    }

    fn take_back(&mut self, now: Instant, id: RegistrationId, stored: Stored) -> Device {
        let links = stored.links.map(|links| self.links.share(links));
        let info = self.share_info(stored.lifetime, stored.parameters, links);
        let mut made = Registration::new(stored.endpoint, id, Arc::clone(&info), stored.peer, now);
        made.identity = match stored.identity {
            Identity::None => None,
            proven => Some(Box::new(proven)),
        };
        made.deadline = stored.deadline;
        made.registered = stored.registered;
        made.heard = stored.heard;
        made.lifetime = stored.phase;
        made.window = stored.window;
        made.route = stored.route;
        made.credit = stored.credit;
        let device = made.device();
        if made.route == Route::Unproven {
            self.coap.peer_unproven_with(made.peer, made.credit);
        }
        let key = self.registry.insert(made);
        for observation in stored.observations {
            self.restore_observation(now, key, observation);
        }
        for command in &stored.commands {
            self.keep_clear_of(command.id);
        }
        self.inherit(key, stored.commands.into());
        self.restore_plan(now, key, stored.wanted.into(), stored.automatic.into());
        self.schedule(now, key);
        self.dispatch(now, key);
        self.drain_messages(now, &Identity::None);
        device
    }

    fn restore_observation(&mut self, now: Instant, key: Key, stored: StoredObservation) {
        let evidence = stored.state.token;
        let Some(id) = self.coap.restore_observation(now, stored.state) else {
            // Its slot is taken by another: what still comes of it is rejected, and the device
            // drops it.
            return self.note_device(key, NoteKind::RecordIncomplete, evidence.as_bytes());
        };
        let origin = self.share_origin(&stored.origin);
        let mut observation = Observation::new(id, key, stored.target, origin);
        observation.sequence = stored.sequence;
        self.add_observation(observation);
    }
}
