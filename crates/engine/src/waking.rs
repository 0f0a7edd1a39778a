//! When a device in queue mode wakes and falls asleep: OMA Transport 6.5, facts 20 to 22.
//!
//! Any message of a device opens its window, also one that the message layer answers by itself (a
//! repetition, a ping, a block). What was under way while it slept is not sent again. Whether the
//! window is open is said by [`crate::queue::Reachability`], what waits is sent by
//! [`crate::commands`].

use coap::{Duration, Instant, Peer};

use crate::event::{Event, Presence};
use crate::identity::Identity;
use crate::queue::{Reachability, Window};
use crate::registry::Key;
use crate::server::{Server, TIMERS_PER_TURN};
use crate::settings::SleepEvents;

/// How long a device that wakes has to answer what it slept over, before the next command has its
/// turn: the ACK_TIMEOUT of RFC 7252 4.8. It may be about to send the answer, and the window is
/// short.
const LATE_ANSWER: Duration = Duration::from_secs(2);

/// Whether somebody is told when the device falls asleep. There is one timer for each device in
/// `Awake` or `Dozing`, and none for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Nobody wants to know, or it never sleeps.
    Off,
    /// It is told when the window has passed.
    Awake,
    /// It was told already, by a time-out; the timer is still to come.
    Dozing,
    /// It was told.
    Asleep,
}

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
        if self.settings.sleep_events == SleepEvents::On {
            self.watch(now, key, before);
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

    /// A time-out says that the device has fallen asleep: fact 22.
    pub(crate) fn on_silence(&mut self, key: Key) {
        let Some(registration) = self.registry.get_mut(key) else { return };
        registration.window = Window::Closed;
        if registration.watch == Watch::Awake && registration.info.presence == Presence::QueueMode {
            registration.watch = Watch::Dozing;
            let device = registration.device();
            self.emit(key, Event::Asleep { device });
        }
    }

    /// Sees to it that a device which just said something is told to fall asleep, and that its
    /// waking is told.
    pub(crate) fn watch(&mut self, now: Instant, key: Key, before: Reachability) {
        let Some(registration) = self.registry.get_mut(key) else { return };
        if registration.info.presence == Presence::Always {
            return;
        }
        let watch = core::mem::replace(&mut registration.watch, Watch::Awake);
        // Within a turn of the loop it may wake before it was told to have fallen asleep.
        let woke = before == Reachability::Asleep && watch != Watch::Awake;
        let (device, id) = (woke.then(|| registration.device()), registration.id());
        if matches!(watch, Watch::Off | Watch::Asleep) {
            self.watches.schedule(now + self.settings.queue_mode_window, (key, id));
        }
        if let Some(device) = device {
            self.emit(key, Event::Awake { device });
        }
    }

    /// Looks at the devices whose window may have passed.
    pub(crate) fn look_at_watches(&mut self, now: Instant) {
        for _ in 0..TIMERS_PER_TURN {
            let Some((key, id)) = self.watches.poll_expired(now) else { return };
            let window = self.settings.queue_mode_window;
            let wanted = self.settings.sleep_events == SleepEvents::On;
            let Some(registration) = self.registry.get_mut(key) else { continue };
            if registration.id() != id {
                continue;
            }
            match (registration.reachability(now, window), registration.watch) {
                (Reachability::Awake { until }, _) if wanted => {
                    self.watches.schedule(until, (key, id));
                }
                (Reachability::Asleep, Watch::Awake) if wanted => {
                    registration.watch = Watch::Asleep;
                    let device = registration.device();
                    self.emit(key, Event::Asleep { device });
                }
                (Reachability::Asleep, _) if wanted => registration.watch = Watch::Asleep,
                _ => registration.watch = Watch::Off, // Not wanted, or it does not sleep any more.
            }
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
