//! The peer: Leshan's server library and an MQTT client in a Java program (`crates/bench/leshan`).
//!
//! It gets what is good for it: both processors until it is warm, then one, G1 with 4 GB, the
//! deduplicator that forgets, one thread for each stage, its log at WARN.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::SystemTime;

use crate::affinity::{Place, Placement};
use crate::problem::{Context, Outcome, Problem};
use crate::process::{Process, command, read_until, tail};

/// What the virtual machine is told.
pub(crate) const JAVA: [&str; 5] =
    ["-XX:+UseG1GC", "-Xms4g", "-Xmx4g", "-XX:ParallelGCThreads=1", "-XX:ConcGCThreads=1"];

/// How long a device has to answer an observe, in milliseconds.
const ANSWER_MS: &str = "60000";

/// The running peer.
pub(crate) struct Leshan {
    process: Process,
    pub(crate) coap: SocketAddr,
    /// It ends with its standard input.
    _input: ChildStdin,
}

impl Leshan {
    /// Builds it if need be and starts it on both processors.
    pub(crate) fn start(placement: &Placement, directory: &Path, mqtt: u16) -> Outcome<Self> {
        let classes = build()?;
        let coap = free_udp_port()?;
        let log = directory.join("leshan.log");
        let mut command = command("java");
        command.args(JAVA).arg("-cp").arg(classes).arg("bench.LeshanPeer");
        command.args([coap.port().to_string(), mqtt.to_string(), ANSWER_MS.to_owned()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(placement, Place::Both, command, &log)?;
        let mut lines = process.stdout()?;
        read_until(&mut lines, "Leshan", |line| (line == "ready").then_some(()))
            .context(|| tail(&log))?;
        let input = process.stdin()?;
        // What it logs later is read by nobody; WARN is little, and a pipe holds 64 KB.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(Self { process, coap, _input: input })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// Where the Java program is.
fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("leshan")
}

/// Whether there are the tools to build and run it.
pub(crate) fn is_available() -> bool {
    let runs = |program: &str| {
        let mut command = Command::new(program);
        command.arg("-version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    runs("java") && runs("mvn")
}

/// The class path; Maven runs when a source is newer than what it made.
fn build() -> Outcome<String> {
    let home = home();
    let archive = home.join("target/leshan-peer-1.jar");
    let libraries = home.join("target/dependency");
    let made = changed(&archive);
    let sources = ["pom.xml", "src/main/java/bench/LeshanPeer.java"];
    let stale = sources.iter().any(|source| changed(&home.join(source)) > made);
    if made.is_none() || stale || !libraries.is_dir() {
        let mut maven = Command::new("mvn");
        maven.current_dir(&home).args(["-q", "-B", "package", "dependency:copy-dependencies"]);
        let status = maven.status().context(|| "mvn".to_owned())?;
        if !status.success() {
            return Err(Problem::new(format!("Maven cannot build {}", home.display())));
        }
    }
    Ok(format!("{}:{}/*", archive.display(), libraries.display()))
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn free_udp_port() -> Outcome<SocketAddr> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
