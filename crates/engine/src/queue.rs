//! The queue of one device, and when it may be emptied: OMA Transport 6.5 (queue mode).
//!
//! One queue holds what waits and what is in flight, so that every accepted command is in exactly
//! one place until it ends. Sending is the job of [`crate::commands`].

use std::collections::VecDeque;

use coap::{Duration, ExchangeId, Instant, ObservationId};

use crate::arming::plan::Plan;
use crate::command::{Origin, Priority};
use crate::identity::CommandId;
use crate::interface::management::Prepared;
use crate::settings::QueueLimits;

/// Whether a device listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reachability {
    /// At any time.
    Always,
    /// It is in queue mode and said something a moment ago.
    Awake {
        /// When it is taken to fall asleep, unless it says something more.
        until: Instant,
    },
    /// It is in queue mode and silent: nothing is sent until it says something.
    Asleep,
}

impl Reachability {
    /// Awake until a time, or asleep if that has passed.
    pub(crate) fn until(until: Instant, now: Instant) -> Self {
        if now < until { Self::Awake { until } } else { Self::Asleep }
    }

    /// Whether a request may be sent.
    #[must_use]
    pub const fn listens(self) -> bool {
        match self {
            Self::Always | Self::Awake { .. } => true,
            Self::Asleep => false,
        }
    }
}

/// Whether the window after a device's last message is open; a time-out closes it (fact 22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    Open,
    Closed,
}

/// A command that was accepted and has not ended.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) id: CommandId,
    pub(crate) origin: Origin,
    pub(crate) request: Prepared,
    pub(crate) timeout: Duration,
    pub(crate) expires: Instant,
    pub(crate) priority: Priority,
}

/// What a command costs beyond its bytes: the record itself and what the allocator adds.
const ACCEPTED_OVERHEAD: usize = 200;

impl Accepted {
    /// What the command counts for against the byte bound of the queue.
    pub(crate) fn size(&self) -> usize {
        ACCEPTED_OVERHEAD + self.origin.as_bytes().len() + self.request.size()
    }
}

/// A command that was sent and has not been answered.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) exchange: ExchangeId,
    pub(crate) command: Accepted,
    pub(crate) observation: Option<Observing>,
    pub(crate) sleep: Sleep,
    /// What it counts for, since its payload may have left.
    size: usize,
}

/// Whether the device slept and woke again while a command was on its way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    None,
    /// It did, so that silence about the command says nothing about now.
    Over,
}

/// What an observe in flight is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observing {
    /// A new observation: it is forgotten when the observe fails in any way.
    New(ObservationId),
    /// One that exists: it goes on unless the device refuses it.
    Again(ObservationId),
}

/// Commands of one device, waiting and in flight.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Accepted>,
    in_flight: Vec<Flight>,
    bytes: usize,
    /// The small request that goes before one too large for an address that is not proven.
    probe: Option<ExchangeId>,
    /// What is to be observed after a Register; `None` when nothing is left.
    pub(crate) plan: Option<Box<Plan>>,
}

/// Whether a command finds room.
#[derive(Debug)]
pub(crate) enum Room {
    Enough,
    /// After the oldest ones were dropped, which are to be ended.
    After(Vec<Accepted>),
    None,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.has_no_commands() && self.probe.is_none() && self.plan.is_none()
    }

    fn has_no_commands(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// Requests on their way to the device, commands or not.
    pub(crate) fn outstanding(&self) -> usize {
        self.in_flight.len() + usize::from(self.plan.as_deref().is_some_and(Plan::is_asking))
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Sees to it that a command of `size` bytes finds room, by the rule of `limits`.
    pub(crate) fn make_room(&mut self, size: usize, limits: &QueueLimits) -> Room {
        use crate::settings::QueueOverflow;

        if self.fits(size, limits) {
            return Room::Enough;
        }
        // What is in flight cannot be dropped: the device may be executing it.
        let stuck: usize = self.in_flight.iter().map(|flight| flight.size).sum();
        let alone =
            stuck.saturating_add(size) <= limits.bytes && self.in_flight.len() < limits.commands;
        if limits.overflow == QueueOverflow::RefuseNewest || !alone {
            return Room::None;
        }
        let mut dropped = Vec::new();
        while !self.fits(size, limits)
            && let Some(oldest) = self.pop_waiting()
        {
            dropped.push(oldest);
        }
        Room::After(dropped)
    }

    /// One command larger than the whole bound fits when it is alone: what it may weigh is bounded
    /// where it came in, and it would be refused for ever.
    fn fits(&self, size: usize, limits: &QueueLimits) -> bool {
        self.waiting.len() + self.in_flight.len() < limits.commands
            && (self.has_no_commands() || self.bytes.saturating_add(size) <= limits.bytes)
    }

    /// Appends a command; an urgent one goes before those that are not.
    pub(crate) fn push(&mut self, command: Accepted) {
        self.bytes = self.bytes.saturating_add(command.size());
        let place = match command.priority {
            Priority::Normal => self.waiting.len(),
            Priority::Urgent => {
                let is_urgent = |other: &&Accepted| other.priority == Priority::Urgent;
                self.waiting.iter().take_while(is_urgent).count()
            }
        };
        self.waiting.insert(place, command);
    }

    /// Puts a command back to where it was taken from.
    pub(crate) fn push_front(&mut self, command: Accepted) {
        self.bytes = self.bytes.saturating_add(command.size());
        self.waiting.push_front(command);
    }

    /// The next command to send, if it is urgent, or there is room for another in flight and no
    /// observe has waited too long.
    pub(crate) fn pop_ready(&mut self, in_flight_max: usize) -> Option<Accepted> {
        let next = self.waiting.front()?;
        let has_turn = self.outstanding() < in_flight_max
            && !self.plan.as_deref().is_some_and(Plan::is_overdue);
        if !has_turn && next.priority == Priority::Normal {
            return None;
        }
        if let Some(plan) = &mut self.plan {
            plan.pass();
        }
        self.pop_waiting()
    }

    fn pop_waiting(&mut self) -> Option<Accepted> {
        let command = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(command.size());
        Some(command)
    }

    /// Notes that a command was sent. `size` is what it counted for with its payload.
    pub(crate) fn fly(
        &mut self,
        exchange: ExchangeId,
        command: Accepted,
        size: usize,
        observation: Option<Observing>,
    ) {
        self.bytes = self.bytes.saturating_add(size);
        let sleep = Sleep::None;
        self.in_flight.push(Flight { exchange, command, observation, sleep, size });
    }

    /// The command that an exchange carries.
    pub(crate) fn flight(&self, exchange: ExchangeId) -> Option<&Flight> {
        self.in_flight.iter().find(|flight| flight.exchange == exchange)
    }

    /// Notes that the device slept over what is on its way, and says what that is.
    pub(crate) fn oversleep(&mut self) -> Vec<ExchangeId> {
        self.in_flight.iter_mut().for_each(|flight| flight.sleep = Sleep::Over);
        let asking = self.plan.as_deref_mut().and_then(Plan::oversleep);
        let commands = self.in_flight.iter().map(|flight| flight.exchange);
        commands.chain(self.probe).chain(asking).collect()
    }

    /// Whether the device slept over this exchange.
    pub(crate) fn slept_over(&self, exchange: ExchangeId) -> bool {
        let command = self.flight(exchange).map(|flight| flight.sleep);
        let asking = self.plan.as_deref().and_then(Plan::asking);
        let asking = asking.filter(|asking| asking.exchange == exchange);
        command.or(asking.map(|asking| asking.sleep)) == Some(Sleep::Over)
    }

    /// Takes the command whose exchange ended.
    pub(crate) fn land(&mut self, exchange: ExchangeId) -> Option<Flight> {
        let place = self.in_flight.iter().position(|flight| flight.exchange == exchange)?;
        let flight = self.in_flight.remove(place);
        self.bytes = self.bytes.saturating_sub(flight.size);
        Some(flight)
    }

    /// Takes the next waiting command that has expired.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<Accepted> {
        let place = self.waiting.iter().position(|command| command.expires <= now)?;
        let command = self.waiting.remove(place)?;
        self.bytes = self.bytes.saturating_sub(command.size());
        Some(command)
    }

    /// When the first waiting command expires, or the next observe is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let due = self.plan.as_deref().and_then(Plan::due);
        self.waiting.iter().map(|command| command.expires).chain(due).min()
    }

    /// The payload of the next command, or of the next observe when there is none.
    pub(crate) fn next_payload_len(&self) -> Option<usize> {
        match self.waiting.front() {
            Some(command) => Some(command.request.payload.len()),
            None => self.plan.as_deref().and_then(Plan::next_payload_len),
        }
    }

    /// Whether a request in flight is to set this observation up.
    pub(crate) fn is_asking_for(&self, id: ObservationId) -> bool {
        let asking = self.plan.as_deref().and_then(Plan::asking);
        asking.is_some_and(|asking| asking.observation == id)
            || self.in_flight.iter().any(|flight| flight.observation == Some(Observing::New(id)))
    }

    pub(crate) const fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    pub(crate) const fn begin_probe(&mut self, exchange: ExchangeId) {
        self.probe = Some(exchange);
    }

    /// Notes the end of the probe, if this exchange was it.
    pub(crate) fn end_probe(&mut self, exchange: ExchangeId) -> bool {
        let was_it = self.probe == Some(exchange);
        if was_it {
            self.probe = None;
        }
        was_it
    }

    /// Takes the next command whether or not it may be sent.
    pub(crate) fn give_up_next(&mut self) -> Option<Accepted> {
        self.pop_waiting()
    }

    pub(crate) const fn take_probe(&mut self) -> Option<ExchangeId> {
        self.probe.take()
    }

    /// Both halves: what is in flight, and what waits, in order.
    pub(crate) fn into_parts(self) -> (Vec<Flight>, VecDeque<Accepted>) {
        (self.in_flight, self.waiting)
    }

    /// What a store has to know: what is in flight first, then what waits.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &Accepted> {
        self.in_flight.iter().map(|flight| &flight.command).chain(&self.waiting)
    }
}

#[cfg(test)]
mod tests;
