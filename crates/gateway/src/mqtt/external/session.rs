//! The session with an external broker: one task that owns the connection, the window of messages
//! under way and the subscription.
//!
//! The library repeats what is under way when the broker still has the session, and gives it up
//! when not. In both cases messages must reach the broker in the order of the outbox, so nothing
//! new is handed to the library before everything that it gave up was handed over again, and not
//! before the subscription is in place (design, section 4, rule 4).

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hashbrown::HashSet;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::inbound::{Delivered, Inbound};
use super::link::{
    Connection, Granted, Happening, Lost, Notice, Outcome, Outgoing, Requests, Unsendable, Welcome,
};
use super::{ExternalConfig, RECEIVE_MAX};
use crate::mqtt::{Filter, FilterSet, MqttStats, SubscribeError};
use crate::outbox::{Entry, Handover};

/// What the rest of the program asks of the session.
pub(super) enum Command {
    /// Replace the filters; answered when they are in place.
    SetFilters(Vec<Filter>, oneshot::Sender<Result<(), SubscribeError>>),
    /// Hand over what is here, then disconnect; answered with the number of messages left.
    Close(Duration, oneshot::Sender<usize>),
}

/// Whether new messages may go to the library.
enum Gate {
    /// Not connected.
    Away,
    /// Connected; the subscription is not in place yet.
    Subscribing,
    /// Connected and subscribed.
    Open,
}

/// A message that the library has.
struct UnderWay {
    message: Outgoing,
    state: State,
}

enum State {
    Waiting(Notice),
    Ended(Outcome),
}

impl UnderWay {
    /// Looks at the notice without registering interest.
    fn settle(&mut self) -> Option<&Outcome> {
        if let State::Waiting(notice) = &mut self.state
            && let Poll::Ready(outcome) =
                notice.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            self.state = State::Ended(outcome);
        }
        match &self.state {
            State::Ended(outcome) => Some(outcome),
            State::Waiting(_) => None,
        }
    }
}

/// Filters per SUBSCRIBE packet: at most 64 x (252 bytes of name and a mountpoint), far below any
/// broker's packet limit.
const SUBSCRIBE_MAX: usize = 64;

/// A subscription that is not answered yet.
struct Pending {
    granted: Granted,
    /// Those of the packet that was sent.
    filters: Vec<Filter>,
    /// Those of the packets that follow.
    rest: Vec<Filter>,
    /// What the first refusal said.
    refusal: Option<SubscribeError>,
    reply: Option<oneshot::Sender<Result<(), SubscribeError>>>,
}

struct Closing {
    deadline: Instant,
    reply: Option<oneshot::Sender<usize>>,
    disconnecting: bool,
}

/// The task's state.
pub(super) struct Session<R: Requests> {
    requests: R,
    config: ExternalConfig,
    inbox: mpsc::Receiver<Vec<Entry>>,
    commands: mpsc::Receiver<Command>,
    gate: Gate,
    welcome: Welcome,
    /// Taken from the outbox, not yet with the library: what must be sent again is at the front.
    queue: VecDeque<Outgoing>,
    /// With the library, in the order in which it got them.
    window: VecDeque<UnderWay>,
    wanted: Vec<Filter>,
    filters: FilterSet,
    pending: Option<Pending>,
    inbound: Inbound<R::Ack>,
    backoff: Backoff,
    closing: Option<Closing>,
    stats: Arc<MqttStats>,
}

/// What one wait of the session ended with.
enum Step {
    Batch(Vec<Entry>),
    Ended(Outcome),
    Delivered(Delivered),
    Command(Command),
    Granted(Result<(), String>),
    Deadline,
}

/// Whether the task goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Continue,
    Stop,
}

impl<R: Requests> Session<R> {
    pub(super) fn new(
        requests: R,
        config: ExternalConfig,
        channels: (mpsc::Receiver<Vec<Entry>>, mpsc::Receiver<Command>),
        inbound: Inbound<R::Ack>,
        stats: Arc<MqttStats>,
    ) -> Self {
        let (inbox, commands) = channels;
        let backoff = Backoff::new(config.reconnect_min, config.reconnect_max);
        Self {
            requests,
            config,
            inbox,
            commands,
            gate: Gate::Away,
            welcome: Welcome { session_present: false, packet_max: None, retain_available: true },
            queue: VecDeque::new(),
            window: VecDeque::new(),
            wanted: Vec::new(),
            filters: FilterSet::default(),
            pending: None,
            inbound,
            backoff,
            closing: None,
            stats,
        }
    }

    /// Runs until [`Command::Close`] is done.
    pub(super) async fn run<C: Connection<Ack = R::Ack>>(mut self, mut connection: C) {
        loop {
            let next = match self.poll(&mut connection).await {
                Some(Ok(happening)) => self.on_happening(happening).await,
                Some(Err(lost)) => self.on_lost(lost, &mut connection).await,
                None => Next::Stop,
            };
            if next == Next::Stop {
                break;
            }
        }
        self.finish();
    }

    /// Moves bytes until something happened on the connection. What happens elsewhere is handled
    /// in between: the connection's future must live on, since dropping it can lose what it read.
    /// `None`: the time for closing is over.
    async fn poll<C: Connection<Ack = R::Ack>>(
        &mut self,
        connection: &mut C,
    ) -> Option<Result<Happening<R::Ack>, Lost>> {
        self.settle();
        let mut poll = pin!(connection.poll());
        loop {
            self.fill();
            match self.gate {
                _ if !self.is_drained() => {}
                // Nobody waits for a broker that is away when there is nothing to hand over.
                Gate::Away => return None,
                Gate::Subscribing | Gate::Open => self.disconnect(),
            }
            let step = tokio::select! {
                biased;
                result = &mut poll => return Some(result),
                step = self.step() => step,
            };
            if self.on_step(step) == Next::Stop {
                return None;
            }
        }
    }

    /// Waits for the next thing that is not on the connection. Cancel safe.
    async fn step(&mut self) -> Step {
        let room = matches!(self.gate, Gate::Open) && self.queue.is_empty();
        let deadline = self.closing.as_ref().map(|closing| closing.deadline);
        let Self { inbox, commands, window, pending, inbound, .. } = self;
        tokio::select! {
            outcome = front_ended(window), if !window.is_empty() => Step::Ended(outcome),
            delivered = inbound.ended() => Step::Delivered(delivered),
            granted = granted(pending), if pending.is_some() => Step::Granted(granted),
            Some(command) = commands.recv() => Step::Command(command),
            Some(batch) = inbox.recv(), if room => Step::Batch(batch),
            () = until(deadline), if deadline.is_some() => Step::Deadline,
        }
    }

    fn on_step(&mut self, step: Step) -> Next {
        match step {
            Step::Batch(batch) => self.enqueue(batch),
            Step::Ended(outcome) => {
                if let Some(front) = self.window.front_mut() {
                    front.state = State::Ended(outcome);
                }
                self.settle();
            }
            Step::Delivered(delivered) => self.on_delivered(delivered),
            Step::Granted(result) => self.on_granted(result),
            Step::Command(command) => self.on_command(command),
            Step::Deadline => return Next::Stop,
        }
        Next::Continue
    }

    fn enqueue(&mut self, batch: Vec<Entry>) {
        let outgoing = |entry: Entry| Outgoing::new(entry.publication, entry.ticket);
        self.queue.extend(batch.into_iter().map(outgoing));
    }

    /// Hands messages to the library as long as the window has room.
    fn fill(&mut self) {
        if !matches!(self.gate, Gate::Open) {
            return;
        }
        while self.window.len() < usize::from(self.config.inflight_max)
            && let Some(mut message) = self.queue.pop_front()
        {
            if message.size > self.packet_max() {
                self.too_large(message);
                continue;
            }
            message.retain &= self.welcome.retain_available;
            match self.requests.publish(&message) {
                Ok(notice) => {
                    let state = State::Waiting(notice);
                    self.window.push_back(UnderWay { message, state });
                }
                Err(Unsendable::Full) => return self.queue.push_front(message),
                Err(Unsendable::Invalid(reason)) => self.refused(message, &reason),
            }
        }
    }

    fn packet_max(&self) -> usize {
        let ours = usize::try_from(self.config.packet_max).unwrap_or(usize::MAX);
        self.welcome.packet_max.map_or(ours, |theirs| theirs.min(ours))
    }

    fn too_large(&self, message: Outgoing) {
        MqttStats::count(&self.stats.too_large);
        tracing::warn!(
            event = "mqtt_message_too_large",
            topic = message.topic,
            bytes = message.size,
            limit = self.packet_max(),
        );
        message.ticket.release(Handover::Failed);
    }

    fn refused(&self, message: Outgoing, reason: &str) {
        MqttStats::count(&self.stats.refused);
        tracing::warn!(event = "mqtt_message_refused", topic = message.topic, reason);
        message.ticket.release(Handover::Failed);
    }

    /// Releases what ended, from the front: acknowledgements come in the order of the messages
    /// (MQTT 5.0 section 4.6), and one that must be sent again holds up those behind it.
    fn settle(&mut self) {
        while let Some(delivered) = self.inbound.try_ended() {
            self.on_delivered(delivered);
        }
        while let Some(front) = self.window.front_mut()
            && let Some(outcome) = front.settle()
            && *outcome != Outcome::Again
        {
            self.release_front();
        }
    }

    fn release_front(&mut self) {
        let Some(UnderWay { message, state }) = self.window.pop_front() else { return };
        match state {
            State::Ended(Outcome::Refused(reason)) => self.refused(message, &reason),
            State::Ended(Outcome::Taken) => {
                MqttStats::count(&self.stats.published);
                MqttStats::add(&self.stats.published_bytes, message.payload.len());
                message.ticket.release(Handover::Taken);
            }
            State::Ended(Outcome::Again) | State::Waiting(_) => {
                debug_assert!(false, "only messages with an end are released");
                self.queue.push_front(message);
            }
        }
    }

    async fn on_happening(&mut self, happening: Happening<R::Ack>) -> Next {
        match happening {
            Happening::Connected(welcome) => self.on_connected(welcome),
            // Nothing is taken any more while we close: the broker keeps it for the next start.
            Happening::Message(_) if self.closing.is_some() => {}
            Happening::Message(arrived) => {
                if let Some(ack) = self.inbound.take(*arrived, &self.filters).await {
                    self.acknowledge(ack);
                }
            }
            Happening::Other => {}
        }
        Next::Continue
    }

    fn on_connected(&mut self, welcome: Welcome) {
        MqttStats::count(&self.stats.connects);
        self.welcome = welcome;
        tracing::info!(
            event = "mqtt_connected",
            broker = %self.config.address,
            session_present = welcome.session_present,
        );
        self.inbound.on_connected(welcome.session_present);
        self.requeue();
        self.gate = Gate::Subscribing;
        // All of them, even if the broker still has the session: it may be that of another set.
        self.subscribe(self.wanted.clone(), None);
    }

    /// Puts what the library gave up back to the front of the queue, in order.
    fn requeue(&mut self) {
        let mut again = Vec::new();
        for mut item in std::mem::take(&mut self.window) {
            match item.settle() {
                Some(Outcome::Again) => again.push(item.message),
                Some(_) | None => self.window.push_back(item),
            }
        }
        MqttStats::add(&self.stats.resent, again.len());
        for message in again.into_iter().rev() {
            self.queue.push_front(message);
        }
        self.settle();
    }

    fn subscribe(
        &mut self,
        filters: Vec<Filter>,
        reply: Option<oneshot::Sender<Result<(), SubscribeError>>>,
    ) {
        let nothing: Granted = Box::pin(async { Ok(()) });
        let (rest, refusal) = (filters, None);
        self.subscribe_next(Pending {
            granted: nothing,
            filters: Vec::new(),
            rest,
            refusal,
            reply,
        });
    }

    fn subscribe_next(&mut self, mut pending: Pending) {
        if pending.rest.is_empty() {
            let result = pending.refusal.take().map_or(Ok(()), Err);
            answer(pending.reply.take(), result);
            return self.open_gate();
        }
        pending.filters = pending.rest.drain(..pending.rest.len().min(SUBSCRIBE_MAX)).collect();
        pending.granted = match self.requests.subscribe(&pending.filters) {
            Ok(granted) => granted,
            Err(error) => Box::pin(async move { Err(format!("{error:?}")) }),
        };
        self.pending = Some(pending);
    }

    fn on_granted(&mut self, result: Result<(), String>) {
        let Some(mut pending) = self.pending.take() else { return };
        let filter = pending.filters.iter().map(Filter::as_str).collect::<Vec<_>>().join(", ");
        match result {
            Ok(()) => tracing::info!(event = "mqtt_subscribed", filter),
            // Events still flow: a fleet that cannot be commanded is better than one that is
            // silent. The next connection tries again.
            Err(reason) => {
                tracing::error!(event = "mqtt_subscription_refused", filter, reason);
                let refused = SubscribeError::Refused { filter, reason };
                pending.refusal.get_or_insert(refused);
            }
        }
        self.subscribe_next(pending);
    }

    fn open_gate(&mut self) {
        if matches!(self.gate, Gate::Subscribing) {
            self.gate = Gate::Open;
            self.backoff.reset();
            self.stats.set_connected(true);
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::SetFilters(filters, reply) => self.set_filters(filters, reply),
            Command::Close(within, reply) => {
                self.inbox.close();
                let deadline = Instant::now() + within;
                self.closing = Some(Closing { deadline, reply: Some(reply), disconnecting: false });
            }
        }
    }

    fn set_filters(
        &mut self,
        filters: Vec<Filter>,
        reply: oneshot::Sender<Result<(), SubscribeError>>,
    ) {
        let old = std::mem::replace(&mut self.wanted, filters);
        self.filters = self.wanted.iter().cloned().collect();
        if matches!(self.gate, Gate::Away) {
            return answer(Some(reply), Ok(()));
        }
        let gone = difference(&old, &self.wanted);
        let mut new = difference(&self.wanted, &old);
        for gone in gone.chunks(SUBSCRIBE_MAX) {
            let _ = self.requests.unsubscribe(gone);
        }
        // What an unanswered subscription asked for is asked for again with the new ones.
        if let Some(pending) = self.pending.take() {
            new.extend(pending.filters.into_iter().chain(pending.rest));
            answer(pending.reply, Ok(()));
        }
        self.subscribe(new, Some(reply));
    }

    fn on_delivered(&mut self, delivered: Delivered) {
        if let Some(ack) = self.inbound.on_delivered(delivered) {
            self.acknowledge(ack);
        }
    }

    fn acknowledge(&mut self, ack: R::Ack) {
        if matches!(self.gate, Gate::Away) {
            return;
        }
        if let Err(error) = self.requests.acknowledge(ack) {
            // Room for all of them was made at the start; the broker repeats what is missing.
            tracing::error!(event = "mqtt_ack_failed", ?error, limit = RECEIVE_MAX);
        }
    }

    async fn on_lost<C: Connection>(&mut self, lost: Lost, connection: &mut C) -> Next {
        if matches!(lost, Lost::Finished) {
            return Next::Stop;
        }
        let delay = self.backoff.next();
        self.report_lost(&lost, delay);
        self.gate = Gate::Away;
        self.stats.set_connected(false);
        if let Some(Pending { reply, .. }) = self.pending.take() {
            answer(reply, Ok(()));
        }
        if let Some(closing) = &mut self.closing {
            closing.disconnecting = false;
        }
        if matches!(lost, Lost::TooLarge(_)) || self.order_is_broken() {
            connection.reset();
        }
        self.pause(delay).await
    }

    fn report_lost(&self, lost: &Lost, delay: Duration) {
        if self.stats.is_connected() || matches!(self.gate, Gate::Subscribing) {
            MqttStats::count(&self.stats.disconnects);
        } else {
            MqttStats::count(&self.stats.connect_errors);
        }
        let broker = &self.config.address;
        let (Lost::Refused(reason) | Lost::TooLarge(reason) | Lost::Broken(reason)) = lost else {
            return;
        };
        match lost {
            Lost::Refused(_) => {
                tracing::error!(event = "mqtt_refused", %broker, reason, retry_in = ?delay);
            }
            _ => tracing::warn!(event = "mqtt_away", %broker, reason, retry_in = ?delay),
        }
    }

    /// A QoS 0 message that was not written is given up by the library while later ones are kept:
    /// they would overtake it. Giving up all of them costs QoS 1 repetitions without the DUP flag;
    /// for QoS 2, which must not be repeated like that, its order among the classes is given up.
    fn order_is_broken(&mut self) -> bool {
        let exactly_once = |item: &UnderWay| item.message.qos == crate::mqtt::Qos::ExactlyOnce;
        let mut again = false;
        for item in &mut self.window {
            again |= item.settle() == Some(&Outcome::Again);
        }
        again && !self.window.iter().any(exactly_once)
    }

    /// Waits before the next attempt.
    async fn pause(&mut self, delay: Duration) -> Next {
        let mut sleep = pin!(tokio::time::sleep(delay));
        loop {
            if self.is_drained() {
                return Next::Stop;
            }
            let step = tokio::select! {
                () = &mut sleep => return Next::Continue,
                step = self.step() => step,
            };
            if self.on_step(step) == Next::Stop {
                return Next::Stop;
            }
        }
    }

    /// Whether we close and everything was handed over.
    fn is_drained(&self) -> bool {
        self.closing.is_some()
            && self.queue.is_empty()
            && self.window.is_empty()
            && self.inbox.is_empty()
            && (matches!(self.gate, Gate::Away) || self.inbound.is_idle())
    }

    fn disconnect(&mut self) {
        let Some(closing) = self.closing.as_mut().filter(|closing| !closing.disconnecting) else {
            return;
        };
        let rest = closing.deadline.saturating_duration_since(Instant::now());
        closing.disconnecting = self.requests.disconnect(rest).is_ok();
    }

    fn finish(mut self) {
        self.stats.set_connected(false);
        let mut left = self.queue.len() + self.window.len();
        while let Ok(batch) = self.inbox.try_recv() {
            left += batch.len();
        }
        if let Some(Closing { reply: Some(reply), .. }) = self.closing.take() {
            let _ = reply.send(left);
        }
    }
}

/// What is in `these` and not in `those`, in order.
fn difference(these: &[Filter], those: &[Filter]) -> Vec<Filter> {
    let known: HashSet<&Filter> = those.iter().collect();
    these.iter().filter(|filter| !known.contains(filter)).cloned().collect()
}

fn answer(
    reply: Option<oneshot::Sender<Result<(), SubscribeError>>>,
    result: Result<(), SubscribeError>,
) {
    if let Some(reply) = reply {
        let _ = reply.send(result);
    }
}

async fn front_ended(window: &mut VecDeque<UnderWay>) -> Outcome {
    match window.front_mut().map(|front| &mut front.state) {
        Some(State::Waiting(notice)) => notice.await,
        // Waits for the next connection, as does an empty window.
        Some(State::Ended(_)) | None => std::future::pending().await,
    }
}

async fn granted(pending: &mut Option<Pending>) -> Result<(), String> {
    match pending {
        Some(pending) => pending.granted.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
