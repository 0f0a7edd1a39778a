//! What must survive a restart: registrations with their observations and commands.
//!
//! A record is opaque to the store. It begins with a version, so that a newer engine reads what an
//! older one wrote. Times are written by the wall clock, since the monotonic one begins anew.

use std::collections::VecDeque;

use crate::identity::RegistrationId;
use crate::registry::{Key, Recorded, Registration};
use crate::server::Server;
use crate::settings::Records;

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
    /// Notes that a registration is not what the store knows. Many changes in a turn are one record.
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
}
