//! Topics below the mountpoint (design, section 5).
//!
//! Whether a topic can be one is judged by `bridge`; this module only names them.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `[lwm2m.topics]`: topics below the mountpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topics {
    /// Where commands are taken from; a filter that ends in `#`.
    pub command: Topic,
    /// Where answers go.
    pub response: Topic,
    /// Where notifications go.
    pub notify: Topic,
    /// Where Registers go.
    pub register: Topic,
    /// Where Updates go.
    pub update: Topic,
    /// Where what else happens to a registration goes, which EMQX does not publish.
    pub lifecycle: LifecycleTopics,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            command: Topic::new("dn/#"),
            response: Topic::new("up/resp"),
            notify: Topic::new("up/notify"),
            register: Topic::new("up/resp"),
            update: Topic::new("up/resp"),
            lifecycle: LifecycleTopics::default(),
        }
    }
}

impl Topics {
    /// Every topic by its key.
    pub fn all(&self) -> impl Iterator<Item = (String, &Topic)> {
        let usual = [
            ("command", &self.command),
            ("response", &self.response),
            ("notify", &self.notify),
            ("register", &self.register),
            ("update", &self.update),
            ("lifecycle", &self.lifecycle.common),
        ];
        let usual = usual.into_iter().map(|(name, topic)| (name.to_owned(), topic));
        let own = self.lifecycle.own.iter();
        usual.chain(own.map(|(name, topic)| (format!("lifecycle.{name}"), topic)))
    }
}

/// Topics of what else happens to a registration: one for all of it, or a table with one for each
/// and `common` for the rest. An empty one publishes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleTopics {
    /// For those without a topic of their own.
    pub common: Topic,
    own: BTreeMap<String, Topic>,
}

impl Default for LifecycleTopics {
    fn default() -> Self {
        Self { common: Topic::new(""), own: BTreeMap::new() }
    }
}

impl LifecycleTopics {
    /// One topic for everything.
    #[must_use]
    pub fn all(topic: &str) -> Self {
        Self { common: Topic::new(topic), own: BTreeMap::new() }
    }

    /// The topic that an event has of its own.
    #[must_use]
    pub fn own(&self, event: &str) -> Option<&Topic> {
        self.own.get(event)
    }
}

impl Serialize for LifecycleTopics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.own.is_empty() {
            return self.common.serialize(serializer);
        }
        let common = std::iter::once((COMMON, &self.common));
        serializer.collect_map(common.chain(self.own.iter().map(|(name, topic)| (&**name, topic))))
    }
}

impl<'de> Deserialize<'de> for LifecycleTopics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LifecycleVisitor)
    }
}

/// The key of the topic for what has none of its own.
const COMMON: &str = "common";

struct LifecycleVisitor;

impl<'de> Visitor<'de> for LifecycleVisitor {
    type Value = LifecycleTopics;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a topic such as \"up/life\", or a table of them: { expired = \"up/life\" }")
    }

    fn visit_str<E: Error>(self, topic: &str) -> Result<LifecycleTopics, E> {
        Ok(LifecycleTopics::all(topic))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LifecycleTopics, A::Error> {
        let mut topics = LifecycleTopics::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                // `{ topic = "up/life", qos = 1 }` is one topic for everything.
                "topic" => topics.common.topic = map.next_value()?,
                "qos" => topics.common.qos = map.next_value()?,
                "retain" => topics.common.retain = map.next_value()?,
                COMMON => topics.common = map.next_value()?,
                event if EVENTS.contains(&event) => {
                    let topic = map.next_value()?;
                    topics.own.insert(key, topic);
                }
                unknown => return Err(A::Error::unknown_field(unknown, EVENTS)),
            }
        }
        Ok(topics)
    }
}

/// What has a topic: the names of [`bridge::Lifecycle`], and [`COMMON`].
const EVENTS: &[&str] = &[
    COMMON,
    "deregistered",
    "late",
    "expired",
    "replaced",
    "kicked",
    "asleep",
    "awake",
    "address_changed",
    "address_refused",
    "rejected",
];

/// A topic below the mountpoint: a string, or `{ topic = "...", qos = 0, retain = true }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The topic, placeholders included.
    pub topic: String,
    /// MQTT quality of service; without one, 0 with the embedded and 1 with an external broker.
    pub qos: Option<u8>,
    /// Whether the broker keeps the last message.
    pub retain: bool,
}

impl Topic {
    /// A topic with the usual quality of service.
    #[must_use]
    pub fn new(topic: &str) -> Self {
        Self { topic: topic.to_owned(), qos: None, retain: false }
    }
}

impl Serialize for Topic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.qos.is_none() && !self.retain {
            return serializer.serialize_str(&self.topic);
        }
        let mut table = serializer.serialize_struct("Topic", 3)?;
        table.serialize_field("topic", &self.topic)?;
        table.serialize_field("qos", &self.qos)?;
        table.serialize_field("retain", &self.retain)?;
        table.end()
    }
}

impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TopicVisitor)
    }
}

struct TopicVisitor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicTable {
    topic: String,
    qos: Option<u8>,
    #[serde(default)]
    retain: bool,
}

impl<'de> Visitor<'de> for TopicVisitor {
    type Value = Topic;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a topic such as \"up/resp\", or { topic = \"up/resp\", qos = 1 }")
    }

    fn visit_str<E: Error>(self, topic: &str) -> Result<Topic, E> {
        Ok(Topic::new(topic))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Topic, A::Error> {
        let table = TopicTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Topic { topic: table.topic, qos: table.qos, retain: table.retain })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_life_cycle_event_has_a_key() {
        let names = bridge::Lifecycle::ALL.map(bridge::Lifecycle::name);
        assert_eq!(EVENTS[1..], names);
    }
}
