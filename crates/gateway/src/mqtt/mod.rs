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

pub use filter::{Filter, FilterError};
pub use stats::{MqttStats, MqttStatsSnapshot};

use crate::outbox::{Entry, OutboxReader};

/// Quality of service of a publication or subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qos {
    /// At most once.
    #[default]
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
    /// Exactly once.
    ExactlyOnce,
}

/// A message for a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Topic name, without wildcards.
    pub topic: String,
    /// Application message.
    pub payload: Vec<u8>,
    /// Quality of service.
    pub qos: Qos,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
    /// MQTT 5 Correlation Data; left out towards a 3.1.1 broker.
    pub correlation: Option<Bytes>,
}

/// A message that a broker delivered to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Topic name it was published to.
    pub topic: String,
    /// Application message.
    pub payload: Bytes,
    /// Quality of service with which it reached us.
    pub qos: Qos,
    /// A retained message given out because of our subscription (not a live one).
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

/// Takes the messages that match our filters.
#[async_trait]
pub trait Deliveries: Send + Sync + 'static {
    /// Takes one message. Completes when a shard has taken it or it was refused: only then is it
    /// acknowledged to the broker, and only then does the next one of the same publisher follow.
    async fn deliver(&self, incoming: Incoming);
}

/// A broker, wherever it runs.
#[async_trait]
pub trait Northbound: Send + Sync {
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

/// Entries taken from the outbox at once: enough to fill a TCP segment with small messages, few
/// enough that a failed hand-over repeats little.
const BATCH_MAX: usize = 256;

/// Moves messages from the outbox to the broker until it is dropped or aborted.
pub async fn pump(mut reader: OutboxReader, northbound: Arc<dyn Northbound>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        reader.next_batch(&mut batch, BATCH_MAX).await;
        northbound.publish(&mut batch).await;
        batch.clear();
    }
}
