//! From the outbox to the broker, with the subscriptions in front (design, section 4, rule 4).
//!
//! A registration may be answered by an application with a command at once, so a name that needs a
//! filter of its own gets it before anything that was pushed after its registration is published.

use std::sync::Arc;

use crate::mqtt::{Filter, Northbound};
use crate::outbox::{Entry, OutboxReader};
use crate::shard::Shared;

/// Entries taken from the outbox at once: enough to fill a TCP segment with small messages, few
/// enough that a failed hand-over repeats little.
const BATCH_MAX: usize = 256;

/// Moves messages from the outbox to the broker until it is dropped or aborted.
pub async fn run(
    mut reader: OutboxReader,
    northbound: Arc<dyn Northbound>,
    shared: Arc<Shared>,
    wildcards: Vec<String>,
) {
    let mut batch: Vec<Entry> = Vec::with_capacity(BATCH_MAX);
    let mut subscribed = None;
    loop {
        // The version is read behind the batch: what was pushed before a message is in it.
        reader.next_batch(&mut batch, BATCH_MAX).await;
        let version = shared.exact_filters.version();
        if subscribed != Some(version) {
            subscribe(&*northbound, &shared, &wildcards).await;
            subscribed = Some(version);
        }
        northbound.publish(&mut batch).await;
        batch.clear();
    }
}

/// Subscribes to the commands of all devices, and of those whose names the wildcard does not match.
pub async fn subscribe(northbound: &dyn Northbound, shared: &Shared, wildcards: &[String]) {
    let exact = shared.exact_filters.filters();
    let texts = wildcards.iter().chain(&exact);
    let mut filters = Vec::new();
    for text in texts {
        match Filter::parse(text) {
            Ok(filter) => filters.push(filter),
            Err(error) => {
                tracing::warn!(event = "filter_unusable", filter = text.as_str(), %error);
            }
        }
    }
    if let Err(error) = northbound.set_filters(filters).await {
        tracing::error!(event = "subscription_refused", %error);
    }
}
