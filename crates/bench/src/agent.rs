//! The subscriber and commander: an MQTT client that counts, in a process of its own.
//!
//! This is the side of the program that starts it and asks it; [`process`] is the child.

mod commander;
pub(crate) mod process;
mod tally;
pub(crate) mod wire;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::affinity::{Place, Placement};
use crate::problem::{Context, Outcome, Problem};
use crate::process::{Process, command, read_until};

pub(crate) use commander::Commanded;
pub(crate) use tally::{Counts, Order, Spans};

/// What the child is told on its command line.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Address of the broker
    #[arg(long)]
    pub(crate) broker: SocketAddr,
    /// Client id
    #[arg(long, default_value = "bench")]
    pub(crate) client: String,
    /// What it subscribes to
    #[arg(long, default_value = "lwm2m/+/up/#")]
    pub(crate) filter: String,
    /// QoS of the subscription
    #[arg(long, default_value_t = 0)]
    pub(crate) qos: u8,
    /// Observe this path of every device that registers
    #[arg(long)]
    pub(crate) observe: Option<String>,
    /// Endpoint names are this and a number
    #[arg(long, default_value = "sim-")]
    pub(crate) prefix: String,
    /// Follow the sequence numbers of notifications
    #[arg(long)]
    pub(crate) follow: bool,
    /// Keep the session, and come back when the broker was away
    #[arg(long)]
    pub(crate) keep: bool,
}

impl Options {
    /// A subscriber to everything that the gateway says, with QoS 0.
    pub(crate) fn new(broker: SocketAddr) -> Self {
        Self {
            broker,
            client: "bench".to_owned(),
            filter: "lwm2m/+/up/#".to_owned(),
            qos: 0,
            observe: None,
            prefix: "sim-".to_owned(),
            follow: false,
            keep: false,
        }
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "agent".to_owned(),
            format!("--broker={}", self.broker),
            format!("--client={}", self.client),
            format!("--filter={}", self.filter),
            format!("--qos={}", self.qos),
            format!("--prefix={}", self.prefix),
        ];
        arguments.extend(self.observe.iter().map(|path| format!("--observe={path}")));
        arguments.extend(self.follow.then(|| "--follow".to_owned()));
        arguments.extend(self.keep.then(|| "--keep".to_owned()));
        arguments
    }
}

/// What the subscriber has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Look {
    pub(crate) counts: Counts,
    pub(crate) order: Order,
    /// Since it was last reset.
    pub(crate) on_the_way: Spans,
    /// Of the last plan.
    pub(crate) commanded: Commanded,
    pub(crate) reconnects: u64,
}

/// A running subscriber.
pub(crate) struct Agent {
    process: Process,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Agent {
    /// Starts it, connected and subscribed.
    pub(crate) fn start(placement: &Placement, log: &Path, options: &Options) -> Outcome<Self> {
        let program = std::env::current_exe()?;
        let mut command = command(program);
        command.args(options.arguments()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(placement, Place::Others, command, log)?;
        let orders = process.stdin()?;
        let mut answers = process.stdout()?;
        read_until(&mut answers, "the subscriber", |line| (line == "ready").then_some(()))?;
        Ok(Self { process, orders, answers })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has seen.
    pub(crate) fn look(&mut self) -> Outcome<Look> {
        self.order("look")
    }

    /// Forgets the times on the way that it has seen.
    pub(crate) fn begin_timing(&mut self) -> Outcome<Look> {
        self.order("time")
    }

    /// Commands devices 1 to `devices`, so many times a second, or one after the other with 0.
    pub(crate) fn command(&mut self, devices: u64, rate: u64) -> Outcome<Look> {
        self.order(&format!("command {devices} {rate}"))
    }

    /// Commands nobody any more.
    pub(crate) fn halt(&mut self) -> Outcome<Look> {
        self.order("halt")
    }

    /// Reads nothing any more.
    pub(crate) fn stall(&mut self) -> Outcome<Look> {
        self.order("stall")
    }

    /// Reads again.
    pub(crate) fn resume(&mut self) -> Outcome<Look> {
        self.order("resume")
    }

    fn order(&mut self, order: &str) -> Outcome<Look> {
        writeln!(self.orders, "{order}").context(|| "the subscriber".to_owned())?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(Problem::new("the subscriber has ended; see its log"));
        }
        Ok(serde_json::from_str(&line)?)
    }
}
