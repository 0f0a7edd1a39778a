//! What an operator changes while the gateway runs: settings and listeners (design, sections 2 and
//! 5, "Configuration file").
//!
//! A change is judged as `config check` judges a file, kept in `data_dir/overrides.toml`, and
//! applied: to the engines, the contract and its subscriptions, the object definitions and the
//! sockets. It is applied whole or not at all, and one at a time. Who may ask for it, and in which
//! form, is the job of [`crate::http`]; what the keys mean is [`crate::config`]'s.

mod error;
mod status;

use std::sync::Arc;

pub use error::ChangeError;
pub use status::{Applied, Enabled, ListenerCounts, ListenerState, ListenerStatus};

use crate::config::{Config, Origin};

/// The handle by which settings and listeners are changed. Cloning it is cheap.
///
/// Every change survives a restart, and dropping its future does not interrupt it.
#[derive(Clone, Debug)]
pub struct Control(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
}

impl Control {
    /// The handle of a gateway that runs with `config`.
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self(Arc::new(Inner { config }))
    }

    /// The settings in effect, those that wait for a restart included (see
    /// [`Control::needs_restart`]).
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.0.config)
    }

    /// Where the value of `key` (segments joined by dots) came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        let _ = key;
        Origin::Default
    }

    /// Keys whose present value the process will use only after its next start.
    #[must_use]
    pub fn needs_restart(&self) -> Vec<String> {
        Vec::new()
    }

    /// Sets the keys that `changes` names, in the form of the configuration file. Sections are
    /// merged with what is there; values, lists and inline tables of a topic are replaced.
    ///
    /// Keys that cannot change while the gateway runs are kept for its next start and named in
    /// [`Applied::needs_restart`].
    ///
    /// # Errors
    /// [`ChangeError`] says what is wrong, by key; everything is as it was before.
    pub async fn change(&self, changes: toml::Table) -> Result<Applied, ChangeError> {
        let _ = changes;
        Err(ChangeError::Stopped)
    }

    /// Forgets what was changed at run time below each key (segments joined by dots; a section
    /// stands for all of its keys, an empty key for everything): the file decides again.
    ///
    /// # Errors
    /// As [`Control::change`].
    pub async fn clear(&self, keys: &[&str]) -> Result<Applied, ChangeError> {
        let _ = keys;
        Err(ChangeError::Stopped)
    }

    /// Whether devices are served (`enable`).
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        true
    }

    /// Serves devices, or stops to: every socket is closed then. Registrations stay, their
    /// lifetimes go on, and commands end as they do for a device that does not answer.
    ///
    /// # Errors
    /// As [`Control::change`]; a port that somebody else has taken meanwhile, for one.
    pub async fn enable(&self, enabled: Enabled) -> Result<Applied, ChangeError> {
        let _ = enabled;
        Err(ChangeError::Stopped)
    }

    /// Every listener, sorted by name.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        Vec::new()
    }

    /// One listener.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<ListenerStatus> {
        self.listeners().into_iter().find(|listener| listener.name == name)
    }

    /// Adds a listener; `settings` is what stands below `[listeners.NAME]`. When this returns,
    /// devices can register there.
    ///
    /// # Errors
    /// [`ChangeError::ListenerExists`], or as [`Control::change`].
    pub async fn add_listener(
        &self,
        name: &str,
        settings: toml::Table,
    ) -> Result<Applied, ChangeError> {
        let _ = (name, settings);
        Err(ChangeError::Stopped)
    }

    /// Changes what `settings` names of a listener. Registrations stay, also when it moves to
    /// another address.
    ///
    /// # Errors
    /// [`ChangeError::UnknownListener`], or as [`Control::change`].
    pub async fn change_listener(
        &self,
        name: &str,
        settings: toml::Table,
    ) -> Result<Applied, ChangeError> {
        let _ = (name, settings);
        Err(ChangeError::Stopped)
    }

    /// Removes a listener. Registrations of devices that used it last end as kicked, since nobody
    /// can reach them any more; when this returns, their events are on their way.
    ///
    /// # Errors
    /// [`ChangeError::UnknownListener`], or as [`Control::change`].
    pub async fn remove_listener(&self, name: &str) -> Result<Applied, ChangeError> {
        let _ = name;
        Err(ChangeError::Stopped)
    }
}
