//! The arguments of `lwm2m-sim`: a scenario of their own, which wins over that of a file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use lwm2m::Models;
use simulator::scenario::{Devices, Enabler, Encoding, Interval, NotifyTable, RampTable};
use simulator::scenario::{Resource, Share, SleepTable, Span};
use simulator::{FleetConfig, Leave, Scenario, ScenarioError, Signal, Sources, Start, parse_span};

/// Simulated LwM2M devices: they register, answer commands, change their values and notify.
///
/// INTERVAL is a span of time such as 250ms, 300s, 5m or 24h, or a range such as 50s..70s of which
/// each device has its own value.
#[derive(Debug, Parser)]
#[command(name = "lwm2m-sim", about, disable_version_flag = true)]
pub(crate) struct Arguments {
    /// TOML file that describes the fleet; what flags say wins over it
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,

    /// How many devices [default: 1]
    #[arg(long, short = 'n')]
    count: Option<usize>,

    /// Address of the server, HOST:PORT; the port may be left out [default: 127.0.0.1:5683]
    #[arg(long, short)]
    server: Option<String>,

    /// Version of LwM2M that the devices speak [default: 1.1]
    #[arg(long, value_enum)]
    version: Option<Enabler>,

    /// Format that the devices use where the server does not choose [default: tlv]
    #[arg(long, value_enum)]
    format: Option<Encoding>,

    /// How notifications are sent [default: non]
    #[arg(long, value_enum)]
    notify: Option<Reliability>,

    /// Lifetime of a registration [default: 300s]
    #[arg(long, value_name = "INTERVAL")]
    lifetime: Option<Interval>,

    /// The devices sleep between their messages (queue mode)
    #[arg(long)]
    queue_mode: bool,

    /// How long a sleeping device listens after its last message [default: 93s]
    #[arg(long, value_name = "SPAN")]
    awake: Option<Span>,

    /// Interval of Updates [default: as the lifetime needs]
    #[arg(long, value_name = "INTERVAL")]
    update_every: Option<Interval>,

    /// Interval at which the value of each device changes, and is notified if observed; 0 for never
    /// [default: 10s]
    #[arg(long, value_name = "INTERVAL")]
    notify_every: Option<Interval>,

    /// Changes in a second of all devices together, in the place of --notify-every
    #[arg(long, value_name = "NUMBER", conflicts_with = "notify_every")]
    notify_rate: Option<f64>,

    /// Which value changes [default: /3303/0/5700]
    #[arg(long, value_name = "PATH")]
    resource: Option<Resource>,

    /// What the changing value is [default: wave]
    #[arg(long, value_enum)]
    value: Option<Signal>,

    /// Change nothing until every device is registered and observed
    #[arg(long)]
    observe_ready: bool,

    /// Time that the devices take to answer a request [default: none]
    #[arg(long, value_name = "INTERVAL")]
    answer_delay: Option<Interval>,

    /// Share of the datagrams that is lost, in each direction [default: 0]
    #[arg(long, value_name = "SHARE")]
    loss: Option<Share>,

    /// What the endpoint names begin with; a number from 1 follows [default: sim-]
    #[arg(long)]
    prefix: Option<String>,

    /// Devices that begin in a second [default: 1000]
    #[arg(long)]
    rate: Option<u32>,

    /// Let all devices begin within this span, whether or not the server follows
    #[arg(long, value_name = "SPAN", conflicts_with = "rate")]
    burst: Option<Span>,

    /// Where everything comes from that is left to chance [default: 1]
    #[arg(long)]
    seed: Option<u64>,

    /// Stop after this time; without it with Ctrl-C
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    duration: Option<Duration>,

    /// Fall silent at the end instead of deregistering
    #[arg(long)]
    vanish: bool,

    /// Where datagrams come from [default: auto]
    #[arg(long, value_enum)]
    sources: Option<Sources>,

    /// No progress bar
    #[arg(long, short)]
    quiet: bool,

    /// Print the summary as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reliability {
    /// Confirmable
    Con,
    /// Non-confirmable
    Non,
}

impl Arguments {
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet || self.json
    }

    /// The fleet that the file and the flags describe.
    pub(crate) fn fleet(&self) -> Result<FleetConfig, ScenarioError> {
        let file = match &self.scenario {
            Some(path) => Scenario::load(path)?,
            None => Scenario::default(),
        };
        self.layer().over(file).fleet(Arc::new(Models::builtin()))
    }

    fn layer(&self) -> Scenario {
        let constant = self.rate.map(|rate| RampTable::Constant { rate });
        Scenario {
            server: self.server.clone(),
            count: self.count,
            prefix: self.prefix.clone(),
            seed: self.seed,
            duration: self.duration.map(Span::from),
            leave: self.vanish.then_some(Leave::Vanish),
            sources: self.sources,
            ramp: self.burst.map(|within| RampTable::Burst { within }).or(constant),
            devices: self.devices(),
            groups: Vec::new(),
        }
    }

    fn devices(&self) -> Devices {
        let share = |reliability| match reliability {
            Reliability::Con => Share::ALL,
            Reliability::Non => Share::NONE,
        };
        Devices {
            version: self.version,
            format: self.format,
            lifetime: self.lifetime,
            update_every: self.update_every,
            answer_delay: self.answer_delay,
            loss: self.loss,
            notify: NotifyTable {
                every: self.notify_every,
                rate: self.notify_rate,
                resource: self.resource,
                value: self.value,
                con: self.notify.map(share),
                start: self.observe_ready.then_some(Start::WhenObserved),
                after: None,
            },
            sleep: SleepTable { share: self.queue_mode.then_some(Share::ALL), awake: self.awake },
            rebind: None,
            reboot: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use lwm2m::{Format, Version};

    use super::*;

    fn fleet(line: &str) -> Result<FleetConfig, String> {
        let arguments = Arguments::try_parse_from(line.split_whitespace());
        let arguments = arguments.map_err(|error| error.to_string())?;
        arguments.fleet().map_err(|error| error.to_string())
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_arguments_describe_a_fleet() {
        let config = fleet(
            "lwm2m-sim --count 7 --server 127.0.0.1:7000 --version 1.0 --format json --notify con \
             --lifetime 10m --update-every 1m..2m --notify-every 0 --prefix dev- --seed 3 \
             --duration 5s --queue-mode --burst 10s --loss 0.1 --vanish",
        )
        .unwrap();
        assert_eq!((config.count(), config.server.port()), (7, 7000));
        assert_eq!((config.seed, config.duration), (3, Some(seconds(5))));
        assert_eq!(config.ramp, simulator::Ramp::Burst { within: seconds(10) });
        assert_eq!(config.leave, Leave::Vanish);
        let group = &config.groups[0];
        assert_eq!((group.version, group.format), (Version::V1_0, Some(Format::JSON)));
        assert_eq!((group.notify.con, group.notify.every), (1.0, None));
        assert_eq!((group.lifetime.low(), group.sleep.share, group.loss), (seconds(600), 1.0, 0.1));
        let update = group.update_every.unwrap();
        assert_eq!((update.low(), update.high()), (seconds(60), seconds(120)));
        assert_eq!(group.prefix, "dev-");
    }

    #[test]
    fn flags_win_over_the_file_in_all_groups() {
        let path = std::env::temp_dir().join(format!("lwm2m-sim-{}.toml", std::process::id()));
        let text = "count = 10\nseed = 9\n[devices]\nlifetime = \"1h\"\n\
                    [[group]]\nname = \"a\"\nshare = 0.7\ndevices.notify.con = 0.5\n\
                    [[group]]\nname = \"b\"\nshare = 0.3\ndevices.lifetime = \"2h\"\n";
        std::fs::write(&path, text).unwrap();
        let line = format!("lwm2m-sim --scenario {} -n 100 --notify con", path.display());
        let config = fleet(&line);
        std::fs::remove_file(&path).unwrap();
        let config = config.unwrap();
        let [a, b] = config.groups.as_slice() else { panic!("{:?}", config.groups) };
        assert_eq!((a.count, b.count, config.seed), (70, 30, 9));
        assert_eq!((a.notify.con, b.notify.con), (1.0, 1.0));
        assert_eq!((a.lifetime.low(), b.lifetime.low()), (seconds(3600), seconds(7200)));
        assert_eq!((a.prefix.as_str(), b.prefix.as_str()), ("sim-a-", "sim-b-"));
    }

    #[test]
    fn bad_arguments_say_what_is_wrong() {
        let rows = [
            ("lwm2m-sim --count 0", "between 1 and"),
            ("lwm2m-sim --count x", "invalid value 'x'"),
            ("lwm2m-sim --server nowhere:", "nowhere:"),
            ("lwm2m-sim --server coap://127.0.0.1", "HOST:PORT"),
            ("lwm2m-sim --lifetime 0", "lifetime"),
            ("lwm2m-sim --lifetime soon", "span of time"),
            ("lwm2m-sim --lifetime 9s..3s", "longer span"),
            ("lwm2m-sim --version 1.0 --format senml-cbor", "needs LwM2M 1.1"),
            ("lwm2m-sim --version 2.0", "invalid value '2.0'"),
            ("lwm2m-sim --prefix a#b", "prefix"),
            ("lwm2m-sim --rate 0", "rate"),
            ("lwm2m-sim --rate 5 --burst 1s", "cannot be used with"),
            ("lwm2m-sim --loss 2", "between 0 and 1"),
            ("lwm2m-sim --resource /3", "path of a resource"),
            ("lwm2m-sim --notify-rate -1", "unexpected argument"),
            ("lwm2m-sim --notify-rate=-1", "out of range"),
            ("lwm2m-sim --sources spread --server 192.0.2.1", "127.0.0.0/8"),
            ("lwm2m-sim --scenario /nowhere.toml", "/nowhere.toml: "),
            ("lwm2m-sim --whatever", "unexpected argument"),
        ];
        for (line, part) in rows {
            let error = fleet(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
