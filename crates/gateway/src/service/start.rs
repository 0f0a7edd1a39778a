//! Starting: each part after those it needs, each failure with the setting that caused it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use bridge::Bridge;
use engine::Server;
use lwm2m::Models;
use tokio::sync::mpsc;
use tokio::task::JoinHandle as Task;
use udpio::{Poller, Probe};

use super::demo::Demo;
use super::{Addresses, Service, StartError, memory, numbers};
use crate::clock::Clock;
use crate::config::{Config, Loaded, MqttMode};
use crate::control::{Control, Machine};
use crate::data_dir::DataDir;
use crate::device_topics::DeviceTopics;
use crate::directory::Directory;
use crate::downlink::Commands;
use crate::filters::ExactFilters;
use crate::http::{self, Alive, Health, Phase};
use crate::inbox::{Inbox, InboxLimits};
use crate::listeners::{Gate, Gates, Opened, Slots};
use crate::mqtt::Northbound;
use crate::mqtt::external::Protocol;
use crate::objects::{self, MissingVersions, Objects};
use crate::outbox::{Outbox, outboxes};
use crate::pump::Subscriptions;
use crate::results::Results;
use crate::retained::RetainedCommands;
use crate::shard::{self, Parts, Seat, Shard, Shared};
use crate::telemetry::Metrics;
use crate::{pump, rest, settings};

/// How often the health page learns whether the broker is there.
const HEALTH_STEP: std::time::Duration = std::time::Duration::from_millis(200);

impl Service {
    /// Starts the gateway with settings that stand in no file, and with `demo` simulated devices.
    ///
    /// # Errors
    /// See [`Service::start_from`].
    pub async fn start(config: &Config, demo: usize) -> Result<Self, StartError> {
        Self::start_from(&Loaded::of(config.clone()), demo).await
    }

    /// Starts the gateway, with `demo` simulated devices.
    ///
    /// # Errors
    /// [`StartError`] names the setting; whatever was started is stopped again.
    pub async fn start_from(loaded: &Loaded, demo: usize) -> Result<Self, StartError> {
        let config = &loaded.config;
        let data_dir = DataDir::lock(&config.data_dir, &listeners_shown(config))?;
        let slots = Slots::of(config);
        let bridge = Bridge::new(settings::bridge_settings(config, &slots))?;
        let objects = Arc::new(Objects::open(settings::objects(config)));
        let models = objects.models();
        let count = usize::from(config.shard_count());
        let doors = bind(config, &slots, count)?;
        let mut addresses = Addresses { coap: doors.addresses(), ..Addresses::default() };
        let pollers = (0..count).map(|_| Poller::new()).collect::<Result<Vec<_>, _>>()?;
        let shared = Arc::new(share(config, &pollers));
        let metrics = Arc::new(Metrics::new(count));
        // One outbox more than shards: refusals of commands belong to none.
        let (mut ways_up, reader, monitor) = outboxes(count + 1, config.outbox.limits());
        let refusals = ways_up.pop().ok_or_else(|| StartError::Mqtt("no outbox".to_owned()))?;
        let commands = commands(config, &shared, (bridge.clone(), models.clone()), refusals);
        let northbound = connect(config, &data_dir, &commands, &mut addresses).await?;
        let subscriptions = subscribe(&northbound, &shared, &bridge).await;
        let health = Arc::new(Health::new(count));
        let machine = Machine {
            shared: Arc::clone(&shared),
            commands: Arc::clone(&commands),
            subscriptions: Arc::clone(&subscriptions),
            objects: Arc::clone(&objects),
            registrars: pollers.iter().map(Poller::registrar).collect(),
            gates: doors.gates.clone(),
        };
        let seats = Seats { seats: doors.per_shard, pollers, ways_up };
        let core =
            Core { config, slots: &slots, bridge: &bridge, models: &models, shared: &shared };
        let (shards, ended) = core.spawn(seats, &metrics, &health)?;
        numbers::add_sources(&metrics, &monitor, &northbound, &commands);
        numbers::add_shared(&metrics, &objects, &shared);
        metrics.add_source(doors.gates);
        let control = Control::new(loaded, slots, doors.bound, machine);
        let mut tasks = vec![
            tokio::spawn(pump::run(reader, subscriptions.clone())),
            tokio::spawn(watch_broker(Arc::clone(&northbound), Arc::clone(&health))),
            tokio::spawn(memory::keep_small()),
        ];
        tasks.extend(watch_objects(config, &objects, &shared, &commands));
        health.enter(Phase::Running);
        let mut service = Self {
            addresses,
            shared,
            commands,
            subscriptions,
            control,
            objects,
            shards,
            ended,
            northbound,
            tasks,
            outbox: monitor,
            drain_max: config.outbox.drain_max.duration(),
            http: None,
            health,
            metrics,
            demo: None,
            _data_dir: data_dir,
        };
        match service.open_doors(config, demo, models).await {
            Ok(()) => Ok(service),
            Err(error) => {
                service.stop().await;
                Err(error)
            }
        }
    }

    async fn open_doors(
        &mut self,
        config: &Config,
        demo: usize,
        models: Arc<Models>,
    ) -> Result<(), StartError> {
        if config.http.enabled {
            let pages = http::Shared {
                health: Arc::clone(&self.health),
                metrics: Arc::clone(&self.metrics),
            };
            let (shared, commands) = (Arc::clone(&self.shared), Arc::clone(&self.commands));
            let subscriptions = Arc::clone(&self.subscriptions);
            let api = rest::Api::new(self.control.clone(), shared, commands, subscriptions);
            let routes = rest::routes(api);
            let server = http::start(&config.http, pages, routes).await?;
            self.addresses.http = Some(server.address());
            self.http = Some(server);
        }
        if demo > 0 {
            self.demo = Some(Demo::start(demo, &self.addresses, models)?);
        }
        Ok(())
    }
}

fn share(config: &Config, pollers: &[Poller]) -> Shared {
    let limits = InboxLimits { entries: config.inbox.entries, bytes: config.inbox.bytes.get() };
    Shared {
        directory: Directory::new(),
        inboxes: pollers.iter().map(|poller| Inbox::new(limits, poller.waker())).collect(),
        clock: Clock::new(),
        exact_filters: ExactFilters::default(),
        device_topics: DeviceTopics::default(),
        results: Results::default(),
        missing_versions: MissingVersions::default(),
        retained: RetainedCommands::new(settings::retained(config)),
    }
}

fn commands(
    config: &Config,
    shared: &Arc<Shared>,
    contract: (Bridge, Arc<Models>),
    refusals: Outbox,
) -> Arc<Commands> {
    let wait_max = config.inbox.wait_max.duration();
    Arc::new(Commands::new(Arc::clone(shared), contract, refusals, wait_max))
}

/// Subscribes to commands, before any device can register.
async fn subscribe(
    northbound: &Arc<dyn Northbound>,
    shared: &Arc<Shared>,
    bridge: &Bridge,
) -> Arc<Subscriptions> {
    let subscriptions =
        Subscriptions::new(Arc::clone(northbound), Arc::clone(shared), bridge.clone());
    subscriptions.renew().await;
    Arc::new(subscriptions)
}

/// Watches the object definitions, unless that is off, and hands others to everybody who reads
/// payloads.
fn watch_objects(
    config: &Config,
    objects: &Arc<Objects>,
    shared: &Arc<Shared>,
    commands: &Arc<Commands>,
) -> Option<Task<()>> {
    let step = config.lwm2m.xml_poll.duration();
    let (shared, commands) = (Arc::clone(shared), Arc::clone(commands));
    let apply = move |models| {
        shared.take_models(&models);
        commands.set_models(models);
    };
    (!step.is_zero()).then(|| tokio::spawn(objects::watch(Arc::clone(objects), step, apply)))
}

fn listeners_shown(config: &Config) -> String {
    let binds: Vec<String> = config.listeners.values().map(|l| l.bind.to_string()).collect();
    format!("listeners {}", binds.join(", "))
}

/// The listeners, dealt out to the shards.
struct Doors {
    gates: Gates,
    bound: BTreeMap<String, SocketAddr>,
    per_shard: Vec<Vec<Seat>>,
}

impl Doors {
    fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.bound.iter().map(|(name, address)| (name.clone(), *address)).collect()
    }
}

fn bind(config: &Config, slots: &Slots, shards: usize) -> Result<Doors, StartError> {
    let mut doors = Doors {
        gates: Gates::default(),
        bound: BTreeMap::new(),
        per_shard: std::iter::repeat_with(Vec::new).take(shards).collect(),
    };
    for (name, listener) in &config.listeners {
        let gate = Arc::new(Gate::new(name, slots.number(name).unwrap_or_default(), listener));
        doors.gates.insert(Arc::clone(&gate));
        let opened = if config.enable && listener.enable {
            Opened::open(gate, listener, shards, 0, Probe::Others)?
        } else {
            Opened::closed(gate, listener)
        };
        doors.bound.extend(opened.address.map(|address| (name.clone(), address)));
        for (of_shard, seat) in doors.per_shard.iter_mut().zip(opened.into_seats(shards)) {
            of_shard.push(seat);
        }
    }
    Ok(doors)
}

async fn connect(
    config: &Config,
    data_dir: &DataDir,
    commands: &Arc<Commands>,
    addresses: &mut Addresses,
) -> Result<Arc<dyn Northbound>, StartError> {
    let deliveries = Arc::clone(commands);
    match config.mqtt.mode {
        MqttMode::Embedded => embedded(config, deliveries, addresses).await,
        MqttMode::External => {
            let client_id = match config.mqtt.external.client_id.as_str() {
                "" => data_dir.client_id()?,
                given => given.to_owned(),
            };
            let external = settings::external(config, client_id)
                .map_err(|error| StartError::Mqtt(format!("mqtt.external.url: {error}")))?;
            if external.protocol == Protocol::V311 {
                tracing::info!(event = "retained_commands_off", "MQTT 3.1.1 does not mark them");
            }
            addresses.mqtt.clone_from(&config.mqtt.external.url);
            let client = crate::mqtt::external::External::start(external, deliveries)
                .map_err(|error| StartError::Mqtt(error.to_string()))?;
            Ok(Arc::new(client))
        }
    }
}

#[cfg(feature = "embedded-broker")]
async fn embedded(
    config: &Config,
    deliveries: Arc<Commands>,
    addresses: &mut Addresses,
) -> Result<Arc<dyn Northbound>, StartError> {
    let broker = crate::mqtt::embedded::Embedded::start(&settings::embedded(config), deliveries)
        .await
        .map_err(|error| StartError::Mqtt(error.to_string()))?;
    addresses.mqtt = format!("mqtt://{}", broker.address());
    addresses.broker = Some(broker.address());
    Ok(Arc::new(broker))
}

#[cfg(not(feature = "embedded-broker"))]
async fn embedded(
    _: &Config,
    _: Arc<Commands>,
    _: &mut Addresses,
) -> Result<Arc<dyn Northbound>, StartError> {
    let text = "mqtt.mode = \"embedded\": this program was built without the embedded broker";
    Err(StartError::Mqtt(text.to_owned()))
}

/// What each shard gets of its own.
struct Seats {
    seats: Vec<Vec<Seat>>,
    pollers: Vec<Poller>,
    ways_up: Vec<Outbox>,
}

/// What all shards are made from.
struct Core<'a> {
    config: &'a Config,
    slots: &'a Slots,
    bridge: &'a Bridge,
    models: &'a Arc<Models>,
    shared: &'a Arc<Shared>,
}

type Threads = (Vec<JoinHandle<std::io::Result<()>>>, mpsc::Receiver<()>);

impl Core<'_> {
    fn spawn(
        &self,
        seats: Seats,
        metrics: &Metrics,
        health: &Arc<Health>,
    ) -> Result<Threads, StartError> {
        let (ending, ended) = mpsc::channel(1);
        let engine_settings = Arc::new(settings::engine_settings(self.config, self.slots));
        let dealt = seats.seats.into_iter().zip(seats.pollers).zip(seats.ways_up);
        let mut shards = Vec::new();
        for (number, ((seats, poller), outbox)) in (0u8..=u8::MAX).zip(dealt) {
            let engine_config = engine::Config {
                coap: settings::endpoint_config(self.config),
                ..engine::Config::default()
            };
            let (settings, models) = (Arc::clone(&engine_settings), Arc::clone(self.models));
            let server = Server::new(engine_config, settings, models, number, seed()?);
            let parts = Parts {
                number,
                seats,
                poller,
                server,
                bridge: self.bridge.clone(),
                models: Arc::clone(self.models),
                outbox,
                hold_max: self.config.outbox.hold_max.duration(),
                metrics: Arc::clone(&metrics.shards()[usize::from(number)]),
            };
            let shard = Shard::new(parts, Arc::clone(self.shared))?;
            let watch = Watch { _alive: health.shard_started(), ending: ending.clone() };
            shards.push(shard::spawn(shard, watch)?);
        }
        Ok((shards, ended))
    }
}

/// Lives as long as a shard's thread, and says when it ends, by a panic too.
struct Watch {
    _alive: Alive,
    ending: mpsc::Sender<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Full: somebody has said it already.
        let _ = self.ending.try_send(());
    }
}

fn seed() -> Result<[u8; 32], StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(std::io::Error::from)?;
    Ok(seed)
}

async fn watch_broker(northbound: Arc<dyn Northbound>, health: Arc<Health>) {
    let mut step = tokio::time::interval(HEALTH_STEP);
    loop {
        step.tick().await;
        health.mqtt(northbound.connected());
    }
}
