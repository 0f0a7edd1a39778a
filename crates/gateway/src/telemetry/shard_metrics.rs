//! The numbers of one shard: plain atomics that only its own thread writes.
//!
//! Names follow one scheme: `lwm2m_gateway_<things>_total` for counters, `lwm2m_gateway_<things>`
//! for gauges, units at the end, labels for what the things are told apart by. Summing the shards
//! up for a scrape is the job of [`super::metrics`].

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Declares what a shard counts: variant, family, label, help text. Variants of one family stand
/// together, so that its samples do too.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])+
        $variant:ident = $family:literal $({$label:ident = $value:literal})?;)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])+ $variant),+ }

        impl $name {
            /// Every one, in the order of the metrics page.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The metric it is a sample of, without prefix and suffix.
            #[must_use]
            pub const fn family(self) -> &'static str {
                match self { $(Self::$variant => $family),+ }
            }

            /// The label that tells the samples of one metric apart.
            #[must_use]
            pub const fn label(self) -> Option<(&'static str, &'static str)> {
                match self { $(Self::$variant => table!(@label $($label $value)?)),+ }
            }
        }
    };
    (@label) => { None };
    (@label $label:ident $value:literal) => { Some((stringify!($label), $value)) };
}

table! {
    /// What only grows.
    Counter {
        /// Datagrams received.
        DatagramsIn = "datagrams" {direction = "in"};
        /// Datagrams sent.
        DatagramsOut = "datagrams" {direction = "out"};
        /// Bytes received in datagrams.
        BytesIn = "datagram_bytes" {direction = "in"};
        /// Bytes sent in datagrams.
        BytesOut = "datagram_bytes" {direction = "out"};
        /// Datagrams that the kernel dropped because a socket's buffer was full (SO_RXQ_OVFL).
        KernelDrops = "datagrams_dropped" {reason = "kernel"};
        /// Datagrams that could not be sent.
        SendFailures = "datagrams_dropped" {reason = "send_failed"};
        /// Datagrams for another shard whose queue was full.
        ForwardFull = "datagrams_dropped" {reason = "forward_full"};
        /// Datagrams handed to the shard that owns their device.
        ForwardedOut = "datagrams_forwarded" {direction = "out"};
        /// Datagrams taken from other shards.
        ForwardedIn = "datagrams_forwarded" {direction = "in"};
        /// Messages that are no CoAP.
        FormatErrors = "coap_messages" {kind = "format_error"};
        /// Messages of ours that were sent again.
        Retransmissions = "coap_messages" {kind = "retransmission"};
        /// Messages that a device sent again.
        Duplicates = "coap_messages" {kind = "duplicate"};
        /// Resets received.
        ResetsIn = "coap_messages" {kind = "reset_in"};
        /// Resets sent.
        ResetsOut = "coap_messages" {kind = "reset_out"};
        /// Registrations of devices that were not registered.
        Registered = "registrations" {outcome = "registered"};
        /// Registrations that took the place of an older one.
        RegisteredAgain = "registrations" {outcome = "replaced"};
        /// Registers that were repeated and got the same answer.
        RegisterRepeated = "registrations" {outcome = "repeated"};
        /// Registers that were refused.
        RegisterRefused = "registrations" {outcome = "refused"};
        /// Registers above the limit of their name or address, which are among the refused.
        RegistrationsLimited = "registrations" {outcome = "limited"};
        /// Updates of a registration.
        Updated = "updates" {outcome = "updated"};
        /// Updates of a registration that does not exist.
        UpdateUnknown = "updates" {outcome = "unknown"};
        /// Registrations that the device ended.
        Deregistered = "registrations_ended" {reason = "deregistered"};
        /// Registrations whose lifetime ended.
        Expired = "registrations_ended" {reason = "expired"};
        /// Registrations that moved to another shard.
        Evicted = "registrations_ended" {reason = "evicted"};
        /// Registrations that an operator ended.
        Kicked = "registrations_ended" {reason = "kicked"};
        /// Lifetimes that ended with the grace still running.
        Late = "registrations_late";
        /// Devices that came back from another address.
        AddressChanged = "address_changes";
        /// Notifications in confirmable messages.
        NotificationsConfirmable = "notifications" {kind = "confirmable"};
        /// Notifications in non-confirmable messages.
        NotificationsNonConfirmable = "notifications" {kind = "non_confirmable"};
        /// Notifications and Sends above the limit of their device: dropped or refused.
        NotificationsLimited = "notifications" {kind = "limited"};
        /// Notifications that ended their observation.
        NotificationsFinal = "notifications" {kind = "final"};
        /// Observations set up without being asked.
        AutoObserved = "observations_set_up" {cause = "automatic"};
        /// Observations of commands set up again after a Register.
        Rearmed = "observations_set_up" {cause = "rearmed"};
        /// Automatic observes that a device refused or did not answer.
        AutoObserveFailed = "observations_failed" {cause = "automatic"};
        /// Observations of commands that ended because they could not be set up again.
        RearmFailed = "observations_failed" {cause = "rearmed"};
        /// Sends (LwM2M 1.1).
        Sends = "sends" {outcome = "accepted"};
        /// Sends that were answered with an error.
        SendsRefused = "sends" {outcome = "refused"};
        /// Notifications older than one already seen.
        NotificationsStale = "notifications_stale";
        /// Notifications and Sends that the outbox had no room for: not acknowledged.
        NotificationsHeld = "notifications_full" {outcome = "held"};
        /// Notifications and Sends that the outbox had no room for: lost.
        NotificationsDropped = "notifications_full" {outcome = "dropped"};
        /// Commands that a shard took.
        CommandsAccepted = "commands_accepted";
        /// Events published: registrations.
        PublishedRegister = "publications" {kind = "register"};
        /// Events published: updates.
        PublishedUpdate = "publications" {kind = "update"};
        /// Events published: notifications.
        PublishedNotify = "publications" {kind = "notify"};
        /// Events published: answers to commands.
        PublishedResponse = "publications" {kind = "response"};
        /// Events published: ends of registrations and changes of address.
        PublishedLifecycle = "publications" {kind = "lifecycle"};
        /// Other events that neither the outbox nor the shard had room for: lost.
        EventsDropped = "events_dropped";
        /// Turns of the shard's loop.
        Turns = "shard_turns";
        /// Microseconds in which the shard's thread did not sleep.
        BusyMicros = "shard_busy_seconds";
    }
}

table! {
    /// What goes up and down.
    Gauge {
        /// Devices registered.
        Devices = "devices";
        /// Observations set up.
        Observations = "observations";
        /// Commands that wait for their device or for its answer.
        CommandsOpen = "commands_open";
        /// Entries in the shard's own queue.
        InboxEntries = "inbox_entries";
    }
}

/// Counts by a reason that the one who counts knows by name.
macro_rules! reasons {
    ($($(#[$doc:meta])+ $variant:ident = $family:literal by $label:literal;)+) => {
        /// Counters whose label values come from elsewhere (kinds of notes, ends of commands).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reasons { $($(#[$doc])+ $variant),+ }

        impl Reasons {
            /// Every one, in the order of the metrics page.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The metric, without prefix and suffix.
            #[must_use]
            pub const fn family(self) -> &'static str {
                match self { $(Self::$variant => $family),+ }
            }

            /// The label that holds the reason.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }
        }
    };
}

reasons! {
    /// What the core refused, ignored, repeated or gave up.
    Notes = "notes" by "kind";
    /// How accepted commands ended.
    CommandsFinished = "commands_finished" by "outcome";
    /// Why commands were not accepted.
    CommandsRefused = "commands_refused" by "reason";
}

/// The numbers of one shard. Aligned to a cache line, so that no two shards write to one.
#[derive(Debug)]
#[repr(align(64))]
pub struct ShardMetrics {
    counters: [AtomicU64; Counter::ALL.len()],
    gauges: [AtomicU64; Gauge::ALL.len()],
    reasons: [ByReason; Reasons::ALL.len()],
}

impl Default for ShardMetrics {
    fn default() -> Self {
        Self {
            counters: std::array::from_fn(|_| AtomicU64::new(0)),
            gauges: std::array::from_fn(|_| AtomicU64::new(0)),
            reasons: std::array::from_fn(|_| ByReason::default()),
        }
    }
}

impl ShardMetrics {
    /// Adds to a counter. For the shard's own thread only: it is no read-modify-write.
    pub fn add(&self, counter: Counter, count: u64) {
        add(&self.counters[counter as usize], count);
    }

    /// Sets a counter to a total that is kept elsewhere, such as in `engine::Stats`.
    pub fn mirror(&self, counter: Counter, total: u64) {
        self.counters[counter as usize].store(total, Ordering::Relaxed);
    }

    /// Sets a gauge.
    pub fn set(&self, gauge: Gauge, value: u64) {
        self.gauges[gauge as usize].store(value, Ordering::Relaxed);
    }

    /// Counts one more of a reason.
    pub fn count(&self, family: Reasons, reason: &'static str) {
        self.reasons[family as usize].count(reason);
    }

    /// The value of a counter.
    #[must_use]
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Relaxed)
    }

    /// The value of a gauge.
    #[must_use]
    pub fn gauge(&self, gauge: Gauge) -> u64 {
        self.gauges[gauge as usize].load(Ordering::Relaxed)
    }

    /// The reasons seen so far and how often, in no particular order.
    pub fn reasons(&self, family: Reasons) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.reasons[family as usize].iter()
    }
}

/// One writer: a plain store costs a tenth of a locked addition.
fn add(cell: &AtomicU64, count: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}

/// Counters by name, found by a linear search: at most [`REASONS_MAX`] of them, and none on the
/// steady path.
#[derive(Debug)]
struct ByReason {
    slots: [(OnceLock<&'static str>, AtomicU64); REASONS_MAX],
    other: AtomicU64,
}

/// 64 reasons: the kinds of notes of both layers are 40. More than that are counted as `other`.
const REASONS_MAX: usize = 64;

impl Default for ByReason {
    fn default() -> Self {
        Self {
            slots: std::array::from_fn(|_| (OnceLock::new(), AtomicU64::new(0))),
            other: AtomicU64::new(0),
        }
    }
}

impl ByReason {
    fn count(&self, reason: &'static str) {
        let slot = self.slots.iter().find(|(name, _)| *name.get_or_init(|| reason) == reason);
        add(slot.map_or(&self.other, |(_, count)| count), 1);
    }

    fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let known = self.slots.iter().map_while(|(name, count)| Some((*name.get()?, count)));
        let other = Some(("other", &self.other));
        known
            .chain(other)
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
            .filter(|&(_, count)| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn reasons_are_counted_by_name() {
        let metrics = ShardMetrics::default();
        for reason in ["timeout", "answered", "timeout"] {
            metrics.count(Reasons::CommandsFinished, reason);
        }
        let mut seen: Vec<_> = metrics.reasons(Reasons::CommandsFinished).collect();
        seen.sort_unstable();
        assert_eq!(seen, [("answered", 1), ("timeout", 2)]);
        assert_eq!(metrics.reasons(Reasons::Notes).count(), 0);
    }

    #[test]
    fn more_reasons_than_slots_are_counted_as_other() {
        let metrics = ShardMetrics::default();
        for index in 0..REASONS_MAX + 3 {
            metrics.count(Reasons::Notes, Box::leak(format!("kind{index}").into_boxed_str()));
        }
        let other = metrics.reasons(Reasons::Notes).find(|(name, _)| *name == "other");
        assert_eq!(other, Some(("other", 3)));
    }

    #[test]
    fn samples_of_one_metric_stand_together_and_differ() {
        let mut closed = HashSet::new();
        let mut samples = HashSet::new();
        let mut last = "";
        for counter in Counter::ALL {
            if counter.family() != last {
                assert!(closed.insert(counter.family()), "{} stands apart", counter.family());
                last = counter.family();
            }
            assert!(samples.insert((counter.family(), counter.label())), "{counter:?} twice");
        }
    }

    #[test]
    fn shards_do_not_share_cache_lines() {
        assert_eq!(align_of::<ShardMetrics>(), 64);
    }
}
