//! One device of the fleet, and what the fleet knows of it: 160 bytes while it rests.
//!
//! A device that has nothing open is kept as a [`Rest`]. One that a datagram or a timer concerns is
//! woken into a box out of the [`Pool`], so that nothing is allocated while a fleet goes its way.
//! Times beside those of the device itself are kept in ticks of four bytes.

use coap::{Duration, Instant};
use device::{Device, Identity, Rest};

/// A device that may have begun.
pub(super) struct Member {
    body: Body,
    /// When its value changes next; [`NEVER`] if it does not.
    pub(super) change_at: Instant,
    /// The earliest entry in the wheel; later ones are ignored when they come.
    scheduled: Tick,
    /// Until when it listens, if it sleeps at all.
    awake_until: Tick,
    /// How many datagrams it has sent and received, for what is lost.
    pub(super) datagrams: u32,
    /// How often its address has changed.
    pub(super) rebindings: u16,
    /// Which of its addresses it has.
    pub(super) line: u8,
    flags: u8,
}

/// The device itself.
enum Body {
    /// It has not begun, or somebody has it in his hands.
    Nobody,
    Resting(Rest),
    Busy(Box<Busy>),
}

/// A device that can act.
pub(super) struct Busy {
    pub(super) device: Device,
    /// When it began; of no use once it was registered.
    pub(super) began: Instant,
    /// When the request that was answered in this input had been begun.
    pub(super) asked: Option<Instant>,
}

/// What is true of a device; each a bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    Registered = 1,
    OnceRegistered = 2,
    /// The server answered a Register, in whatever way.
    Answered = 4,
    Observed = 8,
    /// The storm is over for it.
    Spared = 16,
}

/// What an event leads to besides its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Counted,
    /// The device has another address from now on.
    Moved,
}

/// Later than anything happens.
pub(super) const NEVER: Instant = Instant::from_micros(u64::MAX);

/// A point in time in steps of 8.192 ms, those of the wheel: four bytes last for 407 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(u32);

impl Tick {
    const NEVER: Self = Self(u32::MAX);
    /// Before everything: its turn is about to come.
    const CALLED: Self = Self(0);
    const MICROS: u64 = 1 << 13;

    /// The first tick that is not before a time.
    fn not_before(at: Instant) -> Self {
        Self(u32::try_from(at.as_micros().div_ceil(Self::MICROS)).unwrap_or(u32::MAX))
    }

    /// The last tick that is not after a time.
    fn reached(now: Instant) -> Self {
        Self(u32::try_from(now.as_micros() / Self::MICROS).unwrap_or(u32::MAX))
    }
}

/// Boxes of devices that went to rest, for the next ones that wake.
#[derive(Default)]
#[allow(clippy::vec_box, reason = "the boxes themselves are what is kept and handed out")]
pub(super) struct Pool(Vec<Box<Busy>>);

/// Boxes that are kept: as many as have something open in a busy fleet. At 2 KiB each, 512 KiB.
const POOL_MAX: usize = 256;

impl Pool {
    fn wake(&mut self, rest: Rest, identity: Identity<'_>) -> Box<Busy> {
        let mut busy = self.0.pop().unwrap_or_else(|| {
            let device = Device::nobody(identity.profile.clone());
            Box::new(Busy { device, began: Instant::ZERO, asked: None })
        });
        busy.device.wake(rest, identity);
        busy.asked = None;
        busy
    }

    fn keep(&mut self, busy: Box<Busy>) {
        if self.0.len() < POOL_MAX {
            self.0.push(busy);
        }
    }
}

impl Member {
    pub(super) const fn new() -> Self {
        Self {
            body: Body::Nobody,
            change_at: NEVER,
            scheduled: Tick::NEVER,
            awake_until: Tick(0),
            datagrams: 0,
            rebindings: 0,
            line: 0,
            flags: 0,
        }
    }

    /// Takes the device in hand, awake; `None` when it has not begun.
    pub(super) fn take<'i>(
        &mut self,
        pool: &mut Pool,
        identity: impl FnOnce() -> Identity<'i>,
    ) -> Option<Box<Busy>> {
        match std::mem::replace(&mut self.body, Body::Nobody) {
            Body::Nobody => None,
            Body::Resting(rest) => Some(pool.wake(rest, identity())),
            Body::Busy(busy) => Some(busy),
        }
    }

    /// Gives the device back: it rests if it can.
    pub(super) fn put(&mut self, mut busy: Box<Busy>, pool: &mut Pool) {
        // Until it was registered it is asked when it began, which a device at rest does not know.
        let rest = if self.is(Flag::OnceRegistered) { busy.device.rest() } else { None };
        self.body = match rest {
            Some(rest) => {
                pool.keep(busy);
                Body::Resting(rest)
            }
            None => Body::Busy(busy),
        };
    }

    /// When the device, its value or the storm has something to do.
    pub(super) fn due(&self, storm: Option<Instant>) -> Instant {
        let device = match &self.body {
            Body::Nobody => None,
            Body::Resting(rest) => rest.poll_timeout(),
            Body::Busy(busy) => busy.device.poll_timeout(),
        };
        let storm = storm.filter(|_| !self.is(Flag::Spared));
        self.change_at.min(device.unwrap_or(NEVER)).min(storm.unwrap_or(NEVER))
    }

    /// Whether an entry of the wheel that comes now is the one that counts. No other one is needed
    /// until [`Member::was_called`].
    pub(super) fn is_called(&mut self, now: Instant) -> bool {
        let called = self.scheduled != Tick::CALLED && self.scheduled <= Tick::reached(now);
        if called {
            self.scheduled = Tick::CALLED;
        }
        called
    }

    /// The entry is used up.
    pub(super) fn was_called(&mut self) {
        self.scheduled = Tick::NEVER;
    }

    /// Whether an entry has to be added to the wheel for this time.
    pub(super) fn schedule(&mut self, due: Instant) -> bool {
        let tick = Tick::not_before(due).max(Tick(1));
        let sooner = due != NEVER && tick < self.scheduled;
        if sooner {
            self.scheduled = tick;
        }
        sooner
    }

    /// Whether a device that sleeps has stopped to listen, and waits for no answer either.
    pub(super) fn is_asleep(&self, now: Instant) -> bool {
        let engaged = matches!(&self.body, Body::Busy(busy) if busy.device.is_engaged());
        self.awake_until < Tick::reached(now) && !engaged
    }

    /// The device has sent or received something, and listens for that long.
    pub(super) fn listen(&mut self, now: Instant, awake: Duration) {
        self.awake_until = Tick::not_before(now + awake);
    }

    pub(super) const fn is(&self, flag: Flag) -> bool {
        self.flags & flag as u8 != 0
    }

    /// Whether that is new.
    pub(super) const fn set(&mut self, flag: Flag, to: bool) -> bool {
        let before = self.is(flag);
        if to {
            self.flags |= flag as u8;
        } else {
            self.flags &= !(flag as u8);
        }
        before != to
    }
}

impl Busy {
    pub(super) fn new(device: Device, began: Instant) -> Box<Self> {
        Box::new(Self { device, began, asked: None })
    }

    /// The device receives a datagram.
    pub(super) fn hear(&mut self, now: Instant, datagram: &[u8]) {
        self.asked = self.device.request_began();
        self.device.handle_datagram(now, datagram);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_takes_160_bytes() {
        assert!(size_of::<Member>() <= 160, "{}", size_of::<Member>());
    }

    #[test]
    fn only_the_earliest_entry_counts() {
        let at = |millis: u64| Instant::from_micros(millis * 1000);
        let mut member = Member::new();
        assert!(member.schedule(at(500)) && !member.schedule(at(600)) && member.schedule(at(100)));
        assert!(!member.schedule(NEVER));
        assert!(!member.is_called(at(90)) && member.is_called(at(110)));
        assert!(!member.schedule(at(10)), "its turn is about to come");
        assert!(!member.is_called(at(520)), "nobody waits for that entry any more");
        member.was_called();
        assert!(member.schedule(at(500)) && member.is_called(at(520)));
    }

    #[test]
    fn flags_do_not_disturb_each_other() {
        let mut member = Member::new();
        assert!(member.set(Flag::Observed, true) && !member.set(Flag::Observed, true));
        assert!(member.set(Flag::Registered, true) && member.set(Flag::Observed, false));
        assert!(member.is(Flag::Registered) && !member.is(Flag::Observed));
    }
}
