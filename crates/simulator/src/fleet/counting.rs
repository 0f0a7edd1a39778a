//! What the events of devices mean for the counts of their group.

use coap::{Instant, Reliability};
use device::{Event, ObservationEnd};

use super::Latencies;
use super::member::{Busy, Flag, Member, Outcome};
use crate::stats::Snapshot;

/// Where events are counted.
pub(super) struct Book<'a> {
    pub(super) counts: &'a mut Snapshot,
    pub(super) latencies: &'a mut Latencies,
    pub(super) now: Instant,
}

impl Book<'_> {
    /// Counts one event.
    pub(super) fn count(&mut self, member: &mut Member, busy: &Busy, event: &Event) -> Outcome {
        let Self { counts, latencies, now } = self;
        let answer = matches!(event, Event::Registered { .. } | Event::RegistrationRefused { .. });
        if answer && member.set(Flag::Answered, true) {
            counts.answered += 1;
        }
        match event {
            Event::Registered { .. } => {
                counts.registrations += 1;
                if member.set(Flag::OnceRegistered, true) {
                    counts.once_registered += 1;
                    latencies.registration.record(*now - busy.began);
                }
            }
            Event::RegistrationRefused { .. } => counts.refused += 1,
            Event::Updated => {
                counts.updates += 1;
                if let Some(asked) = busy.asked {
                    latencies.update.record(*now - asked);
                }
            }
            Event::UpdateRefused { .. } => counts.updates_refused += 1,
            Event::Silence => counts.unanswered += 1,
            Event::Notified { reliability, .. } => {
                counts.notifications += 1;
                counts.notifications_con += u64::from(*reliability == Reliability::Confirmable);
            }
            Event::Confirmed { after, .. } => {
                counts.notifications_con_acked += 1;
                latencies.acknowledgement.record(*after);
            }
            Event::ObservationEnded { reason: ObservationEnd::Reset, .. } => {
                counts.notifications_reset += 1;
            }
            Event::ObservationEnded { reason: ObservationEnd::Unacknowledged, .. } => {
                counts.notifications_unacked += 1;
            }
            Event::Observed { .. } => counts.observations += 1,
            Event::Executed { .. } => counts.executions += 1,
            Event::Written { .. } => counts.writes += 1,
            Event::Created { .. } | Event::Deleted { .. } => counts.instances += 1,
            Event::Rebooted => {
                counts.reboots += 1;
                return Outcome::Moved;
            }
            Event::Deregistered => counts.left += 1,
            Event::SendFinished { .. }
            | Event::AttributesWritten { .. }
            | Event::ObservationEnded { .. } => {}
        }
        Outcome::Counted
    }
}

/// Follows something that is true of a device or not, and the number of devices that it is true of.
pub(super) fn track(member: &mut Member, flag: Flag, is: bool, number: &mut usize) {
    if member.set(flag, is) {
        *number = if is { *number + 1 } else { number.saturating_sub(1) };
    }
}
