//! Observations: asking, notifications, fetching the rest of large ones, cancelling: RFC 7641 3,
//! RFC 7959 2.6.
//!
//! A confirmable notification is not acknowledged before its owner completes it. The rest of one
//! that comes in blocks is the job of `fetching`.

use alloc::boxed::Box;
use alloc::sync::Arc;

use rand_core::RngCore;

use super::{Endpoint, Slot};
use crate::block::BlockOption;
use crate::exchange::{Ask, Early, Exchange, Fetch, Phase, Purpose};
use crate::observe::{Observation, RECENT, Seen, Standing};
use crate::request::Target;
use crate::time::Instant;
use crate::{
    Event, ExchangeFailure, ExchangeId, Freshness, Incoming, MessageId, ObservationId,
    ObservationState, OptionNumber, Peer, ReplyTo, Request, RequestOptions, Token, Type,
};

/// What an observation is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Busy {
    /// Nothing that could answer with the observation's token.
    No,
    /// A request for it was sent; whether its answer is under way is open.
    Asking(u32),
    /// The request was acknowledged or needs no acknowledgement: its answer is a message of its
    /// own.
    Promised(u32),
    /// The rest of a large answer is fetched.
    Fetching(u32),
}

impl Endpoint {
    /// Sends a GET or FETCH with Observe 0. The token is that of the observation, which lives until
    /// it is forgotten, or until the request ends without a 2.xx answer.
    pub fn observe(
        &mut self,
        now: Instant,
        peer: Peer,
        request: Request,
        options: RequestOptions,
    ) -> (ExchangeId, ObservationId) {
        self.advance(now);
        let random = self.chance.next_u32();
        let request = self.asked.intern(request);
        let observation = Observation::new(random, Some(Arc::clone(&request)));
        let Ok(slot) = self.slots.insert(Slot::Observation(observation)) else {
            let id = ObservationId { slot: u32::MAX, random };
            return (self.fail_at_once(ExchangeFailure::NoToken), id);
        };
        let id = ObservationId { slot, random };
        let ask = Ask::new(Purpose::Observe(id), request, self.token_of(id));
        let exchange = self.begin_ask(peer, ask, &options);
        if self.find_exchange(exchange).is_none() {
            self.drop_observation(id);
        }
        (exchange, id)
    }

    /// Observes again with the same token. If the answer is an error, the observation is gone; if
    /// there is none, it stays as it was.
    pub fn reobserve(
        &mut self,
        now: Instant,
        peer: Peer,
        observation: ObservationId,
        request: Request,
        options: RequestOptions,
    ) -> ExchangeId {
        self.advance(now);
        let request = self.asked.intern(request);
        let Some(found) = self.observation_mut(observation) else {
            self.asked.release(request);
            return self.fail_at_once(ExchangeFailure::NoObservation);
        };
        if let Some(former) = found.request.replace(Arc::clone(&request)) {
            self.asked.release(former);
        }
        let token = self.token_of(observation);
        self.begin_ask(peer, Ask::new(Purpose::Reobserve(observation), request, token), &options)
    }

    /// Cancels actively: Observe 1 with the observation's token. Notifications that arrive from now
    /// on get Reset; the observation is gone when the exchange has ended, however it ends.
    pub fn cancel_observe(
        &mut self,
        now: Instant,
        peer: Peer,
        observation: ObservationId,
        request: Request,
        options: RequestOptions,
    ) -> ExchangeId {
        self.advance(now);
        let Some(found) = self.observation_mut(observation) else {
            return self.fail_at_once(ExchangeFailure::NoObservation);
        };
        found.standing = Standing::Cancelling;
        self.end_fetch_of(observation);
        let token = self.token_of(observation);
        let ask = Ask::new(Purpose::Cancel(observation), Arc::new(request), token);
        self.begin_ask(peer, ask, &options)
    }

    /// Cancels passively: the next notification gets Reset (RFC 7641 3.6). A request for the
    /// observation that is in flight still ends with its event.
    pub fn forget_observation(&mut self, observation: ObservationId) {
        self.end_fetch_of(observation);
        let Some(found) = self.observation_mut(observation) else {
            return;
        };
        found.standing = Standing::Cancelling;
        if found.exchange().is_none() {
            self.drop_observation(observation);
        }
    }

    /// What was asked when the observation was set up, or asked again.
    pub fn observed_request(&self, observation: ObservationId) -> Option<&Request> {
        self.observation(observation)?.request.as_deref()
    }

    /// What must survive a restart of an observation.
    pub fn export_observation(&self, observation: ObservationId) -> Option<ObservationState> {
        let found = self.observation(observation)?;
        Some(ObservationState {
            token: self.token_of(observation),
            last: found.last(self.now),
            message_ids: found.accepted().collect(),
            heard: found.heard(self.now),
            request: found.request.as_deref().cloned(),
        })
    }

    /// Takes an observation back: same slot, same token. `None` if the token is not of this shard
    /// or its slot is taken.
    pub fn restore_observation(
        &mut self,
        now: Instant,
        state: ObservationState,
    ) -> Option<ObservationId> {
        self.advance(now);
        let (_, slot, random) = state.token.parts().filter(|parts| parts.0 == self.shard)?;
        if self.slots.get(slot).is_some() {
            return None;
        }
        let request = state.request.map(|request| self.asked.intern(request));
        let mut observation = Observation::new(random, request);
        observation.standing = Standing::Established;
        observation.restore_last(state.last);
        let lifetime = self.config.params.exchange_lifetime();
        let known = state.message_ids.len().saturating_sub(RECENT);
        for id in state.message_ids.into_iter().skip(known) {
            observation.remember(state.heard, id, Seen::Accepted, lifetime);
        }
        self.slots.insert_at(slot, Slot::Observation(observation)).ok()?;
        Some(ObservationId { slot, random })
    }

    /// A message with an observation's token: the answer to a request for it, or a notification.
    pub(super) fn on_observed<'d>(
        &mut self,
        id: ObservationId,
        peer: Peer,
        message: Incoming<'d>,
    ) -> Option<Event<'d>> {
        if message.kind == Type::Acknowledgement {
            let Some(index) = self.asking_with(id, peer, message.id) else {
                self.stats.ignored += 1;
                return None;
            };
            return self.on_answer(index, peer, message);
        }
        let lifetime = self.config.params.exchange_lifetime();
        let observation = self.observation(id)?;
        let (seen, standing) =
            (observation.seen(self.now, message.id, lifetime), observation.standing);
        let busy = self.busy(observation);
        match seen {
            Seen::Accepted | Seen::Pending => return self.on_repeated(peer, &message, seen),
            Seen::Never | Seen::Refused => {}
        }
        match (standing, busy) {
            (Standing::Cancelling, busy) => self.on_unwanted(busy, peer, message),
            (_, Busy::Promised(index)) => {
                self.accept_id(id, message.id);
                self.on_answer(index, peer, message)
            }
            (_, Busy::Asking(index)) => self.on_early(id, index, peer, message),
            (_, Busy::Fetching(index)) => {
                self.hold(index, peer, message);
                None
            }
            (_, Busy::No) => self.on_notification(id, peer, message),
        }
    }

    /// What an observation is busy with that could answer with its token.
    fn busy(&self, observation: &Observation) -> Busy {
        let Some(index) = observation.exchange() else {
            return Busy::No;
        };
        let Some(exchange) = self.exchanges.get(index) else {
            return Busy::No;
        };
        let Some(ask) = exchange.ask().filter(|ask| ask.purpose.observation().is_some()) else {
            return Busy::No;
        };
        match exchange.phase {
            _ if ask.fetching.is_some() => Busy::Fetching(index),
            Phase::Waiting => Busy::No,
            Phase::Unacked { .. } | Phase::Unheard { .. } => Busy::Asking(index),
            Phase::Acked | Phase::Sent => Busy::Promised(index),
        }
    }

    /// A repetition of what was handed up: acknowledged again once it was completed, swallowed
    /// before.
    fn on_repeated<'d>(
        &mut self,
        peer: Peer,
        message: &Incoming<'_>,
        seen: Seen,
    ) -> Option<Event<'d>> {
        self.stats.duplicates += 1;
        if message.kind == Type::Confirmable && seen == Seen::Accepted {
            self.acknowledge(peer, message.id);
        }
        None
    }

    /// While an observation is cancelled, notifications get Reset; the answer to the cancelling
    /// request carries no Observe option (RFC 7641 3.6).
    fn on_unwanted<'d>(
        &mut self,
        busy: Busy,
        peer: Peer,
        message: Incoming<'d>,
    ) -> Option<Event<'d>> {
        match busy {
            Busy::Asking(index) | Busy::Promised(index) | Busy::Fetching(index)
                if message.options.observe().is_none() =>
            {
                self.on_answer(index, peer, message)
            }
            _ => {
                self.reset(peer, message.id);
                None
            }
        }
    }

    /// A message of its own before the acknowledgement of our request: the separate response whose
    /// acknowledgement is late or lost, or a notification that overtook the answer. It is held
    /// until that is clear. When another one comes, the peer observes already: the first one then
    /// counts as the answer.
    fn on_early<'d>(
        &mut self,
        id: ObservationId,
        index: u32,
        peer: Peer,
        message: Incoming<'d>,
    ) -> Option<Event<'d>> {
        let held = self.exchanges.get(index).and_then(|found| found.ask()?.early.as_ref());
        match held.map(|early| early.message.id) {
            None => {
                self.hold(index, peer, message);
                None
            }
            Some(held) if held == message.id => {
                self.stats.duplicates += 1;
                None
            }
            Some(_) => {
                let early = self.take_early(index)?;
                let first = self.take_as_answer(index, early);
                let second = self.on_again(id, peer, message);
                match (first, second) {
                    (Some(first), second) => {
                        self.events.extend(second.map(Event::into_owned));
                        Some(first)
                    }
                    (None, second) => second,
                }
            }
        }
    }

    /// The message after the one that turned out to be the answer.
    fn on_again<'d>(
        &mut self,
        id: ObservationId,
        peer: Peer,
        message: Incoming<'d>,
    ) -> Option<Event<'d>> {
        match self.observation(id) {
            Some(_) => self.on_observed(id, peer, message),
            None => {
                self.reset(peer, message.id);
                None
            }
        }
    }

    /// Keeps a message until it is clear what it is. While the answer itself is fetched, a newer
    /// notification takes the place of an older one, which its sender repeats if it is confirmable.
    fn hold(&mut self, index: u32, peer: Peer, message: Incoming<'_>) {
        if let Some(ask) = self.exchanges.get_mut(index).and_then(|found| found.ask_mut()) {
            ask.early = Some(Box::new(Early { peer, message: message.into_owned() }));
        }
    }

    /// Hands up what was held behind the answer, as a notification.
    pub(super) fn release_early(&mut self, ended: &Exchange, early: Early) {
        let Some(id) = ended.ask().and_then(|ask| ask.purpose.observation()) else {
            return;
        };
        if let Some(event) = self.on_again(id, early.peer, early.message) {
            self.events.push_back(event);
        }
    }

    fn on_notification<'d>(
        &mut self,
        id: ObservationId,
        peer: Peer,
        message: Incoming<'d>,
    ) -> Option<Event<'d>> {
        // Who knows the token was sent it: the address is proven.
        self.peer_proven(peer);
        let (now, lifetime) = (self.now, self.config.params.exchange_lifetime());
        let confirmable = message.kind == Type::Confirmable;
        let observation = self.observation_mut(id)?;
        let again = observation.seen(now, message.id, lifetime) == Seen::Refused;
        let freshness = observation.judge(now, message.options.observe(), again);
        let seen = if confirmable { Seen::Pending } else { Seen::Accepted };
        observation.remember(now, message.id, seen, lifetime);
        observation.standing = Standing::Established;
        if freshness != Freshness::Stale {
            // Whatever an older one still fetches is out of date.
            self.end_fetch_of(id);
        }
        let reply_to = ReplyTo {
            peer,
            token: message.token,
            id: message.id,
            kind: message.kind,
            target: Target::Notification(id),
        };
        let block = BlockOption::of(&message.options, OptionNumber::BLOCK2).unwrap_or(None);
        if let Some(block) = block.filter(|block| block.more && block.number == 0)
            && message.code.is_success()
        {
            let fetch = Fetch { observation: id, reply_to, freshness };
            self.begin_fetch(fetch, block, &message);
            return None;
        }
        self.stats.notifications_in += 1;
        Some(Event::Notification { observation: id, peer, reply_to, response: message, freshness })
    }

    /// What the end of a request means for its observation (RFC 7641 3.2, 3.6).
    pub(super) fn settle_observation(&mut self, ended: &Exchange, answer: Option<&Incoming<'_>>) {
        let Some(ask) = ended.ask() else {
            return;
        };
        let Some(id) = ask.purpose.observation() else {
            return;
        };
        let now = self.now;
        let Some(observation) = self.observation_mut(id) else {
            return;
        };
        let cancelled = observation.standing == Standing::Cancelling;
        let lives = match (&ask.purpose, answer) {
            (Purpose::Observe(_) | Purpose::Reobserve(_), Some(answer)) => {
                answer.code.is_success() && !cancelled
            }
            (Purpose::Reobserve(_), None) => !cancelled,
            _ => false,
        };
        if !lives {
            if observation.exchange().is_none() {
                self.drop_observation(id);
            }
            return;
        }
        observation.standing = Standing::Established;
        if let Some(answer) = answer {
            observation.judge(now, answer.options.observe(), false);
        }
    }

    /// Remembers that a message was taken, so that its repetition is acknowledged again.
    pub(super) fn accept_id(&mut self, id: ObservationId, message: MessageId) {
        let (now, lifetime) = (self.now, self.config.params.exchange_lifetime());
        if let Some(observation) = self.observation_mut(id) {
            observation.remember(now, message, Seen::Accepted, lifetime);
        }
    }

    /// Remembers what became of a notification that was handed up.
    pub(super) fn mark_notification(&mut self, id: ObservationId, message: MessageId, seen: Seen) {
        if let Some(observation) = self.observation_mut(id) {
            observation.mark(message, seen);
        }
    }

    fn drop_observation(&mut self, id: ObservationId) {
        if self.observation(id).is_some()
            && let Some(Slot::Observation(observation)) = self.slots.remove(id.slot)
            && let Some(request) = observation.request
        {
            self.asked.release(request);
        }
    }

    pub(super) fn observation(&self, id: ObservationId) -> Option<&Observation> {
        match self.slots.get(id.slot)? {
            Slot::Observation(observation) if observation.random == id.random => Some(observation),
            _ => None,
        }
    }

    pub(super) fn observation_mut(&mut self, id: ObservationId) -> Option<&mut Observation> {
        match self.slots.get_mut(id.slot)? {
            Slot::Observation(observation) if observation.random == id.random => Some(observation),
            _ => None,
        }
    }

    fn token_of(&self, id: ObservationId) -> Token {
        Token::of_slot(self.shard, id.slot, id.random)
    }
}
