//! Messages of ours on their way: turns, transmission, repetition, acknowledgement, end: RFC 7252
//! 4.2, 4.7, 5.2.2.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rand_core::RngCore;

use super::{Endpoint, Listening, Slot, Timer};
use crate::block::BlockSize;
use crate::body::Sending;
use crate::exchange::{Ask, Exchange, Phase, Purpose, Role, Turn};
use crate::time::Instant;
use crate::{
    Event, ExchangeFailure, ExchangeId, MessageId, NoteKind, Peer, Reliability, Request,
    RequestOptions, Token,
};

impl Endpoint {
    /// Sends a request. Exactly one of `Response`, `Reset`, `TimedOut` and `Failed` follows, unless
    /// it is cancelled.
    pub fn request(
        &mut self,
        now: Instant,
        peer: Peer,
        request: Request,
        options: RequestOptions,
    ) -> ExchangeId {
        self.advance(now);
        let ask = Ask::new(Purpose::Plain, Arc::new(request), Token::EMPTY);
        self.begin_ask(peer, ask, &options)
    }

    /// Gives up an exchange without an event; that of a first `observe` ends the observation too. A
    /// late answer matches nothing any more: it gets Reset (RFC 7252 4.2), so that the peer stops
    /// sending it, and raises no event.
    pub fn cancel(&mut self, exchange: ExchangeId) {
        if self.find_exchange(exchange).is_some()
            && let Some(ended) = self.end_exchange(exchange.index)
        {
            self.settle_observation(&ended, None);
        }
    }

    /// Gives a request its token, unless it is that of an observation, and sends it in its turn.
    pub(super) fn begin_ask(
        &mut self,
        peer: Peer,
        mut ask: Ask,
        options: &RequestOptions,
    ) -> ExchangeId {
        if ask.request.options.as_bytes().len() > OPTIONS_LEN_MAX {
            return self.fail_at_once(ExchangeFailure::TooLong);
        }
        if ask.request.payload.len() > self.size_max.bytes() && ask.fetching.is_none() {
            ask.sending = Some(self.new_sending(self.size_max, ask.request.payload.len()));
        }
        if ask.token.is_empty() && !self.give_slot(&mut ask) {
            return self.fail_at_once(ExchangeFailure::NoToken);
        }
        let turn = if options.urgent { Turn::AtOnce } else { Turn::InOrder };
        let (slot, observation) = (ask.slot, ask.purpose.observation());
        let exchange = Exchange {
            serial: 0,
            peer,
            role: Role::Ask(Box::new(ask)),
            phase: Phase::Waiting,
            id: MessageId::new(0),
            datagram: Vec::new(),
            reliability: options.reliability,
            turn,
            deadline_after: options.deadline_after.unwrap_or(self.config.request_timeout),
            deadline: None,
            timer: None,
        };
        self.stats.requests_out += 1;
        self.stats.blocks_out += u64::from(exchange.is_sending());
        let Some(id) = self.insert_exchange(exchange) else {
            slot.and_then(|slot| self.slots.remove(slot));
            return self.fail_at_once(ExchangeFailure::NoToken);
        };
        if let Some(observation) = observation.and_then(|id| self.observation_mut(id)) {
            observation.set_exchange(Some(id.index));
        }
        if let Some(Slot::Exchange { exchange, .. }) =
            slot.and_then(|slot| self.slots.get_mut(slot))
        {
            *exchange = id.index;
        }
        self.queue_exchange(id.index, peer);
        id
    }

    pub(super) fn new_sending(&mut self, size: BlockSize, len: usize) -> Sending {
        let tag = self.config.request_tag.then(|| self.chance.next_u32());
        Sending::new(size, len, tag)
    }

    /// Gives a request a token with a slot of its own.
    pub(super) fn give_slot(&mut self, ask: &mut Ask) -> bool {
        let random = self.chance.next_u32();
        let Ok(slot) = self.slots.insert(Slot::Exchange { random, exchange: u32::MAX }) else {
            return false;
        };
        ask.slot = Some(slot);
        ask.token = Token::of_slot(self.shard, slot, random);
        true
    }

    /// An exchange that ends before it has begun; its event is polled.
    pub(super) fn fail_at_once(&mut self, reason: ExchangeFailure) -> ExchangeId {
        let exchange = ExchangeId { index: u32::MAX, serial: self.take_serial() };
        self.events.push_back(Event::Failed { exchange, reason });
        exchange
    }

    pub(super) fn take_serial(&mut self) -> u32 {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        serial
    }

    pub(super) fn insert_exchange(&mut self, mut exchange: Exchange) -> Option<ExchangeId> {
        exchange.serial = self.take_serial();
        let serial = exchange.serial;
        let index = self.exchanges.insert(exchange).ok()?;
        Some(ExchangeId { index, serial })
    }

    /// Sends an exchange now, or lines it up behind the others to that peer.
    pub(super) fn queue_exchange(&mut self, index: u32, peer: Peer) {
        let Some(place) = self.peer_place(peer) else {
            return;
        };
        let at_once = self.exchanges.get(index).is_some_and(|found| found.turn == Turn::AtOnce);
        let Some(sender) = self.sender(place) else {
            return;
        };
        if at_once {
            sender.waiting.push_front(index);
        } else {
            sender.waiting.push_back(index);
        }
        self.launch_waiting(place);
    }

    /// Sends what may be sent to a peer: urgent messages, and others up to NSTART.
    pub(super) fn launch_waiting(&mut self, place: u32) {
        while let Some(index) = self.next_to_launch(place) {
            if !self.launch(index, place) {
                if let Some(sender) = self.sender(place) {
                    sender.waiting.push_front(index);
                }
                return;
            }
        }
    }

    /// Takes the exchange whose turn it is out of the line.
    fn next_to_launch(&mut self, place: u32) -> Option<u32> {
        let nstart = usize::from(self.config.params.nstart.max(1));
        let state = self.peers.get_mut(place)?;
        let unproven = state.guard.is_some();
        let sender = state.sender.as_mut()?;
        let first = *sender.waiting.front()?;
        let exchanges = &self.exchanges;
        let outstanding =
            |index: &&u32| exchanges.get(**index).is_some_and(|found| found.phase.is_outstanding());
        let busy = if unproven {
            // Not even a request that waits for its separate response has a second one beside it.
            sender.in_flight.len()
        } else {
            sender.in_flight.iter().filter(outstanding).count()
        };
        let at_once = exchanges.get(first).is_some_and(|found| found.turn == Turn::AtOnce);
        let free = if unproven { busy == 0 } else { at_once || busy < nstart };
        free.then(|| sender.waiting.pop_front()).flatten()
    }

    /// Sends the message of an exchange for the first time; false if there is no message id for it
    /// or the peer has no credit.
    fn launch(&mut self, index: u32, place: u32) -> bool {
        if self.exchanges.get(index).is_none() {
            return true;
        }
        let Some(id) = self.next_id(place) else {
            return false;
        };
        let timeout = self.config.params.first_timeout(self.chance.next_u32());
        let (now, size_max) = (self.now, self.size_max);
        let Some(exchange) = self.exchanges.get_mut(index) else {
            return true;
        };
        exchange.encode(id, size_max);
        exchange.phase = match exchange.reliability {
            Reliability::Confirmable => Phase::Unacked { attempt: 0, timeout, at: now + timeout },
            Reliability::NonConfirmable => Phase::Sent,
        };
        let deadline = now + exchange.deadline_after;
        if !self.send_exchange(index) {
            // Waits for credit, but not longer than it would wait for its answer.
            if let Some(exchange) = self.exchanges.get_mut(index) {
                exchange.phase = Phase::Waiting;
                exchange.deadline.get_or_insert(deadline);
            }
            self.arm(index);
            return false;
        }
        if let Some(exchange) = self.exchanges.get_mut(index) {
            exchange.deadline = Some(deadline);
        }
        if let Some(sender) = self.sender(place)
            && !sender.in_flight.contains(&index)
        {
            sender.in_flight.push(index);
        }
        self.arm(index);
        true
    }

    fn send_exchange(&mut self, index: u32) -> bool {
        let Some(exchange) = self.exchanges.get_mut(index) else {
            return false;
        };
        let peer = exchange.peer;
        let datagram = core::mem::take(&mut exchange.datagram);
        let sent = self.send(peer, |out| out.extend_from_slice(&datagram));
        if let Some(exchange) = self.exchanges.get_mut(index) {
            exchange.datagram = datagram;
        }
        sent
    }

    /// Sends the next message of an exchange that goes on: another block, or the question for one.
    pub(super) fn go_on(&mut self, index: u32) {
        let Some(exchange) = self.exchanges.get_mut(index) else {
            return;
        };
        self.stats.blocks_out += u64::from(exchange.is_sending());
        exchange.phase = Phase::Waiting;
        let peer = exchange.peer;
        let Some(place) = self.peer_place(peer) else {
            return;
        };
        if !self.launch(index, place)
            && let Some(sender) = self.sender(place)
        {
            sender.in_flight.retain(|found| *found != index);
            sender.waiting.push_front(index);
        }
    }

    /// Sets a timer for what is due next, unless an earlier one is set.
    pub(super) fn arm(&mut self, index: u32) {
        let Some(exchange) = self.exchanges.get_mut(index) else {
            return;
        };
        let Some(due) = exchange.next_due() else {
            return;
        };
        if exchange.timer.is_none_or(|timer| due < timer) {
            exchange.timer = Some(due);
            self.timers.schedule(due, Timer::Exchange(index, exchange.serial));
        }
    }

    /// One timer serves an exchange for all its deadlines: a request that is answered at once
    /// leaves one behind, not one per deadline.
    pub(super) fn on_exchange_due(
        &mut self,
        index: u32,
        serial: u32,
        listening: &mut impl FnMut(Peer) -> Listening,
    ) {
        let now = self.now;
        let Some(exchange) = self.exchanges.get_mut(index).filter(|found| found.serial == serial)
        else {
            return;
        };
        if exchange.timer.is_some_and(|timer| timer > now) {
            return;
        }
        exchange.timer = None;
        if exchange.deadline.is_some_and(|deadline| deadline <= now) {
            let listening = listening(exchange.peer);
            return self.time_out(index, listening);
        }
        match exchange.phase {
            Phase::Unacked { at, .. } if at <= now => {
                let listening = listening(exchange.peer);
                self.retransmit(index, listening);
            }
            Phase::Unheard { until } if until <= now => {
                let listening = listening(exchange.peer);
                self.time_out(index, listening);
            }
            _ => self.arm(index),
        }
    }

    /// Sends a confirmable message again, or gives it up (RFC 7252 4.2). A peer that sleeps is
    /// spared the message, which ends at its time all the same.
    fn retransmit(&mut self, index: u32, listening: Listening) {
        let (now, max) = (self.now, self.config.params.max_retransmit);
        let Some(exchange) = self.exchanges.get_mut(index) else {
            return;
        };
        let Phase::Unacked { attempt, timeout, .. } = exchange.phase else {
            return;
        };
        if attempt >= max {
            return self.time_out(index, listening);
        }
        let timeout = timeout.saturating_mul(2);
        exchange.phase = Phase::Unacked { attempt: attempt + 1, timeout, at: now + timeout };
        if listening != Listening::Asleep && self.send_exchange(index) {
            self.stats.retransmissions += 1;
        }
        self.arm(index);
    }

    /// Ends an exchange that got no answer; what came early then was the answer. Of a peer that may
    /// have fallen asleep it says that it has: the next one waits until it wakes.
    fn time_out(&mut self, index: u32, listening: Listening) {
        if let Some(early) = self.take_early(index) {
            if let Some(event) = self.take_as_answer(index, early) {
                self.events.push_back(event);
            }
            return;
        }
        let Some(ended) = self.take_exchange(index) else {
            return;
        };
        if listening == Listening::Always {
            self.peer_woke(self.now, ended.peer);
        }
        self.stats.timeouts += 1;
        let exchange = ExchangeId { index, serial: ended.serial };
        match &ended.role {
            Role::Answer => {
                self.note_later(ended.peer, NoteKind::ResponseGivenUp, &ended.datagram);
            }
            // A non-confirmable notification is never reported.
            Role::Notify => self.events.push_back(Event::TimedOut { exchange, acked: false }),
            Role::Ask(ask) if matches!(ask.purpose, Purpose::Fetch(_)) => {
                self.give_up_fetch(&ended);
            }
            Role::Ask(_) => {
                self.settle_observation(&ended, None);
                let acked = ended.phase == Phase::Acked;
                self.events.push_back(Event::TimedOut { exchange, acked });
            }
        }
    }

    /// An empty acknowledgement (RFC 7252 4.2, 5.2.2).
    pub(super) fn on_ack<'d>(&mut self, peer: Peer, id: MessageId) -> Option<Event<'d>> {
        let Some(index) = self.find_in_flight(peer, id) else {
            self.stats.ignored += 1;
            return None;
        };
        self.peer_proven(peer);
        let exchange = self.exchanges.get_mut(index)?;
        if !matches!(exchange.phase, Phase::Unacked { .. } | Phase::Unheard { .. }) {
            self.stats.duplicates += 1;
            return None;
        }
        let exchange_id = ExchangeId { index, serial: exchange.serial };
        exchange.phase = Phase::Acked;
        match &mut exchange.role {
            Role::Answer => {
                self.end_exchange(index);
                None
            }
            Role::Notify => {
                self.end_exchange(index);
                Some(Event::Acked { exchange: exchange_id })
            }
            Role::Ask(ask) => {
                let told = core::mem::replace(&mut ask.acked_told, true)
                    || matches!(ask.purpose, Purpose::Fetch(_));
                self.after_ack(index, peer);
                match self.take_early(index) {
                    // What came before the empty acknowledgement was the separate response.
                    Some(early) => self.take_as_answer(index, early),
                    None => (!told).then_some(Event::Acked { exchange: exchange_id }),
                }
            }
        }
    }

    /// An acknowledged request is no longer outstanding: it waits until its deadline, and others
    /// may be sent.
    fn after_ack(&mut self, index: u32, peer: Peer) {
        self.arm(index);
        if let Some(place) = self.peers.find(&peer) {
            self.launch_waiting(place);
        }
    }

    /// The peer rejected a message of ours (RFC 7252 4.2, 4.3).
    pub(super) fn on_reset<'d>(&mut self, peer: Peer, id: MessageId) -> Option<Event<'d>> {
        self.stats.resets_in += 1;
        let Some(index) = self.find_in_flight(peer, id) else {
            let sender = self.peers.find_mut(&peer).and_then(|state| state.sender.as_mut());
            let exchange = sender.and_then(|sender| sender.take_unconfirmed(id))?;
            return Some(Event::Reset { exchange });
        };
        self.peer_proven(peer);
        let ended = self.end_exchange(index)?;
        let exchange = ExchangeId { index, serial: ended.serial };
        match &ended.role {
            Role::Answer => Some(super::note(peer, NoteKind::ResetReceived(id), &ended.datagram)),
            Role::Notify => Some(Event::Reset { exchange }),
            Role::Ask(ask) if matches!(ask.purpose, Purpose::Fetch(_)) => {
                self.give_up_fetch(&ended);
                None
            }
            Role::Ask(_) => {
                self.settle_observation(&ended, None);
                Some(Event::Reset { exchange })
            }
        }
    }

    /// Takes an exchange out of every table, except that its observation is up to the caller, and
    /// lets the next one to that peer have its turn.
    pub(super) fn end_exchange(&mut self, index: u32) -> Option<Exchange> {
        let ended = self.take_exchange(index)?;
        self.peer_woke(self.now, ended.peer);
        Some(ended)
    }

    /// Takes an exchange out of every table, except that its observation is up to the caller.
    fn take_exchange(&mut self, index: u32) -> Option<Exchange> {
        let ended = self.exchanges.remove(index)?;
        self.detach(index, ended.peer);
        if let Role::Ask(ask) = &ended.role {
            ask.slot.and_then(|slot| self.slots.remove(slot));
            let fetched = ask.fetching.as_ref().map_or(0, |fetching| fetching.len());
            self.fetched_bytes = self.fetched_bytes.saturating_sub(fetched);
            let observation = match &ask.purpose {
                Purpose::Fetch(fetch) => Some(fetch.observation),
                purpose => purpose.observation(),
            };
            if let Some(observation) = observation.and_then(|id| self.observation_mut(id))
                && observation.exchange() == Some(index)
            {
                observation.set_exchange(None);
            }
        }
        Some(ended)
    }

    pub(super) fn find_exchange(&self, id: ExchangeId) -> Option<&Exchange> {
        self.exchanges.get(id.index).filter(|exchange| exchange.serial == id.serial)
    }

    /// The exchange whose message has that id.
    pub(super) fn find_in_flight(&self, peer: Peer, id: MessageId) -> Option<u32> {
        let state = self.peers.find(&peer).and_then(|place| self.peers.get(place))?;
        let mut sent = state.sender.as_ref()?.in_flight.iter().copied();
        sent.find(|index| self.exchanges.get(*index).is_some_and(|found| found.id == id))
    }
}

/// Longest options of a request: with a block of 1024 bytes behind them they fit a UDP datagram.
const OPTIONS_LEN_MAX: usize = 60_000;
