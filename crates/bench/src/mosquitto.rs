//! The external broker: mosquitto of the distribution, in a process and directory of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::affinity::{Place, Placement};
use crate::problem::{Context, Outcome, Problem};
use crate::process::{Process, command, tail};

/// How long it may take until it takes connections.
const UP_WITHIN: Duration = Duration::from_secs(20);

/// How long it may take to write what it keeps.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Where sessions and queued messages are while the broker is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// Nowhere.
    Memory,
    /// In its directory.
    Disk,
}

/// A running broker.
pub(crate) struct Mosquitto {
    process: Process,
    pub(crate) address: SocketAddr,
}

impl Mosquitto {
    /// Starts it on a free port, or on the port that it had before.
    pub(crate) fn start(
        placement: &Placement,
        directory: &Path,
        storage: Storage,
        port: Option<u16>,
    ) -> Outcome<Self> {
        let missing = "mosquitto is not installed: scripts/install-ci-deps.sh installs it";
        let program = program().ok_or_else(|| Problem::new(missing))?;
        let port = port.map_or_else(free_port, Ok)?;
        let settings = directory.join("mosquitto.conf");
        fs::write(&settings, configuration(port, storage, directory))
            .context(|| settings.display().to_string())?;
        let log = directory.join("mosquitto.log");
        let mut command = command(program);
        command.arg("-c").arg(&settings);
        let process = Process::start(placement, Place::Others, command, &log)?;
        let mut broker = Self { process, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) };
        broker.wait_until_up(&log)?;
        Ok(broker)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops it as an operator does: sessions and queued messages are written first.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        self.process.signal(Signal::SIGTERM)?;
        self.process.wait(STOP_WITHIN)
    }

    fn wait_until_up(&mut self, log: &Path) -> Outcome<()> {
        let until = Instant::now() + UP_WITHIN;
        while TcpStream::connect(self.address).is_err() {
            if !self.process.is_alive() || Instant::now() > until {
                return Err(Problem::new(format!("mosquitto does not start:\n{}", tail(log))));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Where distributions put it; Debian's is not in the path of ordinary users.
pub(crate) fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    directories.map(|directory| directory.join("mosquitto")).find(|program| program.is_file())
}

/// No limits of its own, so that a loss is ours or is counted in `$SYS`. As root it stays root:
/// else it could not write where it was told to.
fn configuration(port: u16, storage: Storage, directory: &Path) -> String {
    let storage = match storage {
        Storage::Memory => "persistence false\n".to_owned(),
        Storage::Disk => {
            format!("persistence true\npersistence_location {}/\n", directory.display())
        }
    };
    format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n{storage}\
         set_tcp_nodelay true\nmax_queued_messages 0\nmax_queued_bytes 0\n\
         max_inflight_messages 1000\nsys_interval 1\nlog_type error\nlog_dest stderr\n"
    )
}

/// A TCP port that nobody has now.
pub(crate) fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
