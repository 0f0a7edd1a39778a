//! Datagrams that wait to be polled, end to end in one buffer: an acknowledgement allocates
//! nothing.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::Peer;

/// Outgoing datagrams in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    read: usize,
    queue: VecDeque<(Peer, usize)>,
}

impl Outbox {
    /// The buffer to append the next datagram to; [`Self::seal`] ends it.
    pub(crate) fn buffer(&mut self) -> (&mut Vec<u8>, usize) {
        let start = self.bytes.len();
        (&mut self.bytes, start)
    }

    /// What was appended since `start`.
    pub(crate) fn since(&self, start: usize) -> &[u8] {
        self.bytes.get(start..).unwrap_or_default()
    }

    /// Sends what was appended since `start`.
    pub(crate) fn seal(&mut self, peer: Peer, start: usize) {
        self.queue.push_back((peer, self.bytes.len().saturating_sub(start)));
    }

    /// Takes back what was appended since `start`.
    pub(crate) fn discard(&mut self, start: usize) {
        self.bytes.truncate(start);
    }

    /// Moves the next datagram to `out`.
    pub(crate) fn pop(&mut self, out: &mut Vec<u8>) -> Option<Peer> {
        let (peer, len) = self.queue.pop_front()?;
        let end = self.read + len;
        out.extend_from_slice(self.bytes.get(self.read..end).unwrap_or_default());
        self.read = end;
        if self.queue.is_empty() {
            self.bytes.clear();
            self.read = 0;
            self.shrink();
        }
        Some(peer)
    }

    fn shrink(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        if self.queue.capacity() > KEPT_DATAGRAMS {
            self.queue = VecDeque::new();
        }
    }
}

/// A turn of a shard sends a batch of some hundred datagrams; more than this was a burst.
const KEPT_BYTES: usize = 64 * 1024;
const KEPT_DATAGRAMS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_come_out_as_they_went_in_and_bursts_are_not_kept() {
        let peer = |port| Peer::new(0, [127, 0, 0, 1].into(), ([127, 0, 0, 2], port).into());
        let mut outbox = Outbox::default();
        for port in 0..5_000u16 {
            let (buffer, start) = outbox.buffer();
            buffer.extend_from_slice(&[port as u8; 100]);
            if port % 2 == 0 { outbox.seal(peer(port), start) } else { outbox.discard(start) }
        }
        for port in (0..5_000u16).step_by(2) {
            let mut out = vec![9];
            assert_eq!(outbox.pop(&mut out), Some(peer(port)));
            assert_eq!((out.len(), out[1]), (101, port as u8));
        }
        assert_eq!(outbox.pop(&mut Vec::new()), None);
        assert_eq!((outbox.bytes.capacity(), outbox.queue.capacity()), (0, 0));
    }
}
