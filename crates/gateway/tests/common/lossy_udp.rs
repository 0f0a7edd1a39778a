//! A UDP proxy that loses, repeats, delays and so reorders datagrams, on real sockets in a thread.
//! Which ones is drawn from a seed; real time decides the rest.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What happens to a datagram, in percent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    /// Those that wait longer than others behind them.
    pub(crate) delayed: u64,
    pub(crate) delay_max: Duration,
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) passed: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) delayed: AtomicU64,
}

/// The proxy. Dropping it ends it.
pub(crate) struct LossyUdp {
    pub(crate) address: SocketAddr,
    pub(crate) counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl LossyUdp {
    /// Stands in front of `server`.
    pub(crate) fn start(server: SocketAddr, seed: u64, conditions: Conditions) -> Self {
        let front = socket();
        let address = front.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let stop = Arc::new(AtomicBool::new(false));
        let link = Link {
            server,
            front,
            clients: HashMap::new(),
            waiting: BinaryHeap::new(),
            conditions,
            chance: Chance(seed),
            counts: Arc::clone(&counts),
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || link.run(&stopped));
        Self { address, counts, stop, thread: Some(thread) }
    }
}

impl Drop for LossyUdp {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Its panic would be one too many in a test that fails already.
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Numbers from a seed: SplitMix64.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

struct Link {
    server: SocketAddr,
    front: UdpSocket,
    /// A socket towards the server for each client, so that it sees distinct peers.
    clients: HashMap<SocketAddr, UdpSocket>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    conditions: Conditions,
    chance: Chance,
    counts: Arc<Counts>,
}

/// A datagram on its way; the earliest comes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    due: Instant,
    client: SocketAddr,
    to_server: bool,
    bytes: Vec<u8>,
}

impl Link {
    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let moved = self.take_in() + self.pass_on();
            if moved == 0 {
                std::thread::sleep(Duration::from_micros(500));
            }
        }
    }

    fn take_in(&mut self) -> usize {
        let mut buffer = [0; 2048];
        let mut arrived = Vec::new();
        while let Some((length, client)) = received(self.front.recv_from(&mut buffer)) {
            self.clients.entry(client).or_insert_with(socket);
            arrived.push((client, true, buffer[..length].to_vec()));
        }
        for (client, socket) in &self.clients {
            while let Some((length, _)) = received(socket.recv_from(&mut buffer)) {
                arrived.push((*client, false, buffer[..length].to_vec()));
            }
        }
        let count = arrived.len();
        for (client, to_server, bytes) in arrived {
            self.decide(client, to_server, &bytes);
        }
        count
    }

    fn decide(&mut self, client: SocketAddr, to_server: bool, bytes: &[u8]) {
        let Conditions { lost, repeated, .. } = self.conditions;
        if self.chance.below(100) < lost {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let twice = self.chance.below(100) < repeated;
        self.counts.repeated.fetch_add(u64::from(twice), Ordering::Relaxed);
        for _ in 0..=u8::from(twice) {
            let due = Instant::now() + self.delay();
            self.waiting.push(Reverse(Waiting { due, client, to_server, bytes: bytes.to_vec() }));
        }
    }

    fn delay(&mut self) -> Duration {
        let Conditions { delayed, delay_max, .. } = self.conditions;
        if self.chance.below(100) >= delayed {
            return Duration::ZERO;
        }
        self.counts.delayed.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(delay_max.as_micros()).unwrap();
        Duration::from_micros(self.chance.below(micros.max(1)))
    }

    fn pass_on(&mut self) -> usize {
        let mut count = 0;
        while self.waiting.peek().is_some_and(|Reverse(first)| first.due <= Instant::now()) {
            let Some(Reverse(next)) = self.waiting.pop() else { break };
            // What the system does not take is lost once more.
            let _ = if next.to_server {
                self.clients[&next.client].send_to(&next.bytes, self.server)
            } else {
                self.front.send_to(&next.bytes, next.client)
            };
            self.counts.passed.fetch_add(1, Ordering::Relaxed);
            count += 1;
        }
        count
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

fn received(result: std::io::Result<(usize, SocketAddr)>) -> Option<(usize, SocketAddr)> {
    match result {
        Ok(datagram) => Some(datagram),
        // Refused: the other end was away for a moment.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => None,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            None
        }
    }
}
