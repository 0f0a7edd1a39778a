//! What the operator decides about the engine: [`Config`] for its life, [`Settings`] at run time.
//!
//! Defaults are those of the configuration file, whose reading is the job of the gateway.

use std::collections::BTreeMap;

use coap::Duration;

use crate::command::Origin;

/// What stays the same as long as a [`crate::Server`] lives.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Timers, block sizes and bounds of the message layer.
    pub coap: coap::EndpointConfig,
    /// Whether [`crate::Server::poll_record`] yields anything.
    pub records: Records,
}

/// Whether changes of registrations are written down for a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Records {
    /// No store: nothing is recorded.
    #[default]
    Off,
    /// Each change of a registration is yielded by [`crate::Server::poll_record`].
    On,
}

/// Which release of EMQX the behaviour follows where its releases differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Profile {
    /// The `emqx-lwm2m` plugin, up to EMQX 4.4.
    #[default]
    Emqx4,
    /// The LwM2M gateway of EMQX 5 and later.
    Emqx5,
}

/// What happens to a lifetime outside of the limits. It is never clamped silently, since the
/// device would not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifetimePolicy {
    /// 4.00; an Update leaves the registration as it was.
    Refuse,
    /// The device gets what it asks for.
    Accept,
}

/// What a NoSec device that proves its registration id or a token from a new address gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Rebind {
    /// The new address is used from then on.
    #[default]
    Accept,
    /// An Update gets 4.04, a notification Reset: the device has to register again.
    Refuse,
}

/// Whether [`crate::Event::Asleep`] and [`crate::Event::Awake`] are wanted. They cost a timer for
/// each device that is awake, so they are off unless somebody listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SleepEvents {
    /// Nobody listens.
    #[default]
    Off,
    /// They are reported.
    On,
}

/// What happens when the queue of a device is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum QueueOverflow {
    /// The command that comes is refused.
    #[default]
    RefuseNewest,
    /// The command that waits longest ends as `QueueFull`.
    DropOldest,
}

/// The bounds of the queue of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Commands that wait or are in flight. Default 64.
    pub commands: usize,
    /// Their size in bytes, origins included. Default 64 KiB.
    pub bytes: usize,
    /// How long a command waits at most. Default 24 h.
    pub age: Duration,
    /// What happens beyond.
    pub overflow: QueueOverflow,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            commands: 64,
            bytes: 64 * 1024,
            age: Duration::from_secs(24 * 3600),
            overflow: QueueOverflow::default(),
        }
    }
}

/// What is observed after a Register without being asked (compatibility contract, section 7).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum AutoObserve {
    /// Nothing.
    #[default]
    Off,
    /// What the device registers: all of it in profile 4; in profile 5 without the objects that
    /// serve the device's own management and those without a definition.
    Registered,
    /// Of what the device registers that which is in this list, compared as text.
    Listed(Vec<String>),
}

/// Whether the observations that commands asked for are set up again after a Register, which ends
/// them (OMA Core 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Rearm {
    /// After every Register, and so are automatic ones.
    #[default]
    On,
    /// Never, as in EMQX: automatic ones are set up after every Register in profile 4, after the
    /// first one in profile 5.
    Off,
}

/// A version pattern of `accept_versions`: `1` stands for 1 and every 1.x, `1.1` for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedVersion(String);

impl AcceptedVersion {
    /// The pattern; `None` unless it is a number, or two with a dot between.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(2, '.');
        let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let major = parts.next().is_some_and(number);
        let minor = parts.next().is_none_or(number);
        (major && minor).then(|| Self(text.to_owned()))
    }

    /// Whether a `lwm2m=` value fits the pattern.
    #[must_use]
    pub fn accepts(&self, version: &str) -> bool {
        match version.strip_prefix(self.0.as_str()) {
            Some("") => true,
            Some(rest) if !self.0.contains('.') => rest.strip_prefix('.').is_some_and(|minor| {
                !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit())
            }),
            _ => false,
        }
    }
}

/// What can change while the engine runs, by [`crate::Server::set_settings`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose behaviour is followed where EMQX's releases differ.
    pub profile: Profile,
    /// The shortest lifetime a device may ask for, in seconds. Default 1.
    pub lifetime_min: u64,
    /// The longest, in seconds. Default 864 000.
    pub lifetime_max: u64,
    /// What happens outside of the limits; `None`: refuse in profile 4, accept in profile 5.
    pub lifetime_policy: Option<LifetimePolicy>,
    /// Which `lwm2m=` values are served. Default `1`.
    pub accept_versions: Vec<AcceptedVersion>,
    /// How long after its lifetime a registration is still kept for a late Update. Default 30 s.
    pub expiry_grace: Duration,
    /// How long after its last message a queue mode device is taken to listen. Default 22 s.
    pub queue_mode_window: Duration,
    /// What is observed without being asked, from the next Register of a device on.
    pub auto_observe: AutoObserve,
    /// The origin of such observations. No command may have it: it tells them from those that
    /// commands asked for. Default: the empty one.
    pub auto_observe_origin: Origin,
    /// Whether observations outlive a new Register of their device.
    pub rearm: Rearm,
    /// Whether devices that fall asleep and wake are reported.
    pub sleep_events: SleepEvents,
    /// NoSec devices that come from a new address.
    pub nosec_rebind: Rebind,
    /// The same for the listeners that have a rule of their own, by number; the one that the new
    /// address uses counts.
    pub listener_nosec_rebind: BTreeMap<u16, Rebind>,
    /// Commands on their way to one device at a time; at least 1. Default 1.
    pub max_in_flight: usize,
    /// The longest wait for an answer from the first transmission, restarted by each block that
    /// made progress. Default 120 s.
    pub command_timeout: Duration,
    /// The bounds of each device's queue.
    pub queue: QueueLimits,
    /// Notifications and Sends of one device in a second, as many at once; 0 sets no limit. One
    /// beyond is acknowledged, so that the device does not repeat it, and dropped. Default 0.
    pub notifications_per_second: u32,
    /// Registers of one name, and from one address and port, in a minute, as many at once; 0 sets
    /// no limit. One beyond gets 5.03. Default 0.
    pub registrations_per_minute: u32,
    /// Registrations of this shard; a Register beyond gets 5.03. Default 1 000 000.
    pub registrations_max: usize,
}

impl Settings {
    /// What happens to a lifetime outside of the limits, by option or profile.
    #[must_use]
    pub fn lifetime_policy(&self) -> LifetimePolicy {
        self.lifetime_policy.unwrap_or(match self.profile {
            Profile::Emqx4 => LifetimePolicy::Refuse,
            Profile::Emqx5 => LifetimePolicy::Accept,
        })
    }

    /// What a NoSec device gets that comes from a new address by this listener.
    #[must_use]
    pub fn nosec_rebind(&self, listener: u16) -> Rebind {
        self.listener_nosec_rebind.get(&listener).copied().unwrap_or(self.nosec_rebind)
    }

    /// Whether a `lwm2m=` value is served.
    #[must_use]
    pub fn accepts_version(&self, version: &str) -> bool {
        self.accept_versions.iter().any(|accepted| accepted.accepts(version))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            lifetime_min: 1,
            lifetime_max: 864_000,
            lifetime_policy: None,
            accept_versions: vec![AcceptedVersion("1".to_owned())],
            expiry_grace: Duration::from_secs(30),
            queue_mode_window: Duration::from_secs(22),
            auto_observe: AutoObserve::default(),
            auto_observe_origin: Origin::default(),
            rearm: Rearm::default(),
            sleep_events: SleepEvents::default(),
            nosec_rebind: Rebind::default(),
            listener_nosec_rebind: BTreeMap::new(),
            max_in_flight: 1,
            command_timeout: Duration::from_secs(120),
            queue: QueueLimits::default(),
            notifications_per_second: 0,
            registrations_per_minute: 0,
            registrations_max: 1_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stands_for_every_minor_version() {
        let one = AcceptedVersion::parse("1").unwrap();
        for version in ["1", "1.0", "1.1", "1.2", "1.17"] {
            assert!(one.accepts(version), "{version}");
        }
        for version in ["", "2.0", "10", "1.", "1.x", "11.0", "01", "1.1.1", " 1"] {
            assert!(!one.accepts(version), "{version}");
        }
    }

    #[test]
    fn a_full_version_stands_for_itself() {
        let accepted = AcceptedVersion::parse("1.1").unwrap();
        assert!(accepted.accepts("1.1"));
        for version in ["1", "1.0", "1.10", "1.1.0"] {
            assert!(!accepted.accepts(version), "{version}");
        }
    }

    #[test]
    fn a_pattern_is_a_number_or_two() {
        for text in ["", ".", "1.", ".1", "x", "1.x", "1.1.1"] {
            assert_eq!(AcceptedVersion::parse(text), None, "{text}");
        }
    }
}
