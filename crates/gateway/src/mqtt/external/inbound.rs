//! Messages from an external broker on their way to the shards: in order, acknowledged after a
//! shard took them, and not taken twice.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::wire::{Ack, Arrived, PacketId};
use crate::mqtt::{Deliveries, FilterSet, Incoming, MqttStats};

/// Messages that wait for a shard. The broker is told to have at most
/// [`super::RECEIVE_MAX`] QoS 1 messages under way, so only QoS 0 and 3.1.1 fill this; then the
/// connection is not read until the shards caught up.
const WAITING_MAX: usize = 1_024;

/// A message whose delivery ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivered(u64);

/// What the session keeps of messages that are with the shards or were lately.
pub(super) struct Inbound {
    queue: mpsc::Sender<(u64, Incoming)>,
    ended: mpsc::UnboundedReceiver<Delivered>,
    /// By packet id: QoS 1 messages of this broker session that were taken or are being taken.
    seen: HashMap<PacketId, Seen>,
    /// Acknowledgements that are due when the delivery ends; those of a former connection are
    /// gone, since their packet ids mean nothing on this one.
    due: HashMap<u64, (PacketId, Option<Ack>)>,
    next: u64,
    hasher: ahash::RandomState,
    stats: Arc<MqttStats>,
}

/// A QoS 1 message of this session.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Of topic and payload: after a lost connection the broker may have used the packet id for
    /// another message that never reached us, which comes marked as a repetition, too.
    fingerprint: u64,
    /// The delivery that is under way, if it has not ended.
    delivery: Option<u64>,
}

/// What an incoming QoS 1 message is.
enum Recognised {
    /// Not seen in this session; its acknowledgement is due when its delivery ends.
    New,
    /// A repetition of one that was taken: acknowledged at once.
    Taken(Ack),
    /// A repetition of one that is still with a shard: acknowledged when that ends.
    BeingTaken,
}

impl Inbound {
    pub(super) fn new(deliveries: Arc<dyn Deliveries>, stats: Arc<MqttStats>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let (report, ended) = mpsc::unbounded_channel();
        tokio::spawn(deliver(waiting, report, deliveries));
        Self {
            queue,
            ended,
            seen: HashMap::new(),
            due: HashMap::new(),
            next: 0,
            hasher: ahash::RandomState::new(),
            stats,
        }
    }

    /// A connection was made. Without the former session, packet ids start anew.
    pub(super) fn on_connected(&mut self, session_present: bool) {
        for (_, ack) in self.due.values_mut() {
            *ack = None;
        }
        if !session_present {
            self.seen.clear();
        }
    }

    /// Takes a message. Returns an acknowledgement that is due at once: that of a repetition, or
    /// of a message that no filter asked for.
    pub(super) async fn take(&mut self, arrived: Arrived, filters: &FilterSet) -> Option<Ack> {
        let Arrived { incoming, ack } = arrived;
        MqttStats::count(&self.stats.received);
        MqttStats::add(&self.stats.received_bytes, incoming.payload.len());
        if !filters.matches(&incoming.topic) {
            // A subscription of an earlier run that the broker's session still has.
            tracing::debug!(event = "mqtt_message_unwanted", topic = incoming.topic);
            return ack;
        }
        if let Some(ack) = ack {
            let fingerprint = self.hasher.hash_one((&incoming.topic, &incoming.payload));
            match self.recognise(ack, fingerprint, incoming.dup) {
                Recognised::New => {}
                Recognised::Taken(ack) => return Some(ack),
                Recognised::BeingTaken => return None,
            }
        }
        let number = self.next;
        self.next += 1;
        let _ = self.queue.send((number, incoming)).await;
        None
    }

    fn recognise(&mut self, ack: Ack, fingerprint: u64, dup: bool) -> Recognised {
        let packet = ack.packet();
        let seen = self.seen.get(&packet).copied();
        if let Some(seen) = seen.filter(|seen| dup && seen.fingerprint == fingerprint) {
            MqttStats::count(&self.stats.duplicates);
            let Some(delivery) = seen.delivery else { return Recognised::Taken(ack) };
            self.due.insert(delivery, (packet, Some(ack)));
            return Recognised::BeingTaken;
        }
        self.seen.insert(packet, Seen { fingerprint, delivery: Some(self.next) });
        self.due.insert(self.next, (packet, Some(ack)));
        Recognised::New
    }

    /// Whether no delivery is under way that the broker waits for.
    pub(super) fn is_idle(&self) -> bool {
        self.due.is_empty()
    }

    /// Waits for the end of a delivery. Cancel safe.
    pub(super) async fn ended(&mut self) -> Delivered {
        match self.ended.recv().await {
            Some(delivered) => delivered,
            None => std::future::pending().await,
        }
    }

    /// The acknowledgement that is due now.
    pub(super) fn on_delivered(&mut self, Delivered(number): Delivered) -> Option<Ack> {
        let (packet, ack) = self.due.remove(&number)?;
        if let Some(seen) = self.seen.get_mut(&packet).filter(|s| s.delivery == Some(number)) {
            seen.delivery = None;
        }
        ack
    }
}

async fn deliver(
    mut waiting: mpsc::Receiver<(u64, Incoming)>,
    report: mpsc::UnboundedSender<Delivered>,
    deliveries: Arc<dyn Deliveries>,
) {
    while let Some((number, incoming)) = waiting.recv().await {
        deliveries.deliver(incoming).await;
        if report.send(Delivered(number)).is_err() {
            return;
        }
    }
}
