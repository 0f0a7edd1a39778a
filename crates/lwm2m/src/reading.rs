//! What a payload says: values by path, in the order of the payload.
//!
//! A flat list is enough for every content format: the tree of TLV is only nesting of path
//! prefixes. Turning bytes into it and back is the job of [`crate::codec`].

use smallvec::SmallVec;

use crate::{Path, Value};

/// One value of one resource or resource instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Where the value belongs.
    pub path: Path,
    /// The value; `None` for a SenML null, a path without a value (composite read) and a deletion.
    pub value: Option<Value>,
    /// The value's own time in milliseconds since 1970, only if the device sent one.
    pub time_ms: Option<i64>,
    /// Decoded without an object definition, from what the payload says of itself.
    pub raw: bool,
}

impl Reading {
    /// A value at a path, without a time of its own.
    pub const fn new(path: Path, value: Value) -> Self {
        Self { path, value: Some(value), time_ms: None, raw: false }
    }

    /// A path without a value, as in the path list of a composite read.
    pub const fn path_only(path: Path) -> Self {
        Self { path, value: None, time_ms: None, raw: false }
    }
}

/// The values of a payload. One of them, which is what most notifications bring, allocates nothing.
pub type Readings = SmallVec<[Reading; 1]>;

/// A decoded payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The values in the order of the payload.
    pub readings: Readings,
    /// How the payload was built.
    pub layout: Layout,
}

/// How a payload was built at its top level; what is published of TLV depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Each value carries its own path (JSON, SenML, LwM2M CBOR).
    Paths,
    /// One value at the request path (text, opaque, CBOR), or a TLV of a single resource.
    Resource,
    /// A TLV of several resources, or one that begins with a multiple resource.
    Resources,
    /// A TLV of resource instances without the resource around them.
    ResourceInstances,
    /// A TLV of one object instance.
    Instance,
    /// A TLV of several object instances.
    Instances,
    /// Nothing in it: no bytes, or only an empty instance or multiple resource.
    Empty,
}
