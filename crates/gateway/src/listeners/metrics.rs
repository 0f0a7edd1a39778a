//! The gates of all listeners, and what the metrics page says about them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use super::{Gate, GateCounts};
use crate::telemetry::{Page, Source};

/// The gates by the names of their listeners. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Gates(Arc<RwLock<BTreeMap<String, Arc<Gate>>>>);

impl Gates {
    /// The gate of a listener.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Arc<Gate>> {
        self.0.read().get(name).cloned()
    }

    /// A listener has come.
    pub fn insert(&self, gate: Arc<Gate>) {
        self.0.write().insert(gate.name().to_owned(), gate);
    }

    /// A listener has gone, and its numbers with it.
    pub fn remove(&self, name: &str) {
        self.0.write().remove(name);
    }
}

impl Source for Gates {
    fn report(&self, page: &mut Page<'_>) -> fmt::Result {
        let gates = self.0.read();
        let devices: Vec<_> =
            gates.values().map(|gate| (gate.name(), gate.connections() as f64)).collect();
        let counts = |read: fn(GateCounts) -> u64| -> Vec<_> {
            gates.values().map(|gate| (gate.name(), read(gate.counts()))).collect()
        };
        page.gauges(
            "listener_devices",
            "Devices registered that used the listener last",
            "listener",
            &devices,
        )?;
        page.counters(
            "listener_registrations",
            "Registrations made by the listener",
            "listener",
            &counts(|counts| counts.registered),
        )?;
        page.counters(
            "listener_registers_refused_full",
            "Registers refused because max_connections devices are registered",
            "listener",
            &counts(|counts| counts.refused_full),
        )?;
        page.counters(
            "listener_registers_refused_rate",
            "Registers refused because of max_conn_rate",
            "listener",
            &counts(|counts| counts.refused_rate),
        )?;
        page.counters(
            "listener_datagrams_denied",
            "Datagrams dropped because of access_rules",
            "listener",
            &counts(|counts| counts.denied),
        )
    }
}
