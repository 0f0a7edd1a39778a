//! What others put before a shard: one closed enum, one bounded queue (design, section 2).
//!
//! Commands and forwarded datagrams come at the pace of strangers and are bounded. What shards owe
//! each other (evictions, handovers) and what the operator does is never refused: each answers one
//! Register that a shard took from its own socket, so the sockets bound it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bridge::Bridge;
use crossbeam_queue::{ArrayQueue, SegQueue};
use engine::{Command, Handover, Peer, RegistrationId, Settings};
use lwm2m::{EndpointName, Models};
use udpio::Waker;

use crate::outbox::Reservation;

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
    /// Other settings, of the engine and of the contract.
    Settings(Arc<Settings>, Box<Bridge>),
    /// Other object definitions.
    Models(Arc<Models>),
    /// End every command, publish what is left, and leave.
    Stop,
}

/// A command on its way to the shard of its device.
pub struct CommandInput {
    /// The command.
    pub command: Command,
    /// The slot for its outcome.
    pub reservation: Reservation,
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
    bounded: ArrayQueue<(Input, usize)>,
    control: SegQueue<Input>,
    bytes: AtomicUsize,
    bytes_max: usize,
    waker: Waker,
}

impl Inbox {
    /// An empty queue whose owner is woken by `waker`.
    pub fn new(limits: InboxLimits, waker: Waker) -> Self {
        Self {
            bounded: ArrayQueue::new(limits.entries.max(1)),
            control: SegQueue::new(),
            bytes: AtomicUsize::new(0),
            bytes_max: limits.bytes,
            waker,
        }
    }

    /// Puts a command or datagram of about `size` bytes into the queue, or hands it back.
    ///
    /// # Errors
    /// The input itself, when a bound is reached.
    pub fn offer(&self, input: Input, size: usize) -> Result<(), Input> {
        let held = self.bytes.fetch_add(size, Ordering::Relaxed);
        // One input larger than the whole bound must not wait for ever.
        if held > 0 && held.saturating_add(size) > self.bytes_max {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            return Err(input);
        }
        if let Err((input, size)) = self.bounded.push((input, size)) {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            return Err(input);
        }
        self.waker.wake();
        Ok(())
    }

    /// Puts something into the queue that may not be refused.
    pub fn send(&self, input: Input) {
        self.control.push(input);
        self.waker.wake();
    }

    /// The next input; what may not be refused goes first.
    pub fn next(&self) -> Option<Input> {
        if let Some(input) = self.control.pop() {
            return Some(input);
        }
        let (input, size) = self.bounded.pop()?;
        self.bytes.fetch_sub(size, Ordering::Relaxed);
        Some(input)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.control.is_empty() && self.bounded.is_empty()
    }

    /// How many commands and datagrams wait.
    pub fn len(&self) -> usize {
        self.bounded.len()
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
    fn what_may_not_be_refused_goes_first() {
        let inbox = inbox(1, 100);
        inbox.offer(kick("bounded"), 1).ok().unwrap();
        for n in 0..10 {
            inbox.send(kick(&format!("control-{n}")));
        }
        assert_eq!(name(inbox.next()).as_deref(), Some("control-0"));
        assert_eq!((inbox.len(), inbox.is_empty()), (1, false));
    }
}
