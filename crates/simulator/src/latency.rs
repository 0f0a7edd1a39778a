//! How long things took: a histogram of fixed size.

use std::time::Duration;

/// Spans counted in buckets of 1/16 of their power of two: within 6 % of the truth, from one
/// microsecond to nine minutes, in 4 KiB.
#[derive(Debug, Clone)]
pub struct Latency {
    buckets: Vec<u32>,
    count: u64,
}

const STEPS: u32 = 16;
const POWERS: u32 = 29;

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: vec![0; (STEPS * (POWERS + 1)) as usize], count: 0 }
    }
}

impl Latency {
    /// Counts one span; longer ones than nine minutes count as that.
    pub fn record(&mut self, span: Duration) {
        let micros = u32::try_from(span.as_micros()).unwrap_or(u32::MAX);
        let last = self.buckets.len() - 1;
        self.buckets[bucket_of(micros).min(last)] += 1;
        self.count += 1;
    }

    /// How many spans were counted.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The span that the given share (0 to 1) of all spans do not exceed; `None` without spans.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let wanted = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count);
        let mut seen = 0;
        let reached = self.buckets.iter().position(|bucket| {
            seen += u64::from(*bucket);
            seen >= wanted
        });
        reached.map(|bucket| Duration::from_micros(upper_end_of(bucket)))
    }
}

fn bucket_of(micros: u32) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    // The four bits behind the leading one say which sixteenth of its power it is.
    let power = micros.ilog2();
    let step = micros >> (power - 4) & (STEPS - 1);
    ((power - 3) * STEPS + step) as usize
}

fn upper_end_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let steps = u64::from(STEPS);
    if bucket < steps {
        return bucket;
    }
    let shift = bucket / steps - 1;
    ((steps + bucket % steps + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_sixteenth_above() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        for micros in 1..=10_000_u64 {
            latency.record(Duration::from_micros(micros));
        }
        for (share, exact) in [(0.5, 5_000_u64), (0.99, 9_900), (1.0, 10_000), (0.0, 1)] {
            let found = latency.quantile(share).unwrap().as_micros() as u64;
            assert!(found >= exact && found <= exact + exact / 15 + 1, "{share}: {found}");
        }
        assert_eq!(latency.count(), 10_000);
    }

    #[test]
    fn the_longest_span_has_a_bucket() {
        let mut latency = Latency::default();
        latency.record(Duration::MAX);
        latency.record(Duration::ZERO);
        assert_eq!(latency.quantile(0.1), Some(Duration::ZERO));
        assert!(latency.quantile(1.0).unwrap() > Duration::from_secs(300));
    }
}
