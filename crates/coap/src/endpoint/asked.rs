//! Requests of peers: repetition, options, bodies in blocks: RFC 7252 4.5, 5.4.1, RFC 7959 2.

use alloc::borrow::Cow;
use core::hash::{BuildHasher, Hash, Hasher};

use super::{Endpoint, Timer, note};
use crate::block::{BadBlock, BlockOption};
use crate::dedup::Answer;
use crate::option_rules::{self, BadOptions};
use crate::receive::{Piece, Received};
use crate::request::{Asked, Target};
use crate::serve::{self, Cut};
use crate::{
    Code, Event, Incoming, Message, MessageId, NoteKind, OptionNumber, Options, Peer, ReplyTo,
    Response, Type,
};

impl Endpoint {
    /// A request: answered from memory if it is a repetition, answered here if it cannot be
    /// understood or is one block of several, else handed up.
    pub(super) fn on_request<'d>(
        &mut self,
        peer: Peer,
        message: Message<'d>,
        datagram: &'d [u8],
    ) -> Option<Event<'d>> {
        let place = self.peer_place(peer)?;
        if self.was_asked(place, &message) {
            return None;
        }
        self.stats.requests_in += 1;
        let asked = self.asked_by(place, &message)?;
        let refused = option_rules::check(&message.options).err();
        let blocks = if refused.is_some() { Ok((None, None)) } else { blocks_of(&message.options) };
        let (block1, block2) = blocks.unwrap_or_default();
        let asked = Asked { block1, block2, ..asked };
        let reply_to = ReplyTo {
            peer,
            token: message.token,
            id: message.id,
            kind: message.kind,
            target: Target::Request(asked),
        };
        if let Some(bad) = refused {
            let kind = self.refuse(&reply_to, bad);
            return Some(note(peer, kind, datagram));
        }
        if blocks.is_err() {
            self.respond_now(&reply_to, Response::new(Code::BAD_REQUEST));
            return Some(note(peer, NoteKind::BlockMismatch, datagram));
        }
        let payload = match self.take_block(&reply_to, &asked, &message) {
            Taken::Whole(payload) => payload,
            Taken::Answered => return None,
            Taken::Refused(kind) => return Some(note(peer, kind, datagram)),
        };
        if self.serve_block(&reply_to, &asked) {
            return None;
        }
        self.hand_up(
            place,
            reply_to,
            asked,
            Incoming { payload, ..super::answered::incoming(message) },
        )
    }

    /// Sets the timer of the empty acknowledgement and makes the event.
    fn hand_up<'d>(
        &mut self,
        place: u32,
        reply_to: ReplyTo,
        asked: Asked,
        request: Incoming<'d>,
    ) -> Option<Event<'d>> {
        if reply_to.is_confirmable() {
            let at = self.now + self.config.ack_delay;
            self.timers.schedule(at, Timer::Acknowledge(place, asked.entry));
        }
        Some(Event::Request { peer: reply_to.peer, reply_to, request })
    }

    /// Whether the request was seen before; its answer, as far as there is one, is repeated. A
    /// repeated non-confirmable request is ignored (RFC 7252 4.5).
    fn was_asked(&mut self, place: u32, message: &Message<'_>) -> bool {
        let now = self.now;
        let Some(state) = self.peers.get_mut(place) else {
            return false;
        };
        let peer = state.peer;
        let Some(entry) = state.seen.find(now, message.id) else {
            return false;
        };
        self.stats.duplicates += 1;
        if message.kind != Type::Confirmable {
            return true;
        }
        match &entry.answer {
            Answer::Pending | Answer::Unrepeatable => {}
            Answer::Acknowledged => self.acknowledge(peer, message.id),
            Answer::Datagram(bytes) => {
                let bytes = bytes.clone();
                self.send(peer, |out| out.extend_from_slice(&bytes));
            }
        }
        true
    }

    /// Enters a new request into the table of those that were seen.
    fn asked_by(&mut self, place: u32, message: &Message<'_>) -> Option<Asked> {
        let lifetime = match message.kind {
            Type::Confirmable => self.config.params.exchange_lifetime(),
            _ => self.config.params.non_lifetime(),
        };
        let now = self.now;
        let state = self.peers.get_mut(place)?;
        let seen = (place, &mut state.seen);
        let (entry, evicted) = self.ledger.add(seen, now, message.id, now + lifetime);
        self.stats.dedup_evictions += evicted as u64;
        self.keep_ledger_bounds();
        let no_response = message.options.uint(OptionNumber::NO_RESPONSE, 1).unwrap_or(0) as u8;
        let key = self.key_of(message.code, &message.options);
        Some(Asked {
            place,
            entry,
            method: message.code,
            no_response,
            key,
            block1: None,
            block2: None,
        })
    }

    /// Forgets the oldest entries of all while there are too many.
    pub(super) fn keep_ledger_bounds(&mut self) {
        while let Some((place, serial)) = self.ledger.surplus() {
            let Some(state) = self.peers.get_mut(place) else {
                continue;
            };
            if self.ledger.remove(&mut state.seen, serial) {
                self.stats.dedup_evictions += 1;
                self.peers.remove_if_blank(place);
            }
        }
        self.tidy_ledger();
    }

    /// Takes what is gone out of the order in which requests are forgotten.
    pub(super) fn tidy_ledger(&mut self) {
        if self.ledger.is_littered() {
            let peers = &mut self.peers;
            self.ledger.compact(|place, serial| {
                peers.get_mut(place).is_some_and(|state| state.seen.by_serial(serial).is_some())
            });
        }
    }

    /// A hash of what is asked for: requests of one peer with the same hash are blocks of one body,
    /// or ask for blocks of one answer (RFC 7959 2.4, 2.5; RFC 9175 3).
    fn key_of(&self, method: Code, options: &Options<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        method.hash(&mut hasher);
        for (number, value) in options {
            if matches!(
                number,
                OptionNumber::URI_HOST
                    | OptionNumber::URI_PORT
                    | OptionNumber::URI_PATH
                    | OptionNumber::URI_QUERY
                    | OptionNumber::REQUEST_TAG
            ) {
                (number, value).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Refuses a request because of its options; a non-confirmable one in silence (RFC 7252 5.4.1).
    fn refuse(&mut self, reply_to: &ReplyTo, bad: BadOptions) -> NoteKind {
        self.stats.bad_options += 1;
        let (code, kind) = match bad {
            BadOptions::Critical(number) => (Code::BAD_OPTION, NoteKind::BadOption(number)),
            BadOptions::Proxy => (Code::PROXYING_NOT_SUPPORTED, NoteKind::ProxyRequest),
        };
        if reply_to.is_confirmable() || bad == BadOptions::Proxy {
            self.respond_now(reply_to, Response::new(code));
        }
        kind
    }

    /// Takes the body of a request, or one block of it.
    fn take_block<'d>(
        &mut self,
        reply_to: &ReplyTo,
        asked: &Asked,
        message: &Message<'d>,
    ) -> Taken<'d> {
        let Some(block) = asked.block1 else {
            return Taken::Whole(Cow::Borrowed(message.payload));
        };
        self.stats.blocks_in += 1;
        let piece = Piece {
            peer: reply_to.peer,
            key: asked.key,
            block,
            size1: message.options.size1(),
            payload: message.payload,
        };
        let received = self.assemblies.take(self.now, &piece, self.fetched_bytes);
        self.watch_bodies();
        let (response, kind) = match received {
            Received::Complete(body) => return Taken::Whole(Cow::Owned(body)),
            Received::Continue => {
                self.respond_now(reply_to, Response::new(Code::CONTINUE));
                return Taken::Answered;
            }
            Received::Incomplete => {
                (Response::new(Code::REQUEST_ENTITY_INCOMPLETE), NoteKind::BlockMismatch)
            }
            Received::BadSize => (Response::new(Code::BAD_REQUEST), NoteKind::BlockMismatch),
            Received::TooLarge => (self.too_large(), NoteKind::BodyTooLarge),
            Received::NoRoom => (no_room(), NoteKind::NoRoomForBody),
        };
        self.reply(reply_to, asked, response);
        Taken::Refused(kind)
    }

    /// 4.13 and what would be taken (RFC 7959 2.9.3).
    fn too_large(&self) -> Response {
        let mut response = Response::new(Code::REQUEST_ENTITY_TOO_LARGE);
        response.options.push_uint(OptionNumber::SIZE1, self.config.body_max as u64);
        response
    }

    /// Answers the question for a later block of a large answer; false if it is to be handed up.
    fn serve_block(&mut self, reply_to: &ReplyTo, asked: &Asked) -> bool {
        let Some(block) = asked.block2.filter(|block| block.number > 0) else {
            return false;
        };
        let kept = self.served.find(self.now, (reply_to.peer, asked.key));
        let response = match kept.map(|whole| serve::cut(whole, Some(block), self.size_max)) {
            Some(Cut::Block { response, .. }) => response,
            Some(Cut::Beyond | Cut::Whole) => serve::beyond(),
            // Asking again for what only reads is harmless: the owner answers and it is cut anew.
            None if asked.method.is_safe_method() => return false,
            None => Response::new(Code::REQUEST_ENTITY_INCOMPLETE),
        };
        self.stats.blocks_out += 1;
        self.reply(reply_to, asked, response);
        true
    }

    /// The empty acknowledgement of a request that its owner has not answered in time.
    pub(super) fn acknowledge_request(&mut self, place: u32, serial: u32) {
        let Some(state) = self.peers.get_mut(place) else {
            return;
        };
        let peer = state.peer;
        let Some(entry) = state.seen.by_serial(serial) else {
            return;
        };
        if matches!(entry.answer, Answer::Pending) {
            entry.answer = Answer::Acknowledged;
            let id: MessageId = entry.id;
            self.acknowledge(peer, id);
        }
    }
}

/// What became of the body of a request.
enum Taken<'d> {
    Whole(Cow<'d, [u8]>),
    Answered,
    Refused(NoteKind),
}

type Blocks = (Option<BlockOption>, Option<BlockOption>);

fn blocks_of(options: &Options<'_>) -> Result<Blocks, BadBlock> {
    let block1 = BlockOption::of(options, OptionNumber::BLOCK1)?;
    Ok((block1, BlockOption::of(options, OptionNumber::BLOCK2)?))
}

/// 5.03 and when to try again.
fn no_room() -> Response {
    let mut response = Response::new(Code::SERVICE_UNAVAILABLE);
    response.options.max_age(RETRY_SECS);
    response
}

/// A third of the time that half-received bodies are kept for.
const RETRY_SECS: u32 = 30;
