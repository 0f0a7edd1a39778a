//! Paths into the data model of a device: OMA Core 7.2, 7.3.
//!
//! A path is up to four numeric ids. The device's alternate path (OMA Transport 6.4.1) is not part
//! of it: the engine puts that in front of each request.

use core::fmt;
use core::str::FromStr;

/// The reserved id (MAX_ID, OMA Core 7.3): no object, instance or resource may have it.
pub const MAX_ID: u16 = u16::MAX;

/// A path of zero (the root) to four ids: object, instance, resource, resource instance.
///
/// Copied freely: 10 bytes, and so is `Option<Path>`. The order is that of the ids, a parent before
/// its children.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// Ids behind `level` are zero, so that the derived comparisons hold.
    ids: [u16; 4],
    level: Level,
}

/// How deep a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// `/`: the whole device.
    Root,
    /// `/3`: an object.
    Object,
    /// `/3/0`: an object instance.
    Instance,
    /// `/3/0/9`: a resource.
    Resource,
    /// `/3/0/6/1`: one instance of a multiple resource.
    ResourceInstance,
}

impl Path {
    /// The root, `/`.
    pub const ROOT: Self = Self { ids: [0; 4], level: Level::Root };

    /// `/object`. Not checked against [`MAX_ID`]: input goes through [`Path::parse`],
    /// [`Path::from_ids`] or [`Path::child`].
    pub const fn object(object: u16) -> Self {
        Self { ids: [object, 0, 0, 0], level: Level::Object }
    }

    /// `/object/instance`; see [`Path::object`] for the ids.
    pub const fn instance(object: u16, instance: u16) -> Self {
        Self { ids: [object, instance, 0, 0], level: Level::Instance }
    }

    /// `/object/instance/resource`; see [`Path::object`] for the ids.
    pub const fn resource(object: u16, instance: u16, resource: u16) -> Self {
        Self { ids: [object, instance, resource, 0], level: Level::Resource }
    }

    /// `/object/instance/resource/resource instance`; see [`Path::object`] for the ids.
    pub const fn resource_instance(
        object: u16,
        instance: u16,
        resource: u16,
        resource_instance: u16,
    ) -> Self {
        Self {
            ids: [object, instance, resource, resource_instance],
            level: Level::ResourceInstance,
        }
    }

    /// A path of these ids; `None` when there are more than four or one is [`MAX_ID`].
    pub fn from_ids(ids: &[u16]) -> Option<Self> {
        ids.iter().try_fold(Self::ROOT, |path, id| path.child(*id))
    }

    /// Reads `/3/0/0`, `3/0`, `/3/0/` or `/`; one slash at each end is optional.
    ///
    /// An id is one to five decimal digits below [`MAX_ID`]. The empty text is the root.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let inner = text.strip_prefix('/').unwrap_or(text);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.is_empty() {
            return if text.len() <= 1 { Ok(Self::ROOT) } else { Err(PathError::EmptySegment) };
        }
        inner.split('/').try_fold(Self::ROOT, |path, segment| {
            let id = parse_id(segment)?;
            path.child(id).ok_or(if id == MAX_ID {
                PathError::Reserved
            } else {
                PathError::TooDeep
            })
        })
    }

    /// The ids of the path, none for the root.
    pub fn ids(&self) -> &[u16] {
        self.ids.get(..self.len()).unwrap_or(&self.ids)
    }

    /// How many ids the path has, 0 to 4.
    #[allow(clippy::len_without_is_empty)] // `is_root` is its name here.
    pub const fn len(&self) -> usize {
        self.level as usize
    }

    /// How deep the path is.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Whether this is `/`.
    pub const fn is_root(&self) -> bool {
        matches!(self.level, Level::Root)
    }

    /// The path without its last id; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, ids) = self.ids().split_last()?;
        // Built from ids that are in a path already, so they are not looked at again.
        let mut parent = Self::ROOT;
        for id in ids {
            parent = parent.with(*id)?;
        }
        Some(parent)
    }

    /// The path with one more id; `None` for a fifth one and for [`MAX_ID`].
    pub fn child(&self, id: u16) -> Option<Self> {
        if id == MAX_ID { None } else { self.with(id) }
    }

    fn with(&self, id: u16) -> Option<Self> {
        let mut child = *self;
        *child.ids.get_mut(self.len())? = id;
        child.level = self.level.below()?;
        Some(child)
    }

    /// The first `len` ids of the path, or the path itself when it is not longer.
    pub fn truncated(&self, len: usize) -> Self {
        let mut path = *self;
        while path.len() > len {
            let Some(parent) = path.parent() else { break };
            path = parent;
        }
        path
    }

    /// Whether `prefix` is this path or one above it.
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.ids().starts_with(prefix.ids())
    }

    /// The object id; `None` for the root.
    pub fn object_id(&self) -> Option<u16> {
        self.ids().first().copied()
    }

    /// The object instance id, if the path goes that deep.
    pub fn instance_id(&self) -> Option<u16> {
        self.ids().get(1).copied()
    }

    /// The resource id, if the path goes that deep.
    pub fn resource_id(&self) -> Option<u16> {
        self.ids().get(2).copied()
    }

    /// The resource instance id, if the path goes that deep.
    pub fn resource_instance_id(&self) -> Option<u16> {
        self.ids().get(3).copied()
    }
}

impl Level {
    const fn below(self) -> Option<Self> {
        match self {
            Self::Root => Some(Self::Object),
            Self::Object => Some(Self::Instance),
            Self::Instance => Some(Self::Resource),
            Self::Resource => Some(Self::ResourceInstance),
            Self::ResourceInstance => None,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str("/");
        }
        self.ids().iter().try_for_each(|id| write!(f, "/{id}"))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({self})")
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

/// Why a text is not a [`Path`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Two slashes in a row.
    #[error("a path must not have an empty segment")]
    EmptySegment,
    /// A segment that is not a decimal number of one to five digits below 65536.
    #[error("each segment of a path must be a number below 65535")]
    NotAnId,
    /// An id of 65535.
    #[error("the id 65535 is reserved")]
    Reserved,
    /// More than four segments.
    #[error("a path has at most four segments")]
    TooDeep,
}

fn parse_id(segment: &str) -> Result<u16, PathError> {
    if segment.is_empty() {
        return Err(PathError::EmptySegment);
    }
    // `u16::from_str` takes a sign, which no path has.
    if segment.len() > 5 || !segment.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PathError::NotAnId);
    }
    segment.parse().map_err(|_| PathError::NotAnId)
}

#[cfg(test)]
mod tests;
