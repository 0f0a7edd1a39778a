//! Settings of the CoAP message layer: `[coap]` (RFC 7252 4.8, RFC 7959).
//!
//! The machine that obeys them is `coap::Endpoint`, which also argues their defaults.

use engine::EndpointConfig;
use serde::{Deserialize, Serialize};

use super::values::{Period, Size};

/// `[coap]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Coap {
    /// ACK_TIMEOUT: the shortest wait before the first retransmission.
    pub ack_timeout: Period,
    /// ACK_RANDOM_FACTOR: how much longer chance may make that wait.
    pub ack_random_factor: f64,
    /// MAX_RETRANSMIT.
    pub max_retransmit: u8,
    /// NSTART: outstanding requests per address.
    pub nstart: u8,
    /// The largest block, 16 to 1024 and a power of two; devices may ask for smaller ones.
    pub block_size_max: u16,
    /// The largest body that a device may send in blocks.
    pub body_max: Size,
    /// Bounds of the bodies that arrive in blocks.
    pub transfers: Transfers,
    /// Bounds of the answers kept for repeated requests.
    pub dedup: Deduplication,
}

impl Default for Coap {
    fn default() -> Self {
        let EndpointConfig { params, block_size_max, body_max, .. } = EndpointConfig::default();
        Self {
            ack_timeout: Period::from(params.ack_timeout),
            ack_random_factor: params.ack_random_factor,
            max_retransmit: params.max_retransmit,
            nstart: params.nstart,
            block_size_max,
            body_max: Size::bytes(body_max),
            transfers: Transfers::default(),
            dedup: Deduplication::default(),
        }
    }
}

/// `[coap.transfers]`: bodies that arrive in blocks, per shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Transfers {
    /// Unfinished ones per address.
    pub per_peer: usize,
    /// Bytes of all unfinished ones.
    pub bytes: Size,
}

impl Default for Transfers {
    fn default() -> Self {
        let limits = EndpointConfig::default();
        Self {
            per_peer: limits.transfers_per_peer_max,
            bytes: Size::bytes(limits.transfers_bytes_max),
        }
    }
}

/// `[coap.dedup]`: answers kept for repeated requests, per shard (RFC 7252 4.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deduplication {
    /// Answers per address.
    pub per_peer: usize,
    /// Answers in all.
    pub entries: usize,
    /// Bytes of all.
    pub bytes: Size,
}

impl Default for Deduplication {
    fn default() -> Self {
        let limits = EndpointConfig::default();
        Self {
            per_peer: limits.dedup_per_peer_max,
            entries: limits.dedup_max,
            bytes: Size::bytes(limits.dedup_bytes_max),
        }
    }
}
