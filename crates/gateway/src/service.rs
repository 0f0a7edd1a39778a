//! The running gateway: starts the parts in the order they need each other, and stops them so that
//! nothing is lost (design, section 4, rule 6).

mod demo;
mod memory;
mod numbers;
mod start;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use lwm2m::EndpointName;
use tokio::sync::mpsc;
use tokio::task::JoinHandle as Task;
use tokio::time::Instant;

use crate::control::Control;
use crate::data_dir::{DataDir, DataDirError};
use crate::downlink::Commands;
use crate::http::{Health, Phase};
use crate::inbox::Input;
use crate::listeners::ListenerError;
use crate::mqtt::Northbound;
use crate::objects::Objects;
use crate::outbox::OutboxMonitor;
use crate::pump::Subscriptions;
use crate::shard::Shared;
use crate::telemetry::Metrics;

/// Where the gateway can be reached.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// CoAP listeners by name.
    pub coap: Vec<(String, SocketAddr)>,
    /// The embedded broker, or the URL of the external one.
    pub mqtt: String,
    /// The embedded broker's address.
    pub broker: Option<SocketAddr>,
    /// The HTTP server.
    pub http: Option<SocketAddr>,
}

/// Why the gateway does not start. Each names the setting that decides.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory is in use or cannot be written.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A CoAP listener's address cannot be had.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// The contract cannot work with the settings.
    #[error("{0}")]
    Contract(#[from] bridge::SettingsError),
    /// The MQTT side does not start.
    #[error("{0}")]
    Mqtt(String),
    /// The HTTP server does not start.
    #[error(transparent)]
    Http(#[from] crate::http::StartError),
    /// The simulated devices do not start.
    #[error("--demo: {0}")]
    Demo(String),
    /// The system has no thread, descriptor or randomness to give.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// A running gateway.
pub struct Service {
    addresses: Addresses,
    shared: Arc<Shared>,
    commands: Arc<Commands>,
    subscriptions: Arc<Subscriptions>,
    control: Control,
    objects: Arc<Objects>,
    shards: Vec<JoinHandle<std::io::Result<()>>>,
    ended: mpsc::Receiver<()>,
    northbound: Arc<dyn Northbound>,
    tasks: Vec<Task<()>>,
    outbox: OutboxMonitor,
    drain_max: Duration,
    http: Option<crate::http::Server>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    demo: Option<demo::Demo>,
    _data_dir: DataDir,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Service {
    /// Where it can be reached.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Its numbers.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// By what its settings and listeners change.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// A topic that takes commands for the device of this name behind the common mountpoint; its
    /// address, where topics hold that, is a `+`.
    pub fn command_topic(&self, name: &EndpointName) -> String {
        // No listener has this number, so none with a mountpoint of its own has.
        let filter = self.commands.contract().0.exact_filter(u16::MAX, name);
        filter.strip_suffix('#').map(|topic| format!("{topic}dm")).unwrap_or(filter)
    }

    /// The object definitions.
    pub fn objects(&self) -> &Arc<Objects> {
        &self.objects
    }

    /// What waits for the broker.
    pub fn outbox(&self) -> &OutboxMonitor {
        &self.outbox
    }

    /// Whether a broker takes messages.
    pub fn connected(&self) -> bool {
        self.northbound.connected()
    }

    /// Waits until a shard ends on its own account, which only a bug or a broken system can cause.
    pub async fn failed(&mut self) {
        self.ended.recv().await;
    }

    /// Stops everything and returns how many events were left behind.
    ///
    /// Devices first: their datagrams are not taken any more, commands in flight end as reported.
    /// Then what is on its way to the broker gets the time that is configured.
    pub async fn stop(mut self) -> usize {
        self.health.enter(Phase::Stopping);
        tracing::info!(event = "stopping");
        if let Some(demo) = self.demo.take() {
            demo.stop().await;
        }
        self.control.close().await;
        self.commands.close();
        for inbox in &self.shared.inboxes {
            inbox.send(Input::Stop);
        }
        let shards = std::mem::take(&mut self.shards);
        let joined = tokio::task::spawn_blocking(move || join_all(shards)).await;
        if joined.is_err() {
            tracing::error!(event = "shard_panicked");
        }
        let deadline = Instant::now() + self.drain_max;
        let waiting = self.outbox.drained(self.drain_max).await;
        for task in self.tasks.drain(..) {
            task.abort();
        }
        let rest = deadline.saturating_duration_since(Instant::now()).max(CLOSE_MIN);
        let unfinished = self.northbound.close(rest).await;
        if let Some(http) = self.http.take() {
            http.stop(HTTP_STOP).await;
        }
        let left = waiting.max(unfinished);
        if left == 0 {
            tracing::info!(event = "stopped");
        } else {
            tracing::error!(event = "stopped", left, "no broker took these events");
        }
        left
    }
}

/// Time to close the connection to the broker properly even when the outbox took all of its own.
const CLOSE_MIN: Duration = Duration::from_millis(200);

/// Time for HTTP requests that are being answered.
const HTTP_STOP: Duration = Duration::from_secs(1);

fn join_all(shards: Vec<JoinHandle<std::io::Result<()>>>) {
    for shard in shards {
        match shard.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(event = "shard_failed", %error),
            Err(_) => tracing::error!(event = "shard_panicked"),
        }
    }
}
