//! Binding: one socket, or a group of `SO_REUSEPORT` sockets that share a port.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::libc;
use socket2::{Domain, Protocol, SockAddr, Type};

/// What a listener may ask of its sockets. Sizes in bytes; `None` leaves the system's default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SocketOptions {
    /// `SO_RCVBUF`; tried with `SO_RCVBUFFORCE` first, which may exceed the system's limit.
    pub recv_buffer: Option<usize>,
    /// `SO_SNDBUF`; tried with `SO_SNDBUFFORCE` first.
    pub send_buffer: Option<usize>,
    /// `IPV6_V6ONLY`. `[::]` is dual stack unless this is set.
    pub ipv6_only: bool,
    /// `SO_REUSEADDR`: whether others that set it too may bind the same address.
    pub reuse_address: bool,
}

/// Whether somebody else who has the port is looked for before a group is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// By a plain bind: `SO_REUSEPORT` alone would silently share the port with another process of
    /// the same user.
    Others,
    /// Not: a group of this process has the port and is about to give it up.
    Skip,
}

/// A port that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot bind UDP {addr}: {source}")]
pub struct BindError {
    /// The address that was asked for.
    pub addr: SocketAddr,
    /// Why the system refused it.
    #[source]
    pub source: io::Error,
}

impl BindError {
    /// Whether somebody else has the port.
    pub fn is_in_use(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }
}

/// A non-blocking UDP socket that reports the local address of each datagram.
#[derive(Debug)]
pub struct Socket {
    inner: socket2::Socket,
    local: SocketAddr,
}

impl Socket {
    /// The address it is bound to, with the port that the system chose for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn is_ipv6(&self) -> bool {
        self.local.is_ipv6()
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.inner.as_raw_fd()
    }

    /// Sets the options that can change while the socket is in use: buffers and `reuse_address`.
    ///
    /// # Errors
    /// Whatever `setsockopt` says.
    pub fn adjust(&self, options: &SocketOptions) -> io::Result<()> {
        size_buffers(&self.inner, options)?;
        self.inner.set_reuse_address(options.reuse_address)
    }

    /// The size that the kernel gave the receive buffer, in bytes.
    ///
    /// # Errors
    /// Whatever `getsockopt` says.
    pub fn recv_buffer(&self) -> io::Result<usize> {
        self.inner.recv_buffer_size()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// Binds one socket that shares its port with nobody.
///
/// # Errors
/// [`BindError`] names the address.
pub fn bind(addr: SocketAddr, options: &SocketOptions) -> Result<Socket, BindError> {
    open(addr, options, false).map_err(|source| BindError { addr, source })
}

/// Binds `count` sockets that share `addr`; the kernel spreads peers over them by address hash.
///
/// # Errors
/// [`BindError`] names the address.
pub fn bind_group(
    addr: SocketAddr,
    count: usize,
    options: &SocketOptions,
    probe: Probe,
) -> Result<Vec<Socket>, BindError> {
    let refused = |source| BindError { addr, source };
    let mut group = Vec::with_capacity(count.max(1));
    // The first one finds the port that the system chooses for port 0.
    let first = match probe {
        Probe::Others => bind(addr, options)?,
        Probe::Skip => open(addr, options, true).map_err(refused)?,
    };
    let known = SocketAddr::new(addr.ip(), first.local_addr().port());
    match probe {
        Probe::Others => drop(first),
        Probe::Skip => group.push(first),
    }
    while group.len() < count.max(1) {
        group.push(open(known, options, true).map_err(refused)?);
    }
    Ok(group)
}

fn open(addr: SocketAddr, options: &SocketOptions, share: bool) -> io::Result<Socket> {
    let inner = socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    inner.set_nonblocking(true)?;
    if share {
        inner.set_reuse_port(true)?;
    }
    if options.reuse_address {
        inner.set_reuse_address(true)?;
    }
    if addr.is_ipv6() {
        inner.set_only_v6(options.ipv6_only)?;
    }
    size_buffers(&inner, options)?;
    inner.bind(&SockAddr::from(addr))?;
    ask_for_metadata(&inner, addr.is_ipv6())?;
    let local = inner.local_addr()?.as_socket().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "the bound address is not an IP address")
    })?;
    Ok(Socket { inner, local })
}

fn size_buffers(socket: &socket2::Socket, options: &SocketOptions) -> io::Result<()> {
    let buffers = [
        (options.recv_buffer, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
        (options.send_buffer, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
    ];
    for (size, forced, plain) in buffers {
        let Some(size) = size else { continue };
        let size = i32::try_from(size).unwrap_or(i32::MAX);
        // Only a privileged process may exceed net.core.rmem_max; the others get what they can.
        if set_flag(socket, libc::SOL_SOCKET, forced, size).is_err() {
            set_flag(socket, libc::SOL_SOCKET, plain, size)?;
        }
    }
    Ok(())
}

fn ask_for_metadata(socket: &socket2::Socket, ipv6: bool) -> io::Result<()> {
    set_flag(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
    if ipv6 {
        set_flag(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        set_flag(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

fn set_flag(socket: &socket2::Socket, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: `value` is a live i32 and its exact size is passed; the descriptor is owned.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
