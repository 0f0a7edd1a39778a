//! What a listener lets in, shared by the shards: limits and counts of registrations.
//!
//! Asked once per Register and per end of a registration, never on the way of a notification.
//! Which datagrams are taken at all is decided before, by [`crate::config::AccessRules`].

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use engine::Instant;

use crate::config::Listener;

/// The door of one listener.
#[derive(Debug)]
pub struct Gate {
    name: Box<str>,
    number: u16,
    connections_max: AtomicU64,
    rate: Rate,
    connections: AtomicU64,
    registered: AtomicU64,
    refused_full: AtomicU64,
    refused_rate: AtomicU64,
    denied: AtomicU64,
}

/// Whether a Register may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may; the registration is counted.
    Granted,
    /// `max_connections` devices are registered.
    Full,
    /// `max_conn_rate` is exceeded.
    TooFast,
}

/// What happened at a gate since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateCounts {
    /// Registrations made.
    pub registered: u64,
    /// Registers refused because `max_connections` devices are registered.
    pub refused_full: u64,
    /// Registers refused because of `max_conn_rate`.
    pub refused_rate: u64,
    /// Datagrams dropped because of `access_rules`.
    pub denied: u64,
}

impl Gate {
    /// The gate of a listener.
    #[must_use]
    pub fn new(name: &str, number: u16, settings: &Listener) -> Self {
        let gate = Self {
            name: name.into(),
            number,
            connections_max: AtomicU64::new(0),
            rate: Rate::default(),
            connections: AtomicU64::new(0),
            registered: AtomicU64::new(0),
            refused_full: AtomicU64::new(0),
            refused_rate: AtomicU64::new(0),
            denied: AtomicU64::new(0),
        };
        gate.adjust(settings);
        gate
    }

    /// Takes other limits. Devices that are registered stay.
    pub fn adjust(&self, settings: &Listener) {
        self.connections_max.store(settings.max_connections, Ordering::Relaxed);
        self.rate.per_second.store(settings.max_conn_rate, Ordering::Relaxed);
    }

    /// The listener.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// Devices registered that used it last.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// What happened.
    #[must_use]
    pub fn counts(&self) -> GateCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        GateCounts {
            registered: read(&self.registered),
            refused_full: read(&self.refused_full),
            refused_rate: read(&self.refused_rate),
            denied: read(&self.denied),
        }
    }

    /// Decides about a Register. A device that is registered already is let in although the
    /// listener is full, since it takes its own place; `is_registered` is asked only then.
    pub fn admit(&self, now: Instant, is_registered: impl FnOnce() -> bool) -> Admission {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        let admission =
            if before >= self.connections_max.load(Ordering::Relaxed) && !is_registered() {
                count(&self.refused_full, 1);
                Admission::Full
            } else if !self.rate.pass(now) {
                count(&self.refused_rate, 1);
                Admission::TooFast
            } else {
                count(&self.registered, 1);
                Admission::Granted
            };
        if admission != Admission::Granted {
            self.leave();
        }
        admission
    }

    /// A registered device came by this listener from another one.
    pub fn enter(&self) {
        count(&self.connections, 1);
    }

    /// A registration ended, or its device went to another listener.
    pub fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts datagrams that the access rules deny.
    pub fn deny(&self, datagrams: u64) {
        count(&self.denied, datagrams);
    }
}

fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// So many per second, after as many at once; a virtual clock that each of them puts forward.
#[derive(Debug, Default)]
struct Rate {
    /// 0: no limit.
    per_second: AtomicU32,
    /// Nanoseconds of the shards' clock.
    used_until: AtomicU64,
}

const SECOND: u64 = 1_000_000_000;

impl Rate {
    fn pass(&self, now: Instant) -> bool {
        let per_second = self.per_second.load(Ordering::Relaxed);
        if per_second == 0 {
            return true;
        }
        let interval = SECOND / u64::from(per_second);
        let now = now.as_micros().saturating_mul(1_000);
        let put_forward = |used_until: u64| {
            let next = used_until.max(now).saturating_add(interval);
            (next - now <= SECOND).then_some(next)
        };
        let order = Ordering::Relaxed;
        self.used_until.fetch_update(order, order, put_forward).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(max_connections: u64, max_conn_rate: u32) -> Gate {
        Gate::new("a", 0, &Listener { max_connections, max_conn_rate, ..Listener::default() })
    }

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1_000)
    }

    #[test]
    fn a_full_listener_lets_in_who_is_registered_already() {
        let gate = gate(2, 0);
        let stranger = || gate.admit(at(0), || false);
        assert_eq!((stranger(), stranger()), (Admission::Granted, Admission::Granted));
        assert_eq!(stranger(), Admission::Full);
        assert_eq!(gate.admit(at(0), || true), Admission::Granted);
        assert_eq!(gate.connections(), 3);
        gate.leave();
        gate.leave();
        assert_eq!(stranger(), Admission::Granted);
        let counts = GateCounts { registered: 4, refused_full: 1, ..GateCounts::default() };
        assert_eq!((gate.counts(), gate.connections()), (counts, 2));
    }

    #[test]
    fn so_many_per_second_come_in_after_as_many_at_once() {
        let gate = &gate(1_000, 10);
        let granted =
            |now| (0..100).filter(move |_| gate.admit(now, || false) == Admission::Granted);
        assert_eq!(granted(at(1_000)).count(), 10);
        assert_eq!(granted(at(1_100)).count(), 1);
        assert_eq!(granted(at(1_350)).count(), 2);
        assert_eq!(granted(at(9_000)).count(), 10);
        assert_eq!((gate.counts().refused_rate, gate.connections()), (377, 23));
    }

    #[test]
    fn other_limits_hold_at_once() {
        let gate = gate(1, 1);
        assert_eq!(gate.admit(at(0), || false), Admission::Granted);
        gate.adjust(&Listener::default());
        assert_eq!(gate.admit(at(0), || false), Admission::Granted);
    }
}
