//! The layers of a configuration, kept apart, so that one of them can change at run time.
//!
//! Reading the layers is the job of [`super::load`]; what an operator changed while the gateway ran
//! is kept in [`super::overrides`].

use super::Origin;
use super::overrides::Overrides;
use super::tree::{self, Node, Table, Value};

/// The layers, the weakest first; the defaults are those of the types.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    pub(super) file: Table,
    pub(super) overrides: Overrides,
    pub(super) environment: Table,
    pub(super) flags: Table,
}

impl Layers {
    /// All of them as one.
    pub(super) fn merged(&self) -> Table {
        let mut all = self.file.clone();
        if self.overrides.concern_listeners() && !self.name_listeners() {
            // Whoever names one listener replaces the built-in one; changing one does not.
            all.insert("listeners".to_owned(), default_listener());
        }
        if let Some(Node { value: Value::Table(listeners), .. }) = all.get_mut("listeners") {
            listeners.retain(|name, _| !self.overrides.removed_listeners.contains(name));
        }
        tree::merge(&mut all, self.overrides.values.clone());
        tree::merge(&mut all, self.environment.clone());
        tree::merge(&mut all, self.flags.clone());
        all
    }

    /// Where the value of `key` comes from, if a layer above the overrides decides about it.
    pub(super) fn pin(&self, key: &str) -> Option<Origin> {
        let found = [&self.flags, &self.environment].map(|layer| tree::find(layer, key));
        found.into_iter().flatten().next().map(|node| node.origin.clone())
    }

    /// Whether there would be a listener of this name without the overrides.
    pub(super) fn has_listener_below(&self, name: &str) -> bool {
        match self.name_listeners() {
            true => tree::find(&self.file, &format!("listeners.{name}")).is_some(),
            false => name == DEFAULT_LISTENER,
        }
    }

    fn name_listeners(&self) -> bool {
        [&self.file, &self.environment, &self.flags]
            .iter()
            .any(|layer| layer.contains_key("listeners"))
    }
}

/// The listener that there is if none is named.
const DEFAULT_LISTENER: &str = "default";

/// `[listeners.default]` with nothing below.
fn default_listener() -> Node {
    let section = |table| Node { value: Value::Table(table), origin: Origin::Default };
    section(Table::from([(DEFAULT_LISTENER.to_owned(), section(Table::new()))]))
}
