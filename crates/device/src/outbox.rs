//! Datagrams that wait to leave, one behind the other in one buffer that is kept.

use std::collections::VecDeque;

/// The datagrams of one device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    /// Where each waiting datagram ends; the first one begins at `start`.
    ends: VecDeque<usize>,
    start: usize,
}

/// A buffer that has grown further is given back: one block-wise answer must not be paid for ever.
const KEPT_BYTES: usize = 4096;

impl Outbox {
    /// Adds the datagram that `write` appends.
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push_back(self.bytes.len());
    }

    /// Moves the first datagram to the end of `out`; says how long it is.
    pub(crate) fn pop(&mut self, out: &mut Vec<u8>) -> Option<usize> {
        let end = self.ends.pop_front()?;
        let datagram = self.bytes.get(self.start..end).unwrap_or_default();
        out.extend_from_slice(datagram);
        let len = datagram.len();
        self.advance(end);
        Some(len)
    }

    /// Drops the first datagram.
    pub(crate) fn skip(&mut self) {
        if let Some(end) = self.ends.pop_front() {
            self.advance(end);
        }
    }

    /// The so manieth of the waiting datagrams.
    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let before = index.checked_sub(1).and_then(|before| self.ends.get(before));
        self.bytes.get(before.copied().unwrap_or(self.start)..end)
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.ends.clear();
        self.advance(0);
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    fn advance(&mut self, start: usize) {
        self.start = start;
        if self.ends.is_empty() {
            self.start = 0;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_leave_in_order_and_the_buffer_is_used_again() {
        let mut outbox = Outbox::default();
        for round in 0..3 {
            for bytes in [&b"one"[..], b"", b"three"] {
                outbox.push(|out| out.extend_from_slice(bytes));
            }
            assert_eq!((outbox.len(), outbox.get(0), outbox.get(2)), {
                (3, Some(&b"one"[..]), Some(&b"three"[..]))
            });
            let mut out = Vec::new();
            assert_eq!(outbox.pop(&mut out), Some(3));
            assert_eq!(outbox.get(1), Some(&b"three"[..]), "round {round}");
            outbox.skip();
            assert_eq!((outbox.pop(&mut out), outbox.pop(&mut out)), (Some(5), None));
            assert!(out == b"onethree" && outbox.is_empty());
        }
        outbox.push(|out| out.resize(100_000, 7));
        outbox.clear();
        assert!(outbox.is_empty() && outbox.heap_bytes() < 2 * KEPT_BYTES);
    }
}
