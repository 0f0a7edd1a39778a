//! What leaves the engine: [`Event`], read alike by MQTT, REST, dashboard and journal.
//!
//! Events of one device leave in order. What they mean on a topic is the business of `bridge`.

use core::fmt;
use std::sync::Arc;

use coap::{Code, Freshness, Peer, Reliability};
use lwm2m::model::ObjectVersion;
use lwm2m::registration::{Lifetime, LwM2mVersion, ObjectLinks, Parameters};
use lwm2m::{EndpointName, Format, ModelView, Models, OperationKind, Path, Version};

use crate::command::{Answer, CommandError, Origin};
use crate::identity::{CommandId, RegistrationId};
use crate::note::Note;
use crate::rejection::Rejection;
use crate::reply::ReplyTo;

/// A registered device as an event shows it. Cheap to clone: nothing in it is copied but counters.
#[derive(Clone, Debug)]
pub struct Device {
    /// The name the device registered under.
    pub endpoint: EndpointName,
    /// The registration that the event belongs to.
    pub registration: RegistrationId,
    /// Where the device was heard of last.
    pub peer: Peer,
    /// What the device said of itself.
    pub info: Arc<RegisteredInfo>,
}

/// What a device said of itself in Register, overlaid by its Updates (OMA Core 6.2).
///
/// Devices of a fleet that say the same share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegisteredInfo {
    /// The lifetime as asked for; 86 400 s when it was missing.
    pub lifetime: Lifetime,
    /// The query parameters but `ep` and `lt`.
    pub parameters: Parameters,
    /// The payload of the last Register or Update that had one; `None` if none had.
    pub links: Option<Arc<ObjectLinks>>,
    /// Whether the device sleeps between its messages.
    pub presence: Presence,
}

impl RegisteredInfo {
    /// The objects below the device's root, ascending, each with the version it was registered
    /// with.
    #[must_use]
    pub fn objects(&self) -> &[ObjectVersion] {
        self.links.as_deref().map(ObjectLinks::objects).unwrap_or_default()
    }

    /// The object definitions as this device means them: in the versions that it registered, and
    /// those of its version of LwM2M where it said none.
    #[must_use]
    pub fn view<'a>(&'a self, models: &'a Models) -> ModelView<'a> {
        ModelView::new(models, self.objects()).with_enabler(self.enabler())
    }

    /// The version of LwM2M that the device speaks, if it said one.
    #[must_use]
    pub fn enabler(&self) -> Option<Version> {
        self.parameters.lwm2m().and_then(LwM2mVersion::version)
    }

    /// The content formats that the device says it knows, by `ct` of its root link.
    #[must_use]
    pub fn formats(&self) -> &[Format] {
        self.links.as_deref().map(ObjectLinks::formats).unwrap_or_default()
    }
}

impl Default for RegisteredInfo {
    fn default() -> Self {
        Self {
            lifetime: Lifetime::DEFAULT,
            parameters: Parameters::empty(),
            links: None,
            presence: Presence::Always,
        }
    }
}

/// Whether a device can be reached at any time (OMA Transport 6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// At any time.
    Always,
    /// Queue mode: for some time after each of its messages.
    QueueMode,
}

/// Whether an Update carried object links; EMQX 4.x publishes only those that did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateContent {
    /// Lifetime or attributes at most.
    WithoutLinks,
    /// A new object list.
    WithLinks,
}

/// Whether a device registered for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Nobody was registered under this name.
    New,
    /// It takes the place of an older registration of the same name.
    Replacing,
}

/// Whether an observation goes on after a notification (RFC 7641 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuation {
    /// More may come.
    Ongoing,
    /// The code was an error: this was the last one.
    Ended,
}

/// A notification of an observed path.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The device.
    pub device: Device,
    /// What is observed; the root for a composite observation.
    pub path: Path,
    /// Who asked for it last.
    pub origin: Origin,
    /// 2.05, or the error that ends the observation.
    pub code: Code,
    /// The Content-Format; `None` when it was missing.
    pub format: Option<Format>,
    /// The payload, not decoded.
    pub body: Vec<u8>,
    /// The Observe option; `None` when it was missing.
    pub observe: Option<u32>,
    /// `observe`, or a made-up number that grows when it was missing.
    pub sequence: u32,
    /// Whether the device waits for [`crate::Server::complete`].
    pub reliability: Reliability,
    /// Whether a newer one came before.
    pub freshness: Freshness,
    /// Whether more may come.
    pub continuation: Continuation,
    /// To be handed to [`crate::Server::complete`] once responsibility is taken, or refused.
    pub reply_to: ReplyTo,
}

/// A command's one final outcome.
#[derive(Clone, Debug)]
pub struct CommandFinished {
    /// The name the command was for.
    pub endpoint: EndpointName,
    /// The device, while it is registered.
    pub device: Option<Device>,
    /// The command.
    pub command: CommandId,
    /// Who asked.
    pub origin: Origin,
    /// What was asked.
    pub operation: OperationKind,
    /// Of which path; the root for composite operations.
    pub path: Path,
    /// The device's answer, or why there is none.
    pub result: Result<Answer, CommandError>,
}

/// Why an observation is set up that no command asks for at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObserveCause {
    /// [`crate::AutoObserve`] wants it.
    Automatic,
    /// A command asked for it under a former registration of the device.
    Rearmed,
}

/// What became of an observe that the engine sent by itself.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The device.
    pub device: Device,
    /// Why it was sent.
    pub cause: ObserveCause,
    /// Who asked for the observation, or the origin of automatic ones.
    pub origin: Origin,
    /// `Observe` or `ObserveComposite`.
    pub operation: OperationKind,
    /// What is observed; the root for a composite observation.
    pub path: Path,
    /// The device's answer, which is the first value, or why there is none.
    pub result: Result<Answer, CommandError>,
}

/// Something the rest of the gateway wants to know.
#[derive(Clone, Debug)]
pub enum Event {
    /// A device registered; it has been answered.
    Registered {
        /// The device.
        device: Device,
        /// Whether it was known before.
        arrival: Arrival,
    },
    /// A device updated its registration; it has been answered.
    Updated {
        /// The device, with what the Update changed.
        device: Device,
        /// Whether the Update had object links.
        content: UpdateContent,
    },
    /// A device said goodbye.
    Deregistered {
        /// The device as it was.
        device: Device,
    },
    /// The lifetime has passed; the registration is kept for `expiry_grace` more.
    Late {
        /// The device.
        device: Device,
    },
    /// The lifetime and the grace have passed: the registration is gone.
    Expired {
        /// The device as it was.
        device: Device,
    },
    /// The same name registered again; this registration is gone. `Registered` follows, here or
    /// from another shard.
    Replaced {
        /// The device as it was.
        device: Device,
    },
    /// The operator ended the registration.
    Kicked {
        /// The device as it was.
        device: Device,
    },
    /// A device has proven its registration from a new address, which is used from now on.
    AddressChanged {
        /// The device, with its new address.
        device: Device,
        /// The old address.
        from: Peer,
    },
    /// A NoSec device has proven its registration from a new address, which the settings refuse:
    /// the old one stays.
    AddressRefused {
        /// The device, with the address that stays.
        device: Device,
        /// The one that was refused.
        refused: Peer,
    },
    /// A device in queue mode is taken to have fallen asleep: its window has passed, or a command
    /// timed out. Only with [`crate::SleepEvents::On`].
    Asleep {
        /// The device.
        device: Device,
    },
    /// A device that slept said something. Only with [`crate::SleepEvents::On`].
    Awake {
        /// The device.
        device: Device,
    },
    /// A Register was refused. Not more than a few a second; the notes tell of all.
    Rejected(Box<Rejection>),
    /// A notification.
    Notified(Box<Notification>),
    /// An observation was set up after a Register, or could not be. Once per observation and
    /// registration; one that is still tried says nothing.
    Observed(Box<Observed>),
    /// Data a device sent on its own account (OMA Core 6.4.6).
    Sent {
        /// The device.
        device: Device,
        /// 110, 112 or 11544.
        format: Format,
        /// The payload, not decoded; it is known to decode.
        body: Vec<u8>,
        /// To be handed to [`crate::Server::complete`] once responsibility is taken, or refused.
        reply_to: ReplyTo,
    },
    /// The device has the command and answers later. At most once per command.
    CommandAcked {
        /// The device.
        device: Device,
        /// The command.
        command: CommandId,
        /// Who asked.
        origin: Origin,
    },
    /// A command has ended. Exactly once per accepted command.
    CommandFinished(Box<CommandFinished>),
    /// Something was refused, ignored, corrected or given up.
    Noted(Note),
}

impl Event {
    /// The name of the event in logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "registered",
            Self::Updated { .. } => "updated",
            Self::Deregistered { .. } => "deregistered",
            Self::Late { .. } => "late",
            Self::Expired { .. } => "expired",
            Self::Replaced { .. } => "replaced",
            Self::Kicked { .. } => "kicked",
            Self::AddressChanged { .. } => "address_changed",
            Self::AddressRefused { .. } => "address_refused",
            Self::Asleep { .. } => "asleep",
            Self::Awake { .. } => "awake",
            Self::Rejected(_) => "rejected",
            Self::Notified(_) => "notified",
            Self::Observed(_) => "observed",
            Self::Sent { .. } => "sent",
            Self::CommandAcked { .. } => "command_acked",
            Self::CommandFinished(_) => "command_finished",
            Self::Noted(_) => "noted",
        }
    }

    /// The device the event is about, if it is about one that is registered.
    #[must_use]
    pub fn device(&self) -> Option<&Device> {
        match self {
            Self::Registered { device, .. }
            | Self::Updated { device, .. }
            | Self::Deregistered { device }
            | Self::Late { device }
            | Self::Expired { device }
            | Self::Replaced { device }
            | Self::Kicked { device }
            | Self::AddressChanged { device, .. }
            | Self::AddressRefused { device, .. }
            | Self::Asleep { device }
            | Self::Awake { device }
            | Self::Sent { device, .. }
            | Self::CommandAcked { device, .. } => Some(device),
            Self::Notified(notification) => Some(&notification.device),
            Self::Observed(observed) => Some(&observed.device),
            Self::CommandFinished(finished) => finished.device.as_ref(),
            Self::Noted(_) | Self::Rejected(_) => None,
        }
    }

    /// The reply that the device waits for, if it waits for one.
    #[must_use]
    pub fn reply_to(&self) -> Option<&ReplyTo> {
        match self {
            Self::Sent { reply_to, .. } => Some(reply_to),
            Self::Notified(notification) => Some(&notification.reply_to),
            _ => None, // All the others are answered, or answers themselves.
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self.device() {
            Some(device) => write!(f, " {}", device.endpoint),
            None => Ok(()),
        }
    }
}
