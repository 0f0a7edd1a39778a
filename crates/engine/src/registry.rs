//! The registrations of a shard: OMA Core 6.2.
//!
//! A million of them are kept, most of them asleep, so a [`Registration`] is a flat record in a
//! paged slab; name, id and address lead to it by tables of `u32`. What a Register says is the job
//! of [`crate::interface::registration`], commands that wait that of [`crate::queue`].

use core::num::NonZeroU64;
use std::sync::Arc;

use ahash::RandomState;
use coap::wheel::TimerWheel;
use coap::{Duration, Instant, Listening, Peer};
use hashbrown::HashTable;
use lwm2m::EndpointName;

use crate::event::{Device, Presence, RegisteredInfo};
use crate::formats::Habits;
use crate::identity::{Identity, RegistrationId};
use crate::observations::Link;
use crate::paged::{Paged, Peak};
use crate::queue::{Queue, Reachability, Window};
use crate::waking::Watch;

/// Where a registration is kept, as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) u32);

/// How far ahead a timer is set at most. Later deadlines are looked at each time it fires: a
/// million registrations cost 280 looks a second, and timers of registrations long gone are
/// forgotten within the hour instead of after ten days.
const TIMER_AHEAD_MAX: Duration = Duration::from_secs(3600);

/// One registered device.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) endpoint: EndpointName,
    pub(crate) info: Arc<RegisteredInfo>,
    /// What was proven when it registered; `None` for NoSec.
    pub(crate) identity: Option<Box<Identity>>,
    /// Commands that wait or are in flight; `None` when there are none.
    pub(crate) queue: Option<Box<Queue>>,
    pub(crate) peer: Peer,
    /// When the lifetime has passed; the grace comes on top.
    pub(crate) deadline: Instant,
    /// When it registered.
    pub(crate) registered: Instant,
    /// When the device was heard of last.
    pub(crate) heard: Instant,
    /// Recognises the Register that made it, while nothing else has come from the device.
    pub(crate) fingerprint: Option<NonZeroU64>,
    /// The first of its observations.
    pub(crate) observations: Link,
    random: u64,
    /// What may still be sent to an address that is not proven, in bytes; kept for when the message
    /// layer has forgotten the peer.
    pub(crate) credit: u32,
    shard: u8,
    pub(crate) lifetime: LifetimePhase,
    pub(crate) window: Window,
    pub(crate) watch: Watch,
    /// What its answers have taught.
    pub(crate) habits: Habits,
    pub(crate) route: Route,
    pub(crate) stage: Stage,
    /// Whether it waits to be written to the store.
    pub(crate) recorded: Recorded,
}

/// Whether the lifetime has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LifetimePhase {
    Running,
    /// Passed; within the grace.
    Late,
}

/// Whether the device has shown that what is sent to its address reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Unproven,
    Proven,
}

/// Whether the world has heard of the registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Answered, but another shard has not handed over yet: events and commands wait.
    Held,
    Announced,
}

/// Whether the store knows the present state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    Clean,
    Dirty,
}

impl Registration {
    pub(crate) fn new(
        endpoint: EndpointName,
        id: RegistrationId,
        info: Arc<RegisteredInfo>,
        peer: Peer,
        now: Instant,
    ) -> Self {
        Self {
            endpoint,
            info,
            identity: None,
            queue: None,
            peer,
            deadline: now,
            registered: now,
            heard: now,
            fingerprint: None,
            observations: Link::NONE,
            random: id.random(),
            credit: 0,
            shard: id.shard(),
            lifetime: LifetimePhase::Running,
            window: Window::Open,
            watch: Watch::Off,
            habits: Habits::default(),
            route: Route::Unproven,
            stage: Stage::Announced,
            recorded: Recorded::Clean,
        }
    }

    pub(crate) const fn id(&self) -> RegistrationId {
        RegistrationId::new(self.shard, self.random)
    }

    /// What events say about the device.
    pub(crate) fn device(&self) -> Device {
        Device {
            endpoint: self.endpoint.clone(),
            registration: self.id(),
            peer: self.peer,
            info: Arc::clone(&self.info),
        }
    }

    /// What is proven about the device.
    pub(crate) fn identity(&self) -> &Identity {
        self.identity.as_deref().unwrap_or(&Identity::None)
    }

    /// Whether a message with this identity may speak for the device.
    pub(crate) fn is_identity(&self, identity: &Identity) -> bool {
        self.identity() == identity
    }

    /// Whether a Register with this identity may take its place: fact 10.
    pub(crate) fn yields_to(&self, identity: &Identity) -> bool {
        self.identity.is_none() || self.is_identity(identity)
    }

    /// Whether the device listens (OMA Transport 6.5).
    pub(crate) fn reachability(&self, now: Instant, window: Duration) -> Reachability {
        match (self.info.presence, self.window) {
            (Presence::Always, _) => Reachability::Always,
            (Presence::QueueMode, Window::Closed) => Reachability::Asleep,
            (Presence::QueueMode, Window::Open) => Reachability::until(self.heard + window, now),
        }
    }

    /// When the registration is to be looked at next.
    pub(crate) fn next_deadline(&self, grace: Duration) -> Instant {
        let lifetime = match self.lifetime {
            LifetimePhase::Running => self.deadline,
            LifetimePhase::Late => self.deadline + grace,
        };
        let queue = self.queue.as_ref().and_then(|queue| queue.next_deadline());
        queue.map_or(lifetime, |deadline| deadline.min(lifetime))
    }
}

/// A place in the slab. Its timer outlives the registration, so that devices which come and go do
/// not leave a timer behind each time.
#[derive(Debug, Default)]
struct Slot {
    registration: Option<Registration>,
    /// The earliest timer that is set for this place; later ones are ignored when they fire.
    timer: Option<Instant>,
}

/// All registrations of a shard.
pub(crate) struct Registry {
    slots: Paged<Slot>,
    free: Vec<Key>,
    peak: Peak,
    by_id: HashTable<Key>,
    by_endpoint: HashTable<Key>,
    /// Last known address to the registration that was heard from there last.
    by_address: HashTable<Key>,
    timers: TimerWheel<Key>,
    hasher: RandomState,
}

impl Registry {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            slots: Paged::new(),
            free: Vec::new(),
            peak: Peak::new(),
            by_id: HashTable::new(),
            by_endpoint: HashTable::new(),
            by_address: HashTable::new(),
            timers: TimerWheel::new(),
            hasher,
        }
    }

    /// How many devices are registered.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Registration> {
        self.slots.get(key.0)?.registration.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Registration> {
        self.slots.get_mut(key.0)?.registration.as_mut()
    }

    pub(crate) fn find(&self, endpoint: &str) -> Option<Key> {
        let hash = self.hasher.hash_one(endpoint);
        let is_it = |key: &Key| self.get(*key).is_some_and(|r| r.endpoint.as_str() == endpoint);
        self.by_endpoint.find(hash, is_it).copied()
    }

    pub(crate) fn find_id(&self, id: RegistrationId) -> Option<Key> {
        let is_it = |key: &Key| self.get(*key).is_some_and(|r| r.id() == id);
        self.by_id.find(id.random(), is_it).copied()
    }

    pub(crate) fn find_address(&self, peer: &Peer) -> Option<Key> {
        let hash = self.hasher.hash_one(peer);
        let is_it = |key: &Key| self.get(*key).is_some_and(|r| r.peer == *peer);
        self.by_address.find(hash, is_it).copied()
    }

    /// Whether whoever is registered at an address hears what is sent there.
    pub(crate) fn listening(&self, peer: &Peer, now: Instant, window: Duration) -> Listening {
        let registration = self.find_address(peer).and_then(|key| self.get(key));
        match registration.map(|found| found.reachability(now, window)) {
            None | Some(Reachability::Always) => Listening::Always,
            Some(Reachability::Awake { .. }) => Listening::ForNow,
            Some(Reachability::Asleep) => Listening::Asleep,
        }
    }

    /// Keeps a registration. Its name and id must not be registered.
    pub(crate) fn insert(&mut self, registration: Registration) -> Key {
        debug_assert!(self.find(registration.endpoint.as_str()).is_none());
        debug_assert!(self.find_id(registration.id()).is_none());
        let key = self.free.pop().unwrap_or_else(|| Key(self.slots.len()));
        self.slots.grow_to(key.0);
        let endpoint_hash = self.hasher.hash_one(registration.endpoint.as_str());
        let id_hash = registration.id().random();
        let peer = registration.peer;
        if let Some(slot) = self.slots.get_mut(key.0) {
            slot.registration = Some(registration);
        }
        let (slots, hasher) = (&self.slots, &self.hasher);
        let of = |key: &Key| slots.get(key.0).and_then(|slot| slot.registration.as_ref());
        self.by_endpoint.insert_unique(endpoint_hash, key, |key| {
            of(key).map_or(0, |r| hasher.hash_one(r.endpoint.as_str()))
        });
        self.by_id.insert_unique(id_hash, key, |key| of(key).map_or(0, |r| r.random));
        self.claim_address(key, &peer);
        self.peak.grown(self.by_id.len());
        key
    }

    /// Forgets a registration.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Registration> {
        let registration = self.get(key)?;
        let endpoint_hash = self.hasher.hash_one(registration.endpoint.as_str());
        let (id_hash, peer) = (registration.random, registration.peer);
        for (table, hash) in [(&mut self.by_endpoint, endpoint_hash), (&mut self.by_id, id_hash)] {
            if let Ok(entry) = table.find_entry(hash, |other| *other == key) {
                entry.remove();
            }
        }
        self.release_address(key, &peer);
        self.free.push(key);
        self.slots.get_mut(key.0)?.registration.take()
    }

    /// Gives the memory of a fleet that has left back; whether it has.
    pub(crate) fn give_back(&mut self) -> bool {
        if !self.peak.is_over(self.by_id.len()) {
            return false;
        }
        self.slots.give_back(|slot| slot.registration.is_some());
        let end = self.slots.len();
        self.free.retain(|key| key.0 < end);
        // The lowest are used first, so that the last pages become free.
        self.free.sort_unstable_by_key(|key| core::cmp::Reverse(key.0));
        self.free.shrink_to_fit();
        let (slots, hasher) = (&self.slots, &self.hasher);
        let of = |key: &Key| slots.get(key.0).and_then(|slot| slot.registration.as_ref());
        self.by_endpoint
            .shrink_to(0, |key| of(key).map_or(0, |r| hasher.hash_one(r.endpoint.as_str())));
        self.by_id.shrink_to(0, |key| of(key).map_or(0, |r| r.random));
        self.by_address.shrink_to(0, |key| of(key).map_or(0, |r| hasher.hash_one(r.peer)));
        true
    }

    /// From now on the device is at `peer`.
    pub(crate) fn move_to(&mut self, key: Key, peer: Peer) {
        let Some(old) = self.get(key).map(|registration| registration.peer) else { return };
        self.release_address(key, &old);
        if let Some(registration) = self.get_mut(key) {
            registration.peer = peer;
        }
        self.claim_address(key, &peer);
    }

    /// Makes `key` the registration that is meant by its address, as the one heard from last.
    pub(crate) fn claim_address(&mut self, key: Key, peer: &Peer) {
        let hash = self.hasher.hash_one(peer);
        let (slots, hasher) = (&self.slots, &self.hasher);
        let peer_of = |key: &Key| {
            slots.get(key.0).and_then(|slot| slot.registration.as_ref()).map(|r| r.peer)
        };
        let entry = self.by_address.entry(
            hash,
            |other| *other == key || peer_of(other).as_ref() == Some(peer),
            |other| peer_of(other).map_or(0, |peer| hasher.hash_one(peer)),
        );
        entry.insert(key);
    }

    fn release_address(&mut self, key: Key, peer: &Peer) {
        let hash = self.hasher.hash_one(peer);
        if let Ok(entry) = self.by_address.find_entry(hash, |other| *other == key) {
            entry.remove();
        }
    }

    /// Sets the timer of a registration to its next deadline, if it is not set earlier already.
    pub(crate) fn schedule(&mut self, key: Key, now: Instant, grace: Duration) {
        let Some(slot) = self.slots.get_mut(key.0) else { return };
        let Some(registration) = &slot.registration else { return };
        let deadline = registration.next_deadline(grace).min(now + TIMER_AHEAD_MAX);
        if slot.timer.is_none_or(|timer| deadline < timer) {
            slot.timer = Some(deadline);
            self.timers.schedule(deadline, key);
        }
    }

    /// The next registration whose timer fires. Nothing may be due: look, then schedule again.
    pub(crate) fn poll_timer(&mut self, now: Instant) -> Option<Key> {
        while let Some(key) = self.timers.poll_expired(now) {
            let Some(slot) = self.slots.get_mut(key.0) else { continue };
            // A timer set for later than this one fires for nothing: that one has been replaced.
            if slot.timer.is_some_and(|timer| timer <= now) {
                slot.timer = None;
                if slot.registration.is_some() {
                    return Some(key);
                }
            }
        }
        None
    }

    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// One past the last place that was ever taken.
    pub(crate) const fn end(&self) -> u32 {
        self.slots.len()
    }
}
