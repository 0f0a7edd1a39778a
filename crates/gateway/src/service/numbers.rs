//! Numbers on the metrics page that belong to no shard.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::downlink::{CommandCounters, Commands};
use crate::mqtt::{MqttStats, Northbound};
use crate::outbox::OutboxMonitor;
use crate::telemetry::{Metrics, Page, Source};

pub(super) fn add_sources(
    metrics: &Metrics,
    outbox: &OutboxMonitor,
    northbound: &Arc<dyn Northbound>,
    commands: &Commands,
) {
    metrics.add_source(outbox.clone());
    metrics.add_source(Broker(northbound.stats()));
    metrics.add_source(FromBroker(commands.counters()));
}

/// The MQTT side.
#[derive(Debug)]
struct Broker(Arc<MqttStats>);

impl Source for Broker {
    fn report(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(
            "mqtt_connected",
            "Whether a broker takes messages",
            f64::from(u8::from(self.0.snapshot().connected)),
        )?;
        page.counters(
            "mqtt",
            "What happened on the MQTT side",
            "what",
            &self.0.snapshot().counters(),
        )
    }
}

/// What reached no shard.
#[derive(Debug)]
struct FromBroker(Arc<CommandCounters>);

impl Source for FromBroker {
    fn report(&self, page: &mut Page<'_>) -> fmt::Result {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.0;
        page.counters(
            "commands_rejected",
            "Messages on command topics that reached no shard",
            "reason",
            &[
                ("dropped", read(&counters.dropped)),
                ("unusable", read(&counters.refused)),
                ("unknown_device", read(&counters.unknown)),
                ("queue_full", read(&counters.queue_full)),
            ],
        )
    }
}
