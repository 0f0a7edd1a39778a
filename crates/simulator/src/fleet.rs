//! The fleet in motion: devices, timers and sockets in one loop.
//!
//! Each turn receives what is there, does what is due, lets new devices begin, sends what was
//! collected, tells the caller how it stands, and sleeps until the next of these.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coap::wheel::TimerWheel;
use coap::{Duration, Instant};
use device::{Device, Event, Profile};
use udpio::RecvBatch;

use crate::clock::{self, Clock};
use crate::config::{ConfigError, FleetConfig, Leave, Start};
use crate::network::Network;
use crate::stats::{Snapshot, Summary};
use crate::values;

/// Why a fleet could not run.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The configuration cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system gave no sockets, or they failed.
    #[error("{0}")]
    Network(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How often the caller is told how the fleet stands, and how fast it sees the stop flag.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Devices that wait for the answer to their first Register, or to Deregister: more at once would
/// only fill the server's buffers, and their repetitions would slow it further.
const UNANSWERED_MAX: usize = 2_000;

/// Devices that begin, and timers that are served, in one turn, so that answers are not kept
/// waiting.
const BEGIN_MAX: usize = 64;
const TIMERS_MAX: usize = 1_024;

/// How long the fleet takes to leave at most, plus one second per 5 000 devices.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
const LEAVE_PER_SECOND: usize = 5_000;

/// Runs a fleet until `stop` is set or its time is over. `tell` is called ten times a second.
///
/// # Errors
/// A configuration that cannot be, and sockets that cannot be had. Servers that do not answer are
/// no errors; they show in the [`Summary`].
pub fn run(
    config: FleetConfig,
    stop: &AtomicBool,
    mut tell: impl FnMut(&Snapshot),
) -> Result<Summary, FleetError> {
    config.check()?;
    let mut fleet = Fleet::new(config)?;
    let mut buffers = Network::receive_buffers();
    while !stop.load(Ordering::Relaxed) && !fleet.is_over() {
        fleet.turn(&mut buffers)?;
        if let Some(snapshot) = fleet.news() {
            tell(&snapshot);
        }
    }
    fleet.end(&mut buffers, &mut tell)
}

struct Fleet {
    config: FleetConfig,
    profile: Arc<Profile>,
    clock: Clock,
    network: Network,
    members: Vec<Member>,
    timers: TimerWheel<u32>,
    summary: Summary,
    /// When the caller is told next.
    tell_at: Instant,
    /// How many devices were told to leave, in the order of their numbers.
    leaving: usize,
    /// How many had left by themselves before that.
    left_before: u64,
    /// Devices that received something in this turn; kept for its memory.
    touched: Vec<usize>,
    /// Whether new devices may begin and values change.
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Devices begin; with [`Start::WhenObserved`] values stay as they are.
    Gathering,
    /// Values change.
    Changing,
    /// Devices leave.
    Leaving,
}

struct Member {
    device: Device,
    /// The earliest entry in the wheel; later ones are ignored when they come.
    scheduled: Option<Instant>,
    change_at: Option<Instant>,
    began: Instant,
    registered: bool,
    once_registered: bool,
    /// Whether the server answered a Register, in whatever way.
    answered: bool,
    observed: bool,
}

impl Fleet {
    fn new(config: FleetConfig) -> Result<Self, FleetError> {
        let network =
            Network::open(config.server, config.effective_sources()).map_err(network_error)?;
        let mut summary = Summary::default();
        summary.totals.count = config.count;
        let phase = match config.start {
            Start::AtOnce => Phase::Changing,
            Start::WhenObserved => Phase::Gathering,
        };
        Ok(Self {
            profile: config.profile(clock::wall_ms()),
            members: Vec::with_capacity(config.count),
            config,
            clock: Clock::start(),
            network,
            timers: TimerWheel::default(),
            summary,
            tell_at: Instant::ZERO,
            leaving: 0,
            left_before: 0,
            touched: Vec::new(),
            phase,
        })
    }

    fn is_over(&self) -> bool {
        let end = self.config.duration.map(|duration| Instant::ZERO + duration);
        end.is_some_and(|end| self.clock.now() >= end)
    }

    fn turn(&mut self, buffers: &mut RecvBatch) -> Result<(), FleetError> {
        self.receive(buffers)?;
        self.fire_timers();
        if self.phase != Phase::Leaving {
            self.begin_some()?;
        }
        self.network.flush();
        let timeout = self.sleep_time();
        self.network.wait(timeout).map_err(network_error)
    }

    fn receive(&mut self, buffers: &mut RecvBatch) -> Result<(), FleetError> {
        let now = self.clock.now();
        let mut touched = std::mem::take(&mut self.touched);
        let members = &mut self.members;
        self.network
            .receive(buffers, |index, datagram| {
                let Some(member) = members.get_mut(index) else { return };
                member.device.handle_datagram(now, datagram);
                touched.push(index);
            })
            .map_err(network_error)?;
        for index in touched.drain(..) {
            self.settle(now, index);
        }
        self.touched = touched;
        Ok(())
    }

    fn fire_timers(&mut self) {
        let now = self.clock.now();
        for _ in 0..TIMERS_MAX {
            let Some(index) = self.timers.poll_expired(now) else { return };
            let index = index as usize;
            let Some(member) = self.members.get_mut(index) else { continue };
            // A later entry of the same device stays in the wheel and is served as harmlessly.
            if member.scheduled.is_some_and(|at| at <= now) {
                member.scheduled = None;
            }
            member.device.handle_timeout(now);
            if member.change_at.is_some_and(|at| at <= now) && self.phase == Phase::Changing {
                change_value(member, index, now, self.config.change_every);
            }
            self.settle(now, index);
        }
    }

    /// Lets as many devices begin as the rate allows by now.
    fn begin_some(&mut self) -> Result<(), FleetError> {
        let now = self.clock.now();
        let wanted = self.wanted_by(now);
        let waiting = self.members.len() - self.summary.totals.answered;
        let room = UNANSWERED_MAX.saturating_sub(waiting);
        let missing = wanted.saturating_sub(self.members.len());
        for _ in 0..missing.min(room).min(BEGIN_MAX) {
            self.begin(now)?;
        }
        Ok(())
    }

    fn begin(&mut self, now: Instant) -> Result<(), FleetError> {
        let index = self.members.len();
        self.network.add_device().map_err(network_error)?;
        let seed = self.config.seed.wrapping_add(index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let device = Device::new(&self.config.name(index), Arc::clone(&self.profile), seed, now);
        self.members.push(Member {
            device,
            scheduled: None,
            change_at: None,
            began: now,
            registered: false,
            once_registered: false,
            answered: false,
            observed: false,
        });
        self.summary.totals.started += 1;
        self.settle(now, index);
        Ok(())
    }

    /// How many devices shall have begun by a time.
    fn wanted_by(&self, now: Instant) -> usize {
        let micros = u128::from(now.as_micros()) * u128::from(self.config.rate);
        // The first one begins at once.
        usize::try_from(micros / 1_000_000 + 1).unwrap_or(usize::MAX).min(self.config.count)
    }

    /// After each input of a device: its datagrams leave, its events are counted, its next timer is
    /// set.
    fn settle(&mut self, now: Instant, index: usize) {
        let Some(member) = self.members.get_mut(index) else { return };
        // Before its datagrams leave: what a reboot sends comes from a new address.
        while let Some(event) = member.device.poll_event() {
            if event == Event::Rebooted {
                self.network.move_device(index);
            }
            count(&mut self.summary, member, &event, now);
        }
        transmit(&mut self.network, index, &mut member.device);
        let totals = &mut self.summary.totals;
        track(&mut member.registered, member.device.is_registered(), &mut totals.registered);
        track(&mut member.observed, member.device.observation_count() > 0, &mut totals.observed);
        if member.registered && member.change_at.is_none() && self.phase == Phase::Changing {
            let first = |every| values::first_change(index, every, now);
            member.change_at = self.config.change_every.map(first);
        }
        let due = earliest(member.device.poll_timeout(), member.change_at);
        schedule(&mut self.timers, member, index, due);
        self.leave_gathering(now);
    }

    /// Values begin to change once everybody is registered and observed.
    fn leave_gathering(&mut self, now: Instant) {
        let totals = &self.summary.totals;
        let ready = totals.registered == totals.count && totals.observed == totals.count;
        if self.phase != Phase::Gathering || !ready {
            return;
        }
        self.phase = Phase::Changing;
        let Some(every) = self.config.change_every else { return };
        for (index, member) in self.members.iter_mut().enumerate() {
            member.change_at = Some(values::first_change(index, every, now));
            let due = earliest(member.device.poll_timeout(), member.change_at);
            schedule(&mut self.timers, member, index, due);
        }
    }

    fn sleep_time(&self) -> Duration {
        let now = self.clock.now();
        let mut until = self.tell_at;
        if let Some(deadline) = self.timers.next_deadline() {
            until = until.min(deadline);
        }
        match self.phase {
            Phase::Leaving => {
                let room = self.leaving.saturating_sub(self.left()) < UNANSWERED_MAX;
                if room && self.leaving < self.members.len() {
                    return Duration::ZERO;
                }
            }
            Phase::Gathering | Phase::Changing => {
                let totals = &self.summary.totals;
                let room = totals.started - totals.answered < UNANSWERED_MAX;
                if room && totals.started < totals.count {
                    let due = 1_000_000 * totals.started as u64 / u64::from(self.config.rate);
                    until = until.min(Instant::from_micros(due));
                }
            }
        }
        until - now
    }

    /// The state of the fleet, when it is time to tell it.
    fn news(&mut self) -> Option<Snapshot> {
        let now = self.clock.now();
        if now < self.tell_at {
            return None;
        }
        self.tell_at = now + TELL_EVERY;
        Some(self.snapshot())
    }

    fn snapshot(&mut self) -> Snapshot {
        let traffic = self.network.traffic;
        let totals = &mut self.summary.totals;
        totals.elapsed = self.clock.now() - Instant::ZERO;
        totals.datagrams_in = traffic.received;
        totals.datagrams_out = traffic.sent;
        totals.datagrams_dropped = traffic.dropped;
        *totals
    }

    /// Lets the devices leave and sums up.
    fn end(
        mut self,
        buffers: &mut RecvBatch,
        tell: &mut impl FnMut(&Snapshot),
    ) -> Result<Summary, FleetError> {
        self.phase = Phase::Leaving;
        self.left_before = self.summary.totals.left;
        if self.config.leave == Leave::Deregister {
            let time = self.members.len() / LEAVE_PER_SECOND;
            let until = self.clock.now() + LEAVE_WITHIN + Duration::from_secs(time as u64);
            while self.left() < self.members.len() && self.clock.now() < until {
                self.leave_some();
                self.turn(buffers)?;
                if let Some(snapshot) = self.news() {
                    tell(&snapshot);
                }
            }
        }
        self.network.flush();
        tell(&self.snapshot());
        Ok(self.summary)
    }

    /// Lets as many devices leave as may wait for their answer at once.
    fn leave_some(&mut self) {
        let now = self.clock.now();
        let room = UNANSWERED_MAX.saturating_sub(self.leaving.saturating_sub(self.left()));
        let to = (self.leaving + room.min(BEGIN_MAX)).min(self.members.len());
        for index in self.leaving..to {
            if let Some(member) = self.members.get_mut(index) {
                member.change_at = None;
                member.device.deregister(now);
            }
            self.leaving += 1;
            self.settle(now, index);
        }
    }

    /// How many of those that were told to leave have left; each says so once, also one that never
    /// was registered.
    fn left(&self) -> usize {
        (self.summary.totals.left - self.left_before) as usize
    }
}

fn transmit(network: &mut Network, index: usize, device: &mut Device) {
    while network.send(index, |buffer| device.poll_transmit(buffer).is_some()) {}
}

fn change_value(member: &mut Member, index: usize, now: Instant, every: Option<Duration>) {
    member.device.set_value(now, values::TEMPERATURE, values::temperature(index, now));
    member.change_at = every.map(|every| now + every);
}

fn schedule(timers: &mut TimerWheel<u32>, member: &mut Member, index: usize, due: Option<Instant>) {
    let Some(due) = due else { return };
    // One entry per device is enough: a timer that comes early finds nothing to do and is set anew.
    if member.scheduled.is_none_or(|scheduled| due < scheduled) {
        member.scheduled = Some(due);
        timers.schedule(due, index as u32);
    }
}

fn earliest(first: Option<Instant>, second: Option<Instant>) -> Option<Instant> {
    [first, second].into_iter().flatten().min()
}

fn track(was: &mut bool, is: bool, number: &mut usize) {
    match (*was, is) {
        (false, true) => *number += 1,
        (true, false) => *number -= 1,
        (true, true) | (false, false) => {}
    }
    *was = is;
}

fn count(summary: &mut Summary, member: &mut Member, event: &Event, now: Instant) {
    let totals = &mut summary.totals;
    let answer = matches!(event, Event::Registered { .. } | Event::RegistrationRefused { .. });
    if answer && !member.answered {
        member.answered = true;
        totals.answered += 1;
    }
    match event {
        Event::Registered { .. } => {
            totals.registrations += 1;
            if !member.once_registered {
                member.once_registered = true;
                totals.once_registered += 1;
                summary.registration.record(now - member.began);
            }
        }
        Event::RegistrationRefused { .. } => totals.refused += 1,
        Event::Updated => totals.updates += 1,
        Event::UpdateRefused { .. } => totals.updates_refused += 1,
        Event::Silence => totals.unanswered += 1,
        Event::Notified { .. } => totals.notifications += 1,
        Event::Observed { .. } => totals.observations += 1,
        Event::Executed { .. } => totals.executions += 1,
        Event::Written { .. } => totals.writes += 1,
        Event::Created { .. } | Event::Deleted { .. } => totals.instances += 1,
        Event::Rebooted => totals.reboots += 1,
        Event::Deregistered => totals.left += 1,
        Event::SendFinished { .. }
        | Event::AttributesWritten { .. }
        | Event::ObservationEnded { .. } => {}
    }
}

fn network_error(error: crate::network::NetworkError) -> FleetError {
    FleetError::Network(Box::new(error))
}
