//! What is wrong with a scenario, with file and line.

use std::io;
use std::path::{Path, PathBuf};

use crate::address::AddressError;
use crate::config::ConfigError;

/// A scenario that describes no fleet.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// A file that cannot be read.
    #[error("{}: {source}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that is no scenario.
    #[error("{}:{line}: {problem}", .path.display())]
    Fault {
        /// Which file.
        path: PathBuf,
        /// In which line, counted from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// Groups that have more devices than the fleet.
    #[error("the groups have {counted} devices already, and the fleet shall have {count}")]
    TooFew {
        /// Those of the fleet.
        count: usize,
        /// Those of the groups that state a count.
        counted: usize,
    },
    /// A count of the fleet that no group can follow.
    #[error("the groups have {counted} devices, not {count}: give them `share` instead of `count`")]
    NoShares {
        /// That of the fleet.
        count: usize,
        /// That of the groups.
        counted: usize,
    },
    /// Shares of nothing.
    #[error("groups with `share` need the `count` of the fleet")]
    NoCount,
    /// A rate that is no rate, or whose period is too short or too long.
    #[error("group `{group}`: a rate of {rate} notifications per second is out of range")]
    Rate {
        /// Which group.
        group: String,
        /// What it shall be.
        rate: f64,
    },
    /// The server cannot be found.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Such a fleet cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl ScenarioError {
    /// A fault that the TOML reader found.
    pub(super) fn of_toml(path: &Path, text: &str, fault: &toml::de::Error) -> Self {
        let at = fault.span().map_or(0, |span| span.start);
        Self::at(path, text, at, fault.message().to_owned())
    }

    /// A fault at a byte of the text.
    pub(super) fn at(path: &Path, text: &str, at: usize, problem: String) -> Self {
        let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self::Fault { path: path.to_owned(), line, problem }
    }
}
