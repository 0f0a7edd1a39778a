//! A server that answers at once and the network, on the virtual clock of a fleet.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use coap::{Code, Duration, Instant, Message, MessageId, OptionList, Token, Type};
use lwm2m::Models;

use super::super::*;
use crate::config::{Group, Notify, Sources};

/// A datagram of a device, when and from where it left.
pub(super) type Sent = (Instant, Place, Vec<u8>);

/// A server and the network, on the same clock as the fleet.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) lines: u8,
    pub(super) wall: i64,
    pub(super) manner: Manner,
    /// Whether what devices send is kept.
    pub(super) logs: bool,
    pub(super) log: Vec<Sent>,
    /// What the server sends, in order.
    pub(super) answers: VecDeque<(Place, Vec<u8>)>,
    pub(super) reopened: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Takes every registration and observes the temperature.
    Observes,
    /// The same, and acknowledges nothing that is a notification.
    IgnoresNotifications,
    /// Says nothing.
    Silent,
}

impl World {
    pub(super) fn new(manner: Manner) -> Self {
        let (log, answers) = (Vec::new(), VecDeque::new());
        let now = Instant::ZERO;
        Self { now, lines: 4, wall: WALL, manner, logs: true, log, answers, reopened: 0 }
    }

    pub(super) fn serve(&mut self, from: Place, datagram: &[u8]) {
        let message = Message::parse(datagram).unwrap();
        let is_notification = message.options.observe().is_some();
        if self.manner == Manner::Silent
            || is_notification && self.manner == Manner::IgnoresNotifications
            || message.kind != Type::Confirmable
        {
            return;
        }
        let path = message.options.uri_path().count();
        let mut options = OptionList::new();
        let code = match (message.code, path) {
            (Code::POST, 1) => {
                options.location_path("rd");
                options.location_path(&from.device.to_string());
                Code::CREATED
            }
            (Code::POST, _) => Code::CHANGED,
            (Code::DELETE, _) => Code::DELETED,
            _ => Code::EMPTY,
        };
        let token = if code == Code::EMPTY { Token::EMPTY } else { message.token };
        self.answers
            .push_back((from, encode(Type::Acknowledgement, code, message.id, token, &options)));
        if code == Code::CREATED {
            self.answers.push_back((from, observe(from.device)));
        }
    }
}

/// 2023-11-14 in microseconds since 1970.
pub(super) const WALL: i64 = 1_700_000_000_000_000;

pub(super) fn observe(device: usize) -> Vec<u8> {
    let mut options = OptionList::new();
    options.observe(0);
    for segment in ["3303", "0", "5700"] {
        options.uri_path(segment);
    }
    let token = Token::new(&(device as u32).to_be_bytes()).unwrap();
    encode(Type::NonConfirmable, Code::GET, MessageId::new(7), token, &options)
}

pub(super) fn encode(
    kind: Type,
    code: Code,
    id: MessageId,
    token: Token,
    options: &OptionList,
) -> Vec<u8> {
    let mut datagram = Vec::new();
    Message { kind, code, id, token, options: options.options(), payload: &[] }
        .encode(&mut datagram);
    datagram
}

impl Wire for World {
    type Error = Infallible;

    fn lines(&self) -> u8 {
        self.lines
    }

    fn open(&mut self, _device: usize) -> Result<(), Infallible> {
        Ok(())
    }

    fn reopen(&mut self, _device: usize) {
        self.reopened += 1;
    }

    fn send(&mut self, from: Place, fill: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let mut datagram = Vec::new();
        let filled = fill(&mut datagram);
        if filled {
            self.serve(from, &datagram);
            if self.logs {
                self.log.push((self.now, from, datagram));
            }
        }
        filled
    }

    fn wall_micros(&self) -> i64 {
        self.wall + self.now.as_micros() as i64
    }
}

pub(super) fn config(groups: Vec<Group>) -> FleetConfig {
    FleetConfig {
        server: "127.0.0.1:5683".parse().unwrap(),
        groups,
        ramp: Ramp::Constant { rate: 1000 },
        seed: 11,
        duration: None,
        leave: Leave::Deregister,
        sources: Sources::Auto,
        models: Arc::new(Models::builtin()),
    }
}

pub(super) fn group(count: usize) -> Group {
    let notify = Notify { every: Some(seconds(10).into()), ..Notify::default() };
    Group { notify, ..Group::new(count) }
}

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A fleet and its world.
pub(super) struct Play {
    pub(super) fleet: Fleet,
    pub(super) world: World,
}

impl Play {
    pub(super) fn of(config: &FleetConfig, manner: Manner) -> Self {
        let world = World::new(manner);
        Self { fleet: Fleet::new(config, Some(WALL / 1000), world.lines), world }
    }

    /// Lets time pass; answers arrive at once.
    pub(super) fn pass(&mut self, span: Duration) {
        let until = self.world.now + span;
        loop {
            self.exchange();
            let next = self.fleet.next_deadline().filter(|at| *at <= until);
            let Some(next) = next else { break };
            self.world.now = self.world.now.max(next);
        }
        self.world.now = until;
    }

    /// Everything that happens at this moment.
    pub(super) fn exchange(&mut self) {
        let Self { fleet, world } = self;
        let now = world.now;
        loop {
            while let Some((to, datagram)) = world.answers.pop_front() {
                fleet.handle_datagram(now, to, &datagram, world);
            }
            fleet.handle_timeouts(now, world);
            let Ok(()) = fleet.begin_some(now, world);
            if world.answers.is_empty() && fleet.next_deadline().is_none_or(|at| at > now) {
                return;
            }
        }
    }

    pub(super) fn totals(&self) -> Snapshot {
        self.fleet.totals(self.world.now)
    }

    /// The notifications that left, as messages.
    pub(super) fn notifications(&self) -> Vec<(Instant, usize, Message<'_>)> {
        let messages = self
            .world
            .log
            .iter()
            .map(|(at, from, datagram)| (*at, from.device, Message::parse(datagram).unwrap()));
        messages
            .filter(|(_, _, message)| message.code.is_response())
            .filter(|(_, _, message)| message.options.observe().is_some_and(|number| number > 0))
            .collect()
    }
}
