//! One connection to an external broker: establishing it, its buffers, and its Keep Alive
//! (MQTT 5.0 section 3.1.2.10). What is said over it is decided by [`super::session`].

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::transport::{self, Stream, Tls};
use super::wire::{FromBroker, Welcome, Wire, WireError};
use super::{CONNECT_TIMEOUT, ExternalConfig};

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Lost {
    /// The broker refused it.
    Refused(String),
    /// Everything else.
    Broken(String),
}

impl From<WireError> for Lost {
    fn from(error: WireError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<std::io::Error> for Lost {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Bytes that may wait in the write buffer: a few thousand small messages per system call, and
/// not much that is lost with the connection.
const WRITE_HIGH: usize = 256 * 1024;

/// Room for reading: what a socket gives at once.
const READ_ROOM: usize = 64 * 1024;

/// How long an answer to a ping may take.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);

/// The buffers of a connection.
pub(super) struct Buffers {
    pub(super) wire: Wire,
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
    /// Bytes ever written.
    written: u64,
    /// Whether what was written may still be inside of the TLS layer.
    unflushed: bool,
    keep_alive: Duration,
    last_sent: Instant,
    last_received: Instant,
    pinged: Option<Instant>,
}

impl Buffers {
    fn new(wire: Wire, keep_alive: Duration) -> Self {
        let now = Instant::now();
        Self {
            wire,
            input: BytesMut::with_capacity(READ_ROOM),
            output: BytesMut::new(),
            written: 0,
            unflushed: false,
            keep_alive,
            last_sent: now,
            last_received: now,
            pinged: None,
        }
    }

    /// Whether more may be put into the write buffer.
    pub(super) fn has_room(&self) -> bool {
        self.output.len() < WRITE_HIGH
    }

    /// How many bytes of the connection end with the write buffer.
    pub(super) fn end(&self) -> u64 {
        self.written + self.output.len() as u64
    }

    /// Whether there is something to write or to flush.
    pub(super) fn wants_writing(&self) -> bool {
        self.unflushed || !self.output.is_empty()
    }

    /// Bytes were written, or flushed if none; returns how many in all.
    pub(super) fn on_written(&mut self, bytes: usize) -> u64 {
        self.written += bytes as u64;
        self.unflushed = bytes > 0;
        self.last_sent = Instant::now();
        self.written
    }

    /// Bytes came from the socket; none means that the broker closed it.
    pub(super) fn on_read(&mut self, bytes: usize) -> Result<(), Lost> {
        if bytes == 0 {
            return Err(Lost::Broken("closed by the broker".to_owned()));
        }
        self.last_received = Instant::now();
        Ok(())
    }

    /// The next packet that has come.
    pub(super) fn packet(&mut self) -> Result<Option<FromBroker>, Lost> {
        let packet = self.wire.decode(&mut self.input)?;
        if packet.is_none() {
            self.input.reserve(READ_ROOM);
        }
        Ok(packet)
    }

    pub(super) fn on_pong(&mut self) {
        self.pinged = None;
    }

    /// How often [`Buffers::keep_alive`] wants to be called.
    pub(super) fn tick(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(5);
        if self.keep_alive.is_zero() { LONGEST } else { (self.keep_alive / 4).min(LONGEST) }
    }

    /// Pings when nothing was sent or nothing came for too long: a dead line is noticed even
    /// while we send without end.
    pub(super) fn keep_alive(&mut self, now: Instant) -> Result<(), Lost> {
        if self.keep_alive.is_zero() {
            return Ok(());
        }
        match self.pinged {
            Some(at) if now - at >= PONG_TIMEOUT => {
                Err(Lost::Broken("no answer to a ping".to_owned()))
            }
            Some(_) => Ok(()),
            None => {
                let idle = now - self.last_sent.min(self.last_received);
                // The look before the deadline, not the one behind it.
                if idle + self.tick() > self.keep_alive {
                    self.pinged = Some(now);
                    self.wire.ping(&mut self.output)?;
                }
                Ok(())
            }
        }
    }
}

/// Connects and waits for the broker's welcome.
pub(super) async fn establish(
    config: ExternalConfig,
    tls: Tls,
) -> Result<(Stream, Buffers, Welcome), Lost> {
    let attempt = async {
        let mut stream = transport::connect(&config.address, &tls).await?;
        let mut buffers = Buffers::new(Wire::new(&config), config.keep_alive);
        buffers.wire.connect(&config, &mut buffers.output)?;
        stream.write_all_buf(&mut buffers.output).await?;
        stream.flush().await?;
        let welcome = welcome(&mut stream, &mut buffers).await?;
        if let Some(keep_alive) = welcome.keep_alive {
            buffers.keep_alive = keep_alive;
        }
        Ok((stream, buffers, welcome))
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
        Ok(result) => result,
        Err(_) => Err(Lost::Broken(format!("no connection within {CONNECT_TIMEOUT:?}"))),
    }
}

async fn welcome(stream: &mut Stream, buffers: &mut Buffers) -> Result<Welcome, Lost> {
    loop {
        match buffers.packet()? {
            Some(FromBroker::Welcome(welcome)) => return Ok(welcome),
            Some(FromBroker::Refused(reason)) => return Err(Lost::Refused(reason)),
            Some(_) => return Err(Lost::Broken("the first packet is no CONNACK".to_owned())),
            None => {
                let read = stream.read_buf(&mut buffers.input).await?;
                buffers.on_read(read)?;
            }
        }
    }
}
