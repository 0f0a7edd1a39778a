//! What a server asks of a device: OMA Core 6.3, 6.4.
//!
//! Operations are plain data; making CoAP requests of them is the job of `engine`, making them of
//! JSON that of `bridge`.

use crate::{Attributes, Format, Path, Reading};

/// One operation on a device.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Read a path (OMA Core 6.3.1).
    Read {
        /// What to read.
        path: Path,
        /// The wanted format; `None` lets the device choose.
        accept: Option<Format>,
    },
    /// Ask which objects, instances, resources and attributes there are (6.3.2).
    Discover {
        /// Where to look.
        path: Path,
    },
    /// Write values (6.3.3).
    Write {
        /// The common path of `content`: an instance, resource or resource instance.
        path: Path,
        /// Replace or update.
        mode: WriteMode,
        /// The format; `None` leaves the choice to the engine.
        format: Option<Format>,
        /// The values.
        content: Vec<Reading>,
    },
    /// Write attributes (6.3.4).
    WriteAttributes {
        /// What the attributes are for.
        path: Path,
        /// The attributes in the given order.
        attributes: Attributes,
    },
    /// Run an executable resource (6.3.5).
    Execute {
        /// The resource.
        path: Path,
        /// The arguments as they are sent; see [`crate::execute`] for their grammar.
        arguments: String,
    },
    /// Create an object instance (6.3.6).
    Create {
        /// The object, or the root when none was named (as EMQX allows).
        path: Path,
        /// The format; `None` leaves the choice to the engine.
        format: Option<Format>,
        /// The values. With instance ids in their paths these are asked for, without content the
        /// device chooses.
        content: Vec<Reading>,
    },
    /// Delete an object instance or, since 1.2, a resource instance (6.3.7).
    Delete {
        /// What to delete.
        path: Path,
    },
    /// Read several paths at once (6.3.8).
    ReadComposite {
        /// What to read.
        paths: Vec<Path>,
        /// The wanted format; `None` lets the device choose.
        accept: Option<Format>,
    },
    /// Write several paths at once (6.3.9).
    WriteComposite {
        /// The format; `None` leaves the choice to the engine.
        format: Option<Format>,
        /// The values; a reading without one deletes a resource instance.
        content: Vec<Reading>,
    },
    /// Ask for notifications of a path (6.4.2).
    Observe {
        /// What to observe.
        path: Path,
        /// The wanted format; `None` lets the device choose.
        accept: Option<Format>,
    },
    /// End the observation of a path (6.4.4).
    CancelObserve {
        /// What is observed.
        path: Path,
    },
    /// Ask for notifications of several paths in one (6.4.2.2 in 1.2: Observe-Composite).
    ObserveComposite {
        /// What to observe.
        paths: Vec<Path>,
        /// The wanted format; `None` lets the device choose.
        accept: Option<Format>,
    },
    /// End the observation of several paths.
    CancelObserveComposite {
        /// What is observed, in the order of the request that started it.
        paths: Vec<Path>,
    },
}

/// What becomes of resources that a Write does not name: OMA Core 6.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriteMode {
    /// PUT: what is written takes the place of the whole instance or resource.
    Replace,
    /// POST: only what is named changes.
    Update,
}

/// Which operation, without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperationKind {
    /// [`Operation::Read`].
    Read,
    /// [`Operation::Discover`].
    Discover,
    /// [`Operation::Write`].
    Write,
    /// [`Operation::WriteAttributes`].
    WriteAttributes,
    /// [`Operation::Execute`].
    Execute,
    /// [`Operation::Create`].
    Create,
    /// [`Operation::Delete`].
    Delete,
    /// [`Operation::ReadComposite`].
    ReadComposite,
    /// [`Operation::WriteComposite`].
    WriteComposite,
    /// [`Operation::Observe`].
    Observe,
    /// [`Operation::CancelObserve`].
    CancelObserve,
    /// [`Operation::ObserveComposite`].
    ObserveComposite,
    /// [`Operation::CancelObserveComposite`].
    CancelObserveComposite,
}

impl Operation {
    /// The path that is asked for; the root for composite operations.
    pub const fn path(&self) -> Path {
        match self {
            Self::Read { path, .. }
            | Self::Discover { path }
            | Self::Write { path, .. }
            | Self::WriteAttributes { path, .. }
            | Self::Execute { path, .. }
            | Self::Create { path, .. }
            | Self::Delete { path }
            | Self::Observe { path, .. }
            | Self::CancelObserve { path } => *path,
            Self::ReadComposite { .. }
            | Self::WriteComposite { .. }
            | Self::ObserveComposite { .. }
            | Self::CancelObserveComposite { .. } => Path::ROOT,
        }
    }

    /// Which operation this is.
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::Read { .. } => OperationKind::Read,
            Self::Discover { .. } => OperationKind::Discover,
            Self::Write { .. } => OperationKind::Write,
            Self::WriteAttributes { .. } => OperationKind::WriteAttributes,
            Self::Execute { .. } => OperationKind::Execute,
            Self::Create { .. } => OperationKind::Create,
            Self::Delete { .. } => OperationKind::Delete,
            Self::ReadComposite { .. } => OperationKind::ReadComposite,
            Self::WriteComposite { .. } => OperationKind::WriteComposite,
            Self::Observe { .. } => OperationKind::Observe,
            Self::CancelObserve { .. } => OperationKind::CancelObserve,
            Self::ObserveComposite { .. } => OperationKind::ObserveComposite,
            Self::CancelObserveComposite { .. } => OperationKind::CancelObserveComposite,
        }
    }

    /// The name of the operation, see [`OperationKind::name`].
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }
}

impl OperationKind {
    const ALL: [Self; 13] = [
        Self::Read,
        Self::Discover,
        Self::Write,
        Self::WriteAttributes,
        Self::Execute,
        Self::Create,
        Self::Delete,
        Self::ReadComposite,
        Self::WriteComposite,
        Self::Observe,
        Self::CancelObserve,
        Self::ObserveComposite,
        Self::CancelObserveComposite,
    ];

    /// The operation of this [`Self::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in logs, metrics and, where EMQX has the operation, as `msgType`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Discover => "discover",
            Self::Write => "write",
            Self::WriteAttributes => "write-attr",
            Self::Execute => "execute",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::ReadComposite => "read-composite",
            Self::WriteComposite => "write-composite",
            Self::Observe => "observe",
            Self::CancelObserve => "cancel-observe",
            Self::ObserveComposite => "observe-composite",
            Self::CancelObserveComposite => "cancel-observe-composite",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_tells_its_name_and_path() {
        let path = Path::resource(3, 0, 9);
        let arguments = String::new();
        let (content, attributes) = (Vec::new(), Attributes::new());
        let cases = [
            (Operation::Read { path, accept: None }, "read"),
            (Operation::Discover { path }, "discover"),
            (Operation::WriteAttributes { path, attributes }, "write-attr"),
            (Operation::Execute { path, arguments }, "execute"),
            (Operation::Create { path, format: None, content }, "create"),
            (Operation::Delete { path }, "delete"),
            (Operation::Observe { path, accept: Some(Format::TLV) }, "observe"),
            (Operation::CancelObserve { path }, "cancel-observe"),
        ];
        for (operation, name) in cases {
            assert_eq!((operation.name(), operation.path()), (name, path));
        }
        let composite = Operation::ReadComposite { paths: vec![path], accept: None };
        assert_eq!((composite.name(), composite.path()), ("read-composite", Path::ROOT));
    }
}
