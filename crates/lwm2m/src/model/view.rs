//! The definitions as one device means them: each object in the version the device registered.

use super::{Models, ObjectModel, ResourceModel, default_version};
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
    /// What the device speaks; says what a missing version means.
    enabler: Option<Version>,
}

impl<'a> ModelView<'a> {
    /// `versions` are ascending by object id, as a registration keeps them; objects that are not in
    /// it or have no version are looked up in their latest one.
    pub const fn new(models: &'a Models, versions: &'a [ObjectVersion]) -> Self {
        Self { models, versions, enabler: None }
    }

    /// The same for a device that speaks this version of LwM2M: registered objects without a
    /// version are those of that enabler ([`default_version`]).
    pub const fn with_enabler(self, enabler: Option<Version>) -> Self {
        Self { enabler, ..self }
    }

    /// The definition of an object.
    pub fn object(&self, object: u16) -> Option<&'a ObjectModel> {
        self.models.lookup(object, self.version(object))
    }

    /// The definition of the resource that a path of three or four ids leads to.
    ///
    /// Devices that forget `ver`, or state an older one, send resources of newer versions all the
    /// same; an id keeps its meaning within a major version, so the newest definition of it is
    /// taken then.
    pub fn resource(&self, path: &Path) -> Option<&'a ResourceModel> {
        let (object, id) = (path.object_id()?, path.resource_id()?);
        let model = self.object(object)?;
        model.resource(id).or_else(|| {
            self.models
                .versions(object)
                .rev()
                .filter(|other| other.version.major == model.version.major)
                .find_map(|other| other.resource(id))
        })
    }

    /// The version that an object of this device has; `None` when the latest is meant.
    pub fn version(&self, object: u16) -> Option<Version> {
        let index = self.versions.binary_search_by_key(&object, |entry| entry.object).ok()?;
        let stated = self.versions.get(index)?.version;
        stated.or_else(|| self.enabler.map(|enabler| default_version(object, enabler)))
    }

    /// All definitions.
    pub const fn models(&self) -> &'a Models {
        self.models
    }
}
