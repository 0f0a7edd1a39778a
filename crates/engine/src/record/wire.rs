//! The bytes of a record: numbers in network order, texts behind their length.
//!
//! What stands in which order is the business of [`crate::record`]. Reading never trusts a length:
//! a damaged record ends in `None`, not in memory that is asked for.

use coap::{Instant, OptionList, OptionNumber, Peer};
use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use lwm2m::{Format, Path};

/// Puts a record together.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        // Nothing that is kept per device comes near 4 GiB.
        self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(value);
    }

    pub(super) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// The number of elements, then each of them.
    pub(super) fn list<T>(
        &mut self,
        values: impl ExactSizeIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) {
        self.u32(u32::try_from(values.len()).unwrap_or(u32::MAX));
        values.for_each(|value| each(self, value));
    }

    /// Whether there is a value, then the value.
    pub(super) fn option<T>(&mut self, value: Option<T>, some: impl FnOnce(&mut Self, T)) {
        self.u8(u8::from(value.is_some()));
        if let Some(value) = value {
            some(self, value);
        }
    }

    pub(super) fn path(&mut self, path: &Path) {
        self.u8(path.len() as u8); // At most four.
        path.ids().iter().for_each(|&id| self.u16(id));
    }

    pub(super) fn format(&mut self, format: Option<Format>) {
        self.option(format, |writer, format| writer.u16(format.0));
    }

    pub(super) fn peer(&mut self, peer: &Peer) {
        let remote = peer.remote();
        self.u16(peer.listener());
        self.ip(peer.local());
        self.ip(remote.ip());
        self.u16(remote.port());
        self.u32(match remote {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(address) => address.scope_id(),
        });
    }

    pub(super) fn options(&mut self, options: &OptionList) {
        let options: Vec<_> = options.iter().collect();
        self.list(options.into_iter(), |writer, (number, value)| {
            writer.u16(number.0);
            writer.bytes(value);
        });
    }

    fn ip(&mut self, address: IpAddr) {
        let octets = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        self.0.extend_from_slice(&octets);
    }
}

/// Takes a record apart.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()? as usize;
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        core::str::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn list<T>(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let len = self.u32()? as usize;
        // Each element takes a byte at least, so a wrong length ends when the bytes do.
        let mut values = Vec::with_capacity(len.min(self.0.len()).min(LIST_RESERVED_MAX));
        for _ in 0..len {
            values.push(each(self)?);
        }
        Some(values)
    }

    pub(super) fn option<T>(
        &mut self,
        some: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.u8()? {
            0 => Some(None),
            1 => some(self).map(Some),
            _ => None, // Damaged.
        }
    }

    pub(super) fn path(&mut self) -> Option<Path> {
        let len = self.u8()?;
        (0..len).try_fold(Path::ROOT, |path, _| path.child(self.u16()?))
    }

    pub(super) fn format(&mut self) -> Option<Option<Format>> {
        self.option(|reader| reader.u16().map(Format))
    }

    pub(super) fn peer(&mut self) -> Option<Peer> {
        let listener = self.u16()?;
        let (local, remote) = (self.ip()?, self.ip()?);
        let (port, scope) = (self.u16()?, self.u32()?);
        let remote = match remote {
            IpAddr::V4(_) => SocketAddr::new(remote, port),
            IpAddr::V6(address) => SocketAddr::V6(SocketAddrV6::new(address, port, 0, scope)),
        };
        Some(Peer::new(listener, local, remote))
    }

    pub(super) fn options(&mut self) -> Option<OptionList> {
        let mut options = OptionList::new();
        self.list(|reader| {
            let (number, value) = (reader.u16()?, reader.bytes()?);
            let fits = value.len() <= OptionList::VALUE_LEN_MAX;
            fits.then(|| options.push(OptionNumber(number), value))
        })?;
        Some(options)
    }

    fn ip(&mut self) -> Option<IpAddr> {
        self.array::<16>().map(|octets| Ipv6Addr::from(octets).to_canonical())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }
}

/// Elements that a list reserves room for before it has seen them.
const LIST_RESERVED_MAX: usize = 256;

/// The two clocks at one moment, to write times of one by the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    pub(super) now: Instant,
    pub(super) wall: i64,
}

impl Clocks {
    /// Milliseconds since 1970 at a point of the monotonic clock.
    pub(super) const fn to_wall(self, instant: Instant) -> i64 {
        let ahead = millis(instant.as_micros()) - millis(self.now.as_micros());
        self.wall.saturating_add(ahead)
    }

    /// The point of the monotonic clock; its origin for what lies before it.
    pub(super) fn to_instant(self, wall: i64) -> Instant {
        let ahead = wall.saturating_sub(self.wall);
        let span = coap::Duration::from_millis(ahead.unsigned_abs());
        if ahead < 0 { self.now - span } else { self.now + span }
    }
}

/// Never negative and below 2^54, so that differences do not overflow.
const fn millis(micros: u64) -> i64 {
    (micros / 1000) as i64
}
