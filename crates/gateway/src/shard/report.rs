//! What a shard counts and logs.
//!
//! The life cycle of devices is logged at `info`, but never more than a few lines a second: a fleet
//! that comes back after an outage must not wait for the log. Notes are logged once per kind and
//! minute, and so are commands that died without having been sent. Notifications and other commands
//! are logged at `debug`.

use std::time::{Duration, Instant};

use engine::{
    Claim, ClaimAnswer, CommandError, Event, Note, NoteKind, Peer, Reliability, UpdateContent,
};

use super::Shard;
use crate::listeners::Admission;
use crate::telemetry::{Counter, Gauge, Pass, RateLimit, Reasons};

/// Lines about the life cycle per shard and second: enough to watch a laboratory, few enough that a
/// fleet of a million does not feel them.
const LIFE_CYCLE_LINES: u32 = 50;

/// Devices above their limit that a shard names in a minute: more say that the limit is wrong.
const NAMED_MAX: u32 = 100;

/// How often what was left out is summed up.
const SUM_UP: Duration = Duration::from_secs(60);

/// Decides which log lines are written.
pub(super) struct EventLog {
    limit: RateLimit,
    deaths: RateLimit,
    second: Instant,
    lines: u32,
    left_out: u64,
    summed_up: Instant,
    /// Since when devices above their limit are counted, and how many.
    minute: Instant,
    named: u32,
}

impl Default for EventLog {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            limit: RateLimit::default(),
            deaths: RateLimit::default(),
            second: now,
            lines: 0,
            left_out: 0,
            summed_up: now,
            minute: now,
            named: 0,
        }
    }
}

impl EventLog {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Noted(note) => self.note(note),
            Event::Notified(_) | Event::Sent { .. } | Event::CommandAcked { .. } => {
                tracing::debug!(event = event.name(), endpoint = endpoint(event));
            }
            Event::CommandFinished(finished) => {
                let outcome = outcome(&finished.result);
                tracing::debug!(
                    event = "command_finished",
                    endpoint = finished.endpoint.as_str(),
                    operation = ?finished.operation,
                    path = %finished.path,
                    outcome,
                );
                if let Err(error) = &finished.result {
                    self.command_died(error, finished.endpoint.as_str());
                }
            }
            Event::Observed(observed) => {
                let outcome = outcome(&observed.result);
                tracing::debug!(
                    event = "observed",
                    endpoint = observed.device.endpoint.as_str(),
                    cause = ?observed.cause,
                    path = %observed.path,
                    outcome,
                );
            }
            Event::AddressChanged { device, from } => {
                if self.life_cycle() {
                    let (name, address) = (device.endpoint.as_str(), device.peer.remote());
                    let former = from.remote();
                    tracing::info!(event = "address_changed", endpoint = name, %address, %former);
                }
            }
            Event::AddressRefused { device, refused } => {
                if self.life_cycle() {
                    let (name, address) = (device.endpoint.as_str(), device.peer.remote());
                    let refused = refused.remote();
                    tracing::info!(event = "address_refused", endpoint = name, %address, %refused);
                }
            }
            // The note says the same, and for all of them.
            Event::Rejected(_) => {}
            Event::Asleep { device } | Event::Awake { device } => {
                let name = device.endpoint.as_str();
                tracing::debug!(event = event.name(), endpoint = name);
            }
            Event::Registered { device, .. }
            | Event::Updated { device, .. }
            | Event::Deregistered { device }
            | Event::Late { device }
            | Event::Expired { device }
            | Event::Replaced { device }
            | Event::Kicked { device } => {
                if self.life_cycle() {
                    let address = device.peer.remote();
                    let (name, lifetime) = (device.endpoint.as_str(), device.info.lifetime);
                    tracing::info!(event = event.name(), endpoint = name, %address, %lifetime);
                }
            }
        }
    }

    /// A command that no device has seen, or that may never be answered: its end is worth a line,
    /// once a minute for each way to end.
    pub(super) fn command_died(&mut self, error: &CommandError, endpoint: &str) {
        use CommandError::{Deregistered, Expired, QueueFull, RegistrationExpired, Replaced};
        if !matches!(error, Deregistered | Expired | QueueFull | RegistrationExpired | Replaced) {
            return;
        }
        let reason = error.name();
        if let Pass::Write { suppressed } = self.deaths.pass(reason, Instant::now()) {
            tracing::warn!(event = "command_died", reason, endpoint, suppressed);
        }
    }

    fn life_cycle(&mut self) -> bool {
        let now = Instant::now();
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.lines = 0;
        }
        self.lines = self.lines.saturating_add(1);
        let pass = self.lines <= LIFE_CYCLE_LINES;
        self.left_out += u64::from(!pass);
        pass
    }

    fn note(&mut self, note: &Note) {
        let kind = note.kind.name();
        let Pass::Write { suppressed } = self.pass(note.kind) else { return };
        let peer = note.who.peer.map(|peer| peer.remote().to_string());
        let name = note.who.endpoint.as_ref().map(|name| name.as_str());
        tracing::warn!(
            event = "note",
            kind,
            detail = ?note.kind,
            endpoint = name,
            address = peer,
            evidence = %note.evidence,
            suppressed,
        );
    }

    /// Devices above their limit are noted once a minute each, and each is to be named.
    fn pass(&mut self, kind: NoteKind) -> Pass {
        let now = Instant::now();
        if !matches!(kind, NoteKind::NotificationsLimited | NoteKind::RegistrationsLimited) {
            return self.limit.pass(kind.name(), now);
        }
        if now.duration_since(self.minute) >= SUM_UP {
            (self.minute, self.named) = (now, 0);
        }
        self.named = self.named.saturating_add(1);
        if self.named <= NAMED_MAX { Pass::Write { suppressed: 0 } } else { Pass::Suppress }
    }

    /// Says how many lines were left out, about once a minute.
    fn sum_up(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.summed_up) < SUM_UP {
            return;
        }
        self.summed_up = now;
        if self.left_out > 0 {
            let lines = std::mem::take(&mut self.left_out);
            tracing::info!(event = "life_cycle_lines_left_out", lines);
        }
        for (kind, suppressed) in self.limit.overdue(now) {
            tracing::warn!(event = "note", kind, suppressed);
        }
        for (reason, suppressed) in self.deaths.overdue(now) {
            tracing::warn!(event = "command_died", reason, suppressed);
        }
    }
}

impl Shard {
    pub(super) fn report(&mut self, event: &Event) {
        self.count(event);
        self.log.event(event);
    }

    /// A datagram that the access rules deny; a line a minute.
    pub(super) fn report_denied(&mut self, listener: u16, peer: Peer) {
        let Some(gate) = self.listening.gate(listener) else { return };
        let pass = self.log.limit.pass("access_denied", Instant::now());
        if let Pass::Write { suppressed } = pass {
            let (listener, address) = (gate.name(), peer.remote());
            tracing::warn!(event = "access_denied", listener, %address, suppressed);
        }
    }

    /// A Register that its listener has no room for; a line a minute.
    pub(super) fn report_refused(&mut self, claim: &Claim, why: Admission) -> ClaimAnswer {
        let Some(gate) = self.listening.gate(claim.peer.listener()) else {
            return ClaimAnswer::Full;
        };
        let reason = match why {
            Admission::TooFast => "max_conn_rate",
            Admission::Full | Admission::Granted => "max_connections",
        };
        if let Pass::Write { suppressed } = self.log.limit.pass(reason, Instant::now()) {
            let (listener, address) = (gate.name(), claim.peer.remote());
            let endpoint = claim.endpoint.as_str();
            tracing::warn!(
                event = "register_refused",
                reason,
                listener,
                endpoint,
                %address,
                suppressed,
            );
        }
        ClaimAnswer::Full
    }

    fn count(&self, event: &Event) {
        let metrics = &self.metrics;
        match event {
            Event::Notified(notification) => {
                let kind = match notification.reliability {
                    Reliability::Confirmable => Counter::NotificationsConfirmable,
                    Reliability::NonConfirmable => Counter::NotificationsNonConfirmable,
                };
                metrics.add(kind, 1);
                if notification.freshness == engine::Freshness::Stale {
                    metrics.add(Counter::NotificationsStale, 1);
                }
                if notification.continuation == engine::Continuation::Ended {
                    metrics.add(Counter::NotificationsFinal, 1);
                }
            }
            Event::CommandFinished(finished) => {
                let outcome = outcome(&finished.result);
                metrics.count(Reasons::CommandsFinished, outcome);
            }
            Event::Noted(note) => metrics.count(Reasons::Notes, note.kind.name()),
            Event::AddressChanged { .. } => metrics.add(Counter::AddressChanged, 1),
            Event::Updated {
                content: UpdateContent::WithLinks | UpdateContent::WithoutLinks,
                ..
            }
            | Event::Registered { .. }
            | Event::Deregistered { .. }
            | Event::Late { .. }
            | Event::Expired { .. }
            | Event::Replaced { .. }
            | Event::Kicked { .. }
            | Event::Observed(_)
            | Event::AddressRefused { .. }
            | Event::Asleep { .. }
            | Event::Awake { .. }
            | Event::Rejected(_)
            | Event::Sent { .. }
            | Event::CommandAcked { .. } => {} // Counted by the engine.
        }
    }

    /// Counts the messages that an event became.
    pub(super) fn count_publications(&self, event: &Event, count: usize) {
        let kind = match event {
            Event::Registered { .. } => Counter::PublishedRegister,
            Event::Updated { .. } => Counter::PublishedUpdate,
            Event::Notified(_) | Event::Sent { .. } => Counter::PublishedNotify,
            Event::CommandAcked { .. } | Event::CommandFinished(_) | Event::Observed(_) => {
                Counter::PublishedResponse
            }
            Event::Deregistered { .. }
            | Event::Late { .. }
            | Event::Expired { .. }
            | Event::Replaced { .. }
            | Event::Kicked { .. }
            | Event::AddressChanged { .. }
            | Event::AddressRefused { .. }
            | Event::Asleep { .. }
            | Event::Awake { .. }
            | Event::Rejected(_)
            | Event::Noted(_) => Counter::PublishedLifecycle,
        };
        self.metrics.add(kind, count as u64);
    }

    /// Mirrors the counters of the engine, once per turn.
    pub(super) fn report_numbers(&mut self) {
        self.log.sum_up();
        let stats = *self.server.stats();
        let messages = *self.server.message_stats();
        let mirrored = [
            (Counter::Registered, stats.registered.saturating_sub(stats.replaced)),
            (Counter::RegisteredAgain, stats.replaced),
            (Counter::RegisterRepeated, stats.register_repeated),
            (Counter::RegisterRefused, stats.register_refused),
            (Counter::RegistrationsLimited, stats.registrations_limited),
            (Counter::NotificationsLimited, stats.notifications_limited),
            (Counter::Updated, stats.updated),
            (Counter::UpdateUnknown, stats.update_unknown),
            (Counter::Deregistered, stats.deregistered),
            (Counter::Expired, stats.expired),
            (Counter::Evicted, stats.evicted),
            (Counter::Kicked, stats.kicked),
            (Counter::Late, stats.late),
            (Counter::AutoObserved, stats.auto_observed),
            (Counter::AutoObserveFailed, stats.auto_observe_failed),
            (Counter::Rearmed, stats.rearmed),
            (Counter::RearmFailed, stats.rearm_failed),
            (Counter::Sends, stats.sent),
            (Counter::SendsRefused, stats.send_refused),
            (Counter::FormatErrors, messages.format_errors),
            (Counter::Retransmissions, messages.retransmissions),
            (Counter::Duplicates, messages.duplicates),
            (Counter::ResetsIn, messages.resets_in),
            (Counter::ResetsOut, messages.resets_out),
        ];
        for (counter, total) in mirrored {
            self.metrics.mirror(counter, total);
        }
        self.metrics.set(Gauge::Devices, self.server.registrations() as u64);
        self.metrics.set(Gauge::Observations, self.server.observations() as u64);
        self.metrics.set(Gauge::CommandsOpen, self.reservations.len() as u64);
        self.metrics.set(Gauge::InboxEntries, self.inbox().len() as u64);
    }
}

fn endpoint(event: &Event) -> Option<&str> {
    event.device().map(|device| device.endpoint.as_str())
}

fn outcome(result: &Result<engine::Answer, CommandError>) -> &'static str {
    match result {
        Ok(answer) if answer.code.is_success() => "success",
        Ok(_) => "error_answer",
        Err(error) => error.name(),
    }
}
