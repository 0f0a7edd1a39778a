//! What is observed, for whom: OMA Core 6.4, RFC 7641.
//!
//! An observation is found by the slot in its token, so a notification costs one look into a paged
//! array. Those of one registration are chained through that array; no device has a map of its own.
//! Tokens and freshness are the business of [`coap`], what a notification becomes that of
//! [`crate::interface::reporting`].

use core::num::NonZeroU32;
use std::sync::Arc;

use coap::ObservationId;
use lwm2m::{Format, Path};

use crate::command::Origin;
use crate::paged::{Paged, Peak};
use crate::registry::Key;

/// What is observed; the same target has one observation per registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The path; the root for a composite observation.
    pub(crate) path: Path,
    /// The format that was asked for.
    pub(crate) accept: Option<Format>,
    /// For a composite observation its encoded paths, which also end it.
    pub(crate) composite: Option<Arc<[u8]>>,
}

/// One observation.
#[derive(Debug)]
pub(crate) struct Observation {
    pub(crate) id: ObservationId,
    pub(crate) registration: Key,
    pub(crate) target: Target,
    pub(crate) origin: Origin,
    /// The last Observe number, or the last one made up.
    pub(crate) sequence: u32,
    next: Link,
}

impl Observation {
    pub(crate) const fn new(
        id: ObservationId,
        registration: Key,
        target: Target,
        origin: Origin,
    ) -> Self {
        Self { id, registration, target, origin, sequence: 0, next: Link::NONE }
    }

    /// The sequence number of an answer or notification: its Observe number, or one more than the
    /// last, since devices on some vendor kits leave the option out.
    pub(crate) const fn advance(&mut self, observe: Option<u32>) -> u32 {
        self.sequence = match observe {
            Some(number) => number,
            None => self.sequence.wrapping_add(1),
        };
        self.sequence
    }
}

/// The next observation of the same registration: its slot plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Link(Option<NonZeroU32>);

impl Link {
    /// The end of a chain.
    pub(crate) const NONE: Self = Self(None);

    const fn to(slot: u32) -> Self {
        Self(NonZeroU32::new(slot.wrapping_add(1)))
    }

    const fn slot(self) -> Option<u32> {
        match self.0 {
            Some(number) => Some(number.get() - 1),
            None => None,
        }
    }
}

/// All observations of a shard.
#[derive(Debug)]
pub(crate) struct Observations {
    slots: Paged<Option<Observation>>,
    count: usize,
    peak: Peak,
}

impl Observations {
    pub(crate) const fn new() -> Self {
        Self { slots: Paged::new(), count: 0, peak: Peak::new() }
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn get(&self, id: ObservationId) -> Option<&Observation> {
        self.slots.get(id.slot())?.as_ref().filter(|observation| observation.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: ObservationId) -> Option<&mut Observation> {
        self.slots.get_mut(id.slot())?.as_mut().filter(|observation| observation.id == id)
    }

    /// Adds an observation to the chain that begins at `head`.
    pub(crate) fn insert(&mut self, mut observation: Observation, head: &mut Link) {
        let slot = observation.id.slot();
        self.slots.grow_to(slot);
        observation.next = *head;
        if let Some(place) = self.slots.get_mut(slot) {
            debug_assert!(place.is_none(), "the message layer gave a slot out twice");
            *place = Some(observation);
            *head = Link::to(slot);
            self.count += 1;
            self.peak.grown(self.count);
        }
    }

    /// Takes an observation out of the chain that begins at `head`.
    pub(crate) fn remove(&mut self, id: ObservationId, head: &mut Link) -> Option<Observation> {
        let next = self.get(id)?.next;
        let mut before: Option<u32> = None;
        let mut link = *head;
        while let Some(slot) = link.slot() {
            if slot == id.slot() {
                match before.and_then(|before| self.slots.get_mut(before)?.as_mut()) {
                    Some(before) => before.next = next,
                    None => *head = next,
                }
                self.count = self.count.saturating_sub(1);
                let removed = self.slots.get_mut(slot)?.take();
                if self.peak.is_over(self.count) {
                    self.slots.give_back(Option::is_some);
                }
                return removed;
            }
            before = Some(slot);
            link = self.slots.get(slot)?.as_ref()?.next;
        }
        None
    }

    /// The observations of a chain.
    pub(crate) fn chain(&self, head: Link) -> impl Iterator<Item = &Observation> {
        let of = |link: Link| self.slots.get(link.slot()?)?.as_ref();
        core::iter::successors(of(head), move |observation| of(observation.next))
    }

    /// The observation of a target, if there is one.
    pub(crate) fn find(&self, head: Link, target: &Target) -> Option<ObservationId> {
        self.chain(head).find(|observation| observation.target == *target).map(|found| found.id)
    }
}
