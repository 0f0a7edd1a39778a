//! Object definitions: the built-in set and a directory of XML files, which is watched.
//!
//! What a definition means is the job of `lwm2m::model`. What became of each file is in
//! `directory`, looking again in `watch`, devices that state a version nobody has defined in
//! `versions`.

mod directory;
mod versions;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lwm2m::{Models, Version};
use parking_lot::{Mutex, RwLock};

use self::directory::{Directory, Pace};
pub use self::versions::{MissingVersions, VersionCheck};
pub use self::watch::watch;

/// Where definitions come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The directory of the XML files; it need not exist.
    pub directory: PathBuf,
    /// Whether the built-in set counts.
    pub builtin: bool,
}

/// The definitions in use. Whoever shows them shares it.
#[derive(Debug)]
pub struct Objects {
    origin: Mutex<Origin>,
    directory: Mutex<Directory>,
    loaded: RwLock<Arc<Loaded>>,
    counters: ObjectCounters,
}

/// The definitions at one moment, and what they were made of.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The set.
    pub models: Arc<Models>,
    /// Each definition of it, ascending by id and version.
    pub definitions: Vec<Definition>,
    /// Each file of the directory, by name.
    pub files: Vec<File>,
}

/// One definition in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Object id.
    pub id: u16,
    /// Object version.
    pub version: Version,
    /// Name of the object.
    pub name: Box<str>,
    /// The file it was read from; `None` for a built-in one.
    pub file: Option<Arc<str>>,
}

/// One file of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path.
    pub file: Arc<str>,
    /// What became of it.
    pub state: FileState,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Its definition is in use.
    InUse {
        /// Object id.
        id: u16,
        /// Object version.
        version: Version,
        /// Name of the object.
        name: Box<str>,
    },
    /// It repeats what another file or the built-in set says.
    Same {
        /// Object id.
        id: u16,
        /// Object version.
        version: Version,
    },
    /// It is XML but no object definition.
    NotADefinition,
    /// It is not used.
    Refused {
        /// Why.
        reason: String,
        /// Whether the definition that it held before is still in use.
        former: Former,
    },
}

/// What a file that cannot be used leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Former {
    /// The definition that it held before it changed stays in use: a slip of the pen in one file
    /// must not take a running fleet's definition away.
    Kept,
    /// Nothing.
    None,
}

/// What happened to definitions since the start.
#[derive(Debug, Default)]
pub struct ObjectCounters {
    /// Changes of the directory that were taken over.
    pub changes: AtomicU64,
}

impl Objects {
    /// Reads the definitions. Files that cannot be used are logged and passed over: a typo in one
    /// of them must not keep a fleet from being served.
    pub fn open(origin: Origin) -> Self {
        let mut directory = Directory::new(&origin);
        let loaded = directory.look(Pace::AtOnce).unwrap_or_else(|| directory.load());
        Self {
            origin: Mutex::new(origin),
            directory: Mutex::new(directory),
            loaded: RwLock::new(Arc::new(loaded)),
            counters: ObjectCounters::default(),
        }
    }

    /// The definitions in use and what became of each file.
    pub fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read())
    }

    /// The definitions in use.
    pub fn models(&self) -> Arc<Models> {
        Arc::clone(&self.loaded.read().models)
    }

    /// Takes definitions from elsewhere; in effect with the next look.
    pub fn set_origin(&self, origin: Origin) {
        *self.origin.lock() = origin;
    }

    /// What happened so far.
    pub const fn counters(&self) -> &ObjectCounters {
        &self.counters
    }

    /// Looks for changes; the definitions, if they are others now.
    ///
    /// A file counts when two looks found it the same: one that is still being written does not.
    pub fn look(&self) -> Option<Arc<Models>> {
        let mut directory = self.directory.lock();
        let origin = self.origin.lock().clone();
        let pace = if directory.move_to(&origin) { Pace::AtOnce } else { Pace::Settled };
        let loaded = Arc::new(directory.look(pace)?);
        self.counters.changes.fetch_add(1, Ordering::Relaxed);
        let models = Arc::clone(&loaded.models);
        *self.loaded.write() = loaded;
        Some(models)
    }
}

impl Loaded {
    /// Files that are not used.
    pub fn refused(&self) -> usize {
        let refused = |file: &&File| matches!(file.state, FileState::Refused { .. });
        self.files.iter().filter(refused).count()
    }
}

#[cfg(test)]
mod tests;
