//! Building a set of definitions from files: what happens to each is said, so that it can be
//! logged.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::xml::{self, XmlError};
use super::{Models, ObjectModel};
use crate::Version;

/// Adds files to a set of definitions.
///
/// A definition from a file takes the place of a built-in one of the same id and version: who puts
/// a file there means it. Two files must not differ about one.
#[derive(Debug, Clone, Default)]
pub struct ModelsBuilder {
    models: Models,
    /// Which file a definition came from; none for a built-in one.
    sources: BTreeMap<(u16, Version), Arc<str>>,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOutcome {
    /// It defines an object that is in the set now.
    Loaded {
        /// Object id.
        id: u16,
        /// Object version.
        version: Version,
        /// Name of the object.
        name: Box<str>,
    },
    /// The set has this very definition already, from another file or built in.
    Same {
        /// Object id.
        id: u16,
        /// Object version.
        version: Version,
    },
    /// It is well-formed XML but no object definition, as the index files of the registry.
    NotADefinition,
    /// It was not taken.
    Refused(RefusedFile),
}

/// Why a file was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedFile {
    /// It cannot be read as an object definition.
    #[error("{file}: {error}")]
    Unreadable {
        /// Name of the file.
        file: String,
        /// Why not.
        error: XmlError,
    },
    /// Another file defines the same version of the object differently.
    #[error("{file} differs from {other} about object {id} in version {version}")]
    Conflict {
        /// Name of the file.
        file: String,
        /// Name of the file that came first; its definition stays.
        other: Arc<str>,
        /// Object id.
        id: u16,
        /// Object version.
        version: Version,
    },
}

impl ModelsBuilder {
    /// Begins with these definitions, [`Models::builtin`] or [`Models::empty`].
    pub fn new(base: Models) -> Self {
        Self { models: base, sources: BTreeMap::new() }
    }

    /// Adds the content of a file; `name` is for messages only.
    ///
    /// Of two that conflict the first stays, so files are best added in the order of their names.
    pub fn add_file(&mut self, name: &str, bytes: &[u8]) -> FileOutcome {
        match xml::parse(bytes) {
            Ok(model) => self.add_model(name, Arc::new(model)),
            Err(XmlError::NotADefinition) => FileOutcome::NotADefinition,
            Err(error) => {
                FileOutcome::Refused(RefusedFile::Unreadable { file: name.to_owned(), error })
            }
        }
    }

    /// Adds what [`xml::parse`] read from the file, so that a file that did not change need not be
    /// read again. Otherwise as [`ModelsBuilder::add_file`].
    pub fn add_model(&mut self, file: &str, model: Arc<ObjectModel>) -> FileOutcome {
        let key @ (id, version) = (model.id, model.version);
        if self.models.objects.get(&key) == Some(&model) {
            self.sources.entry(key).or_insert_with(|| file.into());
            return FileOutcome::Same { id, version };
        }
        if let Some(other) = self.sources.get(&key) {
            let (file, other) = (file.to_owned(), Arc::clone(other));
            return FileOutcome::Refused(RefusedFile::Conflict { file, other, id, version });
        }
        let name = model.name.clone();
        self.sources.insert(key, file.into());
        self.models.objects.insert(key, model);
        FileOutcome::Loaded { id, version, name }
    }

    /// Which file the definition of an object comes from; none for a built-in one.
    pub fn source(&self, id: u16, version: Version) -> Option<&Arc<str>> {
        self.sources.get(&(id, version))
    }

    /// Everything that was taken so far.
    pub const fn models(&self) -> &Models {
        &self.models
    }

    /// The set with everything that was taken.
    pub fn finish(self) -> Models {
        self.models
    }
}
