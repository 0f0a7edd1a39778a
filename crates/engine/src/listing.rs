//! Listings: a million registrations seen page by page.
//!
//! A page is at most [`PAGE_LEN_MAX`] rows, so that no turn of a shard takes long; a cursor goes on
//! from where the last page ended, whatever has come and gone since.

use coap::{Duration, Instant};
use lwm2m::{Format, Path};

use crate::event::Device;
use crate::queue::Reachability;
use crate::registry::Key;
use crate::server::Server;

/// Rows of one page at most. At about a microsecond each that is a quarter of a millisecond of a
/// shard's time.
pub const PAGE_LEN_MAX: usize = 256;

/// Places that a page looks at to find its rows. After many devices have gone, a page may come back
/// with few rows or none and still have a `next`.
const PAGE_LOOKS_MAX: u32 = 4096;

/// Where the next page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(u32);

impl Cursor {
    /// The cursor as a number, to be written into a URL.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The cursor of a number that [`Self::number`] gave. Any number is harmless.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// One page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Registered devices.
    pub rows: Vec<Row>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

/// One registered device as it is at this moment.
#[derive(Clone, Debug)]
pub struct Row {
    /// Where a page begins with it.
    pub place: Cursor,
    /// The moment that the row is true of.
    pub at: Instant,
    /// Name, registration, address and what the device said of itself.
    pub device: Device,
    /// What is left of the lifetime; zero within the grace.
    pub lifetime_left: Duration,
    /// How long ago it registered.
    pub registered_ago: Duration,
    /// How long ago it was heard of last.
    pub heard_ago: Duration,
    /// Whether it listens.
    pub reachability: Reachability,
    /// How many observations it has.
    pub observations: usize,
    /// How many commands wait for it.
    pub commands_waiting: usize,
    /// How many are in flight.
    pub commands_in_flight: usize,
}

/// One observation as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPath {
    /// The path; the root for a composite observation.
    pub path: Path,
    /// The format that was asked for.
    pub accept: Option<Format>,
}

impl Server {
    /// A page of registrations: the first without a cursor.
    #[must_use]
    pub fn list(&self, now: Instant, after: Option<Cursor>, max: usize) -> Page {
        let (keys, next) = self.page(after, max);
        Page { rows: keys.into_iter().filter_map(|key| self.row(key, now)).collect(), next }
    }

    /// The registrations of a page, and where the next one begins.
    pub(crate) fn page(&self, after: Option<Cursor>, max: usize) -> (Vec<Key>, Option<Cursor>) {
        let first = after.map_or(0, |cursor| cursor.0);
        let end = self.registry.end().min(first.saturating_add(PAGE_LOOKS_MAX));
        let max = max.clamp(1, PAGE_LEN_MAX);
        let mut keys = Vec::new();
        for index in first..end {
            if keys.len() == max {
                return (keys, Some(Cursor(index)));
            }
            if self.registry.get(Key(index)).is_some() {
                keys.push(Key(index));
            }
        }
        (keys, (end < self.registry.end()).then_some(Cursor(end)))
    }

    /// Ends the registrations of a page that were last heard of by a listener, as
    /// [`Server::kick`] does; returns where the next page begins.
    pub fn kick_listener(
        &mut self,
        now: Instant,
        listener: u16,
        after: Option<Cursor>,
    ) -> Option<Cursor> {
        let (keys, next) = self.page(after, PAGE_LEN_MAX);
        for key in keys {
            let found = self.registry.get(key).filter(|found| found.peer.listener() == listener);
            if let Some(endpoint) = found.map(|found| found.endpoint.clone()) {
                self.kick(now, &endpoint);
            }
        }
        next
    }

    /// The device of this name, if it is registered here.
    #[must_use]
    pub fn lookup(&self, now: Instant, endpoint: &str) -> Option<Row> {
        self.row(self.registry.find(endpoint)?, now)
    }

    /// What is observed on the device of this name, newest first; `None` if it is not registered
    /// here.
    #[must_use]
    pub fn observed(&self, endpoint: &str) -> Option<Vec<ObservedPath>> {
        let registration = self.registry.get(self.registry.find(endpoint)?)?;
        let chain = self.observations.chain(registration.observations);
        let targets = chain.map(|observation| &observation.target);
        Some(targets.map(|found| ObservedPath { path: found.path, accept: found.accept }).collect())
    }

    fn row(&self, key: Key, now: Instant) -> Option<Row> {
        let registration = self.registry.get(key)?;
        let queue = registration.queue.as_deref();
        Some(Row {
            place: Cursor(key.0),
            at: now,
            device: registration.device(),
            lifetime_left: registration.deadline - now,
            registered_ago: now - registration.registered,
            heard_ago: now - registration.heard,
            reachability: registration.reachability(now, self.settings.queue_mode_window),
            observations: self.observations.chain(registration.observations).count(),
            commands_waiting: queue.map_or(0, |queue| queue.waiting()),
            commands_in_flight: queue.map_or(0, |queue| queue.in_flight()),
        })
    }
}
