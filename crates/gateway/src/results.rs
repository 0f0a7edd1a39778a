//! The last results of commands, for the REST API's lookup (design, section 9), and who waits for
//! one.
//!
//! One cache for the whole gateway, not a list per device: a million devices that nobody asks cost
//! nothing. Shards put results in where commands are accepted and end, MQTT ones included; a
//! payload is kept as the device sent it and read only when somebody looks. Notifications never
//! come here.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ahash::RandomState;
use engine::{Answer, Command, CommandError, CommandFinished, CommandId, Device, Origin};
use lru::LruCache;
use lwm2m::{EndpointName, OperationKind, Path};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::telemetry::{Page, Source};

/// All results together, in bytes: some 100 000 of a usual size, or 1 000 of the largest.
const BYTES_MAX: usize = 64 << 20;

/// What a result costs besides its payload: the record, its key twice, list and table.
const RESULT_OVERHEAD: usize = 512;

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The device, while it was registered.
    pub device: Option<Device>,
    /// The device's answer, or why there is none.
    pub result: Result<Answer, CommandError>,
}

/// Where somebody waits for the end of one command.
pub type Waiter = oneshot::Sender<Arc<Outcome>>;

/// What was asked of whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// The device.
    pub endpoint: EndpointName,
    /// The path; the root for composite operations.
    pub path: Path,
    /// What was asked.
    pub operation: OperationKind,
}

impl Asked {
    /// What a command asks.
    pub fn by(command: &Command) -> Self {
        let operation = &command.operation;
        let endpoint = command.endpoint.clone();
        Self { endpoint, path: operation.path(), operation: operation.kind() }
    }
}

/// The results and the waiters.
#[derive(Default)]
pub struct Results {
    kept: Mutex<Kept>,
    waiting: Mutex<HashMap<CommandId, Waiter, RandomState>>,
    /// Length of `waiting`, so that nobody takes its lock for nothing.
    waiters: AtomicUsize,
    dropped: AtomicU64,
}

struct Kept {
    results: LruCache<Asked, Arc<Outcome>, RandomState>,
    bytes: usize,
}

impl Default for Kept {
    fn default() -> Self {
        Self { results: LruCache::unbounded_with_hasher(RandomState::default()), bytes: 0 }
    }
}

impl Results {
    /// A shard has accepted a command: an older result is not its result.
    pub fn accepted(&self, id: CommandId, asked: &Asked, waiter: Option<Waiter>) {
        self.kept.lock().remove(asked);
        if let Some(waiter) = waiter {
            self.waiting.lock().insert(id, waiter);
            self.waiters.fetch_add(1, Ordering::Release);
        }
    }

    /// A shard did not accept a command.
    pub fn refused(&self, asked: Asked, reason: CommandError, waiter: Option<Waiter>) {
        let outcome = Arc::new(Outcome { device: None, result: Err(reason) });
        if let Some(waiter) = waiter {
            // Whoever waited may have gone.
            let _ = waiter.send(Arc::clone(&outcome));
        }
        self.keep(asked, outcome);
    }

    /// A command has ended. What the gateway observes by itself was asked by nobody.
    pub fn finished(&self, finished: CommandFinished) {
        if finished.origin == Origin::default() {
            return;
        }
        let CommandFinished { endpoint, device, command, operation, path, result, .. } = finished;
        let outcome = Arc::new(Outcome { device, result });
        if self.waiters.load(Ordering::Acquire) > 0
            && let Some(waiter) = self.waiting.lock().remove(&command)
        {
            self.waiters.fetch_sub(1, Ordering::Release);
            let _ = waiter.send(Arc::clone(&outcome));
        }
        self.keep(Asked { endpoint, path, operation }, outcome);
    }

    /// The result of the last command of this kind, if it has ended.
    pub fn find(&self, asked: &Asked) -> Option<Arc<Outcome>> {
        self.kept.lock().results.get(asked).cloned()
    }

    fn keep(&self, asked: Asked, outcome: Arc<Outcome>) {
        let dropped = self.kept.lock().keep(asked, outcome, BYTES_MAX);
        if dropped > 0 {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }
}

impl Kept {
    /// Returns how many had to go.
    fn keep(&mut self, asked: Asked, outcome: Arc<Outcome>, bytes_max: usize) -> u64 {
        self.bytes += size(&outcome);
        if let Some(former) = self.results.put(asked, outcome) {
            self.bytes -= size(&former);
        }
        let mut dropped = 0;
        while self.bytes > bytes_max
            && let Some((_, oldest)) = self.results.pop_lru()
        {
            self.bytes -= size(&oldest);
            dropped += 1;
        }
        dropped
    }

    fn remove(&mut self, asked: &Asked) {
        if let Some(former) = self.results.pop(asked) {
            self.bytes -= size(&former);
        }
    }
}

fn size(outcome: &Outcome) -> usize {
    let payload = match &outcome.result {
        Ok(answer) => answer.body.capacity() + answer.location.capacity(),
        Err(CommandError::Unsupported(reason)) => reason.capacity(),
        Err(_) => 0,
    };
    RESULT_OVERHEAD + payload
}

/// The numbers of [`Results`] on the metrics page.
pub struct ResultNumbers(pub Arc<crate::shard::Shared>);

impl fmt::Debug for ResultNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResultNumbers")
    }
}

impl Source for ResultNumbers {
    fn report(&self, page: &mut Page<'_>) -> fmt::Result {
        let results = &self.0.results;
        let (count, bytes) = {
            let kept = results.kept.lock();
            (kept.results.len(), kept.bytes)
        };
        page.gauge("lookup_results", "Results of commands kept for lookup", count as f64)?;
        page.gauge("lookup_bytes", "What they are taken to cost in bytes", bytes as f64)?;
        let dropped = results.dropped.load(Ordering::Relaxed);
        page.counters(
            "lookup_dropped",
            "Results that made room for newer ones",
            "",
            &[("", dropped)],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str) -> Asked {
        let endpoint = EndpointName::parse(name).unwrap();
        Asked { endpoint, path: Path::resource(3, 0, 0), operation: OperationKind::Read }
    }

    fn outcome(len: usize) -> Arc<Outcome> {
        let answer = Answer {
            code: engine::Code::CONTENT,
            format: None,
            body: vec![0; len],
            observe: None,
            sequence: None,
            location: String::new(),
        };
        Arc::new(Outcome { device: None, result: Ok(answer) })
    }

    #[test]
    fn the_oldest_result_makes_room_and_the_bytes_add_up() {
        let mut kept = Kept::default();
        let max = 3 * (RESULT_OVERHEAD + 100);
        for name in ["a", "b", "c"] {
            assert_eq!(kept.keep(asked(name), outcome(100), max), 0);
        }
        assert!(kept.results.get(&asked("a")).is_some());
        assert_eq!(kept.keep(asked("d"), outcome(100), max), 1);
        assert!(kept.results.get(&asked("b")).is_none());
        assert_eq!(kept.keep(asked("d"), outcome(50), max), 0);
        assert_eq!(kept.bytes, 3 * RESULT_OVERHEAD + 250);
        assert_eq!(kept.keep(asked("e"), outcome(max), max), 4);
        assert_eq!((kept.bytes, kept.results.len()), (0, 0));
    }

    #[test]
    fn a_command_that_was_accepted_has_no_result_yet() {
        let results = Results::default();
        results.keep(asked("a"), outcome(1));
        results.refused(asked("b"), CommandError::QueueFull, None);
        assert!(results.find(&asked("a")).is_some());
        assert!(results.find(&asked("b")).is_some_and(|outcome| outcome.result.is_err()));
        results.kept.lock().remove(&asked("a"));
        assert!(results.find(&asked("a")).is_none());
    }

    #[test]
    fn who_waits_for_a_refused_command_is_told() {
        let results = Results::default();
        let (waiter, mut outcome) = oneshot::channel();
        results.refused(asked("a"), CommandError::UnknownDevice, Some(waiter));
        let told = outcome.try_recv().unwrap();
        assert_eq!(told.result, Err(CommandError::UnknownDevice));
    }
}
