//! How often something may happen: a token bucket in eight bytes (the generic cell rate algorithm
//! of ITU-T I.371).
//!
//! Instead of a number of tokens it keeps when the bucket will be full again.

use coap::{Duration, Instant};

/// How often, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Between two in the long run.
    pub(crate) interval: Duration,
    /// At once, if there were none for a while.
    pub(crate) burst: u32,
}

/// How much of a [`Rate`] is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Instant, rate: Rate) -> bool {
        let full_at = self.full_at.max(now) + rate.interval;
        let allowed = full_at - now <= rate.interval.saturating_mul(rate.burst.max(1));
        if allowed {
            self.full_at = full_at;
        }
        allowed
    }
}

impl Bucket {
    /// How long until there is a token again.
    pub(crate) fn wait(self, now: Instant, rate: Rate) -> Duration {
        let room = rate.interval.saturating_mul(rate.burst.saturating_sub(1));
        self.full_at - (now + room)
    }

    /// Whether it says nothing any more.
    pub(crate) fn is_full(self, now: Instant) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let rate = Rate { interval: Duration::from_millis(100), burst: 5 };
        let mut bucket = Bucket::default();
        let mut now = Instant::from_micros(7_000_000);
        let taken = (0..20).filter(|_| bucket.take(now, rate)).count();
        assert_eq!(taken, 5);
        let mut taken = 0;
        for _ in 0..1000 {
            now += Duration::from_millis(10);
            taken += u32::from(bucket.take(now, rate));
        }
        assert_eq!(taken, 100, "ten a second for ten seconds");
        now += Duration::from_secs(60);
        assert_eq!((0..20).filter(|_| bucket.take(now, rate)).count(), 5, "it is full again");
    }
}
