//! Layers to one checked configuration: flags over environment over overrides over file over
//! defaults.
//!
//! What a value must look like is the job of the section types; rules between keys are
//! [`super::check`]'s.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::{Warning, check};
use super::error::{ConfigError, ConfigErrors};
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
    pub(super) layers: Table,
}

impl Loaded {
    /// Where the value of `key` (segments joined by dots) came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        tree::origin_of(&self.layers, key)
    }
}

/// The file below `data_dir` that keeps what was changed over REST.
pub const OVERRIDES_FILE: &str = "overrides.toml";

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
    let mut layers = file;
    if let Some(overrides) = overrides(&layers, [&environment, &flags])? {
        tree::merge(&mut layers, overrides);
    }
    tree::merge(&mut layers, environment);
    tree::merge(&mut layers, flags);
    let config = de::config(&layers)?;
    let warnings = check(&config, &layers)?;
    Ok(Loaded { config, warnings, layers })
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    tree::parse(&text, path)
}

fn unreadable(path: &Path, error: &std::io::Error) -> ConfigError {
    let origin = Origin::File { path: path.into(), line: 1 };
    ConfigError::other(origin, format!("cannot be read: {error}"))
}

/// The overrides lie below `data_dir`, which the layers around them decide.
fn overrides(file: &Table, above: [&Table; 2]) -> Result<Option<Table>, ConfigError> {
    let layers = above.into_iter().rev().chain([file]);
    let data_dir =
        layers.filter_map(|layer| layer.get("data_dir")).find_map(|node| match &node.value {
            Value::Text(path) | Value::String(path) => Some(PathBuf::from(path)),
            _ => None,
        });
    let path = data_dir.unwrap_or_else(|| Config::default().data_dir).join(OVERRIDES_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&path, &error)),
    };
    let table = tree::parse(&text, &path)?;
    match table.get("data_dir") {
        None => Ok(Some(table)),
        Some(node) => Err(ConfigError::of_key(
            node.origin.clone(),
            "data_dir",
            "cannot be changed from inside of data_dir".to_owned(),
        )),
    }
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
