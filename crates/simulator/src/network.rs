//! The sockets of a fleet: which device a datagram is for, and where its own ones come from.
//!
//! What is in the datagrams is the job of [`crate::fleet`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use udpio::{BindError, Poller, Received, RecvBatch, SendBatch, Socket, SocketOptions, Token};

use crate::config::Sources;

/// How many sockets carry a spread fleet: each has a receive buffer of its own, so that a burst of
/// answers to a hundred thousand devices finds room.
const SPREAD_SOCKETS: usize = 4;

/// Asked for both buffers of a spread socket; the system may give less.
const SPREAD_BUFFER: usize = 8 << 20;

/// The first address of a spread fleet, 127.1.0.1: well away from those that people use.
const FIRST_ADDRESS: u32 = 0x7f01_0001;

/// The last usable one; 127.255.255.255 is broadcast.
const LAST_ADDRESS: u32 = 0x7fff_fffe;

/// Datagrams received in one go; an address space of 8 MiB, of which only touched pages count.
const RECV_BATCH: usize = 128;

/// Datagrams that are collected before they leave.
const SEND_BATCH: usize = 64;

/// An address that no device has any more.
const NOBODY: u32 = u32::MAX;

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
    pub(crate) traffic: Traffic,
}

enum Lines {
    Spread(Spread),
    Ports(Ports),
}

/// Few sockets, an address per device.
struct Spread {
    sockets: Vec<(Socket, SendBatch)>,
    /// Device of each address, counted from [`FIRST_ADDRESS`].
    owners: Vec<u32>,
    /// Address of each device, counted the same way.
    addresses: Vec<u32>,
}

/// A socket per device.
struct Ports {
    sockets: Vec<Socket>,
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

    /// Gives the next device a place to send from; devices are counted from 0.
    pub(crate) fn add_device(&mut self) -> Result<(), NetworkError> {
        match &mut self.lines {
            Lines::Spread(spread) => {
                spread.add_device();
                Ok(())
            }
            Lines::Ports(ports) => {
                let index = ports.sockets.len();
                let socket = ports.bind(self.server, index)?;
                self.poller.add(&socket, Token(index as u32))?;
                ports.sockets.push(socket);
                Ok(())
            }
        }
    }

    /// Gives a device another place to send from, as one has after a reboot. Where none can be had
    /// it keeps the old one.
    pub(crate) fn move_device(&mut self, device: usize) {
        match &mut self.lines {
            Lines::Spread(spread) => spread.move_device(device),
            Lines::Ports(ports) => {
                let Ok(socket) = ports.bind(self.server, device) else { return };
                let Some(place) = ports.sockets.get_mut(device) else { return };
                if self.poller.add(&socket, Token(device as u32)).is_ok() {
                    let old = std::mem::replace(place, socket);
                    // A closed descriptor leaves the poller by itself.
                    drop(old);
                }
            }
        }
    }

    /// Sends what `fill` appends to the buffer, a datagram of the device for the server.
    pub(crate) fn send(&mut self, device: usize, fill: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        match &mut self.lines {
            Lines::Spread(spread) => {
                let Some((socket, batch, local)) = spread.line_of(device) else { return false };
                if !fill(batch.buffer()) {
                    return false;
                }
                batch.seal(self.server, Some(local));
                if batch.len() >= SEND_BATCH {
                    self.traffic.add(batch.flush(socket));
                }
                true
            }
            Lines::Ports(ports) => {
                if !fill(ports.batch.buffer()) {
                    return false;
                }
                ports.batch.seal(self.server, None);
                if let Some(socket) = ports.sockets.get(device) {
                    self.traffic.add(ports.batch.flush(socket));
                }
                true
            }
        }
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

    /// Receives a batch from each socket that was ready, and says which device each datagram is
    /// for.
    pub(crate) fn receive(
        &mut self,
        buffers: &mut RecvBatch,
        mut take: impl FnMut(usize, &[u8]),
    ) -> Result<(), NetworkError> {
        let ready = std::mem::take(&mut self.ready);
        for token in ready.iter().copied() {
            if let Some(socket) = self.socket(token) {
                buffers.recv(socket)?;
            }
            for received in buffers.iter() {
                self.traffic.received += 1;
                if received.remote == self.server
                    && let Some(device) = self.device_of(token, &received)
                {
                    take(device, received.bytes);
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
            Lines::Ports(ports) => ports.sockets.get(index),
        }
    }

    fn device_of(&self, token: Token, received: &Received<'_>) -> Option<usize> {
        match &self.lines {
            Lines::Spread(spread) => spread.device_of(received.local),
            Lines::Ports(_) => Some(token.0 as usize),
        }
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
        Ok(Self { sockets, owners: Vec::new(), addresses: Vec::new() })
    }

    fn add_device(&mut self) {
        let device = self.addresses.len() as u32;
        let address = self.owners.len() as u32;
        self.owners.push(device);
        self.addresses.push(address);
    }

    fn move_device(&mut self, device: usize) {
        let next = self.owners.len() as u32;
        if next > LAST_ADDRESS - FIRST_ADDRESS {
            return;
        }
        let Some(address) = self.addresses.get_mut(device) else { return };
        let old = std::mem::replace(address, next) as usize;
        self.owners.push(device as u32);
        if let Some(owner) = self.owners.get_mut(old) {
            *owner = NOBODY;
        }
    }

    fn line_of(&mut self, device: usize) -> Option<(&Socket, &mut SendBatch, IpAddr)> {
        let address = *self.addresses.get(device)?;
        let index = address as usize % self.sockets.len().max(1);
        let (socket, batch) = self.sockets.get_mut(index)?;
        Some((socket, batch, IpAddr::V4(Ipv4Addr::from(FIRST_ADDRESS + address))))
    }

    fn device_of(&self, local: IpAddr) -> Option<usize> {
        let IpAddr::V4(local) = local else { return None };
        let address = u32::from(local).checked_sub(FIRST_ADDRESS)?;
        let owner = *self.owners.get(address as usize)?;
        (owner != NOBODY).then_some(owner as usize)
    }
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
