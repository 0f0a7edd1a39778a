//! CoAP listeners as they run: their numbers, their sockets, what they refuse and count.
//!
//! What a listener may be set to is [`crate::config`]'s; who reads the sockets is
//! [`crate::shard`]; adding and removing them while the gateway runs is the job of
//! [`crate::control`].

mod gate;
mod metrics;
mod opened;
mod slots;
mod sockets;

pub use gate::{Admission, Gate, GateCounts};
pub use metrics::Gates;
pub use opened::Opened;
pub use slots::Slots;
pub use sockets::{open, socket_options};

/// The address of a listener cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("listeners.{name}.bind: {error}{}", hint(.error))]
pub struct ListenerError {
    /// The listener.
    pub name: String,
    /// What the system said.
    pub error: udpio::BindError,
}

/// What it means, when that is known.
fn hint(error: &udpio::BindError) -> &'static str {
    if error.is_in_use() { " (another gateway or LwM2M server has this port)" } else { "" }
}
