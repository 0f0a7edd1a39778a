//! The clock of the loop: the system's monotonic one, as the machines want it.

use std::time::Instant as SystemInstant;

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
