//! Filters for endpoint names that the wildcard does not match: those with `/` inside.
//!
//! One wildcard filter serves the whole fleet; such a name needs a filter of its own, in place
//! before its registration is published (design, section 4, rule 4 and "The MQTT side").

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// The filters of names that are registered now, with how many registrations hold each.
#[derive(Default)]
pub struct ExactFilters {
    held: Mutex<BTreeMap<String, usize>>,
    version: AtomicU64,
}

impl ExactFilters {
    /// Whether the wildcard does not match the name.
    pub fn wants(endpoint: &str) -> bool {
        endpoint.contains('/')
    }

    /// Adds a registration behind the filter.
    pub fn hold(&self, filter: String) {
        let mut held = self.held.lock();
        let count = held.entry(filter).or_default();
        *count += 1;
        if *count == 1 {
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Takes a registration away. The subscription goes with the next change.
    pub fn release(&self, filter: &str) {
        let mut held = self.held.lock();
        if let Some(count) = held.get_mut(filter) {
            *count -= 1;
            if *count == 0 {
                held.remove(filter);
            }
        }
    }

    /// Grows with each new filter.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The filters, sorted.
    pub fn filters(&self) -> Vec<String> {
        self.held.lock().keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_held_as_often_as_its_name_is_registered() {
        let filters = ExactFilters::default();
        let filter = "lwm2m/urn/1/dn/#";
        filters.hold(filter.to_owned());
        filters.hold(filter.to_owned());
        assert_eq!((filters.version(), filters.filters()), (1, vec![filter.to_owned()]));
        filters.release(filter);
        assert_eq!(filters.filters(), [filter]);
        filters.release(filter);
        filters.release(filter);
        assert!(filters.filters().is_empty());
        filters.hold(filter.to_owned());
        assert_eq!(filters.version(), 2);
    }

    #[test]
    fn only_names_with_a_slash_need_one() {
        assert!(ExactFilters::wants("a/b"));
        assert!(!ExactFilters::wants("urn:imei:1"));
    }
}
