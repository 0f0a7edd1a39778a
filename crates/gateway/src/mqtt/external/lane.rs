//! The messages under way to an external broker, in order: MQTT 5.0 sections 4.3, 4.4, 4.6, 4.9.
//!
//! Everything taken from the outbox is in one queue until its end is known. A cursor parts what
//! was sent on this connection from what was not; a lost connection only moves the cursor back,
//! so nothing can overtake anything. No input or output here: [`super::session`] moves the bytes.

use std::collections::VecDeque;
use std::num::NonZeroU16;

use super::wire::{PacketId, Sending, Welcome};
use crate::mqtt::{Publication, Qos, packet_size};
use crate::outbox::{Handover, Ticket};

/// A message on its way, kept until its end is known because it may have to be sent again.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) publication: Publication,
    /// At least its bytes on the wire.
    pub(super) size: usize,
    ticket: Ticket,
}

impl Outgoing {
    pub(super) fn new(publication: Publication, ticket: Ticket) -> Self {
        let size = packet_size(&publication);
        Self { publication, size, ticket }
    }

    /// The broker has it.
    pub(super) fn taken(self) {
        self.ticket.give_back(Handover::Taken, self.publication);
    }

    /// It will never be with the broker.
    pub(super) fn failed(self) {
        self.ticket.give_back(Handover::Failed, self.publication);
    }
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not sent on this connection.
    Waiting,
    /// QoS 0: in the write buffer, whose end it reaches at this many bytes of the connection.
    Buffered { until: u64 },
    /// QoS 1 and 2: PUBLISH sent.
    Sent,
    /// QoS 2: the broker received it, PUBREL sent or due.
    Released,
}

#[derive(Debug)]
struct UnderWay {
    message: Outgoing,
    packet: Option<PacketId>,
    phase: Phase,
    /// Whether PUBLISH was sent in this session of the broker.
    sent_before: bool,
    /// Whether it counts against the Receive Maximum: PUBLISH was sent on this connection.
    counted: bool,
}

/// What is to be sent next.
#[derive(Debug)]
pub(super) enum Next<'a> {
    Publish { message: &'a mut Outgoing, packet: Option<PacketId>, sending: Sending },
    Release(PacketId),
}

/// The messages under way.
#[derive(Debug)]
pub(super) struct Lane {
    queue: VecDeque<UnderWay>,
    /// Messages before it were sent on this connection.
    cursor: usize,
    /// Messages before the cursor that count against the broker's Receive Maximum, or our own.
    unacknowledged: u16,
    /// QoS 0 messages in the write buffer.
    buffered: usize,
    receive_max: u16,
    retain_available: bool,
    qos_max: Qos,
    ids: PacketIds,
}

impl Lane {
    pub(super) fn new(first_id: u16) -> Self {
        Self {
            queue: VecDeque::new(),
            cursor: 0,
            unacknowledged: 0,
            buffered: 0,
            receive_max: u16::MAX,
            retain_available: true,
            qos_max: Qos::ExactlyOnce,
            ids: PacketIds::starting_at(first_id),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Appends a message from the outbox.
    pub(super) fn push(&mut self, message: Outgoing) {
        self.queue.push_back(UnderWay {
            message,
            packet: None,
            phase: Phase::Waiting,
            sent_before: false,
            counted: false,
        });
    }

    /// A packet id for a SUBSCRIBE or UNSUBSCRIBE; given back with [`Lane::give_back`].
    pub(super) fn take_id(&mut self) -> Option<PacketId> {
        self.ids.take()
    }

    pub(super) fn give_back(&mut self, packet: PacketId) {
        self.ids.give_back(packet);
    }

    /// What may be sent now; [`Lane::sent`] says that it was.
    pub(super) fn next(&mut self) -> Option<Next<'_>> {
        let item = self.queue.get_mut(self.cursor)?;
        if let (Phase::Released, Some(packet)) = (item.phase, item.packet) {
            return Some(Next::Release(packet));
        }
        let publication = &mut item.message.publication;
        publication.qos = publication.qos.min(self.qos_max);
        publication.retain &= self.retain_available;
        if publication.qos != Qos::AtMostOnce {
            if self.unacknowledged >= self.receive_max {
                return None;
            }
            if item.packet.is_none() {
                item.packet = Some(self.ids.take()?);
            }
        }
        let sending = if item.sent_before { Sending::Repetition } else { Sending::First };
        Some(Next::Publish { message: &mut item.message, packet: item.packet, sending })
    }

    /// What [`Lane::next`] gave is in the write buffer, which ends at `until` bytes.
    pub(super) fn sent(&mut self, until: u64) {
        let Some(item) = self.queue.get_mut(self.cursor) else { return };
        self.cursor += 1;
        match (item.message.publication.qos, item.phase) {
            (Qos::AtMostOnce, _) => {
                item.phase = Phase::Buffered { until };
                self.buffered += 1;
            }
            // A repeated PUBREL is not counted (MQTT 5.0 section 4.9).
            (_, Phase::Released) => {}
            (_, _) => {
                item.phase = Phase::Sent;
                item.sent_before = true;
                item.counted = true;
                self.unacknowledged += 1;
            }
        }
    }

    /// Gives up what [`Lane::next`] gave.
    pub(super) fn take_next(&mut self) -> Option<Outgoing> {
        let item = self.queue.remove(self.cursor)?;
        if let Some(packet) = item.packet {
            self.ids.give_back(packet);
        }
        Some(item.message)
    }

    /// `bytes` of the connection were written: QoS 0 messages up to there are with the broker.
    pub(super) fn on_written(&mut self, bytes: u64, mut taken: impl FnMut(Outgoing)) {
        let mut at = 0;
        while self.buffered > 0 && at < self.cursor {
            match self.queue.get(at).map(|item| item.phase) {
                Some(Phase::Buffered { until }) if until <= bytes => {
                    self.buffered -= 1;
                    if let Some(message) = self.remove(at) {
                        taken(message);
                    }
                }
                // In the order of the connection: nothing behind it is written either.
                Some(Phase::Buffered { .. }) | None => return,
                Some(_) => at += 1,
            }
        }
    }

    /// PUBACK, PUBCOMP, or PUBREC with a refusal: the end of a message. `None`: nobody waits.
    pub(super) fn on_end(&mut self, packet: PacketId) -> Option<Outgoing> {
        let at = self.find(packet)?;
        if self.queue.get(at).is_some_and(|item| item.counted) {
            self.unacknowledged -= 1;
        }
        self.remove(at)
    }

    /// PUBREC: whether PUBREL is due.
    pub(super) fn on_received(&mut self, packet: PacketId) -> bool {
        let item = self.find(packet).and_then(|at| self.queue.get_mut(at));
        match item {
            Some(item) if item.message.publication.qos == Qos::ExactlyOnce => {
                item.phase = Phase::Released;
                true
            }
            _ => false,
        }
    }

    /// The connection is lost. What was not written of QoS 0 is still ours.
    pub(super) fn on_lost(&mut self) {
        self.cursor = 0;
        self.unacknowledged = 0;
        self.buffered = 0;
        for item in &mut self.queue {
            item.counted = false;
            if matches!(item.phase, Phase::Buffered { .. } | Phase::Sent) {
                item.phase = Phase::Waiting;
            }
        }
    }

    /// A connection was made. Without the former session every message is a new one, except QoS 2
    /// messages that the broker received: it took responsibility for them. Returns those, and how
    /// many are sent again.
    pub(super) fn on_connected(
        &mut self,
        welcome: &Welcome,
        inflight_max: u16,
    ) -> (Vec<Outgoing>, usize) {
        self.receive_max = welcome.receive_max.min(inflight_max);
        self.retain_available = welcome.retain_available;
        self.qos_max = welcome.qos_max;
        let session_present = welcome.session_present;
        let mut received = Vec::new();
        if !session_present {
            for mut item in std::mem::take(&mut self.queue) {
                if item.phase == Phase::Released {
                    received.push(item.message);
                } else {
                    item.packet = None;
                    self.queue.push_back(item);
                }
            }
            self.ids.clear();
        }
        let again = self.queue.iter().filter(|item| item.sent_before).count();
        if !session_present {
            self.queue.iter_mut().for_each(|item| item.sent_before = false);
        }
        (received, again)
    }

    /// Acknowledgements come in the order of the messages (MQTT 5.0 section 4.6), so this looks
    /// at one or two.
    fn find(&self, packet: PacketId) -> Option<usize> {
        let sent = self.queue.iter().take(self.cursor);
        sent.enumerate().find(|(_, item)| item.packet == Some(packet)).map(|(at, _)| at)
    }

    fn remove(&mut self, at: usize) -> Option<Outgoing> {
        let item = self.queue.remove(at)?;
        if at < self.cursor {
            self.cursor -= 1;
        }
        if let Some(packet) = item.packet {
            self.ids.give_back(packet);
        }
        Some(item.message)
    }
}

/// The packet ids in use, one bit each: 8 KiB.
#[derive(Debug)]
struct PacketIds {
    used: Box<[u64; 1024]>,
    last: u16,
}

impl PacketIds {
    /// A broker may remember QoS 2 ids of an earlier run: a random start makes it unlikely that
    /// one of them is taken for ours.
    fn starting_at(last: u16) -> Self {
        Self { used: Box::new([0; 1024]), last }
    }

    fn clear(&mut self) {
        self.used.fill(0);
    }

    fn take(&mut self) -> Option<PacketId> {
        for _ in 0..u16::MAX {
            self.last = self.last.wrapping_add(1);
            let Some(id) = NonZeroU16::new(self.last) else { continue };
            let (word, bit) = place(id);
            if let Some(word) = self.used.get_mut(word).filter(|word| **word & bit == 0) {
                *word |= bit;
                return Some(id);
            }
        }
        None
    }

    fn give_back(&mut self, id: PacketId) {
        let (word, bit) = place(id);
        if let Some(word) = self.used.get_mut(word) {
            *word &= !bit;
        }
    }
}

fn place(id: PacketId) -> (usize, u64) {
    (usize::from(id.get() / 64), 1 << (id.get() % 64))
}

#[cfg(test)]
mod tests;
