//! A judged change put into effect: what may fail first, what cannot fail last.
//!
//! Order: sockets are opened, the command topics of the new contract are subscribed to, the change
//! is written to the disk; until then everything can be taken back. Then the shards get it:
//! listeners that go end under the old topics, the new topics come, listeners that come are read.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bridge::Bridge;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use udpio::{Probe, Registrar};

use super::{ChangeError, Inner, State, Turn, scope};
use crate::config::{AccessRules, Config, Listener, Loaded};
use crate::downlink::Commands;
use crate::inbox::{Done, Input};
use crate::listeners::{Gate, Gates, Opened, Slots, socket_options};
use crate::objects::{Objects, Origin};
use crate::pump::Subscriptions;
use crate::settings;
use crate::shard::Shared;

/// How long the shards get to do what they are told. Ending a million registrations takes a few
/// seconds; a shard that takes this long is not coming back.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The parts of the gateway that a change reaches.
pub(crate) struct Machine {
    /// The way to the shards.
    pub(crate) shared: Arc<Shared>,
    /// Where commands come in.
    pub(crate) commands: Arc<Commands>,
    /// The subscriptions to commands.
    pub(crate) subscriptions: Arc<Subscriptions>,
    /// The object definitions.
    pub(crate) objects: Arc<Objects>,
    /// The pollers of the shards, in their order.
    pub(crate) registrars: Vec<Registrar>,
    /// The doors of the listeners.
    pub(crate) gates: Gates,
}

/// What becomes of the listeners.
#[derive(Default)]
struct Moves {
    /// New, or with new sockets.
    opened: Vec<Opened>,
    /// They take no datagrams any more.
    closed: Vec<u16>,
    /// They go, and their registrations with them.
    ended: Vec<Arc<Gate>>,
    /// They keep their sockets and get other limits and options.
    adjusted: Vec<(Arc<Gate>, Listener)>,
}

/// What the shards are to use from now on.
struct Rules {
    settings: Arc<engine::Settings>,
    bridge: Bridge,
    /// Where object definitions come from, if that changes.
    objects: Option<Origin>,
}

impl Inner {
    /// Brings a change about, whole or not at all; returns where the listeners are bound then.
    pub(super) async fn bring_about(
        &self,
        turn: &mut Turn,
        before: &State,
        wanted: &Arc<Loaded>,
    ) -> Result<BTreeMap<String, SocketAddr>, ChangeError> {
        let started = &self.started.config;
        let from = scope::running(&before.config, started);
        let to = scope::running(&wanted.config, started);
        for name in to.listeners.keys() {
            turn.slots.assign(name).ok_or(ChangeError::NoNumberLeft)?;
        }
        let moves = self.machine.open(turn, (&from, &before.bound), &to)?;
        let bound = bound(&before.bound, &moves, &to);
        let rules = rules(&from, &to, &turn.slots)?;
        let (former, next) = (bridge(&from, &turn.slots)?, rules.bridge.clone());
        let topics_change = former.settings() != next.settings();
        if topics_change {
            self.machine.subscriptions.add(next.clone()).await?;
        }
        let stored = self.store(wanted).await;
        if stored.is_ok() {
            self.machine.commit(moves, rules).await;
        }
        if topics_change {
            let kept = if stored.is_ok() { next } else { former };
            self.machine.subscriptions.keep(kept).await;
        }
        stored.map(|()| bound)
    }

    async fn store(&self, wanted: &Arc<Loaded>) -> Result<(), ChangeError> {
        let (wanted, data_dir) = (Arc::clone(wanted), self.started.config.data_dir.clone());
        match spawn_blocking(move || wanted.store(&data_dir)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err((path, error))) => Err(ChangeError::Store { path, error }),
            Err(_) => Err(ChangeError::Stopped),
        }
    }
}

impl Machine {
    /// Opens what is to be opened, and tells what else the listeners need.
    fn open(
        &self,
        turn: &mut Turn,
        (from, bound): (&Config, &BTreeMap<String, SocketAddr>),
        to: &Config,
    ) -> Result<Moves, ChangeError> {
        let mut moves = Moves::default();
        let given_up = ports_given_up((from, bound), to);
        for (name, settings) in &to.listeners {
            let former = from.listeners.get(name);
            let number = turn.slots.number(name).ok_or(ChangeError::NoNumberLeft)?;
            let gate = self.gates.find(name);
            let gate = gate.unwrap_or_else(|| Arc::new(Gate::new(name, number, settings)));
            if opens((from, former), (to, settings)) {
                turn.generation = turn.generation.wrapping_add(1);
                let is_ours = given_up.contains(&settings.bind.port());
                let probe = if is_ours { Probe::Skip } else { Probe::Others };
                let shards = self.registrars.len();
                let opened = Opened::open(gate, settings, shards, turn.generation, probe)?;
                self.watch(&opened)?;
                moves.opened.push(opened);
            } else if former.is_none() {
                moves.opened.push(Opened::closed(gate, settings));
            } else {
                if bound.contains_key(name) && !runs(to, settings) {
                    moves.closed.push(number);
                }
                if former != Some(settings) {
                    moves.adjusted.push((gate, settings.clone()));
                }
            }
        }
        let gone = from.listeners.keys().filter(|name| !to.listeners.contains_key(*name));
        moves.ended.extend(gone.filter_map(|name| self.gates.find(name)));
        Ok(moves)
    }

    /// Has the shards' pollers watch new sockets. Until a shard knows one, it ignores its events.
    fn watch(&self, opened: &Opened) -> Result<(), ChangeError> {
        for (registrar, watched) in self.registrars.iter().zip(opened.sockets()) {
            registrar.add(&watched.socket, watched.token).map_err(ChangeError::System)?;
        }
        Ok(())
    }

    /// Tells the shards and the command side; nothing of it can be refused.
    async fn commit(&self, moves: Moves, rules: Rules) {
        for number in moves.closed.iter().copied().chain(moves.ended.iter().map(|g| g.number())) {
            self.tell(|_| Input::Close(number));
        }
        self.end(&moves.ended).await;
        self.commands.set_bridge(rules.bridge.clone());
        let Rules { settings, bridge, objects } = rules;
        self.take_definitions(objects).await;
        self.tell(|_| Input::Settings(Arc::clone(&settings), Box::new(bridge.clone())));
        for (gate, settings) in &moves.adjusted {
            gate.adjust(settings);
            let (access, options) = (access(settings), socket_options(settings));
            self.tell(|_| Input::Adjust(gate.number(), Arc::clone(&access), options));
        }
        for opened in moves.opened {
            self.gates.insert(Arc::clone(&opened.gate));
            let mut seats = opened.into_seats(self.registrars.len()).into_iter();
            let inboxes = &self.shared.inboxes;
            inboxes.iter().zip(&mut seats).for_each(|(inbox, seat)| {
                inbox.send(Input::Listen(Box::new(seat)));
            });
        }
        self.all_done().await;
    }

    /// Reads definitions from elsewhere. Files that cannot be used are passed over, so this cannot
    /// fail.
    async fn take_definitions(&self, origin: Option<Origin>) {
        let Some(origin) = origin else { return };
        self.objects.set_origin(origin);
        let objects = Arc::clone(&self.objects);
        if let Ok(Some(models)) = spawn_blocking(move || objects.look()).await {
            self.shared.take_models(&models);
            self.commands.set_models(models);
        }
    }

    /// Ends listeners, whose sockets nobody reads any more, and their registrations.
    async fn end(&self, gates: &[Arc<Gate>]) {
        if gates.is_empty() {
            return;
        }
        self.all_done().await;
        let (done, ended) = Done::new();
        for gate in gates {
            for inbox in &self.shared.inboxes {
                // Behind what other shards have forwarded before.
                inbox.send_in_order(Input::EndListener(gate.number(), done.clone()));
            }
        }
        drop(done);
        wait(ended).await;
        gates.iter().for_each(|gate| self.gates.remove(gate.name()));
    }

    /// Returns when the shards have done everything they were told.
    async fn all_done(&self) {
        let (done, all) = Done::new();
        self.tell(|_| Input::Barrier(done.clone()));
        drop(done);
        wait(all).await;
    }

    fn tell(&self, mut input: impl FnMut(usize) -> Input) {
        for (number, inbox) in self.shared.inboxes.iter().enumerate() {
            inbox.send(input(number));
        }
    }
}

async fn wait(mut all: mpsc::Receiver<Infallible>) {
    if tokio::time::timeout(ANSWER_MAX, all.recv()).await.is_err() {
        tracing::error!(event = "change_unfinished", "a shard does not answer");
    }
}

fn rules(from: &Config, to: &Config, slots: &Slots) -> Result<Rules, ChangeError> {
    let origin = settings::objects(to);
    let objects = (settings::objects(from) != origin).then_some(origin);
    let settings = Arc::new(settings::engine_settings(to, slots));
    Ok(Rules { settings, bridge: bridge(to, slots)?, objects })
}

fn bridge(config: &Config, slots: &Slots) -> Result<Bridge, ChangeError> {
    Ok(Bridge::new(settings::bridge_settings(config, slots))?)
}

fn access(settings: &Listener) -> Arc<AccessRules> {
    Arc::new(settings.access_rules.clone())
}

const fn runs(config: &Config, listener: &Listener) -> bool {
    config.enable && listener.enable
}

/// Whether a listener needs sockets that it has not.
fn opens(
    (from, former): (&Config, Option<&Listener>),
    (to, settings): (&Config, &Listener),
) -> bool {
    let has_them = former.is_some_and(|former| runs(from, former) && former.bind == settings.bind);
    runs(to, settings) && !has_them
}

/// The ports of listeners that go, move or rest: they are taken, but only for a moment more.
fn ports_given_up(
    (from, bound): (&Config, &BTreeMap<String, SocketAddr>),
    to: &Config,
) -> Vec<u16> {
    let stays = |name: &String| match (from.listeners.get(name), to.listeners.get(name)) {
        (Some(former), Some(settings)) => runs(to, settings) && former.bind == settings.bind,
        _ => false,
    };
    bound.iter().filter(|(name, _)| !stays(name)).map(|(_, address)| address.port()).collect()
}

fn bound(
    before: &BTreeMap<String, SocketAddr>,
    moves: &Moves,
    to: &Config,
) -> BTreeMap<String, SocketAddr> {
    let runs = |name: &String| to.listeners.get(name).is_some_and(|it| runs(to, it));
    let mut bound = before.clone();
    bound.retain(|name, _| runs(name));
    let opened = moves.opened.iter();
    bound.extend(opened.filter_map(|it| Some((it.gate.name().to_owned(), it.address?))));
    bound
}
