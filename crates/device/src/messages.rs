//! Confirmable messages and repeated requests between one device and its server: RFC 7252 4.
//!
//! `coap::Endpoint` is the server's end, made for a million peers; a device has one peer and must
//! be small, so it keeps its few messages in plain lists. What the messages say is the job of
//! [`crate::requests`], [`crate::management`] and [`crate::observe`].

use std::collections::VecDeque;

use coap::{Code, Duration, Instant, Message, MessageId, Options, Token, TransmissionParams, Type};

use crate::chance::Chance;
use crate::outbox::Outbox;

/// What a confirmable message of the device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A request of its own.
    Request,
    /// A notification of the observation with this token.
    Notification(Token),
    /// The separate answer to a request.
    Answer,
}

/// Code, options and payload of a message to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) code: Code,
    pub(crate) token: Token,
    pub(crate) options: &'a coap::OptionList,
    pub(crate) payload: &'a [u8],
}

impl Outgoing<'_> {
    fn encode(&self, kind: Type, id: MessageId, datagram: &mut Vec<u8>) {
        let Self { code, token, options, payload } = *self;
        Message { kind, code, id, token, options: options.options(), payload }.encode(datagram);
    }
}

/// The messages between one device and its server.
#[derive(Debug, Clone)]
pub(crate) struct Messages {
    next_id: u16,
    outbox: Outbox,
    awaiting: Vec<Awaiting>,
    remembered: VecDeque<Remembered>,
    /// Messages sent again since somebody asked.
    repetitions: u32,
    /// The buffer of a message that was acknowledged, for the next one.
    spare: Vec<u8>,
}

/// A confirmable message that is not over yet.
#[derive(Debug, Clone)]
struct Awaiting {
    purpose: Purpose,
    id: MessageId,
    /// When it left for the first time.
    sent: Instant,
    wait: Wait,
    deadline: Instant,
}

#[derive(Debug, Clone)]
enum Wait {
    /// For the acknowledgement; the message is sent again at the deadline.
    Acknowledgement { datagram: Vec<u8>, transmissions: u8, timeout: Duration },
    /// For the separate answer to a request that was acknowledged.
    Answer,
}

/// The answer to a request, for when the request is repeated.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    id: MessageId,
    until: Instant,
    /// Empty: the request was not answered.
    answer: Box<[u8]>,
}

impl Messages {
    pub(crate) fn new(first_id: u16) -> Self {
        Self {
            next_id: first_id,
            outbox: Outbox::default(),
            awaiting: Vec::new(),
            remembered: VecDeque::new(),
            repetitions: 0,
            spare: Vec::new(),
        }
    }

    /// Begins anew, as somebody who has nothing open; keeps the memory.
    pub(crate) fn restart(&mut self, next_id: u16) {
        self.next_id = next_id;
        self.outbox.clear();
        self.awaiting.clear();
        self.remembered.clear();
        self.repetitions = 0;
    }

    /// Whether nothing waits to leave or to be answered, and nobody has to be told of repetitions.
    pub(crate) fn can_rest(&self) -> bool {
        self.outbox.is_empty() && self.awaiting.is_empty() && self.repetitions == 0
    }

    pub(crate) const fn next_id(&self) -> u16 {
        self.next_id
    }

    /// When the next answer can be forgotten.
    pub(crate) fn forget_at(&self) -> Option<Instant> {
        self.remembered.front().map(|entry| entry.until)
    }

    pub(crate) fn take_remembered(&mut self) -> VecDeque<Remembered> {
        if self.remembered.is_empty() {
            return VecDeque::new();
        }
        std::mem::take(&mut self.remembered)
    }

    pub(crate) fn put_remembered(&mut self, remembered: VecDeque<Remembered>) {
        if !remembered.is_empty() {
            self.remembered = remembered;
        }
    }

    /// How many messages were sent again since the last call.
    pub(crate) const fn take_repetitions(&mut self) -> u32 {
        std::mem::replace(&mut self.repetitions, 0)
    }

    /// Whether a confirmable message is not over yet.
    pub(crate) fn is_awaiting(&self) -> bool {
        !self.awaiting.is_empty()
    }

    pub(crate) fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<usize> {
        self.outbox.pop(out)
    }

    pub(crate) fn skip_transmit(&mut self) {
        self.outbox.skip();
    }

    /// Whether a message of the device's own has to wait: NSTART is 1, answers are not counted.
    pub(crate) fn is_busy(&self) -> bool {
        self.awaiting.iter().any(|awaiting| awaiting.purpose != Purpose::Answer)
    }

    pub(crate) fn send(&mut self, kind: Type, id: MessageId, message: Outgoing<'_>) {
        self.outbox.push(|datagram| message.encode(kind, id, datagram));
    }

    pub(crate) fn send_confirmable(
        &mut self,
        now: Instant,
        purpose: Purpose,
        message: Outgoing<'_>,
        params: (&TransmissionParams, &mut Chance),
    ) -> MessageId {
        let (params, chance) = params;
        let id = self.new_id();
        self.send(Type::Confirmable, id, message);
        let mut datagram = std::mem::take(&mut self.spare);
        datagram.clear();
        message.encode(Type::Confirmable, id, &mut datagram);
        let timeout = params.first_timeout((chance.next_u64() >> 32) as u32);
        let wait = Wait::Acknowledgement { datagram, transmissions: 1, timeout };
        self.awaiting.push(Awaiting { purpose, id, sent: now, wait, deadline: now + timeout });
        id
    }

    pub(crate) fn send_non_confirmable(&mut self, message: Outgoing<'_>) -> MessageId {
        let id = self.new_id();
        self.send(Type::NonConfirmable, id, message);
        id
    }

    /// An empty message: an acknowledgement without an answer, or a Reset.
    pub(crate) fn send_empty(&mut self, kind: Type, id: MessageId) {
        let (code, token, options, payload) = (Code::EMPTY, Token::EMPTY, Options::EMPTY, &[][..]);
        let message = Message { kind, code, id, token, options, payload };
        self.outbox.push(|datagram| message.encode(datagram));
    }

    /// Takes an acknowledgement. A request goes on waiting for its answer; says what it was and
    /// when it left.
    pub(crate) fn on_acknowledgement(
        &mut self,
        now: Instant,
        id: MessageId,
        answer_within: Duration,
    ) -> Option<(Purpose, Instant)> {
        let index = self.position(id)?;
        let awaiting = self.awaiting.get_mut(index)?;
        let sent = awaiting.sent;
        if awaiting.purpose == Purpose::Request {
            awaiting.wait = Wait::Answer;
            awaiting.deadline = now + answer_within;
            return Some((Purpose::Request, sent));
        }
        Some((self.take(index), sent))
    }

    /// Takes a Reset; says what it refused.
    pub(crate) fn on_reset(&mut self, id: MessageId) -> Option<Purpose> {
        let index = self.position(id)?;
        Some(self.take(index))
    }

    /// The answer to the device's own request is there.
    pub(crate) fn end_request(&mut self) {
        self.end(Purpose::Request);
    }

    /// Stops to repeat messages of that purpose.
    pub(crate) fn end(&mut self, purpose: Purpose) {
        while let Some(index) = self.awaiting.iter().position(|other| other.purpose == purpose) {
            self.take(index);
        }
    }

    /// Stops to repeat anything.
    pub(crate) fn end_all(&mut self) {
        self.awaiting.clear();
    }

    /// Sends again what is due; says one message that was given up, so call it until `None`.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        params: &TransmissionParams,
    ) -> Option<Purpose> {
        while let Some(index) = self.awaiting.iter().position(|waiting| waiting.deadline <= now) {
            let awaiting = self.awaiting.get_mut(index)?;
            match &mut awaiting.wait {
                Wait::Acknowledgement { datagram, transmissions, timeout }
                    if *transmissions <= params.max_retransmit =>
                {
                    *transmissions += 1;
                    self.repetitions = self.repetitions.saturating_add(1);
                    *timeout = timeout.saturating_mul(2);
                    awaiting.deadline = now + *timeout;
                    self.outbox.push(|out| out.extend_from_slice(datagram));
                }
                Wait::Acknowledgement { .. } | Wait::Answer => return Some(self.take(index)),
            }
        }
        None
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.awaiting.iter().map(|awaiting| awaiting.deadline).min()
    }

    /// Answers a request that was seen before; `false` when it is new.
    pub(crate) fn repeat(&mut self, now: Instant, id: MessageId) -> bool {
        let known = self.remembered.iter().find(|entry| entry.id == id && entry.until > now);
        let Some(known) = known else { return false };
        if !known.answer.is_empty() {
            self.outbox.push(|out| out.extend_from_slice(&known.answer));
        }
        true
    }

    /// Remembers a request and the datagrams with which it was answered, see [`Messages::mark`].
    pub(crate) fn remember(&mut self, id: MessageId, until: Instant, mark: usize, limit: usize) {
        let answer = self.outbox.get(mark).map_or(Box::default(), Box::from);
        while self.remembered.len() >= limit.max(1) {
            self.remembered.pop_front();
        }
        // Growing by doubling would waste half of what a mostly idle device has.
        if self.remembered.len() == self.remembered.capacity() && self.remembered.len() < 4 {
            self.remembered.reserve_exact(1);
        }
        self.remembered.push_back(Remembered { id, until, answer });
    }

    /// Where the next datagram will stand among those that wait to leave.
    pub(crate) fn mark(&self) -> usize {
        self.outbox.len()
    }

    /// Forgets repeated requests that can no longer come.
    pub(crate) fn forget(&mut self, now: Instant) {
        while self.remembered.front().is_some_and(|entry| entry.until <= now) {
            self.remembered.pop_front();
        }
        if self.remembered.is_empty() {
            self.remembered = VecDeque::new();
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let remembered: usize = self.remembered.iter().map(|entry| entry.answer.len()).sum();
        remembered
            + self.remembered.capacity() * size_of::<Remembered>()
            + self.awaiting.capacity() * size_of::<Awaiting>()
            + self.outbox.heap_bytes()
    }

    pub(crate) fn new_id(&mut self) -> MessageId {
        let id = MessageId::new(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

    fn position(&self, id: MessageId) -> Option<usize> {
        self.awaiting.iter().position(|awaiting| awaiting.id == id)
    }

    fn take(&mut self, index: usize) -> Purpose {
        let Awaiting { purpose, wait, .. } = self.awaiting.swap_remove(index);
        if let Wait::Acknowledgement { datagram, .. } = wait {
            self.spare = datagram;
        }
        purpose
    }
}
