//! Devices that say too much: notifications per second, registrations per minute.
//!
//! A bucket exists only while it is not full, so a fleet that behaves costs nothing but the look.
//! What is over the limit is dropped or refused where it comes in: notifications and Sends in
//! [`crate::interface::reporting`], Registers in [`crate::registrations`].

use core::hash::Hash;
use std::collections::HashMap;

use ahash::RandomState;
use coap::{Code, Duration, Instant, Peer};
use lwm2m::EndpointName;

use crate::interface::bare;
use crate::note::{NoteKind, Who};
use crate::rate::{Bucket, Rate};
use crate::registry::Key;
use crate::rejection::Rejection;
use crate::server::{Sender, Server};
use crate::settings::Settings;

/// What became of something that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Within,
    /// Over the limit: there is room again after this time.
    Over {
        wait: Duration,
        /// Whether it is to be noted: the first in a minute is.
        note: Noted,
    },
}

/// Whether the last note about somebody is old enough for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    Now,
    Lately,
}

/// Whose bucket it is: a place of a registration, or the hash of a name or address.
type Whose = u64;

/// One limit and those who have used part of it.
#[derive(Debug)]
struct Limit {
    buckets: HashMap<Whose, Used, RandomState>,
    /// At this many the full ones are thrown out.
    sweep_at: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Used {
    bucket: Bucket,
    noted: Option<Instant>,
}

impl Limit {
    fn new(hasher: RandomState) -> Self {
        Self { buckets: HashMap::with_hasher(hasher), sweep_at: SWEEP_AT_LEAST }
    }

    fn take(&mut self, now: Instant, whose: Whose, rate: Rate) -> Verdict {
        if self.buckets.len() >= self.sweep_at {
            self.sweep(now);
        }
        let used = self.buckets.entry(whose).or_default();
        if used.bucket.take(now, rate) {
            return Verdict::Within;
        }
        let lately = used.noted.is_some_and(|noted| now - noted < NOTE_EVERY);
        let note = if lately { Noted::Lately } else { Noted::Now };
        if note == Noted::Now {
            used.noted = Some(now);
        }
        Verdict::Over { wait: used.bucket.wait(now, rate), note }
    }

    /// What is full says nothing any more; that it was noted is remembered for its minute.
    fn sweep(&mut self, now: Instant) {
        self.buckets.retain(|_, used| {
            !used.bucket.is_full(now) || used.noted.is_some_and(|noted| now - noted < NOTE_EVERY)
        });
        self.sweep_at = (self.buckets.len() * 2).max(SWEEP_AT_LEAST);
        self.buckets.shrink_to(self.sweep_at);
    }
}

/// The limits of a shard.
#[derive(Debug)]
pub(crate) struct Limits {
    notifications: Limit,
    registrations: Limit,
    hasher: RandomState,
}

impl Limits {
    pub(crate) fn new(hasher: RandomState) -> Self {
        let limit = || Limit::new(hasher.clone());
        Self { notifications: limit(), registrations: limit(), hasher }
    }

    /// Judges a notification or Send of a device.
    pub(crate) fn notification(&mut self, now: Instant, key: Key, settings: &Settings) -> Verdict {
        match per(Duration::from_secs(1), settings.notifications_per_second) {
            Some(rate) => self.notifications.take(now, key.0.into(), rate),
            None => Verdict::Within,
        }
    }

    /// Judges a Register by its name and by its address: a loop may change either.
    pub(crate) fn registration(
        &mut self,
        now: Instant,
        (endpoint, peer): (&str, &Peer),
        settings: &Settings,
    ) -> Verdict {
        let minute = Duration::from_secs(60);
        let Some(rate) = per(minute, settings.registrations_per_minute) else {
            return Verdict::Within;
        };
        let (name, address) = (self.hash(endpoint), self.hash(peer));
        match self.registrations.take(now, name, rate) {
            Verdict::Within => self.registrations.take(now, address, rate),
            over => over,
        }
    }

    fn hash(&self, whose: impl Hash) -> Whose {
        self.hasher.hash_one(whose)
    }
}

impl Server {
    /// Whether the device says too much; what is over the limit is counted, and noted once a
    /// minute.
    pub(crate) fn is_over_limit(&mut self, now: Instant, key: Key) -> bool {
        match self.limits.notification(now, key, &self.settings) {
            Verdict::Within => return false,
            Verdict::Over { note: Noted::Now, .. } => {
                self.note_device(key, NoteKind::NotificationsLimited, b"");
            }
            Verdict::Over { note: Noted::Lately, .. } => {}
        }
        self.stats.notifications_limited += 1;
        true
    }

    /// A device that registers in a loop: it is told when to come again.
    pub(crate) fn refuse_loop(
        &mut self,
        now: Instant,
        sender: &Sender<'_>,
        endpoint: EndpointName,
        (wait, note): (Duration, Noted),
    ) {
        let mut response = bare(Code::SERVICE_UNAVAILABLE);
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
        response.options.max_age(seconds.saturating_add(1));
        self.coap.respond(now, &sender.reply_to, response);
        self.stats.register_refused += 1;
        self.stats.registrations_limited += 1;
        if note == Noted::Lately {
            return;
        }
        let (code, reason) = (Code::SERVICE_UNAVAILABLE, NoteKind::RegistrationsLimited.name());
        let name = Some(endpoint.as_str().to_owned());
        let (peer, known) = (sender.peer, Some(endpoint.clone()));
        self.note(Who::named(peer, endpoint), NoteKind::RegistrationsLimited, b"");
        self.tell_rejection(now, Rejection { peer, endpoint: known, name, code, reason });
    }
}

/// `count` within a span, all of them at once if need be; 0 is no limit.
fn per(span: Duration, count: u32) -> Option<Rate> {
    Some(Rate { interval: span.checked_div(count)?, burst: count })
}

/// Few enough to be looked through in a microsecond.
const SWEEP_AT_LEAST: usize = 64;

/// How often somebody over a limit is noted.
const NOTE_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            notifications_per_second: 10,
            registrations_per_minute: 6,
            ..Settings::default()
        }
    }

    fn limits() -> Limits {
        Limits::new(RandomState::with_seeds(1, 2, 3, 4))
    }

    #[test]
    fn a_fleet_that_behaves_leaves_nothing_behind() {
        let (mut limits, mut now) = (limits(), Instant::from_micros(5_000_000));
        for _ in 0..20 {
            for device in 0..1000 {
                let verdict = limits.notification(now, Key(device), &settings());
                assert_eq!(verdict, Verdict::Within);
                now += Duration::from_millis(1);
            }
        }
        let left = limits.notifications.buckets.len();
        assert!(left <= 2 * 1000, "{left}: those of the last tenth of a second, swept by doubling");
    }

    #[test]
    fn who_is_over_the_limit_is_noted_once_a_minute() {
        let (mut limits, mut now) = (limits(), Instant::from_micros(5_000_000));
        let (mut within, mut noted) = (0, 0);
        for _ in 0..50_000 {
            match limits.notification(now, Key(7), &settings()) {
                Verdict::Within => within += 1,
                Verdict::Over { note: Noted::Now, .. } => noted += 1,
                Verdict::Over { note: Noted::Lately, .. } => {}
            }
            now += Duration::from_millis(2);
        }
        assert!(
            (1005..=1015).contains(&within),
            "ten a second in 100 s, and ten at once: {within}"
        );
        assert_eq!(noted, 2);
        assert_eq!(limits.notification(now, Key(8), &settings()), Verdict::Within);
    }

    #[test]
    fn no_limit_keeps_nothing() {
        let mut limits = limits();
        let now = Instant::from_micros(5_000_000);
        for _ in 0..1000 {
            let verdict = limits.notification(now, Key(7), &Settings::default());
            assert_eq!(verdict, Verdict::Within);
        }
        assert!(limits.notifications.buckets.is_empty());
    }
}
