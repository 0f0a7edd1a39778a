//! The summary of a run: for people, and as JSON for programs.
//!
//! The names of the JSON members are a contract: docs/simulator.md lists them.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::latency::Latency;
use crate::stats::Snapshot;

/// What a fleet did until its end.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// The last counts of all devices.
    pub totals: Snapshot,
    /// The last counts of each group, with its name.
    pub groups: Vec<(String, Snapshot)>,
    /// From the first Register of a device to its first 2.01.
    pub registration: Latency,
    /// From an Update to the server's answer.
    pub update: Latency,
    /// From a confirmable notification to its acknowledgement.
    pub acknowledgement: Latency,
    /// Processor time of the process that the run took, user and system.
    pub cpu: Duration,
    /// Heap that the fleet took, per device that had begun; `None` where the system does not say.
    pub device_bytes: Option<u64>,
}

impl Summary {
    /// Whether every device was registered at least once.
    pub const fn is_complete(&self) -> bool {
        self.totals.is_complete()
    }

    /// One JSON object on one line; spans in microseconds.
    pub fn to_json(&self) -> String {
        let totals = &self.totals;
        let mut json = String::from("{");
        member(&mut json, "elapsed_us", totals.elapsed.as_micros());
        counts(&mut json, totals);
        member(&mut json, "datagrams_dropped", totals.datagrams_dropped);
        let latencies = [
            ("registration", &self.registration),
            ("update", &self.update),
            ("notification_ack", &self.acknowledgement),
        ];
        for (name, latency) in latencies {
            for (suffix, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
                let micros = latency.quantile(share).map(|span| span.as_micros());
                member(&mut json, &format!("{name}_{suffix}_us"), or_null(micros));
            }
        }
        member(&mut json, "cpu_us", self.cpu.as_micros());
        member(&mut json, "bytes_per_device", or_null(self.device_bytes));
        json.push_str(",\"groups\":[");
        for (index, (name, group)) in self.groups.iter().enumerate() {
            json.push_str(if index == 0 { "{" } else { ",{" });
            // Names of groups are letters, digits and a few signs: nothing to escape.
            member(&mut json, "name", format_args!("\"{name}\""));
            counts(&mut json, group);
            json.push('}');
        }
        json.push_str("]}");
        json
    }
}

/// The members that the whole fleet and each group have.
fn counts(json: &mut String, counts: &Snapshot) {
    let members: [(&str, u64); 29] = [
        ("devices", counts.count as u64),
        ("registered", counts.registered as u64),
        ("observed", counts.observed as u64),
        ("once_registered", counts.once_registered as u64),
        ("registrations", counts.registrations),
        ("refused", counts.refused),
        ("updates", counts.updates),
        ("updates_refused", counts.updates_refused),
        ("unanswered", counts.unanswered),
        ("notifications", counts.notifications),
        ("notifications_con", counts.notifications_con),
        ("notifications_con_acked", counts.notifications_con_acked),
        ("notifications_reset", counts.notifications_reset),
        ("notifications_unacked", counts.notifications_unacked),
        ("changes_skipped", counts.changes_skipped),
        ("observations", counts.observations),
        ("executions", counts.executions),
        ("writes", counts.writes),
        ("instances", counts.instances),
        ("reboots", counts.reboots),
        ("left", counts.left),
        ("retransmissions", counts.retransmissions),
        ("lost_simulated", counts.lost_simulated),
        ("rebinds", counts.rebinds),
        ("datagrams_to_old_address", counts.datagrams_to_old_address),
        ("datagrams_while_asleep", counts.datagrams_while_asleep),
        ("datagrams_in", counts.datagrams_in),
        ("datagrams_out", counts.datagrams_out),
        ("started", counts.started as u64),
    ];
    for (name, value) in members {
        member(json, name, value);
    }
}

fn member(json: &mut String, name: &str, value: impl fmt::Display) {
    let comma = if json.ends_with('{') { "" } else { "," };
    // Writing to a String cannot fail.
    let _ = write!(json, "{comma}\"{name}\":{value}");
}

fn or_null(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

/// For people: what they would ask first.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &self.totals;
        let seconds = totals.elapsed.as_secs_f64();
        let (once, count) = (totals.once_registered, totals.count);
        writeln!(f, "{once} of {count} devices were registered within {seconds:.1} s")?;
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
            "observations {}, notifications {} ({} confirmable, {} acknowledged, {} reset)",
            totals.observations,
            totals.notifications,
            totals.notifications_con,
            totals.notifications_con_acked,
            totals.notifications_reset
        )?;
        writeln!(
            f,
            "executions {}, writes {}, reboots {}, retransmissions {}",
            totals.executions, totals.writes, totals.reboots, totals.retransmissions
        )?;
        write!(
            f,
            "datagrams {} in, {} out, {} not taken by the system",
            totals.datagrams_in, totals.datagrams_out, totals.datagrams_dropped
        )?;
        self.write_mishaps(f)?;
        let latencies = [
            ("registration", &self.registration),
            ("update", &self.update),
            ("acknowledgement", &self.acknowledgement),
        ];
        for (name, latency) in latencies {
            let quantile = |share| latency.quantile(share);
            if let (Some(middle), Some(late)) = (quantile(0.5), quantile(0.99)) {
                write!(f, "\n{name} took {middle:.1?} (median), {late:.1?} (99 %)")?;
            }
        }
        Ok(())
    }
}

impl Summary {
    /// What a scenario did to the devices, where it did.
    fn write_mishaps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &self.totals;
        let mishaps = [
            ("lost on purpose", totals.lost_simulated),
            ("changes of address", totals.rebinds),
            ("datagrams to an old address", totals.datagrams_to_old_address),
            ("datagrams to a sleeping device", totals.datagrams_while_asleep),
            ("changes skipped, the simulator was too slow", totals.changes_skipped),
        ];
        for (what, number) in mishaps.into_iter().filter(|(_, number)| *number > 0) {
            write!(f, "\n{what}: {number}")?;
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
        summary.groups.push(("meters".to_owned(), summary.totals));
        assert!(summary.is_complete());
        assert!(summary.to_json().contains("\"registration_p50_us\":null"));
        let micros = Duration::from_micros(100);
        for latency in
            [&mut summary.registration, &mut summary.update, &mut summary.acknowledgement]
        {
            latency.record(micros);
        }
        summary.device_bytes = Some(190);
        let json = summary.to_json();
        assert!(json.starts_with("{\"elapsed_us\":0,\"devices\":2,"), "{json}");
        assert!(json.ends_with("}]}") && !json.contains("null"), "{json}");
        assert!(json.contains("\"groups\":[{\"name\":\"meters\",\"devices\":2,"), "{json}");
        assert!(json.contains("\"notification_ack_max_us\":1"), "{json}");
        assert!(summary.to_string().starts_with("2 of 2 devices were registered"));
        assert!(!summary.to_string().contains("address"));
        summary.totals.count = 3;
        summary.totals.rebinds = 5;
        assert!(!summary.is_complete());
        assert!(summary.to_string().contains("changes of address: 5"));
    }
}
