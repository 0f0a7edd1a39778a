//! Peers that sleep: nothing leaves for one until it has said something again, not even a
//! repetition (OMA Transport 6.5).
//!
//! Who sleeps is known to the owner alone, who is asked when something falls due. Repeating to
//! peers that listen is the job of `exchanges`.

use super::{Endpoint, Timer};
use crate::exchange::Phase;
use crate::time::{Duration, Instant};
use crate::{ExchangeId, Peer};

/// Whether a peer hears what is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listening {
    /// At any time.
    Always,
    /// It said something a moment ago; if it lets a request go unanswered, it sleeps.
    ForNow,
    /// Not before it says something.
    Asleep,
}

impl Endpoint {
    /// [`Self::handle_timeout`] for peers some of which sleep. To one that does nothing is sent:
    /// its exchanges end at their time all the same, and what waits for its turn goes on waiting
    /// until [`Self::peer_woke`].
    pub fn handle_timeout_among(
        &mut self,
        now: Instant,
        mut listening: impl FnMut(Peer) -> Listening,
    ) {
        self.advance(now);
        while let Some(timer) = self.timers.poll_expired(self.now) {
            match timer {
                Timer::Exchange(index, serial) => {
                    self.on_exchange_due(index, serial, &mut listening);
                }
                Timer::Acknowledge(peer, entry) => self.acknowledge_request(peer, entry),
                Timer::Turn(place) => {
                    let peer = self.peers.get(place).map(|state| state.peer);
                    if peer.is_some_and(|peer| listening(peer) != Listening::Asleep) {
                        self.launch_waiting(place);
                    }
                }
                Timer::Peers => self.forget_peers(),
                Timer::Bodies => self.sweep_bodies(),
            }
        }
    }

    /// The message of an exchange is not repeated any more, unless it left just now; an answer is
    /// taken for `within` more, and then the exchange times out. An acknowledged one goes on.
    pub fn stop_repeating(&mut self, now: Instant, exchange: ExchangeId, within: Duration) {
        self.advance(now);
        let now = self.now;
        if self.find_exchange(exchange).is_none() {
            return;
        }
        if let Some(found) = self.exchanges.get_mut(exchange.index)
            && matches!(found.phase, Phase::Unacked { .. })
            && found.launched().is_none_or(|launched| launched < now)
        {
            found.phase = Phase::Unheard { until: now + within };
            self.arm(exchange.index);
        }
    }

    /// A peer that slept said something: what waits for its turn is sent.
    pub fn peer_woke(&mut self, now: Instant, peer: Peer) {
        self.advance(now);
        if let Some(place) = self.peers.find(&peer) {
            self.launch_waiting(place);
        }
    }
}
