//! One directory of XML files: which are there, which changed, and the set they make.
//!
//! Files are told apart by size, time and inode as a symbolic link leads to them, not by
//! notifications of the kernel: those do not reach network and overlay file systems, nor a mounted
//! configuration that is swapped by a link. A look costs one `stat` a file.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lwm2m::Models;
use lwm2m::model::xml::{self, XmlError};
use lwm2m::model::{FileOutcome, ModelsBuilder, ObjectModel};

use super::{Definition, File, FileState, Former, Loaded, Origin};

/// The largest file that is read. The largest definition of the registry has 68 kB.
const FILE_LEN_MAX: u64 = 1 << 20;

/// Files that are looked at; the registry has 327 and 424 with all former versions. What is beyond
/// is passed over with a warning: 4 096 `stat` calls are 5 ms a look.
const FILES_MAX: usize = 4_096;

/// When a file that changed is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// At once: the gateway starts.
    AtOnce,
    /// When two looks in turn find it the same.
    Settled,
}

/// The files that were found so far.
#[derive(Debug)]
pub(super) struct Directory {
    origin: Origin,
    files: BTreeMap<PathBuf, Seen>,
    /// What was said of each file, so that only changes are logged.
    said: BTreeMap<Arc<str>, FileState>,
    /// What was said of the directory itself.
    fault: Option<String>,
}

/// A file as it was found last.
#[derive(Debug)]
struct Seen {
    name: Arc<str>,
    /// `None`: it was not there.
    print: Option<Print>,
    is_settled: bool,
    content: Content,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    len: u64,
    seconds: i64,
    nanoseconds: i64,
    inode: u64,
}

/// What a file held when it was read last.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    Unread,
    Definition(Arc<ObjectModel>),
    NotADefinition,
    /// Why it cannot be used, and what it held before.
    Unusable(String, Option<Arc<ObjectModel>>),
}

impl Directory {
    pub(super) fn new(origin: &Origin) -> Self {
        let origin = origin.clone();
        Self { origin, files: BTreeMap::new(), said: BTreeMap::new(), fault: None }
    }

    /// Looks elsewhere from now on; whether that is news.
    pub(super) fn move_to(&mut self, origin: &Origin) -> bool {
        let is_new = self.origin != *origin;
        if is_new {
            let said = std::mem::take(&mut self.said);
            *self = Self { said, ..Self::new(origin) };
        }
        is_new
    }

    /// Looks at the directory; the definitions, if they are others than before.
    pub(super) fn look(&mut self, pace: Pace) -> Option<Loaded> {
        let found = match find(&self.origin.directory) {
            Ok((found, Extent::Whole)) => {
                self.fault = None;
                found
            }
            Ok((found, Extent::Cut)) => {
                self.report_fault(format!("more than {FILES_MAX} files; the rest is passed over"));
                found
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.fault = None;
                BTreeMap::new()
            }
            // What was read stays: a directory that cannot be read now says nothing about it.
            Err(error) => {
                self.report_fault(error.to_string());
                return None;
            }
        };
        let mut changed = pace == Pace::AtOnce;
        for path in found.keys() {
            self.files.entry(path.clone()).or_insert_with(|| Seen::new(path));
        }
        for (path, seen) in &mut self.files {
            changed |= seen.look(path, found.get(path).copied(), pace);
        }
        self.files.retain(|_, seen| seen.print.is_some() || !seen.is_settled);
        changed.then(|| self.load())
    }

    /// The set that the files make, and what became of each.
    pub(super) fn load(&mut self) -> Loaded {
        let base = if self.origin.builtin { Models::builtin() } else { Models::empty() };
        let mut builder = ModelsBuilder::new(base);
        let files: Vec<File> = self
            .files
            .values()
            .filter(|seen| seen.content != Content::Unread)
            .map(|seen| File { file: Arc::clone(&seen.name), state: seen.add_to(&mut builder) })
            .collect();
        self.log(&files);
        let definitions = builder.models().iter().map(|model| Definition {
            id: model.id,
            version: model.version,
            name: model.name.clone(),
            file: builder.source(model.id, model.version).cloned(),
        });
        let definitions = definitions.collect();
        Loaded { models: Arc::new(builder.finish()), definitions, files }
    }

    fn report_fault(&mut self, reason: String) {
        if self.fault.as_ref() != Some(&reason) {
            let directory = self.origin.directory.display();
            tracing::warn!(event = "xml_dir_unreadable", %directory, reason);
            self.fault = Some(reason);
        }
    }

    /// Says what is new.
    fn log(&mut self, files: &[File]) {
        let mut said = std::mem::take(&mut self.said);
        for File { file, state } in files {
            let before = said.remove(file);
            if before.as_ref() != Some(state) {
                log_state(file, state);
            }
            self.said.insert(Arc::clone(file), state.clone());
        }
        for (file, state) in said {
            match state {
                FileState::InUse { id, version, name } => {
                    let (file, name) = (&*file, &*name);
                    tracing::info!(event = "object_removed", file, id, %version, name);
                }
                _ => tracing::info!(event = "object_file_removed", file = &*file),
            }
        }
    }
}

impl Seen {
    fn new(path: &Path) -> Self {
        let name = path.display().to_string().into();
        Self { name, print: None, is_settled: false, content: Content::Unread }
    }

    /// Takes what a look found; whether the file means something else now.
    fn look(&mut self, path: &Path, print: Option<Print>, pace: Pace) -> bool {
        if self.print != print {
            self.print = print;
            self.is_settled = false;
            if pace == Pace::Settled {
                return false;
            }
        }
        if self.is_settled {
            return false;
        }
        self.is_settled = true;
        let content = match print {
            Some(print) => self.read(path, print.len),
            None => Content::Unread,
        };
        let is_new = content != self.content;
        self.content = content;
        is_new
    }

    fn read(&mut self, path: &Path, len: u64) -> Content {
        let unusable = |reason, content: &mut Content| {
            let former = match std::mem::replace(content, Content::Unread) {
                Content::Definition(model) | Content::Unusable(_, Some(model)) => Some(model),
                _ => None,
            };
            Content::Unusable(reason, former)
        };
        if len > FILE_LEN_MAX {
            let reason = format!("{len} bytes; at most {FILE_LEN_MAX} are read");
            return unusable(reason, &mut self.content);
        }
        match std::fs::read(path).map(|bytes| xml::parse(&bytes)) {
            Ok(Ok(model)) => Content::Definition(Arc::new(model)),
            Ok(Err(XmlError::NotADefinition)) => Content::NotADefinition,
            Ok(Err(error)) => unusable(error.to_string(), &mut self.content),
            Err(error) => unusable(error.to_string(), &mut self.content),
        }
    }

    fn add_to(&self, builder: &mut ModelsBuilder) -> FileState {
        match &self.content {
            Content::Unread | Content::NotADefinition => FileState::NotADefinition,
            Content::Definition(model) => match builder.add_model(&self.name, Arc::clone(model)) {
                FileOutcome::Loaded { id, version, name } => FileState::InUse { id, version, name },
                FileOutcome::Same { id, version } => FileState::Same { id, version },
                FileOutcome::NotADefinition => FileState::NotADefinition,
                FileOutcome::Refused(refusal) => {
                    FileState::Refused { reason: refusal.to_string(), former: Former::None }
                }
            },
            Content::Unusable(reason, former) => {
                let kept = former.as_ref().is_some_and(|model| {
                    let outcome = builder.add_model(&self.name, Arc::clone(model));
                    matches!(outcome, FileOutcome::Loaded { .. } | FileOutcome::Same { .. })
                });
                let former = if kept { Former::Kept } else { Former::None };
                FileState::Refused { reason: reason.clone(), former }
            }
        }
    }
}

/// Whether all files of a directory were looked at.
enum Extent {
    Whole,
    Cut,
}

/// The XML files of a directory by path, so that of two that conflict the first one counts.
fn find(directory: &Path) -> io::Result<(BTreeMap<PathBuf, Print>, Extent)> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if !path.extension().is_some_and(|end| end.eq_ignore_ascii_case("xml")) {
            continue;
        }
        if files.len() == FILES_MAX {
            return Ok((files, Extent::Cut));
        }
        // Gone between the two calls: the next look will not find it.
        let Ok(data) = std::fs::metadata(&path) else { continue };
        if data.is_file() {
            let (seconds, nanoseconds) = (data.mtime(), data.mtime_nsec());
            files.insert(path, Print { len: data.len(), seconds, nanoseconds, inode: data.ino() });
        }
    }
    Ok((files, Extent::Whole))
}

fn log_state(file: &str, state: &FileState) {
    match state {
        FileState::InUse { id, version, name } => {
            tracing::info!(event = "object_loaded", file, id, %version, name = &**name);
        }
        FileState::Same { id, version } => {
            tracing::debug!(event = "object_known", file, id, %version);
        }
        FileState::NotADefinition => tracing::debug!(event = "object_passed_over", file),
        FileState::Refused { reason, former } => {
            tracing::warn!(event = "object_refused", file, reason, ?former);
        }
    }
}
