//! The endpoint: the only public state machine. Datagrams and calls in, datagrams and events out.
//!
//! This file holds the state, the calls and the sorting of datagrams (RFC 7252 4.2, 4.3). Its
//! parts: `asked` requests of peers, `replying` our answers to them, `exchanges` our messages and
//! their repetition, `moving` their change of address, `answered` the answers to our requests,
//! `observing` notifications, `fetching` the rest of large ones, `sleeping` peers that do not
//! listen, `sending` the way out and what an unproven peer may be sent.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use ahash::RandomState;
use rand_chacha::ChaCha12Rng;
use rand_core::{RngCore, SeedableRng};

use crate::block::BlockSize;
use crate::exchange::Exchange;
use crate::intern::Interned;
use crate::message::peek;
use crate::observe::Observation;
use crate::outbox::Outbox;
use crate::peers::{Peers, Sender};
use crate::receive::{Assemblies, Limits};
use crate::serve::Served;
use crate::slab::Slab;
use crate::time::Instant;
use crate::wheel::TimerWheel;
use crate::{
    Code, EndpointConfig, EndpointStats, EndpointUsage, Event, Evidence, Message, MessageId, Note,
    NoteKind, ParseError, Peer, Type, dedup,
};

mod answered;
mod asked;
mod exchanges;
mod fetching;
mod moving;
mod observing;
mod replying;
mod sending;
mod sleeping;

pub use sending::Credit;
pub use sleeping::Listening;

/// Both roles of CoAP for any number of peers, without sockets and without a clock.
///
/// Everything enters by `handle_*` and the calls, everything leaves by `poll_*`. After each input
/// the owner drains [`Self::poll_transmit`] first, [`Self::poll_event`] next, and then waits until
/// [`Self::poll_timeout`]. Calls without a time argument happen at the latest time that was handed
/// in.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    size_max: BlockSize,
    shard: u8,
    stats: EndpointStats,
    /// The latest time that was handed in.
    now: Instant,
    chance: ChaCha12Rng,
    /// Hashes what a request asks for; its seeds are secret, so that nobody can make two meet.
    hasher: RandomState,
    peers: Peers,
    /// Bounds of what [`Peers`] remembers of requests.
    ledger: dedup::Ledger,
    /// What our tokens stand for.
    slots: Slab<Slot>,
    exchanges: Slab<Exchange>,
    next_serial: u32,
    /// What is observed; equal requests share one.
    asked: Interned,
    assemblies: Assemblies,
    served: Served,
    /// Bytes of answers that are half received.
    fetched_bytes: usize,
    timers: TimerWheel<Timer>,
    sweeps: Sweeps,
    outbox: Outbox,
    events: VecDeque<Event<'static>>,
    /// Who sent the datagram that was handled last, and what it buys.
    heard: Option<(Peer, Credit)>,
}

/// What a token stands for.
#[derive(Debug)]
enum Slot {
    Exchange { random: u32, exchange: u32 },
    Observation(Observation),
}

/// Something that is due. Keys may be out of date: whoever is meant checks.
#[derive(Clone, Copy, Debug)]
enum Timer {
    /// An exchange, by place and serial.
    Exchange(u32, u32),
    /// A request that was not answered yet, by peer and deduplication entry.
    Acknowledge(u32, u32),
    /// A peer that waits for a message id.
    Turn(u32),
    /// Peers to be forgotten.
    Peers,
    /// Half-received bodies and kept answers.
    Bodies,
}

/// Which of the recurring timers are set.
#[derive(Debug, Default)]
struct Sweeps {
    peers: bool,
    bodies: bool,
}

impl Endpoint {
    /// An endpoint whose tokens begin with `shard` and whose chance comes from `seed`.
    pub fn new(config: EndpointConfig, shard: u8, seed: [u8; 32]) -> Self {
        let mut chance = ChaCha12Rng::from_seed(seed);
        let mut word = || chance.next_u64();
        let hasher = RandomState::with_seeds(word(), word(), word(), word());
        let limits = Limits {
            body_max: config.body_max,
            per_peer_max: config.transfers_per_peer_max,
            bytes_max: config.transfers_bytes_max,
            timeout: config.transfer_timeout,
        };
        Self {
            size_max: BlockSize::at_most(config.block_size_max),
            shard,
            stats: EndpointStats::default(),
            now: Instant::ZERO,
            chance,
            peers: Peers::new(config.dedup_max, hasher.clone()),
            ledger: dedup::Ledger::new(
                config.dedup_per_peer_max,
                config.dedup_max,
                config.dedup_bytes_max,
            ),
            slots: Slab::new(),
            exchanges: Slab::new(),
            next_serial: 0,
            asked: Interned::new(hasher.clone()),
            assemblies: Assemblies::new(limits, hasher.clone()),
            served: Served::new(config.served_bytes_max, config.served_timeout, hasher.clone()),
            hasher,
            fetched_bytes: 0,
            timers: TimerWheel::new(),
            sweeps: Sweeps::default(),
            outbox: Outbox::default(),
            events: VecDeque::new(),
            heard: None,
            config,
        }
    }

    /// One datagram in; at most one event out, borrowing from the datagram only. More events may
    /// wait in [`Self::poll_event`].
    pub fn handle_datagram<'d>(
        &mut self,
        now: Instant,
        peer: Peer,
        datagram: &'d [u8],
    ) -> Option<Event<'d>> {
        self.advance(now);
        self.stats.datagrams_in += 1;
        let is_counted = self.credit(peer, datagram.len());
        self.heard = Some((peer, Credit::of(datagram.len(), is_counted)));
        match Message::parse(datagram) {
            Ok(message) => self.on_message(peer, message, datagram),
            Err(error) => self.on_format_error(peer, error, datagram),
        }
    }

    /// Does what is due at `now`; what comes of it is polled.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout_among(now, |_| Listening::Always);
    }

    /// The next event that no datagram carried.
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        let event = self.events.pop_front();
        if self.events.is_empty() && self.events.capacity() > KEPT_EVENTS {
            self.events = VecDeque::new();
        }
        event
    }

    /// When [`Self::handle_timeout`] is wanted next; perhaps a little before something is due.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// Appends the next datagram to `out` and says to whom it goes; `None` when nothing is to be
    /// sent.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<Peer> {
        let peer = self.outbox.pop(out)?;
        self.stats.datagrams_out += 1;
        Some(peer)
    }

    /// Counters.
    pub fn stats(&self) -> &EndpointStats {
        &self.stats
    }

    /// What is held at the moment.
    pub fn usage(&self) -> EndpointUsage {
        EndpointUsage {
            peers: self.peers.len(),
            remembered_requests: self.ledger.len(),
            exchanges: self.exchanges.len(),
            tokens: self.slots.len(),
            transfer_bytes: self.assemblies.bytes() + self.fetched_bytes,
            served_bytes: self.served.bytes(),
            timers: self.timers.len(),
        }
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn on_message<'d>(
        &mut self,
        peer: Peer,
        message: Message<'d>,
        datagram: &'d [u8],
    ) -> Option<Event<'d>> {
        match message.kind {
            Type::Confirmable | Type::NonConfirmable if message.code.is_request() => {
                self.on_request(peer, message, datagram)
            }
            Type::Confirmable | Type::NonConfirmable | Type::Acknowledgement
                if message.code.is_response() =>
            {
                self.on_response(peer, message, datagram)
            }
            Type::Confirmable if message.code == Code::EMPTY => {
                self.reset(peer, message.id);
                None
            }
            Type::Acknowledgement if message.code == Code::EMPTY => self.on_ack(peer, message.id),
            Type::Reset if message.code == Code::EMPTY => self.on_reset(peer, message.id),
            kind => self.on_nonsense(peer, (kind, message.id), datagram),
        }
    }

    /// A reserved code class, or a code that does not go with its type (RFC 7252 4.2, 4.3).
    fn on_nonsense<'d>(
        &mut self,
        peer: Peer,
        (kind, id): (Type, MessageId),
        datagram: &'d [u8],
    ) -> Option<Event<'d>> {
        self.stats.ignored += 1;
        if kind == Type::Confirmable {
            self.reset(peer, id);
        }
        Some(note(peer, NoteKind::Nonsense, datagram))
    }

    fn on_format_error<'d>(
        &mut self,
        peer: Peer,
        error: ParseError,
        datagram: &'d [u8],
    ) -> Option<Event<'d>> {
        self.stats.format_errors += 1;
        if let Some((Type::Confirmable, id)) = peek(datagram) {
            self.reset(peer, id);
        }
        Some(note(peer, NoteKind::FormatError(error), datagram))
    }

    /// Drops half-received bodies and kept answers that nobody asked for any more.
    fn sweep_bodies(&mut self) {
        let dropped = self.assemblies.sweep(self.now);
        self.stats.transfers_given_up += dropped as u64;
        self.served.sweep(self.now);
        self.sweeps.bodies = false;
        self.watch_bodies();
    }

    /// Sets the timer of [`Self::sweep_bodies`] while there is something to be swept.
    fn watch_bodies(&mut self) {
        let idle = self.assemblies.is_empty() && self.served.is_empty();
        if !self.sweeps.bodies && !idle {
            let span = self.config.transfer_timeout.min(self.config.served_timeout);
            self.timers.schedule(self.now + span / SWEEPS_PER_TIMEOUT + TICK, Timer::Bodies);
            self.sweeps.bodies = true;
        }
    }

    /// Sets the timer of [`Self::forget_peers`] while there are peers.
    fn watch_peers(&mut self) {
        if !self.sweeps.peers
            && let Some(due) = self.peers.next_due()
        {
            self.timers.schedule(due.max(self.now + TICK), Timer::Peers);
            self.sweeps.peers = true;
        }
    }

    /// Looks at each peer once in an EXCHANGE_LIFETIME and forgets those of which nothing matters.
    fn forget_peers(&mut self) {
        let lifetime = self.config.params.exchange_lifetime();
        while let Some(index) = self.peers.pop_due(self.now, self.now + lifetime.max(TICK)) {
            let Some(state) = self.peers.get_mut(index) else {
                continue;
            };
            self.ledger.purge(&mut state.seen, self.now);
            let quiet = |sender: &Sender| sender.is_quiet(self.now, lifetime);
            if state.sender.as_deref().is_none_or(quiet) {
                state.sender = None;
                // Its credit is asked for anew with the next request to it.
                self.peers.lift_guard(index);
            }
            self.peers.remove_if_blank(index);
        }
        self.tidy_ledger();
        self.ledger.rest();
        self.sweeps.peers = false;
        self.watch_peers();
    }
}

/// Whatever became of a datagram as an event.
fn note<'e>(peer: Peer, kind: NoteKind, datagram: &[u8]) -> Event<'e> {
    Event::Noted(Note { peer, kind, evidence: Evidence::of(datagram) })
}

/// Bodies are looked at this often within their timeout, so they live at most a quarter longer.
const SWEEPS_PER_TIMEOUT: u32 = 4;

/// The least that a recurring timer waits, so that odd settings cannot make it spin.
const TICK: crate::Duration = crate::Duration::from_millis(10);

/// Events that an idle endpoint keeps room for.
const KEPT_EVENTS: usize = 256;

#[cfg(test)]
mod tests;
