//! Filters for endpoint names that the wildcard does not match: those with `/` inside.
//!
//! One wildcard filter serves the whole fleet; such a name needs a filter of its own, in place
//! before its registration is published (design, section 4, rule 4 and "The MQTT side").

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bridge::Bridge;
use lwm2m::EndpointName;
use parking_lot::Mutex;

/// The names that are registered now, each with the listener that its topics depend on and with
/// how many registrations hold it.
#[derive(Default)]
pub struct ExactFilters {
    held: Mutex<BTreeMap<(u16, EndpointName), usize>>,
    version: AtomicU64,
}

impl ExactFilters {
    /// Whether the wildcard does not match the name.
    pub fn wants(endpoint: &str) -> bool {
        endpoint.contains('/')
    }

    /// Adds a registration of the name by a listener.
    pub fn hold(&self, listener: u16, endpoint: &EndpointName) {
        let mut held = self.held.lock();
        let count = held.entry((listener, endpoint.clone())).or_default();
        *count += 1;
        if *count == 1 {
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Takes a registration away. The subscription goes with the next change.
    pub fn release(&self, listener: u16, endpoint: &EndpointName) {
        let mut held = self.held.lock();
        let key = (listener, endpoint.clone());
        if let Some(count) = held.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                held.remove(&key);
            }
        }
    }

    /// Grows with each new name.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The filters by the topics of `bridge`.
    pub fn filters(&self, bridge: &Bridge) -> Vec<String> {
        let held = self.held.lock();
        held.keys().map(|(listener, endpoint)| bridge.exact_filter(*listener, endpoint)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_held_as_often_as_its_name_is_registered() {
        let (filters, bridge) =
            (ExactFilters::default(), Bridge::new(bridge::Settings::default()).unwrap());
        let name = EndpointName::parse("urn/1").unwrap();
        filters.hold(0, &name);
        filters.hold(0, &name);
        let filter = vec!["lwm2m/urn/1/dn/#".to_owned()];
        assert_eq!((filters.version(), filters.filters(&bridge)), (1, filter.clone()));
        filters.release(0, &name);
        assert_eq!(filters.filters(&bridge), filter);
        filters.release(0, &name);
        filters.release(0, &name);
        assert!(filters.filters(&bridge).is_empty());
        filters.hold(0, &name);
        assert_eq!(filters.version(), 2);
    }

    #[test]
    fn filters_follow_the_topics_of_the_listener() {
        let filters = ExactFilters::default();
        let mut settings = bridge::Settings::default();
        settings.listener_mountpoints.insert(3, "site/%e/".to_owned());
        filters.hold(3, &EndpointName::parse("a/b").unwrap());
        let filter = filters.filters(&Bridge::new(settings).unwrap());
        assert_eq!(filter, ["site/a/b/dn/#"]);
    }

    #[test]
    fn only_names_with_a_slash_need_one() {
        assert!(ExactFilters::wants("a/b"));
        assert!(!ExactFilters::wants("urn:imei:1"));
    }
}
