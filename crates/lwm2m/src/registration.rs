//! Register and Update as plain data: OMA Core 6.2.

mod endpoint;

pub use endpoint::{ENDPOINT_NAME_LEN_MAX, EndpointName, EndpointNameError};
