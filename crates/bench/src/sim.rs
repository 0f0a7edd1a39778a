//! The fleet: `lwm2m-sim` in a process of its own, and what it says at the end.

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

/// How notifications are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reliability {
    Confirmable,
    NonConfirmable,
}

/// What the devices do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) devices: u64,
    /// Devices that begin in a second.
    pub(crate) ramp: u64,
    pub(crate) notifications: Reliability,
    /// How often each notifies, from when all are observed; `None`: never.
    pub(crate) notify_every: Option<Duration>,
    /// How often each sends an Update; `None`: hardly ever, the lifetime is a day.
    pub(crate) update_every: Option<Duration>,
    pub(crate) prefix: &'static str,
    pub(crate) seed: u64,
    pub(crate) leave: Leave,
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
    pub(crate) const fn quiet(devices: u64, ramp: u64) -> Self {
        Self {
            devices,
            ramp,
            notifications: Reliability::NonConfirmable,
            notify_every: None,
            update_every: None,
            prefix: "sim-",
            seed: 1,
            leave: Leave::Vanish,
        }
    }

    fn arguments(&self, server: SocketAddr) -> Vec<String> {
        let millis = |span: Option<Duration>| {
            span.map_or_else(|| "0".to_owned(), |span| format!("{}ms", span.as_millis().max(1)))
        };
        let mut arguments = vec![
            format!("--server={server}"),
            format!("--count={}", self.devices),
            format!("--rate={}", self.ramp),
            format!("--prefix={}", self.prefix),
            format!("--seed={}", self.seed),
            format!("--notify-every={}", millis(self.notify_every)),
            "--lifetime=24h".to_owned(),
            "--json".to_owned(),
        ];
        let notify = match self.notifications {
            Reliability::Confirmable => "con",
            Reliability::NonConfirmable => "non",
        };
        arguments.push(format!("--notify={notify}"));
        if self.notify_every.is_some() {
            arguments.push("--observe-ready".to_owned());
        }
        if self.leave == Leave::Vanish {
            arguments.push("--vanish".to_owned());
        }
        if self.update_every.is_some() {
            arguments.push(format!("--update-every={}", millis(self.update_every)));
        }
        arguments
    }
}

/// What a fleet did until its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Summary {
    pub(crate) once_registered: u64,
    pub(crate) registrations: u64,
    pub(crate) updates: u64,
    pub(crate) unanswered: u64,
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
        log: &Path,
        server: SocketAddr,
        plan: &Plan,
    ) -> Outcome<Self> {
        let mut command = command(program);
        command.args(plan.arguments(server)).stdout(Stdio::piped());
        let mut process = Process::start(placement, Place::Others, command, log)?;
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
}
