//! The simulated devices of `--demo`: a fleet on real UDP in a thread of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use lwm2m::Models;
use simulator::FleetConfig;

use super::{Addresses, StartError};

/// The running fleet.
pub(super) struct Demo {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Demo {
    /// Starts `count` devices named `demo-1` and so on against the first listener.
    pub(super) fn start(
        count: usize,
        addresses: &Addresses,
        models: Arc<Models>,
    ) -> Result<Self, StartError> {
        let listener = addresses.coap.first().map(|(_, address)| *address);
        let server = listener.ok_or_else(|| StartError::Demo("there is no listener".to_owned()))?;
        let fleet = FleetConfig::demo(reachable(server), count, models);
        fleet.check().map_err(|error| StartError::Demo(error.to_string()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("demo".to_owned()).spawn(move || {
            if let Err(error) = simulator::run(fleet, &seen, |_| {}) {
                tracing::error!(event = "demo_failed", %error);
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Lets the devices say goodbye.
    pub(super) async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic of the fleet was reported when it happened; there is nothing left to stop then.
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

/// An address that a device on this machine can send to.
fn reachable(mut listener: SocketAddr) -> SocketAddr {
    if listener.ip().is_unspecified() {
        listener.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    listener
}
