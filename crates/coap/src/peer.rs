//! Who a datagram came from and from where the answer has to leave.
//!
//! A peer is an address pair, not an identity: who the device is, the layers above know.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The two ends of a datagram's way: listener and local address on our side, address and port on
/// the other. Forty bytes; IPv4 is kept as IPv4-mapped IPv6 and comes back as IPv4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    remote: [u8; 16],
    local: [u8; 16],
    scope: u32,
    port: u16,
    listener: u16,
}

impl Peer {
    /// The peer at `remote` that reached `local` through the listener of that number.
    pub fn new(listener: u16, local: IpAddr, remote: SocketAddr) -> Self {
        let scope = match remote {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(address) => address.scope_id(),
        };
        Self {
            remote: octets(remote.ip()),
            local: octets(local),
            scope,
            port: remote.port(),
            listener,
        }
    }

    /// Number of the listener, as the caller counts them.
    pub const fn listener(&self) -> u16 {
        self.listener
    }

    /// Our address: an answer must leave from it.
    pub fn local(&self) -> IpAddr {
        Ipv6Addr::from(self.local).to_canonical()
    }

    /// The other end; an IPv4-mapped address comes back as IPv4.
    pub fn remote(&self) -> SocketAddr {
        match self.remote_ip() {
            IpAddr::V4(address) => SocketAddr::new(IpAddr::V4(address), self.port),
            IpAddr::V6(address) => {
                SocketAddr::V6(SocketAddrV6::new(address, self.port, 0, self.scope))
            }
        }
    }

    /// The address of the other end without its port; prints without `::ffff:`.
    pub fn remote_ip(&self) -> IpAddr {
        Ipv6Addr::from(self.remote).to_canonical()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.remote(), f)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} at {})", self.remote(), self.listener, self.local())
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_and_mapped_ones_as_ipv4() {
        for (remote, printed) in [
            ("127.0.0.1:5683", "127.0.0.1:5683"),
            ("[::ffff:10.0.0.7]:49152", "10.0.0.7:49152"),
            ("[2001:db8::1]:5684", "[2001:db8::1]:5684"),
        ] {
            let remote: SocketAddr = remote.parse().unwrap();
            let peer = Peer::new(3, "10.1.2.3".parse().unwrap(), remote);
            assert_eq!(peer.to_string(), printed);
            assert_eq!(peer.remote().port(), remote.port());
            assert_eq!(peer.listener(), 3);
            assert_eq!(peer.local().to_string(), "10.1.2.3");
        }
    }

    #[test]
    fn a_link_local_peer_keeps_its_scope() {
        let remote = SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().unwrap(), 5683, 0, 4));
        let peer = Peer::new(0, "fe80::2".parse().unwrap(), remote);
        assert_eq!(peer.remote(), remote);
        assert_eq!(size_of::<Peer>(), 40);
    }
}
