//! A thousand devices in queue mode over links that lose every tenth datagram: none of them is sent
//! anything while it sleeps, and every command ends exactly once (OMA Transport 6.5, facts 20 to
//! 22, 25).

use std::collections::HashMap;
use std::sync::Arc;

use device::{Device, Profile, QueueMode};
use engine::{
    ClaimAnswer, Command, CommandId, Completion, Config, Datagram, Duration, Event, Identity,
    Instant, Origin, Peer, Server, Settings,
};
use lwm2m::model::Models;
use lwm2m::{EndpointName, Operation, Path, Reading, Value, Version, WriteMode};
use rand_chacha::ChaCha12Rng;
use rand_core::{RngCore, SeedableRng};

const DEVICES: u16 = 1000;
const COMMANDS: usize = 3000;
const SEED: u64 = 0x51ee_9e25;

/// What the server takes a device to listen for.
const WINDOW: Duration = Duration::from_secs(22);

/// Time passes in steps of this; nothing here depends on less.
const STEP: Duration = Duration::from_millis(100);

struct Sleeper {
    device: Device,
    /// When it said something last, whether or not that arrived.
    spoke: Instant,
}

struct World {
    server: Server,
    sleepers: Vec<Sleeper>,
    now: Instant,
    random: ChaCha12Rng,
    /// Datagrams that were sent to a device while it slept.
    disturbed: usize,
    delivered: usize,
    ends: HashMap<CommandId, usize>,
}

impl World {
    fn new() -> Self {
        let models = Arc::new(Models::builtin());
        let settings = Arc::new(Settings::default());
        let now = Instant::from_micros(1_000_000);
        let profile = Profile {
            queue_mode: QueueMode::On,
            lifetime: Some(86_400),
            update_every: Some(Duration::from_secs(100)),
            ..Profile::new(Version::V1_1, Arc::clone(&models))
        };
        let profile = profile.into_shared();
        let sleepers = (0..DEVICES).map(|number| Sleeper {
            device: Device::new(&name(number), Arc::clone(&profile), number.into(), now),
            spoke: now,
        });
        Self {
            server: Server::new(Config::default(), settings, models, 0, [9; 32]),
            sleepers: sleepers.collect(),
            now,
            random: ChaCha12Rng::seed_from_u64(SEED),
            disturbed: 0,
            delivered: 0,
            ends: HashMap::new(),
        }
    }

    fn is_lost(&mut self) -> bool {
        self.random.next_u32().is_multiple_of(10)
    }

    fn step(&mut self) {
        self.now += STEP;
        self.server.handle_timeout(self.now);
        self.drain_server();
        for number in 0..DEVICES {
            let sleeper = &mut self.sleepers[usize::from(number)];
            if sleeper.device.poll_timeout().is_some_and(|at| at <= self.now) {
                sleeper.device.handle_timeout(self.now);
            }
            self.drain_device(number);
        }
        self.drain_server();
    }

    fn drain_device(&mut self, number: u16) {
        let mut bytes = Vec::new();
        loop {
            let sleeper = &mut self.sleepers[usize::from(number)];
            if sleeper.device.poll_transmit(&mut bytes).is_none() {
                return;
            }
            sleeper.spoke = self.now;
            if !self.is_lost() {
                let peer = peer(number);
                let datagram = Datagram { peer, identity: &Identity::None, bytes: &bytes };
                let _ = self.server.handle_datagram(self.now, 1_767_225_600_000, datagram);
            }
            bytes.clear();
        }
    }

    fn drain_server(&mut self) {
        let granted = ClaimAnswer::Granted { evict: false };
        while let Some(claim) = self.server.poll_claim() {
            self.server.handle_claim(self.now, claim.id, granted);
        }
        while let Some(event) = self.server.poll_event() {
            if let Some(reply_to) = event.reply_to() {
                self.server.complete(self.now, reply_to, Completion::Accept);
            }
            if let Event::CommandFinished(finished) = &event {
                *self.ends.entry(finished.command).or_default() += 1;
            }
        }
        let mut bytes = Vec::new();
        while let Some(peer) = self.server.poll_transmit(&mut bytes) {
            let number = peer.remote().port() - 1000;
            let sleeper = &mut self.sleepers[usize::from(number)];
            self.delivered += 1;
            if self.now >= sleeper.spoke + WINDOW {
                self.disturbed += 1;
            } else if !self.is_lost() {
                let sleeper = &mut self.sleepers[usize::from(number)];
                sleeper.device.handle_datagram(self.now, &bytes);
                self.drain_device(number);
            }
            bytes.clear();
        }
    }

    fn submit(&mut self) -> CommandId {
        let number = (self.random.next_u32() % u32::from(DEVICES)) as u16;
        let endpoint = EndpointName::parse(&name(number)).unwrap();
        let command = Command::new(endpoint, self.operation(), Origin::default());
        self.server.submit(self.now, command).expect("there is room")
    }

    fn operation(&mut self) -> Operation {
        let path = |text| Path::parse(text).unwrap();
        match self.random.next_u32() % 4 {
            0 => Operation::Observe { path: path("/3303/0/5700"), accept: None },
            1 => {
                let at = path("/3/0/15");
                let content = vec![Reading::new(at, Value::String("z".repeat(3000)))];
                let mode = WriteMode::Replace;
                Operation::Write { path: at, mode, format: None, content }
            }
            _ => Operation::Read { path: path("/3/0"), accept: None },
        }
    }
}

fn name(number: u16) -> String {
    format!("sleeper-{number}")
}

fn peer(number: u16) -> Peer {
    Peer::new(0, [127, 0, 0, 1].into(), ([192, 0, 2, 1], 1000 + number).into())
}

#[test]
fn no_datagram_reaches_a_sleeping_device() {
    let mut world = World::new();
    let mut commands = Vec::new();
    for step in 0..12_000 {
        world.step();
        if step > 300 && step % 3 == 0 && commands.len() < COMMANDS {
            commands.push(world.submit());
            world.drain_server();
        }
    }
    assert_eq!(world.server.registrations(), usize::from(DEVICES), "seed {SEED:#x}");
    assert_eq!(world.disturbed, 0, "of {} datagrams, seed {SEED:#x}", world.delivered);
    let ended = commands.iter().filter(|id| world.ends.get(id) == Some(&1)).count();
    assert_eq!(ended, COMMANDS, "each ends exactly once, seed {SEED:#x}");
    assert!(world.server.stats().commands_answered > 2500, "{:?}", world.server.stats());
}
