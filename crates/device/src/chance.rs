//! Chance for one device: SplitMix64, 8 bytes of state.
//!
//! A simulated device needs tokens that differ and timers that are spread, not numbers that nobody
//! can guess: a ChaCha generator would cost each of a hundred thousand devices 300 bytes.

use core::time::Duration;

/// A generator; the same seed gives the same numbers.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// What [`Chance::seeded`] goes on from.
    pub(crate) const fn state(&self) -> u64 {
        self.0
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn next_u16(&mut self) -> u16 {
        (self.next_u64() >> 48) as u16
    }

    /// A number from 0 to 1, 1 excluded.
    pub(crate) fn unit(&mut self) -> f64 {
        // 53 bits: as many as an f64 holds exactly.
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A duration from `low` to `high`.
    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + high.saturating_sub(low).mul_f64(self.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_and_the_bounds_hold() {
        let mut first = Chance::seeded(1);
        let mut second = Chance::seeded(1);
        let mut other = Chance::seeded(2);
        assert_eq!(first.next_u64(), second.next_u64());
        assert_ne!(first.next_u64(), other.next_u64());
        let (low, high) = (Duration::from_secs(2), Duration::from_secs(3));
        for _ in 0..1000 {
            assert!((low..=high).contains(&first.between(low, high)));
        }
    }
}
