//! Socket addresses as the kernel writes them, both families in one small union.

use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use nix::libc;

/// A kernel socket address of either family: 28 bytes instead of `sockaddr_storage`'s 128.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) union RawAddr {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl RawAddr {
    pub(crate) const SIZE: libc::socklen_t = size_of::<Self>() as libc::socklen_t;

    pub(crate) fn zeroed() -> Self {
        // SAFETY: all variants are plain C structs for which all-zero is a valid value.
        unsafe { mem::zeroed() }
    }

    /// Writes `addr` in the form a socket of the given family wants, and its length in bytes.
    ///
    /// On an IPv6 socket an IPv4 address becomes IPv4-mapped; on an IPv4 socket a mapped address
    /// becomes plain. An IPv6 address that is not mapped stays as it is, and the kernel refuses it.
    pub(crate) fn from_addr(addr: SocketAddr, ipv6_socket: bool) -> (Self, libc::socklen_t) {
        let mut raw = Self::zeroed();
        match (addr, ipv6_socket) {
            (SocketAddr::V4(v4), false) => raw.v4 = sockaddr_in(v4),
            (SocketAddr::V4(v4), true) => {
                let mapped = SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0);
                raw.v6 = sockaddr_in6(mapped);
            }
            (SocketAddr::V6(v6), false) => match v6.ip().to_ipv4_mapped() {
                Some(ip) => raw.v4 = sockaddr_in(SocketAddrV4::new(ip, v6.port())),
                None => raw.v6 = sockaddr_in6(v6),
            },
            (SocketAddr::V6(v6), true) => raw.v6 = sockaddr_in6(v6),
        }
        // SAFETY: every variant begins with the family, which was written above.
        let is_v4 = unsafe { raw.family } == libc::AF_INET as libc::sa_family_t;
        let len =
            if is_v4 { size_of::<libc::sockaddr_in>() } else { size_of::<libc::sockaddr_in6>() };
        (raw, len as libc::socklen_t)
    }

    /// Reads what the kernel wrote; IPv4-mapped addresses come back as IPv4. `None`: other family.
    pub(crate) fn to_addr(self) -> Option<SocketAddr> {
        // SAFETY: the union was zeroed before the kernel wrote it, so every byte is initialised and
        // each variant is valid for any bytes; the family says which one is meant.
        unsafe {
            match i32::from(self.family) {
                libc::AF_INET => Some(SocketAddr::V4(SocketAddrV4::new(
                    Ipv4Addr::from(u32::from_be(self.v4.sin_addr.s_addr)),
                    u16::from_be(self.v4.sin_port),
                ))),
                libc::AF_INET6 => Some(unmapped(
                    Ipv6Addr::from(self.v6.sin6_addr.s6_addr),
                    u16::from_be(self.v6.sin6_port),
                    self.v6.sin6_scope_id,
                )),
                _ => None,
            }
        }
    }
}

fn unmapped(ip: Ipv6Addr, port: u16, scope: u32) -> SocketAddr {
    match ip.to_ipv4_mapped() {
        Some(v4) => SocketAddr::V4(SocketAddrV4::new(v4, port)),
        None => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope)),
    }
}

/// The canonical form of an address that came from a dual-stack socket.
pub(crate) fn canonical_ip(ip: Ipv6Addr) -> IpAddr {
    ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
}

fn sockaddr_in(addr: SocketAddrV4) -> libc::sockaddr_in {
    // SAFETY: a plain C struct for which all-zero is valid.
    let mut raw: libc::sockaddr_in = unsafe { mem::zeroed() };
    raw.sin_family = libc::AF_INET as libc::sa_family_t;
    raw.sin_port = addr.port().to_be();
    raw.sin_addr.s_addr = u32::from(*addr.ip()).to_be();
    raw
}

fn sockaddr_in6(addr: SocketAddrV6) -> libc::sockaddr_in6 {
    // SAFETY: a plain C struct for which all-zero is valid.
    let mut raw: libc::sockaddr_in6 = unsafe { mem::zeroed() };
    raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
    raw.sin6_port = addr.port().to_be();
    raw.sin6_addr.s6_addr = addr.ip().octets();
    raw.sin6_scope_id = addr.scope_id();
    raw
}
