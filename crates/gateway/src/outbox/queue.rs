//! One shard's queue with its accounts, and the bell between shards and consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

use crossbeam_queue::ArrayQueue;
use tokio::sync::Notify;

use super::line::Line;
use super::{Level, Limits};
use crate::mqtt::Publication;

/// Messages that wait without an allocation: what a shard pushes within a few turns. 200 KB.
const RING: usize = 2_048;

/// Messages whose memory is kept, as many as may be under way at once by default ..
const USED_MAX: usize = 1_024;

/// .. and how long they are at most: 2 MB per shard.
const USED_LEN_MAX: usize = 2_048;

/// What all queues of a process share.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) wake: Wake,
    /// How many names have moved from shard to shard.
    pub(super) moves: AtomicU64,
}

/// A message that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) publication: Publication,
    pub(super) bytes: usize,
    /// The moves that its shard may have heard of when it was pushed.
    pub(super) moves: u64,
}

/// One shard's queue. The bounds live in the counters; the queue itself has none.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) waiting: Line<Waiting>,
    /// Messages that were handed over.
    pub(super) used: ArrayQueue<Publication>,
    pub(super) limits: Limits,
    pub(super) entries: AtomicUsize,
    pub(super) bytes: AtomicUsize,
    entries_high: AtomicUsize,
    bytes_high: AtomicUsize,
    pub(super) reserved: AtomicUsize,
    pub(super) refused: AtomicU64,
    pub(super) taken: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) abandoned: AtomicU64,
    pub(super) common: Arc<Common>,
}

impl Queue {
    pub(super) fn new(limits: Limits, common: Arc<Common>) -> Self {
        Self {
            waiting: Line::new(RING.min(limits.entries.max(1))),
            used: ArrayQueue::new(USED_MAX),
            limits,
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            entries_high: AtomicUsize::new(0),
            bytes_high: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            common,
        }
    }

    pub(super) fn fits(&self, bytes: usize) -> bool {
        let held = self.bytes.load(Ordering::Relaxed);
        // One message larger than the whole bound must not wedge its device for ever.
        let bytes_fit = held == 0 || held.saturating_add(bytes) <= self.limits.bytes;
        bytes_fit && self.entries.load(Ordering::Relaxed) < self.limits.entries
    }

    /// Only the shard's own thread adds, so between the look and the addition the occupancy can
    /// only shrink: the bounds hold without a compare-and-swap.
    pub(super) fn admit(&self, bytes: usize) -> bool {
        let fits = self.fits(bytes);
        if fits {
            self.occupy(bytes);
        }
        fits
    }

    pub(super) fn occupy(&self, bytes: usize) {
        let entries = self.entries.fetch_add(1, Ordering::AcqRel) + 1;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // Plain maxima: there is one writer, and a fetch_max per message would cost more.
        if entries > self.entries_high.load(Ordering::Relaxed) {
            self.entries_high.store(entries, Ordering::Relaxed);
        }
        if bytes > self.bytes_high.load(Ordering::Relaxed) {
            self.bytes_high.store(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn vacate(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.entries.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn push(&self, publication: Publication, bytes: usize) {
        let moves = self.common.moves.load(Ordering::Acquire);
        self.waiting.push(Waiting { publication, bytes, moves });
    }

    /// Keeps a message for its memory, unless it is a large one or there are enough.
    pub(super) fn keep(&self, publication: Publication) {
        let Publication { topic, payload, .. } = &publication;
        if topic.capacity() + payload.capacity() <= USED_LEN_MAX {
            let _ = self.used.push(publication);
        }
    }

    pub(super) fn level(&self) -> Level {
        Level {
            entries: self.entries.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            entries_high: self.entries_high.load(Ordering::Relaxed),
            bytes_high: self.bytes_high.load(Ordering::Relaxed),
            reserved: self.reserved.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            taken: self.taken.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            abandoned: self.abandoned.load(Ordering::Relaxed),
        }
    }
}

/// The bell between shards and consumer. It rings only for a consumer that said it sleeps.
#[derive(Debug, Default)]
pub(super) struct Wake {
    asleep: AtomicBool,
    bell: Notify,
}

impl Wake {
    pub(super) fn wake(&self) {
        // Pairs with the fence in `sleep`: either the consumer sees the message that was pushed
        // before this, or this sees that the consumer sleeps.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel) {
            self.bell.notify_one();
        }
    }

    pub(super) async fn sleep(&self, ready: impl Fn() -> bool) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !ready() {
            self.bell.notified().await;
        }
        self.asleep.store(false, Ordering::Relaxed);
    }
}
