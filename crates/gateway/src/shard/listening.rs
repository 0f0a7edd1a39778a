//! The sockets of a shard: one per listener that takes datagrams, found by the listener's number.
//!
//! Listeners come and go while the shard runs. Which do is decided by [`crate::control`]; what is
//! in the datagrams is the engine's.

use std::sync::Arc;

use engine::{Cursor, Instant, Peer};
use udpio::{RecvBatch, SendBatch, Socket, SocketOptions, Token};

use super::Shard;
use crate::clock;
use crate::config::AccessRules;
use crate::inbox::Done;
use crate::listeners::Gate;
use crate::telemetry::Counter;

/// A listener as a shard gets it.
pub struct Seat {
    /// Its door, which the shards share.
    pub gate: Arc<Gate>,
    /// Which addresses may send.
    pub access: Arc<AccessRules>,
    /// Its socket, unless it takes no datagrams now.
    pub socket: Option<Watched>,
}

/// A socket that the shard's poller knows.
pub struct Watched {
    /// The socket.
    pub socket: Socket,
    /// Under which token: see [`token`].
    pub token: Token,
}

/// The token of a listener's socket. The generation tells it from a former one of the same
/// listener, whose last events may still be on their way.
#[must_use]
pub fn token(number: u16, generation: u16) -> Token {
    Token(u32::from(generation) << 16 | u32::from(number))
}

const fn number_of(token: Token) -> u16 {
    (token.0 & 0xffff) as u16
}

/// The listeners of a shard by their numbers.
#[derive(Default)]
pub(super) struct Listening {
    slots: Vec<Option<Listener>>,
    /// Sockets that were replaced: what the kernel still holds for them is read once more.
    retired: Vec<(u16, Socket)>,
    /// Listeners whose registrations end.
    ending: Vec<Ending>,
}

struct Listener {
    gate: Arc<Gate>,
    access: Arc<AccessRules>,
    socket: Option<Watched>,
    send: SendBatch,
    kernel_dropped: u32,
}

struct Ending {
    number: u16,
    after: Option<Cursor>,
    _done: Done,
}

/// Batches read from a socket before it is closed. At 64 datagrams each that is more than a socket
/// with the usual buffer holds, and bounds the turn.
const LAST_BATCHES_MAX: usize = 256;

impl Listening {
    /// Gives a listener its place; a socket it had is retired.
    pub(super) fn seat(&mut self, seat: Seat) {
        let number = seat.gate.number();
        let index = usize::from(number);
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        let Some(slot) = self.slots.get_mut(index) else { return };
        let former = slot.take().and_then(|listener| listener.socket);
        self.retired.extend(former.map(|former| (number, former.socket)));
        *slot = Some(Listener {
            gate: seat.gate,
            access: seat.access,
            socket: seat.socket,
            send: SendBatch::new(),
            kernel_dropped: 0,
        });
    }

    /// Other access rules and socket options.
    pub(super) fn adjust(
        &mut self,
        number: u16,
        access: Arc<AccessRules>,
        options: &SocketOptions,
    ) {
        let Some(listener) = self.at(number) else { return };
        listener.access = access;
        if let Some(watched) = &listener.socket
            && let Err(error) = watched.socket.adjust(options)
        {
            let name = listener.gate.name();
            tracing::warn!(event = "socket_options_refused", listener = name, %error);
        }
    }

    /// A listener takes no datagrams any more; what the kernel still holds for it is not read.
    pub(super) fn close(&mut self, number: u16) {
        if let Some(listener) = self.at(number) {
            listener.socket = None;
        }
    }

    /// The registrations of a listener end, and then the listener.
    pub(super) fn end(&mut self, number: u16, done: Done) {
        self.ending.push(Ending { number, after: None, _done: done });
    }

    pub(super) fn has_work(&self) -> bool {
        !self.ending.is_empty() || !self.retired.is_empty()
    }

    pub(super) fn gate(&self, number: u16) -> Option<&Arc<Gate>> {
        let listener = self.slots.get(usize::from(number))?.as_ref()?;
        Some(&listener.gate)
    }

    fn at(&mut self, number: u16) -> Option<&mut Listener> {
        self.slots.get_mut(usize::from(number))?.as_mut()
    }
}

impl Shard {
    /// One batch of a readable socket through the engine. What is left is reported again.
    pub(super) fn receive(&mut self, now: Instant, token: Token, batch: &mut RecvBatch) {
        let number = number_of(token);
        let Some(listener) = self.listening.at(number) else { return };
        let current = listener.socket.as_ref().filter(|watched| watched.token == token);
        let Some(watched) = current else { return };
        if let Err(error) = batch.recv(&watched.socket) {
            tracing::error!(event = "receive_failed", listener = listener.gate.name(), %error);
            return;
        }
        if let Some(total) = batch.kernel_dropped() {
            let lost = total.wrapping_sub(listener.kernel_dropped);
            listener.kernel_dropped = total;
            self.metrics.add(Counter::KernelDrops, u64::from(lost));
        }
        self.serve_batch(now, number, batch);
    }

    /// Reads what the kernel holds for sockets that were replaced, and closes them.
    pub(super) fn empty_retired(&mut self, now: Instant, batch: &mut RecvBatch) {
        for (number, socket) in std::mem::take(&mut self.listening.retired) {
            for _ in 0..LAST_BATCHES_MAX {
                match batch.recv(&socket) {
                    Ok(1..) => self.serve_batch(now, number, batch),
                    Ok(0) | Err(_) => break, // It goes either way.
                }
            }
        }
    }

    /// Goes on with ending registrations: a page per turn, so that the others are served.
    pub(super) fn end_registrations(&mut self, now: Instant) {
        let mut ending = std::mem::take(&mut self.listening.ending);
        ending.retain_mut(|ending| {
            ending.after = self.server.kick_listener(now, ending.number, ending.after);
            if ending.after.is_none() {
                // The events name the listener, so they go before its place does.
                self.settle(now);
                if let Some(slot) = self.listening.slots.get_mut(usize::from(ending.number)) {
                    *slot = None;
                }
            }
            ending.after.is_some()
        });
        self.listening.ending.append(&mut ending);
    }

    fn serve_batch(&mut self, now: Instant, number: u16, batch: &RecvBatch) {
        let Some(listener) = self.listening.at(number) else { return };
        let access = Arc::clone(&listener.access);
        let wall = clock::wall_ms();
        let (mut datagrams, mut bytes, mut denied) = (0, 0, 0);
        for datagram in batch.iter() {
            datagrams += 1;
            bytes += datagram.bytes.len() as u64;
            let peer = Peer::new(number, datagram.local, datagram.remote);
            if access.is_empty() || access.allow(datagram.remote.ip()) {
                self.serve(now, wall, peer, datagram.bytes);
            } else {
                denied += 1;
                self.report_denied(number, peer);
            }
        }
        self.metrics.add(Counter::DatagramsIn, datagrams);
        self.metrics.add(Counter::BytesIn, bytes);
        if let Some(gate) = self.listening.gate(number).filter(|_| denied > 0) {
            gate.deny(denied);
        }
    }

    /// Sends what the engine has.
    pub(super) fn transmit(&mut self) {
        let mut bytes = 0;
        let mut nowhere = 0;
        loop {
            self.datagram.clear();
            let Some(peer) = self.server.poll_transmit(&mut self.datagram) else { break };
            bytes += self.datagram.len() as u64;
            match self.listening.at(peer.listener()).filter(|listener| listener.socket.is_some()) {
                Some(listener) => {
                    listener.send.push(peer.remote(), Some(peer.local()), &self.datagram);
                }
                None => nowhere += 1,
            }
        }
        self.metrics.add(Counter::BytesOut, bytes);
        self.metrics.add(Counter::SendFailures, nowhere);
        for listener in self.listening.slots.iter_mut().flatten() {
            let Some(watched) = listener.socket.as_ref().filter(|_| !listener.send.is_empty())
            else {
                continue;
            };
            let report = listener.send.flush(&watched.socket);
            self.metrics.add(Counter::DatagramsOut, report.sent as u64);
            let failed = report.refused + report.dropped;
            self.metrics.add(Counter::SendFailures, failed as u64);
        }
    }
}
