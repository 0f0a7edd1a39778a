//! What is still to be observed of one device, and when the next of it may be asked for.
//!
//! A plan exists from a Register until everything in it is settled; an idle device has none. What
//! goes into it and what becomes of it is the job of [`crate::arming`].

use std::collections::VecDeque;

use coap::{Duration, ExchangeId, Instant, ObservationId};
use lwm2m::Path;

use crate::command::Origin;
use crate::event::ObserveCause;
use crate::interface::management::Prepared;
use crate::queue::Sleep;

/// Commands that may go before an observe that could be sent. They come first, since somebody waits
/// for their answers; but an application that never stops asking must not keep the device from
/// being observed.
const PASSED_MAX: u8 = 8;

/// How often an observe of a command is sent before the observation is given up: each time the
/// device said something and then did not answer for `command_timeout`. A device that does so five
/// times in a row does not answer this one.
const TRIES_MAX: u8 = 5;

/// An observation that is to be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) request: Prepared,
    pub(crate) origin: Origin,
    pub(crate) cause: ObserveCause,
    /// How often it was sent in vain.
    pub(crate) tries: u8,
}

impl Wanted {
    pub(crate) const fn new(request: Prepared, origin: Origin, cause: ObserveCause) -> Self {
        Self { request, origin, cause, tries: 0 }
    }

    /// Whether it may be sent once more after it was not answered. Nobody asked for an automatic
    /// one, so the device has to have slept over it.
    fn may_be_tried_again(&self, sleep: Sleep) -> bool {
        let is_wanted = match self.cause {
            ObserveCause::Rearmed => true,
            ObserveCause::Automatic => sleep == Sleep::Over,
        };
        is_wanted && self.tries + 1 < TRIES_MAX
    }
}

/// An observe that was sent and has not been answered.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) exchange: ExchangeId,
    pub(crate) observation: ObservationId,
    pub(crate) wanted: Wanted,
    pub(crate) sleep: Sleep,
}

/// What the next observe waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holdup {
    /// Its turn.
    None,
    /// A time.
    Until(Instant),
    /// Anything from the device, which did not answer the one before.
    SignOfLife,
}

/// The plan of one device.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What commands had asked for, and what is tried again. It comes first: somebody waits for it.
    wanted: VecDeque<Wanted>,
    /// What is observed without being asked.
    automatic: VecDeque<Path>,
    asking: Option<Asking>,
    holdup: Holdup,
    /// Commands that have gone before the next observe.
    passed: u8,
}

/// What became of an observe that was not answered.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// It is sent again when the device has been heard of.
    TriedAgain,
    /// It was the last time.
    GivenUp(Wanted),
}

impl Plan {
    /// A plan whose first observe leaves after `delay`.
    pub(crate) fn new(
        wanted: VecDeque<Wanted>,
        automatic: VecDeque<Path>,
        now: Instant,
        delay: Duration,
    ) -> Self {
        let holdup = if delay.is_zero() { Holdup::None } else { Holdup::Until(now + delay) };
        Self { wanted, automatic, asking: None, holdup, passed: 0 }
    }

    /// Whether nothing is left to be done.
    pub(crate) fn is_done(&self) -> bool {
        self.asking.is_none() && self.is_empty()
    }

    pub(crate) const fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// When the next observe may leave, if it waits for nothing else.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.holdup {
            Holdup::Until(at) if self.asking.is_none() && !self.is_empty() => Some(at),
            Holdup::Until(_) | Holdup::None | Holdup::SignOfLife => None,
        }
    }

    /// The payload of the next observe, if it may leave.
    pub(crate) fn next_payload_len(&self) -> Option<usize> {
        if !self.is_free() {
            return None;
        }
        Some(self.wanted.front().map_or(0, |wanted| wanted.request.payload.len()))
    }

    /// Whether enough commands have gone before.
    pub(crate) fn is_overdue(&self) -> bool {
        self.passed >= PASSED_MAX && self.is_free()
    }

    /// A command goes before.
    pub(crate) const fn pass(&mut self) {
        self.passed = self.passed.saturating_add(1);
    }

    /// Nothing leaves before `at`.
    pub(crate) const fn hold_until(&mut self, at: Instant) {
        self.holdup = Holdup::Until(at);
        self.passed = 0;
    }

    /// Nothing leaves before the device says something.
    pub(crate) const fn hold_until_heard(&mut self) {
        self.holdup = Holdup::SignOfLife;
    }

    /// The device said something.
    pub(crate) fn on_sign_of_life(&mut self) {
        if self.holdup == Holdup::SignOfLife {
            self.holdup = Holdup::None;
        }
    }

    /// Time has passed.
    pub(crate) fn on_time(&mut self, now: Instant) {
        if matches!(self.holdup, Holdup::Until(at) if at <= now) {
            self.holdup = Holdup::None;
        }
    }

    /// Takes what is to be observed next, if it may leave. Automatic observations get `origin`.
    pub(crate) fn take_next(&mut self, origin: &Origin) -> Option<Wanted> {
        if !self.is_free() {
            return None;
        }
        self.wanted.pop_front().or_else(|| {
            let request = Prepared::observe(self.automatic.pop_front()?);
            Some(Wanted::new(request, origin.clone(), ObserveCause::Automatic))
        })
    }

    /// Notes that an observe was sent; the next one leaves `pace` later at the earliest.
    pub(crate) fn ask(&mut self, asking: Asking, now: Instant, pace: Duration) {
        self.asking = Some(asking);
        self.holdup = if pace.is_zero() { Holdup::None } else { Holdup::Until(now + pace) };
        self.passed = 0;
    }

    /// Takes the observe whose exchange ended.
    pub(crate) fn land(&mut self, exchange: ExchangeId) -> Option<Asking> {
        self.asking.take_if(|asking| asking.exchange == exchange)
    }

    /// The observe that is in flight.
    pub(crate) const fn asking(&self) -> Option<&Asking> {
        self.asking.as_ref()
    }

    /// The device slept and woke while an observe was on its way, which is said.
    pub(crate) fn oversleep(&mut self) -> Option<ExchangeId> {
        let asking = self.asking.as_mut()?;
        asking.sleep = Sleep::Over;
        Some(asking.exchange)
    }

    /// An observe was not answered. Whoever does not answer one does not answer the next, so the
    /// rest waits until the device has been heard of, unless it slept over this one and is awake.
    pub(crate) fn on_silence(&mut self, mut wanted: Wanted, sleep: Sleep) -> Unanswered {
        if sleep == Sleep::None {
            self.hold_until_heard();
        }
        if !wanted.may_be_tried_again(sleep) {
            return Unanswered::GivenUp(wanted);
        }
        wanted.tries += 1;
        self.wanted.push_front(wanted);
        Unanswered::TriedAgain
    }

    /// Adds what was handed over, unless it is in the plan already.
    pub(crate) fn add(&mut self, wanted: impl IntoIterator<Item = Wanted>) {
        for wanted in wanted {
            if !self.wanted.iter().any(|known| known.request == wanted.request) {
                self.wanted.push_back(wanted);
            }
        }
    }

    /// Drops what `is_it` says, of what was not sent yet.
    pub(crate) fn drop_if(&mut self, is_it: impl Fn(&Prepared) -> bool) {
        self.wanted.retain(|wanted| !is_it(&wanted.request));
        self.automatic.retain(|path| !is_it(&Prepared::observe(*path)));
    }

    /// What of the plan concerns commands, the observe in flight first.
    pub(crate) fn into_rearmed(self) -> impl Iterator<Item = Wanted> {
        let asking = self.asking.map(|asking| asking.wanted);
        let wanted = asking.into_iter().chain(self.wanted);
        wanted.filter(|wanted| wanted.cause == ObserveCause::Rearmed)
    }

    /// What a store has to know: the observe in flight counts as not sent.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        self.asking.as_ref().map(|asking| &asking.wanted).into_iter().chain(&self.wanted)
    }

    /// The rest of it: what is observed without being asked.
    pub(crate) const fn automatic(&self) -> &VecDeque<Path> {
        &self.automatic
    }

    fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.automatic.is_empty()
    }

    /// Whether the next observe waits for its turn alone.
    fn is_free(&self) -> bool {
        self.holdup == Holdup::None && self.asking.is_none() && !self.is_empty()
    }
}
