//! `overrides.toml`: what an operator changed while the gateway ran (design, section 5).
//!
//! The gateway alone writes this file; it is a configuration file with one more key,
//! `removed_listeners`, for what the file below has and the operator removed. Applying a change is
//! the job of [`crate::control`].

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::tree::{self, Table};

/// The file below `data_dir`.
pub const OVERRIDES_FILE: &str = "overrides.toml";

const REMOVED: &str = "removed_listeners";

/// What was changed at run time.
#[derive(Clone, Debug, Default)]
pub(super) struct Overrides {
    /// As in a configuration file.
    pub(super) values: Table,
    /// Listeners of the layers below that were removed.
    pub(super) removed_listeners: BTreeSet<String>,
}

impl Overrides {
    /// Reads the file below `data_dir`; a missing one has nothing in it.
    pub(super) fn read(data_dir: &Path) -> Result<Self, ConfigError> {
        let path = data_dir.join(OVERRIDES_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(ConfigError::unreadable(&path, &error)),
        }
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut values = tree::parse(text, path)?;
        if let Some(node) = values.get("data_dir") {
            return Err(ConfigError::of_key(node.origin.clone(), "data_dir", FIXED.to_owned()));
        }
        let removed = values.remove(REMOVED);
        let removed_listeners = match &removed {
            Some(node) => node.texts().ok_or_else(|| {
                let expected = "expected a list of names".to_owned();
                ConfigError::of_key(node.origin.clone(), REMOVED, expected)
            })?,
            None => Vec::new(),
        };
        Ok(Self { values, removed_listeners: removed_listeners.into_iter().collect() })
    }

    /// The text of the file.
    pub(super) fn to_text(&self) -> String {
        let mut table = toml::Table::new();
        if !self.removed_listeners.is_empty() {
            let names = self.removed_listeners.iter().map(|name| name.as_str().into()).collect();
            table.insert(REMOVED.to_owned(), toml::Value::Array(names));
        }
        table.extend(tree::to_toml(&self.values));
        format!("{HEADER}{table}")
    }

    /// Whether any of it is about listeners.
    pub(super) fn concern_listeners(&self) -> bool {
        !self.removed_listeners.is_empty() || self.values.contains_key("listeners")
    }

    /// Forgets what stands at `key` and below; everything for an empty key.
    pub(super) fn forget(&mut self, key: &str) {
        match key {
            "" => *self = Self::default(),
            "listeners" => self.removed_listeners.clear(),
            _ => {
                if let Some(name) = key.strip_prefix("listeners.") {
                    self.removed_listeners.remove(name);
                }
            }
        }
        tree::remove(&mut self.values, key);
    }
}

/// What is to be said of `data_dir` in the overrides.
pub(super) const FIXED: &str = "cannot be changed from inside of data_dir";

const HEADER: &str = "\
# Changes made while the gateway ran. They win over the configuration file and lose to environment
# variables and flags. The gateway writes this file: change it while it is stopped, or clear a key
# over REST; comments are not kept.
";

/// Puts `text` in the place of the file below `data_dir`: whole or not at all, also when the power
/// fails meanwhile. It may hold secrets, so nobody else may read it.
pub(super) fn write(data_dir: &Path, text: &str) -> Result<(), (PathBuf, io::Error)> {
    let path = data_dir.join(OVERRIDES_FILE);
    let draft = path.with_extension("toml.new");
    write_draft(&draft, text).map_err(|error| (draft.clone(), error))?;
    fs::rename(&draft, &path)
        .and_then(|()| File::open(data_dir)?.sync_all())
        .map_err(|error| (path, error))
}

fn write_draft(draft: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
