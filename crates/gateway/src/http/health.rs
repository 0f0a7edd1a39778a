//! Whether the gateway does its work: shards alive, broker connected, not stopping.
//!
//! The parts tell [`Health`]; `/health` reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;
use serde::Serialize;

/// What the parts of the gateway report about themselves.
#[derive(Debug)]
pub struct Health {
    started: SystemTime,
    shards_total: usize,
    shards_alive: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    mqtt_connected: bool,
    mqtt_since: SystemTime,
    last: (Status, SystemTime),
}

/// Where the gateway is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not yet everything is up.
    Starting,
    /// Serving.
    Running,
    /// Emptying its outbox before it ends.
    Stopping,
}

/// A shard is alive as long as it keeps this; a panic drops it too.
#[derive(Debug)]
pub struct Alive(Arc<Health>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.shards_alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The answer of `/health`.
#[derive(Clone, Debug, Serialize)]
pub struct HealthReport {
    status: Status,
    /// Since when it is that status.
    since: String,
    started: String,
    version: &'static str,
    shards: Shards,
    mqtt: Mqtt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ready,
    Starting,
    Degraded,
    Stopping,
}

#[derive(Clone, Debug, Serialize)]
struct Shards {
    alive: usize,
    total: usize,
}

#[derive(Clone, Debug, Serialize)]
struct Mqtt {
    connected: bool,
    since: String,
}

impl Health {
    /// The health of a gateway that is starting with this many shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        let now = SystemTime::now();
        let last = (Status::Starting, now);
        let state = State { phase: Phase::Starting, mqtt_connected: false, mqtt_since: now, last };
        Self {
            started: now,
            shards_total: shards,
            shards_alive: AtomicUsize::new(0),
            state: Mutex::new(state),
        }
    }

    /// A shard runs from now on until it drops what it gets.
    #[must_use]
    pub fn shard_started(self: &Arc<Self>) -> Alive {
        self.shards_alive.fetch_add(1, Ordering::Relaxed);
        Alive(Arc::clone(self))
    }

    /// The broker took the connection and the command subscription, or is gone.
    pub fn mqtt(&self, connected: bool) {
        let mut state = self.state.lock();
        if state.mqtt_connected != connected {
            state.mqtt_connected = connected;
            state.mqtt_since = SystemTime::now();
        }
    }

    /// The gateway is in another phase of its life.
    pub fn enter(&self, phase: Phase) {
        self.state.lock().phase = phase;
    }

    /// How it is now.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        let alive = self.shards_alive.load(Ordering::Relaxed);
        let mut state = self.state.lock();
        let status = match state.phase {
            Phase::Starting => Status::Starting,
            Phase::Stopping => Status::Stopping,
            Phase::Running if alive == self.shards_total && state.mqtt_connected => Status::Ready,
            Phase::Running => Status::Degraded,
        };
        if state.last.0 != status {
            state.last = (status, SystemTime::now());
        }
        HealthReport {
            status,
            since: rfc3339(state.last.1),
            started: rfc3339(self.started),
            version: env!("CARGO_PKG_VERSION"),
            shards: Shards { alive, total: self.shards_total },
            mqtt: Mqtt { connected: state.mqtt_connected, since: rfc3339(state.mqtt_since) },
        }
    }
}

impl HealthReport {
    /// Whether everything works.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status == Status::Ready
    }
}

/// To the second, as RFC 3339 writes it.
fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_needs_every_shard_and_the_broker() {
        let health = Arc::new(Health::new(2));
        let one = health.shard_started();
        let two = health.shard_started();
        health.mqtt(true);
        assert_eq!(health.report().status, Status::Starting);
        health.enter(Phase::Running);
        assert_eq!(health.report().status, Status::Ready);
        health.mqtt(false);
        assert_eq!(health.report().status, Status::Degraded);
        health.mqtt(true);
        drop(one);
        assert_eq!(health.report().status, Status::Degraded);
        drop(two);
        health.enter(Phase::Stopping);
        assert_eq!(health.report().status, Status::Stopping);
    }

    #[test]
    fn a_shard_that_panics_is_not_alive() {
        let health = Arc::new(Health::new(1));
        let alive = health.shard_started();
        let shard = std::thread::spawn(move || {
            let _alive = alive;
            panic!("for the test");
        });
        assert!(shard.join().is_err());
        assert_eq!(health.report().shards.alive, 0);
    }
}
