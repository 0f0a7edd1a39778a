//! The command subscription at an external broker: in place before anything is sent on a
//! connection, whole after each new one, and changed while connected.
//!
//! Which filters are wanted is decided outside; [`super::session`] says when.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::CONNECT_TIMEOUT;
use super::connection::{Buffers, Lost};
use super::session::Session;
use super::wire::PacketId;
use crate::mqtt::{Filter, SubscribeError};

/// Who waits for a subscription.
pub(super) type Reply = oneshot::Sender<Result<(), SubscribeError>>;

/// Whether messages may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Not connected.
    Away,
    /// Connected; the subscription is not in place yet.
    Subscribing,
    /// Connected and subscribed.
    Open,
}

/// A subscription that is not answered yet.
pub(super) struct Pending {
    packet: PacketId,
    /// Those of the packet that was sent.
    filters: Vec<Filter>,
    /// Those of the packets that follow.
    rest: Vec<Filter>,
    /// What the first refusal said.
    refusal: Option<SubscribeError>,
    reply: Option<Reply>,
    since: Instant,
}

/// Filters per SUBSCRIBE packet: at most 64 x (252 bytes of name and a mountpoint), far below any
/// broker's packet limit.
const SUBSCRIBE_MAX: usize = 64;

/// How far the broker is with the retained messages of a new subscription. They have no last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repetition {
    /// None is under way.
    Over,
    /// Asked for, not granted yet.
    Begun,
    /// Taken to be over then.
    Until(Instant),
}

/// Brokers send them right behind the SUBACK, at most [`super::RECEIVE_MAX`] at once: 100 000 of
/// them over a line of 50 ms take 20 s.
const REPETITION_MAX: Duration = Duration::from_secs(30);

impl Session {
    /// The connection tells whether the broker still has what it was asked for.
    pub(super) fn on_session(&mut self, is_present: bool) {
        if !is_present {
            self.granted.clear();
        }
    }

    pub(super) fn check_repetition(&mut self, now: Instant) {
        if let Repetition::Until(end) = self.repetition
            && end <= now
        {
            self.repetition = Repetition::Over;
            self.deliveries.end_of_repetition();
        }
    }

    pub(super) fn set_wanted(&mut self, filters: Vec<Filter>) -> Vec<Filter> {
        self.filters = filters.iter().cloned().collect();
        std::mem::replace(&mut self.wanted, filters)
    }

    pub(super) fn change_filters(
        &mut self,
        filters: Vec<Filter>,
        reply: Reply,
        io: &mut Buffers,
    ) -> Result<(), Lost> {
        let old = self.set_wanted(filters);
        for gone in difference(&old, &self.wanted).chunks(SUBSCRIBE_MAX) {
            self.granted.retain(|filter| !gone.contains(filter));
            if let Some(packet) = self.lane.take_id() {
                io.wire.unsubscribe(packet, gone, &mut io.output)?;
                // Nobody waits for the answer, and it names no message.
                self.lane.give_back(packet);
            }
        }
        let mut new = difference(&self.wanted, &old);
        // What an unanswered subscription asked for is asked for again with the new ones.
        new.extend(self.give_up_subscription());
        self.subscribe(new, Some(reply), io)
    }

    pub(super) fn subscribe(
        &mut self,
        mut filters: Vec<Filter>,
        reply: Option<Reply>,
        io: &mut Buffers,
    ) -> Result<(), Lost> {
        let rest = filters.split_off(filters.len().min(SUBSCRIBE_MAX));
        self.subscribe_with(filters, rest, None, reply, io)
    }

    fn subscribe_with(
        &mut self,
        filters: Vec<Filter>,
        rest: Vec<Filter>,
        refusal: Option<SubscribeError>,
        reply: Option<Reply>,
        io: &mut Buffers,
    ) -> Result<(), Lost> {
        if filters.is_empty() {
            answer(reply, refusal.map_or(Ok(()), Err));
            self.open_gate();
            return Ok(());
        }
        let Some(packet) = self.lane.take_id() else {
            return Err(Lost::Broken("all packet identifiers are in use".to_owned()));
        };
        let new: Vec<Filter> =
            filters.iter().filter(|filter| !self.granted.contains(filter)).cloned().collect();
        if !new.is_empty() {
            self.deliveries.await_again(&new);
            self.repetition = Repetition::Begun;
        }
        io.wire.subscribe(packet, &filters, &self.granted, &mut io.output)?;
        let since = Instant::now();
        self.pending = Some(Pending { packet, filters, rest, refusal, reply, since });
        Ok(())
    }

    pub(super) fn on_subscribed(
        &mut self,
        packet: PacketId,
        refused: Vec<(usize, String)>,
        io: &mut Buffers,
    ) -> Result<(), Lost> {
        let Some(mut pending) = self.pending.take_if(|pending| pending.packet == packet) else {
            return Ok(());
        };
        self.lane.give_back(packet);
        tracing::info!(event = "mqtt_subscribed", filters = pending.filters.len() - refused.len());
        if self.repetition == Repetition::Begun {
            self.repetition = Repetition::Until(Instant::now() + REPETITION_MAX);
        }
        let is_refused = |index| refused.iter().any(|(other, _)| *other == index);
        let granted = pending.filters.iter().enumerate().filter(|(index, _)| !is_refused(*index));
        self.granted.extend(granted.map(|(_, filter)| filter.clone()));
        // Events still flow: a fleet that cannot be commanded is better than one that is silent.
        // The next connection tries again.
        for (index, reason) in refused {
            let Some(filter) = pending.filters.get(index).map(ToString::to_string) else {
                continue;
            };
            tracing::error!(event = "mqtt_subscription_refused", filter, reason);
            pending.refusal.get_or_insert(SubscribeError::Refused { filter, reason });
        }
        let mut filters = pending.rest;
        let rest = filters.split_off(filters.len().min(SUBSCRIBE_MAX));
        self.subscribe_with(filters, rest, pending.refusal, pending.reply, io)
    }

    fn open_gate(&mut self) {
        if self.gate == Gate::Subscribing {
            self.gate = Gate::Open;
            self.stats.set_connected(true);
        }
    }

    /// Stops waiting for an answer; returns what was asked for.
    pub(super) fn give_up_subscription(&mut self) -> Vec<Filter> {
        let Some(pending) = self.pending.take() else { return Vec::new() };
        self.lane.give_back(pending.packet);
        answer(pending.reply, Ok(()));
        pending.filters.into_iter().chain(pending.rest).collect()
    }

    /// A broker that does not answer a subscription is as good as away.
    pub(super) fn check_subscription(&self, now: Instant) -> Result<(), Lost> {
        match &self.pending {
            Some(pending) if now - pending.since >= CONNECT_TIMEOUT => {
                Err(Lost::Broken("no answer to the subscription".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// What is in `these` and not in `those`, in order.
fn difference(these: &[Filter], those: &[Filter]) -> Vec<Filter> {
    let known: HashSet<&Filter> = those.iter().collect();
    these.iter().filter(|filter| !known.contains(filter)).cloned().collect()
}

fn answer(reply: Option<Reply>, result: Result<(), SubscribeError>) {
    if let Some(reply) = reply {
        let _ = reply.send(result);
    }
}
