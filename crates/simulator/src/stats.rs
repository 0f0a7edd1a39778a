//! What a fleet counted, for a progress bar and for the end.
//!
//! Showing it is the job of [`crate::summary`].

use std::time::Duration;

/// The state of a fleet, or of a group, at one moment. What is "now" may fall, the rest only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Since the fleet began.
    pub elapsed: Duration,
    /// Devices that shall be.
    pub count: usize,
    /// Devices that are registered now.
    pub registered: usize,
    /// Devices that are observed now.
    pub observed: usize,
    /// Devices that have begun.
    pub started: usize,
    /// Devices whose Register the server answered at least once, in whatever way.
    pub answered: usize,
    /// Devices that were registered at least once.
    pub once_registered: usize,
    /// Registrations that the server took.
    pub registrations: u64,
    /// Registrations that the server refused.
    pub refused: u64,
    /// Updates that the server took.
    pub updates: u64,
    /// Updates that the server refused.
    pub updates_refused: u64,
    /// Requests that were never answered.
    pub unanswered: u64,
    /// Notifications sent.
    pub notifications: u64,
    /// Those of them that the server has to acknowledge.
    pub notifications_con: u64,
    /// Those of them that it did acknowledge.
    pub notifications_con_acked: u64,
    /// Observations that the server ended by a Reset.
    pub notifications_reset: u64,
    /// Observations that ended because a notification was never acknowledged.
    pub notifications_unacked: u64,
    /// Changes of values that were left out because their time had passed: the simulator itself
    /// was too slow.
    pub changes_skipped: u64,
    /// Observations begun.
    pub observations: u64,
    /// Resources executed.
    pub executions: u64,
    /// Values written by the server.
    pub writes: u64,
    /// Instances created or deleted by the server.
    pub instances: u64,
    /// Reboots.
    pub reboots: u64,
    /// Devices that have left, with or without the server's answer.
    pub left: u64,
    /// Messages sent again because they were not acknowledged.
    pub retransmissions: u64,
    /// Datagrams that a scenario let get lost, of both directions.
    pub lost_simulated: u64,
    /// Changes of a source address that the device did not know of.
    pub rebinds: u64,
    /// Datagrams that came to an address that the device no longer has.
    pub datagrams_to_old_address: u64,
    /// Datagrams that came while the device was asleep, and did not reach it.
    pub datagrams_while_asleep: u64,
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Datagrams that the system did not take; only in the whole fleet's.
    pub datagrams_dropped: u64,
}

impl Snapshot {
    /// Adds what another group counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.elapsed = self.elapsed.max(other.elapsed);
        self.count += other.count;
        self.registered += other.registered;
        self.observed += other.observed;
        self.started += other.started;
        self.answered += other.answered;
        self.once_registered += other.once_registered;
        self.registrations += other.registrations;
        self.refused += other.refused;
        self.updates += other.updates;
        self.updates_refused += other.updates_refused;
        self.unanswered += other.unanswered;
        self.notifications += other.notifications;
        self.notifications_con += other.notifications_con;
        self.notifications_con_acked += other.notifications_con_acked;
        self.notifications_reset += other.notifications_reset;
        self.notifications_unacked += other.notifications_unacked;
        self.changes_skipped += other.changes_skipped;
        self.observations += other.observations;
        self.executions += other.executions;
        self.writes += other.writes;
        self.instances += other.instances;
        self.reboots += other.reboots;
        self.left += other.left;
        self.retransmissions += other.retransmissions;
        self.lost_simulated += other.lost_simulated;
        self.rebinds += other.rebinds;
        self.datagrams_to_old_address += other.datagrams_to_old_address;
        self.datagrams_while_asleep += other.datagrams_while_asleep;
        self.datagrams_in += other.datagrams_in;
        self.datagrams_out += other.datagrams_out;
        self.datagrams_dropped += other.datagrams_dropped;
    }

    /// Whether every device was registered at least once.
    pub const fn is_complete(&self) -> bool {
        self.once_registered == self.count
    }
}
