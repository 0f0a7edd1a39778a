//! The LwM2M vocabulary as plain data: OMA-TS-LightweightM2M_Core-V1_1_1, with what 1.0 and 1.2
//! add.
//!
//! Paths, values, object definitions, content formats, registrations and operations. Nothing here
//! knows CoAP messages, keeps state, reads a file or a clock: the state machine is the job of
//! `engine`, topics and JSON that of `bridge`.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod attributes;
pub mod codec;
pub mod execute;
mod format;
pub mod link_format;
pub mod model;
pub mod operation;
mod path;
mod reading;
pub mod registration;
mod value;
mod version;

pub use attributes::Attributes;
pub use format::Format;
pub use model::{ModelView, Models, ObjectModel, ResourceModel};
pub use operation::{Operation, OperationKind, WriteMode};
pub use path::{Level, MAX_ID, Path, PathError};
pub use reading::{Content, Layout, Reading, Readings};
pub use registration::{ENDPOINT_NAME_LEN_MAX, EndpointName, EndpointNameError};
pub use value::{DataType, Value};
pub use version::{Version, VersionError};
