//! Register, re-Register, Update, Deregister and expiry: OMA Core 6.2.
//!
//! The device is answered first, then everybody else hears of it. Whether a request can be granted
//! is judged by [`crate::interface::registration`]; how a registration is kept is the business of
//! [`crate::registry`], whether another shard has the name that of [`crate::claim`].

use core::num::NonZeroU64;
use std::sync::Arc;

use coap::{Code, Duration, Incoming, Instant, Peer};
use lwm2m::EndpointName;
use lwm2m::registration::{Lifetime, ObjectLinks, Parameters};
use rand_core::RngCore;

use crate::claim::{Claimed, Handover};
use crate::command::CommandError;
use crate::event::{Arrival, Device, Event, RegisteredInfo, UpdateContent};
use crate::identity::{Identity, RegistrationId};
use crate::interface::bare;
use crate::interface::registration::{self, Content, Refusal, Wanted};
use crate::limits::Verdict;
use crate::note::{NoteKind, Who};
use crate::queue::Reachability;
use crate::registry::{Key, LifetimePhase, Registration, Route};
use crate::rejection::Rejection;
use crate::server::{Intake, Sender, Server};
use crate::settings::{Rebind, SleepEvents};

/// Recognises a Register that is sent again: a keyed hash of token, message id, options and
/// payload.
pub(crate) type Fingerprint = NonZeroU64;

/// How long after the first Register a repetition of it may arrive: MAX_TRANSMIT_SPAN with the
/// default parameters of RFC 7252 4.8.2, since the device's own are not known.
const REPETITION_SPAN: Duration = Duration::from_secs(45);

/// When a device that was turned away for lack of room is to try again, in seconds.
const OVERLOAD_MAX_AGE: u32 = 30;

/// How a registration ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Deregistered,
    Expired,
    Kicked,
}

impl Server {
    pub(crate) fn on_register(&mut self, now: Instant, sender: Sender<'_>, request: &Incoming<'_>) {
        let parsed = registration::register(
            &request.options,
            &request.payload,
            sender.identity,
            &self.settings,
            &mut self.links,
        );
        let Wanted { endpoint, content } = match parsed {
            Ok(wanted) => wanted,
            Err(refusal) => {
                self.tell_rejection(now, Rejection::new(&sender, refusal, request));
                return self.refuse_registration(now, &sender, refusal, request);
            }
        };
        if self.pending.is_claiming(&endpoint) {
            // Unanswered and not remembered: the retransmission finds the first one settled.
            return self.coap.complete(now, &sender.reply_to, coap::Completion::Refuse);
        }
        let fingerprint = self.fingerprint(request);
        let former = self.registry.find(endpoint.as_str());
        if let Some(key) = former.filter(|key| self.repeats(now, *key, fingerprint)) {
            return self.answer_repetition(now, key, &sender);
        }
        let name = (endpoint.as_str(), &sender.peer);
        if let Verdict::Over { wait, note } = self.limits.registration(now, name, &self.settings) {
            return self.refuse_loop(now, &sender, endpoint, (wait, note));
        }
        let yields = |key| self.registry.get(key).is_none_or(|r| r.yields_to(sender.identity));
        let is_foreign = !former.is_none_or(yields);
        let registration = self.new_registration_id();
        let (identity, peer) = (sender.identity.clone(), sender.peer);
        let reply_to = sender.reply_to;
        // The directory may answer after other datagrams: this one's credit is for this one's 2.01.
        let credit = self.coap.take_credit(peer);
        let claimed = Claimed {
            endpoint,
            content,
            registration,
            identity,
            peer,
            credit,
            fingerprint,
            reply_to,
        };
        if is_foreign {
            self.refuse_identity(now, &claimed);
        } else if self.has_room(former) {
            self.pending.claim(claimed);
        } else {
            self.refuse_overload(now, claimed);
        }
    }

    /// Makes the registration that the directory has granted, and answers the device.
    pub(crate) fn register(&mut self, now: Instant, claimed: Claimed, evict: bool) {
        let former = self.registry.find(claimed.endpoint.as_str());
        let former_route = former.and_then(|key| self.registry.get(key)).map(|r| (r.peer, r.route));
        let handover = former.map(|key| self.replace(key)).unwrap_or_default();
        let arrival = if former.is_some() || evict { Arrival::Replacing } else { Arrival::New };
        let (id, credit, reply) = (claimed.registration, claimed.credit, claimed.reply_to.clone());
        let mut registration = self.make_registration(now, claimed);
        let peer = registration.peer;
        registration.route = match former_route {
            Some((former, Route::Proven)) if former == peer => Route::Proven,
            _ if registration.identity.is_some() => Route::Proven,
            _ => Route::Unproven,
        };
        if let Some((former, _)) = former_route.filter(|(former, _)| *former != peer) {
            self.coap.peer_continues(former, peer);
        }
        if registration.route == Route::Unproven {
            self.coap.peer_heard(peer, credit);
        }
        let device = registration.device();
        let key = self.registry.insert(registration);
        // The 2.01 leaves before anything is asked of the device (fact 12) or told to others.
        self.coap.respond(now, &reply, created(id));
        self.keep_credit(key);
        self.stats.registered += 1;
        self.stats.replaced += u64::from(former.is_some());
        if evict {
            self.hold(now, key);
        }
        self.emit(key, Event::Registered { device, arrival });
        if self.settings.sleep_events == SleepEvents::On {
            self.watch(now, key, Reachability::Always);
        }
        self.inherit(key, handover.commands);
        self.arm(now, key, arrival, handover.wanted);
        self.record(key);
        self.schedule(now, key);
        self.dispatch(now, key);
    }

    pub(crate) fn on_update(
        &mut self,
        now: Instant,
        sender: Sender<'_>,
        id: RegistrationId,
        request: &Incoming<'_>,
    ) {
        let Some(key) = self.admit_by_id(now, id, &sender) else {
            return self.refuse_location(now, &sender, id);
        };
        let links = &mut self.links;
        let parsed =
            registration::update(&request.options, &request.payload, &self.settings, links);
        let content = match parsed {
            Ok(content) => content,
            Err(refusal) => return self.refuse_registration(now, &sender, refusal, request),
        };
        let links = match content.links {
            Some(_) => UpdateContent::WithLinks,
            None => UpdateContent::WithoutLinks,
        };
        self.refresh(now, key, content);
        self.coap.respond(now, &sender.reply_to, bare(Code::CHANGED));
        self.stats.updated += 1;
        if let Some(device) = self.registry.get(key).map(Registration::device) {
            self.emit(key, Event::Updated { device, content: links });
        }
        self.record(key);
        self.schedule(now, key);
        self.dispatch(now, key);
    }

    pub(crate) fn on_deregister(&mut self, now: Instant, sender: Sender<'_>, id: RegistrationId) {
        let Some(key) = self.admit_by_id(now, id, &sender) else {
            return self.refuse_location(now, &sender, id);
        };
        self.coap.respond(now, &sender.reply_to, bare(Code::DELETED));
        self.stats.deregistered += 1;
        self.end(key, End::Deregistered);
    }

    /// Ends a registration by order of the operator. The device gets 4.04 on its next Update.
    pub fn kick(&mut self, now: Instant, endpoint: &EndpointName) -> bool {
        let Some(key) = self.registry.find(endpoint.as_str()) else { return false };
        self.stats.kicked += 1;
        self.end(key, End::Kicked);
        self.drain_messages(now, &Identity::None);
        true
    }

    /// The timer of a registration fired: its lifetime or that of a waiting command may have
    /// passed.
    pub(crate) fn on_timer(&mut self, now: Instant, key: Key) {
        self.expire_commands(now, key);
        let grace = self.settings.expiry_grace;
        let Some(registration) = self.registry.get_mut(key) else { return };
        if registration.lifetime == LifetimePhase::Running && registration.deadline <= now {
            registration.lifetime = LifetimePhase::Late;
            self.stats.late += 1;
            // Without a grace there is nothing to be late for.
            if !grace.is_zero() {
                let device = registration.device();
                self.emit(key, Event::Late { device });
            }
        }
        let expired =
            |r: &Registration| r.lifetime == LifetimePhase::Late && r.deadline + grace <= now;
        if self.registry.get(key).is_some_and(expired) {
            self.stats.expired += 1;
            return self.end(key, End::Expired);
        }
        self.on_time(now, key);
        self.schedule(now, key);
    }

    pub(crate) fn schedule(&mut self, now: Instant, key: Key) {
        self.registry.schedule(key, now, self.settings.expiry_grace);
    }

    /// Whether a message that proves a registration may speak for it; takes the new address if it
    /// comes from one.
    pub(crate) fn admit(
        &mut self,
        now: Instant,
        key: Key,
        peer: Peer,
        identity: &Identity,
    ) -> bool {
        let Some(registration) = self.registry.get(key) else { return false };
        if !registration.is_identity(identity) {
            return false;
        }
        let from = registration.peer;
        if from == peer {
            return true;
        }
        let nosec = registration.identity.is_none();
        if nosec && self.settings.nosec_rebind(peer.listener()) == Rebind::Refuse {
            self.refuse_address(now, key, peer);
            return false;
        }
        self.registry.move_to(key, peer);
        self.coap.peer_moved(from, peer);
        self.stats.rebound += 1;
        if nosec {
            self.coap.peer_unproven(peer);
        }
        if let Some(registration) = self.registry.get_mut(key) {
            registration.route = if nosec { Route::Unproven } else { Route::Proven };
            let device = registration.device();
            self.emit(key, Event::AddressChanged { device, from });
        }
        self.keep_credit(key);
        self.record(key);
        true
    }

    /// Ends a registration whose name registers again. What is left to do is given back, in order.
    pub(crate) fn replace(&mut self, key: Key) -> Handover {
        let wanted = self.observed_for_commands(key);
        let commands = self.end_commands(key, &CommandError::Replaced);
        self.forget(key, |device| Event::Replaced { device });
        Handover { commands, wanted }
    }

    /// The name belongs to somebody else (fact 10): the registration there is stays as it was.
    pub(crate) fn refuse_identity(&mut self, now: Instant, claimed: &Claimed) {
        let refusal = Refusal::identity(self.settings.profile);
        let (peer, endpoint) = (claimed.peer, Some(claimed.endpoint.clone()));
        let name = Some(claimed.endpoint.as_str().to_owned());
        let (code, reason) = (refusal.code, NoteKind::IdentityRefused.name());
        self.tell_rejection(now, Rejection { peer, endpoint, name, code, reason });
        self.coap.respond(now, &claimed.reply_to, refusal.response(self.settings.profile));
        self.stats.register_refused += 1;
        let who = Who::named(claimed.peer, claimed.endpoint.clone());
        let name = claimed.identity.name().unwrap_or_default().to_owned();
        self.note(who, NoteKind::IdentityRefused, name.as_bytes());
    }

    fn end(&mut self, key: Key, end: End) {
        let error = match end {
            End::Deregistered | End::Kicked => CommandError::Deregistered,
            End::Expired => CommandError::RegistrationExpired,
        };
        let waiting = self.end_commands(key, &error);
        for command in waiting {
            self.finish(key, command, Err(error.clone()));
        }
        self.forget(key, |device| match end {
            End::Deregistered => Event::Deregistered { device },
            End::Kicked => Event::Kicked { device },
            End::Expired => Event::Expired { device },
        });
    }

    /// Forgets a registration whose commands have ended, and says so.
    fn forget(&mut self, key: Key, event: impl FnOnce(Device) -> Event) {
        self.release(key);
        self.forget_observations(key);
        let Some(registration) = self.registry.remove(key) else { return };
        if registration.route == Route::Unproven {
            self.coap.peer_proven(registration.peer);
        }
        self.records.on_end(&registration);
        self.announce(event(registration.device()));
        if self.registry.give_back() {
            drop(registration);
            self.links.sweep();
            self.infos.sweep();
            self.origins.sweep();
        }
    }

    fn make_registration(&mut self, now: Instant, claimed: Claimed) -> Registration {
        let Content { lifetime, parameters, links } = claimed.content;
        let lifetime = lifetime.unwrap_or(Lifetime::DEFAULT);
        if !registration::binding_fits(&parameters) {
            let who = Who::named(claimed.peer, claimed.endpoint.clone());
            let binding = parameters.value("b").unwrap_or_default().to_owned();
            self.note(who, NoteKind::BindingCorrected, binding.as_bytes());
        }
        let info = self.share_info(lifetime, parameters, links);
        let (id, peer) = (claimed.registration, claimed.peer);
        let mut made = Registration::new(claimed.endpoint, id, info, peer, now);
        made.identity = match claimed.identity {
            Identity::None => None,
            proven => Some(Box::new(proven)),
        };
        made.fingerprint = Some(claimed.fingerprint);
        made.deadline = now + registration::timer(lifetime, &self.settings);
        made
    }

    /// Lays an Update over a registration (fact 14): what it does not name stays.
    fn refresh(&mut self, now: Instant, key: Key, content: Content) {
        let Some(registration) = self.registry.get(key) else { return };
        let known = Arc::clone(&registration.info);
        let lifetime = content.lifetime.unwrap_or(known.lifetime);
        let changed =
            lifetime != known.lifetime || !content.parameters.is_empty() || content.links.is_some();
        let info = if changed {
            let parameters = known.parameters.overlaid(&content.parameters);
            let links = content.links.or_else(|| known.links.clone());
            self.share_info(lifetime, parameters, links)
        } else {
            known
        };
        let timer = registration::timer(lifetime, &self.settings);
        if let Some(registration) = self.registry.get_mut(key) {
            registration.info = info;
            registration.deadline = now + timer;
            registration.lifetime = LifetimePhase::Running;
        }
    }

    pub(crate) fn share_info(
        &mut self,
        lifetime: Lifetime,
        parameters: Parameters,
        links: Option<Arc<ObjectLinks>>,
    ) -> Arc<RegisteredInfo> {
        let presence = registration::presence(&parameters, self.settings.profile);
        let info = RegisteredInfo { lifetime, parameters, links, presence };
        match self.infos.find(&info) {
            Some(shared) => shared,
            None => self.infos.add(Arc::new(info)),
        }
    }

    fn admit_by_id(
        &mut self,
        now: Instant,
        id: RegistrationId,
        sender: &Sender<'_>,
    ) -> Option<Key> {
        let key = self.registry.find_id(id)?;
        // The id was told to this address alone, so whoever knows it has heard us there.
        if self.registry.get(key)?.peer == sender.peer {
            self.on_proof_of_address(key);
        }
        let admitted = self.admit(now, key, sender.peer, sender.identity);
        if admitted {
            self.on_sign_of_life(now, key);
        }
        admitted.then_some(key)
    }

    /// Whether this is the Register that made the registration, once more (fact 11).
    fn repeats(&self, now: Instant, key: Key, fingerprint: Fingerprint) -> bool {
        self.registry.get(key).is_some_and(|registration| {
            registration.fingerprint == Some(fingerprint)
                && now - registration.registered <= REPETITION_SPAN
        })
    }

    fn answer_repetition(&mut self, now: Instant, key: Key, sender: &Sender<'_>) {
        if !self.admit(now, key, sender.peer, sender.identity) {
            return self.refuse_location_of(now, sender, key);
        }
        self.stats.register_repeated += 1;
        self.on_heard(now, key);
        if let Some(registration) = self.registry.get(key) {
            let id = registration.id();
            self.coap.respond(now, &sender.reply_to, created(id));
        }
        self.note_device(key, NoteKind::RegisterRepeated, b"");
        self.dispatch(now, key);
    }

    fn refuse_location_of(&mut self, now: Instant, sender: &Sender<'_>, key: Key) {
        if let Some(id) = self.registry.get(key).map(Registration::id) {
            self.refuse_location(now, sender, id);
        }
    }

    /// 4.04 in both profiles: several clients register again on nothing else.
    fn refuse_location(&mut self, now: Instant, sender: &Sender<'_>, id: RegistrationId) {
        self.coap.respond(now, &sender.reply_to, bare(Code::NOT_FOUND));
        self.stats.update_unknown += 1;
        self.note(Who::at(sender.peer), NoteKind::UnknownRegistration, &id.to_segment());
        self.on_heard_from(now, sender.peer, sender.identity);
    }

    fn refuse_registration(
        &mut self,
        now: Instant,
        sender: &Sender<'_>,
        refusal: Refusal,
        request: &Incoming<'_>,
    ) {
        self.coap.respond(now, &sender.reply_to, refusal.response(self.settings.profile));
        self.stats.register_refused += 1;
        let query: Vec<&[u8]> = request.options.uri_query().take(QUERY_SHOWN_MAX).collect();
        let shown = query.join(&b'&');
        let kind = NoteKind::RegistrationRefused(refusal.fault);
        self.note(Who::at(sender.peer), kind, &shown);
        self.on_heard_from(now, sender.peer, sender.identity);
    }

    pub(crate) fn refuse_overload(&mut self, now: Instant, claimed: Claimed) {
        let mut response = bare(Code::SERVICE_UNAVAILABLE);
        response.options.max_age(OVERLOAD_MAX_AGE);
        self.coap.respond(now, &claimed.reply_to, response);
        self.stats.register_refused += 1;
        let name = Some(claimed.endpoint.as_str().to_owned());
        let who = Who::named(claimed.peer, claimed.endpoint.clone());
        self.note(who, NoteKind::Overloaded, b"");
        let (peer, endpoint) = (claimed.peer, Some(claimed.endpoint));
        let (code, reason) = (Code::SERVICE_UNAVAILABLE, NoteKind::Overloaded.name());
        self.tell_rejection(now, Rejection { peer, endpoint, name, code, reason });
    }

    fn has_room(&self, former: Option<Key>) -> bool {
        let fits = former.is_some() || self.registry.len() < self.settings.registrations_max;
        fits && self.intake == Intake::Open && self.pending.has_room()
    }

    fn new_registration_id(&mut self) -> RegistrationId {
        loop {
            let id = RegistrationId::new(self.shard, self.random.next_u64());
            if self.registry.find_id(id).is_none() {
                return id;
            }
        }
    }

    fn fingerprint(&self, request: &Incoming<'_>) -> Fingerprint {
        let what = (
            request.token.as_bytes(),
            request.id.value(),
            request.options.as_bytes(),
            &*request.payload,
        );
        NonZeroU64::new(self.hasher.hash_one(what)).unwrap_or(NonZeroU64::MIN)
    }
}

/// 2.01 with the Location-Path of a registration.
fn created(id: RegistrationId) -> coap::Response {
    let mut response = bare(Code::CREATED);
    response.options.location_path("rd");
    response.options.location_path(&id.to_string());
    response
}

/// How many query parameters a note shows: what decides is among the first.
const QUERY_SHOWN_MAX: usize = 8;
