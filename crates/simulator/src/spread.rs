//! A quantity that is the same for all devices, or lies in a range and is each device's own.

use std::time::Duration;

/// A span of time from `low` to `high`; each device has its own within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    low: Duration,
    high: Duration,
}

impl Spread {
    /// From `low` to `high`; `None` when they are the wrong way round.
    pub fn new(low: Duration, high: Duration) -> Option<Self> {
        (low <= high).then_some(Self { low, high })
    }

    /// The smallest span.
    pub const fn low(self) -> Duration {
        self.low
    }

    /// The largest span.
    pub const fn high(self) -> Duration {
        self.high
    }

    /// The span of the device that has drawn this number, 0 to 1.
    pub(crate) fn at(self, share: f64) -> Duration {
        if self.low == self.high {
            return self.low;
        }
        self.low + (self.high - self.low).mul_f64(share.clamp(0.0, 1.0))
    }
}

impl From<Duration> for Spread {
    fn from(span: Duration) -> Self {
        Self { low: span, high: span }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_a_spread_lies_within_it() {
        let second = Duration::from_secs(1);
        let spread = Spread::new(second, 3 * second).unwrap();
        for (share, millis) in [(0.0, 1000), (0.5, 2000), (1.0, 3000), (7.0, 3000)] {
            assert_eq!(spread.at(share), Duration::from_millis(millis));
        }
        assert_eq!(Spread::from(second).at(0.7), second);
        assert_eq!(Spread::new(second, Duration::ZERO), None);
    }
}
