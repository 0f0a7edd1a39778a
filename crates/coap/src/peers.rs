//! What is known of each peer while there is a reason to know it: RFC 7252 4.4, 4.5, 4.7.
//!
//! A peer has state while a message of ours is on its way, while a message id given to it or seen
//! from it could still matter, or while it is unproven. A million silent devices have none.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use ahash::RandomState;
use hashbrown::HashTable;

use crate::slab::Slab;
use crate::time::{Duration, Instant};
use crate::{ExchangeId, MessageId, Peer, dedup};

/// One peer.
#[derive(Debug)]
pub(crate) struct PeerState {
    pub(crate) peer: Peer,
    /// Requests seen from it.
    pub(crate) seen: dedup::Seen,
    /// What we send to it.
    pub(crate) sender: Option<Box<Sender>>,
    /// Present while it is unproven.
    pub(crate) guard: Option<Guard>,
    /// When it is looked at again, to be forgotten if nothing is left to remember.
    due: Instant,
    /// Tells it from an earlier user of its place.
    stamp: u32,
}

impl PeerState {
    /// Whether nothing has to be remembered. Message ids are remembered by their sender.
    fn is_blank(&self) -> bool {
        self.sender.is_none() && self.guard.is_none() && self.seen.is_empty()
    }
}

/// Our side of the traffic with a peer.
#[derive(Debug)]
pub(crate) struct Sender {
    ids: MessageIds,
    /// Exchanges whose message was sent.
    pub(crate) in_flight: Vec<u32>,
    /// Exchanges that wait for their turn (NSTART) or for a free message id.
    pub(crate) waiting: VecDeque<u32>,
    /// Message ids of the last separate responses that we acknowledged.
    answered: Ring<MessageId>,
    /// The last non-confirmable messages we sent and what they belonged to.
    unconfirmed: Ring<(MessageId, ExchangeId)>,
}

impl Sender {
    pub(crate) fn new(first_id: u16) -> Self {
        Self {
            ids: MessageIds::new(first_id),
            in_flight: Vec::new(),
            waiting: VecDeque::new(),
            answered: Ring::default(),
            unconfirmed: Ring::default(),
        }
    }

    /// One for another address of the same peer, which goes on with the message ids.
    pub(crate) fn successor(&self) -> Self {
        Self { ids: self.ids, ..Self::new(0) }
    }

    /// A message id that this peer has not seen for `lifetime`.
    ///
    /// # Errors
    /// When there will be one.
    pub(crate) fn next_id(&mut self, now: Instant, life: Duration) -> Result<MessageId, Instant> {
        self.ids.next(now, life)
    }

    /// Whether nothing is on its way and every message id has been forgotten by the peer.
    pub(crate) fn is_quiet(&self, now: Instant, lifetime: Duration) -> bool {
        self.is_silent() && self.ids.last() + lifetime <= now
    }

    /// Whether nothing is on its way.
    fn is_silent(&self) -> bool {
        self.in_flight.is_empty() && self.waiting.is_empty()
    }

    /// Remembers a separate response that was acknowledged.
    pub(crate) fn remember_answered(&mut self, id: MessageId) {
        self.answered.push(id);
    }

    pub(crate) fn has_answered(&self, id: MessageId) -> bool {
        self.answered.iter().any(|known| *known == id)
    }

    /// Remembers a non-confirmable message, so that its Reset is understood.
    pub(crate) fn remember_unconfirmed(&mut self, id: MessageId, exchange: ExchangeId) {
        self.unconfirmed.push((id, exchange));
    }

    /// What a non-confirmable message belonged to; asked once.
    pub(crate) fn take_unconfirmed(&mut self, id: MessageId) -> Option<ExchangeId> {
        self.unconfirmed.take(|(known, _)| *known == id).map(|(_, exchange)| exchange)
    }
}

/// The last few of something.
#[derive(Debug)]
struct Ring<T> {
    places: [Option<T>; RING],
    next: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { places: [const { None }; RING], next: 0 }
    }
}

impl<T> Ring<T> {
    fn push(&mut self, value: T) {
        if let Some(place) = self.places.get_mut(self.next % RING) {
            *place = Some(value);
        }
        self.next = (self.next + 1) % RING;
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }

    fn take(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Option<T> {
        self.places.iter_mut().find(|place| place.as_ref().is_some_and(&mut wanted))?.take()
    }
}

/// Message ids given to one peer (RFC 7252 4.4): counted up from a random start, none twice within
/// EXCHANGE_LIFETIME.
///
/// The circle of 65 536 ids is cut into four quarters. Leaving a quarter notes the time, and
/// entering it again has to wait until everything sent from it has been forgotten.
#[derive(Clone, Copy, Debug)]
struct MessageIds {
    start: u16,
    /// Ids given so far; only its low bits and whether the circle was closed matter.
    given: u64,
    left: [Instant; QUARTERS],
}

impl MessageIds {
    const fn new(start: u16) -> Self {
        Self { start, given: 0, left: [Instant::ZERO; QUARTERS] }
    }

    fn next(&mut self, now: Instant, lifetime: Duration) -> Result<MessageId, Instant> {
        let quarter = (self.given / QUARTER) as usize % QUARTERS;
        if self.given.is_multiple_of(QUARTER) {
            let free = self.left.get(quarter).map_or(now, |left| *left + lifetime);
            if self.given >= QUARTER * QUARTERS as u64 && free > now {
                return Err(free);
            }
        }
        if let Some(left) = self.left.get_mut(quarter) {
            *left = now;
        }
        let id = self.start.wrapping_add(self.given as u16);
        self.given += 1;
        Ok(MessageId::new(id))
    }

    /// When the last one was given.
    fn last(&self) -> Instant {
        self.left.iter().copied().max().unwrap_or_default()
    }
}

/// What an unproven peer may still be sent: three times what it sent (RFC 9000 8.1 has the same
/// rule for the same reason).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guard {
    pub(crate) credit: u32,
}

impl Guard {
    pub(crate) fn receive(&mut self, len: usize) {
        let gained = u32::try_from(len).unwrap_or(u32::MAX).saturating_mul(AMPLIFICATION);
        self.credit = self.credit.saturating_add(gained);
    }

    /// Whether `len` bytes may be sent; counts them if so.
    pub(crate) fn allow(&mut self, len: usize) -> bool {
        let left = u32::try_from(len).ok().and_then(|len| self.credit.checked_sub(len));
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }
}

/// The peers that have state.
#[derive(Debug)]
pub(crate) struct Peers {
    states: Slab<PeerState>,
    index: HashTable<u32>,
    hasher: RandomState,
    guards: usize,
    /// Every peer by place and stamp in the order of `due`, and some that are gone already.
    order: VecDeque<(u32, u32)>,
    next_stamp: u32,
    /// Above this many, message ids given to a peer are forgotten before their time.
    remembered_max: usize,
}

impl Peers {
    pub(crate) fn new(remembered_max: usize, hasher: RandomState) -> Self {
        Self {
            states: Slab::new(),
            index: HashTable::new(),
            hasher,
            guards: 0,
            order: VecDeque::new(),
            next_stamp: 0,
            remembered_max,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether any peer is unproven.
    pub(crate) const fn any_guard(&self) -> bool {
        self.guards != 0
    }

    pub(crate) fn find(&self, peer: &Peer) -> Option<u32> {
        let hash = self.hasher.hash_one(peer);
        let same = |index: &u32| self.states.get(*index).is_some_and(|state| state.peer == *peer);
        self.index.find(hash, same).copied()
    }

    pub(crate) fn get(&self, index: u32) -> Option<&PeerState> {
        self.states.get(index)
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut PeerState> {
        self.states.get_mut(index)
    }

    pub(crate) fn find_mut(&mut self, peer: &Peer) -> Option<&mut PeerState> {
        let index = self.find(peer)?;
        self.states.get_mut(index)
    }

    /// The place of a peer, which gets one if it has none; `None` if there are 2^24.
    pub(crate) fn find_or_add(&mut self, peer: Peer, due: Instant) -> Option<u32> {
        if let Some(index) = self.find(&peer) {
            return Some(index);
        }
        if self.states.len() >= self.remembered_max {
            self.forget_oldest(due);
        }
        let stamp = self.next_stamp;
        self.next_stamp = stamp.wrapping_add(1);
        let seen = dedup::Seen::default();
        let state = PeerState { peer, seen, sender: None, guard: None, due, stamp };
        let index = self.states.insert(state).ok()?;
        let (states, hasher) = (&self.states, &self.hasher);
        self.index
            .insert_unique(hasher.hash_one(peer), index, |index| rehash(states, hasher, *index));
        self.order.push_back((index, stamp));
        self.tidy();
        Some(index)
    }

    /// When the next peer is to be looked at.
    pub(crate) fn next_due(&mut self) -> Option<Instant> {
        while let Some(&(index, stamp)) = self.order.front() {
            match self.states.get(index) {
                Some(state) if state.stamp == stamp => return Some(state.due),
                _ => self.order.pop_front(),
            };
        }
        None
    }

    /// The next peer that is due by `now`. It is looked at again by `next`, unless it is removed.
    pub(crate) fn pop_due(&mut self, now: Instant, next: Instant) -> Option<u32> {
        self.next_due().filter(|due| *due <= now)?;
        let (index, stamp) = self.order.pop_front()?;
        self.states.get_mut(index)?.due = next;
        self.order.push_back((index, stamp));
        Some(index)
    }

    /// Removes a peer of which nothing has to be remembered.
    pub(crate) fn remove_if_blank(&mut self, index: u32) {
        if self.states.get(index).is_some_and(PeerState::is_blank) {
            self.remove(index);
        }
    }

    /// Forgets the message ids given to the oldest peers with whom nothing is under way, so that
    /// answers to made-up addresses cost no memory. Should such a peer be sent something within
    /// EXCHANGE_LIFETIME, its ids begin anew at random, and one in thousands might come back.
    fn forget_oldest(&mut self, next: Instant) {
        for _ in 0..OLDEST_LOOKED_AT {
            let Some(index) = self.pop_due(next, next) else {
                return;
            };
            let Some(state) = self.states.get_mut(index) else {
                return;
            };
            let silent = state.sender.as_ref().is_none_or(|sender| sender.is_silent());
            if silent && state.guard.is_none() {
                state.sender = None;
            }
            self.remove_if_blank(index);
            if self.states.len() < self.remembered_max {
                return;
            }
        }
    }

    /// Drops what is gone from the order, before it is more than what is there.
    fn tidy(&mut self) {
        if self.order.len() > 2 * self.states.len() + LITTER_MAX {
            let states = &self.states;
            let alive = |index, stamp| states.get(index).is_some_and(|state| state.stamp == stamp);
            self.order.retain(|&(index, stamp)| alive(index, stamp));
            self.order.shrink_to(2 * self.states.len());
        }
    }

    /// Makes a peer unproven; false if it was already.
    pub(crate) fn put_guard(&mut self, index: u32, guard: Guard) -> bool {
        let Some(state) = self.states.get_mut(index).filter(|state| state.guard.is_none()) else {
            return false;
        };
        state.guard = Some(guard);
        self.guards += 1;
        true
    }

    /// Makes a peer proven; false if it was already.
    pub(crate) fn lift_guard(&mut self, index: u32) -> bool {
        let lifted = self.states.get_mut(index).and_then(|state| state.guard.take()).is_some();
        self.guards -= usize::from(lifted);
        lifted
    }

    fn remove(&mut self, index: u32) -> Option<PeerState> {
        self.lift_guard(index);
        let hash = self.hasher.hash_one(self.states.get(index)?.peer);
        if let Ok(entry) = self.index.find_entry(hash, |found| *found == index) {
            entry.remove();
        }
        let state = self.states.remove(index);
        if self.index.capacity() > KEPT_PLACES && self.index.len() < self.index.capacity() / 4 {
            let (states, hasher) = (&self.states, &self.hasher);
            self.index.shrink_to(self.states.len(), |index| rehash(states, hasher, *index));
            self.order.shrink_to(2 * self.states.len());
        }
        if self.states.len() == 0 {
            self.order = VecDeque::new();
        }
        state
    }
}

fn rehash(states: &Slab<PeerState>, hasher: &RandomState, index: u32) -> u64 {
    states.get(index).map_or(0, |state| hasher.hash_one(state.peer))
}

/// Four quarters of 16 384 message ids.
const QUARTER: u64 = 1 << 14;
const QUARTERS: usize = 4;

/// Separate responses and non-confirmable messages remembered per peer: with one request on its way
/// at a time, a network that repeats datagrams repeats the last few.
const RING: usize = 4;

/// An unproven peer is sent at most this many times what it sent.
const AMPLIFICATION: u32 = 3;

/// Peers that are looked at to make room for one: a bounded step, and enough to keep up, since most
/// of those that can be forgotten are.
const OLDEST_LOOKED_AT: usize = 4;

/// Peers that are gone may take this many places of 8 bytes in the order.
const LITTER_MAX: usize = 4096;

/// Places of the index that are kept when it is nearly empty: 8 KiB at most.
const KEPT_PLACES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(247);

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    fn peer(port: u16) -> Peer {
        Peer::new(0, [127, 0, 0, 1].into(), ([127, 0, 0, 2], port).into())
    }

    #[test]
    fn no_message_id_is_given_twice_within_its_lifetime() {
        let mut ids = MessageIds::new(65_000);
        let mut last_use = vec![None; 65_536];
        let mut now = Instant::ZERO;
        for _ in 0..300_000 {
            let id = loop {
                match ids.next(now, LIFE) {
                    Ok(id) => break id,
                    Err(until) => {
                        assert!(until > now);
                        now = until;
                    }
                }
            };
            let previous = last_use[usize::from(id.value())].replace(now);
            assert!(previous.is_none_or(|previous: Instant| now - previous >= LIFE));
            now += Duration::from_millis(1);
        }
        assert!(
            now - Instant::ZERO < Duration::from_secs(5 * 250),
            "it waits no longer than needed"
        );
    }

    #[test]
    fn a_slow_sender_never_waits_for_a_message_id() {
        let mut ids = MessageIds::new(7);
        for second in 0..200_000 {
            assert!(ids.next(at(second), LIFE).is_ok());
        }
    }

    #[test]
    fn the_guard_allows_three_times_what_came() {
        let mut guard = Guard::default();
        assert!(!guard.allow(1));
        guard.receive(10);
        assert!(guard.allow(30) && !guard.allow(1));
        guard.receive(1);
        assert!(!guard.allow(4) && guard.allow(3));
    }

    /// The figures that `EndpointConfig::dedup_max` counts with.
    #[test]
    fn what_a_peer_costs() {
        assert!(size_of::<Option<PeerState>>() <= 120, "{}", size_of::<Option<PeerState>>());
        assert!(size_of::<Sender>() <= 320, "{}", size_of::<Sender>());
        assert!(size_of::<dedup::Entry>() <= 40, "{}", size_of::<dedup::Entry>());
        assert!(size_of::<crate::ReplyTo>() <= 96, "{}", size_of::<crate::ReplyTo>());
    }

    #[test]
    fn peers_are_found_again_and_the_table_shrinks() {
        let mut peers = Peers::new(100_000, RandomState::with_seeds(1, 2, 3, 4));
        for port in 1..=60_000 {
            assert_eq!(peers.find_or_add(peer(port), at(1)), Some(u32::from(port) - 1));
        }
        let index = peers.find(&peer(77)).unwrap();
        assert_eq!(peers.find_or_add(peer(77), at(9)), Some(index));
        assert!(peers.put_guard(index, Guard::default()) && peers.any_guard());
        assert_eq!(peers.pop_due(at(0), at(9)), None);
        for port in 1..=60_000 {
            let index = peers.pop_due(at(1), at(9)).unwrap();
            assert_eq!(peers.get(index).map(|state| state.peer), Some(peer(port)));
            peers.lift_guard(index);
            peers.remove_if_blank(index);
        }
        assert!(peers.len() == 0 && !peers.any_guard() && peers.next_due().is_none());
        assert!(peers.index.capacity() <= 2 * KEPT_PLACES && peers.order.capacity() == 0);
    }
}
