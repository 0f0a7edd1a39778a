//! Our answers: in the acknowledgement, as separate responses, in blocks; and notifications in the
//! server's role: RFC 7252 5.2, RFC 7641 4, RFC 7959 2.4.

use alloc::vec::Vec;

use super::Endpoint;
use crate::block::BlockOption;
use crate::dedup::Answer;
use crate::exchange::{Exchange, Phase, Role, Turn};
use crate::message::{self, Head};
use crate::observe::Seen;
use crate::request::{Asked, Target};
use crate::serve::{self, Cut};
use crate::time::Instant;
use crate::{
    Code, Completion, ExchangeFailure, ExchangeId, MessageId, OptionNumber, Peer, Reliability,
    ReplyTo, Response, Token, Type,
};

/// What stands for a request in the table of those that were seen.
enum Known {
    /// Not answered: the answer goes into the acknowledgement.
    Unanswered,
    /// Acknowledged: the answer is a message of its own.
    Acknowledged,
    /// Answered already.
    Answered,
}

impl Endpoint {
    /// Answers a request: in its acknowledgement if that was not sent yet, else as a separate
    /// response. A large payload leaves in blocks. Only the first answer to a request counts, and
    /// none to a notification, which is completed instead.
    pub fn respond(&mut self, now: Instant, reply_to: &ReplyTo, response: Response) {
        self.advance(now);
        self.respond_now(reply_to, response);
    }

    /// Completes a notification that was handed up. For a request, `Accept` sends the empty
    /// acknowledgement (the response may follow), `Reject` sends Reset, and `Refuse` forgets the
    /// request, so that its repetition counts as new.
    pub fn complete(&mut self, now: Instant, reply_to: &ReplyTo, completion: Completion) {
        self.advance(now);
        match &reply_to.target {
            Target::Notification(observation) => {
                let (seen, id) = match completion {
                    Completion::Accept => (Seen::Accepted, reply_to.id),
                    Completion::Reject | Completion::Refuse => (Seen::Refused, reply_to.id),
                };
                self.mark_notification(*observation, id, seen);
                match completion {
                    Completion::Accept if reply_to.is_confirmable() => {
                        self.acknowledge(reply_to.peer, id);
                    }
                    Completion::Reject => self.reset(reply_to.peer, id),
                    Completion::Accept | Completion::Refuse => {}
                }
            }
            Target::Request(asked) => self.complete_request(reply_to, asked, completion),
        }
    }

    /// Sends a notification (or any other response of our own accord) in the server's role, with
    /// the observer's token. `Acked`, `Reset` or `TimedOut` follows for a confirmable one; for a
    /// non-confirmable one at most `Reset`. Of a large one the first block is sent; the observer
    /// asks for the others (RFC 7959 2.6).
    pub fn notify(
        &mut self,
        now: Instant,
        peer: Peer,
        token: Token,
        response: Response,
        reliability: Reliability,
    ) -> ExchangeId {
        self.advance(now);
        let response = self.cut(response, None).0;
        match reliability {
            Reliability::Confirmable => self.send_separately(peer, token, &response, Role::Notify),
            Reliability::NonConfirmable => {
                let exchange = ExchangeId { index: u32::MAX, serial: self.take_serial() };
                if let Some(id) = self.send_unconfirmed(peer, token, &response)
                    && let Some(place) = self.peers.find(&peer)
                    && let Some(sender) = self.sender(place)
                {
                    sender.remember_unconfirmed(id, exchange);
                }
                exchange
            }
        }
    }

    pub(super) fn respond_now(&mut self, reply_to: &ReplyTo, response: Response) {
        let Target::Request(asked) = &reply_to.target else {
            return;
        };
        if is_unwanted(asked.no_response, response.code) {
            return self.stay_silent(reply_to, asked);
        }
        let (mut response, whole) = self.cut(response, asked.block2);
        if let Some(whole) = whole {
            self.served.keep(self.now, (reply_to.peer, asked.key), whole);
            self.watch_bodies();
        }
        if let Some(block) = asked.block1
            && (response.code == Code::CONTINUE || !block.more)
        {
            // The number is repeated as it was sent: whoever is told to send smaller blocks counts
            // on from what it has sent (RFC 7959 2.9.3).
            let echoed = BlockOption { size: block.size.min(self.size_max), ..block };
            response.options.replace_uint(OptionNumber::BLOCK1, echoed.value());
        }
        self.reply(reply_to, asked, response);
    }

    /// Sends one message as the answer to a request.
    pub(super) fn reply(&mut self, reply_to: &ReplyTo, asked: &Asked, response: Response) {
        let (peer, token) = (reply_to.peer, reply_to.token);
        let known = self.known(asked);
        match (reply_to.is_confirmable(), known) {
            (_, Known::Answered) => {}
            (true, Known::Unanswered) => {
                let head = head(Type::Acknowledgement, reply_to.id, token, &response);
                let datagram = encode(&head, &response);
                self.send(peer, |out| out.extend_from_slice(&datagram));
                self.store(asked, Answer::Datagram(datagram.into_boxed_slice()));
            }
            (true, Known::Acknowledged) => {
                self.store(asked, Answer::Acknowledged);
                self.send_separately(peer, token, &response, Role::Answer);
            }
            (false, Known::Unanswered | Known::Acknowledged) => {
                self.store(asked, Answer::Unrepeatable);
                self.send_unconfirmed(peer, token, &response);
            }
        }
    }

    /// Cuts out the block that is to be sent. If others follow the first one, the whole comes with
    /// it, to be kept; it then has an ETag.
    fn cut(
        &self,
        mut response: Response,
        asked: Option<BlockOption>,
    ) -> (Response, Option<Response>) {
        let size = asked.map_or(self.size_max, |block| block.size.min(self.size_max));
        let in_blocks = response.payload.len() > size.bytes();
        if in_blocks && response.options.options().etag().is_none() {
            let tag = self.hasher.hash_one(&response.payload).to_be_bytes();
            response.options.push(OptionNumber::ETAG, &tag);
        }
        match serve::cut(&response, asked, self.size_max) {
            Cut::Whole => (response, None),
            Cut::Block { response: block, more } => (block, more.then_some(response)),
            Cut::Beyond => (serve::beyond(), None),
        }
    }

    /// No-Response: the requester does not want this answer (RFC 7967 2).
    fn stay_silent(&mut self, reply_to: &ReplyTo, asked: &Asked) {
        if reply_to.is_confirmable() {
            if matches!(self.known(asked), Known::Unanswered) {
                self.acknowledge(reply_to.peer, reply_to.id);
            }
            self.store(asked, Answer::Acknowledged);
        } else {
            self.store(asked, Answer::Unrepeatable);
        }
    }

    fn complete_request(&mut self, reply_to: &ReplyTo, asked: &Asked, completion: Completion) {
        let peer = reply_to.peer;
        match completion {
            Completion::Accept => {
                self.acknowledge_request(asked.place, asked.entry);
            }
            Completion::Reject => {
                let head = Head {
                    kind: Type::Reset,
                    code: Code::EMPTY,
                    id: reply_to.id,
                    token: Token::EMPTY,
                };
                let mut datagram = Vec::new();
                message::write(&mut datagram, &head);
                self.store(asked, Answer::Datagram(datagram.into_boxed_slice()));
                self.reset(peer, reply_to.id);
            }
            Completion::Refuse => {
                if let Some(state) = self.peers.get_mut(asked.place) {
                    self.ledger.remove(&mut state.seen, asked.entry);
                    self.peers.remove_if_blank(asked.place);
                }
            }
        }
    }

    /// What is known of a request; of one that was forgotten, that it was not answered.
    fn known(&mut self, asked: &Asked) -> Known {
        let state = self.peers.get_mut(asked.place);
        match state.and_then(|state| state.seen.by_serial(asked.entry)).map(|entry| &entry.answer) {
            None | Some(Answer::Pending) => Known::Unanswered,
            Some(Answer::Acknowledged) => Known::Acknowledged,
            Some(Answer::Datagram(_) | Answer::Unrepeatable) => Known::Answered,
        }
    }

    fn store(&mut self, asked: &Asked, answer: Answer) {
        if let Some(state) = self.peers.get_mut(asked.place) {
            self.ledger.store(&mut state.seen, asked.entry, answer);
            self.keep_ledger_bounds();
        }
    }

    /// A response as a confirmable message of its own.
    fn send_separately(
        &mut self,
        peer: Peer,
        token: Token,
        response: &Response,
        role: Role,
    ) -> ExchangeId {
        let head = head(Type::Confirmable, MessageId::new(0), token, response);
        let turn = if matches!(role, Role::Answer) { Turn::AtOnce } else { Turn::InOrder };
        let exchange = Exchange {
            serial: 0,
            peer,
            role,
            phase: Phase::Waiting,
            id: head.id,
            datagram: encode(&head, response),
            reliability: Reliability::Confirmable,
            turn,
            // Repetition decides when it is given up; this one is for those that are never sent.
            deadline_after: self.config.params.max_transmit_wait(),
            deadline: None,
            timer: None,
        };
        match self.insert_exchange(exchange) {
            Some(id) => {
                self.queue_exchange(id.index, peer);
                id
            }
            None => self.fail_at_once(ExchangeFailure::NoToken),
        }
    }

    /// A response as a non-confirmable message; dropped if no message id is free.
    fn send_unconfirmed(
        &mut self,
        peer: Peer,
        token: Token,
        response: &Response,
    ) -> Option<MessageId> {
        let place = self.peer_place(peer)?;
        let id = self.next_id(place)?;
        let head = head(Type::NonConfirmable, id, token, response);
        let sent = self.send(peer, |out| write(out, &head, response));
        sent.then_some(id)
    }
}

/// Whether No-Response rules out a code of this class (RFC 7967 2.1).
const fn is_unwanted(no_response: u8, code: Code) -> bool {
    let bit = match code.class() {
        2 => 0b0_0010,
        4 => 0b0_1000,
        5 => 0b1_0000,
        _ => 0,
    };
    no_response & bit != 0
}

fn head(kind: Type, id: MessageId, token: Token, response: &Response) -> Head {
    Head { kind, code: response.code, id, token }
}

fn encode(head: &Head, response: &Response) -> Vec<u8> {
    let options = response.options.as_bytes().len();
    let mut datagram = Vec::with_capacity(HEAD_LEN_MAX + options + response.payload.len());
    write(&mut datagram, head, response);
    datagram
}

fn write(out: &mut Vec<u8>, head: &Head, response: &Response) {
    message::write(out, head);
    out.extend_from_slice(response.options.as_bytes());
    message::write_payload(out, &response.payload);
}

/// Header, token and payload marker.
const HEAD_LEN_MAX: usize = 4 + Token::LEN_MAX + 1;
