//! Notifications and Sends: OMA Core 6.4, RFC 7641.
//!
//! What comes is handed up undecoded with its `reply_to`: the device is answered when the driver
//! says so. What is observed is known to [`crate::observations`].

use coap::{Code, Freshness, Incoming, Instant, ObservationId, Reliability, Type};
use lwm2m::{Format, Path, codec};

use crate::event::{Continuation, Event, Notification};
use crate::formats;
use crate::interface::bare;
use crate::note::{NoteKind, Who};
use crate::observations::{Observation, Target};
use crate::registry::{Key, Registration};
use crate::reply::{Completion, Duty, ReplyTo};
use crate::server::{Sender, Server};

/// The formats that a Send may have (OMA Core 6.4.6; fact 67).
const SEND_FORMATS: [Format; 3] = [Format::SENML_JSON, Format::SENML_CBOR, Format::LWM2M_CBOR];

/// When a device that sends too much may try again: limits are per second.
const SEND_RETRY_SECS: u32 = 1;

impl Server {
    /// Completes a notification or Send that was handed up. Once per `reply_to`, also of a
    /// non-confirmable one.
    pub fn complete(&mut self, now: Instant, reply_to: &ReplyTo, completion: Completion) {
        match (completion, reply_to.duty) {
            (Completion::Refuse, _) => {
                self.stats.refused_completions += 1;
                self.coap.complete(now, &reply_to.message, coap::Completion::Refuse);
            }
            (Completion::Accept, Duty::Answer) => {
                self.coap.respond(now, &reply_to.message, bare(Code::CHANGED));
            }
            (Completion::Accept, Duty::Acknowledge) => {
                self.coap.complete(now, &reply_to.message, coap::Completion::Accept);
            }
            (Completion::Accept, Duty::AcknowledgeLast(id)) => {
                self.coap.complete(now, &reply_to.message, coap::Completion::Accept);
                if let Some(key) = self.observations.get(id).map(|found| found.registration) {
                    self.forget_observation(key, id);
                    self.record(key);
                }
            }
        }
        self.drain_messages(now, &crate::Identity::None);
    }

    /// Takes an event back that was dealt with. It need not come back; when all do, a steady stream
    /// of notifications allocates nothing.
    pub fn recycle(&mut self, event: Event) {
        self.used.give(event);
    }

    pub(crate) fn on_notification(
        &mut self,
        now: Instant,
        sender: Sender<'_>,
        id: ObservationId,
        (response, freshness): (Incoming<'_>, Freshness),
    ) {
        let Some(key) = self.observations.get(id).map(|found| found.registration) else {
            // Ours are forgotten in both places at once; should one be left over, it ends here.
            self.coap.forget_observation(id);
            self.coap.complete(now, &sender.reply_to, coap::Completion::Reject);
            return self.note(Who::at(sender.peer), NoteKind::NotificationUnknown, b"");
        };
        if !self.admit(now, key, sender.peer, sender.identity) {
            return self.coap.complete(now, &sender.reply_to, coap::Completion::Reject);
        }
        self.on_sign_of_life(now, key);
        if response.code.is_success() && self.is_over_limit(now, key) {
            // Unacknowledged it would come again, and the device in the end give up observing.
            self.coap.complete(now, &sender.reply_to, coap::Completion::Accept);
            return self.dispatch(now, key);
        }
        let Some(registration) = self.registry.get(key) else { return };
        let device = registration.device();
        let Some(observation) = self.observations.get_mut(id) else { return };
        let observe = response.options.observe();
        let continuation =
            if response.code.is_success() { Continuation::Ongoing } else { Continuation::Ended };
        let (path, origin) = (observation.target.path, observation.origin.clone());
        let sequence = observation.advance(observe);
        let format = response.options.content_format().map(|format| Format(format.0));
        let notification = self.used.fill(response.payload, |body| Notification {
            device,
            path,
            origin,
            code: response.code,
            format,
            body,
            observe,
            sequence,
            reliability: reliability(response.kind),
            freshness,
            continuation,
            reply_to: ReplyTo { message: sender.reply_to, duty: duty(continuation, id) },
        });
        self.stats.notified += 1;
        let last = continuation == Continuation::Ended;
        if last && notification.reliability == Reliability::NonConfirmable {
            // Nobody repeats it, so nothing is left to be completed.
            self.forget_observation(key, id);
            self.record(key);
        }
        self.emit(key, Event::Notified(notification));
        self.dispatch(now, key);
    }

    pub(crate) fn on_send(&mut self, now: Instant, sender: Sender<'_>, request: Incoming<'_>) {
        let key = self.registry.find_address(&sender.peer);
        let speaks = |key: &Key| {
            self.registry.get(*key).is_some_and(|found| found.is_identity(sender.identity))
        };
        let Some(key) = key.filter(speaks) else {
            self.coap.respond(now, &sender.reply_to, bare(Code::NOT_FOUND));
            self.stats.send_refused += 1;
            return self.note(Who::at(sender.peer), NoteKind::SendFromStranger, b"");
        };
        self.on_sign_of_life(now, key);
        if self.is_over_limit(now, key) {
            let mut response = bare(Code::TOO_MANY_REQUESTS);
            response.options.max_age(SEND_RETRY_SECS);
            self.coap.respond(now, &sender.reply_to, response);
            self.stats.send_refused += 1;
            return self.dispatch(now, key);
        }
        let format = request.options.content_format().map(|format| Format(format.0));
        let format = format.filter(|format| SEND_FORMATS.contains(format));
        let Some(format) = format else {
            return self.refuse_send(now, key, &sender, Code::UNSUPPORTED_CONTENT_FORMAT, &request);
        };
        let Some(device) = self.registry.get(key).map(Registration::device) else { return };
        let context = self.context(now, &device.info);
        if codec::decode(Some(format), &Path::ROOT, &request.payload, &context).is_err() {
            return self.refuse_send(now, key, &sender, Code::BAD_REQUEST, &request);
        }
        self.stats.sent += 1;
        let reply_to = ReplyTo { message: sender.reply_to, duty: Duty::Answer };
        let body = request.payload.into_owned();
        self.emit(key, Event::Sent { device, format, body, reply_to });
        self.dispatch(now, key);
    }

    fn refuse_send(
        &mut self,
        now: Instant,
        key: Key,
        sender: &Sender<'_>,
        code: Code,
        request: &Incoming<'_>,
    ) {
        self.coap.respond(now, &sender.reply_to, bare(code));
        self.stats.send_refused += 1;
        self.note_device(key, NoteKind::SendRefused, &request.payload);
        self.dispatch(now, key);
    }

    pub(crate) fn add_observation(&mut self, observation: Observation) {
        if let Some(registration) = self.registry.get_mut(observation.registration) {
            self.observations.insert(observation, &mut registration.observations);
        }
    }

    /// Takes an observation out of the books; the message layer goes on knowing it.
    pub(crate) fn remove_observation(&mut self, key: Key, id: ObservationId) {
        if let Some(registration) = self.registry.get_mut(key) {
            self.observations.remove(id, &mut registration.observations);
        }
    }

    /// Forgets an observation: what still comes of it is rejected with Reset.
    pub(crate) fn forget_observation(&mut self, key: Key, id: ObservationId) {
        self.remove_observation(key, id);
        self.coap.forget_observation(id);
    }

    /// Forgets all observations of a registration (facts 9, 19).
    pub(crate) fn forget_observations(&mut self, key: Key) {
        while let Some(id) = self.first_observation(key) {
            self.forget_observation(key, id);
        }
    }

    fn first_observation(&self, key: Key) -> Option<ObservationId> {
        let head = self.registry.get(key)?.observations;
        self.observations.chain(head).next().map(|observation| observation.id)
    }

    /// The observations of a path, or of a list of paths, in whatever format.
    pub(crate) fn observations_of(&self, key: Key, target: &Target) -> Vec<ObservationId> {
        let head = self.registry.get(key).map(|found| found.observations).unwrap_or_default();
        let same_list = |found: &Target| match (&found.composite, &target.composite) {
            (Some(found), Some(wanted)) => formats::same_paths(found, wanted, &self.models),
            (found, wanted) => found.is_none() && wanted.is_none(),
        };
        let same =
            |found: &&Observation| found.target.path == target.path && same_list(&found.target);
        self.observations.chain(head).filter(same).map(|found| found.id).collect()
    }
}

const fn duty(continuation: Continuation, id: ObservationId) -> Duty {
    match continuation {
        Continuation::Ongoing => Duty::Acknowledge,
        Continuation::Ended => Duty::AcknowledgeLast(id),
    }
}

const fn reliability(kind: Type) -> Reliability {
    match kind {
        Type::Confirmable => Reliability::Confirmable,
        Type::NonConfirmable | Type::Acknowledgement | Type::Reset => Reliability::NonConfirmable,
    }
}
