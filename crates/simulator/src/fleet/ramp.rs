//! How the devices of a fleet begin, and how they leave.

use std::sync::Arc;

use coap::{Duration, Instant};
use device::Device;

use super::member::{Busy, Flag, NEVER};
use super::{Fleet, GroupState, Leaving};
use crate::config::{Leave, Ramp};
use crate::wire::Wire;

/// Devices that wait for the answer to their first Register on a constant ramp, or to Deregister:
/// more at once would only fill the server's buffers, and their repetitions would slow it further.
const UNANSWERED_MAX: usize = 2_000;

/// Devices that begin or are told to leave in one go, so that answers are not kept waiting.
const BEGIN_MAX: usize = 64;

impl Fleet {
    /// Lets as many devices begin as the ramp allows by now, a bounded part of them.
    pub(crate) fn begin_some<W: Wire>(
        &mut self,
        now: Instant,
        wire: &mut W,
    ) -> Result<(), W::Error> {
        if self.leaving != Leaving::NotYet {
            return Ok(());
        }
        let missing = self.wanted_by(now).saturating_sub(self.started());
        for _ in 0..missing.min(self.room_to_begin()).min(BEGIN_MAX) {
            self.begin(now, wire)?;
        }
        Ok(())
    }

    /// When the next device shall begin; `None`: not before an answer, or never.
    pub(super) fn next_begin(&self) -> Option<Instant> {
        let started = self.started();
        let over = self.leaving != Leaving::NotYet || started >= self.members.len();
        if over || self.room_to_begin() == 0 {
            return None;
        }
        // Rounded up, so that one is wanted by then.
        let micros = match self.ramp {
            Ramp::Constant { rate } => {
                (1_000_000 * started as u64).div_ceil(u64::from(rate.max(1)))
            }
            Ramp::Burst { within } => {
                let due = within.as_micros() * started as u128;
                u64::try_from(due.div_ceil(self.members.len() as u128)).unwrap_or(u64::MAX)
            }
        };
        Some(Instant::from_micros(micros))
    }

    /// Begins to let the devices leave.
    pub(crate) fn begin_to_leave(&mut self) {
        if self.leaving == Leaving::NotYet {
            self.leaving = Leaving::Begun { next: 0, told: 0, before: self.left() };
        }
    }

    /// Lets as many devices leave as may wait for their answer at once; `false` when each that was
    /// to leave has left.
    pub(crate) fn leave_some(&mut self, now: Instant, wire: &mut impl Wire) -> bool {
        let Leaving::Begun { next, mut told, before } = self.leaving else { return false };
        if self.leave == Leave::Vanish {
            return false;
        }
        let room = UNANSWERED_MAX.saturating_sub(self.waiting_to_leave()).min(BEGIN_MAX);
        let until = (next + room).min(self.members.len());
        for device in next..until {
            let kind = self.plan.kind_of(device);
            let Some((mut hand, member)) = self.hand(kind, device) else { continue };
            member.change_at = NEVER;
            member.set(Flag::Spared, true);
            hand.act(now, member, wire, |_, _, busy, _| {
                busy.device.deregister(now);
                told += 1;
            });
            self.follow(now, kind, device);
        }
        self.leaving = Leaving::Begun { next: until, told, before };
        until < self.members.len() || self.waiting_to_leave() > 0
    }

    /// Whether more devices could be told to leave at once.
    pub(crate) fn has_room_to_leave(&self) -> bool {
        let Leaving::Begun { next, .. } = self.leaving else { return false };
        let all = self.leave == Leave::Vanish || next >= self.members.len();
        !all && self.waiting_to_leave() < UNANSWERED_MAX
    }

    /// Devices that were told to leave and have not left; each says so once, also one that never
    /// was registered.
    fn waiting_to_leave(&self) -> usize {
        let Leaving::Begun { told, before, .. } = self.leaving else { return 0 };
        told.saturating_sub((self.left() - before) as usize)
    }

    fn begin<W: Wire>(&mut self, now: Instant, wire: &mut W) -> Result<(), W::Error> {
        let Some(kind) = self.next_kind() else { return Ok(()) };
        let Some(group) = self.groups.get_mut(kind) else { return Ok(()) };
        let Some(shared) = self.plan.kinds().get(kind) else { return Ok(()) };
        let device = shared.first + group.counts.started;
        wire.open(device)?;
        group.counts.started += 1;
        let identity = self.plan.identity(shared, device);
        let seed = self.plan.seed_of(device);
        let profile = Arc::clone(identity.profile);
        let made = Device::with_habits(identity.name, profile, identity.habits, seed, now);
        let Some((mut hand, member)) = self.hand(kind, device) else { return Ok(()) };
        member.line = (device % usize::from(hand.lines)) as u8;
        member.rebindings = hand.plan.rebindings(hand.kind, device, now);
        hand.finish(now, member, Busy::new(made, now), wire);
        self.follow(now, kind, device);
        Ok(())
    }

    /// The group that is furthest behind, so that all of them grow side by side.
    fn next_kind(&self) -> Option<usize> {
        let progress = |group: &GroupState| {
            (group.counts.started as u128 * (1 << 32)) / group.counts.count.max(1) as u128
        };
        let open = self.groups.iter().enumerate();
        let open = open.filter(|(_, group)| group.counts.started < group.counts.count);
        open.min_by_key(|(_, group)| progress(group)).map(|(kind, _)| kind)
    }

    /// How many devices shall have begun by a time.
    fn wanted_by(&self, now: Instant) -> usize {
        let (passed, count) = (u128::from(now.as_micros()), self.members.len() as u128);
        let wanted = match self.ramp {
            // The first one begins at once.
            Ramp::Constant { rate } => passed * u128::from(rate) / 1_000_000 + 1,
            Ramp::Burst { within } if within.is_zero() => count,
            Ramp::Burst { within } => passed * count / within.as_micros() + 1,
        };
        usize::try_from(wanted.min(count)).unwrap_or(usize::MAX)
    }

    /// How many more devices may wait for the answer to their first Register.
    fn room_to_begin(&self) -> usize {
        match self.ramp {
            Ramp::Burst { .. } => usize::MAX,
            Ramp::Constant { .. } => {
                let waiting = |group: &GroupState| group.counts.started - group.counts.answered;
                UNANSWERED_MAX.saturating_sub(self.groups.iter().map(waiting).sum())
            }
        }
    }

    fn started(&self) -> usize {
        self.groups.iter().map(|group| group.counts.started).sum()
    }

    fn left(&self) -> u64 {
        self.groups.iter().map(|group| group.counts.left).sum()
    }
}

/// How long a fleet of that size takes to leave at most: 5 s, and one more for each 5 000 devices.
pub(crate) const fn time_to_leave(count: usize) -> Duration {
    Duration::from_secs(5 + count as u64 / 5_000)
}
