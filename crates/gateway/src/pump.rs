//! From the outbox to the broker, with the subscriptions in front (design, section 4, rule 4).
//!
//! A registration may be answered by an application with a command at once, so a name that needs a
//! filter of its own gets it before anything that was pushed after its registration is published.

use std::sync::Arc;

use bridge::Bridge;
use tokio::sync::Mutex;

use crate::mqtt::{Filter, Northbound, SubscribeError};
use crate::outbox::{Entry, OutboxReader};
use crate::shard::Shared;

/// Entries taken from the outbox at once: enough to fill a TCP segment with small messages, few
/// enough that a failed hand-over repeats little.
const BATCH_MAX: usize = 256;

/// Moves messages from the outbox to the broker until it is dropped or aborted.
pub async fn run(mut reader: OutboxReader, subscriptions: Arc<Subscriptions>) {
    let mut batch: Vec<Entry> = Vec::with_capacity(BATCH_MAX);
    let mut subscribed = None;
    loop {
        // The version is read behind the batch: what was pushed before a message is in it.
        reader.next_batch(&mut batch, BATCH_MAX).await;
        let version = subscriptions.shared.exact_filters.version();
        if subscribed != Some(version) {
            subscriptions.renew().await;
            subscribed = Some(version);
        }
        subscriptions.northbound.publish(&mut batch).await;
        batch.clear();
    }
}

/// The subscriptions to the commands of all devices, and of those whose names the wildcards do not
/// match.
pub struct Subscriptions {
    northbound: Arc<dyn Northbound>,
    shared: Arc<Shared>,
    /// The contracts whose command topics are subscribed to: two while one follows the other.
    /// Locked until the broker has answered, so that the latest wish is the one that stays.
    contracts: Mutex<Vec<Bridge>>,
}

impl Subscriptions {
    /// Those of one contract; none is in place yet.
    pub fn new(northbound: Arc<dyn Northbound>, shared: Arc<Shared>, bridge: Bridge) -> Self {
        Self { northbound, shared, contracts: Mutex::new(vec![bridge]) }
    }

    /// Subscribes anew; a refusal is logged, since nobody can do anything about it here.
    pub async fn renew(&self) {
        let contracts = self.contracts.lock().await;
        self.log(self.subscribe(&contracts).await);
    }

    /// Subscribes to the topics of another contract as well.
    ///
    /// # Errors
    /// The broker's refusal; the subscriptions are as they were.
    pub async fn add(&self, bridge: Bridge) -> Result<(), SubscribeError> {
        let mut contracts = self.contracts.lock().await;
        contracts.push(bridge);
        let outcome = self.subscribe(&contracts).await;
        if outcome.is_err() {
            contracts.pop();
            self.log(self.subscribe(&contracts).await);
        }
        outcome
    }

    /// From now on only the topics of this contract are subscribed to.
    pub async fn keep(&self, bridge: Bridge) {
        let mut contracts = self.contracts.lock().await;
        *contracts = vec![bridge];
        self.log(self.subscribe(&contracts).await);
    }

    async fn subscribe(&self, contracts: &[Bridge]) -> Result<(), SubscribeError> {
        let mut texts: Vec<String> = Vec::new();
        for bridge in contracts {
            texts.extend(bridge.command_filters());
            texts.extend(self.shared.exact_filters.filters(bridge));
        }
        texts.sort_unstable();
        texts.dedup();
        let mut filters = Vec::with_capacity(texts.len());
        for text in &texts {
            match Filter::parse(text) {
                Ok(filter) => filters.push(filter),
                Err(error) => {
                    tracing::warn!(event = "filter_unusable", filter = text.as_str(), %error);
                }
            }
        }
        self.shared.retained.keep_matching(&filters);
        self.northbound.set_filters(filters).await
    }

    fn log(&self, outcome: Result<(), SubscribeError>) {
        if let Err(error) = outcome {
            tracing::error!(event = "subscription_refused", %error);
        }
    }
}
