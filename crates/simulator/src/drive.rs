//! The loop around a fleet: sockets, the clock, and whoever wants to know how it stands.
//!
//! Each turn receives what is there, does what is due, lets new devices begin, sends what was
//! collected, tells the caller how it stands, and sleeps until the next of these.

use std::sync::atomic::{AtomicBool, Ordering};

use coap::{Duration, Instant};
use udpio::RecvBatch;

use crate::clock::{self, Clock};
use crate::config::{ConfigError, FleetConfig};
use crate::fleet::{Fleet, time_to_leave};
use crate::network::{Network, NetworkError};
use crate::stats::Snapshot;
use crate::summary::Summary;
use crate::wire::Wire;

/// Why a fleet could not run.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The configuration cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system gave no sockets, or they failed.
    #[error("{0}")]
    Network(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<NetworkError> for FleetError {
    fn from(error: NetworkError) -> Self {
        Self::Network(Box::new(error))
    }
}

/// How often the caller is told how the fleet stands, and how fast it sees the stop flag.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Runs a fleet until `stop` is set or its time is over. `tell` is called ten times a second.
///
/// # Errors
/// A configuration that cannot be, and sockets that cannot be had. Servers that do not answer are
/// no errors; they show in the [`Summary`].
pub fn run(
    config: FleetConfig,
    stop: &AtomicBool,
    tell: impl FnMut(&Snapshot),
) -> Result<Summary, FleetError> {
    config.check()?;
    let mut driver = Driver::new(&config, tell)?;
    let end = config.duration.map(|duration| Instant::ZERO + duration);
    while !stop.load(Ordering::Relaxed) && end.is_none_or(|end| driver.clock.now() < end) {
        driver.turn()?;
    }
    driver.end()
}

struct Driver<T> {
    fleet: Fleet,
    network: Network,
    buffers: RecvBatch,
    clock: Clock,
    tell: T,
    /// When the caller is told next.
    tell_at: Instant,
    cpu_before: Option<Duration>,
    heap_before: Option<usize>,
}

impl<T: FnMut(&Snapshot)> Driver<T> {
    fn new(config: &FleetConfig, tell: T) -> Result<Self, FleetError> {
        let network = Network::open(config.server, config.effective_sources())?;
        let buffers = Network::receive_buffers();
        let cpu_before = udpio::cpu_time();
        let heap_before = udpio::heap_in_use();
        let fleet = Fleet::new(config, clock::wall_ms(), network.lines());
        Ok(Self {
            fleet,
            network,
            buffers,
            clock: Clock::start(),
            tell,
            tell_at: Instant::ZERO,
            cpu_before,
            heap_before,
        })
    }

    fn turn(&mut self) -> Result<(), FleetError> {
        let now = self.clock.now();
        let Self { fleet, network, buffers, .. } = self;
        network.receive(buffers, |network, to, datagram| {
            fleet.handle_datagram(now, to, datagram, network);
        })?;
        let now = self.clock.now();
        self.fleet.handle_timeouts(now, &mut self.network);
        self.fleet.begin_some(now, &mut self.network)?;
        self.network.flush();
        let timeout = self.sleep_time();
        self.network.wait(timeout)?;
        self.news();
        Ok(())
    }

    fn sleep_time(&self) -> Duration {
        if self.fleet.has_room_to_leave() {
            return Duration::ZERO;
        }
        let until = self.fleet.next_deadline().map_or(self.tell_at, |at| at.min(self.tell_at));
        until - self.clock.now()
    }

    /// Tells the state of the fleet when it is time.
    fn news(&mut self) {
        let now = self.clock.now();
        if now >= self.tell_at {
            self.tell_at = now + TELL_EVERY;
            let snapshot = self.snapshot(now);
            (self.tell)(&snapshot);
        }
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        let traffic = self.network.traffic();
        Snapshot {
            datagrams_in: traffic.received,
            datagrams_out: traffic.sent,
            datagrams_dropped: traffic.dropped,
            ..self.fleet.totals(now)
        }
    }

    /// Lets the devices leave and sums up.
    fn end(mut self) -> Result<Summary, FleetError> {
        let now = self.clock.now();
        let started = self.fleet.totals(now).started;
        let heap = udpio::heap_in_use().zip(self.heap_before);
        let device_bytes = heap.and_then(|(after, before)| {
            (after.saturating_sub(before) as u64).checked_div(started as u64)
        });
        self.fleet.begin_to_leave();
        let until = now + time_to_leave(started);
        while self.fleet.leave_some(self.clock.now(), &mut self.network) && self.clock.now() < until
        {
            self.turn()?;
        }
        self.network.flush();
        let now = self.clock.now();
        let totals = self.snapshot(now);
        (self.tell)(&totals);
        let cpu = udpio::cpu_time().zip(self.cpu_before);
        let cpu = cpu.map_or(Duration::ZERO, |(after, before)| after.saturating_sub(before));
        Ok(Summary { totals, cpu, device_bytes, ..self.fleet.summary(now) })
    }
}
