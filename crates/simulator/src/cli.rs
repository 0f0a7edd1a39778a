//! The arguments of `lwm2m-sim`.

use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use device::{QueueMode, Reliability};
use lwm2m::{Format, Models, Version};
use simulator::{ConfigError, FleetConfig, Leave, Start, parse_span, resolve_server};

/// Simulated LwM2M devices: they register, answer commands, change their values and notify.
#[derive(Debug, Parser)]
#[command(name = "lwm2m-sim", about, disable_version_flag = true)]
pub(crate) struct Arguments {
    /// How many devices
    #[arg(long, short = 'n', default_value_t = 1)]
    count: usize,

    /// Address of the server, HOST:PORT; the port may be left out
    #[arg(long, short, default_value = "127.0.0.1:5683")]
    server: String,

    /// Version of LwM2M that the devices speak
    #[arg(long, value_enum, default_value_t = Enabler::V1_1)]
    version: Enabler,

    /// Format that the devices use where the server does not choose
    #[arg(long, value_enum, default_value_t = Encoding::Tlv)]
    format: Encoding,

    /// How notifications are sent
    #[arg(long, value_enum, default_value_t = Notify::Non)]
    notify: Notify,

    /// Lifetime of a registration, e.g. 300s, 5m, 24h
    #[arg(long, default_value = "300s", value_parser = parse_span)]
    lifetime: Duration,

    /// Say that the devices sleep between their messages (queue mode)
    #[arg(long)]
    queue_mode: bool,

    /// Interval of Updates; without it as the lifetime needs
    #[arg(long, value_parser = parse_span)]
    update_every: Option<Duration>,

    /// Interval at which each temperature changes, and is notified if observed; 0 for never
    #[arg(long, default_value = "10s", value_parser = parse_span)]
    notify_every: Duration,

    /// Change nothing until every device is registered and observed
    #[arg(long)]
    observe_ready: bool,

    /// What the endpoint names begin with; a number from 1 follows
    #[arg(long, default_value = "sim-")]
    prefix: String,

    /// Devices that begin in a second
    #[arg(long, default_value_t = 1000)]
    rate: u32,

    /// Where tokens, message ids and jitter come from
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Stop after this time; without it with Ctrl-C
    #[arg(long, value_parser = parse_span)]
    duration: Option<Duration>,

    /// Fall silent at the end instead of deregistering
    #[arg(long)]
    vanish: bool,

    /// Where datagrams come from
    #[arg(long, value_enum, default_value_t = Sources::Auto)]
    sources: Sources,

    /// No progress bar
    #[arg(long, short)]
    quiet: bool,

    /// Print the summary as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Enabler {
    #[value(name = "1.0")]
    V1_0,
    #[value(name = "1.1")]
    V1_1,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Encoding {
    Tlv,
    Json,
    SenmlJson,
    SenmlCbor,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Notify {
    Con,
    Non,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sources {
    /// Spread towards 127.0.0.0/8, else ports
    Auto,
    /// An address in 127.0.0.0/8 for each device
    Spread,
    /// A socket and port for each device
    Ports,
}

/// Arguments that are well written and still cannot be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("--lifetime must be between 1 s and 136 years")]
    Lifetime,
    #[error("--format {0} needs LwM2M 1.1")]
    Format(&'static str),
}

impl Arguments {
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet || self.json
    }

    pub(crate) fn fleet(&self) -> Result<FleetConfig, ArgumentError> {
        let server = resolve_server(&self.server)?;
        let models = Arc::new(Models::builtin());
        let config = FleetConfig {
            prefix: self.prefix.clone(),
            version: self.enabler(),
            format: self.preferred_format()?,
            notifications: match self.notify {
                Notify::Con => Reliability::Confirmable,
                Notify::Non => Reliability::NonConfirmable,
            },
            lifetime: self.lifetime_seconds()?,
            queue_mode: if self.queue_mode { QueueMode::On } else { QueueMode::Off },
            update_every: self.update_every.filter(|every| !every.is_zero()),
            change_every: Some(self.notify_every).filter(|every| !every.is_zero()),
            start: if self.observe_ready { Start::WhenObserved } else { Start::AtOnce },
            rate: self.rate,
            seed: self.seed,
            duration: self.duration,
            leave: if self.vanish { Leave::Vanish } else { Leave::Deregister },
            sources: match self.sources {
                Sources::Auto => simulator::Sources::Auto,
                Sources::Spread => simulator::Sources::Spread,
                Sources::Ports => simulator::Sources::Ports,
            },
            ..FleetConfig::new(server, self.count, models)
        };
        config.check()?;
        Ok(config)
    }

    fn enabler(&self) -> Version {
        match self.version {
            Enabler::V1_0 => Version::V1_0,
            Enabler::V1_1 => Version::V1_1,
        }
    }

    fn preferred_format(&self) -> Result<Option<Format>, ArgumentError> {
        let old = self.enabler() < Version::V1_1;
        match self.format {
            Encoding::Tlv => Ok(None),
            Encoding::Json => Ok(Some(Format::JSON)),
            Encoding::SenmlJson if old => Err(ArgumentError::Format("senml-json")),
            Encoding::SenmlCbor if old => Err(ArgumentError::Format("senml-cbor")),
            Encoding::SenmlJson => Ok(Some(Format::SENML_JSON)),
            Encoding::SenmlCbor => Ok(Some(Format::SENML_CBOR)),
        }
    }

    fn lifetime_seconds(&self) -> Result<u32, ArgumentError> {
        let seconds = self.lifetime.as_secs();
        u32::try_from(seconds).ok().filter(|seconds| *seconds > 0).ok_or(ArgumentError::Lifetime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(line: &str) -> Result<FleetConfig, String> {
        let arguments = Arguments::try_parse_from(line.split_whitespace());
        let arguments = arguments.map_err(|error| error.to_string())?;
        arguments.fleet().map_err(|error| error.to_string())
    }

    #[test]
    fn the_arguments_describe_a_fleet() {
        let config = fleet(
            "lwm2m-sim --count 7 --server 127.0.0.1:7000 --version 1.0 --format json --notify con \
             --lifetime 10m --update-every 1m --notify-every 0 --prefix dev- --seed 3 \
             --duration 5s",
        )
        .unwrap();
        assert_eq!((config.count, config.server.port()), (7, 7000));
        assert_eq!((config.version, config.format), (Version::V1_0, Some(Format::JSON)));
        assert_eq!(config.notifications, Reliability::Confirmable);
        assert_eq!((config.lifetime, config.update_every), (600, Some(Duration::from_secs(60))));
        assert_eq!((config.change_every, config.duration), (None, Some(Duration::from_secs(5))));
    }

    #[test]
    fn bad_arguments_say_what_is_wrong() {
        let rows = [
            ("lwm2m-sim --count 0", "between 1 and"),
            ("lwm2m-sim --count x", "invalid value 'x'"),
            ("lwm2m-sim --server nowhere:", "nowhere:"),
            ("lwm2m-sim --server coap://127.0.0.1", "HOST:PORT"),
            ("lwm2m-sim --lifetime 0", "--lifetime"),
            ("lwm2m-sim --lifetime soon", "span of time"),
            ("lwm2m-sim --version 1.0 --format senml-cbor", "needs LwM2M 1.1"),
            ("lwm2m-sim --version 2.0", "invalid value '2.0'"),
            ("lwm2m-sim --prefix a#b", "prefix"),
            ("lwm2m-sim --rate 0", "rate"),
            ("lwm2m-sim --sources spread --server 192.0.2.1", "127.0.0.0/8"),
            ("lwm2m-sim --whatever", "unexpected argument"),
        ];
        for (line, part) in rows {
            let error = fleet(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
