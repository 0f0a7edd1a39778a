//! The metrics page: the shards' numbers summed up, and those of everything else, at each scrape.
//!
//! Counting is the job of [`super::shard_metrics`] and of the [`Source`]s.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::process::Process;
use super::shard_metrics::{Counter, Gauge, Reasons, ShardMetrics};
use crate::outbox::{Level, OutboxMonitor};

/// The registry of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    shards: Vec<Arc<ShardMetrics>>,
    sources: Arc<RwLock<Vec<Box<dyn Source>>>>,
}

/// Something with numbers of its own, asked at each scrape.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// Says the numbers.
    ///
    /// # Errors
    /// Those of `page`, handed on.
    fn report(&self, page: &mut Page<'_>) -> fmt::Result;
}

/// What a [`Source`] writes to.
pub struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl fmt::Debug for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Page")
    }
}

impl Page<'_> {
    /// One counter without labels; its name without prefix and suffix.
    ///
    /// # Errors
    /// When the page cannot be written to.
    pub fn counter(&mut self, name: &str, help: &str, total: u64) -> fmt::Result {
        self.counters(name, help, "", &[("", total)])
    }

    /// One gauge without labels; its name without prefix.
    ///
    /// # Errors
    /// When the page cannot be written to.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&value)
    }

    /// One gauge with a value per label value.
    ///
    /// # Errors
    /// When the page cannot be written to.
    pub fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        samples: &[(&str, f64)],
    ) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (value, sample) in samples {
            metric.encode_family(&[(label, *value)])?.encode_gauge(sample)?;
        }
        Ok(())
    }

    /// One counter of seconds.
    ///
    /// # Errors
    /// When the page cannot be written to.
    pub fn seconds(&mut self, name: &str, help: &str, total: f64) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&total, None)
    }

    /// One counter with a total per label value; an empty label means that there is none.
    ///
    /// # Errors
    /// When the page cannot be written to.
    pub fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        samples: &[(&str, u64)],
    ) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, total) in samples {
            if label.is_empty() {
                metric.encode_counter::<NoLabelSet, _, u64>(total, None)?;
            } else {
                metric
                    .encode_family(&[(label, *value)])?
                    .encode_counter::<NoLabelSet, _, u64>(total, None)?;
            }
        }
        Ok(())
    }
}

impl Metrics {
    /// A registry with the numbers of `shards` shards and of the process.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        let shards: Vec<_> = (0..shards).map(|_| Arc::new(ShardMetrics::default())).collect();
        let sources: Arc<RwLock<Vec<Box<dyn Source>>>> = Arc::default();
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(Shards(shards.clone())));
        registry.register_collector(Box::new(Sources(Arc::clone(&sources))));
        let metrics = Self { registry, shards, sources };
        metrics.add_source(Process::default());
        metrics
    }

    /// The numbers of each shard, for its thread.
    #[must_use]
    pub fn shards(&self) -> &[Arc<ShardMetrics>] {
        &self.shards
    }

    /// Adds something with numbers of its own.
    pub fn add_source(&self, source: impl Source) {
        self.sources.write().push(Box::new(source));
    }

    /// A counter over all shards.
    #[must_use]
    pub fn total(&self, counter: Counter) -> u64 {
        self.shards.iter().map(|shard| shard.counter(counter)).sum()
    }

    /// A gauge over all shards.
    #[must_use]
    pub fn sum(&self, gauge: Gauge) -> u64 {
        self.shards.iter().map(|shard| shard.gauge(gauge)).sum()
    }

    /// The page in the OpenMetrics text format, which Prometheus reads.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = String::with_capacity(PAGE_LEN_USUAL);
        // Writing to a String cannot fail; a Source that gives up ends the page there.
        let _ = encode(&mut page, &self.registry);
        page
    }
}

/// Stands before every name.
const PREFIX: &str = "lwm2m_gateway";

/// What the page usually needs, so that it grows once at most.
const PAGE_LEN_USUAL: usize = 16 * 1024;

#[derive(Debug)]
struct Sources(Arc<RwLock<Vec<Box<dyn Source>>>>);

impl Collector for Sources {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page { encoder };
        self.0.read().iter().try_for_each(|source| source.report(&mut page))
    }
}

#[derive(Debug)]
struct Shards(Vec<Arc<ShardMetrics>>);

impl Collector for Shards {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page { encoder };
        self.counters(&mut page)?;
        self.busy(&mut page)?;
        self.gauges(&mut page)?;
        self.reasons(&mut page)
    }
}

impl Shards {
    fn counters(&self, page: &mut Page<'_>) -> fmt::Result {
        let counted = Counter::ALL.strip_suffix(&[Counter::BusyMicros]).unwrap_or(Counter::ALL);
        for family in counted.chunk_by(|a, b| a.family() == b.family()) {
            let total = |counter| self.0.iter().map(|shard| shard.counter(counter)).sum();
            let samples: Vec<(&str, u64)> = family
                .iter()
                .map(|&counter| (counter.label().map_or("", |(_, value)| value), total(counter)))
                .collect();
            let Some(first) = family.first() else { continue };
            let label = first.label().map_or("", |(label, _)| label);
            page.counters(first.family(), help(first.family()), label, &samples)?;
        }
        Ok(())
    }

    /// Kept in microseconds because atomics are whole numbers, shown in Prometheus' base unit.
    fn busy(&self, page: &mut Page<'_>) -> fmt::Result {
        let family = Counter::BusyMicros.family();
        let micros: u64 = self.0.iter().map(|shard| shard.counter(Counter::BusyMicros)).sum();
        page.seconds(family, help(family), micros as f64 / 1e6)
    }

    fn gauges(&self, page: &mut Page<'_>) -> fmt::Result {
        for &gauge in Gauge::ALL {
            let sum: u64 = self.0.iter().map(|shard| shard.gauge(gauge)).sum();
            page.gauge(gauge.family(), help(gauge.family()), sum as f64)?;
        }
        Ok(())
    }

    fn reasons(&self, page: &mut Page<'_>) -> fmt::Result {
        for &family in Reasons::ALL {
            let mut totals = std::collections::BTreeMap::<&str, u64>::new();
            for (reason, count) in self.0.iter().flat_map(|shard| shard.reasons(family)) {
                *totals.entry(reason).or_default() += count;
            }
            let samples: Vec<_> = totals.into_iter().collect();
            page.counters(family.family(), help(family.family()), family.label(), &samples)?;
        }
        Ok(())
    }
}

/// The help text of each metric of the shards.
fn help(family: &str) -> &'static str {
    match family {
        "datagrams" => "Datagrams received and sent",
        "datagram_bytes" => "Bytes of datagrams received and sent",
        "datagrams_dropped" => "Datagrams lost on this host",
        "datagrams_forwarded" => "Datagrams handed from one shard to another",
        "coap_messages" => "CoAP messages that did not go the usual way",
        "registrations" => "Registers by outcome",
        "updates" => "Updates by outcome",
        "registrations_ended" => "Registrations that ended, by reason",
        "registrations_late" => "Lifetimes that ended before an Update, grace still running",
        "address_changes" => "Devices that came back from another address",
        "notifications" => "Notifications by kind",
        "observations_set_up" => "Observations set up after a Register by cause",
        "observations_failed" => "Observations that could not be set up after a Register by cause",
        "sends" => "Sends by outcome",
        "notifications_stale" => "Notifications older than one already seen",
        "notifications_full" => "Notifications and Sends without room in the outbox",
        "commands_accepted" => "Commands that a shard took",
        "publications" => "Messages made for MQTT, by kind",
        "events_dropped" => "Events of the life cycle without room anywhere",
        "shard_turns" => "Turns of the shards' loops",
        "shard_busy_seconds" => "Time in which the shards' threads did not sleep",
        "devices" => "Devices registered",
        "observations" => "Observations set up",
        "commands_open" => "Commands that were accepted and have not ended",
        "inbox_entries" => "Entries that wait for a shard",
        "notes" => "What the core refused, ignored, repeated or gave up, by kind",
        "commands_finished" => "Commands by how they ended",
        "commands_refused" => "Commands that were not accepted, by reason",
        _ => "",
    }
}

impl Source for OutboxMonitor {
    fn report(&self, page: &mut Page<'_>) -> fmt::Result {
        let levels = self.levels();
        let sum = |value: fn(&Level) -> u64| -> u64 { levels.iter().map(value).sum() };
        let entries = sum(|level| level.entries as u64);
        let bytes = sum(|level| level.bytes as u64);
        let entries_high = sum(|level| level.entries_high as u64);
        let bytes_high = sum(|level| level.bytes_high as u64);
        let reserved = sum(|level| level.reserved as u64);
        page.gauge("outbox_entries", "Events that wait for the broker", entries as f64)?;
        page.gauge("outbox_bytes", "Bytes that wait for the broker", bytes as f64)?;
        page.gauge(
            "outbox_entries_high",
            "Most events ever, summed over shards",
            entries_high as f64,
        )?;
        page.gauge("outbox_bytes_high", "Most bytes ever, summed over shards", bytes_high as f64)?;
        page.gauge("outbox_reserved", "Slots set aside for outcomes", reserved as f64)?;
        let ends = [
            ("taken", sum(|level| level.taken)),
            ("failed", sum(|level| level.failed)),
            ("refused", sum(|level| level.refused)),
            ("abandoned", sum(|level| level.abandoned)),
        ];
        page.counters("outbox_events", "Events by what became of them", "outcome", &ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_sums_the_shards_up() {
        let metrics = Metrics::new(2);
        let [one, two] = metrics.shards() else { panic!("two shards") };
        one.add(Counter::DatagramsIn, 3);
        two.add(Counter::DatagramsIn, 4);
        two.add(Counter::BusyMicros, 1_500_000);
        two.set(Gauge::Devices, 9);
        one.count(Reasons::Notes, "format_error");
        two.count(Reasons::Notes, "format_error");
        let page = metrics.page();
        for line in [
            "# TYPE lwm2m_gateway_datagrams counter",
            "lwm2m_gateway_datagrams_total{direction=\"in\"} 7",
            "lwm2m_gateway_datagrams_total{direction=\"out\"} 0",
            "lwm2m_gateway_registrations_late_total 0",
            "lwm2m_gateway_shard_busy_seconds_total 1.5",
            "lwm2m_gateway_devices 9.0",
            "lwm2m_gateway_notes_total{kind=\"format_error\"} 2",
            "# EOF",
        ] {
            assert!(page.lines().any(|have| have == line), "{line} is not in\n{page}");
        }
        assert_eq!(metrics.total(Counter::DatagramsIn), 7);
        assert_eq!(metrics.sum(Gauge::Devices), 9);
    }

    #[test]
    fn every_metric_of_the_shards_has_a_help_text() {
        let counters = Counter::ALL.iter().map(|counter| counter.family());
        let gauges = Gauge::ALL.iter().map(|gauge| gauge.family());
        let reasons = Reasons::ALL.iter().map(|reason| reason.family());
        for family in counters.chain(gauges).chain(reasons) {
            assert_ne!(help(family), "", "{family}");
        }
    }

    #[test]
    fn names_follow_the_scheme_and_occur_once() {
        let metrics = Metrics::new(1);
        let (_, _, monitor) = crate::outbox::outboxes(1, crate::outbox::Limits::default());
        metrics.add_source(monitor);
        let page = metrics.page();
        let mut names = std::collections::HashSet::new();
        for line in page.lines().filter(|line| line.starts_with("# TYPE ")) {
            let name = line.split(' ').nth(2).unwrap();
            let legal = name.strip_prefix("lwm2m_gateway_").is_some_and(|rest| {
                rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            });
            assert!(legal && names.insert(name), "{name}");
        }
        assert!(names.len() > 25, "{page}");
    }
}
