//! What a fleet needs of the world: somewhere to put datagrams, and the wall clock.
//!
//! Sockets are behind it in [`crate::network`]; tests put a server of their own there.

/// Where a datagram leaves from, or came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The number of the device, from 0.
    pub(crate) device: usize,
    /// Which of its addresses.
    pub(crate) line: u8,
}

/// The world around a fleet.
pub(crate) trait Wire {
    /// What can go wrong when a device is given a place.
    type Error;

    /// How many lines a device can have: a new one for each change of its address, in turn.
    fn lines(&self) -> u8;

    /// Gives a device a place to send from.
    fn open(&mut self, device: usize) -> Result<(), Self::Error>;

    /// Gives a device another address on the line that it has; for a world with one line.
    fn reopen(&mut self, device: usize);

    /// Sends what `fill` appends to the buffer; `false` when it appended nothing.
    fn send(&mut self, from: Place, fill: impl FnOnce(&mut Vec<u8>) -> bool) -> bool;

    /// The wall-clock time in microseconds since 1970.
    fn wall_micros(&self) -> i64;
}
