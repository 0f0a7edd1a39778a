//! Numbers on the metrics page that belong to no shard.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::downlink::{CommandCounters, Commands};
use crate::mqtt::{MqttStats, Northbound};
use crate::objects::Objects;
use crate::outbox::OutboxMonitor;
use crate::results::ResultNumbers;
use crate::shard::Shared;
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
    metrics.add_source(ResultNumbers(commands.shared()));
}

pub(super) fn add_shared(metrics: &Metrics, objects: &Arc<Objects>, shared: &Arc<Shared>) {
    metrics.add_source(Definitions(Arc::clone(objects), Arc::clone(shared)));
    metrics.add_source(CommandTopics(Arc::clone(shared)));
}

/// The object definitions.
struct Definitions(Arc<Objects>, Arc<Shared>);

impl fmt::Debug for Definitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Definitions")
    }
}

impl Source for Definitions {
    fn report(&self, page: &mut Page<'_>) -> fmt::Result {
        let Self(objects, shared) = self;
        let loaded = objects.loaded();
        let changes = objects.counters().changes.load(Ordering::Relaxed);
        page.gauge("objects", "Object definitions in use", loaded.definitions.len() as f64)?;
        page.gauge(
            "object_files_refused",
            "Files in lwm2m.xml_dir that are not used",
            loaded.refused() as f64,
        )?;
        page.gauge(
            "object_versions_missing",
            "Versions of objects that devices have and nobody defined",
            shared.missing_versions.count() as f64,
        )?;
        page.counter("object_changes", "Changes of lwm2m.xml_dir taken over", changes)
    }
}

/// The topics of single devices, and the retained commands.
struct CommandTopics(Arc<Shared>);

impl fmt::Debug for CommandTopics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommandTopics")
    }
}

impl Source for CommandTopics {
    fn report(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(
            "device_topics",
            "Topics on which single devices take commands",
            self.0.device_topics.len() as f64,
        )?;
        let retained = &self.0.retained;
        let (entries, bytes) = retained.level();
        page.gauge("retained_entries", "Retained commands kept", entries as f64)?;
        page.gauge("retained_bytes", "Their size", bytes as f64)?;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = retained.counters();
        page.counters(
            "retained_commands",
            "What happened to retained commands",
            "what",
            &[
                ("kept", read(&counters.kept)),
                ("repeated", read(&counters.repeated)),
                ("handed_out", read(&counters.handed_out)),
                ("delayed", read(&counters.delayed)),
                ("removed", read(&counters.removed)),
                ("expired", read(&counters.expired)),
                ("full", read(&counters.full)),
            ],
        )
    }
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
