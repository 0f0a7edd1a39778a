//! The question "may this name register here?", and what passes between shards when it moves.
//!
//! The directory of endpoint names spans the shards and is the business of the driver: the engine
//! asks by [`crate::Server::poll_claim`] and goes on when [`crate::Server::handle_claim`] is
//! called. Making and ending registrations is the job of [`crate::registrations`].

use std::collections::{HashMap, VecDeque};

use coap::{Duration, Instant, Peer};
use lwm2m::EndpointName;

use crate::arming::plan::Wanted;
use crate::event::Event;
use crate::identity::{ClaimId, Identity, RegistrationId};
use crate::interface::registration::Content;
use crate::note::NoteKind;
use crate::queue::Accepted;
use crate::registrations::Fingerprint;
use crate::registry::{Key, Stage};
use crate::server::Server;

/// A Register that waits for the directory.
#[derive(Clone, Debug)]
pub struct Claim {
    /// To be named in the answer.
    pub id: ClaimId,
    /// The name that registers.
    pub endpoint: EndpointName,
    /// Where it registers from, and by which listener.
    pub peer: Peer,
    /// What is proven about who registers.
    pub identity: Identity,
    /// The registration that comes into being if the claim is granted.
    pub registration: RegistrationId,
}

/// What the directory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimAnswer {
    /// The name is free, or held by this same shard.
    Granted {
        /// Whether another shard holds the name: it is being asked for a [`Handover`], and
        /// `Registered` waits for it, for 50 ms at most.
        evict: bool,
    },
    /// The name belongs to another identity.
    Refused,
    /// There is no room: 5.03 with Max-Age.
    Full,
}

/// What a registration leaves to the next one of its name: the commands that were not sent yet, and
/// what commands had asked to be observed.
#[derive(Clone, Debug, Default)]
pub struct Handover {
    pub(crate) commands: VecDeque<Accepted>,
    pub(crate) wanted: VecDeque<Wanted>,
}

impl Handover {
    /// How many commands are handed over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether no command is handed over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

/// Registers whose claim may be open at a time. The driver answers within the turn, so one is the
/// rule; a thousand of about 500 bytes are half a megabyte.
const CLAIMS_MAX: usize = 1024;

/// How long `Registered` waits for the shard that held the name before. Design: a slow shard must
/// not keep a device from being announced.
pub(crate) const HANDOVER_WAIT: Duration = Duration::from_millis(50);

/// Events that a registration may have had before it is announced. More than a few cannot come in
/// 50 ms; beyond, it is announced at once rather than kept growing.
const HELD_EVENTS_MAX: usize = 32;

/// A Register between its claim and the answer.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) endpoint: EndpointName,
    pub(crate) content: Content,
    pub(crate) registration: RegistrationId,
    pub(crate) identity: Identity,
    pub(crate) peer: Peer,
    /// Bytes that its Register bought: the address is not proven yet.
    pub(crate) credit: coap::Credit,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) reply_to: coap::ReplyTo,
}

/// What waits for others: claims for the directory, registrations for another shard.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    claims: HashMap<ClaimId, Claimed>,
    questions: VecDeque<Claim>,
    claims_made: u64,
    held: HashMap<Key, Vec<Event>>,
    /// All wait equally long, so this is in the order of time.
    releases: VecDeque<(Instant, Key, RegistrationId)>,
}

impl Pending {
    /// Whether a Register of this name waits already.
    pub(crate) fn is_claiming(&self, endpoint: &EndpointName) -> bool {
        self.claims.values().any(|claimed| claimed.endpoint == *endpoint)
    }

    /// Whether there is room for another claim.
    pub(crate) fn has_room(&self) -> bool {
        self.claims.len() < CLAIMS_MAX
    }

    pub(crate) fn claim(&mut self, claimed: Claimed) {
        self.claims_made += 1;
        let id = ClaimId(self.claims_made);
        self.questions.push_back(Claim {
            id,
            endpoint: claimed.endpoint.clone(),
            peer: claimed.peer,
            identity: claimed.identity.clone(),
            registration: claimed.registration,
        });
        self.claims.insert(id, claimed);
    }

    pub(crate) fn poll_claim(&mut self) -> Option<Claim> {
        self.questions.pop_front()
    }

    /// Keeps the events of a registration back until it is released.
    pub(crate) fn begin_hold(&mut self, key: Key, id: RegistrationId, now: Instant) {
        self.held.insert(key, Vec::new());
        self.releases.push_back((now + HANDOVER_WAIT, key, id));
    }

    /// Keeps an event back; gives it back if the registration is not held, or has too many.
    pub(crate) fn hold(&mut self, key: Key, event: Event) -> Option<Event> {
        match self.held.get_mut(&key) {
            Some(events) if events.len() < HELD_EVENTS_MAX => {
                events.push(event);
                None
            }
            _ => Some(event), // Full, or not held.
        }
    }

    pub(crate) fn is_full(&self, key: Key) -> bool {
        self.held.get(&key).is_none_or(|events| events.len() >= HELD_EVENTS_MAX)
    }

    pub(crate) fn next_release(&self) -> Option<Instant> {
        self.releases.front().map(|(at, ..)| *at)
    }
}

impl Server {
    /// Takes the answer of the directory: the device is answered before this returns.
    pub fn handle_claim(&mut self, now: Instant, claim: ClaimId, answer: ClaimAnswer) {
        let Some(claimed) = self.pending.claims.remove(&claim) else {
            let number = claim.0.to_string();
            self.note(crate::note::Who::default(), NoteKind::ClaimUnknown, number.as_bytes());
            return;
        };
        match answer {
            ClaimAnswer::Granted { evict } => self.register(now, claimed, evict),
            ClaimAnswer::Refused => self.refuse_identity(now, &claimed),
            ClaimAnswer::Full => self.refuse_overload(now, claimed),
        }
        self.drain_messages(now, &Identity::None);
    }

    /// Ends a registration whose name another shard has taken over. What is in flight ends as
    /// replaced, by events of this shard; what was not sent yet is handed over.
    pub fn handle_evict(
        &mut self,
        now: Instant,
        endpoint: &EndpointName,
        registration: RegistrationId,
    ) -> Handover {
        let key = self.registry.find(endpoint.as_str());
        let is_it = |key: &Key| self.registry.get(*key).is_some_and(|r| r.id() == registration);
        let Some(key) = key.filter(is_it) else { return Handover::default() };
        self.stats.evicted += 1;
        let handover = self.replace(key);
        self.drain_messages(now, &Identity::None);
        handover
    }

    /// Takes what the shard that held the name before has handed over, and announces the
    /// registration.
    pub fn handle_handover(&mut self, now: Instant, endpoint: &EndpointName, handover: Handover) {
        match self.registry.find(endpoint.as_str()) {
            Some(key) => {
                self.inherit(key, handover.commands);
                self.arm_also(now, key, handover.wanted);
                self.record(key);
                self.schedule(now, key);
                self.release(key);
                self.dispatch(now, key);
                self.drain_messages(now, &Identity::None);
            }
            // It is gone already; its commands end all the same.
            None => self.disown(endpoint, handover.commands),
        }
    }

    /// Keeps events and commands of a new registration back until the former shard is heard of.
    pub(crate) fn hold(&mut self, now: Instant, key: Key) {
        let Some(registration) = self.registry.get_mut(key) else { return };
        registration.stage = Stage::Held;
        let id = registration.id();
        self.pending.begin_hold(key, id, now);
    }

    /// Announces a registration that was kept back: its events leave in order.
    pub(crate) fn release(&mut self, key: Key) {
        let Some(registration) = self.registry.get_mut(key) else { return };
        if registration.stage == Stage::Announced {
            return;
        }
        registration.stage = Stage::Announced;
        let events = self.pending.held.remove(&key).unwrap_or_default();
        events.into_iter().for_each(|event| self.announce(event));
    }

    /// Announces the registrations whose former shard was not heard of in time.
    pub(crate) fn release_overdue(&mut self, now: Instant) {
        while let Some(&(at, key, id)) = self.pending.releases.front() {
            if at > now {
                return;
            }
            self.pending.releases.pop_front();
            let waits = |r: &crate::registry::Registration| r.id() == id && r.stage == Stage::Held;
            if self.registry.get(key).is_some_and(waits) {
                self.release(key);
                self.note_device(key, NoteKind::HandoverLate, b"");
                self.dispatch(now, key);
            }
        }
    }
}
