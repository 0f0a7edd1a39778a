//! Commands from a broker to the shard of their device.
//!
//! What a message means is the job of `bridge`; this module finds the shard, waits a little when
//! its queue is full, and reports what cannot be delivered. It returns only when a shard has taken
//! the command or the refusal is on its way up: then the message is acknowledged to the broker.
//! Retained commands are kept on the way, see [`crate::retained`]; a message on a topic of
//! [`crate::device_topics`] is a command for each device that has the topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bridge::{Bridge, Circumstances, Downlink, Fault, Publication, Surroundings};
use engine::{Command, CommandError};
use lwm2m::{EndpointName, Models};
use parking_lot::{Mutex, RwLock};
use tokio::time::{Instant, sleep};

use crate::clock;
use crate::device_topics::Holder;
use crate::directory::Home;
use crate::inbox::{CommandInput, Input};
use crate::mqtt::{Deliveries, Filter, Incoming};
use crate::outbox::{Outbox, Reservation};
use crate::results::Waiter;
use crate::retained::{Candidate, Taken};
use crate::shard::Shared;
use crate::telemetry::{Pass, RateLimit};

/// How often a full queue is looked at again. A shard empties 256 inputs in well under this.
const RETRY: Duration = Duration::from_millis(2);

/// How often a command may follow its device from shard to shard. A device that registers on
/// another shard more often than this within a few milliseconds is reported as unknown.
const HOPS_MAX: u8 = 4;

/// What a queued command weighs besides its payload, in bytes.
const COMMAND_OVERHEAD: usize = 256;

/// The sink for commands.
pub struct Commands {
    shared: Arc<Shared>,
    contract: RwLock<(Bridge, Arc<Models>)>,
    /// The way up for refusals, which belong to no shard.
    refusals: Mutex<Outbox>,
    wait_max: Duration,
    limit: Mutex<RateLimit>,
    closed: AtomicBool,
    counters: Arc<CommandCounters>,
}

/// A command on its way to its shard.
struct Errand {
    command: Box<Command>,
    /// What it weighs in the queue, in bytes.
    size: usize,
    waiter: Option<Waiter>,
}

/// Why a shard did not take a command, which is handed back.
enum Refused {
    /// Its device is not registered.
    Unknown(Errand),
    /// The queue of the shard, or the way up for outcomes, is full.
    Full(Errand),
}

/// Why a command that did not come from a broker is not on its way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It is no command.
    #[error("{0}")]
    Unusable(#[from] Fault),
    /// No device of that name is registered.
    #[error("no such device is registered")]
    UnknownDevice,
    /// The queue of the shard, or the way up for outcomes, stayed full.
    #[error("the gateway has as many commands as it can hold")]
    Full,
    /// The gateway stops.
    #[error("the gateway stops")]
    Stopping,
}

/// Whether a command is kept for its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeping {
    Yes,
    No,
}

/// What happened to messages on command topics before a shard saw them.
#[derive(Debug, Default)]
pub struct CommandCounters {
    /// Unusable: dropped, nobody is told.
    pub dropped: AtomicU64,
    /// Unusable: the application is told.
    pub refused: AtomicU64,
    /// For a device that is not registered.
    pub unknown: AtomicU64,
    /// The queue of the shard, or the way up, stayed full.
    pub queue_full: AtomicU64,
}

impl Commands {
    /// A sink. `refusals` is an outbox of its own.
    pub fn new(
        shared: Arc<Shared>,
        contract: (Bridge, Arc<Models>),
        refusals: Outbox,
        wait_max: Duration,
    ) -> Self {
        Self {
            shared,
            contract: RwLock::new(contract),
            refusals: Mutex::new(refusals),
            wait_max,
            limit: Mutex::default(),
            closed: AtomicBool::new(false),
            counters: Arc::default(),
        }
    }

    /// Takes other settings.
    pub fn set_bridge(&self, bridge: Bridge) {
        self.contract.write().0 = bridge;
    }

    /// Takes other definitions.
    pub fn set_models(&self, models: Arc<Models>) {
        self.contract.write().1 = models;
    }

    /// From now on no message is taken, so none is acknowledged: a broker with a session for us
    /// delivers it again after the restart.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// The counters.
    pub fn counters(&self) -> Arc<CommandCounters> {
        Arc::clone(&self.counters)
    }

    /// What all shards share.
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The contract as it is now.
    pub fn contract(&self) -> (Bridge, Arc<Models>) {
        self.contract.read().clone()
    }

    /// Takes a command for a device that did not come from a broker: JSON as on a command topic.
    /// Its outcome is published as that of any other, and told to `waiter`.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing is published then.
    pub async fn submit(
        &self,
        endpoint: &EndpointName,
        command: &[u8],
        waiter: Option<Waiter>,
    ) -> Result<(), SubmitError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(SubmitError::Stopping);
        }
        if self.shared.directory.find(endpoint.as_str()).is_none() {
            return Err(SubmitError::UnknownDevice);
        }
        let read = {
            let contract = self.contract.read();
            let (bridge, models) = &*contract;
            bridge.request(self.shared.clock.now(), endpoint, command, models)?
        };
        let size = command.len();
        let errand = Errand { command: Box::new(read), size, waiter };
        let handed = self.hand_over(errand, Instant::now() + self.wait_max).await;
        handed.map_err(|refused| match refused {
            Refused::Unknown(_) => SubmitError::UnknownDevice,
            Refused::Full(_) => SubmitError::Full,
        })
    }

    /// Gives a device a message on a topic of its own that the broker has kept.
    pub async fn deliver_kept(&self, holder: &Holder, incoming: &Incoming) {
        let read = self.read(incoming, Some(holder));
        self.settle(incoming, read, Keeping::No, Instant::now() + self.wait_max).await;
    }

    /// Reads a message for the device that the settings give its topic to, or for another one that
    /// has it.
    fn read(&self, incoming: &Incoming, holder: Option<&Holder>) -> Downlink {
        let contract = self.contract.read();
        let (bridge, models) = &*contract;
        let circumstances = Circumstances {
            now: self.shared.clock.now(),
            models,
            registered: &|name| self.shared.directory.find(name.as_str()).is_some(),
            takes_commands: &|topic| self.shared.device_topics.takes(topic),
        };
        let delivery = incoming.delivery();
        match holder {
            Some(holder) => bridge.downlink_for(&delivery, circumstances, holder.recipient()),
            None => bridge.downlink_to(&delivery, circumstances),
        }
    }

    /// Keeps a retained message; `None`: there is nothing more to do with it now.
    fn keep(&self, incoming: &Incoming, read: &Downlink, held: bool) -> Option<Keeping> {
        let usable = match read {
            Downlink::Command(_) => true,
            Downlink::Refused { .. } => false,
            // Only to know its repetition.
            Downlink::Dropped(Fault::NoEndpoint) if held => false,
            Downlink::Dropped(_) => return Some(Keeping::No),
        };
        let names = self.contract.read().0.endpoints(&incoming.topic);
        let home = |name: &EndpointName| {
            self.shared.directory.find(name.as_str()).map(|home| home.registration)
        };
        let candidate = Candidate { incoming, names, usable };
        match self.shared.retained.take(candidate, self.shared.clock.now(), home) {
            Taken::New => Some(Keeping::Yes),
            Taken::Repeated => None,
            Taken::Full => {
                self.log(
                    "retained_full",
                    &incoming.topic,
                    "the cache of retained commands is full",
                );
                Some(Keeping::No)
            }
        }
    }

    async fn hand_over(&self, mut errand: Errand, deadline: Instant) -> Result<(), Refused> {
        loop {
            // Looked up anew each time: the device may move while its shard is full.
            match self.offer(errand) {
                Ok(()) => return Ok(()),
                Err(Refused::Full(refused)) if Instant::now() < deadline => errand = refused,
                Err(refused) => return Err(refused),
            }
            sleep(RETRY).await;
        }
    }

    /// Hands a command of a broker over, or tells the application why not.
    async fn serve(&self, errand: Errand, keeping: Keeping, deadline: Instant) {
        match self.hand_over(errand, deadline).await {
            Ok(()) => {}
            // It waits for its device.
            Err(Refused::Unknown(_)) if keeping == Keeping::Yes => {}
            Err(Refused::Unknown(errand)) => {
                count(&self.counters.unknown);
                self.report(&errand.command, &CommandError::UnknownDevice);
            }
            Err(Refused::Full(errand)) => {
                count(&self.counters.queue_full);
                self.report(&errand.command, &CommandError::QueueFull);
            }
        }
    }

    /// Puts a command before the shard of its device while the device cannot move: so it is there
    /// before the eviction, and moves along in its place.
    fn offer(&self, errand: Errand) -> Result<(), Refused> {
        let name = errand.command.endpoint.clone();
        let put = |mut errand: Errand, name: &EndpointName, home: Home| {
            errand.command.endpoint = name.clone();
            self.put_before(home.shard, errand).map_err(Refused::Full)
        };
        self.shared
            .directory
            .at_home(name.as_str(), errand, put)
            .unwrap_or_else(|errand| Err(Refused::Unknown(errand)))
    }

    fn put_before(&self, shard: u8, errand: Errand) -> Result<(), Errand> {
        let inbox = self.shared.inboxes.get(usize::from(shard));
        let (Some(inbox), Some(reservation)) = (inbox, self.reserve()) else {
            return Err(errand);
        };
        let Errand { command, size, waiter } = errand;
        let input = CommandInput { command: *command, reservation, waiter, hops: HOPS_MAX };
        match inbox.offer(Input::Command(Box::new(input)), size + COMMAND_OVERHEAD) {
            Ok(()) => Ok(()),
            Err(Input::Command(input)) => {
                let CommandInput { command, waiter, .. } = *input;
                Err(Errand { command: Box::new(command), size, waiter })
            }
            Err(_) => unreachable!("the inbox hands back what it was given"),
        }
    }

    /// Does what is to be done with a message that was read.
    async fn settle(
        &self,
        incoming: &Incoming,
        read: Downlink,
        keeping: Keeping,
        deadline: Instant,
    ) {
        match read {
            Downlink::Command(command) => {
                let errand = Errand { command, size: incoming.payload.len(), waiter: None };
                self.serve(errand, keeping, deadline).await;
            }
            Downlink::Refused { endpoint, publications, fault } => {
                count(&self.counters.refused);
                self.log("unusable_command", endpoint.as_str(), &fault.to_string());
                publications.into_iter().for_each(|publication| self.publish(publication));
            }
            Downlink::Dropped(fault) => {
                count(&self.counters.dropped);
                self.log("dropped_message", &incoming.topic, &fault.to_string());
            }
        }
    }

    fn reserve(&self) -> Option<Reservation> {
        self.refusals.lock().reserve()
    }

    fn report(&self, command: &Command, reason: &CommandError) {
        let mut publications = Vec::new();
        {
            let contract = self.contract.read();
            let (bridge, models) = &*contract;
            let surroundings = Surroundings { models, wall_ms: clock::wall_ms() };
            bridge.clone().refused(command, reason, surroundings, &mut publications);
        }
        for publication in publications {
            self.publish(publication);
        }
        self.log(reason.name(), command.endpoint.as_str(), &reason.to_string());
    }

    /// A refusal that does not fit is dropped: the broker would have to be away for long, and
    /// applications that flood it with unusable commands must not take its place from devices.
    fn publish(&self, publication: Publication) {
        let refusals = self.refusals.lock();
        if refusals.try_push(publication).is_ok() {
            refusals.wake();
        } else {
            count(&self.counters.dropped);
        }
    }

    fn log(&self, kind: &'static str, endpoint: &str, reason: &str) {
        let pass = self.limit.lock().pass(kind, std::time::Instant::now());
        if let Pass::Write { suppressed } = pass {
            tracing::warn!(event = "command_refused", kind, endpoint, reason, suppressed);
        }
    }
}

#[async_trait]
impl Deliveries for Commands {
    async fn deliver(&self, incoming: Incoming) {
        if self.closed.load(Ordering::Acquire) {
            return std::future::pending().await;
        }
        if incoming.retained && incoming.payload.is_empty() {
            return self.shared.retained.remove(&incoming.topic);
        }
        let holders = self.shared.device_topics.holders(&incoming.topic);
        let read = self.read(&incoming, None);
        let keeping = if incoming.retained {
            self.keep(&incoming, &read, !holders.is_empty())
        } else {
            Some(Keeping::No)
        };
        let Some(keeping) = keeping else { return };
        // One wait for all of them: the publisher's next message waits behind it.
        let deadline = Instant::now() + self.wait_max;
        let addressee = addressee(&read).cloned();
        if addressee.is_some() || holders.is_empty() {
            self.settle(&incoming, read, keeping, deadline).await;
        }
        for holder in holders {
            if addressee.as_ref() != Some(holder.recipient().endpoint) {
                let read = self.read(&incoming, Some(&holder));
                self.settle(&incoming, read, Keeping::No, deadline).await;
            }
        }
    }

    fn await_again(&self, filters: &[Filter]) {
        self.shared.retained.await_again(filters);
    }

    fn end_of_repetition(&self) {
        self.shared.retained.end_of_repetition();
    }
}

/// The device that the settings give the topic of a message to.
const fn addressee(read: &Downlink) -> Option<&EndpointName> {
    match read {
        Downlink::Command(command) => Some(&command.endpoint),
        Downlink::Refused { endpoint, .. } => Some(endpoint),
        Downlink::Dropped(_) => None,
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
