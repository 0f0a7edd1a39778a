//! Settings of the LwM2M server and of its contract on MQTT (design, section 5).
//!
//! What the settings mean is decided by `engine` and `bridge`; this module only names them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::AutoObserve;
use super::topics::Topics;
use super::values::{Period, Size};

/// `[lwm2m]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lwm2m {
    /// The shortest lifetime a device may ask for.
    pub lifetime_min: Period,
    /// The longest one; a missing `lt` (86400 s) obeys it too.
    pub lifetime_max: Period,
    /// What happens to a lifetime outside of these limits.
    pub lifetime_policy: LifetimePolicy,
    /// How long a queue mode device is taken to be awake after its last message.
    pub qmode_time_window: Period,
    /// What is observed at registration without being asked.
    pub auto_observe: AutoObserve,
    /// Which Updates are published.
    pub update_msg_publish_condition: UpdatePublish,
    /// What stands before every topic.
    pub mountpoint: String,
    /// Where further object definitions are read from.
    pub xml_dir: PathBuf,
    /// How often that directory is looked at for changes; zero: at the start only.
    pub xml_poll: Period,
    /// Whether the built-in object definitions are used.
    pub builtin_objects: bool,
    /// What happens to data without a definition.
    pub unknown_objects: UnknownObjects,
    /// Which ends of commands are published.
    pub report: Report,
    /// How long the device has to answer, counted from the first transmission.
    pub command_timeout: Period,
    /// How long after its lifetime a registration still accepts an Update.
    pub expiry_grace: Period,
    /// Whether observations are set up again after a Register.
    pub rearm: bool,
    /// Whether a NoSec device that proves its registration id or token may change its address.
    pub nosec_rebind: Acceptance,
    /// Commands on their way to one device at the same time.
    pub max_in_flight: usize,
    /// The largest payload of a command.
    pub command_payload_max: Size,
    /// LwM2M versions that may register; `"1"` is every 1.x.
    pub accept_versions: Vec<String>,
    /// Devices registered at the same time, over all shards; a Register beyond gets 5.03.
    pub registrations_max: usize,
    /// What happens to a notification that is older than one already seen.
    pub stale_notifications: StaleNotifications,
    /// Where notifications of object 5 go.
    pub firmware_notify: FirmwareNotify,
    /// What one device may say.
    pub limits: Limits,
    /// What waits for one device.
    pub queue: CommandQueue,
    /// Topics below the mountpoint.
    pub topics: Topics,
}

impl Default for Lwm2m {
    fn default() -> Self {
        Self {
            lifetime_min: Period::seconds(1),
            lifetime_max: Period::seconds(864_000),
            lifetime_policy: LifetimePolicy::default(),
            qmode_time_window: Period::seconds(22),
            auto_observe: AutoObserve::default(),
            update_msg_publish_condition: UpdatePublish::default(),
            mountpoint: "lwm2m/%e/".to_owned(),
            xml_dir: PathBuf::from("etc/lwm2m_xml"),
            xml_poll: Period::seconds(1),
            builtin_objects: true,
            unknown_objects: UnknownObjects::default(),
            report: Report::default(),
            command_timeout: Period::seconds(120),
            expiry_grace: Period::seconds(30),
            rearm: true,
            nosec_rebind: Acceptance::default(),
            max_in_flight: 1,
            command_payload_max: Size::kilobytes(64),
            accept_versions: vec!["1".to_owned()],
            registrations_max: 1_000_000,
            stale_notifications: StaleNotifications::default(),
            firmware_notify: FirmwareNotify::default(),
            limits: Limits::default(),
            queue: CommandQueue::default(),
            topics: Topics::default(),
        }
    }
}

/// What happens to a lifetime outside of the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifetimePolicy {
    /// Refused in profile `emqx4`, accepted in `emqx5`.
    #[default]
    #[serde(rename = "")]
    ByProfile,
    /// 4.00.
    Refuse,
    /// Kept as it came.
    Accept,
}

/// Which Updates are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdatePublish {
    /// `ContainsObjectList` in profile `emqx4`, `Always` in `emqx5`.
    #[default]
    #[serde(rename = "")]
    ByProfile,
    /// Every one.
    Always,
    /// Those that carry an object list.
    ContainsObjectList,
}

/// What happens to data without a definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownObjects {
    /// It is published as the payload describes itself.
    #[default]
    Raw,
    /// It ends as 4.00, as EMQX does it.
    Reject,
}

/// Which ends of commands are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// Every one.
    #[default]
    All,
    /// Those that the EMQX release of the profile publishes.
    Profile,
}

/// Whether something is let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acceptance {
    /// It is.
    #[default]
    Accept,
    /// It is not.
    Refuse,
}

/// What happens to a notification that is older than one already seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaleNotifications {
    /// It is published.
    #[default]
    Publish,
    /// It is acknowledged and dropped.
    Drop,
}

/// Where notifications of object 5 (firmware update) go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirmwareNotify {
    /// Where the EMQX release of the profile sends them.
    #[default]
    Profile,
    /// To the notify topic.
    Notify,
    /// To both.
    Both,
}

/// What happens to a command for a device whose queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The new one ends as `queue_full`.
    #[default]
    RefuseNewest,
    /// The oldest one ends as `queue_full`; the new one takes its place.
    DropOldest,
}

/// `[lwm2m.limits]`: what one device may say; 0 sets no limit, which is the default, since what is
/// too much depends on the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Notifications and Sends in a second, and as many at once.
    pub notifications_per_second: u32,
    /// Registers of one name, and from one address and port, in a minute, and as many at once.
    pub registrations_per_minute: u32,
}

/// `[lwm2m.queue]`: what waits for one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CommandQueue {
    /// Commands.
    pub commands: usize,
    /// Bytes of their payloads.
    pub bytes: Size,
    /// How long a command may wait.
    pub age: Period,
    /// What happens to one more.
    pub when_full: WhenFull,
}

impl Default for CommandQueue {
    fn default() -> Self {
        // A device asleep for a day keeps its day's commands; 1 000 full queues are 64 MB.
        Self {
            commands: 64,
            bytes: Size::kilobytes(64),
            age: Period::seconds(86_400),
            when_full: WhenFull::default(),
        }
    }
}
