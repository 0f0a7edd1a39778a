//! Shared subscriptions of the embedded broker: MQTT 5.0 section 4.8.2.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use rmqtt::context::ServerContext;
use rmqtt::subscribe::SharedSubscription;
use rmqtt::types::{
    ClientId, Id, IsOnline, NodeId, SharedGroup, SubscriptionIdentifier, SubscriptionOptions,
    TopicName,
};

/// One candidate of a group.
type Member =
    (NodeId, ClientId, SubscriptionOptions, Option<Vec<SubscriptionIdentifier>>, Option<IsOnline>);

/// Turns through the members of a group that are connected; when none is, one whose session waits.
#[derive(Debug)]
pub(super) struct RoundRobin {
    /// Counters by hash of the group: groups that share one only skip a turn now and then, and no
    /// client can grow this by inventing groups.
    turns: [AtomicUsize; 64],
    hasher: ahash::RandomState,
}

impl Default for RoundRobin {
    fn default() -> Self {
        Self {
            turns: std::array::from_fn(|_| AtomicUsize::new(0)),
            hasher: ahash::RandomState::new(),
        }
    }
}

impl RoundRobin {
    fn turn(&self, group: &str) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(group.as_bytes());
        let slot = usize::try_from(hasher.finish() % 64).unwrap_or(0);
        self.turns.get(slot).map_or(0, |turn| turn.fetch_add(1, Ordering::Relaxed))
    }
}

#[async_trait]
impl SharedSubscription for RoundRobin {
    fn is_supported(&self) -> bool {
        true
    }

    async fn choice(
        &self,
        _broker: &ServerContext,
        group: &SharedGroup,
        _publisher: &Id,
        _topic: &TopicName,
        members: &[Member],
    ) -> Option<(usize, IsOnline)> {
        let turn = self.turn(group);
        let online = |member: &Member| member.4.unwrap_or(false);
        let connected = members.iter().filter(|member| online(member)).count();
        if connected == 0 {
            return (!members.is_empty()).then(|| (turn % members.len(), false));
        }
        members
            .iter()
            .enumerate()
            .filter(|(_, member)| online(member))
            .nth(turn % connected)
            .map(|(index, _)| (index, true))
    }
}
