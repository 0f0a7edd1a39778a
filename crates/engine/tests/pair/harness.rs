//! A server and a device on one virtual clock, with a link between them.

use std::sync::Arc;

use device::{Device, Profile};
use engine::{
    ClaimAnswer, Command, CommandError, CommandFinished, CommandId, Completion, Config, Datagram,
    Event, Identity, Instant, Origin, Peer, Routed, Server, Settings,
};
use lwm2m::model::Models;
use lwm2m::{EndpointName, Operation, Path};
use netsim::{Conditions, Direction, Link};

/// 2026-01-01.
const WALL: i64 = 1_767_225_600_000;

/// The two ends, what is between them and what has happened.
pub(crate) struct Pair {
    pub(crate) server: Server,
    pub(crate) device: Device,
    /// Datagrams travel with the port of the device's end.
    pub(crate) link: Link<u16>,
    pub(crate) now: Instant,
    pub(crate) port: u16,
    pub(crate) events: Vec<Event>,
}

impl Pair {
    pub(crate) fn new(profile: Profile, conditions: Conditions, seed: u64) -> Self {
        let models = Arc::new(Models::builtin());
        let settings = Arc::new(Settings::default());
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_be_bytes());
        let now = Instant::from_micros(1_000_000);
        let mut pair = Self {
            server: Server::new(Config::default(), settings, models, 0, key),
            device: Device::new("dev", profile.into_shared(), seed, now),
            link: Link::with_conditions(conditions, seed),
            now,
            port: 5683,
            events: Vec::new(),
        };
        pair.settle();
        pair
    }

    /// A device of these ways, registered over a perfect link.
    pub(crate) fn registered(profile: Profile) -> Self {
        let mut pair = Self::new(profile, Conditions::PERFECT, 1);
        pair.run_secs(1);
        assert!(pair.device.is_registered());
        pair.events.clear();
        pair
    }

    fn peer(&self, port: u16) -> Peer {
        Peer::new(0, [127, 0, 0, 1].into(), ([192, 0, 2, 1], port).into())
    }

    fn micros(&self) -> u64 {
        self.now.as_micros()
    }

    /// Lets both ends do what they can do now.
    fn settle(&mut self) {
        loop {
            let mut out = Vec::new();
            while self.device.poll_transmit(&mut out).is_some() {
                let (now, bytes) = (self.micros(), core::mem::take(&mut out));
                self.link.send_as(now, Direction::ToServer, self.port, bytes);
            }
            self.drain_server();
            let Some(parcel) = self.link.poll_parcel(self.micros()) else { return };
            match parcel.direction {
                Direction::ToServer => self.arrive(parcel.address, &parcel.bytes),
                Direction::ToDevice if parcel.address == self.port => {
                    self.device.handle_datagram(self.now, &parcel.bytes);
                }
                Direction::ToDevice => {} // The mapping is gone.
            }
        }
    }

    fn arrive(&mut self, port: u16, bytes: &[u8]) {
        let datagram = Datagram { peer: self.peer(port), identity: &Identity::None, bytes };
        let wall = WALL + (self.micros() / 1000) as i64;
        if self.server.handle_datagram(self.now, wall, datagram) != Routed::Handled {
            self.server.handle_forwarded(self.now, wall, datagram);
        }
    }

    fn drain_server(&mut self) {
        while let Some(claim) = self.server.poll_claim() {
            let granted = ClaimAnswer::Granted { evict: false };
            self.server.handle_claim(self.now, claim.id, granted);
        }
        while let Some(event) = self.server.poll_event() {
            if let Some(reply_to) = event.reply_to() {
                self.server.complete(self.now, reply_to, Completion::Accept);
            }
            self.events.push(event);
        }
        let mut out = Vec::new();
        while let Some(peer) = self.server.poll_transmit(&mut out) {
            let (now, bytes) = (self.micros(), core::mem::take(&mut out));
            self.link.send_as(now, Direction::ToDevice, peer.remote().port(), bytes);
        }
    }

    /// Lets time pass until `end`.
    pub(crate) fn run_until(&mut self, end: Instant) {
        self.settle();
        loop {
            let arrival = self.link.next_at().map(Instant::from_micros);
            let due = [arrival, self.server.poll_timeout(), self.device.poll_timeout()];
            let Some(next) = due.into_iter().flatten().min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next) + engine::Duration::from_micros(1);
            self.server.handle_timeout(self.now);
            self.device.handle_timeout(self.now);
            self.settle();
        }
        self.now = self.now.max(end);
    }

    pub(crate) fn run_secs(&mut self, seconds: u64) {
        self.run_until(self.now + engine::Duration::from_secs(seconds));
    }

    pub(crate) fn submit(&mut self, operation: Operation) -> CommandId {
        let endpoint = EndpointName::parse("dev").unwrap();
        let command = Command::new(endpoint, operation, Origin::new(b"origin"));
        let id = self.server.submit(self.now, command).expect("the command is accepted");
        self.settle();
        id
    }

    /// Submits an operation and waits for its one end.
    pub(crate) fn ask(&mut self, operation: Operation) -> Result<engine::Answer, CommandError> {
        let id = self.submit(operation);
        self.run_secs(130);
        self.outcome(id)
    }

    pub(crate) fn finished(&self) -> Vec<&CommandFinished> {
        fn finished(event: &Event) -> Option<&CommandFinished> {
            match event {
                Event::CommandFinished(finished) => Some(finished),
                _ => None,
            }
        }
        self.events.iter().filter_map(finished).collect()
    }

    pub(crate) fn outcome(&self, id: CommandId) -> Result<engine::Answer, CommandError> {
        let all = self.finished();
        let ends: Vec<_> = all.into_iter().filter(|end| end.command == id).collect();
        assert_eq!(ends.len(), 1, "a command ends exactly once");
        ends[0].result.clone()
    }

    /// The sequence numbers and bodies of the notifications.
    pub(crate) fn notified(&self) -> Vec<(u32, Vec<u8>)> {
        let notified = |event: &Event| match event {
            Event::Notified(n) => Some((n.sequence, n.body.clone())),
            _ => None,
        };
        self.events.iter().filter_map(notified).collect()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.events.iter().filter(|event| event.name() == name).count()
    }
}

pub(crate) fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

pub(crate) fn read(text: &str) -> Operation {
    Operation::Read { path: path(text), accept: None }
}

pub(crate) fn execute(text: &str) -> Operation {
    Operation::Execute { path: path(text), arguments: String::new() }
}

pub(crate) fn observe(text: &str) -> Operation {
    Operation::Observe { path: path(text), accept: None }
}
