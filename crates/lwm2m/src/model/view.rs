//! The definitions as one device means them: each object in the version the device registered.

use super::{Models, ObjectModel, ResourceModel};
use crate::{Path, Version};

/// An object that a device has, and the version it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectVersion {
    /// Object id.
    pub object: u16,
    /// What `ver` said; `None` when it was missing.
    pub version: Option<Version>,
}

/// [`Models`] seen with the object versions of one device. Copied freely.
#[derive(Debug, Clone, Copy)]
pub struct ModelView<'a> {
    models: &'a Models,
    /// Ascending by object id.
    versions: &'a [ObjectVersion],
}

impl<'a> ModelView<'a> {
    /// `versions` are ascending by object id, as a registration keeps them; objects that are not in it
    /// are looked up in their latest version.
    pub const fn new(models: &'a Models, versions: &'a [ObjectVersion]) -> Self {
        Self { models, versions }
    }

    /// The definition of an object.
    pub fn object(&self, object: u16) -> Option<&'a ObjectModel> {
        self.models.lookup(object, self.version(object))
    }

    /// The definition of the resource that a path of three or four ids leads to.
    pub fn resource(&self, path: &Path) -> Option<&'a ResourceModel> {
        self.object(path.object_id()?)?.resource(path.resource_id()?)
    }

    /// All definitions.
    pub const fn models(&self) -> &'a Models {
        self.models
    }

    fn version(&self, object: u16) -> Option<Version> {
        let index = self.versions.binary_search_by_key(&object, |entry| entry.object).ok()?;
        self.versions.get(index)?.version
    }
}
