//! Why a change was refused: one variant per answer that its caller gives.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::config::{ConfigErrors, Origin, Unchangeable};
use crate::listeners::ListenerError;
use crate::mqtt::SubscribeError;
use crate::pump::TopicError;

/// Why nothing was changed. The text names the setting.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// What was asked for breaks the rules of `config check`. The caller's fault.
    #[error(transparent)]
    Invalid(#[from] ConfigErrors),
    /// Flags or environment variables decide about these keys, and win. The caller's fault.
    #[error("{}", Pins(.0))]
    Pinned(Vec<(String, Origin)>),
    /// There is no listener of this name. The caller's fault.
    #[error("listeners.{0}: there is no such listener")]
    UnknownListener(String),
    /// There is a listener of this name. The caller's fault.
    #[error("listeners.{0}: there is a listener of this name")]
    ListenerExists(String),
    /// The address of a listener cannot be had. The caller's fault, or that of the system.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// The broker does not let the gateway subscribe to the commands under the new topics.
    #[error("lwm2m.topics.command: {0}")]
    Subscription(SubscribeError),
    /// A device takes commands on a topic that the new ones leave no room for. The caller's fault.
    #[error("lwm2m.topics: {0} (DELETE /gateways/lwm2m/clients/ID/subscriptions/TOPIC)")]
    DeviceTopic(TopicError),
    /// The change cannot be kept.
    #[error("{}: {error}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The contract cannot work with the settings, which the check before should have said.
    #[error(transparent)]
    Contract(#[from] bridge::SettingsError),
    /// Since the start of the process more listeners were added than there are numbers for them.
    #[error("listeners: no more of them can be added until the gateway is started again")]
    NoNumberLeft,
    /// The system has no more descriptors or memory to give.
    #[error(transparent)]
    System(io::Error),
    /// The gateway stops.
    #[error("the gateway stops")]
    Stopped,
}

impl ChangeError {
    /// Whether the caller can do something about it: asking for something else.
    #[must_use]
    pub const fn is_of_caller(&self) -> bool {
        match self {
            Self::Invalid(_)
            | Self::Pinned(_)
            | Self::UnknownListener(_)
            | Self::ListenerExists(_)
            | Self::Listener(_)
            | Self::DeviceTopic(_)
            | Self::Contract(_) => true,
            Self::Subscription(_)
            | Self::Store { .. }
            | Self::NoNumberLeft
            | Self::System(_)
            | Self::Stopped => false,
        }
    }
}

impl From<TopicError> for ChangeError {
    fn from(refused: TopicError) -> Self {
        match refused {
            TopicError::Refused(error) => Self::Subscription(error),
            other => Self::DeviceTopic(other),
        }
    }
}

impl From<Unchangeable> for ChangeError {
    fn from(refused: Unchangeable) -> Self {
        match refused {
            Unchangeable::Invalid(errors) => Self::Invalid(errors),
            Unchangeable::Pinned(keys) => Self::Pinned(keys),
        }
    }
}

/// Keys with what pins them, one a line.
struct Pins<'a>(&'a [(String, Origin)]);

impl fmt::Display for Pins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, origin)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{key}: is set by {origin}, which wins over changes")?;
        }
        Ok(())
    }
}
