//! What a fleet counted, for a progress bar and for the end.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::latency::Latency;

/// The state of a fleet at one moment; everything but the first four members only grows.
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
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Datagrams that the system did not take.
    pub datagrams_dropped: u64,
}

/// What a fleet did until its end.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// The last counts.
    pub totals: Snapshot,
    /// From the first Register of a device to its first 2.01.
    pub registration: Latency,
}

impl Summary {
    /// Whether every device was registered at least once.
    pub const fn is_complete(&self) -> bool {
        self.totals.once_registered == self.totals.count
    }

    /// One JSON object on one line; spans in microseconds.
    pub fn to_json(&self) -> String {
        let totals = &self.totals;
        let micros = |share| {
            self.registration
                .quantile(share)
                .map_or_else(|| "null".to_owned(), |span| span.as_micros().to_string())
        };
        let members = [
            ("elapsed_us", totals.elapsed.as_micros().to_string()),
            ("devices", totals.count.to_string()),
            ("once_registered", totals.once_registered.to_string()),
            ("registrations", totals.registrations.to_string()),
            ("refused", totals.refused.to_string()),
            ("updates", totals.updates.to_string()),
            ("updates_refused", totals.updates_refused.to_string()),
            ("unanswered", totals.unanswered.to_string()),
            ("notifications", totals.notifications.to_string()),
            ("observations", totals.observations.to_string()),
            ("executions", totals.executions.to_string()),
            ("writes", totals.writes.to_string()),
            ("instances", totals.instances.to_string()),
            ("reboots", totals.reboots.to_string()),
            ("left", totals.left.to_string()),
            ("datagrams_in", totals.datagrams_in.to_string()),
            ("datagrams_out", totals.datagrams_out.to_string()),
            ("datagrams_dropped", totals.datagrams_dropped.to_string()),
            ("registration_p50_us", micros(0.5)),
            ("registration_p99_us", micros(0.99)),
            ("registration_max_us", micros(1.0)),
        ];
        let mut json = String::from("{");
        for (index, (name, value)) in members.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(json, "{comma}\"{name}\":{value}");
        }
        json.push('}');
        json
    }
}

/// For people: what they would ask first.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &self.totals;
        writeln!(
            f,
            "{} of {} devices were registered within {:.1} s",
            totals.once_registered,
            totals.count,
            totals.elapsed.as_secs_f64()
        )?;
        writeln!(
            f,
            "registrations {} ({} refused), updates {} ({} refused), unanswered {}",
            totals.registrations,
            totals.refused,
            totals.updates,
            totals.updates_refused,
            totals.unanswered
        )?;
        writeln!(
            f,
            "observations {}, notifications {}, executions {}, writes {}, reboots {}",
            totals.observations,
            totals.notifications,
            totals.executions,
            totals.writes,
            totals.reboots
        )?;
        write!(
            f,
            "datagrams {} in, {} out, {} not taken by the system",
            totals.datagrams_in, totals.datagrams_out, totals.datagrams_dropped
        )?;
        let quantile = |share| self.registration.quantile(share);
        if let (Some(middle), Some(late)) = (quantile(0.5), quantile(0.99)) {
            write!(f, "\nregistration took {middle:.1?} (median), {late:.1?} (99 %)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_reads_well_in_both_forms() {
        let mut summary = Summary::default();
        summary.totals.count = 2;
        summary.totals.once_registered = 2;
        assert!(summary.is_complete());
        assert!(summary.to_json().contains("\"registration_p50_us\":null"));
        summary.registration.record(Duration::from_micros(100));
        let json = summary.to_json();
        assert!(json.starts_with("{\"elapsed_us\":0,\"devices\":2,"), "{json}");
        assert!(json.ends_with('}') && !json.contains("null"), "{json}");
        assert!(summary.to_string().starts_with("2 of 2 devices were registered"));
        summary.totals.count = 3;
        assert!(!summary.is_complete());
    }
}
