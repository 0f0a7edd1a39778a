//! The floor: a process that receives datagrams and writes MQTT, and nothing in between.
//!
//! What it costs is what sockets and kernel cost on this machine; no gateway can be cheaper, and
//! how far ours is from it says what can still be won. [`receive`] is that process, [`flood`]
//! sends.

pub(crate) mod flood;
pub(crate) mod receive;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};

use crate::affinity::{Place, Placement};
use crate::problem::{Context, Outcome};
use crate::process::{Process, command, read_until};

/// The receiving process.
pub(crate) struct Floor {
    process: Process,
    pub(crate) udp: SocketAddr,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Floor {
    /// Starts it on the processor of the measured server.
    pub(crate) fn start(
        placement: &Placement,
        log: &Path,
        options: &receive::Options,
    ) -> Outcome<Self> {
        let mut command = command(std::env::current_exe()?);
        command.args(options.arguments()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(placement, Place::Server, command, log)?;
        let mut output = process.stdout()?;
        let udp = read_until(&mut output, "the floor", |line| line.parse().ok())?;
        let input = process.stdin()?;
        Ok(Self { process, udp, input, output })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// How many datagrams it has received.
    pub(crate) fn received(&mut self) -> Outcome<u64> {
        writeln!(self.input, "look").context(|| "the floor".to_owned())?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim().parse().context(|| format!("the floor says `{line}`"))
    }
}

/// The sending process.
pub(crate) struct Flood(Process);

impl Flood {
    /// Starts it beside everybody else.
    pub(crate) fn start(
        placement: &Placement,
        log: &Path,
        options: &flood::Options,
    ) -> Outcome<Self> {
        let mut command = command(std::env::current_exe()?);
        command.args(options.arguments());
        Ok(Self(Process::start(placement, Place::Others, command, log)?))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }
}
