//! One object definition and its resources.

use crate::{DataType, Version};

/// The definition of one version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectModel {
    /// Object id.
    pub id: u16,
    /// Object version.
    pub version: Version,
    /// Name.
    pub name: Box<str>,
    /// One instance or many.
    pub multiplicity: Multiplicity,
    /// Whether a device must have it.
    pub presence: Presence,
    /// The resources, ascending by id.
    pub resources: Box<[ResourceModel]>,
}

/// The definition of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceModel {
    /// Resource id.
    pub id: u16,
    /// Name.
    pub name: Box<str>,
    /// What a server may do with it.
    pub operations: Operations,
    /// One value or several instances.
    pub multiplicity: Multiplicity,
    /// Whether an instance must have it.
    pub presence: Presence,
    /// Type of the value.
    pub data_type: DataType,
}

/// How many instances there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Multiplicity {
    /// One.
    Single,
    /// Any number, each with an id.
    Multiple,
}

/// Whether it must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// It must.
    Mandatory,
    /// It may.
    Optional,
}

/// What a server may do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operations {
    /// Nothing: only the bootstrap server has access.
    Bootstrap,
    /// Read (and observe).
    Read,
    /// Write.
    Write,
    /// Read and write.
    ReadWrite,
    /// Execute.
    Execute,
}

impl Operations {
    /// As object definitions write it: R, W, RW, E, or nothing.
    pub const fn letters(self) -> &'static str {
        match self {
            Self::Bootstrap => "",
            Self::Read => "R",
            Self::Write => "W",
            Self::ReadWrite => "RW",
            Self::Execute => "E",
        }
    }
}

impl ObjectModel {
    /// The resource of this id.
    pub fn resource(&self, id: u16) -> Option<&ResourceModel> {
        let index = self.resources.binary_search_by_key(&id, |resource| resource.id).ok()?;
        self.resources.get(index)
    }

    /// Whether there may be several instances.
    pub const fn is_multiple(&self) -> bool {
        matches!(self.multiplicity, Multiplicity::Multiple)
    }
}

impl ResourceModel {
    /// Whether there may be several instances.
    pub const fn is_multiple(&self) -> bool {
        matches!(self.multiplicity, Multiplicity::Multiple)
    }
}

impl Operations {
    /// Spelled as in object definitions: `R`, `W`, `RW`, `E` or nothing.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" => Self::Bootstrap,
            "R" => Self::Read,
            "W" => Self::Write,
            "RW" => Self::ReadWrite,
            "E" => Self::Execute,
            _ => return None,
        })
    }

    /// Spelled as in object definitions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "",
            Self::Read => "R",
            Self::Write => "W",
            Self::ReadWrite => "RW",
            Self::Execute => "E",
        }
    }

    /// Whether a server may read it.
    pub const fn is_readable(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Whether a server may write it.
    pub const fn is_writable(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }

    /// Whether a server may execute it.
    pub const fn is_executable(self) -> bool {
        matches!(self, Self::Execute)
    }
}
