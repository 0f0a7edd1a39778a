//! The fleet: `lwm2m-sim` in a process of its own, and what it says at the end.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::Deserialize;

use crate::affinity::{Place, Placement};
use crate::problem::{Context, Outcome};
use crate::process::{Process, command};

/// What the devices do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) devices: u64,
    pub(crate) ramp: Ramp,
    /// Share of the devices whose notifications are confirmable.
    pub(crate) confirmable: f64,
    /// Notifications per second of all together; 0: none.
    pub(crate) notify_rate: u64,
    /// How often each sends an Update; `None`: hardly ever, the lifetime is a day.
    pub(crate) update_every: Option<Duration>,
    /// How often the address of each changes; `None`: never.
    pub(crate) rebind_every: Option<Duration>,
    pub(crate) start: Start,
    pub(crate) prefix: &'static str,
    pub(crate) seed: u64,
    pub(crate) leave: Leave,
}

/// From when on devices notify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Each from when it is observed.
    Observed,
    /// Each from when all are observed.
    AllObserved,
}

/// How fast the devices begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ramp {
    /// So many in a second, as long as the server follows.
    PerSecond(u64),
    /// All within a span, whether or not it follows.
    Within(Duration),
}

/// What the devices do at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// They deregister, for a server that goes on to be measured.
    Deregister,
    /// They fall silent.
    Vanish,
}

impl Plan {
    /// Devices that register, and answer when they are asked.
    pub(crate) const fn quiet(devices: u64, per_second: u64) -> Self {
        Self {
            devices,
            ramp: Ramp::PerSecond(per_second),
            confirmable: 0.0,
            notify_rate: 0,
            update_every: None,
            rebind_every: None,
            start: Start::AllObserved,
            prefix: "sim-",
            seed: 1,
            leave: Leave::Vanish,
        }
    }

    /// The scenario file of `lwm2m-sim` (docs/simulator.md). Values are clocks, so that the
    /// subscriber knows how long they took.
    fn scenario(&self, server: SocketAddr) -> String {
        let ramp = match self.ramp {
            Ramp::PerSecond(rate) => format!("shape = \"constant\"\nrate = {rate}"),
            Ramp::Within(span) => format!("shape = \"burst\"\nwithin = {}", seconds(span)),
        };
        let leave = match self.leave {
            Leave::Deregister => "deregister",
            Leave::Vanish => "vanish",
        };
        let start = match self.start {
            Start::Observed => "observed",
            Start::AllObserved => "all-observed",
        };
        let update = self.update_every.map(|span| format!("update_every = {}\n", seconds(span)));
        let rebind =
            self.rebind_every.map(|span| format!("[devices.rebind]\nevery = {}\n", seconds(span)));
        format!(
            "server = \"{server}\"\ncount = {}\nprefix = \"{}\"\nseed = {}\nleave = \"{leave}\"\n\
             [ramp]\n{ramp}\n[devices]\nlifetime = \"24h\"\n{}[devices.notify]\n\
             rate = {:.1}\nvalue = \"clock\"\ncon = {:.3}\nstart = \"{start}\"\n{}",
            self.devices,
            self.prefix,
            self.seed,
            update.unwrap_or_default(),
            self.notify_rate as f64,
            self.confirmable,
            rebind.unwrap_or_default(),
        )
    }
}

fn seconds(span: Duration) -> String {
    format!("{:.6}", span.as_secs_f64())
}

/// What a fleet did until its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Summary {
    pub(crate) once_registered: u64,
    pub(crate) registrations: u64,
    pub(crate) updates: u64,
    pub(crate) unanswered: u64,
    pub(crate) retransmissions: u64,
    /// Confirmable notifications that were acknowledged.
    pub(crate) notifications_con_acked: u64,
    pub(crate) registration_p50_us: Option<u64>,
    pub(crate) registration_p99_us: Option<u64>,
    pub(crate) registration_max_us: Option<u64>,
    pub(crate) notifications: u64,
    /// Datagrams that the system did not take from the simulator.
    pub(crate) datagrams_dropped: u64,
}

/// A running fleet.
pub(crate) struct Sim {
    process: Process,
    output: std::io::BufReader<std::process::ChildStdout>,
}

impl Sim {
    pub(crate) fn start(
        placement: &Placement,
        program: &Path,
        directory: &Path,
        server: SocketAddr,
        plan: &Plan,
    ) -> Outcome<Self> {
        let file = directory.join(format!("{}fleet.toml", plan.prefix));
        fs::write(&file, plan.scenario(server)).context(|| file.display().to_string())?;
        let log = directory.join(format!("{}fleet.log", plan.prefix));
        let mut command = command(program);
        command.arg("--scenario").arg(&file).arg("--json").stdout(Stdio::piped());
        let mut process = Process::start(placement, Place::Others, command, &log)?;
        let output = process.stdout()?;
        Ok(Self { process, output })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Silences the fleet and returns what it did.
    pub(crate) fn end(mut self) -> Outcome<Summary> {
        self.process.signal(Signal::SIGINT)?;
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        let line = text.lines().last().unwrap_or_default();
        serde_json::from_str(line).context(|| format!("summary of the simulator `{line}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_read_and_unknown_members_are_passed_over() {
        let line = "{\"elapsed_us\":5,\"once_registered\":2,\"registrations\":3,\"updates\":0,\
             \"unanswered\":1,\"notifications\":9,\"datagrams_dropped\":4,\"reboots\":0}";
        let summary: Summary = serde_json::from_str(line).unwrap();
        assert_eq!((summary.notifications, summary.datagrams_dropped), (9, 4));
    }

    #[test]
    fn a_plan_is_a_scenario_file() {
        let plan = Plan {
            ramp: Ramp::Within(Duration::from_secs(10)),
            notify_rate: 500,
            rebind_every: Some(Duration::from_millis(1500)),
            ..Plan::quiet(7, 1)
        };
        let text = plan.scenario("127.0.0.1:5683".parse().unwrap());
        for line in ["count = 7", "within = 10.000000", "rate = 500.0", "every = 1.500000"] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
