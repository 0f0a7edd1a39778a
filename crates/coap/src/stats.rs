//! Counters and gauges of an endpoint.

/// What an endpoint has seen and done since it was made. All counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointStats {
    /// Datagrams handed in.
    pub datagrams_in: u64,
    /// Datagrams handed out.
    pub datagrams_out: u64,
    /// Datagrams that were no message.
    pub format_errors: u64,
    /// Datagrams that were ignored: other protocol versions, nonsense, answers out of place.
    pub ignored: u64,
    /// New requests, those that were answered inside included.
    pub requests_in: u64,
    /// Requests sent by us, without retransmissions.
    pub requests_out: u64,
    /// Final answers to our requests.
    pub responses_in: u64,
    /// Notifications that came up.
    pub notifications_in: u64,
    /// Confirmable messages of ours that were sent again.
    pub retransmissions: u64,
    /// Repeated messages of peers.
    pub duplicates: u64,
    /// Reset messages that came in.
    pub resets_in: u64,
    /// Reset messages that went out.
    pub resets_out: u64,
    /// Exchanges of ours that ended without an answer.
    pub timeouts: u64,
    /// Responses and notifications with a token that nobody waits for.
    pub unknown_tokens: u64,
    /// Requests refused because of a critical option.
    pub bad_options: u64,
    /// Messages to unproven peers that were held back or dropped.
    pub amplification_stops: u64,
    /// Deduplication entries that gave way before their time.
    pub dedup_evictions: u64,
    /// Blocks of bodies that came in.
    pub blocks_in: u64,
    /// Blocks of bodies that went out.
    pub blocks_out: u64,
    /// Bodies in blocks that were never completed.
    pub transfers_given_up: u64,
}

/// What an endpoint holds at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointUsage {
    /// Peers that have state.
    pub peers: usize,
    /// Requests that are remembered against repetition.
    pub remembered_requests: usize,
    /// Messages of ours on their way or waiting for their turn.
    pub exchanges: usize,
    /// Tokens in use: observations and requests.
    pub tokens: usize,
    /// Bytes of half-received bodies.
    pub transfer_bytes: usize,
    /// Bytes of answers that are kept for those who fetch them in blocks.
    pub served_bytes: usize,
    /// Deadlines that are set, those out of date included.
    pub timers: usize,
}
