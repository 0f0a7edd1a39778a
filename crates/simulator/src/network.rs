//! The sockets of a fleet: which device a datagram is for, and where its own ones come from.
//!
//! A spread fleet needs no table: the number of a device is its address, and the socket that it
//! uses is one of four ports of it. A new port is a new address for everybody else.
//!
//! What is in the datagrams is the job of [`crate::fleet`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use udpio::{BindError, Poller, Received, RecvBatch, SendBatch, Socket, SocketOptions, Token};

use crate::clock;
use crate::config::Sources;
use crate::wire::{Place, Wire};

/// How many sockets carry a spread fleet: each has a receive buffer of its own, so that a burst of
/// answers to a hundred thousand devices finds room.
const SPREAD_SOCKETS: usize = 4;

/// Asked for both buffers of a spread socket; the system may give less.
const SPREAD_BUFFER: usize = 8 << 20;

/// The first address of a spread fleet, 127.1.0.1: well away from those that people use.
const FIRST_ADDRESS: u32 = 0x7f01_0001;

/// Datagrams received in one go; an address space of 8 MiB, of which only touched pages count.
const RECV_BATCH: usize = 128;

/// Datagrams that are collected before they leave.
const SEND_BATCH: usize = 64;

/// A socket that could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("cannot open a socket of its own for device {0}: {1}")]
    TooMany(usize, #[source] BindError),
    #[error("cannot wait for datagrams: {0}")]
    Poll(#[from] io::Error),
}

/// What the system did with datagrams.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) dropped: u64,
}

/// The sockets of a fleet.
pub(crate) struct Network {
    server: SocketAddr,
    poller: Poller,
    ready: Vec<Token>,
    lines: Lines,
    traffic: Traffic,
}

enum Lines {
    Spread(Spread),
    Ports(Ports),
}

/// Few sockets, an address per device.
struct Spread {
    sockets: Vec<(Socket, SendBatch)>,
}

/// A socket per device.
struct Ports {
    sockets: Vec<Option<Socket>>,
    batch: SendBatch,
}

impl Network {
    pub(crate) fn open(server: SocketAddr, sources: Sources) -> Result<Self, NetworkError> {
        let poller = Poller::new()?;
        let lines = match sources {
            Sources::Spread => Lines::Spread(Spread::open(&poller)?),
            Sources::Auto | Sources::Ports => {
                Lines::Ports(Ports { sockets: Vec::new(), batch: SendBatch::new() })
            }
        };
        Ok(Self { server, poller, ready: Vec::new(), lines, traffic: Traffic::default() })
    }

    /// Buffers for [`Network::receive`].
    pub(crate) fn receive_buffers() -> RecvBatch {
        RecvBatch::new(RECV_BATCH)
    }

    /// What the system did so far.
    pub(crate) const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Hands everything that was collected to the system.
    pub(crate) fn flush(&mut self) {
        if let Lines::Spread(spread) = &mut self.lines {
            for (socket, batch) in &mut spread.sockets {
                if !batch.is_empty() {
                    self.traffic.add(batch.flush(socket));
                }
            }
        }
    }

    /// Waits until a datagram is there or the time is over.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<(), NetworkError> {
        Ok(self.poller.wait(Some(timeout), &mut self.ready)?)
    }

    /// Receives a batch from each socket that was ready, and says for which device each datagram
    /// is.
    pub(crate) fn receive(
        &mut self,
        buffers: &mut RecvBatch,
        mut take: impl FnMut(&mut Self, Place, &[u8]),
    ) -> Result<(), NetworkError> {
        let ready = std::mem::take(&mut self.ready);
        for token in ready.iter().copied() {
            if let Some(socket) = self.socket(token) {
                buffers.recv(socket)?;
            }
            for received in buffers.iter() {
                self.traffic.received += 1;
                if received.remote == self.server
                    && let Some(place) = self.place_of(token, &received)
                {
                    take(self, place, received.bytes);
                }
            }
        }
        self.ready = ready;
        self.ready.clear();
        Ok(())
    }

    fn socket(&self, token: Token) -> Option<&Socket> {
        let index = token.0 as usize;
        match &self.lines {
            Lines::Spread(spread) => spread.sockets.get(index).map(|(socket, _)| socket),
            Lines::Ports(ports) => ports.sockets.get(index)?.as_ref(),
        }
    }

    fn place_of(&self, token: Token, received: &Received<'_>) -> Option<Place> {
        match &self.lines {
            Lines::Spread(_) => {
                Some(Place { device: device_at(received.local)?, line: token.0 as u8 })
            }
            Lines::Ports(_) => Some(Place { device: token.0 as usize, line: 0 }),
        }
    }
}

impl Wire for Network {
    type Error = NetworkError;

    fn lines(&self) -> u8 {
        match &self.lines {
            Lines::Spread(spread) => spread.sockets.len() as u8,
            Lines::Ports(_) => 1,
        }
    }

    fn open(&mut self, device: usize) -> Result<(), NetworkError> {
        let Lines::Ports(ports) = &mut self.lines else { return Ok(()) };
        let socket = ports.bind(self.server, device)?;
        self.poller.add(&socket, Token(device as u32))?;
        if ports.sockets.len() <= device {
            ports.sockets.resize_with(device + 1, || None);
        }
        if let Some(place) = ports.sockets.get_mut(device) {
            *place = Some(socket);
        }
        Ok(())
    }

    /// Where no other socket can be had the device keeps the old one.
    fn reopen(&mut self, device: usize) {
        let Lines::Ports(ports) = &mut self.lines else { return };
        let Ok(socket) = ports.bind(self.server, device) else { return };
        let Some(place) = ports.sockets.get_mut(device) else { return };
        if self.poller.add(&socket, Token(device as u32)).is_ok() {
            // A closed descriptor leaves the poller by itself.
            *place = Some(socket);
        }
    }

    fn send(&mut self, from: Place, fill: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        match &mut self.lines {
            Lines::Spread(spread) => {
                let line = usize::from(from.line);
                let Some((socket, batch)) = spread.sockets.get_mut(line) else { return false };
                if !fill(batch.buffer()) {
                    return false;
                }
                batch.seal(self.server, Some(address_of(from.device)));
                if batch.len() >= SEND_BATCH {
                    self.traffic.add(batch.flush(socket));
                }
                true
            }
            Lines::Ports(ports) => {
                let Some(Some(socket)) = ports.sockets.get(from.device) else { return false };
                if !fill(ports.batch.buffer()) {
                    return false;
                }
                ports.batch.seal(self.server, None);
                self.traffic.add(ports.batch.flush(socket));
                true
            }
        }
    }

    fn wall_micros(&self) -> i64 {
        clock::wall_micros()
    }
}

impl Spread {
    fn open(poller: &Poller) -> Result<Self, NetworkError> {
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let options = SocketOptions {
            recv_buffer: Some(SPREAD_BUFFER),
            send_buffer: Some(SPREAD_BUFFER),
            ..SocketOptions::default()
        };
        let mut sockets = Vec::with_capacity(SPREAD_SOCKETS);
        for index in 0..SPREAD_SOCKETS {
            let socket = udpio::bind(any, &options)?;
            poller.add(&socket, Token(index as u32))?;
            sockets.push((socket, SendBatch::new()));
        }
        Ok(Self { sockets })
    }
}

/// The address of a device of a spread fleet.
fn address_of(device: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(FIRST_ADDRESS.wrapping_add(device as u32)))
}

/// The device that has an address.
fn device_at(address: IpAddr) -> Option<usize> {
    let IpAddr::V4(address) = address else { return None };
    Some(u32::from(address).checked_sub(FIRST_ADDRESS)? as usize)
}

impl Ports {
    fn bind(&self, server: SocketAddr, device: usize) -> Result<Socket, NetworkError> {
        let any = match server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        udpio::bind(SocketAddr::new(any, 0), &SocketOptions::default())
            .map_err(|error| NetworkError::TooMany(device + 1, error))
    }
}

impl Traffic {
    fn add(&mut self, report: udpio::SendReport) {
        self.sent += report.sent as u64;
        self.dropped += (report.refused + report.dropped) as u64;
    }
}
