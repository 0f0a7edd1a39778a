//! Exchanges whose peer has another address now: NAT gave it a new port, or its answer came from
//! elsewhere.

use alloc::boxed::Box;

use super::Endpoint;
use crate::Peer;
use crate::exchange::Phase;

impl Endpoint {
    /// Exchanges in flight to `old` go on to `new`: waiting ones are sent there, repetitions go
    /// there, and message ids go on.
    pub fn peer_moved(&mut self, old: Peer, new: Peer) {
        self.peer_continues(old, new);
        let Some(sender) = self.peers.find_mut(&old).and_then(|state| state.sender.as_mut()) else {
            return;
        };
        let mut moving = core::mem::take(&mut sender.in_flight);
        moving.extend(core::mem::take(&mut sender.waiting));
        for index in moving {
            self.attach(index, new);
        }
        if let Some(place) = self.peers.find(&new) {
            self.launch_waiting(place);
        }
    }

    /// Whoever was at `old` is at `new` now. Only message ids go on: to the peer we are the same
    /// endpoint as before, so it would take an id that comes back for a repetition (RFC 7252 4.4).
    pub fn peer_continues(&mut self, old: Peer, new: Peer) {
        let former = self.peers.find_mut(&old).and_then(|state| state.sender.as_ref());
        let Some(successor) = former.map(|sender| sender.successor()) else {
            return;
        };
        let place = self.peer_place(new);
        if let Some(state) = place.and_then(|place| self.peers.get_mut(place)) {
            state.sender.get_or_insert_with(|| Box::new(successor));
        }
    }

    /// Moves one exchange to another address.
    pub(super) fn move_exchange(&mut self, index: u32, new: Peer) {
        let Some(old) = self.exchanges.get(index).map(|exchange| exchange.peer) else {
            return;
        };
        if old != new {
            self.detach(index, old);
            self.attach(index, new);
            // Whoever waited for it at the old address has its turn.
            if let Some(place) = self.peers.find(&old) {
                self.launch_waiting(place);
            }
        }
    }

    /// Takes an exchange out of the lines of a peer.
    pub(super) fn detach(&mut self, index: u32, peer: Peer) {
        if let Some(sender) = self.peers.find_mut(&peer).and_then(|state| state.sender.as_mut()) {
            sender.in_flight.retain(|found| *found != index);
            sender.waiting.retain(|found| *found != index);
        }
    }

    /// Puts an exchange into the lines of another peer.
    pub(super) fn attach(&mut self, index: u32, peer: Peer) {
        let Some(place) = self.peer_place(peer) else {
            return;
        };
        let Some(exchange) = self.exchanges.get_mut(index) else {
            return;
        };
        exchange.peer = peer;
        let waiting = exchange.phase == Phase::Waiting;
        if let Some(sender) = self.sender(place) {
            if waiting {
                sender.waiting.push_back(index);
            } else {
                sender.in_flight.push(index);
            }
        }
    }
}
