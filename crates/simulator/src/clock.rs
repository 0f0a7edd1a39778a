//! The clocks: the system's monotonic one for the loop, the wall clock for what devices tell.

use std::time::{Instant as SystemInstant, SystemTime, UNIX_EPOCH};

use coap::Instant;

/// Microseconds since the clock was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(SystemInstant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(SystemInstant::now())
    }

    pub(crate) fn now(&self) -> Instant {
        let micros = self.0.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// Wall-clock time in milliseconds since 1970; `None` before that.
pub(crate) fn wall_ms() -> Option<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// The same in microseconds; 0 before that.
pub(crate) fn wall_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
