//! The server: everything comes in here and goes out here.
//!
//! This module takes datagrams and timers to the right place and keeps what all places share. What
//! becomes of a Register is the job of [`crate::registrations`], of a command that of
//! [`crate::commands`], of a notification or Send that of [`crate::interface::reporting`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ahash::RandomState;
use coap::wheel::TimerWheel;
use coap::{Endpoint, EndpointStats, ExchangeId, Instant, Peer};
use lwm2m::EndpointName;
use lwm2m::codec::{Context, UnknownPolicy};
use lwm2m::model::Models;
use rand_chacha::ChaCha12Rng;
use rand_core::{RngCore, SeedableRng};

use crate::claim::{Claim, Pending};
use crate::event::{Device, Event, RegisteredInfo};
use crate::identity::{Identity, RegistrationId};
use crate::interface::{Bearing, Target, bare};
use crate::intern::Interner;
use crate::limits::Limits;
use crate::links::Links;
use crate::note::{Evidence, Note, NoteKind, Who};
use crate::observations::Observations;
use crate::rate::Bucket;
use crate::record::RecordLog;
use crate::registry::{Key, Registry, Route, Stage};
use crate::settings::{Config, Settings};
use crate::stats::Stats;
use crate::used::UsedNotifications;

/// Wall-clock time in milliseconds since 1970.
pub type WallMs = i64;

/// A datagram with what the transport knows of its sender.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Where it came from and by which of our addresses.
    pub peer: Peer,
    /// What is proven about the sender.
    pub identity: &'a Identity,
    /// The CoAP message.
    pub bytes: &'a [u8],
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Routed {
    /// It was taken.
    Handled,
    /// It belongs to this shard: hand it to [`Server::handle_forwarded`] there. A number beyond the
    /// shards there are stands for that number modulo their count.
    Forward(u8),
    /// A Send from an address that is not known here. Ask the others by [`Server::owns_address`];
    /// give it to the one that does, else back to this one, by [`Server::handle_forwarded`].
    AskOthers,
}

/// Whether the way up takes more registrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Intake {
    /// It does.
    #[default]
    Open,
    /// It is full: a Register gets 5.03 with Max-Age.
    Full,
}

/// The LwM2M server of one shard.
///
/// After each input the driver drains [`Self::poll_claim`] (and answers), [`Self::poll_transmit`],
/// [`Self::poll_event`] and [`Self::poll_record`], and then waits until [`Self::poll_timeout`].
pub struct Server {
    pub(crate) coap: Endpoint,
    pub(crate) settings: Arc<Settings>,
    pub(crate) models: Arc<Models>,
    pub(crate) registry: Registry,
    pub(crate) observations: Observations,
    /// Which registration an exchange belongs to.
    pub(crate) exchanges: HashMap<ExchangeId, Key, RandomState>,
    pub(crate) links: Links,
    pub(crate) infos: Interner<RegisteredInfo>,
    pub(crate) origins: Interner<[u8]>,
    pub(crate) pending: Pending,
    pub(crate) records: RecordLog,
    pub(crate) random: ChaCha12Rng,
    /// Recognises a Register that is repeated.
    pub(crate) hasher: RandomState,
    pub(crate) commands_given: u64,
    /// The largest block that is sent: what a first datagram carries at most.
    pub(crate) block_len_max: usize,
    pub(crate) shard: u8,
    pub(crate) intake: Intake,
    pub(crate) stats: Stats,
    /// When devices that are awake are looked at, if that is wanted.
    pub(crate) watches: TimerWheel<(Key, RegistrationId)>,
    /// Who says too much.
    pub(crate) limits: Limits,
    /// How many rejections may still be told.
    pub(crate) rejections: Bucket,
    /// Shards that are gone and whose registrations live here.
    adopted: [u64; 4],
    events: VecDeque<Event>,
    pub(crate) used: UsedNotifications,
    /// Wall-clock time at the origin of the monotonic clock.
    wall_origin: i64,
}

impl Server {
    /// The server of a shard. `seed` is 32 bytes that nobody can guess: registration ids, tokens
    /// and the keys of hash tables come from it.
    #[must_use]
    pub fn new(
        config: Config,
        settings: Arc<Settings>,
        models: Arc<Models>,
        shard: u8,
        seed: [u8; 32],
    ) -> Self {
        let mut random = ChaCha12Rng::from_seed(seed);
        let mut coap_seed = [0; 32];
        random.fill_bytes(&mut coap_seed);
        let [a, b, c, d] = core::array::from_fn(|_| random.next_u64());
        let hasher = RandomState::with_seeds(a, b, c, d);
        let block_len_max = usize::from(config.coap.block_size_max);
        Self {
            coap: Endpoint::new(config.coap, shard, coap_seed),
            settings,
            models,
            registry: Registry::new(hasher.clone()),
            observations: Observations::new(),
            exchanges: HashMap::with_hasher(hasher.clone()),
            links: Links::new(hasher.clone()),
            infos: Interner::new(hasher.clone()),
            origins: Interner::new(hasher.clone()),
            limits: Limits::new(hasher.clone()),
            pending: Pending::default(),
            records: RecordLog::new(config.records),
            random,
            hasher,
            commands_given: 0,
            block_len_max,
            shard,
            intake: Intake::Open,
            stats: Stats::default(),
            watches: TimerWheel::new(),
            rejections: Bucket::default(),
            adopted: [0; 4],
            events: VecDeque::new(),
            used: UsedNotifications::default(),
            wall_origin: 0,
        }
    }

    /// The shard that a datagram belongs to by what it carries: a token or a registration id.
    /// `None` if it carries neither, and belongs to whoever received it.
    #[must_use]
    pub fn route(datagram: &[u8]) -> Option<u8> {
        match Bearing::of(datagram) {
            Bearing::Shard(shard) => Some(shard),
            Bearing::Send | Bearing::Here => None,
        }
    }

    /// Takes a datagram from a socket of this shard, or says whose it is.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        wall: WallMs,
        datagram: Datagram<'_>,
    ) -> Routed {
        let routed = match Bearing::of(datagram.bytes) {
            Bearing::Shard(shard) if !self.stands_for(shard) => Routed::Forward(shard),
            Bearing::Send if !self.owns_address(&datagram.peer) => Routed::AskOthers,
            Bearing::Shard(_) | Bearing::Send | Bearing::Here => {
                self.handle_forwarded(now, wall, datagram);
                return Routed::Handled;
            }
        };
        self.stats.forwarded += 1;
        routed
    }

    /// Takes a datagram that another shard forwarded, or that nobody else wants: it stays here.
    pub fn handle_forwarded(&mut self, now: Instant, wall: WallMs, datagram: Datagram<'_>) {
        self.set_wall(now, wall);
        let Datagram { peer, identity, bytes } = datagram;
        let event = self.coap.handle_datagram(now, peer, bytes);
        let unnoticed = event.as_ref().is_none_or(is_notice);
        if let Some(event) = event {
            self.on_message(now, identity, event);
        }
        if unnoticed {
            self.on_heard_from(now, peer, identity);
        }
        self.drain_messages(now, datagram.identity);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Self { coap, registry, settings, .. } = self;
        let window = settings.queue_mode_window;
        coap.handle_timeout_among(now, |peer| registry.listening(&peer, now, window));
        self.drain_messages(now, &Identity::None);
        self.release_overdue(now);
        self.look_at_watches(now);
        for _ in 0..TIMERS_PER_TURN {
            let Some(key) = self.registry.poll_timer(now) else { break };
            self.on_timer(now, key);
        }
        self.drain_messages(now, &Identity::None);
    }

    /// Takes new object definitions; what is already queued keeps what it was written with.
    pub fn set_models(&mut self, models: Arc<Models>) {
        self.models = models;
    }

    /// Takes new settings. Lifetimes that run keep their end.
    pub fn set_settings(&mut self, settings: Arc<Settings>) {
        self.settings = settings;
    }

    /// Says whether the way up takes more registrations.
    pub const fn set_intake(&mut self, intake: Intake) {
        self.intake = intake;
    }

    /// Whether a registered device was last heard of from this address.
    #[must_use]
    pub fn owns_address(&self, peer: &Peer) -> bool {
        self.registry.find_address(peer).is_some()
    }

    /// Whether datagrams that carry this shard number belong here.
    #[must_use]
    pub fn stands_for(&self, shard: u8) -> bool {
        let word = self.adopted.get(usize::from(shard) / 64).copied().unwrap_or(0);
        shard == self.shard || word >> (shard % 64) & 1 == 1
    }

    /// Appends the next datagram to `out` and says to whom it goes.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<Peer> {
        self.coap.poll_transmit(out)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next Register that waits for the directory; answered by [`Self::handle_claim`].
    pub fn poll_claim(&mut self) -> Option<Claim> {
        self.pending.poll_claim()
    }

    /// When [`Self::handle_timeout`] is wanted next.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let own =
            [self.registry.next_timer(), self.pending.next_release(), self.watches.next_deadline()];
        own.into_iter().chain([self.coap.poll_timeout()]).flatten().min()
    }

    /// Counters of the engine.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Counters of the message layer.
    #[must_use]
    pub fn message_stats(&self) -> &EndpointStats {
        self.coap.stats()
    }

    /// How many devices are registered.
    #[must_use]
    pub fn registrations(&self) -> usize {
        self.registry.len()
    }

    /// How many observations there are.
    #[must_use]
    pub const fn observations(&self) -> usize {
        self.observations.len()
    }

    /// From now on datagrams of a shard that does not exist any more belong here.
    pub(crate) fn adopt(&mut self, shard: u8) {
        if let Some(word) = self.adopted.get_mut(usize::from(shard) / 64) {
            *word |= 1 << (shard % 64);
        }
    }

    pub(crate) fn set_wall(&mut self, now: Instant, wall: WallMs) {
        self.wall_origin = wall.saturating_sub((now.as_micros() / 1000) as i64);
    }

    /// Wall-clock time at a point of the monotonic clock.
    pub(crate) const fn wall_at(&self, instant: Instant) -> WallMs {
        self.wall_origin.saturating_add((instant.as_micros() / 1000) as i64)
    }

    /// What a codec has to know to read or write for a device.
    pub(crate) fn context<'a>(&'a self, now: Instant, info: &'a RegisteredInfo) -> Context<'a> {
        Context {
            models: info.view(&self.models),
            wall_ms: self.wall_at(now),
            unknown: UnknownPolicy::Raw,
        }
    }

    /// Hands an event of a device up, or keeps it back until the device's registration is
    /// announced.
    pub(crate) fn emit(&mut self, key: Key, event: Event) {
        let held = self.registry.get(key).is_some_and(|found| found.stage == Stage::Held);
        if held && self.pending.is_full(key) {
            self.release(key);
        }
        let event = if held { self.pending.hold(key, event) } else { Some(event) };
        self.events.extend(event);
    }

    /// Hands an event up that belongs to no device that is registered.
    pub(crate) fn announce(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(crate) fn note(&mut self, who: Who, kind: NoteKind, evidence: &[u8]) {
        self.stats.notes += 1;
        let evidence = Evidence::new(evidence);
        self.events.push_back(Event::Noted(Note { who, kind, evidence }));
    }

    /// A note about a registered device.
    pub(crate) fn note_device(&mut self, key: Key, kind: NoteKind, evidence: &[u8]) {
        let Some(device) = self.registry.get(key).map(|found| found.device()) else { return };
        self.note(Who::device(&device), kind, evidence);
    }

    /// The device has shown that it hears what is sent to its address.
    pub(crate) fn on_proof_of_address(&mut self, key: Key) {
        let Some(registration) = self.registry.get_mut(key) else { return };
        if registration.route == Route::Unproven {
            registration.route = Route::Proven;
            let peer = registration.peer;
            self.coap.peer_proven(peer);
        }
    }

    /// Takes what the message layer has besides what came with the datagram.
    pub(crate) fn drain_messages(&mut self, now: Instant, identity: &Identity) {
        while let Some(event) = self.coap.poll_event() {
            self.on_message(now, identity, event);
        }
    }

    fn on_message(&mut self, now: Instant, identity: &Identity, event: coap::Event<'_>) {
        use coap::Event as Message;
        match event {
            Message::Request { peer, reply_to, request } => {
                let sender = Sender { peer, identity, reply_to };
                self.on_request(now, sender, request);
            }
            Message::Acked { exchange } => self.on_acked(now, exchange),
            Message::Response { exchange, peer, response } => {
                self.on_response(now, exchange, (peer, identity), response);
            }
            Message::Reset { exchange } => self.on_reset(now, exchange),
            Message::TimedOut { exchange, acked } => self.on_timed_out(now, exchange, acked),
            Message::Failed { exchange, reason } => self.on_failed(now, exchange, reason),
            Message::Notification { observation, peer, reply_to, response, freshness } => {
                let sender = Sender { peer, identity, reply_to };
                self.on_notification(now, sender, observation, (response, freshness));
            }
            Message::Noted(note) => {
                let who = Who { peer: Some(note.peer), ..Who::default() };
                self.note(who, NoteKind::Message(note.kind), note.evidence.as_bytes());
            }
        }
    }

    fn on_request(&mut self, now: Instant, sender: Sender<'_>, request: coap::Incoming<'_>) {
        use coap::Code;
        match (Target::of(&request.options), request.code) {
            (Target::Directory, Code::POST) => self.on_register(now, sender, &request),
            (Target::Location(id), Code::POST) => self.on_update(now, sender, id, &request),
            (Target::Location(id), Code::DELETE) => self.on_deregister(now, sender, id),
            (Target::DataPush, Code::POST) => self.on_send(now, sender, request),
            (Target::WellKnown, Code::GET) => self.on_discovery(now, &sender),
            (Target::Unknown, _) => self.refuse_request(now, &sender, Code::NOT_FOUND, &request),
            (Target::Directory | Target::Location(_) | Target::DataPush | Target::WellKnown, _) => {
                self.refuse_request(now, &sender, Code::METHOD_NOT_ALLOWED, &request);
            }
        }
    }

    fn on_discovery(&mut self, now: Instant, sender: &Sender<'_>) {
        let mut response = bare(coap::Code::CONTENT);
        response.options.content_format(coap::ContentFormat::LINK);
        response.payload.extend_from_slice(WELL_KNOWN);
        self.coap.respond(now, &sender.reply_to, response);
        self.on_heard_from(now, sender.peer, sender.identity);
    }

    fn refuse_request(
        &mut self,
        now: Instant,
        sender: &Sender<'_>,
        code: coap::Code,
        request: &coap::Incoming<'_>,
    ) {
        self.coap.respond(now, &sender.reply_to, bare(code));
        let path: Vec<&[u8]> = request.options.uri_path().take(PATH_SHOWN_MAX).collect();
        let shown = path.join(&b'/');
        self.note(Who::at(sender.peer), NoteKind::RequestRefused, &shown);
        self.on_heard_from(now, sender.peer, sender.identity);
    }
}

/// Who sent a message, and where the answer goes.
pub(crate) struct Sender<'a> {
    pub(crate) peer: Peer,
    pub(crate) identity: &'a Identity,
    pub(crate) reply_to: coap::ReplyTo,
}

impl Who {
    pub(crate) fn at(peer: Peer) -> Self {
        Self { peer: Some(peer), ..Self::default() }
    }

    pub(crate) fn named(peer: Peer, endpoint: EndpointName) -> Self {
        Self { peer: Some(peer), endpoint: Some(endpoint), registration: None }
    }

    pub(crate) fn device(device: &Device) -> Self {
        Self {
            peer: Some(device.peer),
            endpoint: Some(device.endpoint.clone()),
            registration: Some(device.registration),
        }
    }
}

/// Whether a message was made a note of and nothing else, though it is one.
const fn is_notice(event: &coap::Event<'_>) -> bool {
    use coap::NoteKind::{FormatError, Nonsense};
    match event {
        coap::Event::Noted(note) => !matches!(note.kind, FormatError(_) | Nonsense),
        _ => false, // All others reach whom they are about.
    }
}

/// What a GET of `/.well-known/core` shows (RFC 6690 4, RFC 9176 4.1).
const WELL_KNOWN: &[u8] = b"</rd>;rt=\"core.rd\";ct=40,</dp>;rt=\"oma.lwm2m.dp\"";

/// Registrations looked at per turn. A fleet that expires at once must not stop the shard nor fill
/// its memory with events: a thousand of them are a millisecond and about 200 KB. What is left is
/// due at once, and [`Server::poll_timeout`] says so.
pub(crate) const TIMERS_PER_TURN: usize = 1024;

/// How many segments of an unknown path a note shows: more than any path of ours has.
const PATH_SHOWN_MAX: usize = 6;
