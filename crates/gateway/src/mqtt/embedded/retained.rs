//! Retained messages of the embedded broker: MQTT 5.0 section 3.3.1.3. In memory, bounded.

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use rmqtt::retain::{RetainStorage, RetainTree};
use rmqtt::types::{Retain, TimedValue, Topic, TopicFilter, TopicName};

/// Bytes of all retained messages together. With `retained_max` messages of the usual 300 bytes it
/// is never reached; it stops a client that retains megabytes per topic.
const BYTES_MAX: usize = 64 << 20;

/// The retained messages by topic.
pub(super) struct Retained {
    kept: RwLock<Kept>,
    max: usize,
}

#[derive(Default)]
struct Kept {
    tree: RetainTree<TimedValue<Retain>>,
    count: usize,
    bytes: usize,
}

impl Retained {
    pub(super) fn new(max: usize) -> Self {
        Self { kept: RwLock::default(), max }
    }
}

impl Kept {
    fn remove(&mut self, topic: &Topic) {
        if let Some(old) = self.tree.remove(topic) {
            self.count -= 1;
            self.bytes -= size(&old.into_value());
        }
    }

    fn remove_expired(&mut self) {
        let (mut count, mut bytes) = (0, 0);
        self.tree.retain(usize::MAX, |kept| {
            let stays = !kept.is_expired();
            if !stays {
                count += 1;
                bytes += size(kept.value());
            }
            stays
        });
        self.count -= count;
        self.bytes -= bytes;
    }

    fn fits(&self, bytes: usize, max: usize) -> bool {
        self.count < max && self.bytes + bytes <= BYTES_MAX
    }

    fn insert(&mut self, topic: &Topic, retain: Retain, expiry: Option<Duration>) {
        self.count += 1;
        self.bytes += size(&retain);
        self.tree.insert(topic, TimedValue::new(retain, expiry));
    }
}

#[async_trait]
impl RetainStorage for Retained {
    fn enable(&self) -> bool {
        true
    }

    async fn set(
        &self,
        topic: &TopicName,
        mut retain: Retain,
        expiry: Option<Duration>,
    ) -> rmqtt::Result<()> {
        let levels = Topic::from_str(topic)?;
        let mut kept = self.kept.write();
        kept.remove(&levels);
        if retain.publish.payload.is_empty() {
            return Ok(());
        }
        let bytes = size(&retain);
        if !kept.fits(bytes, self.max) {
            kept.remove_expired();
        }
        if !kept.fits(bytes, self.max) {
            tracing::warn!(event = "mqtt_retained_full", topic = %topic, limit = self.max);
            return Ok(());
        }
        // Topic and payload are slices of the connection's read buffer: kept as they are, a
        // message of ten bytes would hold 64 KiB.
        retain.publish.topic = TopicName::from(retain.publish.topic.to_string());
        retain.publish.payload = Bytes::copy_from_slice(&retain.publish.payload);
        // The library says zero for "does not expire".
        kept.insert(&levels, retain, expiry.filter(|expiry| !expiry.is_zero()));
        Ok(())
    }

    async fn get(&self, filter: &TopicFilter) -> rmqtt::Result<Vec<(TopicName, Retain)>> {
        let filter = Topic::from_str(filter)?;
        let found = self.kept.read().tree.matches(&filter);
        Ok(found
            .into_iter()
            .filter(|(_, kept)| !kept.is_expired())
            .map(|(topic, kept)| (TopicName::from(topic.to_string()), kept.into_value()))
            .collect())
    }

    async fn count(&self) -> isize {
        isize::try_from(self.kept.read().count).unwrap_or(isize::MAX)
    }

    async fn max(&self) -> isize {
        isize::try_from(self.max).unwrap_or(isize::MAX)
    }
}

fn size(retain: &Retain) -> usize {
    retain.publish.topic.len() + retain.publish.payload.len()
}
