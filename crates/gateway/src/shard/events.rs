//! Where events go: publications into the outbox, completions back, counters and log lines.
//!
//! The rules for a full outbox are those of design section 4: outcomes of commands have their slot
//! reserved; a confirmable notification is left unacknowledged so that the device repeats it; what
//! cannot wait and cannot be repeated is dropped and counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bridge::{Bridge, Publication, Surroundings};
use engine::{
    Command, CommandError, Completion, Device, Event, Instant, Intake, Reliability, ReplyTo,
    UpdateContent,
};
use lwm2m::Models;

use super::Shard;
use crate::clock;
use crate::filters::ExactFilters;
use crate::outbox::{Full, Outbox, Reservation};
use crate::telemetry::Counter;

/// Events of the life cycle that wait in the shard while the outbox is full. Registers are refused
/// by then, so these are the Updates, ends and interim answers of devices that are registered
/// already; 4 096 of 1 KiB are 4 MiB, and what comes on top is dropped and counted.
const BACKLOG_MAX: usize = 4_096;

/// The size of a registration's publication that is taken as usual, in bytes.
const REGISTER_LEN: usize = 1_024;

/// The shard's side of the way up.
pub(super) struct Uplink {
    bridge: Bridge,
    models: Arc<Models>,
    outbox: Outbox,
    hold_max: Duration,
    /// Since when the outbox refuses what is put into it.
    full_since: Option<Instant>,
    backlog: VecDeque<(Publication, Option<Reservation>)>,
    publications: Vec<Publication>,
    pushed: bool,
}

/// What became of an event that the device can repeat.
enum Admission {
    Taken,
    Held,
    Dropped,
}

impl Uplink {
    pub(super) fn new(
        bridge: Bridge,
        models: Arc<Models>,
        outbox: Outbox,
        hold_max: Duration,
    ) -> Self {
        Self {
            bridge,
            models,
            outbox,
            hold_max,
            full_since: None,
            backlog: VecDeque::new(),
            publications: Vec::new(),
            pushed: false,
        }
    }

    pub(super) fn set_bridge(&mut self, bridge: Bridge) {
        self.bridge = bridge;
    }

    pub(super) fn set_models(&mut self, models: Arc<Models>) {
        self.models = models;
    }

    pub(super) fn models(&self) -> &Models {
        &self.models
    }

    pub(super) fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// A slot for the outcome of a command that comes from the shard itself.
    pub(super) fn reserve(&self) -> Option<Reservation> {
        self.outbox.reserve()
    }

    /// Reports a command that no device will ever see.
    pub(super) fn refuse(
        &mut self,
        command: Command,
        reason: CommandError,
        reservation: Reservation,
    ) {
        let mut publications = std::mem::take(&mut self.publications);
        let surroundings = Surroundings { models: &self.models, wall_ms: clock::wall_ms() };
        self.bridge.refused(&command, &reason, surroundings, &mut publications);
        for publication in publications.drain(..) {
            self.push(publication, Some(reservation.another()));
        }
        self.publications = publications;
    }

    /// Wakes the MQTT side if anything was pushed in this turn.
    pub(super) fn end_turn(&mut self) {
        if std::mem::take(&mut self.pushed) {
            self.outbox.wake();
        }
    }

    /// Orders what was pushed before what the new shard of a moved name will push.
    pub(super) fn note_move(&self) {
        self.outbox.note_move();
    }

    /// Whether there is room for what cannot be refused any more once it is let in.
    pub(super) fn has_room(&self) -> bool {
        self.backlog.is_empty() && self.outbox.has_room(REGISTER_LEN)
    }

    fn translate(&mut self, event: &Event) {
        let surroundings = Surroundings { models: &self.models, wall_ms: clock::wall_ms() };
        self.bridge.refill(|| self.outbox.used());
        self.bridge.uplink(event, surroundings, &mut self.publications);
    }

    /// Pushes what the outbox had no room for; the order of events stays.
    fn drain_backlog(&mut self) {
        while let Some((publication, reservation)) = self.backlog.pop_front() {
            if let Err(Full(publication)) = self.push_now(publication, reservation) {
                self.backlog.push_front((publication, None));
                return;
            }
        }
    }

    /// At the end of the shard: what waits in it goes up in slots that no outcome will need any
    /// more, so that a clean stop hands it over or counts it as left. Returns how many found none.
    pub(super) fn flush_backlog(&mut self) -> usize {
        let mut lost = 0;
        for (publication, reservation) in std::mem::take(&mut self.backlog) {
            match reservation.or_else(|| self.outbox.reserve()) {
                Some(slot) => self.outbox.push_reserved(slot, publication),
                None => lost += 1,
            }
        }
        self.outbox.wake();
        lost
    }

    fn push_now(
        &mut self,
        publication: Publication,
        reservation: Option<Reservation>,
    ) -> Result<(), Full> {
        match reservation {
            Some(reservation) => self.outbox.push_reserved(reservation, publication),
            None => self.outbox.try_push(publication)?,
        }
        self.pushed = true;
        Ok(())
    }

    /// Pushes, or keeps what does not fit; `false` when it had to be dropped.
    fn push(&mut self, publication: Publication, reservation: Option<Reservation>) -> bool {
        let waiting = if self.backlog.is_empty() {
            match self.push_now(publication, reservation) {
                Ok(()) => return true,
                Err(Full(publication)) => (publication, None),
            }
        } else {
            (publication, reservation)
        };
        let keep = waiting.1.is_some() || self.backlog.len() < BACKLOG_MAX;
        if keep {
            self.backlog.push_back(waiting);
        }
        keep
    }

    /// Pushes what the device repeats if it is not acknowledged.
    fn admit(&mut self, now: Instant, repeatable: bool) -> Admission {
        let mut publications = std::mem::take(&mut self.publications);
        let mut admission = Admission::Taken;
        for publication in publications.drain(..) {
            if !self.backlog.is_empty() || self.push_now(publication, None).is_err() {
                admission = self.refused(now, repeatable);
            }
        }
        self.publications = publications;
        if matches!(admission, Admission::Taken) {
            self.full_since = None;
        }
        admission
    }

    fn refused(&mut self, now: Instant, repeatable: bool) -> Admission {
        let since = *self.full_since.get_or_insert(now);
        // A device gives its observer up when nobody answers for too long (RFC 7641 4.5): from then
        // on it is told that all is well, and the loss is counted here.
        if repeatable && now.saturating_since(since) <= self.hold_max {
            Admission::Held
        } else {
            Admission::Dropped
        }
    }
}

impl Shard {
    pub(super) fn publish_events(&mut self, now: Instant) {
        self.uplink.drain_backlog();
        while let Some(event) = self.server.poll_event() {
            self.report(&event);
            self.check_versions(&event);
            self.keep_directory(&event);
            self.publish(now, &event);
            self.hand_out_retained(now, &event);
            match event {
                Event::CommandFinished(finished) => self.shared.results.finished(*finished),
                other => self.server.recycle(other),
            }
        }
        let intake = if self.uplink.has_room() { Intake::Open } else { Intake::Full };
        self.server.set_intake(intake);
    }

    fn publish(&mut self, now: Instant, event: &Event) {
        self.uplink.translate(event);
        self.count_publications(event, self.uplink.publications.len());
        match event {
            Event::Notified(notification) => {
                let repeatable = notification.reliability == Reliability::Confirmable;
                let admission = self.uplink.admit(now, repeatable);
                self.complete(now, &notification.reply_to, admission);
            }
            Event::Sent { reply_to, .. } => {
                let admission = self.uplink.admit(now, true);
                self.complete(now, reply_to, admission);
            }
            Event::CommandFinished(_) => {
                let slot = self.reservations.pop();
                self.push_all(slot);
            }
            _ => self.push_all(None), // What cannot be repeated waits in the shard.
        }
    }

    /// Each message of an outcome in a slot of its own, if `slot` has one for the outcome.
    fn push_all(&mut self, slot: Option<Reservation>) {
        let mut publications = std::mem::take(&mut self.uplink.publications);
        for publication in publications.drain(..) {
            if !self.uplink.push(publication, slot.as_ref().map(Reservation::another)) {
                self.metrics.add(Counter::EventsDropped, 1);
            }
        }
        self.uplink.publications = publications;
    }

    fn complete(&mut self, now: Instant, reply_to: &ReplyTo, admission: Admission) {
        let completion = match admission {
            Admission::Taken => Completion::Accept,
            Admission::Dropped => {
                self.metrics.add(Counter::NotificationsDropped, 1);
                Completion::Accept
            }
            Admission::Held => {
                self.metrics.add(Counter::NotificationsHeld, 1);
                Completion::Refuse
            }
        };
        self.server.complete(now, reply_to, completion);
    }

    /// Says which versions of objects devices have that nobody defined.
    fn check_versions(&mut self, event: &Event) {
        if let Event::Registered { device, .. }
        | Event::Updated { device, content: UpdateContent::WithLinks } = event
        {
            self.versions.look(device, self.uplink.models(), &self.shared.missing_versions);
        }
    }

    /// Keeps the directory, the gates and the exact filters in step with the registrations.
    fn keep_directory(&self, event: &Event) {
        match event {
            // Its gate has counted it when it was let in.
            Event::Registered { device, .. } => self.hold_filter(device, device.peer.listener()),
            Event::AddressChanged { device, from } => {
                let (listener, former) = (device.peer.listener(), from.listener());
                if listener != former {
                    self.hold_filter(device, listener);
                    self.release_filter(device, former);
                    self.listening.gate(listener).inspect(|gate| gate.enter());
                    self.listening.gate(former).inspect(|gate| gate.leave());
                }
            }
            Event::Deregistered { device }
            | Event::Expired { device }
            | Event::Replaced { device }
            | Event::Kicked { device } => {
                if self.shared.directory.release(&device.endpoint, device.registration) {
                    self.shared.device_topics.forget(&device.endpoint);
                }
                self.release_filter(device, device.peer.listener());
                self.listening.gate(device.peer.listener()).inspect(|gate| gate.leave());
            }
            _ => {} // All others leave the registration where it is.
        }
    }

    fn hold_filter(&self, device: &Device, listener: u16) {
        if ExactFilters::wants(device.endpoint.as_str()) {
            self.shared.exact_filters.hold(listener, &device.endpoint);
        }
    }

    fn release_filter(&self, device: &Device, listener: u16) {
        if ExactFilters::wants(device.endpoint.as_str()) {
            self.shared.exact_filters.release(listener, &device.endpoint);
        }
    }
}
