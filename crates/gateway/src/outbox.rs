//! The way north for events: one bounded queue per shard (design, section 4, rules 1 to 6).
//!
//! A message occupies its slot from the moment a shard pushes it until the *broker* has taken
//! responsibility for it, so the bound covers what waits and what is on its way alike. The shard
//! side is synchronous and lock-free; the other side is one tokio task. Handing messages to a
//! broker is the job of [`crate::mqtt`]; what a shard does when its queue is full is the shard's.
//!
//! The queues are read in turns, which keeps the order within a shard. A name that moves from one
//! shard to another orders two queues: see [`Outbox::note_move`].

mod line;
mod queue;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use self::queue::{Common, Queue, Waiting};
use crate::mqtt::Publication;

/// The bounds of one shard's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages that wait or are on their way, outcomes of commands apart.
    pub entries: usize,
    /// Bytes of the same (topic, payload, correlation data and [`ENTRY_OVERHEAD`] each).
    pub bytes: usize,
    /// Outcomes of accepted commands for which a slot may be reserved at once. They come on top
    /// of `entries`: a fleet of sleeping devices with queued commands must not starve the events.
    pub reserved: usize,
}

/// What a queued message costs besides its bytes: the entry and three allocations' headers.
pub const ENTRY_OVERHEAD: usize = 160;

impl Default for Limits {
    /// 65 536 messages and 64 MiB per shard: 10 s of broker absence at 6 500 events a second, and
    /// a worst case of 64 MiB per shard (outcomes come on top, `reserved` x their size).
    fn default() -> Self {
        Self { entries: 65_536, bytes: 64 << 20, reserved: 65_536 }
    }
}

/// A message that did not fit, handed back.
#[derive(Debug)]
pub struct Full(pub Publication);

/// Makes the queues of `shards` shards: the shards' ends, the consumer's end, and the view that
/// metrics and shutdown take.
#[must_use]
pub fn outboxes(shards: usize, limits: Limits) -> (Vec<Outbox>, OutboxReader, OutboxMonitor) {
    let common = Arc::new(Common::default());
    let queues: Arc<[Arc<Queue>]> =
        (0..shards).map(|_| Arc::new(Queue::new(limits, Arc::clone(&common)))).collect();
    let ends = queues.iter().map(|queue| Outbox { queue: Arc::clone(queue) }).collect();
    let lanes = queues.iter().map(|queue| Lane::new(Arc::clone(queue))).collect();
    let reader = OutboxReader { lanes, moves: 0, next: 0 };
    (ends, reader, OutboxMonitor { queues })
}

/// The shard's end of its queue. Pushing never blocks and never wakes: call [`Outbox::wake`] once
/// at the end of a turn, so that a batch of events costs at most one wake-up.
#[derive(Debug)]
pub struct Outbox {
    queue: Arc<Queue>,
}

impl Outbox {
    /// Puts an event into the queue, or hands it back when a bound is reached.
    pub fn try_push(&self, publication: Publication) -> Result<(), Full> {
        let bytes = size_of(&publication);
        if !self.queue.admit(bytes) {
            self.queue.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Full(publication));
        }
        self.queue.push(publication, bytes);
        Ok(())
    }

    /// Whether an event of `bytes` (topic and payload) would fit now: lets a shard refuse a
    /// Register or leave a CON notification unacknowledged before it does any work for it.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.queue.fits(bytes.saturating_add(ENTRY_OVERHEAD))
    }

    /// Sets a slot aside for the outcome of a command that is about to be accepted.
    #[must_use]
    pub fn reserve(&self) -> Option<Reservation> {
        let limit = self.queue.limits.reserved;
        self.queue
            .reserved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                (held < limit).then_some(held + 1)
            })
            .ok()
            .map(|_| Reservation { queue: Arc::clone(&self.queue) })
    }

    /// Puts the outcome of an accepted command into the queue. Always fits.
    ///
    /// The reservation may be any shard's: a command that moved with its device to another shard
    /// still has its slot.
    pub fn push_reserved(&self, reservation: Reservation, publication: Publication) {
        let bytes = size_of(&publication);
        self.queue.occupy(bytes);
        self.queue.push(publication, bytes);
        drop(reservation);
    }

    /// A message that was handed over, to be filled anew.
    #[must_use]
    pub fn used(&self) -> Option<Publication> {
        self.queue.used.pop()
    }

    /// Wakes the consumer if it sleeps and there is something to take. Cheap when it does not
    /// sleep: one fence and one load.
    pub fn wake(&self) {
        self.queue.common.wake.wake();
    }

    /// Says that a name moved away: what this shard has pushed leaves before whatever another shard
    /// pushes once it has heard of the move.
    pub fn note_move(&self) {
        self.queue.common.moves.fetch_add(1, Ordering::AcqRel);
    }
}

/// A slot for the outcome of one accepted command; dropping it gives the slot back.
#[derive(Debug)]
pub struct Reservation {
    queue: Arc<Queue>,
}

impl Reservation {
    /// A slot for another message of the same outcome, which always fits: an outcome that goes to
    /// two topics is one outcome, and the bound is on outcomes.
    #[must_use]
    pub fn another(&self) -> Self {
        self.queue.reserved.fetch_add(1, Ordering::Relaxed);
        Self { queue: Arc::clone(&self.queue) }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.queue.reserved.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One message on its way to a broker, with the slot it occupies.
#[derive(Debug)]
pub struct Entry {
    /// What is to be published.
    pub publication: Publication,
    /// Its slot, to be released when the broker has taken responsibility.
    pub ticket: Ticket,
}

/// How the way of a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// The broker took responsibility: QoS 0 written or handed over, QoS 1 acknowledged.
    Taken,
    /// The broker refused it, or it can never be sent (too large).
    Failed,
}

/// The slot that a message occupies. Dropped without [`Ticket::release`] (the consumer was
/// aborted) the message counts as left behind.
#[derive(Debug)]
pub struct Ticket {
    queue: Option<Arc<Queue>>,
    bytes: usize,
}

impl Ticket {
    /// Frees the slot.
    pub fn release(mut self, how: Handover) {
        let Some(queue) = self.queue.take() else { return };
        match how {
            Handover::Taken => queue.taken.fetch_add(1, Ordering::Relaxed),
            Handover::Failed => queue.failed.fetch_add(1, Ordering::Relaxed),
        };
        queue.vacate(self.bytes);
    }

    /// The same, and the message serves again.
    pub fn give_back(self, how: Handover, publication: Publication) {
        if let Some(queue) = &self.queue {
            queue.keep(publication);
        }
        self.release(how);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.abandoned.fetch_add(1, Ordering::Relaxed);
            queue.vacate(self.bytes);
        }
    }
}

/// The consumer's end: all shards' queues, read in turns.
#[derive(Debug)]
pub struct OutboxReader {
    lanes: Vec<Lane>,
    /// Messages that know of more moves than this wait.
    moves: u64,
    next: usize,
}

impl OutboxReader {
    /// Waits until there is something and appends at most `max` entries to `batch`, in order per
    /// shard. Cancel safe: nothing is taken before the last wait.
    pub async fn next_batch(&mut self, batch: &mut Vec<Entry>, max: usize) {
        while self.take(batch, max) == 0 {
            let Some(common) = self.lanes.first().map(|lane| Arc::clone(&lane.queue.common)) else {
                return std::future::pending().await;
            };
            common.wake.sleep(|| self.lanes.iter().any(Lane::is_ready)).await;
        }
    }

    /// Appends what is there, at most `max` entries, without waiting. Each shard gets its share,
    /// and another one goes first next time, so that one busy shard does not starve the rest.
    pub fn take(&mut self, batch: &mut Vec<Entry>, max: usize) -> usize {
        let before = batch.len();
        let shards = self.lanes.len();
        let share = max.div_ceil(shards.max(1));
        self.lanes.iter_mut().for_each(|lane| lane.share = share);
        while self.advance() {
            let taken = batch.len() - before;
            for step in 0..shards {
                let Some(lane) = self.lanes.get_mut((self.next + step) % shards) else { break };
                let room = max.saturating_sub(batch.len() - before);
                batch.extend(std::iter::from_fn(|| lane.pop(self.moves)).take(room));
            }
            if batch.len() - before == taken {
                break;
            }
        }
        self.next = (self.next + 1) % shards.max(1);
        batch.len() - before
    }

    /// Finds what may leave next; `false`: nothing is there.
    fn advance(&mut self) -> bool {
        let Some(first) = self.fewest_moves() else { return false };
        if first > self.moves {
            // A queue that was looked at too early may hold what came before this move; now that
            // a message from behind the move has been seen, so are those.
            self.moves = self.fewest_moves().unwrap_or(first);
        }
        true
    }

    fn fewest_moves(&mut self) -> Option<u64> {
        self.lanes.iter_mut().filter_map(|lane| lane.head().map(|head| head.moves)).min()
    }
}

/// One shard's queue, seen from the consumer.
#[derive(Debug)]
struct Lane {
    queue: Arc<Queue>,
    /// The oldest message, taken out to be looked at.
    head: Option<Waiting>,
    /// How many more messages this shard may have in the present batch.
    share: usize,
}

impl Lane {
    const fn new(queue: Arc<Queue>) -> Self {
        Self { queue, head: None, share: 0 }
    }

    fn is_ready(&self) -> bool {
        self.head.is_some() || !self.queue.waiting.is_empty()
    }

    fn head(&mut self) -> Option<&Waiting> {
        if self.head.is_none() {
            self.head = self.queue.waiting.pop();
        }
        self.head.as_ref()
    }

    /// The next message that knows of no more than `moves`.
    fn pop(&mut self, moves: u64) -> Option<Entry> {
        if self.share == 0 || self.head().is_none_or(|head| head.moves > moves) {
            return None;
        }
        let Waiting { publication, bytes, .. } = self.head.take()?;
        self.share -= 1;
        let ticket = Ticket { queue: Some(Arc::clone(&self.queue)), bytes };
        Some(Entry { publication, ticket })
    }
}

/// What metrics and shutdown see of the queues.
#[derive(Clone, Debug)]
pub struct OutboxMonitor {
    queues: Arc<[Arc<Queue>]>,
}

/// One shard's queue in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Messages that wait or are on their way.
    pub entries: usize,
    /// Bytes of the same.
    pub bytes: usize,
    /// The most messages ever.
    pub entries_high: usize,
    /// The most bytes ever.
    pub bytes_high: usize,
    /// Slots set aside for outcomes.
    pub reserved: usize,
    /// Events that found the queue full (a counter).
    pub refused: u64,
    /// Messages for which a broker took responsibility (a counter).
    pub taken: u64,
    /// Messages that a broker refused or that cannot be sent (a counter).
    pub failed: u64,
    /// Messages whose sender was stopped before their end was known (a counter).
    pub abandoned: u64,
}

impl OutboxMonitor {
    /// How full each shard's queue is.
    #[must_use]
    pub fn levels(&self) -> Vec<Level> {
        self.queues.iter().map(|queue| queue.level()).collect()
    }

    /// Messages that wait or are on their way, all shards together.
    #[must_use]
    pub fn left(&self) -> usize {
        self.queues.iter().map(|queue| queue.entries.load(Ordering::Acquire)).sum()
    }

    /// Waits until everything was handed over, for at most `within`; returns what is left behind.
    /// Only meaningful after the shards have stopped pushing.
    pub async fn drained(&self, within: Duration) -> usize {
        // Within the rounding of the 5 s that a stop may take; no waker on the hot path for it.
        const STEP: Duration = Duration::from_millis(5);
        let poll = async {
            while self.left() > 0 {
                tokio::time::sleep(STEP).await;
            }
        };
        let _ = tokio::time::timeout(within, poll).await;
        self.left()
    }
}

fn size_of(publication: &Publication) -> usize {
    let correlation = publication.correlation.as_ref().map_or(0, |data| data.len());
    publication.topic.len() + publication.payload.len() + correlation + ENTRY_OVERHEAD
}

#[cfg(test)]
mod tests;
