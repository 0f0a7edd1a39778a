//! Requests of one peer that were seen, and what they were answered: RFC 7252 4.5, spans of 4.8.2.
//!
//! A repeated request gets the stored answer and never comes up a second time. Notifications are
//! known by their observation ([`crate::observe`]), separate responses by their peer
//! ([`crate::peers`]).

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::MessageId;
use crate::time::Instant;

/// The requests of one peer, oldest first. Few enough to be searched one by one.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    entries: Vec<Entry>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    expires: Instant,
    pub(crate) answer: Answer,
    /// Tells it from every other entry of the endpoint.
    pub(crate) serial: u32,
    pub(crate) id: MessageId,
}

/// What a request was answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Nothing so far; a repetition is swallowed.
    Pending,
    /// An empty acknowledgement; the response will be, or was, a message of its own.
    Acknowledged,
    /// This datagram.
    Datagram(Box<[u8]>),
    /// Nothing that could be repeated: the request was non-confirmable.
    Unrepeatable,
}

impl Answer {
    fn len(&self) -> usize {
        match self {
            Self::Datagram(bytes) => bytes.len(),
            Self::Pending | Self::Acknowledged | Self::Unrepeatable => 0,
        }
    }
}

impl Seen {
    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn find(&mut self, now: Instant, id: MessageId) -> Option<&mut Entry> {
        // From the newest: a message id that was used again means its last use.
        self.entries.iter_mut().rev().find(|entry| entry.id == id && entry.expires > now)
    }

    pub(crate) fn by_serial(&mut self, serial: u32) -> Option<&mut Entry> {
        self.entries.iter_mut().rev().find(|entry| entry.serial == serial)
    }
}

/// Bounds and order of the entries of all peers.
#[derive(Debug)]
pub(crate) struct Ledger {
    per_peer_max: usize,
    max: usize,
    bytes_max: usize,
    len: usize,
    bytes: usize,
    next_serial: u32,
    /// Every entry by peer and serial, oldest first, and some that are gone already.
    order: VecDeque<(u32, u32)>,
}

impl Ledger {
    pub(crate) fn new(per_peer_max: usize, max: usize, bytes_max: usize) -> Self {
        Self {
            per_peer_max: per_peer_max.max(1),
            max: max.max(1),
            bytes_max,
            len: 0,
            bytes: 0,
            next_serial: 0,
            order: VecDeque::new(),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry; says how many of this peer gave way.
    pub(crate) fn add(
        &mut self,
        (peer, seen): (u32, &mut Seen),
        now: Instant,
        id: MessageId,
        expires: Instant,
    ) -> (u32, usize) {
        self.purge(seen, now);
        let mut evicted = 0;
        while seen.entries.len() >= self.per_peer_max {
            self.forget(seen.entries.remove(0));
            evicted += 1;
        }
        let serial = self.next_serial;
        self.next_serial = self.next_serial.wrapping_add(1);
        seen.entries.push(Entry { expires, answer: Answer::Pending, serial, id });
        self.order.push_back((peer, serial));
        self.len += 1;
        (serial, evicted)
    }

    /// Stores what an entry was answered.
    pub(crate) fn store(&mut self, seen: &mut Seen, serial: u32, answer: Answer) {
        if let Some(entry) = seen.by_serial(serial) {
            self.bytes = (self.bytes + answer.len()).saturating_sub(entry.answer.len());
            entry.answer = answer;
        }
    }

    /// Takes one entry out.
    pub(crate) fn remove(&mut self, seen: &mut Seen, serial: u32) -> bool {
        let Some(place) = seen.entries.iter().position(|entry| entry.serial == serial) else {
            return false;
        };
        self.forget(seen.entries.remove(place));
        // A stranger who sent a lot once must not keep room for it.
        if seen.entries.len() <= seen.entries.capacity() / 4 {
            seen.entries.shrink_to_fit();
        }
        true
    }

    /// Takes out what has expired.
    pub(crate) fn purge(&mut self, seen: &mut Seen, now: Instant) {
        if seen.entries.iter().any(|entry| entry.expires <= now) {
            for entry in seen.entries.extract_if(.., |entry| entry.expires <= now) {
                self.len -= 1;
                self.bytes = self.bytes.saturating_sub(entry.answer.len());
            }
            seen.entries.shrink_to_fit();
        }
    }

    /// The oldest entry, by peer and serial, if there are too many. The caller takes it out, or
    /// finds that it is gone already, and asks again.
    pub(crate) fn surplus(&mut self) -> Option<(u32, u32)> {
        let over = self.len > self.max || self.bytes > self.bytes_max;
        over.then(|| self.order.pop_front()).flatten()
    }

    /// Whether most of the order is entries that are gone, so that [`Self::compact`] pays.
    pub(crate) fn is_littered(&self) -> bool {
        self.order.len() > 2 * self.len + LITTER_MAX
    }

    /// Keeps only entries that are `alive`, by peer and serial.
    pub(crate) fn compact(&mut self, mut alive: impl FnMut(u32, u32) -> bool) {
        self.order.retain(|&(peer, serial)| alive(peer, serial));
        if self.order.capacity() > 4 * self.order.len() {
            self.order.shrink_to(2 * self.order.len());
        }
    }

    /// Gives the memory of the order back when no entry is left.
    pub(crate) fn rest(&mut self) {
        if self.len == 0 {
            self.order = VecDeque::new();
        }
    }

    fn forget(&mut self, entry: Entry) {
        self.len -= 1;
        self.bytes = self.bytes.saturating_sub(entry.answer.len());
    }
}

/// Entries that are gone may take this many places of 8 bytes before the order is compacted.
const LITTER_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    /// Adds a request of peer 7; its serial.
    fn add(ledger: &mut Ledger, seen: &mut Seen, id: u16) -> u32 {
        ledger.add((7, seen), at(0), MessageId::new(id), at(60)).0
    }

    fn datagram(len: usize) -> Answer {
        Answer::Datagram(vec![0; len].into())
    }

    #[test]
    fn the_oldest_of_all_give_way_by_number_and_by_bytes() {
        let mut ledger = Ledger::new(64, 3, 100);
        let mut seen = Seen::default();
        let [first, second, third] = [1, 2, 3].map(|id| add(&mut ledger, &mut seen, id));
        ledger.store(&mut seen, third, datagram(100));
        assert_eq!(ledger.surplus(), None, "both bounds are reached, none is passed");
        ledger.store(&mut seen, second, datagram(1));
        assert_eq!(ledger.surplus(), Some((7, first)));
        assert!(ledger.remove(&mut seen, first));
        assert_eq!(ledger.surplus(), Some((7, second)));
        assert!(ledger.remove(&mut seen, second));
        assert_eq!(ledger.surplus(), None);
        for id in [4, 5, 6] {
            add(&mut ledger, &mut seen, id);
        }
        assert_eq!(ledger.surplus(), Some((7, third)));
    }

    #[test]
    fn an_order_of_entries_that_are_gone_is_compacted() {
        let mut ledger = Ledger::new(64, 1_000, 1_000);
        let mut seen = Seen::default();
        let alive = [1, 2].map(|id| add(&mut ledger, &mut seen, id));
        let mut come_and_go = |ledger: &mut Ledger| {
            let gone = add(ledger, &mut seen, 3);
            assert!(ledger.remove(&mut seen, gone));
        };
        (0..LITTER_MAX + 2).for_each(|_| come_and_go(&mut ledger));
        assert!(!ledger.is_littered());
        come_and_go(&mut ledger);
        assert!(ledger.is_littered());
        ledger.compact(|peer, serial| peer == 7 && alive.contains(&serial));
        assert!(!ledger.is_littered());
        assert_eq!(ledger.order, alive.map(|serial| (7, serial)));
    }
}
