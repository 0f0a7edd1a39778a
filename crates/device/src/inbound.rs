//! Datagrams from the server: acknowledgements, answers and requests. RFC 7252 4, 5.
//!
//! What a request does is the job of [`crate::management`]; here are repetition, blocks, and what
//! an operation sets in motion.

use coap::{Code, Instant, Message, MessageId, OptionNumber, Token, Type};

use crate::block::{self, Block, Download, Received, Upload, UploadLimits};
use crate::device::{Delayed, Device};
use crate::event::{Event, ObservationEnd};
use crate::management::{self, Asked, Done, Effect, Machine};
use crate::messages::{Outgoing, Purpose};
use crate::profile::Answers;
use crate::registration::State;
use crate::reply::Reply;

impl Device {
    pub(crate) fn on_datagram(&mut self, now: Instant, datagram: &[u8]) {
        let message = match Message::parse(datagram) {
            Ok(message) => message,
            Err(error) => return self.on_garbage(datagram, error),
        };
        match (message.kind, message.code) {
            (Type::Reset, _) => self.on_reset(now, message.id),
            (Type::Acknowledgement, Code::EMPTY) => self.on_acknowledgement(now, message.id),
            // CoAP's ping.
            (kind, Code::EMPTY) => self.reset(kind, message.id),
            (Type::Acknowledgement, code) if code.is_request() => {}
            (_, code) if code.is_request() => self.on_request(now, &message),
            _ => self.on_response(now, &message),
        }
    }

    /// A message format error is answered with Reset if the message claims to be confirmable.
    fn on_garbage(&mut self, datagram: &[u8], error: coap::ParseError) {
        let Some((&[first, _, high, low], _)) = datagram.split_first_chunk() else { return };
        if !error.is_silent() {
            let id = MessageId::new(u16::from_be_bytes([high, low]));
            self.reset(Type::from_bits(first >> 4), id);
        }
    }

    fn on_reset(&mut self, now: Instant, id: MessageId) {
        match self.messages.on_reset(id) {
            Some(Purpose::Request) => self.on_silence(now),
            Some(Purpose::Notification(token)) => {
                self.end_observation(token, ObservationEnd::Reset);
            }
            Some(Purpose::Answer) => {}
            None => {
                let told = self.observations.iter().find(|entry| entry.last_id == Some(id));
                if let Some(token) = told.map(|observation| observation.token) {
                    self.end_observation(token, ObservationEnd::Reset);
                }
            }
        }
    }

    fn on_acknowledgement(&mut self, now: Instant, id: MessageId) {
        let answer_within = self.data.profile.transmission.max_transmit_wait();
        if let Some((Purpose::Notification(token), sent)) =
            self.messages.on_acknowledgement(now, id, answer_within)
        {
            self.on_notification_confirmed(now, token, sent);
        }
    }

    fn on_response(&mut self, now: Instant, message: &Message<'_>) {
        let ours = self.request.as_ref().is_some_and(|request| request.token == message.token);
        if !ours {
            return self.reset(message.kind, message.id);
        }
        if message.kind == Type::Confirmable {
            self.messages.send_empty(Type::Acknowledgement, message.id);
        }
        self.messages.end_request();
        self.on_answer(now, message);
    }

    fn on_request(&mut self, now: Instant, message: &Message<'_>) {
        if self.messages.repeat(now, message.id) {
            return;
        }
        match self.state {
            // It answers what it has answered before, nothing new.
            State::GoingDown { .. } => return,
            State::Off | State::Waiting { .. } => return self.reset(message.kind, message.id),
            State::Registering { .. } | State::Registered(_) | State::Leaving { .. } => {}
        }
        self.answer(now, message);
    }

    /// Sends a reply and remembers it, for when the request comes again.
    fn reply(&mut self, now: Instant, message: &Message<'_>, reply: Reply) {
        let mark = self.messages.mark();
        self.transmit_reply(now, message, reply);
        let params = &self.data.profile.transmission;
        let lifetime = match message.kind {
            Type::Confirmable => params.exchange_lifetime(),
            Type::NonConfirmable | Type::Acknowledgement | Type::Reset => params.non_lifetime(),
        };
        let limit = self.data.profile.remembered_max;
        if self.is_worth_remembering(message) {
            self.messages.remember(message.id, now + lifetime, mark, limit);
        }
    }

    /// A read that is repeated is carried out again, which costs less than keeping its answer:
    /// RFC 7252 4.5 allows it for idempotent requests.
    fn is_worth_remembering(&self, message: &Message<'_>) -> bool {
        message.code != Code::GET
            || message.options.observe().is_some()
            || self.data.habits.answers != Answers::Piggybacked
    }

    fn answer(&mut self, now: Instant, message: &Message<'_>) {
        if management::has_unknown_critical(message) {
            if message.kind == Type::Confirmable {
                self.reply(now, message, Reply::code(Code::BAD_OPTION));
            }
            return;
        }
        if management::is_ignored(&self.data, message.code) {
            return;
        }
        let (reply, effects) = match self.perform(now, message) {
            Ok(done) => (done.reply, done.effects),
            Err(code) => (self.error(code), Vec::new()),
        };
        let reply = self.observed_reply(now, reply, &effects);
        let reply = self.block_of(now, message, reply);
        self.reply(now, message, reply);
        for effect in effects {
            self.carry_out(now, effect);
        }
    }

    fn perform(&mut self, now: Instant, message: &Message<'_>) -> Result<Done, Code> {
        let block1 = Block::of(message, OptionNumber::BLOCK1)?;
        let Some(block1) = block1 else {
            let kept = self.kept_body(message);
            if let Some(reply) = kept {
                return Ok(Done { reply, effects: Vec::new() });
            }
            return self.carry_out_request(message, message.payload);
        };
        let profile = &self.data.profile;
        let limits = UploadLimits {
            szx: block::szx_of(profile.block_size),
            large: profile.large_block,
            body_max: profile.body_max,
            until: now + profile.transmission.exchange_lifetime(),
        };
        match Upload::receive(&mut self.upload, message, block1, limits) {
            Received::Answer(reply) => Ok(Done { reply, effects: Vec::new() }),
            Received::Body(body) => {
                let done = self.carry_out_request(message, &body);
                let mut done = match done {
                    Ok(done) => done,
                    Err(code) => Done { reply: self.error(code), effects: Vec::new() },
                };
                block1.push(&mut done.reply.options, OptionNumber::BLOCK1);
                Ok(done)
            }
        }
    }

    fn carry_out_request(&mut self, message: &Message<'_>, payload: &[u8]) -> Result<Done, Code> {
        let asked = Asked::new(&self.data, message, payload)?;
        let machine = Machine { firmware: self.firmware, chance: &mut self.chance };
        asked.perform(&mut self.data, machine)
    }

    /// The body whose first block was sent, when the request asks for a later one.
    fn kept_body(&self, message: &Message<'_>) -> Option<Reply> {
        let wanted = Block::of(message, OptionNumber::BLOCK2).ok().flatten()?;
        let later = wanted.number > 0 && message.options.observe().is_none();
        let key = block::key_of(message);
        later.then(|| Download::of(self.download.as_deref(), key).cloned()).flatten()
    }

    /// The block of the reply that is sent now; the rest is kept.
    fn block_of(&mut self, now: Instant, message: &Message<'_>, reply: Reply) -> Reply {
        let wanted = match Block::of(message, OptionNumber::BLOCK2) {
            Ok(wanted) => wanted,
            Err(code) => return self.error(code),
        };
        if !reply.code.is_success() {
            return reply;
        }
        self.sliced(now, block::key_of(message), reply, wanted)
    }

    /// Cuts a reply to its block, and keeps the whole as long as more of it will be asked for.
    pub(crate) fn sliced(
        &mut self,
        now: Instant,
        key: u64,
        reply: Reply,
        wanted: Option<Block>,
    ) -> Reply {
        let profile = &self.data.profile;
        let szx = block::szx_of(profile.block_size);
        if wanted.is_none() && !self.is_too_large(&reply) {
            return reply;
        }
        let until = now + profile.transmission.exchange_lifetime();
        let (sliced, more) = block::slice(&reply, wanted, szx);
        self.download = more.then(|| Box::new(Download::new(key, reply, until)));
        sliced
    }

    /// Whether a reply does not fit into one message.
    pub(crate) fn is_too_large(&self, reply: &Reply) -> bool {
        reply.payload.len() > usize::from(self.data.profile.block_size)
    }

    fn transmit_reply(&mut self, now: Instant, message: &Message<'_>, reply: Reply) {
        match (self.data.habits.answers, message.kind) {
            (Answers::Separate { after, reliability }, kind) => {
                if kind == Type::Confirmable {
                    self.messages.send_empty(Type::Acknowledgement, message.id);
                }
                let at = now + after;
                self.delayed.push(Delayed { at, reliability, token: message.token, reply });
            }
            (Answers::Piggybacked, Type::Confirmable) => {
                let outgoing = outgoing(&reply, message.token);
                self.messages.send(Type::Acknowledgement, message.id, outgoing);
            }
            (Answers::Piggybacked, _) => {
                self.messages.send_non_confirmable(outgoing(&reply, message.token));
            }
        }
    }

    fn carry_out(&mut self, now: Instant, effect: Effect) {
        match effect {
            Effect::Written(path) => self.on_written(now, path),
            Effect::Created(path) => {
                self.emit(Event::Created { path });
                self.on_changed(&path);
                self.on_objects_changed();
            }
            Effect::Deleted(path) => {
                self.emit(Event::Deleted { path });
                self.on_changed(&path);
                self.on_objects_changed();
            }
            Effect::AttributesWritten(path) => self.emit(Event::AttributesWritten { path }),
            Effect::Executed { path, arguments } => self.on_executed(path, arguments),
            // Entered before the reply left, because the reply carries its number.
            Effect::Observe { .. } => {}
            Effect::CancelObserve { token, target } => {
                let known = |entry: &crate::observe::Observation| {
                    entry.token == token && entry.target == target
                };
                if self.observations.iter().any(known) {
                    self.end_observation(token, ObservationEnd::Cancelled);
                }
            }
            Effect::Update => self.update(now),
            Effect::Reboot => self.reboot(now),
            Effect::FactoryReset => {
                self.data.tree.reset();
                self.reboot(now);
            }
            Effect::Send(paths) => {
                // A refused Send shows as one that never comes; the server asked for it.
                let _ = self.send(now, &paths);
            }
            Effect::Install => self.install(now),
        }
    }

    fn on_written(&mut self, now: Instant, path: lwm2m::Path) {
        let value = self.data.tree.value(&path).cloned();
        self.emit(Event::Written { path, value });
        self.on_changed(&path);
        let changed = self.firmware.on_written(&mut self.data, &path, now);
        for path in changed {
            self.on_changed(&path);
        }
        self.on_server_object_written(&path);
    }

    fn on_executed(&mut self, path: lwm2m::Path, arguments: String) {
        match self.executions.iter_mut().find(|(at, _)| *at == path) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.executions.push((path, 1)),
        }
        self.emit(Event::Executed { path, arguments });
    }

    fn install(&mut self, now: Instant) {
        for path in self.firmware.on_update(&mut self.data, now) {
            self.on_changed(&path);
        }
    }
}

/// A reply as a message of that token.
pub(crate) fn outgoing(reply: &Reply, token: Token) -> Outgoing<'_> {
    Outgoing { code: reply.code, token, options: &reply.options, payload: &reply.payload }
}
