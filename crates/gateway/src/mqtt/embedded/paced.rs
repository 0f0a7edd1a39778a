//! How much may wait for one subscriber, and who waits for it.
//!
//! The library passes messages to sessions through a queue without bound. Here every message on
//! its way to a subscriber is on an account until the last copy of it is gone (written, dropped,
//! acknowledged, or its session ended), and a publisher waits while a subscriber that makes
//! progress has too much. One that makes none is not waited for: it loses what exceeds its queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rmqtt::context::ServerContext;
use rmqtt::session::Session;
use rmqtt::shared::{DefaultShared, Entry, RetainLoadCallback, Shared};
use rmqtt::types::{
    ClientId, DashMap, ForwardedCount, ForwardedRecipients, From, Id, Message, MsgID, NodeId,
    Publish, Reason, SessionStatus, SubRelation, SubRelations, SubRelationsMap, SubsSearchParams,
    SubsSearchResult, To, TopicFilter, Tx,
};
use tokio::sync::Notify;

use crate::mqtt::MqttStats;

/// The bounds that hold for every subscriber.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// From here on publishers wait, if the subscriber makes progress.
    pace_messages: usize,
    /// The same in bytes.
    pace_bytes: usize,
    /// From here on messages for the subscriber are dropped.
    drop_messages: usize,
    /// The same in bytes.
    drop_bytes: usize,
    /// Largest packet that the library can write to a client.
    packet_max: u32,
}

/// Publishers wait from this many messages on: 40 ms of a fast subscriber's work, so that it never
/// runs dry, and 2 MB at the usual 500 bytes each.
const PACE_MESSAGES: usize = 4_096;
/// The same for large messages: four of the largest packets, or a TCP buffer's worth.
const PACE_BYTES: usize = 8 << 20;
/// Bytes that may wait for one subscriber.
const DROP_BYTES: usize = 64 << 20;
/// Bytes that may wait for all subscribers; beyond it, those that are paced lose messages.
const TOTAL_BYTES: usize = 512 << 20;
/// What a waiting message costs besides topic and payload: its boxes and queue slots.
const MESSAGE_OVERHEAD: usize = 256;
/// A subscriber is looked at this often while a publisher waits for it ..
const PATIENCE: Duration = Duration::from_millis(100);
/// .. and must have taken this many messages since. A slower one would hold the whole gateway back
/// to less than 1 000 messages a second.
const PROGRESS_MIN: u64 = 100;

impl Bounds {
    pub(super) fn new(queue_max: usize, packet_max: u32) -> Self {
        let pace_messages = PACE_MESSAGES.min(queue_max / 2).max(1);
        Self {
            pace_messages,
            pace_bytes: PACE_BYTES,
            // What is in the library's queue, plus what is on the way to it or unacknowledged:
            // its queue (which prefers new QoS 1 messages over old ones) decides first.
            drop_messages: queue_max + pace_messages,
            drop_bytes: DROP_BYTES,
            packet_max,
        }
    }
}

/// The accounts of all subscribers.
pub(super) struct Totals {
    accounts: DashMap<ClientId, Arc<Account>>,
    messages: AtomicUsize,
    bytes: AtomicUsize,
    bounds: Bounds,
    stats: Arc<MqttStats>,
}

impl Totals {
    pub(super) fn new(bounds: Bounds, stats: Arc<MqttStats>) -> Self {
        Self {
            accounts: DashMap::default(),
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            bounds,
            stats,
        }
    }

    /// Messages and bytes that wait for all subscribers.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.messages.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Messages that wait for one subscriber.
    pub(super) fn waiting_for(&self, client: &ClientId) -> usize {
        self.accounts.get(client).map_or(0, |account| account.messages.load(Ordering::Relaxed))
    }

    /// A client connected and said the largest packet it takes.
    pub(super) fn connected(self: &Arc<Self>, client: &ClientId, packet_max: Option<u32>) {
        let max = packet_max.unwrap_or(u32::MAX).min(self.bounds.packet_max);
        self.account(client).packet_max.store(max, Ordering::Relaxed);
    }

    /// A session ended. Messages of it that are still somewhere keep their account alive.
    pub(super) fn forget(&self, client: &ClientId) {
        self.accounts.remove(client);
    }

    /// The library dropped a message for a subscriber.
    pub(super) fn lost(&self, client: &ClientId, reason: &Reason) {
        MqttStats::count(&self.stats.subscriber_drops);
        match self.accounts.get(client) {
            Some(account) => account.report_loss(client, &reason),
            None => tracing::debug!(event = "mqtt_session_gone", %client, %reason),
        }
    }

    fn account(self: &Arc<Self>, client: &ClientId) -> Arc<Account> {
        if let Some(account) = self.accounts.get(client) {
            return Arc::clone(&account);
        }
        let new = || Arc::new(Account::new(self));
        Arc::clone(&self.accounts.entry(client.clone()).or_insert_with(new))
    }
}

/// What waits for one subscriber.
struct Account {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    /// Messages that left the account, ever: the subscriber's progress.
    left: AtomicU64,
    /// Makes no progress: nobody waits for it until it caught up.
    stalled: AtomicBool,
    /// Whether its loss was logged since it last caught up.
    loss_logged: AtomicBool,
    packet_max: AtomicU32,
    waiters: AtomicUsize,
    room: Notify,
    totals: Arc<Totals>,
}

impl Account {
    fn new(totals: &Arc<Totals>) -> Self {
        Self {
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            left: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
            loss_logged: AtomicBool::new(false),
            packet_max: AtomicU32::new(totals.bounds.packet_max),
            waiters: AtomicUsize::new(0),
            room: Notify::new(),
            totals: Arc::clone(totals),
        }
    }

    /// Puts a message on the account; the returned payload takes itself off when it is dropped.
    fn track(self: &Arc<Self>, payload: Bytes, topic: usize) -> Bytes {
        let cost = payload.len() + topic + MESSAGE_OVERHEAD;
        self.messages.fetch_add(1, Ordering::AcqRel);
        self.bytes.fetch_add(cost, Ordering::Relaxed);
        self.totals.messages.fetch_add(1, Ordering::Relaxed);
        self.totals.bytes.fetch_add(cost, Ordering::Relaxed);
        Bytes::from_owner(Tracked { payload, cost, account: Arc::clone(self) })
    }

    fn release(&self, cost: usize) {
        self.bytes.fetch_sub(cost, Ordering::Relaxed);
        self.totals.messages.fetch_sub(1, Ordering::Relaxed);
        self.totals.bytes.fetch_sub(cost, Ordering::Relaxed);
        self.left.fetch_add(1, Ordering::Relaxed);
        let messages = self.messages.fetch_sub(1, Ordering::SeqCst) - 1;
        if messages <= self.totals.bounds.pace_messages / 2 && self.caught_up() {
            self.on_caught_up();
        }
    }

    fn on_caught_up(&self) {
        if self.waiters.load(Ordering::SeqCst) > 0 {
            self.room.notify_waiters();
        }
        if self.stalled.load(Ordering::Relaxed) {
            self.stalled.store(false, Ordering::Relaxed);
            self.loss_logged.store(false, Ordering::Relaxed);
        }
    }

    fn caught_up(&self) -> bool {
        let bounds = &self.totals.bounds;
        self.messages.load(Ordering::SeqCst) <= bounds.pace_messages / 2
            && self.bytes.load(Ordering::Relaxed) <= bounds.pace_bytes / 2
    }

    fn crowded(&self) -> bool {
        let bounds = &self.totals.bounds;
        self.messages.load(Ordering::Relaxed) >= bounds.pace_messages
            || self.bytes.load(Ordering::Relaxed) >= bounds.pace_bytes
    }

    fn full(&self) -> bool {
        let bounds = &self.totals.bounds;
        self.messages.load(Ordering::Relaxed) >= bounds.drop_messages
            || self.bytes.load(Ordering::Relaxed) >= bounds.drop_bytes
            || (self.crowded() && self.totals.bytes.load(Ordering::Relaxed) >= TOTAL_BYTES)
    }

    fn worth_waiting_for(&self) -> bool {
        self.crowded() && !self.stalled.load(Ordering::Relaxed)
    }

    /// Waits until the subscriber caught up, or shows that it does not.
    async fn catch_up(&self) {
        self.waiters.fetch_add(1, Ordering::SeqCst);
        let mut before = self.left.load(Ordering::Relaxed);
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.caught_up() {
                break;
            }
            if tokio::time::timeout(PATIENCE, room).await.is_ok() {
                continue;
            }
            let now = self.left.load(Ordering::Relaxed);
            if now - before < PROGRESS_MIN {
                self.stalled.store(true, Ordering::Relaxed);
                break;
            }
            before = now;
        }
        self.waiters.fetch_sub(1, Ordering::SeqCst);
    }

    fn report_loss(&self, client: &ClientId, reason: &dyn std::fmt::Display) {
        if !self.loss_logged.swap(true, Ordering::Relaxed) {
            let waiting = self.messages.load(Ordering::Relaxed);
            tracing::warn!(event = "mqtt_subscriber_loses", %client, %reason, waiting);
        }
    }
}

/// A payload on an account.
struct Tracked {
    payload: Bytes,
    cost: usize,
    account: Arc<Account>,
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.payload
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.account.release(self.cost);
    }
}

/// The library's routing, with accounts. Only what hands messages to sessions differs.
pub(super) struct Paced {
    inner: DefaultShared,
    broker: ServerContext,
    totals: Arc<Totals>,
}

/// A message that did not reach a subscriber.
type Undelivered = (To, From, Publish, Reason);

impl Paced {
    pub(super) fn new(broker: ServerContext, totals: Arc<Totals>) -> Self {
        Self { inner: DefaultShared::new(Some(broker.clone())), broker, totals }
    }

    async fn relations(&self, from: &From, publish: &Publish) -> SubRelationsMap {
        let router = self.broker.extends.router().await;
        router.matches(from.id.clone(), &publish.topic).await.unwrap_or_else(|error| {
            tracing::warn!(event = "mqtt_topic_unroutable", topic = %publish.topic, %error);
            SubRelationsMap::default()
        })
    }

    /// Hands one copy to one subscriber. `Ok(None)`: dropped by rule, and counted.
    fn forward(
        &self,
        from: &From,
        publish: &Publish,
        relation: &mut SubRelation,
    ) -> Result<Option<Arc<Account>>, Box<Undelivered>> {
        let client = &relation.1;
        let account = self.totals.account(client);
        let packet_max = account.packet_max.load(Ordering::Relaxed);
        if account.full() || size_bound(publish) > packet_max as usize {
            let reason = if account.full() { "its queue is full" } else { "packet too large" };
            MqttStats::count(&self.totals.stats.subscriber_drops);
            account.report_loss(client, &reason);
            return Ok(None);
        }
        let mut copy = publish.clone();
        copy.dup = false;
        copy.packet_id = None;
        copy.retain = publish.retain && relation.2.retain_as_published() == Some(true);
        copy.qos = publish.qos.less_value(relation.2.qos());
        if let (Some(ids), Some(properties)) = (relation.3.take(), copy.properties.as_mut()) {
            properties.subscription_ids = ids;
        }
        let Some((tx, to)) = self.inner.tx(client) else {
            let to = To::from(0, client.clone());
            let reason = Reason::from_static("the client is gone");
            return Err(Box::new((to, from.clone(), copy, reason)));
        };
        copy.payload = account.track(std::mem::take(&mut copy.payload), copy.topic.len());
        send(&tx, to, from.clone(), copy).map(|()| Some(account))
    }
}

fn send(tx: &Tx, to: To, from: From, copy: Publish) -> Result<(), Box<Undelivered>> {
    match tx.unbounded_send(Message::Forward(from, copy)).map_err(|error| error.into_inner()) {
        Err(Message::Forward(from, copy)) => {
            Err(Box::new((to, from, copy, Reason::from_static("the connection is closing"))))
        }
        _ => Ok(()),
    }
}

/// At least what the packet takes on the wire: MQTT 5.0 section 3.3 with all properties we pass on.
fn size_bound(publish: &Publish) -> usize {
    const FIXED: usize = 32;
    let properties = publish.properties.as_ref().map_or(0, |properties| {
        let text = |text: &Option<TopicFilter>| text.as_ref().map_or(0, |text| text.len());
        let users = properties.user_properties.iter().map(|(key, value)| key.len() + value.len());
        properties.correlation_data.as_ref().map_or(0, Bytes::len)
            + text(&properties.response_topic)
            + text(&properties.content_type)
            + users.map(|bytes| bytes + 5).sum::<usize>()
    });
    FIXED + publish.topic.len() + publish.payload.len() + properties
}

fn recipient(relation: SubRelation, out: &mut ForwardedRecipients) {
    let (filter, client, _, _, group) = relation;
    match group {
        Some((group, _, members)) => out.extend(members.into_iter().map(|member| {
            let chosen = (member == client).then(|| (filter.clone(), group.clone()));
            (member, chosen)
        })),
        None => out.push((client, None)),
    }
}

#[async_trait]
impl Shared for Paced {
    fn entry(&self, id: Id) -> Box<dyn Entry> {
        self.inner.entry(id)
    }

    fn exist(&self, client_id: &str) -> bool {
        self.inner.exist(client_id)
    }

    async fn forwards(
        &self,
        msg_id: Option<MsgID>,
        from: From,
        publish: Publish,
    ) -> Result<ForwardedCount, (ForwardedCount, Vec<Undelivered>)> {
        let mut map = self.relations(&from, &publish).await;
        let Some(relations) = map.remove(&self.broker.node.id()) else { return Ok(0) };
        match self.forwards_to(from, &publish, relations, msg_id).await {
            Ok(recipients) => Ok(recipients.len()),
            Err((recipients, errors)) => Err((recipients.len(), errors)),
        }
    }

    async fn forwards_and_get_shareds(
        &self,
        from: From,
        publish: Publish,
    ) -> Result<(SubRelationsMap, ForwardedRecipients), (ForwardedRecipients, Vec<Undelivered>)>
    {
        // Only clusters ask this: shared groups are then decided over all nodes.
        self.inner.forwards_and_get_shareds(from, publish).await
    }

    async fn forwards_to(
        &self,
        from: From,
        publish: &Publish,
        relations: SubRelations,
        _msg_id: Option<MsgID>,
    ) -> Result<ForwardedRecipients, (ForwardedRecipients, Vec<Undelivered>)> {
        let mut recipients = ForwardedRecipients::with_capacity(relations.len());
        let mut errors = Vec::new();
        let mut crowded = Vec::new();
        for mut relation in relations {
            match self.forward(&from, publish, &mut relation) {
                Ok(Some(account)) => {
                    // A session that publishes to itself cannot wait for itself.
                    if account.worth_waiting_for() && relation.1 != from.id.client_id {
                        crowded.push((relation.0.clone(), relation.1.clone(), account));
                    }
                    recipient(relation, &mut recipients);
                }
                Ok(None) => {}
                Err(undelivered) => errors.push(*undelivered),
            }
        }
        for (_, client, account) in crowded {
            let id = Id::from(self.broker.node.id(), client);
            if self.inner.entry(id).is_connected().await {
                account.catch_up().await;
            }
        }
        if errors.is_empty() { Ok(recipients) } else { Err((recipients, errors)) }
    }

    fn iter(&self) -> Box<dyn Iterator<Item = Box<dyn Entry>> + Sync + Send + '_> {
        self.inner.iter()
    }

    fn random_session(&self) -> Option<Session> {
        self.inner.random_session()
    }

    async fn session_status(&self, client_id: &str) -> Option<SessionStatus> {
        self.inner.session_status(client_id).await
    }

    async fn client_states_count(&self) -> usize {
        self.inner.client_states_count().await
    }

    fn sessions_count(&self) -> usize {
        self.inner.sessions_count()
    }

    async fn query_subscriptions(&self, query: &SubsSearchParams) -> Vec<SubsSearchResult> {
        self.inner.query_subscriptions(query).await
    }

    async fn subscriptions_count(&self) -> usize {
        self.inner.subscriptions_count().await
    }

    async fn retain_load_with(
        &self,
        filter: &TopicFilter,
        callback: Arc<dyn RetainLoadCallback>,
    ) -> rmqtt::Result<Vec<(NodeId, MsgID)>> {
        self.inner.retain_load_with(filter, callback).await
    }
}
