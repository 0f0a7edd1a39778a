//! Notifications: entering and ending observations, telling changes. RFC 7641, OMA Core 6.4.
//!
//! Which one is due is decided in [`crate::observe`].

use std::sync::Arc;

use coap::{Code, Instant, MessageId, OptionList, Reliability, Token};
use lwm2m::Reading;

use crate::device::Device;
use crate::event::{Event, ObservationEnd};
use crate::inbound::outgoing;
use crate::management::Effect;
use crate::messages::Purpose;
use crate::observe::{Observation, Target};
use crate::profile::ContentFormatOption;
use crate::registration::State;
use crate::reply::Reply;

/// Buffers that one message after the other uses.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spare {
    readings: Vec<Reading>,
    reply: Reply,
    /// Options of a request.
    pub(crate) options: OptionList,
}

/// Observations that one server may have; a further one is answered as a plain read, which
/// RFC 7641 4.1 allows. At 128 bytes each, 8 KiB.
const OBSERVATIONS_MAX: usize = 64;

/// Observe numbers have 24 bits: RFC 7641 2.
const NUMBER_MASK: u32 = 0x00ff_ffff;

impl Device {
    /// Enters the observation that an answer begins, and gives the answer its number.
    pub(crate) fn observed_reply(
        &mut self,
        now: Instant,
        mut reply: Reply,
        effects: &[Effect],
    ) -> Reply {
        for effect in effects {
            if let Effect::Observe { token, target, accept, key } = effect
                && self.make_room_for(*token)
            {
                let told = self.number_of(target);
                let observation = Observation {
                    token: *token,
                    target: target.clone(),
                    accept: *accept,
                    key: *key,
                    told,
                    last_sent: now,
                    last_confirmed: now,
                    changed: None,
                    last_id: None,
                };
                if self.observations.len() < 4 {
                    self.observations.reserve_exact(1);
                }
                self.observations.push(observation);
                reply.options.observe(self.next_number());
                self.emit(Event::Observed { path: target.path() });
            }
        }
        reply
    }

    pub(crate) fn end_observation(&mut self, token: Token, reason: ObservationEnd) {
        let index = self.observations.iter().position(|entry| entry.token == token);
        if let Some(index) = index {
            let observation = self.observations.swap_remove(index);
            self.messages.end(Purpose::Notification(token));
            self.emit(Event::ObservationEnded { path: observation.target.path(), reason });
        }
    }

    pub(crate) fn on_notification_confirmed(&mut self, now: Instant, token: Token, sent: Instant) {
        if let Some(entry) = self.observations.iter_mut().find(|entry| entry.token == token) {
            entry.last_confirmed = now;
            let path = entry.target.path();
            self.emit(Event::Confirmed { path, after: now - sent });
        }
    }

    /// When the next notification is due; `None` while it would have to wait for another message.
    pub(crate) fn notification_timeout(&self) -> Option<Instant> {
        if !self.may_notify() || self.must_wait() {
            return None;
        }
        self.observations.iter().filter_map(|entry| entry.due_at(&self.data)).min()
    }

    pub(crate) fn drive_notifications(&mut self, now: Instant) {
        if !self.may_notify() {
            return;
        }
        let mut index = 0;
        while let Some(observation) = self.observations.get(index) {
            let due = observation.due_at(&self.data).is_some_and(|at| at <= now);
            if due && !self.must_wait() {
                // An observation that ended has another one in its place.
                if self.tell(now, index) {
                    index += 1;
                }
            } else {
                index += 1;
            }
        }
    }

    fn may_notify(&self) -> bool {
        matches!(self.state, State::Registering { .. } | State::Registered(_))
    }

    fn is_confirmable(&self) -> bool {
        self.data.habits.notifications == Reliability::Confirmable
    }

    /// A confirmable notification waits for the message before it: NSTART is 1.
    fn must_wait(&self) -> bool {
        self.is_confirmable() && self.messages.is_busy()
    }

    /// Sends one notification; `false` when it was the last of its observation.
    fn tell(&mut self, now: Instant, index: usize) -> bool {
        let Some(observation) = self.observations.get(index) else { return false };
        let (token, path) = (observation.token, observation.target.path());
        let reliability = if observation.must_confirm(now) {
            Reliability::Confirmable
        } else {
            self.data.habits.notifications
        };
        let told = self.number_of(&observation.target);
        let (goes_on, id) = self.transmit_notification(now, index, token, reliability);
        self.emit(Event::Notified { path, reliability });
        if let Some(observation) = self.observations.get_mut(index) {
            observation.last_sent = now;
            observation.changed = None;
            observation.told = told;
            observation.last_id = Some(id);
        }
        if !goes_on {
            // Its repetitions go on: the server has to learn of the end.
            self.observations.swap_remove(index);
            self.emit(Event::ObservationEnded { path, reason: ObservationEnd::Deleted });
        }
        goes_on
    }

    /// Whether it was made of values, and its message id.
    fn transmit_notification(
        &mut self,
        now: Instant,
        index: usize,
        token: Token,
        reliability: Reliability,
    ) -> (bool, MessageId) {
        let Spare { mut readings, mut reply, options } = std::mem::take(&mut self.spare);
        let goes_on = self.write_notification(now, index, &mut readings, &mut reply);
        let profile = Arc::clone(&self.data.profile);
        let message = outgoing(&reply, token);
        let id = match reliability {
            Reliability::Confirmable => {
                let params = (&profile.transmission, &mut self.chance);
                self.messages.send_confirmable(now, Purpose::Notification(token), message, params)
            }
            Reliability::NonConfirmable => self.messages.send_non_confirmable(message),
        };
        self.spare = Spare { readings, reply, options };
        (goes_on, id)
    }

    /// Makes the reply a notification; says whether it is one of values.
    fn write_notification(
        &mut self,
        now: Instant,
        index: usize,
        readings: &mut Vec<Reading>,
        reply: &mut Reply,
    ) -> bool {
        let Some(observation) = self.observations.get(index) else { return false };
        reply.clear(Code::CONTENT);
        let key = observation.key;
        match observation.write_body(&self.data, readings, &mut reply.payload) {
            Ok(format) => {
                // In the order of their numbers, which needs no room to sort them.
                reply.options.observe(self.next_number());
                if self.data.profile.content_format == ContentFormatOption::Stated {
                    reply.options.content_format(format.0);
                }
                if self.is_too_large(reply) {
                    *reply = self.sliced(now, key, std::mem::take(reply), None);
                }
                true
            }
            Err(code) => {
                *reply = self.error(code);
                false
            }
        }
    }

    /// Replaces an observation of the same token; `false` when there are too many.
    fn make_room_for(&mut self, token: Token) -> bool {
        self.observations.retain(|entry| entry.token != token);
        self.observations.len() < OBSERVATIONS_MAX
    }

    fn number_of(&self, target: &Target) -> Option<f64> {
        match target {
            Target::One(path) => self.data.number(path),
            Target::Many(_) => None,
        }
    }

    fn next_number(&mut self) -> u32 {
        let number = self.next_observe;
        self.next_observe = number.wrapping_add(1) & NUMBER_MASK;
        number
    }
}
