//! One device of the fleet, and what the fleet knows of it.

use coap::{Duration, Instant};
use device::Device;

/// A device that has begun.
pub(super) struct Member {
    pub(super) device: Device,
    /// The earliest entry in the wheel; later ones are ignored when they come.
    pub(super) scheduled: Option<Instant>,
    pub(super) change_at: Option<Instant>,
    pub(super) reboot_at: Option<Instant>,
    pub(super) began: Instant,
    /// When the request that was answered in this input had been begun.
    pub(super) asked: Option<Instant>,
    /// How long it listens after its last message, if it sleeps at all.
    pub(super) awake: Option<Duration>,
    pub(super) awake_until: Instant,
    pub(super) rebindings: u32,
    /// How many datagrams it has sent and received, for what is lost.
    pub(super) datagrams: u32,
    pub(super) line: u8,
    pub(super) registered: bool,
    pub(super) once_registered: bool,
    /// Whether the server answered a Register, in whatever way.
    pub(super) answered: bool,
    pub(super) observed: bool,
}

/// What an event leads to besides its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Counted,
    /// The device has another address from now on.
    Moved,
}

impl Member {
    pub(super) fn new(device: Device, now: Instant) -> Self {
        Self {
            device,
            scheduled: None,
            change_at: None,
            reboot_at: None,
            began: now,
            asked: None,
            awake: None,
            awake_until: now,
            rebindings: 0,
            datagrams: 0,
            line: 0,
            registered: false,
            once_registered: false,
            answered: false,
            observed: false,
        }
    }

    /// Whether nothing reaches the device: it sleeps, and waits for no answer.
    pub(super) fn is_asleep(&self, now: Instant) -> bool {
        self.awake.is_some() && self.awake_until < now && !self.device.is_engaged()
    }

    /// The device has sent or received something, and listens for a while.
    pub(super) fn listen(&mut self, now: Instant) {
        if let Some(awake) = self.awake {
            self.awake_until = now + awake;
        }
    }

    /// The device receives a datagram.
    pub(super) fn hear(&mut self, now: Instant, datagram: &[u8]) {
        self.listen(now);
        self.asked = self.device.request_began();
        self.device.handle_datagram(now, datagram);
    }

    /// Something may be due.
    pub(super) fn on_timer(&mut self, now: Instant) {
        if self.scheduled.is_some_and(|at| at <= now) {
            self.scheduled = None;
        }
        self.device.handle_timeout(now);
    }

    /// When an entry has to be added to the wheel.
    pub(super) fn schedule(&mut self) -> Option<Instant> {
        let due = [self.device.poll_timeout(), self.change_at, self.reboot_at];
        let due = due.into_iter().flatten().min()?;
        // One entry per device is enough: a timer that comes early finds nothing to do and is set
        // anew.
        if self.scheduled.is_some_and(|scheduled| scheduled <= due) {
            return None;
        }
        self.scheduled = Some(due);
        Some(due)
    }
}
