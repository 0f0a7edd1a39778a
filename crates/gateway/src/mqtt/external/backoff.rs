//! Pauses between attempts to connect: doubled with each failure, capped, and spread, so that a
//! thousand gateways do not come back to a restarted broker in the same moment.

use std::time::Duration;

/// The next pause.
#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
    chance: ahash::RandomState,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), failures: 0, chance: ahash::RandomState::new() }
    }

    /// The connection works: the next failure starts at the shortest pause.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure. Between half of the pause and all of it.
    pub(super) fn next(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures.min(31)).unwrap_or(u32::MAX);
        let pause = self.min.saturating_mul(factor).min(self.max);
        // A keyed hash of a counter is as random as jitter needs to be.
        let spread = self.chance.hash_one(self.failures) % 1_000;
        self.failures = self.failures.saturating_add(1);
        let half = pause / 2;
        half + half.mul_f64(spread as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_start_anew() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(min, max);
        for full_ms in [100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.next();
            let full = Duration::from_millis(full_ms);
            assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
        }
        for _ in 0..100 {
            assert!(backoff.next() <= max);
        }
        backoff.reset();
        assert!(backoff.next() <= min);
    }

    #[test]
    fn two_gateways_do_not_pause_alike() {
        let pauses = |_: u32| {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
            (0..8).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        assert_ne!(pauses(1), pauses(2));
    }
}
