//! `config import`: the LwM2M settings of EMQX as a configuration file of ours.
//!
//! Two kinds of file: `emqx_lwm2m.conf` of EMQX 4.x (`lines`), and any HOCON file of EMQX 5 with a
//! `gateway.lwm2m` block (`hocon`). What their keys mean here is in `emqx4` and `emqx5`, how it is
//! written in `target`. docs/migrating-from-emqx.md has the table of all keys.

mod emqx4;
mod emqx5;
mod hocon;
mod lines;
mod listener;
mod target;
mod value;

use std::fmt;
use std::path::Path;

use self::target::Target;
use crate::config;

/// A configuration made from one of EMQX, and what is to be known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Our file.
    pub toml: String,
    /// What has no counterpart or another meaning, in the order of the file.
    pub notes: Vec<Note>,
    /// Keys of ours with the line that each was made from.
    origins: Vec<(String, usize)>,
}

impl Imported {
    /// The line that a key of ours was made from.
    fn origin(&self, key: &str) -> Option<usize> {
        self.origins.iter().find(|(ours, _)| ours == key).map(|(_, line)| *line)
    }
}

/// Something that did not go over as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where it stands; `None` for what does not stand there.
    pub line: Option<usize>,
    /// The key of EMQX.
    pub key: String,
    /// What became of it.
    pub text: String,
}

/// Why a file cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where; lines count from 1.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

impl Fault {
    fn at(line: usize, text: impl Into<String>) -> Self {
        Self { line, text: text.into() }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}: {}", self.key, self.text)
    }
}

/// The largest file that is read: EMQX's own with every comment has 100 kB.
pub const FILE_LEN_MAX: u64 = 4 << 20;

/// Reads a file and turns it into a configuration of ours that passes every check.
///
/// # Errors
/// As [`import`]; and what the checks say about the result.
pub fn import_file(path: &Path) -> Result<Imported, Vec<Fault>> {
    let imported = import(path, &read(path).map_err(|fault| vec![fault])?)?;
    match config::judge(path, &imported.toml) {
        Ok(_) => Ok(imported),
        Err(errors) => {
            let fault = |error: &config::ConfigError| Fault {
                line: imported.origin(&error.key()).unwrap_or(1),
                text: format!("cannot be taken over: {}", error.without_place()),
            };
            Err(errors.0.iter().map(fault).collect())
        }
    }
}

fn read(path: &Path) -> Result<String, Fault> {
    let unreadable = |error: std::io::Error| Fault::at(1, format!("cannot be read: {error}"));
    let len = std::fs::metadata(path).map_err(unreadable)?.len();
    if len > FILE_LEN_MAX {
        return Err(Fault::at(1, format!("has {len} bytes; at most {FILE_LEN_MAX} are read")));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Turns a configuration of EMQX into one of ours.
///
/// # Errors
/// Every value that cannot be understood, with its line; or the first place where the file is
/// neither kind.
pub fn import(path: &Path, text: &str) -> Result<Imported, Vec<Fault>> {
    let mut target = Target::default();
    if lines::is_emqx4(text) {
        let entries = lines::parse(text).map_err(|fault| vec![fault])?;
        emqx4::import(&entries, &mut target);
        target.finish(path, "EMQX 4.x")
    } else {
        let root = hocon::parse(text).map_err(|fault| vec![fault])?;
        emqx5::import(&root, &mut target)?;
        target.finish(path, "EMQX 5")
    }
}

#[cfg(test)]
mod tests;
