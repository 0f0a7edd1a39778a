//! The endpoint: the only public state machine. Datagrams and calls in, datagrams and events out.

use alloc::vec::Vec;

use crate::time::Instant;
use crate::{
    Completion, EndpointConfig, EndpointStats, Event, ExchangeId, ObservationId, ObservationState,
    Peer, Reliability, ReplyTo, Request, RequestOptions, Response, Token,
};

/// Both roles of CoAP for any number of peers, without sockets and without a clock.
///
/// Everything enters by `handle_*` and the calls, everything leaves by `poll_*`. After each input
/// the owner drains [`Self::poll_transmit`] first, [`Self::poll_event`] next, and then waits until
/// [`Self::poll_timeout`].
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    shard: u8,
    stats: EndpointStats,
}

#[allow(unused_variables)]
impl Endpoint {
    /// An endpoint whose tokens begin with `shard` and whose chance comes from `seed`.
    pub fn new(config: EndpointConfig, shard: u8, seed: [u8; 32]) -> Self {
        Self { config, shard, stats: EndpointStats::default() }
    }

    /// One datagram in; at most one event out, borrowing from the datagram only. More events may
    /// wait in [`Self::poll_event`].
    pub fn handle_datagram<'d>(
        &mut self,
        now: Instant,
        peer: Peer,
        datagram: &'d [u8],
    ) -> Option<Event<'d>> {
        None
    }

    /// Does what is due at `now`; what comes of it is polled.
    pub fn handle_timeout(&mut self, now: Instant) {}

    /// The next event that no datagram carried.
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        None
    }

    /// When [`Self::handle_timeout`] is wanted next; perhaps a little before something is due.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        None
    }

    /// Appends the next datagram to `out` and says to whom it goes; `None` when nothing is to be
    /// sent.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<Peer> {
        None
    }

    /// Sends a request. Exactly one of `Response`, `Reset`, `TimedOut` and `Failed` follows, unless
    /// it is cancelled.
    pub fn request(
        &mut self,
        now: Instant,
        peer: Peer,
        request: Request,
        options: RequestOptions,
    ) -> ExchangeId {
        ExchangeId { index: 0, serial: 0 }
    }

    /// Sends a GET or FETCH with Observe 0. The token is that of the observation, which lives until
    /// it is forgotten, or until the request ends without a 2.xx answer.
    pub fn observe(
        &mut self,
        now: Instant,
        peer: Peer,
        request: Request,
        options: RequestOptions,
    ) -> (ExchangeId, ObservationId) {
        (ExchangeId { index: 0, serial: 0 }, ObservationId { slot: 0, random: 0 })
    }

    /// Observes again with the same token.
    pub fn reobserve(
        &mut self,
        now: Instant,
        peer: Peer,
        observation: ObservationId,
        request: Request,
        options: RequestOptions,
    ) -> ExchangeId {
        ExchangeId { index: 0, serial: 0 }
    }

    /// Cancels actively: Observe 1 with the observation's token. Notifications that arrive from now
    /// on get Reset; the observation is gone when the exchange has ended.
    pub fn cancel_observe(
        &mut self,
        now: Instant,
        peer: Peer,
        observation: ObservationId,
        request: Request,
        options: RequestOptions,
    ) -> ExchangeId {
        ExchangeId { index: 0, serial: 0 }
    }

    /// Cancels passively: the next notification gets Reset (RFC 7641 3.6).
    pub fn forget_observation(&mut self, observation: ObservationId) {}

    /// Gives up an exchange without an event. A late answer is rejected with Reset if confirmable,
    /// else ignored.
    pub fn cancel(&mut self, exchange: ExchangeId) {}

    /// Answers a request: in its acknowledgement if that was not sent yet, else as a separate
    /// response. A large payload leaves in blocks.
    pub fn respond(&mut self, now: Instant, reply_to: &ReplyTo, response: Response) {}

    /// Completes a notification that was handed up, or refuses a request without an answer.
    pub fn complete(&mut self, now: Instant, reply_to: &ReplyTo, completion: Completion) {}

    /// Sends a notification (or any other response of our own accord) in the server's role, with
    /// the observer's token. `Acked`, `Reset` or `TimedOut` follows for a confirmable one; for a
    /// non-confirmable one at most `Reset`.
    pub fn notify(
        &mut self,
        now: Instant,
        peer: Peer,
        token: Token,
        response: Response,
        reliability: Reliability,
    ) -> ExchangeId {
        ExchangeId { index: 0, serial: 0 }
    }

    /// Exchanges in flight to `old` go on to `new`.
    pub fn peer_moved(&mut self, old: Peer, new: Peer) {}

    /// From now on `peer` gets at most three times the bytes it sends (the datagram handled last
    /// counts if it came from there), and one request at a time, until it has proven that it
    /// receives what is sent to it: by answering a request, or by [`Self::peer_proven`].
    pub fn peer_unproven(&mut self, peer: Peer) {}

    /// Lifts the limits of [`Self::peer_unproven`].
    pub fn peer_proven(&mut self, peer: Peer) {}

    /// What must survive a restart of an observation.
    pub fn export_observation(&self, observation: ObservationId) -> Option<ObservationState> {
        None
    }

    /// Takes an observation back: same slot, same token. `None` if the token is not of this shard
    /// or its slot is taken.
    pub fn restore_observation(
        &mut self,
        now: Instant,
        state: ObservationState,
    ) -> Option<ObservationId> {
        None
    }

    /// Counters.
    pub fn stats(&self) -> &EndpointStats {
        &self.stats
    }
}
