//! The processes of one scenario, and the windows in which they are measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::affinity::{Place, Placement};
use crate::agent::{self, Agent, Look};
use crate::gateway::{self, Gateway};
use crate::leshan::Leshan;
use crate::mosquitto::{self, Mosquitto};
use crate::peer::Peer;
use crate::problem::{Context, Outcome, Problem};
use crate::proc;
use crate::report::{Losses, Row, micros_each};
use crate::server::Server;
use crate::sim::{self, Sim};

/// How long a count may stand still before what is missing is taken for lost.
const STILL: Duration = Duration::from_secs(2);

/// How often the subscriber is asked while something is waited for. Rarely enough to cost nothing.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// How long the server is left alone to see what it uses when idle.
const IDLE: Duration = Duration::from_millis(500);

/// What all scenarios share.
pub(crate) struct Bench {
    pub(crate) placement: Placement,
    /// The binaries: this one's directory.
    pub(crate) programs: PathBuf,
    /// Settings and logs of the processes.
    pub(crate) work: PathBuf,
    /// Whether Leshan is measured, too.
    pub(crate) leshan: bool,
    /// Another server that is measured, too.
    pub(crate) peer: Option<Peer>,
}

/// Which broker a scenario wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokerKind {
    Embedded,
    Mosquitto,
}

impl BrokerKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Mosquitto => "mosquitto",
        }
    }
}

/// Which server a scenario wants.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Gateway,
    Leshan,
    Peer(Peer),
}

/// What a scenario wants of its processes.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// For file names.
    pub(crate) name: String,
    pub(crate) target: Target,
    pub(crate) broker: BrokerKind,
    pub(crate) shards: usize,
    pub(crate) qos: u8,
    /// The path that the subscriber observes of every device.
    pub(crate) observe: Option<&'static str>,
    /// Further settings of the gateway.
    pub(crate) more: String,
}

impl Setup {
    pub(crate) fn new(name: &str, broker: BrokerKind) -> Self {
        Self {
            name: name.to_owned(),
            target: Target::Gateway,
            broker,
            shards: 1,
            qos: 0,
            observe: None,
            more: String::new(),
        }
    }

    pub(crate) fn observing(self) -> Self {
        Self { observe: Some("/3303/0/5700"), ..self }
    }
}

/// The running processes.
pub(crate) struct Rig<'a> {
    bench: &'a Bench,
    setup: Setup,
    directory: PathBuf,
    pub(crate) agent: Agent,
    pub(crate) server: Server,
    broker: Option<Mosquitto>,
    sim: Option<Sim>,
    /// CPU time that the idle server uses in a second.
    idle: f64,
    /// Resident bytes of the server before there were devices.
    resident_empty: u64,
    kernel_drops_before: u64,
}

/// The state at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    at: Instant,
    server: Duration,
    others: Duration,
    pub(crate) look: Look,
}

impl<'a> Rig<'a> {
    /// Starts broker, server and subscriber, and looks at the idle server for a moment.
    pub(crate) fn start(bench: &'a Bench, setup: Setup) -> Outcome<Self> {
        let directory = bench.work.join(&setup.name);
        std::fs::create_dir_all(&directory).context(|| directory.display().to_string())?;
        let broker = match (&setup.target, setup.broker) {
            (Target::Peer(_), _) | (Target::Gateway, BrokerKind::Embedded) => None,
            _ => Some(Mosquitto::start(&bench.placement, &directory, None)?),
        };
        let server = bench.server(&setup, broker.as_ref(), &directory)?;
        let options = bench.subscriber(&setup, &server, broker.as_ref());
        let agent = Agent::start(&bench.placement, &directory.join("agent.log"), &options)?;
        let mut rig = Self {
            bench,
            setup,
            directory,
            agent,
            server,
            broker,
            sim: None,
            idle: 0.0,
            resident_empty: 0,
            kernel_drops_before: 0,
        };
        rig.look_at_idle_server()?;
        Ok(rig)
    }

    fn look_at_idle_server(&mut self) -> Outcome<()> {
        let before = self.server_cpu()?;
        thread::sleep(IDLE);
        let used = self.server_cpu()?.saturating_sub(before);
        self.idle = used.as_secs_f64() / IDLE.as_secs_f64();
        self.resident_empty = self.resident()?;
        self.kernel_drops_before = self.kernel_drops()?;
        Ok(())
    }

    /// CPU time of the server; nothing when its process is not known.
    fn server_cpu(&self) -> Outcome<Duration> {
        self.server.pid().map_or(Ok(Duration::ZERO), proc::cpu_time)
    }

    /// Leaves the server one processor, where it had both to warm up.
    pub(crate) fn pin_server(&self) -> Outcome<()> {
        let pid = self.server.pid().ok_or_else(|| Problem::new("whose process?"))?;
        self.bench.placement.pin(pid, Place::Server)
    }

    /// Starts a fleet.
    pub(crate) fn fleet(&mut self, plan: &sim::Plan) -> Outcome<()> {
        let program = self.bench.programs.join("lwm2m-sim");
        let log = self.directory.join(format!("{}sim.log", plan.prefix));
        let sim = Sim::start(&self.bench.placement, &program, &log, self.server.coap(), plan)?;
        self.sim = Some(sim);
        Ok(())
    }

    /// Waits until the subscriber has seen enough; an error when nothing moves any more before.
    pub(crate) fn wait_until(&mut self, enough: impl Fn(&Look) -> bool) -> Outcome<Look> {
        /// Java may collect garbage, a million devices may be set up: this is no measured time.
        const PATIENCE: Duration = Duration::from_secs(30);
        let mut last = self.agent.look()?;
        let mut moved = Instant::now();
        while !enough(&last) {
            thread::sleep(ASK_EVERY);
            let look = self.agent.look()?;
            if look != last {
                moved = Instant::now();
            }
            last = look;
            if moved.elapsed() > PATIENCE {
                return Err(Problem::new(format!("nothing moves any more: {:?}", last.counts)));
            }
        }
        Ok(last)
    }

    /// Waits until nothing arrives any more.
    pub(crate) fn settle(&mut self) -> Outcome<Look> {
        let mut last = self.agent.look()?;
        let mut moved = Instant::now();
        while moved.elapsed() < STILL {
            thread::sleep(ASK_EVERY);
            let look = self.agent.look()?;
            if look.counts.bytes != last.counts.bytes {
                moved = Instant::now();
            }
            last = look;
        }
        Ok(last)
    }

    /// Now. The subscriber first: its answer takes longest.
    pub(crate) fn moment(&mut self) -> Outcome<Moment> {
        let look = self.agent.look()?;
        let server = self.server_cpu()?;
        let mut others = proc::cpu_time(self.agent.pid())?;
        for pid in [self.sim.as_ref().map(Sim::pid), self.broker.as_ref().map(Mosquitto::pid)] {
            others += pid.map_or(Ok(Duration::ZERO), proc::cpu_time)?;
        }
        Ok(Moment { at: Instant::now(), server, others, look })
    }

    /// A row of what happened between two moments; `operations` counts them.
    pub(crate) fn row(
        &self,
        scenario: &str,
        (from, to): (&Moment, &Moment),
        operations: impl Fn(&Look) -> u64,
    ) -> Row {
        let seconds = (to.at - from.at).as_secs_f64();
        let operations = operations(&to.look).saturating_sub(operations(&from.look));
        let server = to.server.saturating_sub(from.server);
        let idle = Duration::from_secs_f64(self.idle * seconds);
        let others = to.others.saturating_sub(from.others);
        let known = self.server.pid();
        Row {
            scenario: scenario.to_owned(),
            server: self.server.name(),
            broker: self.broker_name().to_owned(),
            operations,
            seconds,
            cpu_us: known.and_then(|_| micros_each(server.saturating_sub(idle), operations)),
            server_load: known.map(|_| server.as_secs_f64() / seconds),
            others_load: others.as_secs_f64() / seconds,
            ..Row::default()
        }
    }

    /// Resident bytes of the server.
    pub(crate) fn resident(&self) -> Outcome<u64> {
        let memory = self.server.pid().map_or(Ok(proc::Memory::default()), proc::memory)?;
        Ok(memory.resident)
    }

    fn broker_name(&self) -> &'static str {
        match self.setup.target {
            Target::Peer(_) => "its own",
            Target::Gateway | Target::Leshan => self.setup.broker.name(),
        }
    }

    /// Growth of the server's resident memory for each of so many devices.
    pub(crate) fn bytes_per_device(&self, devices: u64) -> Outcome<f64> {
        let grown = self.resident()?.saturating_sub(self.resident_empty);
        Ok(grown as f64 / devices.max(1) as f64)
    }

    /// Ends the fleet and waits until nothing comes any more.
    pub(crate) fn end_fleet(&mut self) -> Outcome<sim::Summary> {
        let sim = self.sim.take().ok_or_else(|| Problem::new("there is no fleet"))?;
        let summary = sim.end()?;
        self.settle()?;
        Ok(summary)
    }

    /// Silences the fleet, waits until everything has arrived, and says what has not: `sent` and
    /// `arrived` count the same things at both ends.
    pub(crate) fn losses(
        &mut self,
        sent: impl Fn(&sim::Summary) -> u64,
        arrived: impl Fn(&Look) -> u64,
    ) -> Outcome<Losses> {
        let summary = self.end_fleet()?;
        let look = self.agent.look()?;
        let metrics = self.server.metrics()?;
        let dropped = |reason: &str| metrics.count("datagrams_dropped", reason);
        let mut losses = Losses {
            sent: Some(sent(&summary)),
            simulator: summary.datagrams_dropped,
            kernel: self.kernel_drops()?.saturating_sub(self.kernel_drops_before),
            gateway: metrics.count("notifications_full", "{outcome=\"dropped\"}")
                + metrics.count("events_dropped", "")
                + dropped("{reason=\"forward_full\"}"),
            broker: metrics.count("mqtt", "{what=\"subscriber_drops\"}")
                + look.counts.broker_dropped,
            unknown: 0,
        };
        let known = losses.simulator + losses.kernel + losses.gateway + losses.broker;
        let missing = sent(&summary).saturating_sub(arrived(&look));
        losses.unknown = missing.saturating_sub(known);
        Ok(losses)
    }

    fn kernel_drops(&self) -> Outcome<u64> {
        proc::udp_drops(self.server.coap().port())
    }
}

impl Bench {
    /// Those that can be measured here: without mosquitto the embedded one alone.
    pub(crate) fn brokers(&self) -> impl Iterator<Item = BrokerKind> + use<> {
        let external = mosquitto::program().map(|_| BrokerKind::Mosquitto);
        external.into_iter().chain([BrokerKind::Embedded])
    }

    fn server(
        &self,
        setup: &Setup,
        broker: Option<&Mosquitto>,
        directory: &Path,
    ) -> Outcome<Server> {
        match (&setup.target, broker) {
            (Target::Gateway, broker) => Ok(Server::Gateway(self.gateway(
                setup,
                broker.map(|broker| broker.address),
                directory,
            )?)),
            (Target::Leshan, Some(broker)) => {
                let port = broker.address.port();
                Ok(Server::Leshan(Leshan::start(&self.placement, directory, port)?))
            }
            (Target::Leshan, None) => Err(Problem::new("Leshan needs an external broker")),
            (Target::Peer(peer), _) => Ok(Server::Peer(peer.clone())),
        }
    }

    fn gateway(
        &self,
        setup: &Setup,
        external: Option<SocketAddr>,
        directory: &Path,
    ) -> Outcome<Gateway> {
        let settings = gateway::Settings {
            external,
            shards: setup.shards,
            qos: setup.qos,
            more: setup.more.clone(),
        };
        let program = self.programs.join("lwm2m-gateway");
        Gateway::start(&self.placement, &program, directory, &settings)
    }

    /// What the subscriber is told: where the events come out, and what it shall observe.
    fn subscriber(
        &self,
        setup: &Setup,
        server: &Server,
        broker: Option<&Mosquitto>,
    ) -> agent::Options {
        let options = match (server, broker) {
            (Server::Peer(peer), _) => {
                agent::Options { filter: peer.topics.clone(), ..agent::Options::new(peer.broker) }
            }
            (Server::Gateway(gateway), _) => agent::Options::new(gateway.broker),
            (Server::Leshan(leshan), broker) => {
                agent::Options::new(broker.map_or(leshan.coap, |broker| broker.address))
            }
        };
        agent::Options {
            // The other servers observe by themselves.
            observe: setup
                .observe
                .filter(|_| matches!(server, Server::Gateway(_)))
                .map(str::to_owned),
            qos: setup.qos,
            ..options
        }
    }
}
