//! Listeners that are seen, added, changed and removed while the gateway runs.
//!
//! Each is a change of the configuration like any other; what it means for sockets and shards is
//! the job of [`super::apply`].

use super::{Applied, ChangeError, Control, GateCounts, ListenerState, ListenerStatus, State};
use crate::config::{Listener, Loaded};

impl Control {
    /// Every listener, sorted by name.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        let state = self.inner.state.read();
        let listeners = state.config.listeners.iter();
        listeners.map(|(name, settings)| self.status(&state, name, settings)).collect()
    }

    /// One listener.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<ListenerStatus> {
        let state = self.inner.state.read();
        Some(self.status(&state, name, state.config.listeners.get(name)?))
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
        let name = name.to_owned();
        self.transact(move |loaded| {
            if loaded.config.listeners.contains_key(&name) {
                return Err(ChangeError::ListenerExists(name));
            }
            Ok(loaded.changed(&section(name, settings))?)
        })
        .await
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
        let name = name.to_owned();
        self.transact(move |loaded| {
            known(loaded, &name)?;
            Ok(loaded.changed(&section(name, settings))?)
        })
        .await
    }

    /// Removes a listener. Registrations of devices that used it last end as kicked, since nobody
    /// can reach them any more; when this returns, their events are on their way.
    ///
    /// # Errors
    /// [`ChangeError::UnknownListener`], or as [`Control::change`].
    pub async fn remove_listener(&self, name: &str) -> Result<Applied, ChangeError> {
        let name = name.to_owned();
        self.transact(move |loaded| {
            known(loaded, &name)?;
            Ok(loaded.without_listener(&name)?)
        })
        .await
    }

    fn status(&self, state: &State, name: &str, settings: &Listener) -> ListenerStatus {
        let gate = self.inner.machine.gates.find(name);
        let running =
            state.bound.get(name).map(|address| ListenerState::Running { address: *address });
        let resting =
            if settings.enable { ListenerState::GatewayDisabled } else { ListenerState::Disabled };
        ListenerStatus {
            name: name.to_owned(),
            number: gate.as_ref().map_or(0, |gate| gate.number()),
            config: settings.clone(),
            state: running.unwrap_or(resting),
            connections: gate.as_ref().map_or(0, |gate| gate.connections()),
            counts: gate.as_ref().map_or(GateCounts::default(), |gate| gate.counts()),
        }
    }
}

fn known(loaded: &Loaded, name: &str) -> Result<(), ChangeError> {
    if loaded.config.listeners.contains_key(name) {
        Ok(())
    } else {
        Err(ChangeError::UnknownListener(name.to_owned()))
    }
}

/// `[listeners.NAME]` with these settings.
fn section(name: String, settings: toml::Table) -> toml::Table {
    let below = |key: String, table| toml::Table::from_iter([(key, toml::Value::Table(table))]);
    below("listeners".to_owned(), below(name, settings))
}
