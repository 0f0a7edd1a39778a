//! A listener with its sockets, on its way to the shards.

use std::net::SocketAddr;
use std::sync::Arc;

use udpio::Probe;

use super::{Gate, ListenerError, open};
use crate::config::{AccessRules, Listener};
use crate::shard::{Seat, Watched, token};

/// A listener that the shards do not have yet.
pub struct Opened {
    /// Its door.
    pub gate: Arc<Gate>,
    /// Where it listens; `None` when it takes no datagrams.
    pub address: Option<SocketAddr>,
    access: Arc<AccessRules>,
    sockets: Vec<Watched>,
}

impl Opened {
    /// A listener that takes no datagrams.
    #[must_use]
    pub fn closed(gate: Arc<Gate>, settings: &Listener) -> Self {
        let access = Arc::new(settings.access_rules.clone());
        Self { gate, address: None, access, sockets: Vec::new() }
    }

    /// A listener with a socket for each shard; `generation` differs from that of its former ones.
    ///
    /// # Errors
    /// [`ListenerError`].
    pub fn open(
        gate: Arc<Gate>,
        settings: &Listener,
        shards: usize,
        generation: u16,
        probe: Probe,
    ) -> Result<Self, ListenerError> {
        let token = token(gate.number(), generation);
        let sockets = open(gate.name(), settings, shards, probe)?;
        let address = sockets.first().map(udpio::Socket::local_addr);
        let sockets = sockets.into_iter().map(|socket| Watched { socket, token }).collect();
        Ok(Self { address, sockets, ..Self::closed(gate, settings) })
    }

    /// The sockets in the order of the shards.
    #[must_use]
    pub fn sockets(&self) -> &[Watched] {
        &self.sockets
    }

    /// What each of `shards` shards gets.
    #[must_use]
    pub fn into_seats(self, shards: usize) -> Vec<Seat> {
        let Self { gate, access, sockets, .. } = self;
        let mut sockets = sockets.into_iter();
        std::iter::repeat_with(|| {
            let (gate, access) = (Arc::clone(&gate), Arc::clone(&access));
            Seat { gate, access, socket: sockets.next() }
        })
        .take(shards)
        .collect()
    }
}
