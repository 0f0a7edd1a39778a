//! From the outbox to the broker, with the subscriptions in front (design, section 4, rule 4).
//!
//! A registration may be answered by an application with a command at once, so a name that needs a
//! filter of its own gets it before anything that was pushed after its registration is published.

use std::sync::Arc;

use bridge::{Bridge, TemplateError};
use lwm2m::EndpointName;
use tokio::sync::Mutex;

use crate::device_topics::{DeviceTopic, Full, Holder};
use crate::mqtt::{Filter, FilterSet, Northbound, SubscribeError};
use crate::outbox::{Entry, OutboxReader};
use crate::shard::Shared;

/// Entries taken from the outbox at once: enough to fill a TCP segment with small messages, few
/// enough that a failed hand-over repeats little.
pub(crate) const BATCH_MAX: usize = 256;

/// Moves messages from the outbox to the broker until it is dropped or aborted.
pub async fn run(mut reader: OutboxReader, subscriptions: Arc<Subscriptions>) {
    let mut batch: Vec<Entry> = Vec::with_capacity(BATCH_MAX);
    let mut subscribed = None;
    loop {
        // The version is read behind the batch: what was pushed before a message is in it.
        reader.next_batch(&mut batch, BATCH_MAX).await;
        let version = subscriptions.version();
        if subscribed != Some(version) {
            subscriptions.renew().await;
            subscribed = Some(version);
        }
        if !subscriptions.northbound.publish_now(&mut batch) {
            subscriptions.northbound.publish(&mut batch).await;
        }
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

/// Why a device does not take commands on a topic.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The device is not registered any more.
    #[error("no such device is registered")]
    UnknownDevice,
    /// The broker would not take it, or it is reserved.
    #[error("{0}")]
    Unusable(#[from] TemplateError),
    /// The gateway would take its own messages for commands.
    #[error("{filter} matches {uplink}, where the gateway itself publishes")]
    Loop {
        /// The topic of the device.
        filter: Filter,
        /// The template that it matches.
        uplink: String,
    },
    /// A broker may deliver a message once for each filter that matches it.
    #[error("{filter} matches some topics of {other} and others, so commands may come twice")]
    Overlap {
        /// The topic of the device.
        filter: Filter,
        /// The filter that is subscribed to.
        other: Filter,
    },
    /// There is no room.
    #[error(transparent)]
    Full(#[from] Full),
    /// The broker did not take the subscription.
    #[error(transparent)]
    Refused(#[from] SubscribeError),
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
    /// The broker's refusal, or the topic of a device that the contract has no room for; the
    /// subscriptions are as they were.
    pub async fn add(&self, bridge: Bridge) -> Result<(), TopicError> {
        let mut contracts = self.contracts.lock().await;
        for filter in self.shared.device_topics.filters() {
            check_loop(&bridge, &filter)?;
        }
        contracts.push(bridge);
        let outcome = self.subscribe(&contracts).await;
        if outcome.is_err() {
            contracts.pop();
            self.log(self.subscribe(&contracts).await);
        }
        outcome.map_err(TopicError::from)
    }

    /// Has a device take commands on one more topic.
    ///
    /// # Errors
    /// [`TopicError`]; the device has the topics that it had.
    pub async fn add_topic(&self, holder: Holder, topic: DeviceTopic) -> Result<(), TopicError> {
        let contracts = self.contracts.lock().await;
        for bridge in &*contracts {
            check_loop(bridge, &topic.filter)?;
        }
        self.check_overlap(&contracts, &topic.filter)?;
        let (endpoint, named) = (holder.recipient().endpoint.clone(), topic.asked.clone());
        let topics = &self.shared.device_topics;
        // While it is registered, and cannot leave: it takes its topics along.
        let hold = |holder, _: &EndpointName, _| topics.hold(holder, topic);
        let held = self.shared.directory.at_home(endpoint.as_str(), holder, hold);
        held.map_err(|_| TopicError::UnknownDevice)??;
        let outcome = self.subscribe(&contracts).await;
        if outcome.is_err() {
            topics.release(&endpoint, &named);
            self.log(self.subscribe(&contracts).await);
        }
        outcome.map_err(TopicError::from)
    }

    /// Takes a topic from a device, named with mountpoint or without. Returns whether it had it.
    pub async fn remove_topic(&self, endpoint: &EndpointName, named: &str) -> bool {
        let contracts = self.contracts.lock().await;
        let had_it = self.shared.device_topics.release(endpoint, named);
        if had_it {
            self.log(self.subscribe(&contracts).await);
        }
        had_it
    }

    /// Grows with each filter that is new, or that is not wanted any more.
    fn version(&self) -> u64 {
        // Both only grow, so their sum stays the same only if both do.
        self.shared.exact_filters.version().wrapping_add(self.shared.device_topics.version())
    }

    fn check_overlap(&self, contracts: &[Bridge], filter: &Filter) -> Result<(), TopicError> {
        let ours = self.standing(contracts);
        let topics = self.shared.device_topics.filters();
        let overlaps = |other: &&Filter| other.overlaps(filter) && !other.covers(filter);
        // Of the topics of devices, the wider one serves both.
        let of_device = |other: &&Filter| overlaps(other) && !filter.covers(other);
        let found = ours.iter().find(overlaps).or_else(|| topics.iter().find(of_device));
        match found {
            Some(other) => {
                Err(TopicError::Overlap { filter: filter.clone(), other: other.clone() })
            }
            None => Ok(()),
        }
    }

    /// From now on only the topics of this contract are subscribed to.
    pub async fn keep(&self, bridge: Bridge) {
        let mut contracts = self.contracts.lock().await;
        *contracts = vec![bridge];
        self.log(self.subscribe(&contracts).await);
    }

    async fn subscribe(&self, contracts: &[Bridge]) -> Result<(), SubscribeError> {
        let mut filters = self.standing(contracts);
        let topics = self.shared.device_topics.filters();
        if !topics.is_empty() {
            filters.extend(topics);
            // A message must not come twice because two filters match it.
            let all: FilterSet = filters.iter().cloned().collect();
            filters.retain(|filter| !all.covers(filter));
            filters.sort_unstable();
            filters.dedup();
        }
        self.shared.retained.keep_matching(&filters);
        self.northbound.set_filters(filters).await
    }

    /// The filters that the contracts want.
    fn standing(&self, contracts: &[Bridge]) -> Vec<Filter> {
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
        filters
    }

    fn log(&self, outcome: Result<(), SubscribeError>) {
        if let Err(error) = outcome {
            tracing::error!(event = "subscription_refused", %error);
        }
    }
}

/// Messages that the gateway publishes must not come back as commands of a device.
fn check_loop(bridge: &Bridge, filter: &Filter) -> Result<(), TopicError> {
    match bridge.uplink_within(filter.as_str())? {
        Some(uplink) => Err(TopicError::Loop { filter: filter.clone(), uplink }),
        None => Ok(()),
    }
}
