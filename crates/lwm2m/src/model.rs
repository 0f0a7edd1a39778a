//! Object definitions, several versions side by side: OMA Core 7.2, Appendix D.
//!
//! Immutable once built, so that shards share one set behind an `Arc`. Reading files is the job of
//! `gateway`.

mod object;
mod view;

use std::collections::BTreeMap;

pub use object::{Multiplicity, ObjectModel, Operations, Presence, ResourceModel};
pub use view::{ModelView, ObjectVersion};

use crate::Version;

/// A set of object definitions.
#[derive(Debug, Clone, Default)]
pub struct Models {
    objects: BTreeMap<(u16, Version), ObjectModel>,
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

    /// The definitions that are part of the product.
    pub fn builtin() -> Self {
        Self::empty()
    }

    /// The definition of an object in this version, else the nearest one; without a version the latest.
    pub fn lookup(&self, object: u16, version: Option<Version>) -> Option<&ObjectModel> {
        self.find(object, version).map(|found| found.model)
    }

    /// As [`Models::lookup`], and says whether it is the very version.
    ///
    /// Nearest is the highest older version, since a definition only ever grows within a major
    /// version; else the lowest newer one.
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
        self.objects.range(first..=last).map(|(_, model)| model)
    }
}
