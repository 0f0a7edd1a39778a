//! The processes of one scenario, and the windows in which they are measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::affinity::{Place, Placement};
use crate::agent::{self, Agent, Look};
use crate::gateway::{self, Gateway};
use crate::leshan::Leshan;
use crate::measure::{Moment, Processes};
use crate::mosquitto::{self, Mosquitto, Storage};
use crate::peer::Peer;
use crate::problem::{Context, Outcome, Problem};
use crate::proc;
use crate::report::{Losses, Row};
use crate::scenario::Scale;
use crate::server::Server;
use crate::sim::{self, Sim};

/// How often the subscriber is asked while something is waited for. Rarely enough to cost nothing.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The load of either processor up to which times on the way are reported: above it they are those
/// of queues that would not be there if the processes had processors of their own.
const CALM: f64 = 0.3;

/// What all scenarios share.
pub(crate) struct Bench {
    pub(crate) placement: Placement,
    pub(crate) scale: Scale,
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
    /// Whether the server may use both processors.
    pub(crate) both: bool,
    /// Whether subscriber and broker keep what they have when the other is away, and the order of
    /// notifications is watched.
    pub(crate) keep: bool,
    /// The path that the subscriber observes of every device.
    pub(crate) observe: Option<&'static str>,
}

impl Setup {
    pub(crate) fn new(name: &str, broker: BrokerKind) -> Self {
        Self {
            name: name.to_owned(),
            target: Target::Gateway,
            broker,
            shards: 1,
            qos: 0,
            both: false,
            keep: false,
            observe: None,
        }
    }

    fn storage(&self) -> Storage {
        if self.keep { Storage::Disk } else { Storage::Memory }
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
    idle: Duration,
    /// Resident bytes of the server before there were devices.
    resident_empty: u64,
    kernel_drops_before: u64,
}

/// The state at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    moment: Moment,
    pub(crate) look: Look,
}

impl<'a> Rig<'a> {
    /// Starts broker, server and subscriber, and looks at the idle server for a moment.
    pub(crate) fn start(bench: &'a Bench, setup: Setup) -> Outcome<Self> {
        let directory = bench.work.join(&setup.name);
        std::fs::create_dir_all(&directory).context(|| directory.display().to_string())?;
        let broker = match (&setup.target, setup.broker) {
            (Target::Peer(_), _) | (Target::Gateway, BrokerKind::Embedded) => None,
            _ => Some(Mosquitto::start(&bench.placement, &directory, setup.storage(), None)?),
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
            idle: Duration::ZERO,
            resident_empty: 0,
            kernel_drops_before: 0,
        };
        rig.look_at_idle_server()?;
        Ok(rig)
    }

    fn look_at_idle_server(&mut self) -> Outcome<()> {
        let before = self.server_cpu()?;
        let alone = self.bench.scale.idle();
        thread::sleep(alone);
        let used = self.server_cpu()?.saturating_sub(before);
        self.idle = used.div_f64(alone.as_secs_f64());
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
        let placement = &self.bench.placement;
        let server = self.server.coap();
        self.sim = Some(Sim::start(placement, &program, &self.directory, server, plan)?);
        Ok(())
    }

    /// Waits until the subscriber has seen enough; an error when nothing moves any more before.
    pub(crate) fn wait_until(&mut self, enough: impl Fn(&Look) -> bool) -> Outcome<Look> {
        /// Java may collect garbage, a million devices may be set up: this is no measured time.
        const PATIENCE: Duration = Duration::from_secs(60);
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
        while moved.elapsed() < self.bench.scale.still() {
            thread::sleep(ASK_EVERY);
            let look = self.agent.look()?;
            if look.counts.bytes != last.counts.bytes {
                moved = Instant::now();
            }
            last = look;
        }
        Ok(last)
    }

    /// Lets things run for a while, then measures a window of them.
    pub(crate) fn steady(
        &mut self,
        scenario: &str,
        operations: impl Fn(&Look) -> u64,
    ) -> Outcome<Row> {
        thread::sleep(self.bench.scale.warm_up());
        self.agent.begin_timing()?;
        let from = self.moment()?;
        thread::sleep(self.bench.scale.window());
        let to = self.moment()?;
        let mut row = self.row(scenario, (&from, &to), operations);
        let calm = row.server_load.is_none_or(|load| load <= CALM) && row.others_load <= CALM;
        row.latency = Some(to.look.on_the_way).filter(|_| calm);
        Ok(row)
    }

    /// Now. The subscriber first: its answer takes longest.
    pub(crate) fn moment(&mut self) -> Outcome<State> {
        let look = self.agent.look()?;
        let optional = [self.sim.as_ref().map(Sim::pid), self.broker.as_ref().map(Mosquitto::pid)];
        let others = optional.into_iter().flatten().chain([self.agent.pid()]).collect();
        let processes = Processes { server: self.server.pid(), others };
        Ok(State { moment: Moment::now(&processes)?, look })
    }

    /// A row of what happened between two moments; `operations` counts them.
    pub(crate) fn row(
        &self,
        scenario: &str,
        (from, to): (&State, &State),
        operations: impl Fn(&Look) -> u64,
    ) -> Row {
        let operations = operations(&to.look).saturating_sub(operations(&from.look));
        Row {
            scenario: scenario.to_owned(),
            server: self.server.name(),
            broker: self.broker_name().to_owned(),
            ..from.moment.row(&to.moment, operations, self.idle)
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
        Ok(self.losses_and_summary(sent, arrived)?.0)
    }

    /// The same, and what the fleet says of itself.
    pub(crate) fn losses_and_summary(
        &mut self,
        sent: impl Fn(&sim::Summary) -> u64,
        arrived: impl Fn(&Look) -> u64,
    ) -> Outcome<(Losses, sim::Summary)> {
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
            missing: Some(sent(&summary).saturating_sub(arrived(&look))),
            unknown: 0,
        };
        let known = losses.simulator + losses.kernel + losses.gateway + losses.broker;
        losses.unknown = losses.missing.unwrap_or_default().saturating_sub(known);
        Ok((losses, summary))
    }

    /// Another subscriber to the same events.
    pub(crate) fn another_subscriber(&self, client: &str) -> Outcome<Agent> {
        let options = self.bench.subscriber(&self.setup, &self.server, self.broker.as_ref());
        let options = agent::Options { client: client.to_owned(), observe: None, ..options };
        let log = self.directory.join(format!("{client}.log"));
        Agent::start(&self.bench.placement, &log, &options)
    }

    /// Stops the external broker, waits, and starts it again where it was.
    pub(crate) fn broker_away(&mut self, away: Duration) -> Outcome<()> {
        let broker = self.broker.take().ok_or_else(|| Problem::new("there is no broker"))?;
        let port = broker.address.port();
        broker.stop()?;
        thread::sleep(away);
        let storage = self.setup.storage();
        let placement = &self.bench.placement;
        self.broker = Some(Mosquitto::start(placement, &self.directory, storage, Some(port))?);
        Ok(())
    }

    /// How much the server has logged.
    pub(crate) fn log_lines(&self) -> usize {
        let log = std::fs::read_to_string(self.directory.join("gateway.log"));
        log.map_or(0, |text| text.lines().count())
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

    /// The external one if there is one: where one broker has to do.
    pub(crate) fn main_broker(&self) -> BrokerKind {
        self.brokers().next().unwrap_or(BrokerKind::Embedded)
    }

    /// All of them in a full run, the main one in a shorter one.
    pub(crate) fn brokers_if_full(&self) -> impl Iterator<Item = BrokerKind> + use<> {
        self.brokers().take(self.scale.of(1, 1, 2))
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
            place: if setup.both { Place::Both } else { Place::Server },
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
            keep: setup.keep,
            follow: setup.keep,
            ..options
        }
    }
}
