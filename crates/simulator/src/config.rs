//! What a fleet is: how many, whom they face, how they behave.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use device::{Profile, QueueMode, Reliability};
use lwm2m::{Format, Models, Version};

/// More devices than that have no addresses of their own in `127.0.0.0/8`, with room for the new
/// addresses of devices that reboot.
pub const COUNT_MAX: usize = 4_000_000;

/// A fleet and its behaviour. Start from [`FleetConfig::new`] or [`FleetConfig::demo`].
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// Whom the devices face.
    pub server: SocketAddr,
    /// How many there are, 1 to [`COUNT_MAX`].
    pub count: usize,
    /// What their names begin with; a number from 1 follows.
    pub prefix: String,
    /// What each of them is like, apart from the members below.
    pub version: Version,
    /// The format of everything whose format the server does not choose; `None`: TLV.
    pub format: Option<Format>,
    /// How they notify.
    pub notifications: Reliability,
    /// The lifetime that they register with, in seconds.
    pub lifetime: u32,
    /// Whether they say that they sleep.
    pub queue_mode: QueueMode,
    /// How often each sends an Update; `None`: as its lifetime needs.
    pub update_every: Option<Duration>,
    /// How often the temperature of each changes; `None`: never.
    pub change_every: Option<Duration>,
    /// From when on the temperatures change.
    pub start: Start,
    /// How many devices begin in a second.
    pub rate: u32,
    /// What the tokens, message ids and jitter of the devices come from.
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

/// From when on values change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Each device from its registration on.
    AtOnce,
    /// All of them once each is registered and observed.
    WhenObserved,
}

/// What the devices do at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// They deregister.
    Deregister,
    /// They fall silent.
    Vanish,
}

/// Where datagrams come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sources {
    /// [`Sources::Spread`] towards an IPv4 loopback address, else [`Sources::Ports`].
    Auto,
    /// An address of its own for each device in `127.0.0.0/8`, over a few sockets.
    Spread,
    /// A socket, and so a port, of its own for each device.
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
    /// The address of the server cannot be found.
    #[error("cannot resolve the server address `{text}`: {source}")]
    Server {
        /// As it was given.
        text: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address of the server has no port, or is none.
    #[error("`{0}` is not a server address: write HOST:PORT, e.g. 127.0.0.1:5683")]
    NoAddress(String),
    /// Spread addresses lead to an IPv4 loopback server only.
    #[error("source addresses can be spread only towards a server in 127.0.0.0/8, not {0}")]
    NotLoopback(SocketAddr),
}

impl FleetConfig {
    /// A fleet with the defaults of the command line.
    pub fn new(server: SocketAddr, count: usize, models: Arc<Models>) -> Self {
        Self {
            server,
            count,
            prefix: "sim-".to_owned(),
            version: Version::V1_1,
            format: None,
            notifications: Reliability::NonConfirmable,
            lifetime: 300,
            queue_mode: QueueMode::Off,
            update_every: None,
            change_every: Some(Duration::from_secs(10)),
            start: Start::AtOnce,
            rate: 1000,
            seed: 1,
            duration: None,
            leave: Leave::Deregister,
            sources: Sources::Auto,
            models,
        }
    }

    /// The devices `demo-1` to `demo-COUNT` that the gateway brings along for a newcomer.
    pub fn demo(server: SocketAddr, count: usize, models: Arc<Models>) -> Self {
        Self {
            prefix: "demo-".to_owned(),
            change_every: Some(Duration::from_secs(5)),
            ..Self::new(server, count, models)
        }
    }

    /// Whether such a fleet can be.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.count == 0 || self.count > COUNT_MAX {
            return Err(ConfigError::Count(self.count));
        }
        if self.rate == 0 {
            return Err(ConfigError::Rate);
        }
        let odd = |c: char| c.is_control() || c == '+' || c == '#';
        if self.prefix.is_empty() || self.prefix.starts_with('/') || self.prefix.contains(odd) {
            return Err(ConfigError::Prefix(self.prefix.clone()));
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

    /// What the devices have in common. `epoch_ms`: the wall-clock time at the origin of the clock.
    pub(crate) fn profile(&self, epoch_ms: Option<i64>) -> Arc<Profile> {
        let mut profile = Profile::new(self.version, Arc::clone(&self.models));
        profile.epoch_ms = epoch_ms;
        profile.lifetime = Some(self.lifetime);
        profile.notifications = self.notifications;
        profile.queue_mode = self.queue_mode;
        profile.update_every = self.update_every;
        if let Some(format) = self.format {
            profile = profile.preferring(format);
        }
        profile.into_shared()
    }

    /// The name of a device, counted from 0.
    pub(crate) fn name(&self, index: usize) -> String {
        format!("{}{}", self.prefix, index + 1)
    }
}

/// Reads `HOST:PORT`, or `HOST` with CoAP's port 5683.
///
/// # Errors
/// A text that is no address, and a name that cannot be resolved.
pub fn resolve_server(text: &str) -> Result<SocketAddr, ConfigError> {
    const COAP_PORT: u16 = 5683;
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse() {
        return Ok(SocketAddr::new(ip, COAP_PORT));
    }
    if text.is_empty() || text.contains(['/', ' ', '@']) {
        return Err(ConfigError::NoAddress(text.to_owned()));
    }
    let with_port =
        if text.contains(':') { text.to_owned() } else { format!("{text}:{COAP_PORT}") };
    let resolved = with_port
        .to_socket_addrs()
        .map_err(|source| ConfigError::Server { text: text.to_owned(), source })?;
    // IPv4 first: a server on `localhost` listens there more often than on ::1.
    let mut addresses: Vec<SocketAddr> = resolved.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.first().copied().ok_or_else(|| ConfigError::NoAddress(text.to_owned()))
}

fn is_spreadable(server: SocketAddr) -> bool {
    server.is_ipv4() && server.ip().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_addresses_are_read_or_refused() {
        let rows = [
            ("127.0.0.1:5683", Some("127.0.0.1:5683")),
            ("127.0.0.1", Some("127.0.0.1:5683")),
            ("[::1]:5684", Some("[::1]:5684")),
            ("::1", Some("[::1]:5683")),
            ("localhost:7", Some("127.0.0.1:7")),
            ("", None),
            ("coap://127.0.0.1", None),
            ("127.0.0.1:99999", None),
            ("127.0.0.1:", None),
        ];
        for (text, expected) in rows {
            let found = resolve_server(text).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn impossible_fleets_are_refused() {
        let loopback: SocketAddr = "127.0.0.1:5683".parse().unwrap();
        let far: SocketAddr = "192.0.2.1:5683".parse().unwrap();
        let good = FleetConfig::new(loopback, 5, Arc::new(Models::empty()));
        assert!(good.check().is_ok());
        let none = FleetConfig { count: 0, ..good.clone() };
        assert!(matches!(none.check(), Err(ConfigError::Count(0))));
        let many = FleetConfig { count: COUNT_MAX + 1, ..good.clone() };
        assert!(matches!(many.check(), Err(ConfigError::Count(_))));
        let idle = FleetConfig { rate: 0, ..good.clone() };
        assert!(matches!(idle.check(), Err(ConfigError::Rate)));
        for prefix in ["", "a+", "a#", "/a", "a\n"] {
            let named = FleetConfig { prefix: prefix.to_owned(), ..good.clone() };
            assert!(matches!(named.check(), Err(ConfigError::Prefix(_))), "{prefix:?}");
        }
        let spread = FleetConfig { sources: Sources::Spread, server: far, ..good.clone() };
        assert!(matches!(spread.check(), Err(ConfigError::NotLoopback(_))));
        assert_eq!(good.effective_sources(), Sources::Spread);
        assert_eq!(FleetConfig { server: far, ..good }.effective_sources(), Sources::Ports);
    }
}
