//! The fleet in motion: devices, timers and decisions, without sockets and without a clock.
//!
//! Whoever drives it hands in datagrams and the time, and a [`Wire`] that takes what leaves; that
//! is the job of [`crate::drive`]. What happens to one device is in [`member`], what it means for
//! the counts in [`counting`], how devices begin and leave in [`ramp`].

mod counting;
mod member;
mod ramp;

use coap::wheel::TimerWheel;
use coap::{Duration, Instant};

use crate::config::{FleetConfig, Leave, Ramp, Start};
use crate::latency::Latency;
use crate::plan::{Kind, Plan};
use crate::stats::Snapshot;
use crate::summary::Summary;
use crate::wire::{Place, Wire};

use member::{Member, Outcome};
pub(crate) use ramp::time_to_leave;

/// Timers that are served in one go, so that answers are not kept waiting.
const TIMERS_MAX: usize = 256;

/// A fleet.
pub(crate) struct Fleet {
    plan: Plan,
    ramp: Ramp,
    leave: Leave,
    /// The addresses that a device can have, in turn.
    lines: u8,
    /// By number; `None`: not begun.
    members: Vec<Option<Box<Member>>>,
    timers: TimerWheel<u32>,
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
            members: (0..config.count()).map(|_| None).collect(),
            timers: TimerWheel::default(),
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
        hand.counts.datagrams_in += 1;
        hand.follow_rebinding(now, member, wire);
        if to.line != member.line {
            hand.counts.datagrams_to_old_address += 1;
        } else if member.is_asleep(now) {
            hand.counts.datagrams_while_asleep += 1;
        } else if hand.loses(member) {
            hand.counts.lost_simulated += 1;
        } else {
            member.hear(now, datagram);
            self.settle(now, kind, to.device, wire);
        }
    }

    /// Does what is due, a bounded part of it: call it again until [`Fleet::next_deadline`] lies
    /// ahead.
    pub(crate) fn handle_timeouts(&mut self, now: Instant, wire: &mut impl Wire) {
        for _ in 0..TIMERS_MAX {
            let Some(device) = self.timers.poll_expired(now) else { return };
            let device = device as usize;
            let kind = self.plan.kind_of(device);
            let changing = self.may_change(kind);
            let Some((mut hand, member)) = self.hand(kind, device) else { continue };
            // A later entry of the same device stays in the wheel and is served as harmlessly.
            member.on_timer(now);
            hand.storm(now, member);
            if changing {
                hand.change(now, member, wire);
            }
            self.settle(now, kind, device, wire);
        }
    }

    /// When something is due next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let begin = self.next_begin();
        [self.timers.next_deadline(), begin].into_iter().flatten().min()
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

    /// A device that has begun, with what acting on it takes.
    fn hand(&mut self, kind: usize, device: usize) -> Option<(Hand<'_>, &mut Member)> {
        let member = self.members.get_mut(device)?.as_deref_mut()?;
        let hand = Hand {
            plan: &self.plan,
            kind: self.plan.kinds().get(kind)?,
            counts: &mut self.groups.get_mut(kind)?.counts,
            latencies: &mut self.latencies,
            device,
            lines: self.lines,
        };
        Some((hand, member))
    }

    /// After each input of a device: its events are counted, its datagrams leave, its next timer is
    /// set.
    fn settle(&mut self, now: Instant, kind: usize, device: usize, wire: &mut impl Wire) {
        let changing = self.may_change(kind);
        let Some((mut hand, member)) = self.hand(kind, device) else { return };
        // Before its datagrams leave: what a reboot sends comes from a new address.
        hand.count_events(now, member, wire);
        hand.transmit(now, member, wire);
        hand.track(member);
        if changing {
            hand.begin_changes(now, member);
        }
        if let Some(due) = member.schedule() {
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
            let Some((mut hand, member)) = self.hand(kind, device) else { continue };
            hand.begin_changes(now, member);
            if let Some(due) = member.schedule() {
                self.timers.schedule(due, device as u32);
            }
        }
    }
}

/// What acting on one device takes besides the device.
struct Hand<'a> {
    plan: &'a Plan,
    kind: &'a Kind,
    counts: &'a mut Snapshot,
    latencies: &'a mut Latencies,
    device: usize,
    lines: u8,
}

impl Hand<'_> {
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
    fn transmit(&mut self, now: Instant, member: &mut Member, wire: &mut impl Wire) {
        while member.device.has_transmit() {
            self.follow_rebinding(now, member, wire);
            member.listen(now);
            if self.loses(member) {
                self.counts.lost_simulated += 1;
                member.device.skip_transmit();
                continue;
            }
            let from = Place { device: self.device, line: member.line };
            let device = &mut member.device;
            if wire.send(from, |buffer| device.poll_transmit(buffer).is_some()) {
                self.counts.datagrams_out += 1;
            }
        }
    }

    /// Reboots the device if the storm has reached it.
    fn storm(&mut self, now: Instant, member: &mut Member) {
        if member.reboot_at.is_some_and(|at| at <= now) {
            member.reboot_at = None;
            member.device.reboot(now);
        }
    }

    /// Sets when the value of the device changes first, if it may.
    fn begin_changes(&mut self, now: Instant, member: &mut Member) {
        let notify = &self.kind.group.notify;
        let may = match notify.start {
            Start::Observed => member.observed,
            Start::AtOnce | Start::WhenObserved => member.registered,
        };
        if member.change_at.is_some() || !may {
            return;
        }
        let Some(every) = self.plan.changes_every(self.kind, self.device) else { return };
        let from = now.max(Instant::ZERO + notify.after);
        member.change_at = Some(from + every.mul_f64(self.plan.phase(self.device)));
    }

    /// Changes the value of the device if it is time.
    fn change(&mut self, now: Instant, member: &mut Member, wire: &impl Wire) {
        let Some(at) = member.change_at.filter(|at| *at <= now) else { return };
        let notify = &self.kind.group.notify;
        if notify.start == Start::Observed && !member.observed {
            member.change_at = None;
            return;
        }
        let every = self.plan.changes_every(self.kind, self.device);
        let (next, skipped) = next_change(at, every, now);
        self.counts.changes_skipped += skipped;
        member.change_at = next;
        let number = match notify.value {
            crate::config::Signal::Wave => crate::values::temperature(self.device, now),
            crate::config::Signal::Clock => crate::values::seconds(wire.wall_micros()),
        };
        let value = crate::values::as_type_of(member.device.value(&notify.resource), number);
        member.device.set_value(now, notify.resource, value);
    }

    fn count_events(&mut self, now: Instant, member: &mut Member, wire: &mut impl Wire) {
        self.counts.retransmissions += u64::from(member.device.take_repetitions());
        while let Some(event) = member.device.poll_event() {
            match counting::count(self.counts, self.latencies, member, &event, now) {
                Outcome::Counted => {}
                Outcome::Moved => self.move_on(member, wire),
            }
        }
    }

    fn track(&mut self, member: &mut Member) {
        let registered = member.device.is_registered();
        let observed = member.device.observation_count() > 0;
        counting::track(&mut member.registered, registered, &mut self.counts.registered);
        counting::track(&mut member.observed, observed, &mut self.counts.observed);
    }
}

/// When a value changes after `at`, and how many changes are left out because they are past.
fn next_change(at: Instant, every: Option<Duration>, now: Instant) -> (Option<Instant>, u64) {
    let Some(every) = every else { return (None, 0) };
    let late = (now - at).as_micros() as u64 / (every.as_micros() as u64).max(1);
    let skipped = Duration::from_micros((every.as_micros() as u64).saturating_mul(late));
    (Some(at + skipped + every), late)
}

#[cfg(test)]
mod tests;
