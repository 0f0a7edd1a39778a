//! What may differ from device to device of one fleet, although its [`Profile`] is shared.
//!
//! Everything else that makes a device stands in the profile alone.

use core::time::Duration;

use coap::Reliability;

use crate::profile::{Answers, Profile, QueueMode};

/// The habits of one device. Start from [`Profile::habits`] and change what differs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Habits {
    /// As [`Profile::lifetime`].
    pub lifetime: Option<u32>,
    /// As [`Profile::update_every`].
    pub update_every: Option<Duration>,
    /// As [`Profile::notifications`].
    pub notifications: Reliability,
    /// As [`Profile::queue_mode`].
    pub queue_mode: QueueMode,
    /// As [`Profile::answers`].
    pub answers: Answers,
}

/// An Update is sent at most that long before the lifetime ends: 93 s are MAX_TRANSMIT_WAIT, so an
/// Update that is given up still leaves time for a second one.
const UPDATE_AHEAD_MAX: Duration = Duration::from_secs(200);

/// A lifetime of 0 must not make a device send without a pause.
const UPDATE_INTERVAL_MIN: Duration = Duration::from_millis(500);

impl Habits {
    /// How long after Register or Update the next Update leaves, for a lifetime in seconds.
    pub(crate) fn update_interval(&self, lifetime: u64) -> Duration {
        self.update_every.unwrap_or_else(|| {
            let lifetime = Duration::from_secs(lifetime);
            // Half of it leaves room for one Update that is lost with all of its repetitions.
            (lifetime / 2).max(lifetime.saturating_sub(UPDATE_AHEAD_MAX)).max(UPDATE_INTERVAL_MIN)
        })
    }
}

impl Profile {
    /// The habits of a device that differs in nothing.
    pub const fn habits(&self) -> Habits {
        Habits {
            lifetime: self.lifetime,
            update_every: self.update_every,
            notifications: self.notifications,
            queue_mode: self.queue_mode,
            answers: self.answers,
        }
    }
}
