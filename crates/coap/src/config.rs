//! Settings of an endpoint: parameters and limits, each with its reason and its worst case.

use crate::TransmissionParams;
use crate::time::Duration;

/// Settings of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointConfig {
    /// Retransmission and the spans derived from it.
    pub params: TransmissionParams,
    /// Largest block that we send, and ask for, in bytes: a power of two from 16 to 1024. 1024 by
    /// default; less where the way to the devices takes less (RFC 7252 4.6).
    pub block_size_max: u16,
    /// Largest body of a request or answer that is put together from blocks; 64 KiB by default.
    pub body_max: usize,
    /// Bodies that one peer may have half sent to us at a time; 2 by default, since a device sends
    /// one thing at a time, and one more may be left over from before its reboot.
    pub transfers_per_peer_max: usize,
    /// Bytes of half-received bodies in all; 16 MiB by default, which is the worst case.
    pub transfers_bytes_max: usize,
    /// How long the next block is waited for; MAX_TRANSMIT_WAIT (93 s) by default.
    pub transfer_timeout: Duration,
    /// Bytes of large answers kept for those who fetch them in blocks; 8 MiB by default, which is
    /// the worst case.
    pub served_bytes_max: usize,
    /// How long such an answer is kept after the last block asked for; 60 s by default.
    pub served_timeout: Duration,
    /// Requests remembered per peer; 64 by default. With 64-byte blocks that is a Register of
    /// 4 KiB, and nobody has more than a few requests on their way at a time.
    pub dedup_per_peer_max: usize,
    /// Requests remembered in all, and peers whose message ids are remembered beyond what is under
    /// way; 131 072 by default. Worst case 131 072 × (entry 40 + orders 32 + peer 120 + its sender
    /// 320) bytes: 64 MiB, and `dedup_bytes_max`.
    pub dedup_max: usize,
    /// Bytes of remembered answers in all; 16 MiB by default, which is the worst case.
    pub dedup_bytes_max: usize,
    /// When a confirmable request that was not answered yet gets its empty acknowledgement; 1 s by
    /// default: before the peer's ACK_TIMEOUT of 2 s, after everything that is computed.
    pub ack_delay: Duration,
    /// When a request is given up, unless it says otherwise; 120 s by default.
    pub request_timeout: Duration,
    /// Whether bodies sent in blocks carry a Request-Tag (RFC 9175 3); off by default, since
    /// devices in the field may not know it.
    pub request_tag: bool,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        let params = TransmissionParams::default();
        Self {
            transfer_timeout: params.max_transmit_wait(),
            params,
            block_size_max: 1024,
            body_max: 64 * 1024,
            transfers_per_peer_max: 2,
            transfers_bytes_max: 16 << 20,
            served_bytes_max: 8 << 20,
            served_timeout: Duration::from_secs(60),
            dedup_per_peer_max: 64,
            dedup_max: 131_072,
            dedup_bytes_max: 16 << 20,
            ack_delay: Duration::from_secs(1),
            request_timeout: Duration::from_secs(120),
            request_tag: false,
        }
    }
}
