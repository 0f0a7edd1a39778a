//! What crosses the border to the MQTT side: messages without packets.

use core::time::Duration;

/// Quality of service of a publication.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Qos {
    /// At most once (QoS 0).
    #[default]
    AtMostOnce,
    /// At least once (QoS 1).
    AtLeastOnce,
    /// Exactly once (QoS 2).
    ExactlyOnce,
}

/// A message to publish.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    /// Topic name, without wildcards.
    pub topic: String,
    /// One JSON object.
    pub payload: Vec<u8>,
    /// Quality of service.
    pub qos: Qos,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
    /// MQTT 5 Correlation Data of the command that this answers.
    pub correlation: Option<Vec<u8>>,
}

/// Messages that were handed over, whose buffers serve again.
#[derive(Debug, Default)]
pub(crate) struct Spare(Vec<Publication>);

/// Spare messages that are kept: more than one event makes.
const SPARE_MAX: usize = 8;

impl Spare {
    /// An empty message.
    pub(crate) fn take(&mut self) -> Publication {
        let mut publication = self.0.pop().unwrap_or_default();
        publication.topic.clear();
        publication.payload.clear();
        publication.correlation = None;
        publication
    }

    /// Whether [`Spare::give`] keeps another one.
    pub(crate) const fn has_room(&self) -> bool {
        self.0.len() < SPARE_MAX
    }

    pub(crate) fn give(&mut self, publication: Publication) {
        if self.has_room() {
            self.0.push(publication);
        }
    }
}

/// Spares are worth nothing to a copy.
impl Clone for Spare {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// A message that arrived on a command topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// Topic name it was published to.
    pub topic: &'a str,
    /// Application message, as it came.
    pub payload: &'a [u8],
    /// MQTT 5 Response Topic.
    pub response_topic: Option<&'a str>,
    /// MQTT 5 Correlation Data.
    pub correlation: Option<&'a [u8]>,
    /// MQTT 5 Message Expiry Interval that was left on arrival.
    pub expiry: Option<Duration>,
    /// Whether the broker had kept it. Does not change what it means.
    pub retained: bool,
}

impl<'a> Delivery<'a> {
    /// A message without MQTT 5 properties.
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        Self {
            topic,
            payload,
            response_topic: None,
            correlation: None,
            expiry: None,
            retained: false,
        }
    }
}
