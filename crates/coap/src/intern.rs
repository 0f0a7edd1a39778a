//! Requests that are observed, each kept once: fleets ask a million devices the same.
//!
//! What was asked is needed again when a notification comes in blocks; who asks is the job of
//! [`crate::endpoint`].

use alloc::sync::Arc;

use ahash::RandomState;
use hashbrown::HashSet;

use crate::Request;

/// Requests by their content.
#[derive(Debug)]
pub(crate) struct Interned {
    requests: HashSet<Arc<Request>, RandomState>,
    /// At this many, those that nobody holds any more are dropped.
    sweep_at: usize,
}

impl Interned {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self { requests: HashSet::with_hasher(hasher), sweep_at: SWEEP_MIN }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(crate) fn intern(&mut self, request: Request) -> Arc<Request> {
        if let Some(known) = self.requests.get(&request) {
            return Arc::clone(known);
        }
        if self.requests.len() >= self.sweep_at {
            self.requests.retain(|known| Arc::strong_count(known) > 1);
            self.sweep_at = (2 * self.requests.len()).max(SWEEP_MIN);
        }
        let request = Arc::new(request);
        self.requests.insert(Arc::clone(&request));
        request
    }

    /// Drops a request that no one else holds. One that an exchange still holds is found later, by
    /// [`Self::intern`].
    pub(crate) fn release(&mut self, request: Arc<Request>) {
        // One is the table's, one is ours.
        if Arc::strong_count(&request) <= 2 {
            self.requests.remove(&request);
            if self.requests.is_empty() {
                self.requests.shrink_to_fit();
            }
        }
    }
}

/// Requests that may lie about unused: a few kilobytes.
const SWEEP_MIN: usize = 64;
