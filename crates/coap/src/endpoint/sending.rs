//! The way out: empty messages, and what an unproven peer may be sent.
//!
//! Until a peer has proven that it receives what is sent to it, it gets at most three times the
//! bytes it sent, repetitions included, and one request at a time: a made-up source address must
//! not turn the endpoint into a weapon.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Endpoint, Timer};
use crate::message::{self, Head};
use crate::peers::{Guard, Sender};
use crate::{Code, Event, Evidence, MessageId, Note, NoteKind, Peer, Token, Type};
use rand_core::RngCore;

/// What a datagram of an unproven peer buys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    bytes: u32,
    /// The peer was known as unproven when it came, and was given it then.
    is_counted: bool,
}

impl Credit {
    pub(super) fn of(len: usize, is_counted: bool) -> Self {
        let mut guard = Guard::default();
        guard.receive(len);
        Self { bytes: guard.credit, is_counted }
    }
}

impl Endpoint {
    /// From now on `peer` gets at most three times the bytes it sends (the datagram handled last
    /// counts if it came from there), and one request at a time, until it has proven that it
    /// receives what is sent to it: by answering a request, or by [`Self::peer_proven`].
    ///
    /// The endpoint forgets this with everything else about a peer that has been quiet for
    /// EXCHANGE_LIFETIME; see [`Self::peer_credit`].
    pub fn peer_unproven(&mut self, peer: Peer) {
        let credit = self.take_credit(peer);
        self.peer_heard(peer, credit);
    }

    /// What the datagram handled last buys, if it came from `peer`, to be given to
    /// [`Self::peer_heard`] after others were handled. Once: a second call must not buy the same
    /// credit again.
    pub fn take_credit(&mut self, peer: Peer) -> Credit {
        let heard = self.heard.take_if(|(heard, _)| *heard == peer);
        heard.map(|(_, credit)| credit).unwrap_or_default()
    }

    /// [`Self::peer_unproven`] for a peer that may still be sent `credit` bytes. Does nothing if it
    /// is known as unproven already.
    pub fn peer_unproven_with(&mut self, peer: Peer, credit: u32) {
        if let Some(index) = self.peer_place(peer) {
            self.peers.put_guard(index, Guard { credit });
        }
    }

    /// [`Self::peer_unproven`] with what a datagram buys: of several first ones each counts.
    pub fn peer_heard(&mut self, peer: Peer, credit: Credit) {
        let Some(index) = self.peer_place(peer) else { return };
        match self.peers.get_mut(index).and_then(|state| state.guard.as_mut()) {
            Some(_) if credit.is_counted => {}
            Some(guard) => guard.credit = guard.credit.saturating_add(credit.bytes),
            None => _ = self.peers.put_guard(index, Guard { credit: credit.bytes }),
        }
    }

    /// The bytes that an unproven peer may still be sent; `None` if it is not known as unproven.
    pub fn peer_credit(&self, peer: Peer) -> Option<u32> {
        let state = self.peers.find(&peer).and_then(|index| self.peers.get(index))?;
        state.guard.map(|guard| guard.credit)
    }

    /// Lifts the limits of [`Self::peer_unproven`].
    pub fn peer_proven(&mut self, peer: Peer) {
        if self.peers.any_guard()
            && let Some(index) = self.peers.find(&peer)
            && self.peers.lift_guard(index)
        {
            self.launch_waiting(index);
            self.peers.remove_if_blank(index);
        }
    }

    /// A datagram of an unproven peer buys three times its length. Returns whether the peer is one.
    pub(super) fn credit(&mut self, peer: Peer, len: usize) -> bool {
        if !self.peers.any_guard() {
            return false;
        }
        let Some(index) = self.peers.find(&peer) else {
            return false;
        };
        let state = self.peers.get_mut(index);
        let Some(guard) = state.and_then(|state| state.guard.as_mut()) else { return false };
        guard.receive(len);
        self.launch_waiting(index);
        true
    }

    /// The place of a peer, made if needed.
    pub(super) fn peer_place(&mut self, peer: Peer) -> Option<u32> {
        let due = self.now + self.config.params.exchange_lifetime();
        let index = self.peers.find_or_add(peer, due)?;
        self.watch_peers();
        Some(index)
    }

    /// Our side of the traffic with a peer, made if needed.
    pub(super) fn sender(&mut self, index: u32) -> Option<&mut Sender> {
        let state = self.peers.get_mut(index)?;
        if state.sender.is_none() {
            let first_id = first_id(self.shard, self.chance.next_u32());
            state.sender = Some(Box::new(Sender::new(first_id)));
        }
        state.sender.as_deref_mut()
    }

    /// A fresh message id for a peer; `None` if all are in use, which the peer's turn then waits
    /// for.
    pub(super) fn next_id(&mut self, index: u32) -> Option<MessageId> {
        let (now, lifetime) = (self.now, self.config.params.exchange_lifetime());
        match self.sender(index)?.next_id(now, lifetime) {
            Ok(id) => Some(id),
            Err(free) => {
                self.timers.schedule(free, Timer::Turn(index));
                None
            }
        }
    }

    pub(super) fn acknowledge(&mut self, peer: Peer, id: MessageId) {
        self.send_empty(peer, Type::Acknowledgement, id);
    }

    pub(super) fn reset(&mut self, peer: Peer, id: MessageId) {
        self.stats.resets_out += 1;
        self.send_empty(peer, Type::Reset, id);
    }

    fn send_empty(&mut self, peer: Peer, kind: Type, id: MessageId) {
        let head = Head { kind, code: Code::EMPTY, id, token: Token::EMPTY };
        self.send(peer, |out| message::write(out, &head));
    }

    /// Queues what `write` appends; false if the peer is unproven and has no credit for it.
    pub(super) fn send(&mut self, peer: Peer, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let (buffer, start) = self.outbox.buffer();
        write(buffer);
        if self.peers.any_guard() && !self.may_send(peer, self.outbox.since(start).len()) {
            self.outbox.discard(start);
            self.stats.amplification_stops += 1;
            return false;
        }
        self.outbox.seal(peer, start);
        true
    }

    fn may_send(&mut self, peer: Peer, len: usize) -> bool {
        let guard = self.peers.find_mut(&peer).and_then(|state| state.guard.as_mut());
        guard.is_none_or(|guard| guard.allow(len))
    }

    /// Puts a note among the events that are polled.
    pub(super) fn note_later(&mut self, peer: Peer, kind: NoteKind, datagram: &[u8]) {
        let note = Note { peer, kind, evidence: Evidence::of(datagram) };
        self.events.push_back(Event::Noted(note));
    }
}

/// Where the message ids for a peer begin. Shards begin far from each other: all of them are one
/// endpoint to a peer, which would take an id that another shard gave it for a repetition
/// (RFC 7252 4.4). Eight of them keep 8 192 ids to themselves.
const fn first_id(shard: u8, random: u32) -> u16 {
    let place = (shard.reverse_bits() as u16) << 8;
    (place & 0xe000) | (random as u16 & 0x1fff)
}

#[cfg(test)]
mod tests {
    use super::first_id;

    #[test]
    fn shards_begin_their_message_ids_far_from_each_other() {
        for random in [0, 0x1234_5678, u32::MAX] {
            let mut firsts: Vec<u16> = (0..8).map(|shard| first_id(shard, random)).collect();
            firsts.sort_unstable();
            assert!(firsts.windows(2).all(|pair| pair[1] - pair[0] == 1 << 13), "{firsts:?}");
        }
    }
}
