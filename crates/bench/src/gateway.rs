//! The gateway under test: settings, start, numbers.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::affinity::{Place, Placement};
use crate::metrics::Metrics;
use crate::problem::{Context, Outcome, Problem};
use crate::process::{Process, command, read_until, tail};

/// How long it may take until it is connected to its broker.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What differs between scenarios. Everything else is the default.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The external broker; `None`: the one inside of the gateway.
    pub(crate) external: Option<SocketAddr>,
    pub(crate) shards: usize,
    /// QoS of everything that is published.
    pub(crate) qos: u8,
    /// Where it runs.
    pub(crate) place: Place,
}

impl Settings {
    /// The configuration file. Every kind of message has a topic of its own, so that the subscriber
    /// counts without parsing; an Update is published even if it says nothing new, so that it can
    /// be counted at all.
    fn file(&self, data: &Path) -> String {
        let qos = self.qos;
        let broker = match self.external {
            None => "mqtt.embedded.bind = \"127.0.0.1:0\"\n".to_owned(),
            Some(address) => {
                format!("mqtt.mode = \"external\"\nmqtt.external.url = \"mqtt://{address}\"\n")
            }
        };
        let topic = |kind: &str, topic: &str| {
            format!("lwm2m.topics.{kind} = {{ topic = \"up/{topic}\", qos = {qos} }}\n")
        };
        let topics: String = [
            ("register", "register"),
            ("update", "update"),
            ("notify", "notify"),
            ("response", "resp"),
        ]
        .map(|(kind, last)| topic(kind, last))
        .concat();
        format!(
            "data_dir = \"{}\"\nshards = {}\nlisteners.default.bind = \"127.0.0.1:0\"\n\
             http.bind = \"127.0.0.1:0\"\n{broker}{topics}\
             lwm2m.update_msg_publish_condition = \"always\"\n",
            data.display(),
            self.shards,
        )
    }
}

/// A running gateway.
pub(crate) struct Gateway {
    process: Process,
    pub(crate) coap: SocketAddr,
    pub(crate) broker: SocketAddr,
    http: SocketAddr,
}

impl Gateway {
    /// Starts it and waits until it is connected to its broker.
    pub(crate) fn start(
        placement: &Placement,
        program: &Path,
        directory: &Path,
        settings: &Settings,
    ) -> Outcome<Self> {
        let file = directory.join("gateway.toml");
        let data = directory.join("data");
        fs::write(&file, settings.file(&data)).context(|| file.display().to_string())?;
        let log = directory.join("gateway.log");
        let mut command = command(program);
        command.arg("--config").arg(&file).stdout(Stdio::piped());
        let mut process = Process::start(placement, settings.place, command, &log)?;
        let addresses = addresses(&mut process);
        let (coap, broker, http) = addresses.context(|| tail(&log))?;
        let gateway = Self { process, coap, broker, http };
        gateway.wait_until_connected()?;
        Ok(gateway)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn metrics(&self) -> Outcome<Metrics> {
        Metrics::fetch(self.http)
    }

    fn wait_until_connected(&self) -> Outcome<()> {
        let until = Instant::now() + READY_WITHIN;
        while self.metrics()?.value("mqtt_connected") < 1.0 {
            if Instant::now() > until {
                return Err(Problem::new("the gateway does not reach its broker"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// CoAP, MQTT and HTTP, as the gateway prints them when it serves.
fn addresses(process: &mut Process) -> Outcome<(SocketAddr, SocketAddr, SocketAddr)> {
    let mut lines = process.stdout()?;
    let mut found = [None; 3];
    read_until(&mut lines, "the gateway", |line| {
        for (place, scheme) in found.iter_mut().zip(["coap://", "mqtt://", "http://"]) {
            *place = place.or_else(|| address_in(line, scheme));
        }
        match found {
            [Some(coap), Some(broker), Some(http)] => Some((coap, broker, http)),
            _ => None,
        }
    })
}

fn address_in(line: &str, scheme: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(scheme)?;
    let end = rest.find(['/', ' ']).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_what_the_gateway_prints() {
        let address = Some("127.0.0.1:5683".parse().unwrap());
        let line = "  CoAP  coap://127.0.0.1:5683 (listener default)";
        assert_eq!(address_in(line, "coap://"), address);
        assert_eq!(address_in("HTTP  http://127.0.0.1:5683/health", "http://"), address);
        assert_eq!(address_in(line, "mqtt://"), None);
    }
}
