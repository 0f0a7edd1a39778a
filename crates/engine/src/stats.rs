//! Counters that only grow, read by the metrics page.

/// What has happened since the start. Gauges are read from the server itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Registers answered with 2.01 that made a registration.
    pub registered: u64,
    /// Of these, those that took the place of an older one of this shard.
    pub replaced: u64,
    /// Registers that were refused.
    pub register_refused: u64,
    /// Registers that were repeated from a new port and got the same location.
    pub register_repeated: u64,
    /// Updates answered with 2.04.
    pub updated: u64,
    /// Updates and Deregisters of unknown registrations.
    pub update_unknown: u64,
    /// Deregisters answered with 2.02.
    pub deregistered: u64,
    /// Lifetimes that passed.
    pub late: u64,
    /// Registrations that expired.
    pub expired: u64,
    /// Registrations that the operator ended.
    pub kicked: u64,
    /// Registrations that another shard took over.
    pub evicted: u64,
    /// Devices that came from a new address and were let.
    pub rebound: u64,
    /// Notifications handed up.
    pub notified: u64,
    /// Observations that were set up without being asked for.
    pub auto_observed: u64,
    /// Of those that were tried, the ones that the device refused or did not answer.
    pub auto_observe_failed: u64,
    /// Observations of commands that were set up again after a Register.
    pub rearmed: u64,
    /// Observations of commands that ended because that failed.
    pub rearm_failed: u64,
    /// Notifications dropped and Sends refused because their device is over its limit.
    pub notifications_limited: u64,
    /// Registers refused because their name or address is over its limit.
    pub registrations_limited: u64,
    /// Sends handed up.
    pub sent: u64,
    /// Sends refused: unknown address, format, content.
    pub send_refused: u64,
    /// Replies that the driver refused to complete.
    pub refused_completions: u64,
    /// Commands accepted.
    pub commands_accepted: u64,
    /// Commands refused.
    pub commands_refused: u64,
    /// Commands that a device answered, with whatever code.
    pub commands_answered: u64,
    /// Commands that ended without an answer.
    pub commands_failed: u64,
    /// Datagrams that belong to another shard.
    pub forwarded: u64,
    /// Notes made.
    pub notes: u64,
}
