//! A simulated fleet in a thread of the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use simulator::{FleetConfig, Snapshot, Summary};

/// A running fleet.
pub(crate) struct Fleet {
    stop: Arc<AtomicBool>,
    snapshot: Arc<Mutex<Snapshot>>,
    thread: std::thread::JoinHandle<Summary>,
}

impl Fleet {
    pub(crate) fn start(config: FleetConfig) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let snapshot: Arc<Mutex<Snapshot>> = Arc::default();
        let (stopped, shown) = (Arc::clone(&stop), Arc::clone(&snapshot));
        let thread = std::thread::spawn(move || {
            let show = |now: &Snapshot| *shown.lock() = *now;
            simulator::run(config, &stopped, show).expect("the fleet runs")
        });
        Self { stop, snapshot, thread }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        *self.snapshot.lock()
    }

    /// Lets the devices leave and says what they did.
    pub(crate) fn end(self) -> Summary {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
