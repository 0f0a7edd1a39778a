//! What an operator changes while the gateway runs: settings and listeners (design, sections 2 and
//! 5, "Configuration file").
//!
//! A change is judged as `config check` judges a file, kept in `data_dir/overrides.toml`, and
//! applied: to the engines, the contract and its subscriptions, the object definitions and the
//! sockets. It is applied whole or not at all, and one at a time. Who may ask for it, and in which
//! form, is the job of [`crate::http`]; what the keys mean is [`crate::config`]'s.

mod apply;
mod error;
mod listeners;
mod scope;
mod status;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::Mutex;

pub use crate::listeners::GateCounts;
pub(crate) use apply::Machine;
pub use error::ChangeError;
pub use status::{Applied, Enabled, ListenerState, ListenerStatus};

use crate::config::{Config, Loaded, Origin};
use crate::listeners::Slots;

/// The handle by which settings and listeners are changed. Cloning it is cheap.
///
/// Every change survives a restart, and dropping its future does not interrupt it.
#[derive(Clone)]
pub struct Control {
    inner: Arc<Inner>,
    /// Who changes something, for the log.
    by: Cow<'static, str>,
}

struct Inner {
    /// What the process was started with: some settings stay so until its end.
    started: Loaded,
    state: RwLock<State>,
    /// Locked for the length of a change.
    turn: Mutex<Turn>,
    machine: Machine,
}

/// What is in effect.
#[derive(Clone)]
struct State {
    loaded: Arc<Loaded>,
    config: Arc<Config>,
    /// Where the listeners that take datagrams are bound.
    bound: BTreeMap<String, SocketAddr>,
}

/// What only a change needs.
struct Turn {
    slots: Slots,
    /// Tells the sockets of a listener from its former ones.
    generation: u16,
    stopped: bool,
}

impl Control {
    /// The handle of a gateway that was started with `loaded`; `bound` is where its listeners are.
    pub(crate) fn new(
        loaded: &Loaded,
        slots: Slots,
        bound: BTreeMap<String, SocketAddr>,
        machine: Machine,
    ) -> Self {
        let config = Arc::new(loaded.config.clone());
        let state = State { loaded: Arc::new(loaded.clone()), config, bound };
        let inner = Inner {
            started: loaded.clone(),
            state: RwLock::new(state),
            turn: Mutex::new(Turn { slots, generation: 0, stopped: false }),
            machine,
        };
        Self { inner: Arc::new(inner), by: Cow::Borrowed("gateway") }
    }

    /// The same handle for somebody else, whom the log names with each change.
    #[must_use]
    pub fn on_behalf_of(&self, who: impl fmt::Display) -> Self {
        Self { inner: Arc::clone(&self.inner), by: Cow::Owned(who.to_string()) }
    }

    /// The settings in effect, those that wait for a restart included (see
    /// [`Control::needs_restart`]).
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.inner.state.read().config)
    }

    /// The same with where each value came from, as [`crate::config::show`] prints it.
    #[must_use]
    pub fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.inner.state.read().loaded)
    }

    /// Where the value of `key` (segments joined by dots) came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        self.inner.state.read().loaded.origin(key)
    }

    /// Keys whose present value the process will use only after its next start.
    #[must_use]
    pub fn needs_restart(&self) -> Vec<String> {
        let mut keys = self.loaded().differences(&self.inner.started);
        keys.retain(|key| scope::needs_restart(key));
        keys
    }

    /// Sets the keys that `changes` names, in the form of the configuration file. Sections are
    /// merged with what is there, a topic's table too; values and lists are replaced. What is in
    /// effect already is no change, so a whole configuration may be sent back.
    ///
    /// Keys that cannot change while the gateway runs are kept for its next start and named in
    /// [`Applied::needs_restart`].
    ///
    /// # Errors
    /// [`ChangeError`] says what is wrong, by key; everything is as it was before.
    pub async fn change(&self, changes: toml::Table) -> Result<Applied, ChangeError> {
        self.transact(move |loaded| Ok(loaded.changed(&changes)?)).await
    }

    /// Forgets what was changed at run time below each key (segments joined by dots; a section
    /// stands for all of its keys, an empty key for everything): the file decides again.
    ///
    /// # Errors
    /// As [`Control::change`].
    pub async fn clear(&self, keys: &[&str]) -> Result<Applied, ChangeError> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.transact(move |loaded| Ok(loaded.cleared(&keys)?)).await
    }

    /// Whether devices are served (`enable`).
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.inner.state.read().config.enable
    }

    /// Serves devices, or stops to: every socket is closed then. Registrations stay, their
    /// lifetimes go on, and commands end as they do for a device that does not answer.
    ///
    /// # Errors
    /// As [`Control::change`]; a port that somebody else has taken meanwhile, for one.
    pub async fn enable(&self, enabled: Enabled) -> Result<Applied, ChangeError> {
        let mut changes = toml::Table::new();
        changes.insert("enable".to_owned(), (enabled == Enabled::Yes).into());
        self.change(changes).await
    }

    /// From now on nothing changes any more; a change that is under way may end first.
    pub(crate) async fn close(&self) {
        match tokio::time::timeout(CLOSE_MAX, self.inner.turn.lock()).await {
            Ok(mut turn) => turn.stopped = true,
            Err(_) => tracing::warn!(event = "change_unfinished"),
        }
    }

    /// Runs a change to its end, also when whoever asked for it does not wait any more.
    async fn transact(
        &self,
        edit: impl FnOnce(&Loaded) -> Result<Loaded, ChangeError> + Send + 'static,
    ) -> Result<Applied, ChangeError> {
        let (inner, by) = (Arc::clone(&self.inner), self.by.clone());
        let change = tokio::spawn(async move { inner.transact(&by, edit).await });
        change.await.unwrap_or(Err(ChangeError::Stopped))
    }
}

/// How long a stop waits for a change that is under way.
const CLOSE_MAX: Duration = Duration::from_secs(2);

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Control")
    }
}

impl Inner {
    async fn transact(
        &self,
        by: &str,
        edit: impl FnOnce(&Loaded) -> Result<Loaded, ChangeError>,
    ) -> Result<Applied, ChangeError> {
        let mut turn = self.turn.lock().await;
        if turn.stopped {
            return Err(ChangeError::Stopped);
        }
        let before = self.state.read().clone();
        let wanted = Arc::new(edit(&before.loaded)?);
        let changed = before.loaded.differences(&wanted);
        let bound = self.bring_about(&mut turn, &before, &wanted).await?;
        let config = Arc::new(wanted.config.clone());
        *self.state.write() = State { loaded: wanted, config, bound };
        let needs_restart: Vec<String> =
            changed.iter().filter(|key| scope::needs_restart(key)).cloned().collect();
        if !changed.is_empty() {
            let (keys, later) = (changed.join(" "), needs_restart.join(" "));
            tracing::info!(event = "settings_changed", by, keys, needs_restart = later);
        }
        Ok(Applied { changed, needs_restart })
    }
}
