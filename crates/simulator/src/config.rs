//! What a fleet is: whom it faces, how it begins, and which groups of devices it has.
//!
//! Reading one from a file or from flags is the job of [`crate::scenario`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use device::{Profile, Slot};
use lwm2m::{Format, Models, Path, Value, Version};
use serde::Deserialize;

use crate::spread::Spread;
use crate::values::TEMPERATURE;

/// More devices than that have no addresses of their own in `127.0.0.0/8`.
pub const COUNT_MAX: usize = 4_000_000;

/// A fleet and its behaviour. Start from [`FleetConfig::new`], [`FleetConfig::of`] or
/// [`FleetConfig::demo`].
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// Whom the devices face.
    pub server: SocketAddr,
    /// The devices: at least one group, 1 to [`COUNT_MAX`] devices in all.
    pub groups: Vec<Group>,
    /// How fast they begin; those of all groups side by side.
    pub ramp: Ramp,
    /// What everything comes from that is left to chance.
    pub seed: u64,
    /// When the fleet ends by itself; `None`: when it is told to.
    pub duration: Option<Duration>,
    /// What the devices do at the end.
    pub leave: Leave,
    /// Where their datagrams come from.
    pub sources: Sources,
    /// The object definitions.
    pub models: Arc<Models>,
}

/// Devices that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What its part of the summary is called: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What the endpoint names begin with; a number from 1 follows.
    pub prefix: String,
    /// How many there are.
    pub count: usize,
    /// The version of LwM2M that they speak.
    pub version: Version,
    /// The format of everything whose format the server does not choose; `None`: TLV.
    pub format: Option<Format>,
    /// The lifetime that they register with, in whole seconds.
    pub lifetime: Spread,
    /// How often each sends an Update; `None`: as its lifetime needs.
    pub update_every: Option<Spread>,
    /// What they notify.
    pub notify: Notify,
    /// Whether they sleep.
    pub sleep: Sleep,
    /// How long they think before they answer a request; `None`: the answer is in the
    /// acknowledgement.
    pub answer_delay: Option<Spread>,
    /// The share of their datagrams, of each direction, that is lost on the way.
    pub loss: f64,
    /// Whether their source address changes without their knowing.
    pub rebind: Option<Rebind>,
    /// Whether they reboot, many at a time.
    pub reboot: Option<Reboot>,
}

/// Values that change, and how the server is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    /// How often the value of each device changes; `None`: never.
    pub every: Option<Spread>,
    /// Which value: a number that the devices have.
    pub resource: Path,
    /// What it is.
    pub value: Signal,
    /// The share of the devices that have their notifications acknowledged.
    pub con: f64,
    /// From when on it changes.
    pub start: Start,
    /// Not before this time of the fleet.
    pub after: Duration,
}

/// What a changing value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// A temperature that swings, as sensors in rooms do
    Wave,
    /// The wall-clock time in seconds since 1970, to the microsecond: whoever receives it knows how
    /// long it took
    Clock,
}

/// From when on values change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Each device from its registration on
    #[serde(rename = "registered")]
    #[value(name = "registered")]
    AtOnce,
    /// Each device while it is observed
    Observed,
    /// All of them once each device of the fleet is registered and observed
    #[serde(rename = "all-observed")]
    #[value(name = "all-observed")]
    WhenObserved,
}

/// Sleeping between messages: queue mode, OMA Core 6.6.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sleep {
    /// The share of the devices that do.
    pub share: f64,
    /// How long each listens after its last message; what comes later does not reach it.
    pub awake: Duration,
}

/// A NAT that forgets: the source address changes and the device does not know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rebind {
    /// The share of the devices behind it.
    pub share: f64,
    /// How often it happens to each.
    pub every: Duration,
}

/// A reboot storm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reboot {
    /// When it begins, on the clock of the fleet.
    pub at: Duration,
    /// How long it takes until the last one has rebooted.
    pub within: Duration,
    /// The share of the devices that it catches.
    pub share: f64,
    /// How long each is away.
    pub away: Duration,
}

/// How fast devices begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ramp {
    /// So many in a second, as long as the server follows: no more than 2 000 wait for the answer
    /// to their first Register.
    Constant {
        /// Devices in a second, at least 1.
        rate: u32,
    },
    /// All of them within a span, whether or not the server follows, as after an outage.
    Burst {
        /// From the first to the last.
        within: Duration,
    },
}

/// What the devices do at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Leave {
    /// They deregister
    Deregister,
    /// They fall silent
    Vanish,
}

/// Where datagrams come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Sources {
    /// Spread towards 127.0.0.0/8, else ports
    Auto,
    /// An address in 127.0.0.0/8 for each device, over a few sockets
    Spread,
    /// A socket and port for each device
    Ports,
}

/// A fleet that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No devices, or too many.
    #[error("the number of devices must be between 1 and {COUNT_MAX}, not {0}")]
    Count(usize),
    /// No device would ever begin.
    #[error("the rate must be at least 1 device per second")]
    Rate,
    /// A name that no server takes.
    #[error(
        "the prefix `{0}` must not be empty, hold `+`, `#` or control characters, or begin with `/`"
    )]
    Prefix(String),
    /// Two groups whose devices have the same names.
    #[error("two groups have the prefix `{0}`")]
    SamePrefix(String),
    /// A group that the summary cannot name.
    #[error("the name of a group must be letters, digits, `-`, `_` and `.`, not `{0}`")]
    Name(String),
    /// A lifetime that `lt=` cannot say.
    #[error("the lifetime must be between 1 s and 136 years")]
    Lifetime,
    /// A share that is none.
    #[error("{0} must be between 0 and 1, not {1}")]
    Share(&'static str, f64),
    /// A format that the version does not know.
    #[error("the format {0} needs LwM2M 1.1")]
    Format(Format),
    /// A resource that cannot swing or tell the time.
    #[error("{0} is not a number of the simulated devices{1}")]
    Resource(Path, &'static str),
    /// Something that would happen without a pause.
    #[error("{0} must not be 0")]
    Zero(&'static str),
    /// Spread addresses lead to an IPv4 loopback server only.
    #[error("source addresses can be spread only towards a server in 127.0.0.0/8, not {0}")]
    NotLoopback(SocketAddr),
}

impl Group {
    /// Devices named `sim-1` and so on, with the defaults of the command line.
    pub fn new(count: usize) -> Self {
        Self {
            name: "all".to_owned(),
            prefix: "sim-".to_owned(),
            count,
            version: Version::V1_1,
            format: None,
            lifetime: Duration::from_secs(300).into(),
            update_every: None,
            notify: Notify::default(),
            sleep: Sleep::default(),
            answer_delay: None,
            loss: 0.0,
            rebind: None,
            reboot: None,
        }
    }

    /// Whether such devices can be.
    fn check(&self, models: &Arc<Models>) -> Result<(), ConfigError> {
        self.check_names()?;
        self.check_shares()?;
        let lifetime = self.lifetime.low().as_secs() > 0
            && u32::try_from(self.lifetime.high().as_secs()).is_ok();
        if !lifetime {
            return Err(ConfigError::Lifetime);
        }
        let old = self.version < Version::V1_1;
        if let Some(format) = self.format
            && old
            && [Format::SENML_JSON, Format::SENML_CBOR].contains(&format)
        {
            return Err(ConfigError::Format(format));
        }
        let pauses = [
            ("the interval of Updates", self.update_every.map(Spread::low)),
            ("the interval of notifications", self.notify.every.map(Spread::low)),
            ("the interval of rebinding", self.rebind.map(|rebind| rebind.every)),
        ];
        for (what, pause) in pauses {
            if pause.is_some_and(|pause| pause.is_zero()) {
                return Err(ConfigError::Zero(what));
            }
        }
        self.check_resource(models)
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        let odd = |c: char| c.is_control() || c == '+' || c == '#';
        if self.prefix.is_empty() || self.prefix.starts_with('/') || self.prefix.contains(odd) {
            return Err(ConfigError::Prefix(self.prefix.clone()));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(ConfigError::Name(self.name.clone()));
        }
        Ok(())
    }

    fn check_shares(&self) -> Result<(), ConfigError> {
        let shares = [
            ("the share of confirmable devices", self.notify.con),
            ("the share of sleeping devices", self.sleep.share),
            ("the share of lost datagrams", self.loss),
            ("the share of rebound devices", self.rebind.map_or(0.0, |rebind| rebind.share)),
            ("the share of rebooting devices", self.reboot.map_or(0.0, |reboot| reboot.share)),
        ];
        match shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            Some((what, share)) => Err(ConfigError::Share(what, share)),
            None => Ok(()),
        }
    }

    fn check_resource(&self, models: &Arc<Models>) -> Result<(), ConfigError> {
        let path = self.notify.resource;
        let profile = Profile::new(self.version, Arc::clone(models));
        let slot = profile.objects.iter().find(|(at, _)| *at == path).map(|(_, slot)| slot);
        match (slot, self.notify.value) {
            (Some(Slot::Value(Value::Float(_))), _)
            | (Some(Slot::Value(Value::Integer(_))), Signal::Wave) => Ok(()),
            (Some(Slot::Value(Value::Integer(_))), Signal::Clock) => {
                Err(ConfigError::Resource(path, " with decimals, which the clock needs"))
            }
            _ => Err(ConfigError::Resource(path, "")),
        }
    }

    /// What the devices have in common. `epoch_ms`: the wall-clock time at the origin of the clock.
    pub(crate) fn profile(&self, models: &Arc<Models>, epoch_ms: Option<i64>) -> Arc<Profile> {
        let mut profile = Profile::new(self.version, Arc::clone(models));
        profile.prefix.clone_from(&self.prefix);
        profile.epoch_ms = epoch_ms;
        if let Some(reboot) = self.reboot {
            profile.reboot_time = reboot.away;
        }
        if let Some(format) = self.format {
            profile = profile.preferring(format);
        }
        profile.into_shared()
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            every: Some(Duration::from_secs(10).into()),
            resource: TEMPERATURE,
            value: Signal::Wave,
            con: 0.0,
            start: Start::AtOnce,
            after: Duration::ZERO,
        }
    }
}

impl Default for Sleep {
    /// Nobody sleeps. Who does listens for MAX_TRANSMIT_WAIT, as OMA Core 6.6 recommends.
    fn default() -> Self {
        Self { share: 0.0, awake: Duration::from_secs(93) }
    }
}

impl FleetConfig {
    /// A fleet with the defaults of the command line.
    pub fn new(server: SocketAddr, count: usize, models: Arc<Models>) -> Self {
        Self::of(server, Group::new(count), models)
    }

    /// A fleet of one group.
    pub fn of(server: SocketAddr, group: Group, models: Arc<Models>) -> Self {
        Self {
            server,
            groups: vec![group],
            ramp: Ramp::Constant { rate: RATE_DEFAULT },
            seed: 1,
            duration: None,
            leave: Leave::Deregister,
            sources: Sources::Auto,
            models,
        }
    }

    /// The devices `demo-1` to `demo-COUNT` that the gateway brings along for a newcomer.
    pub fn demo(server: SocketAddr, count: usize, models: Arc<Models>) -> Self {
        let notify = Notify { every: Some(Duration::from_secs(5).into()), ..Notify::default() };
        let prefix = "demo-".to_owned();
        Self::of(server, Group { prefix, notify, ..Group::new(count) }, models)
    }

    /// How many devices there are in all groups.
    pub fn count(&self) -> usize {
        self.groups.iter().map(|group| group.count).fold(0, usize::saturating_add)
    }

    /// Whether such a fleet can be.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check(&self) -> Result<(), ConfigError> {
        let count = self.count();
        if count == 0 || count > COUNT_MAX {
            return Err(ConfigError::Count(count));
        }
        if self.ramp == (Ramp::Constant { rate: 0 }) {
            return Err(ConfigError::Rate);
        }
        for (index, group) in self.groups.iter().enumerate() {
            group.check(&self.models)?;
            if self.groups.iter().take(index).any(|before| before.prefix == group.prefix) {
                return Err(ConfigError::SamePrefix(group.prefix.clone()));
            }
        }
        if self.sources == Sources::Spread && !is_spreadable(self.server) {
            return Err(ConfigError::NotLoopback(self.server));
        }
        Ok(())
    }

    /// The sources that [`Sources::Auto`] means here.
    pub(crate) fn effective_sources(&self) -> Sources {
        match self.sources {
            Sources::Auto if is_spreadable(self.server) => Sources::Spread,
            Sources::Auto => Sources::Ports,
            chosen => chosen,
        }
    }
}

/// Devices that begin in a second unless something else is said.
pub(crate) const RATE_DEFAULT: u32 = 1000;

fn is_spreadable(server: SocketAddr) -> bool {
    server.is_ipv4() && server.ip().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(group: Group) -> FleetConfig {
        let server = "127.0.0.1:5683".parse().unwrap();
        FleetConfig::of(server, group, Arc::new(Models::builtin()))
    }

    #[test]
    fn impossible_fleets_are_refused() {
        assert!(of(Group::new(5)).check().is_ok());
        assert!(matches!(of(Group::new(0)).check(), Err(ConfigError::Count(0))));
        assert!(matches!(of(Group::new(COUNT_MAX + 1)).check(), Err(ConfigError::Count(_))));
        let idle = FleetConfig { ramp: Ramp::Constant { rate: 0 }, ..of(Group::new(1)) };
        assert!(matches!(idle.check(), Err(ConfigError::Rate)));
        let far: SocketAddr = "192.0.2.1:5683".parse().unwrap();
        let spread = FleetConfig { sources: Sources::Spread, server: far, ..of(Group::new(1)) };
        assert!(matches!(spread.check(), Err(ConfigError::NotLoopback(_))));
        assert_eq!(of(Group::new(1)).effective_sources(), Sources::Spread);
        let auto = FleetConfig { server: far, ..of(Group::new(1)) };
        assert_eq!(auto.effective_sources(), Sources::Ports);
    }

    #[test]
    fn impossible_groups_are_refused_and_say_why() {
        let group = || Group::new(1);
        let second = Duration::from_secs(1);
        let notify = |notify: Notify| Group { notify, ..group() };
        let path = |text: &str| Path::parse(text).unwrap();
        let rows = [
            (Group { prefix: "a+".to_owned(), ..group() }, "prefix"),
            (Group { prefix: "/a".to_owned(), ..group() }, "prefix"),
            (Group { name: "a b".to_owned(), ..group() }, "name of a group"),
            (Group { lifetime: Duration::ZERO.into(), ..group() }, "lifetime"),
            (Group { loss: 1.5, ..group() }, "lost datagrams"),
            (Group { loss: f64::NAN, ..group() }, "lost datagrams"),
            (Group { update_every: Some(Duration::ZERO.into()), ..group() }, "Updates"),
            (Group { rebind: Some(Rebind { share: 2.0, every: second }), ..group() }, "rebound"),
            (
                Group { version: Version::V1_0, format: Some(Format::SENML_JSON), ..group() },
                "needs LwM2M 1.1",
            ),
            (notify(Notify { resource: path("/3/0/0"), ..Notify::default() }), "/3/0/0"),
            (notify(Notify { resource: path("/9/9/9"), ..Notify::default() }), "not a number"),
            (
                notify(Notify {
                    resource: path("/3/0/9"),
                    value: Signal::Clock,
                    ..Notify::default()
                }),
                "decimals",
            ),
        ];
        for (group, part) in rows {
            let error = of(group).check().expect_err(part).to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
        let mut twins = of(group());
        twins.groups.push(group());
        assert!(matches!(twins.check(), Err(ConfigError::SamePrefix(_))));
    }
}
