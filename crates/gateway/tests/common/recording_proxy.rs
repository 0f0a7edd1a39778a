//! A TCP proxy in front of a broker that records every MQTT packet in both directions, so that
//! what a broker lost can be told apart from what it never got.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::wire::{CONNECT, PUBACK, Published, Raw, Version};

/// Who sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Broker,
}

/// A recorded packet.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) sender: Sender,
    /// Number of the connection, from 0.
    pub(crate) connection: usize,
    pub(crate) version: Version,
    pub(crate) raw: Raw,
}

impl Record {
    /// The packet as PUBLISH.
    pub(crate) fn published(&self) -> Option<Published> {
        Published::read(&self.raw, self.version)
    }
}

/// The proxy. Dropping it ends all connections.
pub(crate) struct RecordingProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    cut: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

struct Shared {
    upstream: Mutex<SocketAddr>,
    records: Mutex<Vec<Record>>,
    open: AtomicBool,
}

impl RecordingProxy {
    /// Listens on a free loopback port.
    pub(crate) async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream),
            records: Mutex::default(),
            open: AtomicBool::new(true),
        });
        let (cut, cuts) = watch::channel(0);
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), cuts));
        Self { address, shared, cut, accepting }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections, without any MQTT farewell.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|generation| *generation += 1);
    }

    /// Whether new connections are let through; closed ones end at once.
    pub(crate) fn let_through(&self, open: bool) {
        self.shared.open.store(open, Ordering::Relaxed);
    }

    /// Another broker for connections from now on.
    pub(crate) fn set_upstream(&self, upstream: SocketAddr) {
        *self.shared.upstream.lock() = upstream;
    }

    /// Everything recorded so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.shared.records.lock().clone()
    }

    /// The application messages that a side sent, in order.
    pub(crate) fn published(&self, sender: Sender) -> Vec<Published> {
        let records = self.shared.records.lock();
        records.iter().filter(|r| r.sender == sender).filter_map(Record::published).collect()
    }

    /// How many QoS 1 messages a side acknowledged.
    pub(crate) fn acknowledged(&self, sender: Sender) -> usize {
        let records = self.shared.records.lock();
        records.iter().filter(|r| r.sender == sender && r.raw.kind() == PUBACK).count()
    }
}

impl Drop for RecordingProxy {
    fn drop(&mut self) {
        self.cut();
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, cuts: watch::Receiver<u64>) {
    for connection in 0.. {
        let Ok((client, _)) = listener.accept().await else { return };
        if !shared.open.load(Ordering::Relaxed) {
            continue;
        }
        let upstream = *shared.upstream.lock();
        let shared = Arc::clone(&shared);
        let mut cuts = cuts.clone();
        cuts.mark_unchanged();
        tokio::spawn(async move {
            let Ok(broker) = TcpStream::connect(upstream).await else { return };
            let _ = client.set_nodelay(true);
            let _ = broker.set_nodelay(true);
            let (client_in, client_out) = client.into_split();
            let (broker_in, broker_out) = broker.into_split();
            let version = Arc::new(Mutex::new(Version::V5));
            let log = |sender| Log {
                shared: Arc::clone(&shared),
                sender,
                connection,
                version: Arc::clone(&version),
            };
            tokio::select! {
                () = copy(client_in, broker_out, log(Sender::Client)) => {}
                () = copy(broker_in, client_out, log(Sender::Broker)) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

struct Log {
    shared: Arc<Shared>,
    sender: Sender,
    connection: usize,
    version: Arc<Mutex<Version>>,
}

impl Log {
    fn record(&self, raw: Raw) {
        if raw.kind() == CONNECT {
            let level = raw.body.get(6).copied();
            *self.version.lock() = if level == Some(5) { Version::V5 } else { Version::V311 };
        }
        let version = *self.version.lock();
        let Self { sender, connection, .. } = *self;
        self.shared.records.lock().push(Record { sender, connection, version, raw });
    }
}

/// Records before it passes on: what the other side got is in the record.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, log: Log) {
    let mut buffer = BytesMut::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut chunk).await else { return };
        buffer.extend_from_slice(&chunk[..read]);
        while let Some(raw) = Raw::take(&mut buffer) {
            log.record(raw);
        }
        if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}
