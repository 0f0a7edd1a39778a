//! Settings of the MQTT contract (design, sections 4 "The MQTT side" and 5).
//!
//! Reading them from a file is the job of `gateway`; [`crate::Bridge::new`] judges them.

use std::collections::BTreeMap;

use crate::publication::Qos;
use crate::topic::TemplateError;

/// Everything that decides about topics and payloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which EMQX generation is followed where the two differ.
    pub profile: Profile,
    /// What stands before every topic; topic and mountpoint are joined without adding a slash.
    pub mountpoint: String,
    /// Mountpoints that listeners have of their own, by listener number.
    pub listener_mountpoints: BTreeMap<u16, String>,
    /// The topics behind the mountpoint.
    pub topics: Topics,
    /// Quality of service of uplinks whose topic sets none.
    pub qos: Qos,
    /// Which ends of commands without an answer of the device are published.
    pub report: Report,
    /// What becomes of a notification that is older than one already seen.
    pub stale_notifications: StaleNotifications,
    /// Where notifications of object 5 go.
    pub firmware_notify: FirmwareNotify,
    /// What becomes of objects and resources without a definition.
    pub unknown_objects: UnknownObjects,
    /// Which Updates are published; `None` follows the profile.
    pub update_msg_publish_condition: Option<UpdateCondition>,
    /// The longest payload of a command in bytes.
    pub command_payload_max: usize,
    /// Which MQTT 5 Response Topics a command may name.
    pub response_topics: ResponseTopics,
}

/// 64 KiB: larger than any write a device takes in one command (firmware goes by URI), and the
/// bound on what one queued command can hold.
pub const COMMAND_PAYLOAD_MAX: usize = 65_536;

impl Default for Settings {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            mountpoint: "lwm2m/%e/".to_owned(),
            listener_mountpoints: BTreeMap::new(),
            topics: Topics::default(),
            qos: Qos::default(),
            report: Report::default(),
            stale_notifications: StaleNotifications::default(),
            firmware_notify: FirmwareNotify::default(),
            unknown_objects: UnknownObjects::default(),
            update_msg_publish_condition: None,
            command_payload_max: COMMAND_PAYLOAD_MAX,
            response_topics: ResponseTopics::default(),
        }
    }
}

impl Settings {
    /// Defaults of a profile.
    pub fn of(profile: Profile) -> Self {
        Self { profile, ..Self::default() }
    }

    /// Which Updates are published: as set, or as the profile has it.
    pub fn update_condition(&self) -> UpdateCondition {
        self.update_msg_publish_condition.unwrap_or(match self.profile {
            Profile::Emqx4 => UpdateCondition::ContainsObjectList,
            Profile::Emqx5 => UpdateCondition::Always,
        })
    }
}

/// The two contracts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// As the LwM2M plugin of EMQX 4.x.
    #[default]
    Emqx4,
    /// As the LwM2M gateway of EMQX 5.x (6.1.1 where its releases differ).
    Emqx5,
}

/// The topics behind the mountpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Filter for commands; the only one that may hold wildcards. Its quality of service is that of
    /// the subscription.
    pub command: TopicSetting,
    /// Answers, acknowledgements and reports.
    pub response: TopicSetting,
    /// Notifications and Sends.
    pub notify: TopicSetting,
    /// Registrations.
    pub register: TopicSetting,
    /// Updates.
    pub update: TopicSetting,
    /// What else happens to a registration, which EMQX does not publish.
    pub lifecycle: LifecycleTopics,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            command: TopicSetting::new("dn/#"),
            response: TopicSetting::new("up/resp"),
            notify: TopicSetting::new("up/notify"),
            register: TopicSetting::new("up/resp"),
            update: TopicSetting::new("up/resp"),
            lifecycle: LifecycleTopics::default(),
        }
    }
}

/// Something that happens to a registration besides Register and Update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lifecycle {
    /// The device said goodbye.
    Deregistered,
    /// The lifetime has passed and the grace runs.
    Late,
    /// The grace has passed too.
    Expired,
    /// The same name registered again.
    Replaced,
    /// An operator ended the registration.
    Kicked,
    /// A device in queue mode is taken to have fallen asleep.
    Asleep,
    /// It said something after that.
    Awake,
    /// A device is at another address now.
    AddressChanged,
    /// A device proved itself from another address, which the settings refuse.
    AddressRefused,
    /// A Register was refused.
    Rejected,
}

impl Lifecycle {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Deregistered,
        Self::Late,
        Self::Expired,
        Self::Replaced,
        Self::Kicked,
        Self::Asleep,
        Self::Awake,
        Self::AddressChanged,
        Self::AddressRefused,
        Self::Rejected,
    ];

    /// The msgType, and the key of its topic.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deregistered => "deregistered",
            Self::Late => "late",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
            Self::Kicked => "kicked",
            Self::Asleep => "asleep",
            Self::Awake => "awake",
            Self::AddressChanged => "address_changed",
            Self::AddressRefused => "address_refused",
            Self::Rejected => "rejected",
        }
    }

    /// The setting of its topic.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Deregistered => "topics.lifecycle.deregistered",
            Self::Late => "topics.lifecycle.late",
            Self::Expired => "topics.lifecycle.expired",
            Self::Replaced => "topics.lifecycle.replaced",
            Self::Kicked => "topics.lifecycle.kicked",
            Self::Asleep => "topics.lifecycle.asleep",
            Self::Awake => "topics.lifecycle.awake",
            Self::AddressChanged => "topics.lifecycle.address_changed",
            Self::AddressRefused => "topics.lifecycle.address_refused",
            Self::Rejected => "topics.lifecycle.rejected",
        }
    }
}

/// The topics of [`Lifecycle`] events; all are off by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LifecycleTopics {
    /// For those without a topic of their own; `None` is off.
    pub common: Option<TopicSetting>,
    /// Topics of their own; `None` turns one off.
    pub own: BTreeMap<Lifecycle, Option<TopicSetting>>,
}

impl LifecycleTopics {
    /// One topic for all of them.
    pub fn all(topic: &str) -> Self {
        Self { common: Some(TopicSetting::new(topic)), own: BTreeMap::new() }
    }

    /// The topic of an event, unless it is off.
    pub fn topic(&self, event: Lifecycle) -> Option<&TopicSetting> {
        match self.own.get(&event) {
            Some(own) => own.as_ref(),
            None => self.common.as_ref(),
        }
    }
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSetting {
    /// Template; see docs/mqtt.md for the placeholders.
    pub topic: String,
    /// Quality of service; `None` takes [`Settings::qos`].
    pub qos: Option<Qos>,
    /// Whether the broker keeps the last message.
    pub retain: bool,
}

impl TopicSetting {
    /// A topic with the common quality of service, not retained.
    pub fn new(topic: &str) -> Self {
        Self { topic: topic.to_owned(), qos: None, retain: false }
    }
}

/// Which ends of commands are published when no device answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Report {
    /// Every one: an accepted command never ends in silence.
    #[default]
    All,
    /// Those that the EMQX release of the profile publishes.
    Profile,
}

/// What becomes of a notification with an older Observe number than one already seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum StaleNotifications {
    /// Published with its number: a device whose number never changes must not go mute.
    #[default]
    Publish,
    /// Not published.
    Drop,
}

/// Where notifications of object 5 go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FirmwareNotify {
    /// The notify topic in profile emqx4, mountpoint and `/v1/up/dm` in profile emqx5.
    #[default]
    Profile,
    /// The notify topic.
    Notify,
    /// Both topics.
    Both,
}

/// What becomes of objects and resources without a definition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum UnknownObjects {
    /// Published by what the payload says of itself, marked `"raw":true`.
    #[default]
    Raw,
    /// The whole answer becomes 4.00, as EMQX does.
    Reject,
}

/// Which Updates are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpdateCondition {
    /// Every one.
    Always,
    /// Those with object links in their payload.
    ContainsObjectList,
}

/// Which MQTT 5 Response Topics a command may name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseTopics {
    /// Allowed beginnings; empty allows every topic that is safe at all (no wildcard, not below
    /// `$`, no command topic).
    pub prefixes: Vec<String>,
}

/// Settings that no bridge can work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A topic cannot be understood, or is no valid topic.
    #[error("{key} = {topic:?}: {error}")]
    Template {
        /// The setting.
        key: String,
        /// Mountpoint and topic together.
        topic: String,
        /// What is wrong.
        error: TemplateError,
    },
    /// The command topic does not say for which device a command is.
    #[error(
        "topics.command = {topic:?}: mountpoint and command topic need the endpoint name \
         (%e or ${{endpoint_name}}), or nobody can tell whom a command is for"
    )]
    NoEndpoint {
        /// Mountpoint and topic together.
        topic: String,
    },
    /// The gateway would receive its own publications as commands.
    #[error(
        "{key} = {topic:?} may be a command topic ({command:?}): the gateway would take its own \
         messages for commands"
    )]
    Loop {
        /// The setting.
        key: String,
        /// Mountpoint and topic together.
        topic: String,
        /// Mountpoint and topic of the commands.
        command: String,
    },
    /// No command could ever be accepted.
    #[error("command_payload_max = {0}: a command needs at least 2 bytes")]
    PayloadMax(usize),
}
