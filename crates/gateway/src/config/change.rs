//! What becomes of a configuration when some of its keys change at run time.
//!
//! Judged exactly as at the start; a key that the environment or a flag sets cannot change.
//! Applying the result is the job of [`crate::control`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, ConfigErrors, is_secret};
use super::load::Loaded;
use super::overrides::{self, FIXED, OVERRIDES_FILE, Overrides};
use super::tree::{self, Origin, Table, Value};
use super::{Config, de};

/// Why a change is none.
#[derive(Debug)]
pub(crate) enum Unchangeable {
    /// It breaks a rule.
    Invalid(ConfigErrors),
    /// The environment or a flag decides about these keys.
    Pinned(Vec<(String, Origin)>),
}

impl From<ConfigErrors> for Unchangeable {
    fn from(errors: ConfigErrors) -> Self {
        Self::Invalid(errors)
    }
}

impl Loaded {
    /// This configuration with `changes` over it. What is in effect already is not kept as a
    /// change.
    pub(crate) fn changed(&self, changes: &toml::Table) -> Result<Self, Unchangeable> {
        let mut changes = tree::from_toml(changes, &Origin::Change);
        if changes.contains_key("data_dir") {
            let error = ConfigError::of_key(Origin::Change, "data_dir", FIXED.to_owned());
            return Err(ConfigErrors::from(error).into());
        }
        self.drop_known(&mut changes)?;
        let pinned: Vec<_> = leaves_of(&changes)
            .into_iter()
            .filter_map(|key| Some((self.layers.pin(&key)?, key)))
            .map(|(origin, key)| (key, origin))
            .collect();
        if !pinned.is_empty() {
            return Err(Unchangeable::Pinned(pinned));
        }
        let mut overrides = self.layers.overrides.clone();
        tree::merge(&mut overrides.values, changes);
        self.with(overrides)
    }

    /// This configuration without a listener.
    pub(crate) fn without_listener(&self, name: &str) -> Result<Self, Unchangeable> {
        let key = format!("listeners.{name}");
        if let Some(origin) = self.layers.pin(&key) {
            return Err(Unchangeable::Pinned(vec![(key, origin)]));
        }
        let mut overrides = self.layers.overrides.clone();
        tree::remove(&mut overrides.values, &key);
        if self.layers.has_listener_below(name) {
            overrides.removed_listeners.insert(name.to_owned());
        }
        self.with(overrides)
    }

    /// This configuration without the changes at these keys and below.
    pub(crate) fn cleared(&self, keys: &[String]) -> Result<Self, Unchangeable> {
        let mut overrides = self.layers.overrides.clone();
        keys.iter().for_each(|key| overrides.forget(key));
        self.with(overrides)
    }

    /// Puts the changes into the file that keeps them.
    pub(crate) fn store(&self, data_dir: &Path) -> Result<(), (PathBuf, io::Error)> {
        overrides::write(data_dir, &self.layers.overrides.to_text())
    }

    /// The keys whose values differ between two configurations, sorted.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (self.values(), other.values());
        let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        keys.into_iter().filter(|key| ours.get(*key) != theirs.get(*key)).cloned().collect()
    }

    fn with(&self, overrides: Overrides) -> Result<Self, Unchangeable> {
        let mut layers = self.layers.clone();
        layers.overrides = overrides;
        let judged = Self::judge(layers)?;
        // Judged with the origin `change`; kept with that of the file that it goes to.
        let path = self.config.data_dir.join(OVERRIDES_FILE);
        let mut layers = judged.layers;
        layers.overrides =
            Overrides::parse(&layers.overrides.to_text(), &path).map_err(ConfigErrors::from)?;
        Ok(Self::judge(layers)?)
    }

    /// Drops what is in effect already: a client that sends a whole configuration back changes
    /// what differs, and may name what it cannot change.
    fn drop_known(&self, changes: &mut Table) -> Result<(), Unchangeable> {
        let mut forced = self.merged.clone();
        tree::merge(&mut forced, changes.clone());
        let config = de::config(&forced).map_err(ConfigErrors::from)?;
        let (wanted, present) = (values(&config, &forced), self.values());
        for key in leaves_of(changes) {
            let known = match wanted.get(&key) {
                Some(value) => present.get(&key) == Some(value),
                // An empty section is news only if it makes something, such as a listener.
                None => {
                    let section = format!("{key}.");
                    let mut made = wanted.keys().filter(|made| made.starts_with(&section));
                    made.all(|made| present.contains_key(made))
                }
            };
            if known {
                tree::remove(changes, &key);
            }
        }
        Ok(())
    }

    fn values(&self) -> BTreeMap<String, toml::Value> {
        values(&self.config, &self.merged)
    }
}

/// Every value by its key. A secret, which no serialisation shows, is told from others by what the
/// layers say; it goes nowhere but into comparisons.
fn values(config: &Config, layers: &Table) -> BTreeMap<String, toml::Value> {
    let mut values = BTreeMap::new();
    if let Ok(table) = toml::Table::try_from(config) {
        collect("", &table, &mut values);
    }
    for (key, value) in &mut values {
        let name = key.rsplit('.').next().unwrap_or(key);
        if let Some(node) = tree::find(layers, key).filter(|_| is_secret(name)) {
            *value = tree::to_toml_value(node);
        }
    }
    values
}

fn collect(path: &str, table: &toml::Table, values: &mut BTreeMap<String, toml::Value>) {
    for (name, value) in table {
        let key = below(path, name);
        match value {
            toml::Value::Table(section) if !is_value(&key) => collect(&key, section, values),
            _ => {
                values.insert(key, value.clone());
            }
        }
    }
}

/// The keys that a table sets. An empty section is one: it makes a listener.
fn leaves_of(table: &Table) -> Vec<String> {
    fn walk(path: &str, table: &Table, keys: &mut Vec<String>) {
        for (name, node) in table {
            let key = below(path, name);
            match &node.value {
                Value::Table(section) if !section.is_empty() && !is_value(&key) => {
                    walk(&key, section, keys);
                }
                _ => keys.push(key),
            }
        }
    }
    let mut keys = Vec::new();
    walk("", table, &mut keys);
    keys
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A topic is one value, also when it is written as a table.
fn is_value(key: &str) -> bool {
    key.starts_with("lwm2m.topics.")
}

#[cfg(test)]
mod tests;
