//! The fleet in motion: devices, timers and decisions, without sockets and without a clock.
//!
//! Whoever drives it hands in datagrams and the time, and a [`Wire`] that takes what leaves; that
//! is the job of [`crate::drive`]. What happens to one device is in [`member`], what it means for
//! the counts in [`counting`], how devices begin and leave in [`ramp`].

mod counting;
mod member;
mod ramp;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use coap::wheel::TimerWheel;
use coap::{Duration, Instant};

use crate::config::{FleetConfig, Leave, Ramp, Signal, Start};
use crate::latency::Latency;
use crate::plan::{Kind, Plan};
use crate::stats::Snapshot;
use crate::summary::Summary;
use crate::values;
use crate::wire::{Place, Wire};

use member::{Busy, Flag, Member, NEVER, Outcome, Pool};
pub(crate) use ramp::time_to_leave;

/// Timers that are served in one go, so that answers are not kept waiting.
const TIMERS_MAX: usize = 256;

/// Entries of the wheel that are sorted in one go: 4 096 take less than a millisecond.
const CALLS_MAX: usize = 4_096;

/// A tick of the wheel, rounded up to milliseconds.
const TICK: Duration = Duration::from_millis(9);

/// A fleet.
pub(crate) struct Fleet {
    plan: Plan,
    ramp: Ramp,
    leave: Leave,
    /// The addresses that a device can have, in turn.
    lines: u8,
    /// By number, also those that have not begun.
    members: Vec<Member>,
    timers: TimerWheel<u32>,
    /// Who acts within the next tick of the wheel, in exact order.
    soon: BinaryHeap<Reverse<(Instant, u32)>>,
    pool: Pool,
    groups: Vec<GroupState>,
    latencies: Latencies,
    leaving: Leaving,
}

/// Where a group stands.
struct GroupState {
    counts: Snapshot,
    /// Whether its values may change.
    changing: bool,
}

#[derive(Default)]
struct Latencies {
    registration: Latency,
    update: Latency,
    acknowledgement: Latency,
}

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    NotYet,
    /// All devices below `next` were told to leave; `told`: how many of them there are, `before`:
    /// how many had left by themselves.
    Begun {
        next: usize,
        told: usize,
        before: u64,
    },
}

impl Fleet {
    /// A fleet none of whose devices has begun. `epoch_ms`: the wall-clock time at the origin of
    /// the clock; `lines`: see [`Wire::lines`].
    pub(crate) fn new(config: &FleetConfig, epoch_ms: Option<i64>, lines: u8) -> Self {
        let groups = config.groups.iter().map(|group| GroupState {
            counts: Snapshot { count: group.count, ..Snapshot::default() },
            changing: group.notify.start != Start::WhenObserved,
        });
        Self {
            plan: Plan::new(config, epoch_ms),
            ramp: config.ramp,
            leave: config.leave,
            lines: lines.max(1),
            members: (0..config.count()).map(|_| Member::new()).collect(),
            timers: TimerWheel::with_capacity(config.count()),
            soon: BinaryHeap::new(),
            pool: Pool::default(),
            groups: groups.collect(),
            latencies: Latencies::default(),
            leaving: Leaving::NotYet,
        }
    }

    /// Takes a datagram that the server sent to this place.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        to: Place,
        datagram: &[u8],
        wire: &mut impl Wire,
    ) {
        let kind = self.plan.kind_of(to.device);
        let Some((mut hand, member)) = self.hand(kind, to.device) else { return };
        if !hand.receives(now, to, member, wire) {
            return;
        }
        hand.act(now, member, wire, |_, _, busy, _| busy.hear(now, datagram));
        self.follow(now, kind, to.device);
    }

    /// Does what is due, a bounded part of it: call it again until [`Fleet::next_deadline`] lies
    /// ahead.
    pub(crate) fn handle_timeouts(&mut self, now: Instant, wire: &mut impl Wire) {
        self.call_soon(now);
        for _ in 0..TIMERS_MAX {
            let Some(Reverse((at, device))) = self.soon.peek().copied() else { return };
            if at > now {
                return;
            }
            self.soon.pop();
            self.on_time(now, device as usize, wire);
        }
    }

    /// Moves what is due within the next tick of the wheel to where the order is exact: devices
    /// that act in the same tick shall not all act at its end.
    fn call_soon(&mut self, now: Instant) {
        let ahead = now + TICK;
        for _ in 0..CALLS_MAX {
            let Some(number) = self.timers.poll_expired(ahead) else { return };
            let device = number as usize;
            let kind = self.plan.kind_of(device);
            let Some((hand, member)) = self.hand(kind, device) else { continue };
            if !member.is_called(ahead) {
                continue;
            }
            let due = member.due(hand.storm_at());
            if due <= ahead {
                self.soon.push(Reverse((due, number)));
                continue;
            }
            // What it was called for is over, as an acknowledgement does.
            member.was_called();
            if member.schedule(due) {
                self.timers.schedule(due, number);
            }
        }
    }

    /// The time of a device may have come.
    fn on_time(&mut self, now: Instant, device: usize, wire: &mut impl Wire) {
        let kind = self.plan.kind_of(device);
        let changing = self.may_change(kind);
        let Some((mut hand, member)) = self.hand(kind, device) else { return };
        member.was_called();
        if member.due(hand.storm_at()) <= now {
            hand.act(now, member, wire, |hand, member, busy, wire| {
                busy.device.handle_timeout(now);
                hand.storm(now, member, busy);
                if changing {
                    hand.change(now, member, busy, wire);
                }
            });
        }
        self.follow(now, kind, device);
    }

    /// When something is due next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let soon = self.soon.peek().map(|Reverse((at, _))| *at);
        let later = self.timers.next_deadline().map(|at| at - TICK);
        [soon, later, self.next_begin()].into_iter().flatten().min()
    }

    /// The counts of the whole fleet.
    pub(crate) fn totals(&self, now: Instant) -> Snapshot {
        let mut totals = Snapshot { elapsed: now - Instant::ZERO, ..Snapshot::default() };
        for group in &self.groups {
            totals.add(&group.counts);
        }
        totals
    }

    /// What the fleet did.
    pub(crate) fn summary(self, now: Instant) -> Summary {
        let totals = self.totals(now);
        let names = self.plan.kinds().iter().map(|kind| kind.group.name.clone());
        let counts =
            self.groups.iter().map(|group| Snapshot { elapsed: totals.elapsed, ..group.counts });
        Summary {
            totals,
            groups: names.zip(counts).collect(),
            registration: self.latencies.registration,
            update: self.latencies.update,
            acknowledgement: self.latencies.acknowledgement,
            ..Summary::default()
        }
    }

    fn may_change(&self, kind: usize) -> bool {
        let changing = self.groups.get(kind).is_some_and(|group| group.changing);
        changing && self.leaving == Leaving::NotYet
    }

    /// A device, with what acting on it takes.
    fn hand(&mut self, kind: usize, device: usize) -> Option<(Hand<'_>, &mut Member)> {
        let member = self.members.get_mut(device)?;
        let hand = Hand {
            plan: &self.plan,
            kind: self.plan.kinds().get(kind)?,
            counts: &mut self.groups.get_mut(kind)?.counts,
            latencies: &mut self.latencies,
            pool: &mut self.pool,
            device,
            lines: self.lines,
        };
        Some((hand, member))
    }

    /// After each input of a device: its next change and its next timer are set.
    fn follow(&mut self, now: Instant, kind: usize, device: usize) {
        let changing = self.may_change(kind);
        let Some((hand, member)) = self.hand(kind, device) else { return };
        if changing {
            hand.begin_changes(now, member);
        }
        let due = member.due(hand.storm_at());
        if member.schedule(due) {
            self.timers.schedule(due, device as u32);
        }
        self.leave_gathering(now, kind);
    }

    /// The values of a group begin to change once each of its devices is registered and observed.
    fn leave_gathering(&mut self, now: Instant, kind: usize) {
        let Some(group) = self.groups.get_mut(kind) else { return };
        let Snapshot { registered, observed, count, .. } = group.counts;
        if group.changing || registered < count || observed < count {
            return;
        }
        group.changing = true;
        let Some(Kind { first, .. }) = self.plan.kinds().get(kind) else { return };
        for device in *first..first + count {
            self.follow(now, kind, device);
        }
    }
}

/// What acting on one device takes besides the device.
struct Hand<'a> {
    plan: &'a Plan,
    kind: &'a Kind,
    counts: &'a mut Snapshot,
    latencies: &'a mut Latencies,
    pool: &'a mut Pool,
    device: usize,
    lines: u8,
}

impl Hand<'_> {
    /// Whether a datagram reaches the device; counts why not.
    fn receives(
        &mut self,
        now: Instant,
        to: Place,
        member: &mut Member,
        wire: &mut impl Wire,
    ) -> bool {
        self.counts.datagrams_in += 1;
        self.follow_rebinding(now, member, wire);
        let sleeps = self.plan.sleeps(self.kind, self.device);
        if to.line != member.line {
            self.counts.datagrams_to_old_address += 1;
        } else if sleeps && member.is_asleep(now) {
            self.counts.datagrams_while_asleep += 1;
        } else if self.loses(member) {
            self.counts.lost_simulated += 1;
        } else {
            if sleeps {
                member.listen(now, self.kind.group.sleep.awake);
            }
            return true;
        }
        false
    }

    /// Wakes the device for an input, and sees to what follows: its events are counted, its
    /// datagrams leave, and it goes to rest again if it can.
    fn act<W: Wire>(
        &mut self,
        now: Instant,
        member: &mut Member,
        wire: &mut W,
        input: impl FnOnce(&mut Self, &mut Member, &mut Busy, &mut W),
    ) {
        let (plan, kind, device) = (self.plan, self.kind, self.device);
        let Some(mut busy) = member.take(self.pool, || plan.identity(kind, device)) else { return };
        input(self, member, &mut busy, wire);
        self.finish(now, member, busy, wire);
    }

    /// What follows an input.
    fn finish(
        &mut self,
        now: Instant,
        member: &mut Member,
        mut busy: Box<Busy>,
        wire: &mut impl Wire,
    ) {
        // Before its datagrams leave: what a reboot sends comes from a new address.
        self.count_events(now, member, &mut busy, wire);
        self.transmit(now, member, &mut busy, wire);
        self.track(member, &busy);
        member.put(busy, self.pool);
    }

    /// Lets the address change if a NAT has forgotten the device by now.
    fn follow_rebinding(&mut self, now: Instant, member: &mut Member, wire: &mut impl Wire) {
        let rebindings = self.plan.rebindings(self.kind, self.device, now);
        if rebindings > member.rebindings {
            member.rebindings = rebindings;
            self.counts.rebinds += 1;
            self.move_on(member, wire);
        }
    }

    /// Gives the device another address.
    fn move_on(&self, member: &mut Member, wire: &mut impl Wire) {
        if self.lines > 1 {
            member.line = (member.line + 1) % self.lines;
        } else {
            wire.reopen(self.device);
        }
    }

    /// Whether the next datagram of the device, of either direction, is lost.
    fn loses(&self, member: &mut Member) -> bool {
        let number = member.datagrams;
        member.datagrams = number.wrapping_add(1);
        self.plan.loses(self.kind, self.device, number)
    }

    /// Everything that the device has to say leaves, or is lost.
    fn transmit(
        &mut self,
        now: Instant,
        member: &mut Member,
        busy: &mut Busy,
        wire: &mut impl Wire,
    ) {
        let device = &mut busy.device;
        while device.has_transmit() {
            self.follow_rebinding(now, member, wire);
            if self.plan.sleeps(self.kind, self.device) {
                member.listen(now, self.kind.group.sleep.awake);
            }
            if self.loses(member) {
                self.counts.lost_simulated += 1;
                device.skip_transmit();
                continue;
            }
            let from = Place { device: self.device, line: member.line };
            if wire.send(from, |buffer| device.poll_transmit(buffer).is_some()) {
                self.counts.datagrams_out += 1;
            }
        }
    }

    /// When the storm catches the device.
    fn storm_at(&self) -> Option<Instant> {
        self.plan.reboots_at(self.kind, self.device)
    }

    /// Reboots the device if the storm has reached it.
    fn storm(&self, now: Instant, member: &mut Member, busy: &mut Busy) {
        let caught = self.storm_at().is_some_and(|at| at <= now);
        if caught && member.set(Flag::Spared, true) {
            busy.device.reboot(now);
        }
    }

    /// Sets when the value of the device changes first, if it may.
    fn begin_changes(&self, now: Instant, member: &mut Member) {
        let notify = &self.kind.group.notify;
        let may = match notify.start {
            Start::Observed => member.is(Flag::Observed),
            Start::AtOnce | Start::WhenObserved => member.is(Flag::Registered),
        };
        if member.change_at != NEVER || !may {
            return;
        }
        let Some(every) = self.plan.changes_every(self.kind, self.device) else { return };
        let from = now.max(Instant::ZERO + notify.after);
        member.change_at = from + every.mul_f64(self.plan.phase(self.device));
    }

    /// Changes the value of the device if it is time.
    fn change(&mut self, now: Instant, member: &mut Member, busy: &mut Busy, wire: &impl Wire) {
        let at = member.change_at;
        if at > now {
            return;
        }
        let notify = &self.kind.group.notify;
        let every = self.plan.changes_every(self.kind, self.device);
        let goes_on = notify.start != Start::Observed || member.is(Flag::Observed);
        let Some(every) = every.filter(|_| goes_on) else {
            member.change_at = NEVER;
            return;
        };
        let (next, skipped) = next_change(at, every, now);
        self.counts.changes_skipped += skipped;
        member.change_at = next;
        let number = match notify.value {
            Signal::Wave => values::temperature(self.device, now),
            Signal::Clock => values::seconds(wire.wall_micros()),
        };
        let value = values::as_type_of(busy.device.value(&notify.resource), number);
        busy.device.set_value(now, notify.resource, value);
    }

    fn count_events(
        &mut self,
        now: Instant,
        member: &mut Member,
        busy: &mut Busy,
        wire: &mut impl Wire,
    ) {
        self.counts.retransmissions += u64::from(busy.device.take_repetitions());
        while let Some(event) = busy.device.poll_event() {
            let mut book = counting::Book { counts: self.counts, latencies: self.latencies, now };
            match book.count(member, busy, &event) {
                Outcome::Counted => {}
                Outcome::Moved => self.move_on(member, wire),
            }
        }
    }

    fn track(&mut self, member: &mut Member, busy: &Busy) {
        let registered = busy.device.is_registered();
        let observed = busy.device.observation_count() > 0;
        counting::track(member, Flag::Registered, registered, &mut self.counts.registered);
        counting::track(member, Flag::Observed, observed, &mut self.counts.observed);
    }
}

/// When a value changes after `at`, and how many changes are left out because they are past.
fn next_change(at: Instant, every: Duration, now: Instant) -> (Instant, u64) {
    let every = (every.as_micros() as u64).max(1);
    let late = (now - at).as_micros() as u64 / every;
    (at + Duration::from_micros(every.saturating_mul(late + 1)), late)
}

#[cfg(test)]
mod tests;
