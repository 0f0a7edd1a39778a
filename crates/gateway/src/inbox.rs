//! What others put before a shard: one closed enum, one bounded queue (design, section 2).
//!
//! Commands and forwarded datagrams come at the pace of strangers and are bounded. What shards owe
//! each other (evictions, handovers) and what the operator does is never refused: each answers one
//! Register that a shard took from its own socket, so the sockets bound it. An eviction keeps its
//! place behind the commands that came before the name moved, so that they move with it in order.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bridge::Bridge;
use crossbeam_queue::SegQueue;
use engine::{Command, Cursor, Handover, ObservedPath, Peer, RegistrationId, Row, Settings};
use lwm2m::{EndpointName, Models};
use tokio::sync::{mpsc, oneshot};
use udpio::{SocketOptions, Waker};

use crate::config::AccessRules;
use crate::outbox::Reservation;
use crate::results::Waiter;
use crate::shard::Seat;

/// Everything that reaches a shard by another way than its sockets.
pub enum Input {
    /// A command, with the slot for its outcome.
    Command(Box<CommandInput>),
    /// A datagram that the kernel gave to a shard that does not own it.
    Forwarded(Forwarded),
    /// A name moved to another shard: end its registration here.
    Evict(Evict),
    /// The answer to an eviction.
    HandedOver(Box<HandedOver>),
    /// The operator ends a registration.
    Kick(EndpointName),
    /// Somebody lists the devices.
    List(Box<List>),
    /// Somebody looks at one device.
    Look(Box<Look>),
    /// Other settings, of the engine and of the contract.
    Settings(Arc<Settings>, Box<Bridge>),
    /// Other object definitions.
    Models(Arc<Models>),
    /// A listener comes, or gets another socket.
    Listen(Box<Seat>),
    /// Other access rules and socket options of the listener of this number.
    Adjust(u16, Arc<AccessRules>, SocketOptions),
    /// The listener of this number takes no datagrams any more; its registrations stay.
    Close(u16),
    /// The registrations of the listener of this number end, and the listener itself.
    EndListener(u16, Done),
    /// Everything before this has been done when it is dropped.
    Barrier(Done),
    /// End every command, publish what is left, and leave.
    Stop,
}

/// Held until something is done: whoever made it learns when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Done {
    _held: mpsc::Sender<Infallible>,
}

impl Done {
    /// One to hand out, and what waits until all of its clones are gone: by an end of the channel,
    /// since nothing is ever sent.
    pub fn new() -> (Self, mpsc::Receiver<Infallible>) {
        let (held, waits) = mpsc::channel(1);
        (Self { _held: held }, waits)
    }
}

/// A command on its way to the shard of its device.
pub struct CommandInput {
    /// The command.
    pub command: Command,
    /// The slot for its outcome.
    pub reservation: Reservation,
    /// Who waits for its outcome, if somebody does.
    pub waiter: Option<Waiter>,
    /// How often it may still be passed on, when its device moves while it is on its way.
    pub hops: u8,
}

/// A datagram and where it came from.
pub struct Forwarded {
    /// The sender, and the socket it was sent to.
    pub peer: Peer,
    /// The datagram.
    pub bytes: Box<[u8]>,
    /// What the receiving shard is asked to do.
    pub how: Forwarding,
}

/// Why a datagram is handed to another shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// It carries the number of this shard.
    ToOwner,
    /// It carries nothing (a NoSec Send): serve it if the address is known here, else pass it on.
    Question {
        /// The shard whose socket it came from, which answers it when nobody knows the address.
        from: u8,
        /// How many shards are still to be asked, this one included.
        left: u8,
    },
}

/// A name that registered on another shard.
pub struct Evict {
    /// The name.
    pub endpoint: EndpointName,
    /// The registration that ends.
    pub registration: RegistrationId,
    /// The shard that waits for the answer.
    pub successor: u8,
}

/// What an evicted registration leaves to its successor.
pub struct HandedOver {
    /// The name.
    pub endpoint: EndpointName,
    /// Its unsent commands.
    pub handover: Handover,
    /// A slot for the outcome of each.
    pub reservations: Vec<Reservation>,
}

/// A question for a page of a shard's devices. A shard answers one in each of its turns.
pub struct List {
    /// Where the page begins; `None` for the first one.
    pub after: Option<Cursor>,
    /// Which devices are wanted.
    pub wanted: Arc<dyn Fn(&Row) -> bool + Send + Sync>,
    /// The answer.
    pub reply: oneshot::Sender<Listed>,
}

/// A page of a shard's devices.
#[derive(Debug, Default)]
pub struct Listed {
    /// The devices that are wanted, of at most [`engine::PAGE_LEN_MAX`].
    pub rows: Vec<Row>,
    /// How many were looked at.
    pub looked_at: usize,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

/// A question for one device.
pub struct Look {
    /// Its name.
    pub endpoint: EndpointName,
    /// The answer; `None` when it is not registered with this shard.
    pub reply: oneshot::Sender<Option<Looked>>,
}

/// One device.
#[derive(Clone, Debug)]
pub struct Looked {
    /// As in a listing.
    pub row: Row,
    /// What is observed.
    pub observed: Vec<ObservedPath>,
}

/// The bounds of the commands and datagrams that wait.
#[derive(Clone, Copy, Debug)]
pub struct InboxLimits {
    /// How many.
    pub entries: usize,
    /// Their size in bytes.
    pub bytes: usize,
}

/// The queue before one shard.
pub struct Inbox {
    ordered: SegQueue<(Input, usize)>,
    urgent: SegQueue<Input>,
    entries: AtomicUsize,
    bytes: AtomicUsize,
    limits: InboxLimits,
    waker: Waker,
}

impl Inbox {
    /// An empty queue whose owner is woken by `waker`.
    pub fn new(limits: InboxLimits, waker: Waker) -> Self {
        Self {
            ordered: SegQueue::new(),
            urgent: SegQueue::new(),
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            limits,
            waker,
        }
    }

    /// Puts a command or datagram of about `size` bytes into the queue, or hands it back.
    ///
    /// # Errors
    /// The input itself, when a bound is reached.
    pub fn offer(&self, input: Input, size: usize) -> Result<(), Input> {
        let entries = self.entries.fetch_add(1, Ordering::Relaxed);
        let held = self.bytes.fetch_add(size, Ordering::Relaxed);
        // One input larger than the whole bound must not wait for ever.
        let bytes_fit = held == 0 || held.saturating_add(size) <= self.limits.bytes;
        if !bytes_fit || entries >= self.limits.entries.max(1) {
            self.vacate(size);
            return Err(input);
        }
        self.ordered.push((input, size));
        self.waker.wake();
        Ok(())
    }

    /// Puts something that may not be refused behind the commands and datagrams that wait.
    pub fn send_in_order(&self, input: Input) {
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.ordered.push((input, 0));
        self.waker.wake();
    }

    /// Puts something that may not be refused before everything else.
    pub fn send(&self, input: Input) {
        self.urgent.push(input);
        self.waker.wake();
    }

    /// The next input.
    pub fn next(&self) -> Option<Input> {
        if let Some(input) = self.urgent.pop() {
            return Some(input);
        }
        let (input, size) = self.ordered.pop()?;
        self.vacate(size);
        Some(input)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.ordered.is_empty()
    }

    /// How many inputs wait, urgent ones apart.
    pub fn len(&self) -> usize {
        self.ordered.len()
    }

    fn vacate(&self, size: usize) {
        self.entries.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(size, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpio::Poller;

    fn inbox(entries: usize, bytes: usize) -> Inbox {
        Inbox::new(InboxLimits { entries, bytes }, Poller::new().unwrap().waker())
    }

    fn kick(name: &str) -> Input {
        Input::Kick(EndpointName::parse(name).unwrap())
    }

    fn name(input: Option<Input>) -> Option<String> {
        match input? {
            Input::Kick(endpoint) => Some(endpoint.as_str().to_owned()),
            _ => None,
        }
    }

    #[test]
    fn both_bounds_hand_the_input_back() {
        let inbox = inbox(2, 100);
        assert!(inbox.offer(kick("a"), 60).is_ok());
        assert_eq!(name(inbox.offer(kick("b"), 60).err()).as_deref(), Some("b"));
        assert!(inbox.offer(kick("c"), 40).is_ok());
        assert!(inbox.offer(kick("d"), 0).is_err());
        assert_eq!(name(inbox.next()).as_deref(), Some("a"));
        assert!(inbox.offer(kick("e"), 60).is_ok());
    }

    #[test]
    fn an_input_larger_than_the_bound_passes_alone() {
        let inbox = inbox(2, 100);
        assert!(inbox.offer(kick("large"), 1_000).is_ok());
        assert!(inbox.offer(kick("next"), 1).is_err());
    }

    #[test]
    fn what_is_urgent_goes_first_and_the_rest_keeps_its_order() {
        let inbox = inbox(1, 100);
        inbox.offer(kick("bounded"), 1).ok().unwrap();
        for n in 0..10 {
            inbox.send_in_order(kick(&format!("behind-{n}")));
        }
        inbox.send(kick("urgent"));
        assert!(inbox.offer(kick("refused"), 1).is_err());
        let order: Vec<_> = std::iter::from_fn(|| name(inbox.next())).collect();
        assert_eq!(order[..3], ["urgent", "bounded", "behind-0"]);
        assert_eq!((order.len(), inbox.is_empty()), (12, true));
        assert!(inbox.offer(kick("next"), 1).is_ok());
    }
}
