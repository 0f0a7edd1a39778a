//! Layers to one checked configuration: flags over environment over overrides over file over
//! defaults.
//!
//! What a value must look like is the job of the section types; rules between keys are
//! [`super::check`]'s.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::{Warning, check};
use super::error::{ConfigError, ConfigErrors};
use super::layers::Layers;
use super::overrides::Overrides;
use super::tree::{self, Node, Origin, Table, Value};
use super::{Config, de};

/// What the start was given.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, if one was named.
    pub file: Option<PathBuf>,
    /// Environment variables; those without the prefix `LWM2M_GATEWAY__` are left alone.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags: the flag, the key it sets (segments joined by dots), the value.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

impl Sources {
    /// Nothing but a file, as `config check` looks at it.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self { file: Some(path), ..Self::default() }
    }
}

/// A configuration that passed every check.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings in effect.
    pub config: Config,
    /// Settings that were given but have no effect.
    pub warnings: Vec<Warning>,
    /// All layers as one.
    pub(super) merged: Table,
    pub(super) layers: Layers,
}

impl Loaded {
    /// A configuration that stands in no file. Its values count as those of a file without name.
    #[must_use]
    pub fn of(config: Config) -> Self {
        let table = toml::Table::try_from(&config).unwrap_or_default();
        let mut file = tree::from_toml(&table, &Origin::Default);
        // Secrets are masked whenever they are written.
        let mut secrets = vec![
            (vec!["http", "token"], config.http.token.reveal()),
            (vec!["mqtt", "external", "password"], config.mqtt.external.password.reveal()),
        ];
        for (name, key) in &config.http.api_keys {
            secrets.push((vec!["http", "api_keys", name, "secret"], key.secret.reveal()));
        }
        for (path, secret) in secrets {
            let node = Node { value: Value::String(secret.clone()), origin: Origin::Default };
            // The sections are there: the table was written from the same types.
            let _ = tree::insert(&mut file, &path, node);
        }
        let layers = Layers { file, ..Layers::default() };
        Self { config, warnings: Vec::new(), merged: layers.merged(), layers }
    }

    /// Merges the layers and checks the result.
    pub(super) fn judge(layers: Layers) -> Result<Self, ConfigErrors> {
        let merged = layers.merged();
        let config = de::config(&merged)?;
        let warnings = check(&config, &merged)?;
        Ok(Self { config, warnings, merged, layers })
    }

    /// Where the value of `key` (segments joined by dots) came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        tree::origin_of(&self.merged, key)
    }
}

const ENVIRONMENT_PREFIX: &str = "LWM2M_GATEWAY__";

/// Merges all layers and checks the result.
///
/// # Errors
/// A file that cannot be read or is not TOML, the first key that is unknown or has a bad value,
/// or every broken rule between keys.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigErrors> {
    let file = sources.file.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let environment = environment(&sources.environment)?;
    let flags = flags(&sources.flags)?;
    let data_dir = data_dir([&flags, &environment, &file]);
    let overrides = Overrides::read(&data_dir)?;
    Loaded::judge(Layers { file, overrides, environment, flags })
}

/// Checks a text as `config check` checks the file `path`.
///
/// # Errors
/// As [`load`].
pub fn judge(path: &Path, text: &str) -> Result<Loaded, ConfigErrors> {
    let file = tree::parse(text, path)?;
    Loaded::judge(Layers { file, ..Layers::default() })
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?;
    tree::parse(&text, path)
}

/// The overrides lie below `data_dir`, which the layers around them decide, the strongest first.
fn data_dir(layers: [&Table; 3]) -> PathBuf {
    let named = layers.into_iter().filter_map(|layer| layer.get("data_dir"));
    named
        .filter_map(|node| match &node.value {
            Value::Text(path) | Value::String(path) => Some(PathBuf::from(path)),
            _ => None,
        })
        .next()
        .unwrap_or_else(|| Config::default().data_dir)
}

/// `LWM2M_GATEWAY__LWM2M__LIFETIME_MAX` is `lwm2m.lifetime_max`.
fn environment(variables: &[(OsString, OsString)]) -> Result<Table, ConfigError> {
    let mut table = Table::new();
    // Sorted, so that which of two contradictory variables is named does not depend on chance.
    let mut variables: Vec<_> = variables.iter().collect();
    variables.sort();
    for (name, value) in variables {
        let name = name.to_string_lossy();
        let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
        let origin = Origin::Environment(Arc::from(&*name));
        let key = key.to_ascii_lowercase();
        let path: Vec<_> = key.split("__").collect();
        let Some(value) = value.to_str() else {
            return Err(ConfigError::other(origin, "is not valid UTF-8".to_owned()));
        };
        tree::insert(&mut table, &path, Node::text(&key, value, origin))?;
    }
    Ok(table)
}

fn flags(flags: &[(&'static str, &'static str, String)]) -> Result<Table, ConfigError> {
    let mut table = Table::new();
    for (flag, key, value) in flags {
        let path: Vec<_> = key.split('.').collect();
        tree::insert(&mut table, &path, Node::text(key, value, Origin::Flag(flag)))?;
    }
    Ok(table)
}
