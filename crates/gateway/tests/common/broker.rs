//! A broker in a process of its own that can be killed: mosquitto, or another gateway's embedded
//! broker where mosquitto is not installed.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::process::{GatewayProcess, Scratch, signal};

/// The broker; it keeps its port over restarts.
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    scratch: Scratch,
    running: Option<Running>,
}

enum Running {
    Mosquitto(Child),
    Gateway(GatewayProcess),
}

impl Broker {
    pub(crate) fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut broker = Self { address, scratch: Scratch::new(), running: None };
        broker.start_again();
        broker
    }

    /// Starts it on the port of before, without anything from before.
    pub(crate) fn start_again(&mut self) {
        let running = self.mosquitto().map(Running::Mosquitto).unwrap_or_else(|| {
            println!("mosquitto is not installed: another gateway's broker takes its part");
            Running::Gateway(self.gateway())
        });
        self.running = Some(running);
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < deadline, "the broker does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it with SIGKILL: no farewell, nothing saved.
    pub(crate) fn kill(&mut self) {
        match self.running.take() {
            Some(Running::Mosquitto(mut child)) => {
                signal(child.id(), "KILL");
                let _ = child.wait();
            }
            Some(Running::Gateway(gateway)) => drop(gateway),
            None => {}
        }
    }

    /// Nothing is kept on disk, and no queue has a bound: what is lost is lost by the gateway.
    fn mosquitto(&self) -> Option<Child> {
        let port = self.address.port();
        let config = self.scratch.write(
            "mosquitto.conf",
            &format!(
                "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n\
                 max_queued_messages 0\nmax_inflight_messages 0\n"
            ),
        );
        let log = std::fs::File::create(self.scratch.path().join("mosquitto.log")).ok()?;
        // Debian has it where only administrators look.
        ["mosquitto", "/usr/sbin/mosquitto"].into_iter().find_map(|program| {
            let mut command = Command::new(program);
            command.arg("-c").arg(&config).stdout(Stdio::null());
            command.stderr(log.try_clone().ok()?).spawn().ok()
        })
    }

    fn gateway(&self) -> GatewayProcess {
        let settings = format!(
            "listeners.default.bind = \"127.0.0.1:0\"\nhttp.bind = \"127.0.0.1:0\"\n\
             mqtt.embedded.bind = \"{}\"\n",
            self.address
        );
        GatewayProcess::start_in(&self.scratch, &settings)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
