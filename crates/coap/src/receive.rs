//! Bodies of requests that come in blocks: Block1 in the server's role, RFC 7959 2.5, 2.9.
//!
//! A body belongs to a peer and to what is asked (method, path, query, Request-Tag); its token may
//! change from block to block. Answering is the job of [`crate::endpoint`].

use alloc::vec::Vec;

use ahash::RandomState;
use hashbrown::HashMap;

use crate::Peer;
use crate::block::BlockOption;
use crate::time::{Duration, Instant};

/// Half-received bodies.
#[derive(Debug)]
pub(crate) struct Assemblies {
    by_peer: HashMap<Peer, Vec<Assembly>, RandomState>,
    limits: Limits,
    bytes: usize,
}

/// Bounds of what is half received.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) body_max: usize,
    pub(crate) per_peer_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) timeout: Duration,
}

#[derive(Debug)]
struct Assembly {
    key: u64,
    body: Vec<u8>,
    touched: Instant,
}

/// One block of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'d> {
    pub(crate) peer: Peer,
    pub(crate) key: u64,
    pub(crate) block: BlockOption,
    /// Size of the whole body, if the sender says it.
    pub(crate) size1: Option<u32>,
    pub(crate) payload: &'d [u8],
}

/// What a block leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// More blocks are expected: 2.31.
    Continue,
    /// This was the last one.
    Complete(Vec<u8>),
    /// It does not follow what came before: 4.08.
    Incomplete,
    /// Its length does not fit its option: 4.00.
    BadSize,
    /// The body is above the limit: 4.13.
    TooLarge,
    /// Too much is half received already: 5.03.
    NoRoom,
}

impl Assemblies {
    pub(crate) fn new(limits: Limits, hasher: RandomState) -> Self {
        Self { by_peer: HashMap::with_hasher(hasher), limits, bytes: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_peer.is_empty()
    }

    /// Bytes held, the fixed cost of each body included.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes one block. `elsewhere` is what other bodies of the endpoint hold of the same bound.
    pub(crate) fn take(&mut self, now: Instant, piece: &Piece<'_>, elsewhere: usize) -> Received {
        let Piece { block, payload, .. } = *piece;
        let wrong_size = if block.more {
            payload.len() != block.size.bytes()
        } else {
            payload.len() > block.size.bytes()
        };
        if wrong_size {
            return Received::BadSize;
        }
        let end = block.offset().saturating_add(payload.len());
        let announced = piece.size1.map_or(0, |size| size as usize);
        if end.max(announced) > self.limits.body_max {
            self.drop_one(piece);
            return Received::TooLarge;
        }
        if block.number == 0 {
            return self.begin(now, piece, elsewhere);
        }
        self.go_on(now, piece, elsewhere)
    }

    /// Drops what was touched last before the timeout; says how many bodies that were.
    pub(crate) fn sweep(&mut self, now: Instant) -> usize {
        let (timeout, mut dropped, mut freed) = (self.limits.timeout, 0, 0);
        self.by_peer.retain(|_, bodies| {
            bodies.retain(|body| {
                let alive = body.touched + timeout > now;
                if !alive {
                    dropped += 1;
                    freed += body.cost();
                }
                alive
            });
            !bodies.is_empty()
        });
        self.bytes = self.bytes.saturating_sub(freed);
        self.rest();
        dropped
    }

    /// Block 0 begins a body, or begins it anew.
    fn begin(&mut self, now: Instant, piece: &Piece<'_>, elsewhere: usize) -> Received {
        self.drop_one(piece);
        if !piece.block.more {
            return Received::Complete(piece.payload.to_vec());
        }
        let cost = piece.payload.len() + ASSEMBLY_COST;
        self.make_room_at(piece.peer);
        if self.bytes.saturating_add(elsewhere).saturating_add(cost) > self.limits.bytes_max {
            return Received::NoRoom;
        }
        self.bytes += cost;
        let body = Assembly { key: piece.key, body: piece.payload.to_vec(), touched: now };
        self.by_peer.entry(piece.peer).or_default().push(body);
        Received::Continue
    }

    fn go_on(&mut self, now: Instant, piece: &Piece<'_>, elsewhere: usize) -> Received {
        let Piece { block, payload, .. } = *piece;
        let limit = self.limits.bytes_max.saturating_sub(elsewhere);
        let found = self.by_peer.get_mut(&piece.peer);
        let found = found.and_then(|bodies| bodies.iter_mut().find(|body| body.key == piece.key));
        let Some(assembly) = found else {
            return Received::Incomplete;
        };
        assembly.touched = now;
        let len = assembly.body.len();
        if block.more && block.offset().saturating_add(payload.len()) <= len {
            // A block that came before, under another message id.
            return Received::Continue;
        }
        if block.offset() != len {
            self.drop_one(piece);
            return Received::Incomplete;
        }
        if self.bytes.saturating_add(payload.len()) > limit {
            self.drop_one(piece);
            return Received::NoRoom;
        }
        assembly.body.extend_from_slice(payload);
        self.bytes += payload.len();
        if block.more {
            return Received::Continue;
        }
        self.drop_one(piece).map_or(Received::Incomplete, Received::Complete)
    }

    /// A peer at its limit loses the body that was touched least recently.
    fn make_room_at(&mut self, peer: Peer) {
        let Some(bodies) = self.by_peer.get(&peer) else {
            return;
        };
        if bodies.len() < self.limits.per_peer_max.max(1) {
            return;
        }
        if let Some(key) = bodies.iter().min_by_key(|body| body.touched).map(|body| body.key) {
            self.remove(peer, key);
        }
    }

    fn drop_one(&mut self, piece: &Piece<'_>) -> Option<Vec<u8>> {
        self.remove(piece.peer, piece.key)
    }

    fn remove(&mut self, peer: Peer, key: u64) -> Option<Vec<u8>> {
        let bodies = self.by_peer.get_mut(&peer)?;
        let place = bodies.iter().position(|body| body.key == key)?;
        let assembly = bodies.swap_remove(place);
        if bodies.is_empty() {
            self.by_peer.remove(&peer);
        }
        self.bytes = self.bytes.saturating_sub(assembly.cost());
        self.rest();
        Some(assembly.body)
    }

    fn rest(&mut self) {
        if self.by_peer.is_empty() && self.by_peer.capacity() > KEPT_PEERS {
            self.by_peer.shrink_to_fit();
        }
    }
}

impl Assembly {
    const fn cost(&self) -> usize {
        self.body.len() + ASSEMBLY_COST
    }
}

/// What a half-received body costs beside its bytes, so that 16-byte blocks from made-up addresses
/// meet the bound too: map entry 64, state 40, two allocations.
const ASSEMBLY_COST: usize = 192;

/// Places of the table that are kept when it is empty.
const KEPT_PEERS: usize = 64;

#[cfg(test)]
mod tests;
