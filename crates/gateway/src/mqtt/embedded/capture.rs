//! Hooks of the embedded broker: commands are taken before they are routed, and clients that come,
//! go or lose messages are counted.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::RwLock;
use rmqtt::hook::{Handler, HookResult, Parameter, ReturnType};
use rmqtt::types::{ConnectInfo, Publish, QoS, Reason};

use super::paced::Totals;
use crate::mqtt::{Deliveries, FilterSet, Incoming, MqttStats, Qos};

/// Hands messages that match our filters to the gateway. The publisher's task waits in here, so
/// its QoS 1 or 2 message is acknowledged after a shard has taken it, and its next one follows.
pub(super) struct Capture {
    filters: Arc<RwLock<FilterSet>>,
    deliveries: Arc<dyn Deliveries>,
    stats: Arc<MqttStats>,
}

impl Capture {
    pub(super) fn new(
        filters: Arc<RwLock<FilterSet>>,
        deliveries: Arc<dyn Deliveries>,
        stats: Arc<MqttStats>,
    ) -> Self {
        Self { filters, deliveries, stats }
    }
}

#[async_trait]
impl Handler for Capture {
    async fn hook(&self, parameter: &Parameter, so_far: Option<HookResult>) -> ReturnType {
        if let Parameter::MessagePublish(_, _, publish) = parameter {
            let wanted = self.filters.read().matches(&publish.topic);
            if wanted {
                MqttStats::count(&self.stats.received);
                MqttStats::add(&self.stats.received_bytes, publish.payload.len());
                self.deliveries.deliver(incoming(publish)).await;
            }
        }
        (true, so_far)
    }
}

/// A message as the rest of the program sees it.
pub(super) fn incoming(publish: &Publish) -> Incoming {
    let properties = publish.properties.as_ref();
    Incoming {
        topic: publish.topic.to_string(),
        payload: publish.payload.clone(),
        qos: match publish.qos {
            QoS::AtMostOnce => Qos::AtMostOnce,
            QoS::AtLeastOnce => Qos::AtLeastOnce,
            QoS::ExactlyOnce => Qos::ExactlyOnce,
        },
        retained: publish.retain,
        dup: publish.dup,
        response_topic: properties.and_then(|p| p.response_topic.as_ref()).map(|t| t.to_string()),
        correlation: properties.and_then(|p| p.correlation_data.clone()),
        expiry: properties
            .and_then(|p| p.message_expiry_interval)
            .map(|seconds| Duration::from_secs(u64::from(seconds.get()))),
    }
}

/// Keeps the accounts of subscribers and the counters.
pub(super) struct Watch {
    totals: Arc<Totals>,
    stats: Arc<MqttStats>,
}

impl Watch {
    pub(super) fn new(totals: Arc<Totals>, stats: Arc<MqttStats>) -> Self {
        Self { totals, stats }
    }
}

#[async_trait]
impl Handler for Watch {
    async fn hook(&self, parameter: &Parameter, so_far: Option<HookResult>) -> ReturnType {
        match parameter {
            Parameter::ClientConnected(session) => {
                MqttStats::count(&self.stats.connects);
                let packet_max = match session.connect_info().await.as_deref() {
                    Ok(ConnectInfo::V5(_, connect)) => connect.max_packet_size.map(|max| max.get()),
                    _ => None,
                };
                self.totals.connected(&session.id.client_id, packet_max);
            }
            Parameter::ClientDisconnected(..) => MqttStats::count(&self.stats.disconnects),
            Parameter::SessionTerminated(session, _) => {
                self.totals.forget(&session.id.client_id);
            }
            // An expired message was meant to end like this; every other one was lost.
            Parameter::MessageDropped(Some(to), _, _, reason)
                if !matches!(reason, Reason::MessageExpiration) =>
            {
                self.totals.lost(&to.client_id, reason);
            }
            _ => {}
        }
        (true, so_far)
    }
}
