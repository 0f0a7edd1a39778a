//! Object definitions, several versions side by side: OMA Core 7.2, Appendix D.
//!
//! Immutable once built, so that shards share one set behind an `Arc`. Finding and reading the
//! files is the job of `gateway`.

mod builder;
mod builtin;
mod object;
mod versions;
mod view;
pub mod xml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use builder::{FileOutcome, ModelsBuilder, RefusedFile};
pub use object::{Multiplicity, ObjectModel, Operations, Presence, ResourceModel};
pub use versions::default_version;
pub use view::{ModelView, ObjectVersion};

use crate::Version;

/// A set of object definitions. Copies share the definitions.
#[derive(Debug, Clone, Default)]
pub struct Models {
    objects: BTreeMap<(u16, Version), Arc<ObjectModel>>,
}

/// A definition found by [`Models::find`], and how well it fits what was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The definition.
    pub model: &'a ObjectModel,
    /// How well it fits.
    pub fit: Fit,
}

/// How well a definition fits the version that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The very version, or the latest where none was asked for.
    Exact,
    /// There is no definition of that version; this is the one nearest to it.
    Nearest,
}

impl Models {
    /// No definitions.
    pub const fn empty() -> Self {
        Self { objects: BTreeMap::new() }
    }

    /// The definitions that are part of the product: the objects of the enabler (0 to 7, 21, 23,
    /// 25, 26), its common companions, the sensors and actuators of IPSO, and OMA's test objects.
    pub fn builtin() -> Self {
        builtin::models()
    }

    /// The definition of an object in this version, else the nearest one; without a version the
    /// latest.
    pub fn lookup(&self, object: u16, version: Option<Version>) -> Option<&ObjectModel> {
        self.find(object, version).map(|found| found.model)
    }

    /// As [`Models::lookup`], and says whether it is the very version.
    ///
    /// Nearest is the highest older version, since a definition only grows within a major version;
    /// else the lowest newer one.
    pub fn find(&self, object: u16, version: Option<Version>) -> Option<Found<'_>> {
        let Some(version) = version else {
            let model = self.versions(object).next_back()?;
            return Some(Found { model, fit: Fit::Exact });
        };
        if let Some(model) = self.objects.get(&(object, version)) {
            return Some(Found { model, fit: Fit::Exact });
        }
        let older = self.versions(object).rfind(|model| model.version < version);
        let model = older.or_else(|| self.versions(object).next())?;
        Some(Found { model, fit: Fit::Nearest })
    }

    /// All versions of an object, oldest first.
    pub fn versions(&self, object: u16) -> impl DoubleEndedIterator<Item = &ObjectModel> {
        let first = (object, Version::new(0, 0));
        let last = (object, Version::new(u16::MAX, u16::MAX));
        self.objects.range(first..=last).map(|(_, model)| &**model)
    }

    /// All definitions, ascending by id and version.
    pub fn iter(&self) -> impl Iterator<Item = &ObjectModel> {
        self.objects.values().map(|model| &**model)
    }

    /// How many definitions there are, each version counted.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}
