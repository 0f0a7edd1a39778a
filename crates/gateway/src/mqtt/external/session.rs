//! The session with an external broker: one task that owns the connection, the lane of messages
//! under way, and the subscription.
//!
//! Nothing is sent on a connection before the subscription is in place (design, section 4, rule
//! 4), and then first what an earlier connection left open. Order among messages is the business
//! of [`super::lane`], bytes that of [`super::connection`].

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use crossbeam_queue::ArrayQueue;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::connection::{Buffers, Lost, establish};
use super::inbound::{Delivered, Inbound};
use super::lane::{Lane, Next, Outgoing};
use super::subscription::{Gate, Pending, Repetition, Reply};
use super::transport::{Stream, Tls};
use super::wire::{Ack, Answer, FromBroker, PacketId, Welcome};
use super::{ExternalConfig, Protocol};
use crate::mqtt::{Deliveries, Filter, FilterSet, MqttStats};
use crate::outbox::Entry;

/// What the rest of the program asks of the session.
pub(super) enum Command {
    /// Replace the filters; answered when they are in place.
    SetFilters(Vec<Filter>, Reply),
    /// Hand over what is here, then disconnect; answered with the number of messages left.
    Close(Duration, oneshot::Sender<usize>),
}

/// How the rest of the program reaches the session.
pub(super) struct Channels {
    pub(super) batches: mpsc::Receiver<Vec<Entry>>,
    /// Where their memory goes back to.
    pub(super) emptied: Arc<ArrayQueue<Vec<Entry>>>,
    pub(super) commands: mpsc::Receiver<Command>,
}

struct Closing {
    deadline: Instant,
    reply: oneshot::Sender<usize>,
}

/// A connection that lasted this long was a good one: the next pause is the shortest. Two
/// gateways with one client id, which end each other's connections, do not get there.
const STABLE: Duration = Duration::from_secs(5);

/// The task's state.
pub(super) struct Session {
    config: ExternalConfig,
    tls: Tls,
    inbox: mpsc::Receiver<Vec<Entry>>,
    emptied: Arc<ArrayQueue<Vec<Entry>>>,
    commands: mpsc::Receiver<Command>,
    pub(super) gate: Gate,
    pub(super) lane: Lane,
    packet_max: usize,
    pub(super) wanted: Vec<Filter>,
    pub(super) filters: FilterSet,
    pub(super) pending: Option<Pending>,
    /// Filters that the broker has in this session.
    pub(super) granted: HashSet<Filter>,
    pub(super) repetition: Repetition,
    pub(super) deliveries: Arc<dyn Deliveries>,
    inbound: Inbound,
    backoff: Backoff,
    closing: Option<Closing>,
    pub(super) stats: Arc<MqttStats>,
}

/// What one wait of the session ended with.
enum Step {
    Batch(Vec<Entry>),
    Delivered(Delivered),
    Command(Command),
    Deadline,
}

/// The end of the task: everything was handed over, or the time for it is over.
struct Closed;

impl Session {
    pub(super) fn new(
        config: ExternalConfig,
        tls: Tls,
        channels: Channels,
        deliveries: Arc<dyn Deliveries>,
        stats: Arc<MqttStats>,
    ) -> Self {
        let inbound = Inbound::new(Arc::clone(&deliveries), Arc::clone(&stats));
        let Channels { batches: inbox, emptied, commands } = channels;
        let backoff = Backoff::new(config.reconnect_min, config.reconnect_max);
        let [chance, ..] = RandomState::new().hash_one(0_u8).to_ne_bytes();
        Self {
            config,
            tls,
            inbox,
            emptied,
            commands,
            gate: Gate::Away,
            lane: Lane::new(u16::from(chance) << 8),
            packet_max: usize::MAX,
            wanted: Vec::new(),
            filters: FilterSet::default(),
            pending: None,
            granted: HashSet::new(),
            repetition: Repetition::Over,
            deliveries,
            inbound,
            backoff,
            closing: None,
            stats,
        }
    }

    /// Runs until [`Command::Close`] is done.
    pub(super) async fn run(mut self) {
        while let Ok(lost) = self.connect_and_serve().await {
            let delay = self.backoff.next();
            self.on_lost(&lost, delay);
            if self.pause(delay).await.is_err() {
                break;
            }
        }
        self.finish();
    }

    async fn connect_and_serve(&mut self) -> Result<Lost, Closed> {
        let (stream, buffers, welcome) = match self.connect().await? {
            Ok(established) => established,
            Err(lost) => {
                MqttStats::count(&self.stats.connect_errors);
                return Ok(lost);
            }
        };
        let since = Instant::now();
        let result = self.serve(stream, buffers, welcome).await;
        MqttStats::count(&self.stats.disconnects);
        if since.elapsed() >= STABLE {
            self.backoff.reset();
        }
        result
    }

    async fn connect(&mut self) -> Result<Result<(Stream, Buffers, Welcome), Lost>, Closed> {
        let mut attempt = pin!(establish(self.config.clone(), self.tls.clone()));
        loop {
            self.is_abandoned()?;
            let step = tokio::select! {
                result = &mut attempt => return Ok(result),
                step = self.step() => step,
            };
            self.on_step_away(step)?;
        }
    }

    async fn pause(&mut self, delay: Duration) -> Result<(), Closed> {
        let mut sleep = pin!(tokio::time::sleep(delay));
        loop {
            self.is_abandoned()?;
            let step = tokio::select! {
                () = &mut sleep => return Ok(()),
                step = self.step() => step,
            };
            self.on_step_away(step)?;
        }
    }

    /// Nobody waits for a broker that is away when there is nothing to hand over.
    fn is_abandoned(&self) -> Result<(), Closed> {
        if self.closing.is_some() && self.is_empty() { Err(Closed) } else { Ok(()) }
    }

    fn is_empty(&self) -> bool {
        self.lane.is_empty() && self.inbox.is_empty()
    }

    /// Moves bytes until the connection is lost or closed.
    async fn serve(
        &mut self,
        stream: Stream,
        mut io: Buffers,
        welcome: Welcome,
    ) -> Result<Lost, Closed> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        if let Err(lost) = self.on_connected(&welcome, &mut io) {
            return Ok(lost);
        }
        let mut tick = pin!(tokio::time::sleep(io.tick()));
        loop {
            if let Err(lost) = self.fill(&mut io) {
                return Ok(lost);
            }
            if self.is_handed_over(&io) {
                let _ = io.wire.disconnect(&mut io.output);
                let _ = writer.write_all_buf(&mut io.output).await;
                let _ = writer.shutdown().await;
                return Err(Closed);
            }
            let result = tokio::select! {
                biased;
                moved = push_out(&mut writer, &mut io.output), if io.wants_writing() => {
                    match moved {
                        Ok(bytes) => {
                            self.on_written(io.on_written(bytes));
                            Ok(())
                        }
                        Err(error) => Err(Lost::from(error)),
                    }
                }
                read = reader.read_buf(&mut io.input) => match read {
                    Ok(bytes) => self.on_read(bytes, &mut io).await,
                    Err(error) => Err(Lost::from(error)),
                },
                step = self.step() => self.on_step(step, &mut io)?,
                () = &mut tick => {
                    tick.as_mut().reset(Instant::now() + io.tick());
                    self.on_tick(&mut io)
                }
            };
            if let Err(lost) = result {
                return Ok(lost);
            }
        }
    }

    /// Waits for the next thing that is not on the connection. Cancel safe.
    async fn step(&mut self) -> Step {
        let room =
            self.gate == Gate::Open && self.lane.len() < usize::from(self.config.inflight_max);
        let deadline = self.closing.as_ref().map(|closing| closing.deadline);
        let Self { inbox, commands, inbound, .. } = self;
        tokio::select! {
            delivered = inbound.ended() => Step::Delivered(delivered),
            Some(command) = commands.recv() => Step::Command(command),
            Some(batch) = inbox.recv(), if room => Step::Batch(batch),
            () = until(deadline), if deadline.is_some() => Step::Deadline,
        }
    }

    fn on_step(&mut self, step: Step, io: &mut Buffers) -> Result<Result<(), Lost>, Closed> {
        match step {
            Step::Batch(batch) => self.enqueue(batch),
            Step::Delivered(delivered) => {
                if let Some(ack) = self.inbound.on_delivered(delivered) {
                    return Ok(acknowledge(ack, io));
                }
            }
            Step::Command(Command::SetFilters(filters, reply)) => {
                return Ok(self.change_filters(filters, reply, io));
            }
            Step::Command(Command::Close(within, reply)) => self.on_close(within, reply),
            Step::Deadline => return Err(Closed),
        }
        Ok(Ok(()))
    }

    fn on_step_away(&mut self, step: Step) -> Result<(), Closed> {
        match step {
            Step::Batch(batch) => self.enqueue(batch),
            // The broker repeats the message, and is answered then.
            Step::Delivered(delivered) => drop(self.inbound.on_delivered(delivered)),
            Step::Command(Command::SetFilters(filters, reply)) => {
                self.set_wanted(filters);
                let _ = reply.send(Ok(()));
            }
            Step::Command(Command::Close(within, reply)) => self.on_close(within, reply),
            Step::Deadline => return Err(Closed),
        }
        Ok(())
    }

    fn enqueue(&mut self, mut batch: Vec<Entry>) {
        for entry in batch.drain(..) {
            self.lane.push(Outgoing::new(entry.publication, entry.ticket));
        }
        let _ = self.emptied.push(batch);
    }

    fn on_close(&mut self, within: Duration, reply: oneshot::Sender<usize>) {
        self.inbox.close();
        self.closing = Some(Closing { deadline: Instant::now() + within, reply });
    }

    /// Encodes what may be sent.
    fn fill(&mut self, io: &mut Buffers) -> Result<(), Lost> {
        while self.gate == Gate::Open
            && io.has_room()
            && let Some(next) = self.lane.next()
        {
            match next {
                Next::Release(packet) => io.wire.release(packet, &mut io.output)?,
                Next::Publish { message, .. } if message.size > self.packet_max => {
                    if let Some(message) = self.lane.take_next() {
                        self.too_large(message);
                    }
                    continue;
                }
                Next::Publish { message, packet, sending } => {
                    if let Err(error) =
                        io.wire.publish(&message.publication, packet, sending, &mut io.output)
                    {
                        if let Some(message) = self.lane.take_next() {
                            self.refused(message, &error.to_string());
                        }
                        continue;
                    }
                }
            }
            self.lane.sent(io.end());
        }
        Ok(())
    }

    fn on_written(&mut self, bytes: u64) {
        let stats = &self.stats;
        self.lane.on_written(bytes, |message| taken(message, stats));
    }

    async fn on_read(&mut self, bytes: usize, io: &mut Buffers) -> Result<(), Lost> {
        io.on_read(bytes)?;
        while let Some(packet) = io.packet()? {
            self.on_packet(packet, io).await?;
        }
        Ok(())
    }

    async fn on_packet(&mut self, packet: FromBroker, io: &mut Buffers) -> Result<(), Lost> {
        match packet {
            FromBroker::Taken(packet, answer) => self.on_end(packet, answer),
            FromBroker::Completed(packet) => self.on_end(packet, Ok(())),
            FromBroker::Received(packet, Err(reason)) => self.on_end(packet, Err(reason)),
            FromBroker::Received(packet, Ok(())) => {
                if self.lane.on_received(packet) {
                    io.wire.release(packet, &mut io.output)?;
                }
            }
            // Nothing is taken any more while we close: the broker keeps it for the next start.
            FromBroker::Message(_) if self.closing.is_some() => {}
            // 3.1.1 marks a message as retained only when it repeats it for a subscription, and a
            // command that is not known to be retained when it is published is not kept.
            FromBroker::Message(arrived)
                if arrived.incoming.retained && self.config.protocol == Protocol::V311 =>
            {
                if let Some(ack) = arrived.ack {
                    acknowledge(ack, io)?;
                }
            }
            FromBroker::Message(arrived) => {
                if let Some(ack) = self.inbound.take(*arrived, &self.filters).await {
                    acknowledge(ack, io)?;
                }
            }
            FromBroker::Release(packet) => io.wire.complete(packet, &mut io.output)?,
            FromBroker::Subscribed(packet, refused) => self.on_subscribed(packet, refused, io)?,
            FromBroker::Unsubscribed => {}
            FromBroker::Pong => io.on_pong(),
            FromBroker::Disconnected(reason) => {
                return Err(Lost::Broken(format!("the broker disconnected: {reason}")));
            }
            FromBroker::Welcome(_) | FromBroker::Refused(_) => {
                return Err(Lost::Broken("a second CONNACK".to_owned()));
            }
        }
        Ok(())
    }

    fn on_end(&mut self, packet: PacketId, answer: Answer) {
        let Some(message) = self.lane.on_end(packet) else {
            tracing::debug!(event = "mqtt_unknown_ack", packet);
            return;
        };
        match answer {
            Ok(()) => taken(message, &self.stats),
            Err(reason) => self.refused(message, &reason),
        }
    }

    fn on_connected(&mut self, welcome: &Welcome, io: &mut Buffers) -> Result<(), Lost> {
        MqttStats::count(&self.stats.connects);
        tracing::info!(
            event = "mqtt_connected",
            broker = %self.config.address,
            session_present = welcome.session_present,
        );
        let ours = usize::try_from(self.config.packet_max).unwrap_or(usize::MAX);
        self.packet_max = ours.min(welcome.packet_max);
        self.inbound.on_connected(welcome.session_present);
        self.on_session(welcome.session_present);
        let (received, again) = self.lane.on_connected(welcome, self.config.inflight_max);
        received.into_iter().for_each(|message| taken(message, &self.stats));
        MqttStats::add(&self.stats.resent, again);
        self.gate = Gate::Subscribing;
        // All of them, even if the broker still has the session: it may be that of another set.
        self.subscribe(self.wanted.clone(), None, io)
    }

    fn on_lost(&mut self, lost: &Lost, delay: Duration) {
        self.gate = Gate::Away;
        self.stats.set_connected(false);
        self.lane.on_lost();
        self.give_up_subscription();
        // What was not repeated on this connection is no less kept for that.
        self.repetition = Repetition::Over;
        let broker = &self.config.address;
        match lost {
            Lost::Refused(reason) => {
                tracing::error!(event = "mqtt_refused", %broker, reason, retry_in = ?delay);
            }
            Lost::Broken(reason) => {
                tracing::warn!(event = "mqtt_away", %broker, reason, retry_in = ?delay);
            }
        }
    }

    fn on_tick(&mut self, io: &mut Buffers) -> Result<(), Lost> {
        let now = Instant::now();
        self.check_repetition(now);
        self.check_subscription(now)?;
        io.keep_alive(now)
    }

    fn is_handed_over(&self, io: &Buffers) -> bool {
        self.closing.is_some() && self.is_empty() && self.inbound.is_idle() && !io.wants_writing()
    }

    fn too_large(&self, message: Outgoing) {
        MqttStats::count(&self.stats.too_large);
        tracing::warn!(
            event = "mqtt_message_too_large",
            topic = %message.publication.topic,
            bytes = message.size,
            limit = self.packet_max,
        );
        message.failed();
    }

    fn refused(&self, message: Outgoing, reason: &str) {
        MqttStats::count(&self.stats.refused);
        tracing::warn!(event = "mqtt_message_refused", topic = %message.publication.topic, reason);
        message.failed();
    }

    fn finish(mut self) {
        self.stats.set_connected(false);
        let mut left = self.lane.len();
        while let Ok(batch) = self.inbox.try_recv() {
            left += batch.len();
        }
        if let Some(closing) = self.closing.take() {
            let _ = closing.reply.send(left);
        }
    }
}

/// Writes what is there, else flushes the TLS layer (zero bytes). Cancel safe.
async fn push_out<W>(writer: &mut W, output: &mut BytesMut) -> std::io::Result<usize>
where
    W: AsyncWrite + Unpin,
{
    if output.is_empty() {
        writer.flush().await.map(|()| 0)
    } else {
        writer.write_buf(output).await
    }
}

fn acknowledge(ack: Ack, io: &mut Buffers) -> Result<(), Lost> {
    Ok(io.wire.acknowledge(ack, &mut io.output)?)
}

fn taken(message: Outgoing, stats: &MqttStats) {
    MqttStats::count(&stats.published);
    MqttStats::add(&stats.published_bytes, message.publication.payload.len());
    message.taken();
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
