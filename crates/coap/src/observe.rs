//! One observation of ours: order and repetition of its notifications: RFC 7641 3.4, RFC 7252 4.5.
//!
//! Forty bytes, since there are a million of them. Repeated notifications are known by the message
//! ids kept here, so that notifications need no entry in [`crate::dedup`]. Asking, answering and
//! fetching is the job of [`crate::endpoint`].

use alloc::sync::Arc;

use crate::time::{Duration, Instant};
use crate::{Freshness, MessageId, Request};

/// What is known of one observation.
#[derive(Debug)]
pub(crate) struct Observation {
    /// The random part of the token.
    pub(crate) random: u32,
    /// The last fresh Observe number, or [`NO_NUMBER`].
    number: u32,
    /// When it came.
    fresh: Coarse,
    /// When the last message id came.
    heard: Coarse,
    recent: [u16; RECENT],
    /// Two bits of [`Seen`] for each of `recent`.
    seen: u8,
    /// Place of the oldest of `recent`.
    oldest: u8,
    pub(crate) standing: Standing,
    /// Number of the exchange that asks, cancels or fetches at the moment, or [`NO_EXCHANGE`].
    exchange: u32,
    /// What was asked; equal requests share one.
    pub(crate) request: Option<Arc<Request>>,
}

/// How far an observation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The first answer is waited for.
    Asked,
    /// Notifications are welcome.
    Established,
    /// Notifications get Reset.
    Cancelling,
}

/// What became of a message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing is known of it.
    Never,
    /// Handed up and not completed.
    Pending,
    /// Taken: a repetition is acknowledged again.
    Accepted,
    /// Refused: a repetition counts as new.
    Refused,
}

impl Observation {
    pub(crate) const fn new(random: u32, request: Option<Arc<Request>>) -> Self {
        Self {
            random,
            number: NO_NUMBER,
            fresh: Coarse(0),
            heard: Coarse(0),
            recent: [0; RECENT],
            seen: 0,
            oldest: 0,
            standing: Standing::Asked,
            exchange: NO_EXCHANGE,
            request,
        }
    }

    pub(crate) fn exchange(&self) -> Option<u32> {
        (self.exchange != NO_EXCHANGE).then_some(self.exchange)
    }

    pub(crate) fn set_exchange(&mut self, exchange: Option<u32>) {
        self.exchange = exchange.unwrap_or(NO_EXCHANGE);
    }

    /// What became of a message id, if it came within `lifetime`.
    pub(crate) fn seen(&self, now: Instant, id: MessageId, lifetime: Duration) -> Seen {
        if Coarse::at(now).since(self.heard) > Coarse::span(lifetime) {
            return Seen::Never;
        }
        self.place_of(id).map_or(Seen::Never, |place| self.mark_at(place))
    }

    /// Remembers a message id in the place of the oldest one.
    pub(crate) fn remember(&mut self, now: Instant, id: MessageId, seen: Seen, life: Duration) {
        if Coarse::at(now).since(self.heard) > Coarse::span(life) {
            self.seen = 0;
        }
        self.heard = Coarse::at(now);
        let place = self.place_of(id).unwrap_or_else(|| {
            let oldest = usize::from(self.oldest) % RECENT;
            self.oldest = ((oldest + 1) % RECENT) as u8;
            oldest
        });
        if let Some(recent) = self.recent.get_mut(place) {
            *recent = id.value();
        }
        self.set_mark(place, seen);
    }

    /// Changes what became of a message id, if it is still remembered.
    pub(crate) fn mark(&mut self, id: MessageId, seen: Seen) {
        if let Some(place) = self.place_of(id) {
            self.set_mark(place, seen);
        }
    }

    /// Judges an Observe number and remembers it if it is fresh (RFC 7641 3.4). `again` says that
    /// this very message was refused before, so that it is not stale against itself.
    pub(crate) fn judge(&mut self, now: Instant, number: Option<u32>, again: bool) -> Freshness {
        let Some(number) = number else {
            return Freshness::NoNumber;
        };
        let number = number & NUMBER_MASK;
        let at = Coarse::at(now);
        let fresh = self.number == NO_NUMBER
            || is_newer(self.number, number)
            || again && self.number == number
            || at.since(self.fresh) > FRESH_FOR;
        if !fresh {
            return Freshness::Stale;
        }
        self.number = number;
        self.fresh = at;
        Freshness::Fresh
    }

    /// The last fresh Observe number and about when it came.
    pub(crate) fn last(&self, now: Instant) -> Option<(u32, Instant)> {
        (self.number != NO_NUMBER).then(|| (self.number, self.fresh.before(now)))
    }

    /// About when the last message id came.
    pub(crate) fn heard(&self, now: Instant) -> Instant {
        self.heard.before(now)
    }

    /// The message ids whose repetition would be acknowledged again, oldest first.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = MessageId> + '_ {
        let oldest = usize::from(self.oldest);
        (0..RECENT).map(move |step| (oldest + step) % RECENT).filter_map(|place| {
            let id = self.recent.get(place)?;
            (self.mark_at(place) == Seen::Accepted).then_some(MessageId::new(*id))
        })
    }

    /// Puts back what [`Self::last`] said before a restart.
    pub(crate) fn restore_last(&mut self, last: Option<(u32, Instant)>) {
        if let Some((number, at)) = last {
            self.number = number & NUMBER_MASK;
            self.fresh = Coarse::at(at);
        }
    }

    fn place_of(&self, id: MessageId) -> Option<usize> {
        let mut places = self.recent.iter().enumerate();
        let known = |place| self.mark_at(place) != Seen::Never;
        places
            .find(|&(place, recent)| *recent == id.value() && known(place))
            .map(|(place, _)| place)
    }

    fn mark_at(&self, place: usize) -> Seen {
        match self.seen >> (2 * place as u32) & 0b11 {
            0 => Seen::Never,
            1 => Seen::Pending,
            2 => Seen::Accepted,
            _ => Seen::Refused,
        }
    }

    fn set_mark(&mut self, place: usize, seen: Seen) {
        let shift = 2 * place as u32;
        self.seen = self.seen & !(0b11 << shift) | (seen as u8) << shift;
    }
}

/// Whether `to` follows `from` within half of the 24-bit circle (RFC 7641 3.4).
const fn is_newer(from: u32, to: u32) -> bool {
    from < to && to - from < HALF || from > to && from - to > HALF
}

/// Time in steps of 2^18 µs (0.26 s), wrapping after 35 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Coarse(u32);

impl Coarse {
    const fn at(now: Instant) -> Self {
        Self((now.as_micros() >> COARSE_BITS) as u32)
    }

    const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    fn span(span: Duration) -> u32 {
        u32::try_from(span.as_micros() >> COARSE_BITS).unwrap_or(u32::MAX)
    }

    /// The point that this was, seen from `now`.
    fn before(self, now: Instant) -> Instant {
        let steps = u64::from(Self::at(now).since(self));
        let micros = (now.as_micros() >> COARSE_BITS).saturating_sub(steps) << COARSE_BITS;
        Instant::from_micros(micros)
    }
}

const COARSE_BITS: u32 = 18;

/// Message ids that are remembered. A device has one confirmable notification on its way, and a
/// network repeats a datagram within moments: four are more than that.
pub(crate) const RECENT: usize = 4;

/// Observe numbers have 24 bits.
const NUMBER_MASK: u32 = 0x00ff_ffff;
const NO_NUMBER: u32 = u32::MAX;
const NO_EXCHANGE: u32 = u32::MAX;
const HALF: u32 = 1 << 23;

/// 128 s, rounded up so that nothing counts as new before they have passed.
const FRESH_FOR: u32 = 489;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    const LIFE: Duration = Duration::from_secs(247);

    #[test]
    fn an_observation_takes_forty_bytes() {
        assert!(size_of::<Observation>() <= 40);
        assert!(size_of::<Option<Observation>>() <= 40);
    }

    /// Fact 29: Observe numbers are compared within 2^23 and 128 s.
    #[test]
    fn the_order_of_rfc_7641_section_3_4() {
        for (first, second, after, expected) in [
            (1, 2, 1, Freshness::Fresh),
            (2, 1, 1, Freshness::Stale),
            (2, 2, 1, Freshness::Stale),
            (0, HALF - 1, 1, Freshness::Fresh),
            (0, HALF, 1, Freshness::Stale),
            (0, HALF + 1, 1, Freshness::Stale),
            (NUMBER_MASK, 0, 1, Freshness::Fresh),
            (HALF + 1, 0, 1, Freshness::Fresh),
            (HALF, 0, 1, Freshness::Stale),
            (9, 1, 127, Freshness::Stale),
            (9, 1, 129, Freshness::Fresh),
            (9, 9, 129, Freshness::Fresh),
        ] {
            let mut observation = Observation::new(0, None);
            assert_eq!(observation.judge(at(1_000), Some(first), false), Freshness::Fresh);
            let judged = observation.judge(at(1_000 + after), Some(second), false);
            assert_eq!(judged, expected, "{first} then {second} after {after} s");
        }
    }

    #[test]
    fn a_stale_number_does_not_become_the_last_one() {
        let mut observation = Observation::new(0, None);
        observation.judge(at(1), Some(10), false);
        observation.judge(at(2), Some(5), false);
        assert_eq!(observation.judge(at(3), Some(7), false), Freshness::Stale);
        assert_eq!(observation.last(at(3)).map(|(number, _)| number), Some(10));
        assert_eq!(observation.judge(at(3), None, false), Freshness::NoNumber);
    }

    #[test]
    fn a_refused_message_is_not_stale_against_itself() {
        let mut observation = Observation::new(0, None);
        observation.judge(at(1), Some(10), false);
        assert_eq!(observation.judge(at(2), Some(10), true), Freshness::Fresh);
    }

    #[test]
    fn message_ids_are_remembered_for_their_lifetime_and_in_turn() {
        let mut observation = Observation::new(0, None);
        let id = MessageId::new;
        observation.remember(at(1), id(0), Seen::Pending, LIFE);
        assert_eq!(observation.seen(at(2), id(0), LIFE), Seen::Pending);
        observation.mark(id(0), Seen::Accepted);
        assert_eq!(observation.seen(at(247), id(0), LIFE), Seen::Accepted);
        assert_eq!(observation.seen(at(250), id(0), LIFE), Seen::Never);
        for other in 1..=4 {
            observation.remember(at(3), id(other), Seen::Accepted, LIFE);
        }
        assert_eq!(observation.seen(at(3), id(0), LIFE), Seen::Never);
        assert_eq!(observation.accepted().collect::<Vec<_>>(), [1, 2, 3, 4].map(id));
    }

    #[test]
    fn a_message_id_of_zero_is_not_known_by_chance() {
        let observation = Observation::new(0, None);
        assert_eq!(observation.seen(at(0), MessageId::new(0), LIFE), Seen::Never);
    }
}
