//! The subscriber as a process of its own: one thread, one connection, orders on standard input.
//!
//! Each line is an order, each is answered by one line of JSON, a [`Look`].

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use udpio::{Poller, Token};

use super::commander::{Commander, Plan};
use super::tally::{Follow, Kind, Tally};
use super::wire::{self, Frame, Packet, Session};
use super::{Look, Options};
use crate::problem::{Context, Outcome, Problem};

const SOCKET: Token = Token(0);
const ORDERS: Token = Token(1);

/// Read in one call; more would only let the orders wait.
const READ_MAX: usize = 256 * 1024;

/// How long nothing happens at most, so that a broker that went away is noticed.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// Pause before a broker that is away is tried again.
const RECONNECT: Duration = Duration::from_millis(100);

/// Runs until standard input ends.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let mut agent = Agent::connect(options)?;
    let mut ready = Vec::new();
    loop {
        let wait = agent.commander.wait().map_or(WAIT_MAX, |wait| wait.min(WAIT_MAX));
        let wait = if agent.out.is_empty() { wait } else { Duration::from_millis(1) };
        agent.poller.wait(Some(wait), &mut ready)?;
        if ready.contains(&ORDERS) && agent.orders()? == Stdin::Ended {
            return Ok(());
        }
        if ready.contains(&SOCKET) {
            agent.receive()?;
        }
        agent.commander.turn(&mut agent.out);
        agent.flush()?;
    }
}

#[derive(PartialEq, Eq)]
enum Stdin {
    Open,
    Ended,
}

struct Agent<'a> {
    options: &'a Options,
    poller: Poller,
    stream: TcpStream,
    /// Received and not yet whole; the first `filled` bytes count.
    buffer: Vec<u8>,
    filled: usize,
    out: Vec<u8>,
    orders: Vec<u8>,
    tally: Tally,
    commander: Commander,
    observes: u64,
    reconnects: u64,
    stalled: bool,
}

impl<'a> Agent<'a> {
    fn connect(options: &'a Options) -> Outcome<Self> {
        let poller = Poller::new()?;
        let stream = subscribe(options, Awaited::Suback)?;
        poller.add(&stream, SOCKET)?;
        let stdin = io::stdin();
        let flags = OFlag::from_bits_truncate(fcntl(&stdin, FcntlArg::F_GETFL)?);
        fcntl(&stdin, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        poller.add(&stdin, ORDERS)?;
        println!("ready");
        let follow = if options.follow { Follow::Order } else { Follow::Nothing };
        Ok(Self {
            options,
            poller,
            stream,
            buffer: vec![0; READ_MAX],
            filled: 0,
            out: Vec::new(),
            orders: Vec::new(),
            tally: Tally::new(follow),
            commander: Commander::new(&options.prefix),
            observes: 0,
            reconnects: 0,
            stalled: false,
        })
    }

    fn receive(&mut self) -> Outcome<()> {
        if self.filled == self.buffer.len() {
            // A message larger than everything that was read so far.
            self.buffer.resize(2 * self.buffer.len(), 0);
        }
        let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
        match self.stream.read(room) {
            Ok(0) => self.reconnect(),
            Ok(count) => {
                self.filled += count;
                self.packets()
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(_) => self.reconnect(),
        }
    }

    fn packets(&mut self) -> Outcome<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let mut start = 0;
        loop {
            match wire::frame(buffer.get(start..self.filled).unwrap_or_default()) {
                Frame::Whole(packet, length) => {
                    start += length;
                    if let Packet::Publish { topic, payload, id } = packet {
                        self.message(topic, payload, id);
                    }
                }
                Frame::Partial => break,
                Frame::Malformed => return Err(Problem::new("the broker sends no MQTT")),
            }
        }
        self.buffer = buffer;
        self.buffer.copy_within(start..self.filled, 0);
        self.filled -= start;
        Ok(())
    }

    fn message(&mut self, topic: &[u8], payload: &[u8], id: Option<u16>) {
        if let Some(id) = id {
            wire::puback(&mut self.out, id);
        }
        let kind = Kind::of(topic);
        self.tally.message(kind, topic, payload);
        match kind {
            Kind::Register => self.observe(topic),
            Kind::Response => self.commander.answer(payload, &mut self.out),
            Kind::Update | Kind::Notify | Kind::BrokerDropped | Kind::Other => {}
        }
    }

    /// Observes a device that has registered, as a platform does.
    fn observe(&mut self, topic: &[u8]) {
        let Some(path) = &self.options.observe else { return };
        let Some(device) = topic.strip_suffix(b"up/register") else { return };
        self.observes += 1;
        let payload = format!(
            "{{\"reqID\":{},\"msgType\":\"observe\",\"data\":{{\"path\":\"{path}\"}}}}",
            self.observes
        );
        wire::publish_out(&mut self.out, &[device, b"dn"], payload.as_bytes());
    }

    fn flush(&mut self) -> Outcome<()> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return self.reconnect(),
            }
        }
        Ok(())
    }

    fn reconnect(&mut self) -> Outcome<()> {
        if !self.options.keep {
            return Err(Problem::new("the broker closed the connection"));
        }
        // Half of a packet, and acknowledgements of what the broker will send again.
        self.filled = 0;
        self.out.clear();
        self.stream = loop {
            match subscribe(self.options, Awaited::Connack) {
                Ok(stream) => break stream,
                Err(_) => thread::sleep(RECONNECT),
            }
        };
        self.poller.add(&self.stream, SOCKET)?;
        self.reconnects += 1;
        Ok(())
    }

    fn orders(&mut self) -> Outcome<Stdin> {
        let mut bytes = [0; 4096];
        match io::stdin().lock().read(&mut bytes) {
            Ok(0) => return Ok(Stdin::Ended),
            Ok(count) => self.orders.extend_from_slice(bytes.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Stdin::Open),
            Err(error) => return Err(error.into()),
        }
        while let Some(end) = self.orders.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.orders.drain(..=end).collect();
            self.order(String::from_utf8_lossy(&line).trim())?;
        }
        Ok(Stdin::Open)
    }

    fn order(&mut self, order: &str) -> Outcome<()> {
        let words: Vec<_> = order.split_whitespace().collect();
        match words[..] {
            ["look"] => {}
            ["time"] => self.tally.on_the_way.clear(),
            ["command", devices, rate] => {
                let number = |text: &str| text.parse().context(|| format!("order `{order}`"));
                let plan = Plan { devices: number(devices)?, rate: number(rate)? };
                self.commander.follow(plan, &mut self.out);
            }
            ["halt"] => self.commander.halt(),
            ["stall"] if !self.stalled => {
                self.poller.remove(&self.stream)?;
                self.stalled = true;
            }
            ["resume"] if self.stalled => {
                self.poller.add(&self.stream, SOCKET)?;
                self.stalled = false;
            }
            _ => return Err(Problem::new(format!("unknown order `{order}`"))),
        }
        let look = Look {
            counts: self.tally.counts,
            order: self.tally.order,
            on_the_way: self.tally.on_the_way.spans(),
            commanded: self.commander.done(),
            reconnects: self.reconnects,
        };
        println!("{}", serde_json::to_string(&look)?);
        Ok(())
    }
}

/// What is waited for before the subscriber goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The broker took the connection; of a session that it kept, messages may come at once.
    Connack,
    /// The subscription is in place.
    Suback,
}

/// Connects and subscribes.
fn subscribe(options: &Options, awaited: Awaited) -> Outcome<TcpStream> {
    let broker: SocketAddr = options.broker;
    let mut stream = TcpStream::connect(broker).context(|| format!("broker {broker}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let session = if options.keep { Session::Kept } else { Session::Clean };
    let mut out = Vec::new();
    wire::connect(&mut out, &options.client, session);
    let filters = [
        (options.filter.clone(), options.qos),
        // Where mosquitto says how much it has dropped; other brokers have nothing there.
        ("$SYS/broker/publish/messages/dropped".to_owned(), 0),
    ];
    wire::subscribe(&mut out, &filters);
    stream.write_all(&out)?;
    // Byte by byte, so that what comes behind stays in the socket.
    let mut bytes = Vec::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).context(|| format!("broker {broker}"))?;
        bytes.push(byte[0]);
        match wire::frame(&bytes) {
            Frame::Whole(Packet::Connack(0), _) if awaited == Awaited::Connack => break,
            Frame::Whole(Packet::Suback, _) => break,
            Frame::Whole(Packet::Connack(0) | Packet::Other, _) => bytes.clear(),
            Frame::Whole(Packet::Connack(code), _) => {
                return Err(Problem::new(format!("the broker refuses with code {code}")));
            }
            Frame::Whole(Packet::Publish { .. }, _) => {
                return Err(Problem::new("the broker kept a session of an earlier run"));
            }
            Frame::Partial => {}
            Frame::Malformed => return Err(Problem::new("the broker sends no MQTT")),
        }
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}
