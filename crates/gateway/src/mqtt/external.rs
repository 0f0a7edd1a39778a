//! The client of a broker elsewhere.

/// How to reach the broker.
#[derive(Clone, Debug)]
pub struct ExternalConfig {
    /// Host name or address.
    pub host: String,
}
