//! The progress bar: how many devices are registered, and how fast things go.

use std::net::SocketAddr;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use simulator::Snapshot;

/// Rates are those of the last span of this length: shorter ones jump, longer ones lag.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// A bar on standard error; nothing at all when quiet or not a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    before: Snapshot,
    rates: String,
}

impl Progress {
    pub(crate) fn new(count: usize, server: SocketAddr, quiet: bool) -> Self {
        let bar = ProgressBar::with_draw_target(
            Some(count as u64),
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() },
        );
        let template = "{elapsed_precise} {bar:24} {pos}/{len} registered at {prefix}  {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(server.to_string());
        Self { bar, before: Snapshot::default(), rates: String::new() }
    }

    pub(crate) fn show(&mut self, now: &Snapshot) {
        let span = now.elapsed.saturating_sub(self.before.elapsed);
        if span >= RATE_SPAN {
            self.rates = rates(&self.before, now, span);
            self.before = *now;
        }
        self.bar.set_position(now.registered as u64);
        self.bar.set_message(format!("{} observed{}", now.observed, self.rates));
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn rates(before: &Snapshot, now: &Snapshot, span: Duration) -> String {
    let per_second = |new: u64, old: u64| (new.saturating_sub(old) as f64) / span.as_secs_f64();
    let mut text = String::new();
    let rates = [
        ("registrations", per_second(now.registrations, before.registrations)),
        ("updates", per_second(now.updates, before.updates)),
        ("notifications", per_second(now.notifications, before.notifications)),
        ("retransmissions", per_second(now.retransmissions, before.retransmissions)),
    ];
    for (what, rate) in rates.into_iter().filter(|(_, rate)| *rate >= 0.5) {
        text.push_str(&format!(", {rate:.0} {what}/s"));
    }
    text.push_str(&format!(
        ", {:.0}/{:.0} datagrams/s in/out",
        per_second(now.datagrams_in, before.datagrams_in),
        per_second(now.datagrams_out, before.datagrams_out),
    ));
    let mishaps = [
        ("unanswered", now.unanswered),
        ("not taken by the system", now.datagrams_dropped),
        ("changes skipped", now.changes_skipped),
    ];
    for (what, number) in mishaps.into_iter().filter(|(_, number)| *number > 0) {
        text.push_str(&format!(", {number} {what}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_since_the_last_look() {
        let before = Snapshot { notifications: 100, ..Snapshot::default() };
        let now = Snapshot { notifications: 300, unanswered: 2, ..before };
        let text = rates(&before, &now, Duration::from_secs(2));
        assert!(text.contains("100 notifications/s") && text.ends_with("2 unanswered"), "{text}");
        assert!(!text.contains("registrations"), "{text}");
    }
}
