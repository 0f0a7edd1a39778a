//! When a device in queue mode wakes: OMA Transport 6.5, facts 20 to 22.
//!
//! Any message of a device opens its window, also one that the message layer answers by itself (a
//! repetition, a ping, a block). What was under way while it slept is not sent again. Whether the
//! window is open is said by [`crate::queue::Reachability`], what waits is sent by
//! [`crate::commands`].

use coap::{Duration, Instant, Peer};

use crate::identity::Identity;
use crate::queue::{Reachability, Window};
use crate::registry::Key;
use crate::server::Server;

/// How long a device that wakes has to answer what it slept over, before the next command has its
/// turn: the ACK_TIMEOUT of RFC 7252 4.8. It may be about to send the answer, and the window is
/// short.
const LATE_ANSWER: Duration = Duration::from_secs(2);

impl Server {
    /// The device said something new: it is there, and it listens.
    pub(crate) fn on_sign_of_life(&mut self, now: Instant, key: Key) {
        self.on_heard(now, key);
        if let Some(registration) = self.registry.get_mut(key) {
            registration.fingerprint = None;
        }
    }

    /// The device said something, perhaps once more: it listens.
    pub(crate) fn on_heard(&mut self, now: Instant, key: Key) {
        let window = self.settings.queue_mode_window;
        let Some(registration) = self.registry.get_mut(key) else { return };
        let before = registration.reachability(now, window);
        registration.heard = now;
        registration.window = Window::Open;
        if let Some(plan) = registration.queue.as_deref_mut().and_then(|q| q.plan.as_deref_mut()) {
            plan.on_sign_of_life();
        }
        if before == Reachability::Asleep {
            self.wake(now, key);
        }
    }

    /// A message that belongs to nothing came from this address: a repetition, a ping, a request
    /// that is refused. Whoever is registered there is awake.
    pub(crate) fn on_heard_from(&mut self, now: Instant, peer: Peer, identity: &Identity) {
        let Some(key) = self.registry.find_address(&peer) else { return };
        if self.registry.get(key).is_some_and(|found| found.is_identity(identity)) {
            self.on_heard(now, key);
            self.dispatch(now, key);
        }
    }

    fn wake(&mut self, now: Instant, key: Key) {
        let within = LATE_ANSWER.min(self.settings.queue_mode_window / 2);
        let Some(registration) = self.registry.get_mut(key) else { return };
        let peer = registration.peer;
        let Some(queue) = registration.queue.as_deref_mut() else { return };
        for exchange in queue.oversleep() {
            self.coap.stop_repeating(now, exchange, within);
        }
        self.coap.peer_woke(now, peer);
    }
}
