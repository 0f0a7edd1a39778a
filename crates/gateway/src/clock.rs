//! The only clocks of the program: a monotonic one for timers, a wall clock for timestamps.
//!
//! Everything below the gateway takes the time as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::Instant;

/// The monotonic clock that all shards of a process read. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    /// Microseconds since the clock started.
    pub fn now(&self) -> Instant {
        let elapsed = self.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// How long it is until `deadline`; zero when it has passed.
    pub fn until(&self, deadline: Instant) -> Duration {
        Duration::from_micros(deadline.as_micros().saturating_sub(self.now().as_micros()))
    }
}

/// Milliseconds since 1970. A clock before 1970 counts as 1970.
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
