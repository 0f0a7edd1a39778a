//! A shard: one thread, its sockets, its [`Server`], one deadline (design, section 2).
//!
//! The loop moves bytes, inputs and events between the pure engine and the rest of the program. It
//! decides nothing about LwM2M (`engine`) or MQTT (`bridge`), and nothing that a notification
//! touches is shared or locked. What inputs do is in `inputs`, where events go in `events`, what is
//! counted and logged in `report`, commands that waited for a device to register in `retained`.

mod events;
mod inputs;
mod listening;
mod report;
mod retained;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bridge::Bridge;
use engine::{Datagram, Identity, Instant, Peer, Routed, Server};
use lwm2m::Models;
use udpio::{Poller, RecvBatch, Token};

use crate::clock::Clock;
use crate::device_topics::DeviceTopics;
use crate::directory::Directory;
use crate::filters::ExactFilters;
use crate::inbox::{Forwarded, Forwarding, Inbox, Input};
use crate::objects::{MissingVersions, VersionCheck};
use crate::outbox::{Outbox, Reservation};
use crate::results::Results;
use crate::retained::RetainedCommands;
use crate::telemetry::{Counter, ShardMetrics};

use events::Uplink;
use listening::Listening;
pub use listening::{Seat, Watched, token};
use report::EventLog;

/// Datagrams per socket and turn. A batch of 64 costs at most a millisecond of engine time, which
/// bounds what a due timer waits; the kernel call is amortised well before that.
const RECV_BATCH: usize = 64;

/// Inputs per turn, for the same reason.
const INPUTS_MAX: usize = 256;

/// The longest sleep: a safety net against a lost wake-up, paid with two wake-ups a minute.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// What all shards of a process share.
pub struct Shared {
    /// Endpoint name → shard.
    pub directory: Directory,
    /// The queue before each shard.
    pub inboxes: Box<[Inbox]>,
    /// The clock.
    pub clock: Clock,
    /// Filters for names that the wildcard does not match.
    pub exact_filters: ExactFilters,
    /// Topics on which single devices take commands.
    pub device_topics: DeviceTopics,
    /// The last results of commands.
    pub results: Results,
    /// Versions of objects that devices have and nobody defined.
    pub missing_versions: MissingVersions,
    /// Retained commands.
    pub retained: RetainedCommands,
}

impl Shared {
    /// Hands other definitions to all shards.
    pub fn take_models(&self, models: &Arc<Models>) {
        self.missing_versions.clear();
        for inbox in &self.inboxes {
            inbox.send(Input::Models(Arc::clone(models)));
        }
    }
}

/// What one shard starts with.
pub struct Parts {
    /// Its number.
    pub number: u8,
    /// The listeners.
    pub seats: Vec<Seat>,
    /// Waits for the sockets and the inbox.
    pub poller: Poller,
    /// The engine.
    pub server: Server,
    /// The contract.
    pub bridge: Bridge,
    /// Object definitions.
    pub models: Arc<Models>,
    /// The way up.
    pub outbox: Outbox,
    /// How long a confirmable notification is left unacknowledged while the way up is full.
    pub hold_max: Duration,
    /// Counters of this shard.
    pub metrics: Arc<ShardMetrics>,
}

/// A running shard.
pub struct Shard {
    number: u8,
    listening: Listening,
    poller: Poller,
    server: Server,
    uplink: Uplink,
    reservations: Vec<Reservation>,
    metrics: Arc<ShardMetrics>,
    log: EventLog,
    versions: VersionCheck,
    shared: Arc<Shared>,
    /// The datagram that is being written, reused.
    datagram: Vec<u8>,
    stopping: bool,
}

impl Shard {
    /// A shard that is ready to run.
    ///
    /// # Errors
    /// When a socket cannot be watched.
    pub fn new(parts: Parts, shared: Arc<Shared>) -> io::Result<Self> {
        let mut listening = Listening::default();
        for seat in parts.seats {
            if let Some(watched) = &seat.socket {
                parts.poller.add(&watched.socket, watched.token)?;
            }
            listening.seat(seat);
        }
        Ok(Self {
            number: parts.number,
            listening,
            poller: parts.poller,
            server: parts.server,
            uplink: Uplink::new(parts.bridge, parts.models, parts.outbox, parts.hold_max),
            reservations: Vec::new(),
            metrics: parts.metrics,
            log: EventLog::default(),
            versions: VersionCheck::default(),
            shared,
            datagram: Vec::new(),
            stopping: false,
        })
    }

    /// Runs until [`Input::Stop`].
    ///
    /// # Errors
    /// When epoll fails, which no input can cause.
    pub fn run(mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        let mut batch = RecvBatch::new(RECV_BATCH);
        while !self.stopping {
            let now = self.shared.clock.now();
            self.take_inputs(now);
            self.empty_retired(now, &mut batch);
            self.end_registrations(now);
            for &token in &ready {
                self.receive(now, token, &mut batch);
            }
            if self.server.poll_timeout().is_some_and(|deadline| deadline <= now) {
                self.server.handle_timeout(now);
            }
            self.settle(now);
            let busy = self.shared.clock.now().saturating_since(now);
            self.metrics.add(Counter::Turns, 1);
            self.metrics.add(Counter::BusyMicros, busy.as_micros() as u64);
            self.sleep(&mut ready)?;
        }
        let lost = self.uplink.flush_backlog();
        self.metrics.add(Counter::EventsDropped, lost as u64);
        Ok(())
    }

    fn sleep(&mut self, ready: &mut Vec<Token>) -> io::Result<()> {
        self.poller.prepare();
        let busy = self.listening.has_work() || !self.inbox().is_empty();
        let timeout = if self.stopping || busy {
            Duration::ZERO
        } else {
            let deadline = self.server.poll_timeout();
            let until = |at| self.shared.clock.until(at);
            deadline.map_or(SLEEP_MAX, until).min(SLEEP_MAX)
        };
        self.poller.wait(Some(timeout), ready)
    }

    fn inbox(&self) -> &Inbox {
        &self.shared.inboxes[usize::from(self.number)]
    }

    /// One datagram of our own sockets: to the engine, or to the shard that owns it.
    fn serve(&mut self, now: Instant, wall: i64, peer: Peer, bytes: &[u8]) {
        let datagram = Datagram { peer, identity: &Identity::None, bytes };
        match self.server.handle_datagram(now, wall, datagram) {
            Routed::Handled => {}
            Routed::Forward(owner) => {
                // A stored number of a larger configuration is mapped, as `restore` maps it.
                let owner = (usize::from(owner) % self.shared.inboxes.len()) as u8;
                if owner == self.number {
                    self.server.handle_forwarded(now, wall, datagram);
                } else {
                    self.forward(owner, peer, bytes, Forwarding::ToOwner);
                }
            }
            Routed::AskOthers => match self.shared.inboxes.len() - 1 {
                0 => self.server.handle_forwarded(now, wall, datagram),
                others => {
                    let question = Forwarding::Question { from: self.number, left: others as u8 };
                    self.forward(self.next_shard(), peer, bytes, question);
                }
            },
        }
    }

    fn next_shard(&self) -> u8 {
        let count = self.shared.inboxes.len();
        ((usize::from(self.number) + 1) % count) as u8
    }

    fn forward(&self, to: u8, peer: Peer, bytes: &[u8], how: Forwarding) {
        let size = bytes.len();
        let input = Input::Forwarded(Forwarded { peer, bytes: bytes.into(), how });
        let offered = self.shared.inboxes[usize::from(to)].offer(input, size);
        // A full queue loses it as the network would: the device sends it again.
        let counter = if offered.is_ok() { Counter::ForwardedOut } else { Counter::ForwardFull };
        self.metrics.add(counter, 1);
    }

    /// Drains the engine: claims, then transmits, then events, then what their completion sent.
    fn settle(&mut self, now: Instant) {
        self.answer_claims(now);
        self.transmit();
        self.publish_events(now);
        self.transmit();
        self.uplink.end_turn();
        self.report_numbers();
    }
}

/// Starts the thread of a shard; `watch` lives as long as it runs.
///
/// # Errors
/// When the system has no thread to give.
pub fn spawn<W: Send + 'static>(
    shard: Shard,
    watch: W,
) -> io::Result<std::thread::JoinHandle<io::Result<()>>> {
    let name = format!("shard-{}", shard.number);
    std::thread::Builder::new().name(name).spawn(move || {
        let _watch = watch;
        shard.run()
    })
}
