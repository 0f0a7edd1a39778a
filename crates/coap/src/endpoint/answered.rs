//! Answers to our requests: matching, acknowledgement, bodies in blocks: RFC 7252 5.3, RFC 7959.

use alloc::borrow::Cow;

use super::{Endpoint, Slot, note};
use crate::block::BlockOption;
use crate::body::{self, Fetched, Fetching, Sent};
use crate::exchange::{Ask, Early, Phase, Purpose, Role};
use crate::option_rules;
use crate::{
    Event, ExchangeFailure, ExchangeId, Incoming, Message, MessageId, NoteKind, ObservationId,
    OptionNumber, Peer, Token, Type,
};

/// What a token stands for at the moment.
enum Meant {
    Exchange(u32),
    Observation(ObservationId),
    Nothing,
}

/// How an answer moves its exchange on.
enum Step {
    /// The next block is to be sent or asked for.
    GoOn,
    /// The message in hand is the whole answer.
    Whole,
    /// The body that was put together is the answer.
    Assembled,
    Fail(ExchangeFailure),
}

impl Endpoint {
    /// A response or notification. Its token says what it belongs to; its source address does not
    /// matter, since nobody can guess a token.
    pub(super) fn on_response<'d>(
        &mut self,
        peer: Peer,
        message: Message<'d>,
        datagram: &'d [u8],
    ) -> Option<Event<'d>> {
        let bad = option_rules::check(&message.options).is_err();
        match self.meant(&message.token) {
            Meant::Nothing => self.on_stray(peer, &message, datagram),
            Meant::Exchange(index) => {
                if message.kind == Type::Acknowledgement
                    && self.exchanges.get(index).is_none_or(|found| found.id != message.id)
                {
                    self.stats.ignored += 1;
                    return None;
                }
                if self.was_answered(peer, &message) {
                    return None;
                }
                if bad {
                    return self.reject_answer(index, peer, &message);
                }
                self.on_answer(index, peer, incoming(message))
            }
            Meant::Observation(observation) if !bad => {
                self.on_observed(observation, peer, incoming(message))
            }
            Meant::Observation(observation) if message.kind == Type::Acknowledgement => {
                let index = self.asking_with(observation, peer, message.id)?;
                self.reject_answer(index, peer, &message)
            }
            Meant::Observation(_) => {
                self.reject(peer, &message);
                None
            }
        }
    }

    /// Takes an answer that is known to belong to an exchange: acknowledges it if need be, and
    /// moves the exchange on.
    pub(super) fn on_answer<'d>(
        &mut self,
        index: u32,
        peer: Peer,
        answer: Incoming<'d>,
    ) -> Option<Event<'d>> {
        self.peer_proven(peer);
        if answer.kind == Type::Confirmable {
            self.acknowledge(peer, answer.id);
        }
        if answer.kind != Type::Acknowledgement {
            self.remember_answered(peer, answer.id);
            // It came from where the peer is now.
            self.move_exchange(index, peer);
        }
        match self.step(index, &answer) {
            Step::GoOn => {
                self.go_on(index);
                None
            }
            Step::Whole => self.finish(index, peer, answer),
            Step::Assembled => {
                let (code, options, body) = self.take_fetched(index)?.into_parts();
                let payload = Cow::Owned(body);
                self.finish(index, peer, Incoming { code, options, payload, ..answer })
            }
            Step::Fail(reason) => self.fail(index, reason),
        }
    }

    /// What came early counts as the answer after all.
    pub(super) fn take_as_answer(&mut self, index: u32, early: Early) -> Option<Event<'static>> {
        let Early { peer, message } = early;
        let observation =
            self.exchanges.get(index).and_then(|found| found.ask()?.purpose.observation());
        if let Some(observation) = observation {
            self.accept_id(observation, message.id);
        }
        self.on_answer(index, peer, message)
    }

    pub(super) fn take_early(&mut self, index: u32) -> Option<Early> {
        self.exchanges.get_mut(index)?.ask_mut()?.early.take().map(|early| *early)
    }

    /// Ends an exchange that cannot be completed.
    pub(super) fn fail(&mut self, index: u32, reason: ExchangeFailure) -> Option<Event<'static>> {
        let ended = self.end_exchange(index)?;
        let exchange = ExchangeId { index, serial: ended.serial };
        if let Role::Ask(ask) = &ended.role
            && matches!(ask.purpose, Purpose::Fetch(_))
        {
            self.give_up_fetch(&ended);
            return None;
        }
        self.settle_observation(&ended, None);
        Some(Event::Failed { exchange, reason })
    }

    fn meant(&self, token: &Token) -> Meant {
        let Some((shard, slot, random)) = token.parts() else {
            return Meant::Nothing;
        };
        match self.slots.get(slot).filter(|_| shard == self.shard) {
            Some(Slot::Exchange { random: known, exchange }) if *known == random => {
                Meant::Exchange(*exchange)
            }
            Some(Slot::Observation(observation)) if observation.random == random => {
                Meant::Observation(ObservationId { slot, random })
            }
            _ => Meant::Nothing,
        }
    }

    /// Nobody waits for it: Reset, unless it is the repetition of an answer that was taken, or an
    /// acknowledgement, which is never answered (RFC 7252 4.2, RFC 7641 3.5).
    fn on_stray<'d>(
        &mut self,
        peer: Peer,
        message: &Message<'d>,
        datagram: &'d [u8],
    ) -> Option<Event<'d>> {
        if message.kind == Type::Acknowledgement {
            self.stats.ignored += 1;
            return None;
        }
        if self.was_answered(peer, message) {
            return None;
        }
        self.stats.unknown_tokens += 1;
        self.reset(peer, message.id);
        Some(note(peer, NoteKind::UnknownToken, datagram))
    }

    /// Whether this separate response was taken before; a confirmable one is acknowledged again.
    fn was_answered(&mut self, peer: Peer, message: &Message<'_>) -> bool {
        if message.kind == Type::Acknowledgement {
            return false;
        }
        let sender =
            self.peers.find(&peer).and_then(|index| self.peers.get(index)?.sender.as_ref());
        let answered = sender.is_some_and(|sender| sender.has_answered(message.id));
        if answered {
            self.stats.duplicates += 1;
            if message.kind == Type::Confirmable {
                self.acknowledge(peer, message.id);
            }
        }
        answered
    }

    fn remember_answered(&mut self, peer: Peer, id: MessageId) {
        if let Some(sender) = self.peers.find_mut(&peer).and_then(|state| state.sender.as_mut()) {
            sender.remember_answered(id);
        }
    }

    /// An answer with a critical option that is not understood (RFC 7252 5.4.1): rejected. A
    /// non-confirmable one is as good as lost.
    fn reject_answer<'d>(
        &mut self,
        index: u32,
        peer: Peer,
        message: &Message<'d>,
    ) -> Option<Event<'d>> {
        self.reject(peer, message);
        if message.kind == Type::NonConfirmable {
            return None;
        }
        self.fail(index, ExchangeFailure::UnknownCriticalOption)
    }

    fn reject(&mut self, peer: Peer, message: &Message<'_>) {
        self.stats.bad_options += 1;
        if message.kind == Type::Confirmable {
            self.reset(peer, message.id);
        }
    }

    /// Judges an answer by its block options.
    fn step(&mut self, index: u32, answer: &Incoming<'_>) -> Step {
        let body_max = self.config.body_max;
        let room = self
            .config
            .transfers_bytes_max
            .saturating_sub(self.fetched_bytes.saturating_add(self.assemblies.bytes()));
        let Some(ask) = self.exchanges.get_mut(index).and_then(|found| found.ask_mut()) else {
            return Step::Whole;
        };
        let block1 = BlockOption::of(&answer.options, OptionNumber::BLOCK1).unwrap_or(None);
        match request_step(ask, answer, block1) {
            Sent::GoOn => {
                if ask.sending.is_none() {
                    return self.begin_sending(index, answer, block1);
                }
                return Step::GoOn;
            }
            Sent::Fail => return Step::Fail(ExchangeFailure::BlockMismatch),
            Sent::Final => ask.sending = None,
        }
        let Ok(block2) = BlockOption::of(&answer.options, OptionNumber::BLOCK2) else {
            return Step::Fail(ExchangeFailure::BlockMismatch);
        };
        let before = ask.fetching.as_ref().map_or(0, Fetching::len);
        let step = response_step(ask, answer, block2, body_max.min(before + room));
        let after = ask.fetching.as_ref().map_or(0, Fetching::len);
        self.fetched_bytes = (self.fetched_bytes + after).saturating_sub(before);
        if after != 0 {
            self.stats.blocks_in += 1;
        }
        match step {
            Step::GoOn => self.leave_observation(index),
            step => step,
        }
    }

    /// The peer wants a body in blocks that was sent as one (RFC 7959 2.9.3).
    fn begin_sending(
        &mut self,
        index: u32,
        answer: &Incoming<'_>,
        block1: Option<BlockOption>,
    ) -> Step {
        let len =
            self.exchanges.get(index).and_then(|found| Some(found.ask()?.request.payload.len()));
        let Some(len) = len else {
            return Step::Whole;
        };
        let Some(size) = body::wanted_size(answer.code, block1, len) else {
            return Step::Whole;
        };
        let sending = self.new_sending(size, len);
        if let Some(ask) = self.exchanges.get_mut(index).and_then(|found| found.ask_mut()) {
            ask.sending = Some(sending);
        }
        Step::GoOn
    }

    /// The rest of an answer to `observe` is asked for with a token of its own, since the
    /// observation's belongs to notifications.
    fn leave_observation(&mut self, index: u32) -> Step {
        let Some(mut exchange) = self.exchanges.remove(index) else {
            return Step::Whole;
        };
        let mut given = true;
        if let Role::Ask(ask) = &mut exchange.role
            && ask.slot.is_none()
        {
            given = self.give_slot(ask);
            if let Some(Slot::Exchange { exchange, .. }) =
                ask.slot.and_then(|slot| self.slots.get_mut(slot))
            {
                *exchange = index;
            }
        }
        // The place was left a moment ago and nothing else could take it.
        let put_back = self.exchanges.insert_at(index, exchange).is_ok();
        debug_assert!(put_back, "an exchange lost its place");
        if given { Step::GoOn } else { Step::Fail(ExchangeFailure::NoToken) }
    }

    fn take_fetched(&mut self, index: u32) -> Option<Fetching> {
        let fetched = self.exchanges.get_mut(index)?.ask_mut()?.fetching.take()?;
        self.fetched_bytes = self.fetched_bytes.saturating_sub(fetched.len());
        Some(fetched)
    }

    /// Ends an exchange with its answer.
    fn finish<'d>(&mut self, index: u32, peer: Peer, answer: Incoming<'d>) -> Option<Event<'d>> {
        let early = self.take_early(index);
        let ended = self.end_exchange(index)?;
        let exchange = ExchangeId { index, serial: ended.serial };
        if let Role::Ask(ask) = &ended.role
            && let Purpose::Fetch(fetch) = &ask.purpose
        {
            return self.finish_fetch(fetch, &ended, answer);
        }
        self.stats.responses_in += 1;
        self.settle_observation(&ended, Some(&answer));
        if let Some(early) = early {
            self.release_early(&ended, early);
        }
        let token = ended.ask().map_or(answer.token, |ask| ask.token);
        let response = Incoming { token, ..answer };
        Some(Event::Response { exchange, peer, response })
    }

    /// Whether a message with the observation's token answers a request in flight for it.
    pub(super) fn asking_with(
        &self,
        observation: ObservationId,
        peer: Peer,
        id: MessageId,
    ) -> Option<u32> {
        let by_peer = self.find_in_flight(peer, id);
        let by_observation = || self.observation(observation)?.exchange();
        let index = by_peer.or_else(by_observation)?;
        let exchange = self.exchanges.get(index)?;
        let ask = exchange.ask()?;
        let fits = exchange.id == id
            && ask.purpose.observation() == Some(observation)
            && exchange.phase != Phase::Waiting;
        (fits && ask.slot.is_none()).then_some(index)
    }
}

/// Takes the answer to a request, which may be one of several blocks.
fn request_step(ask: &mut Ask, answer: &Incoming<'_>, block1: Option<BlockOption>) -> Sent {
    match &mut ask.sending {
        Some(sending) => sending.answered(answer.code, block1),
        None if body::wanted_size(answer.code, block1, ask.request.payload.len()).is_some()
            && ask.fetching.is_none() =>
        {
            Sent::GoOn
        }
        None => Sent::Final,
    }
}

/// Takes the answer itself, which may be one of several blocks.
fn response_step(
    ask: &mut Ask,
    answer: &Incoming<'_>,
    block2: Option<BlockOption>,
    body_max: usize,
) -> Step {
    let options = || answer.options.clone().into_owned();
    let fetched = match (&mut ask.fetching, block2) {
        (None, Some(block)) if block.more && answer.code.is_success() => {
            if block.number != 0 {
                // The caller asked for this very block.
                return Step::Whole;
            }
            let fetching = ask.fetching.insert(Fetching::new(answer.code, options(), block.size));
            fetching.take(block, &answer.options, &answer.payload, body_max)
        }
        (None, _) => return Step::Whole,
        (Some(_), _) if !answer.code.is_success() => {
            ask.fetching = None;
            return Step::Whole;
        }
        (Some(_), None) if answer.payload.len() > body_max => {
            Fetched::Fail(ExchangeFailure::BodyTooLarge)
        }
        (Some(fetching), None) => {
            fetching.replace(answer.code, options(), &answer.payload);
            Fetched::Done
        }
        (Some(fetching), Some(block)) => {
            if fetching.is_at_start() {
                fetching.begin_anew(answer.code, options());
            }
            fetching.take(block, &answer.options, &answer.payload, body_max)
        }
    };
    match fetched {
        Fetched::Ask(block) => {
            ask.wanted = Some(block);
            Step::GoOn
        }
        Fetched::Done => Step::Assembled,
        Fetched::Fail(reason) => Step::Fail(reason),
    }
}

/// A message that is complete by itself.
pub(super) fn incoming(message: Message<'_>) -> Incoming<'_> {
    Incoming {
        code: message.code,
        options: message.options,
        payload: Cow::Borrowed(message.payload),
        token: message.token,
        id: message.id,
        kind: message.kind,
    }
}
