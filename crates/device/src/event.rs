//! What a device tells whoever runs it.

use coap::{Code, Duration, Reliability};
use lwm2m::{Path, Value};

/// Something that happened on the device. Tests wait for these, the simulator counts them.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The server took the registration.
    Registered {
        /// Where it is, e.g. `/rd/4XyZ`.
        location: String,
    },
    /// The server refused the registration; the device tries again later.
    RegistrationRefused {
        /// Its answer.
        code: Code,
    },
    /// The server took an Update.
    Updated,
    /// The server refused an Update; the device registers again.
    UpdateRefused {
        /// Its answer.
        code: Code,
    },
    /// The device has left, whether or not the server answered.
    Deregistered,
    /// The server did not answer a request; the device tries to register again later.
    Silence,
    /// The server answered a Send.
    SendFinished {
        /// Its answer.
        code: Code,
    },
    /// A resource was executed.
    Executed {
        /// Which one.
        path: Path,
        /// The arguments as they came.
        arguments: String,
    },
    /// The server set a value; `None`: it emptied or removed it.
    Written {
        /// Where.
        path: Path,
        /// The value that stands there now.
        value: Option<Value>,
    },
    /// The server created an instance.
    Created {
        /// Which one.
        path: Path,
    },
    /// The server deleted an instance.
    Deleted {
        /// Which one.
        path: Path,
    },
    /// The server set attributes.
    AttributesWritten {
        /// Where.
        path: Path,
    },
    /// The server observes; [`Path::ROOT`] stands for a list of paths.
    Observed {
        /// What.
        path: Path,
    },
    /// An observation is over; [`Path::ROOT`] stands for a list of paths.
    ObservationEnded {
        /// Of what.
        path: Path,
        /// Why.
        reason: ObservationEnd,
    },
    /// A notification left (for the first time, if it is confirmable).
    Notified {
        /// What it is about; [`Path::ROOT`] stands for a list of paths.
        path: Path,
        /// Whether the server has to acknowledge it.
        reliability: Reliability,
    },
    /// The server acknowledged a notification.
    Confirmed {
        /// What it was about; [`Path::ROOT`] stands for a list of paths.
        path: Path,
        /// From the first time it left.
        after: Duration,
    },
    /// The device comes back from a reboot and registers anew, as real ones do from a new port.
    Rebooted,
}

/// Why a device stopped to notify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObservationEnd {
    /// The server asked with Observe 1.
    Cancelled,
    /// The server answered a notification with Reset.
    Reset,
    /// A confirmable notification was never acknowledged: RFC 7641 4.5.
    Unacknowledged,
    /// What was observed is gone.
    Deleted,
    /// The device registered anew or left: OMA Core 6.4.1.
    Registration,
}
