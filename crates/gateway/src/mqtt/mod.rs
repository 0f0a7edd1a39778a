//! The MQTT side: embedded broker and external broker behind one trait (design, sections 4 and 9).
//!
//! [`Northbound`] takes publications out of the [`crate::outbox`] and says per message when a
//! broker took responsibility; [`Deliveries`] is where messages for us go. Topics and JSON are the
//! job of the `bridge` crate: nothing here looks into a payload.

#[cfg(feature = "embedded-broker")]
pub mod embedded;
pub mod external;
mod filter;
mod stats;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use bridge::Delivery;
pub use bridge::{Publication, Qos};
pub use filter::{Filter, FilterError, FilterMap, FilterSet};
pub use stats::{MqttStats, MqttStatsSnapshot};

use crate::outbox::Entry;

/// A message that a broker delivered to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Topic name it was published to.
    pub topic: String,
    /// Application message.
    pub payload: Bytes,
    /// Quality of service with which it reached us.
    pub qos: Qos,
    /// The broker keeps it. It may be published now, or be repeated because we subscribed: see
    /// [`Deliveries::await_again`].
    pub retained: bool,
    /// Whether the sender marked it as a repetition.
    pub dup: bool,
    /// MQTT 5 Response Topic.
    pub response_topic: Option<String>,
    /// MQTT 5 Correlation Data.
    pub correlation: Option<Bytes>,
    /// MQTT 5 Message Expiry Interval that was left on arrival.
    pub expiry: Option<Duration>,
}

impl Incoming {
    /// The message as the contract reads it.
    pub fn delivery(&self) -> Delivery<'_> {
        Delivery {
            topic: &self.topic,
            payload: &self.payload,
            response_topic: self.response_topic.as_deref(),
            correlation: self.correlation.as_deref(),
            expiry: self.expiry,
            retained: self.retained,
        }
    }
}

/// Takes the messages that match our filters.
#[async_trait]
pub trait Deliveries: Send + Sync + 'static {
    /// Takes one message. Completes when a shard has taken it or it was refused: only then is it
    /// acknowledged to the broker, and only then does the next one of the same publisher follow.
    async fn deliver(&self, incoming: Incoming);

    /// The broker is about to repeat the retained messages that it keeps for these filters, each
    /// once and marked as retained: because we subscribe to them, not because anybody published.
    fn await_again(&self, _filters: &[Filter]) {}

    /// It has repeated them all.
    fn end_of_repetition(&self) {}
}

/// A broker, wherever it runs.
#[async_trait]
pub trait Northbound: Send + Sync {
    /// What [`Northbound::publish`] does, if it can be done without waiting; `false`: nothing was
    /// done. Of the steady path, which must not allocate a future for each batch.
    fn publish_now(&self, _batch: &mut Vec<Entry>) -> bool {
        false
    }

    /// Publishes the entries in order and leaves `batch` empty. Waits as long as the bounded
    /// in-flight window is full or the broker is away; each entry's ticket is released when the
    /// broker took responsibility for it, which may be after the return.
    async fn publish(&self, batch: &mut Vec<Entry>);

    /// Whether a broker takes messages now.
    fn connected(&self) -> bool;

    /// Replaces the filters of our command subscription. Returns when they are in place, or at
    /// once when the broker is away (they are in place before anything is published then).
    async fn set_filters(&self, filters: Vec<Filter>) -> Result<(), SubscribeError>;

    /// Stops: nothing more is delivered to us, what is in flight gets `within` to end, then the
    /// connection is closed. Returns how many messages taken over by `publish` have no end.
    async fn close(&self, within: Duration) -> usize;

    /// Counters of this side.
    fn stats(&self) -> Arc<MqttStats>;
}

/// Why filters are not in place.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The broker answered the subscription with a refusal.
    #[error("the broker refused the subscription to {filter}: {reason}")]
    Refused {
        /// The filter.
        filter: String,
        /// The broker's reason code.
        reason: String,
    },
    /// [`Northbound::close`] was called.
    #[error("the MQTT side is stopped")]
    Closed,
}

/// At least the bytes of the PUBLISH packet: MQTT 5.0 section 3.3, with our one property.
fn packet_size(publication: &Publication) -> usize {
    // Fixed header 5, topic length 2, packet id 2, property length 4, correlation 3.
    const FIXED: usize = 16;
    let correlation = publication.correlation.as_ref().map_or(0, Vec::len);
    FIXED + publication.topic.len() + publication.payload.len() + correlation
}
