//! Retained commands: kept for devices that register later (contract, sections 3.1 and 8).
//!
//! The broker keeps them, too, but hands them out to whoever subscribes, and the gateway subscribes
//! once for all devices. So this cache hands a device its commands when it registers, and in
//! profile emqx5 with every Update. Bounded in entries and bytes.
//!
//! After a (new) subscription the broker repeats what it keeps. A repetition is told by its content
//! and not carried out again. What the broker did not repeat is gone there, and goes here.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use engine::{Instant, RegistrationId};
use lwm2m::EndpointName;
use parking_lot::Mutex;

use crate::mqtt::{Filter, FilterSet, Incoming};

/// The bounds of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedLimits {
    /// Commands kept; none turns the cache off.
    pub entries: usize,
    /// Bytes of topics, payloads and properties, with [`ENTRY_OVERHEAD`] each.
    pub bytes: usize,
}

/// What a kept command costs besides its bytes: the message, two index entries, the name.
pub const ENTRY_OVERHEAD: usize = 400;

/// The retained commands of all devices.
#[derive(Debug)]
pub struct RetainedCommands {
    kept: Mutex<Kept>,
    limits: RetainedLimits,
    /// Mirrors the number of entries, so that a registration need not lock for nothing.
    entries: AtomicUsize,
    bytes: AtomicUsize,
    counters: RetainedCounters,
}

/// What happened to retained commands, each only ever growing.
#[derive(Debug, Default)]
pub struct RetainedCounters {
    /// Taken into the cache.
    pub kept: AtomicU64,
    /// Repeated by the broker after a subscription; not carried out again.
    pub repeated: AtomicU64,
    /// Given to a device that registered or updated.
    pub handed_out: AtomicU64,
    /// Of these, those for whose outcome there was no room: they come again with the next Register.
    pub delayed: AtomicU64,
    /// Removed by an empty message, or gone at the broker.
    pub removed: AtomicU64,
    /// Beyond their Message Expiry.
    pub expired: AtomicU64,
    /// Not kept because the cache was full.
    pub full: AtomicU64,
}

/// What a retained message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A new one, which is kept.
    New,
    /// What is kept already, repeated by the broker.
    Repeated,
    /// A new one that cannot be kept.
    Full,
}

/// A message for the cache and what was found out about it.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The message.
    pub incoming: &'a Incoming,
    /// The devices it may be for, by its topic.
    pub names: Vec<EndpointName>,
    /// Whether it is a command; what is none is remembered to know its repetition.
    pub usable: bool,
}

#[derive(Debug, Default)]
struct Kept {
    by_topic: HashMap<Arc<str>, Entry>,
    by_name: HashMap<EndpointName, Vec<Arc<str>>>,
    bytes: usize,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    message: Incoming,
    names: Vec<EndpointName>,
    usable: bool,
    expires: Option<Instant>,
    /// The place in the order of arrival.
    order: u64,
    /// A subscription is on its way whose broker will repeat it, if it still has it.
    awaited: bool,
    /// The registration that was given it when it was published.
    given_to: Option<RegistrationId>,
}

/// Why a device is given its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// It registered.
    Register(RegistrationId),
    /// It sent an Update.
    Update,
}

impl RetainedCommands {
    /// An empty cache.
    pub fn new(limits: RetainedLimits) -> Self {
        Self {
            kept: Mutex::default(),
            limits,
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            counters: RetainedCounters::default(),
        }
    }

    /// Takes a message that the broker marked as retained. `home` says where a device is registered
    /// now: if one is, it is given the command by the caller.
    pub fn take(
        &self,
        candidate: Candidate<'_>,
        now: Instant,
        home: impl Fn(&EndpointName) -> Option<RegistrationId>,
    ) -> Taken {
        let mut kept = self.kept.lock();
        let incoming = candidate.incoming;
        if let Some(entry) = kept.by_topic.get_mut(incoming.topic.as_str())
            && entry.awaited
            && entry.is_same(incoming)
        {
            entry.awaited = false;
            count(&self.counters.repeated);
            return Taken::Repeated;
        }
        kept.remove(&incoming.topic);
        let size = size(incoming);
        if !kept.fits(size, self.limits) {
            let expired = kept.remove_expired(now);
            self.counters.expired.fetch_add(expired as u64, Ordering::Relaxed);
        }
        let taken = if kept.fits(size, self.limits) {
            let given_to = candidate.names.iter().find_map(home);
            kept.insert(candidate, now, given_to);
            count(&self.counters.kept);
            Taken::New
        } else {
            count(&self.counters.full);
            Taken::Full
        };
        self.mirror(&kept);
        taken
    }

    /// The broker keeps nothing on this topic any more.
    pub fn remove(&self, topic: &str) {
        let mut kept = self.kept.lock();
        if kept.remove(topic) {
            count(&self.counters.removed);
            self.mirror(&kept);
        }
    }

    /// What a device is given now, in the order in which it was published.
    pub fn hand_out(&self, name: &EndpointName, occasion: Occasion, now: Instant) -> Vec<Incoming> {
        // Nearly always: without a lock.
        if self.entries.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let mut kept = self.kept.lock();
        let Some(topics) = kept.by_name.get(name).cloned() else { return Vec::new() };
        let mut due: Vec<(u64, Incoming)> = Vec::new();
        for topic in topics {
            let Some(entry) = kept.by_topic.get(&topic) else { continue };
            if entry.expires.is_some_and(|expires| expires <= now) {
                kept.remove(&topic);
                count(&self.counters.expired);
            } else if entry.usable && !occasion.was_given(entry) {
                due.push((entry.order, entry.message_at(now)));
            }
        }
        self.mirror(&kept);
        self.counters.handed_out.fetch_add(due.len() as u64, Ordering::Relaxed);
        due.sort_unstable_by_key(|(order, _)| *order);
        due.into_iter().map(|(_, message)| message).collect()
    }

    /// What is kept on the topics of a filter, in the order in which it was published.
    pub fn matching(&self, filter: &Filter, now: Instant) -> Vec<Incoming> {
        let kept = self.kept.lock();
        let fits = |entry: &&Entry| {
            entry.expires.is_none_or(|expires| expires > now)
                && filter.matches(&entry.message.topic)
        };
        let mut found: Vec<&Entry> = kept.by_topic.values().filter(fits).collect();
        found.sort_unstable_by_key(|entry| entry.order);
        found.into_iter().map(|entry| entry.message_at(now)).collect()
    }

    /// There was no room for what was handed out.
    pub fn delay(&self) {
        count(&self.counters.delayed);
    }

    /// The broker is about to repeat what it keeps for these filters.
    pub fn await_again(&self, filters: &[Filter]) {
        let filters: FilterSet = filters.iter().cloned().collect();
        for (topic, entry) in &mut self.kept.lock().by_topic {
            entry.awaited |= filters.matches(topic);
        }
    }

    /// The broker has repeated everything: what it did not repeat is gone.
    pub fn end_of_repetition(&self) {
        let mut kept = self.kept.lock();
        let gone = kept.remove_if(|_, entry| entry.awaited);
        self.counters.removed.fetch_add(gone as u64, Ordering::Relaxed);
        self.mirror(&kept);
    }

    /// Forgets what no filter matches any more: changes of it would not be heard of.
    pub fn keep_matching(&self, filters: &[Filter]) {
        if self.entries.load(Ordering::Relaxed) == 0 {
            return;
        }
        let filters: FilterSet = filters.iter().cloned().collect();
        let mut kept = self.kept.lock();
        kept.remove_if(|topic, _| !filters.matches(topic));
        self.mirror(&kept);
    }

    /// Commands and bytes that are kept.
    pub fn level(&self) -> (usize, usize) {
        (self.entries.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// The counters.
    pub const fn counters(&self) -> &RetainedCounters {
        &self.counters
    }

    fn mirror(&self, kept: &Kept) {
        self.entries.store(kept.by_topic.len(), Ordering::Relaxed);
        self.bytes.store(kept.bytes, Ordering::Relaxed);
    }
}

impl Occasion {
    fn was_given(self, entry: &Entry) -> bool {
        matches!(self, Self::Register(registration) if entry.given_to == Some(registration))
    }
}

impl Kept {
    fn fits(&self, size: usize, limits: RetainedLimits) -> bool {
        self.by_topic.len() < limits.entries && self.bytes.saturating_add(size) <= limits.bytes
    }

    fn insert(&mut self, candidate: Candidate<'_>, now: Instant, given_to: Option<RegistrationId>) {
        let Candidate { incoming, names, usable } = candidate;
        let topic: Arc<str> = incoming.topic.as_str().into();
        for name in &names {
            self.by_name.entry(name.clone()).or_default().push(Arc::clone(&topic));
        }
        // The payload is a slice of the connection's read buffer: kept as it is, a command of a
        // hundred bytes would hold 64 KiB.
        let payload = bytes::Bytes::copy_from_slice(&incoming.payload);
        let correlation = incoming.correlation.as_deref().map(bytes::Bytes::copy_from_slice);
        let message = Incoming { payload, correlation, ..incoming.clone() };
        let expires = incoming.expiry.map(|expiry| now + expiry);
        let order = self.next;
        self.next += 1;
        self.bytes += size(incoming);
        let entry = Entry { message, names, usable, expires, order, awaited: false, given_to };
        self.by_topic.insert(topic, entry);
    }

    fn remove(&mut self, topic: &str) -> bool {
        let Some(entry) = self.by_topic.remove(topic) else { return false };
        self.bytes -= size(&entry.message);
        for name in &entry.names {
            let Some(topics) = self.by_name.get_mut(name) else { continue };
            topics.retain(|other| **other != *topic);
            if topics.is_empty() {
                self.by_name.remove(name);
            }
        }
        true
    }

    fn remove_if(&mut self, is_so: impl Fn(&str, &Entry) -> bool) -> usize {
        let found = self.by_topic.iter().filter(|(topic, entry)| is_so(topic, entry));
        let topics: Vec<Arc<str>> = found.map(|(topic, _)| Arc::clone(topic)).collect();
        topics.iter().filter(|topic| self.remove(topic)).count()
    }

    fn remove_expired(&mut self, now: Instant) -> usize {
        self.remove_if(|_, entry| entry.expires.is_some_and(|expires| expires <= now))
    }
}

impl Entry {
    fn is_same(&self, incoming: &Incoming) -> bool {
        self.message.payload == incoming.payload
            && self.message.response_topic == incoming.response_topic
            && self.message.correlation == incoming.correlation
    }

    /// The message with what is left of its expiry.
    fn message_at(&self, now: Instant) -> Incoming {
        let expiry = self.expires.map(|expires| expires.saturating_since(now));
        Incoming { expiry, ..self.message.clone() }
    }
}

fn size(incoming: &Incoming) -> usize {
    let properties = incoming.response_topic.as_ref().map_or(0, String::len)
        + incoming.correlation.as_ref().map_or(0, bytes::Bytes::len);
    ENTRY_OVERHEAD + 2 * incoming.topic.len() + incoming.payload.len() + properties
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
