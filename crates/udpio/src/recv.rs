//! Receiving in batches: `recvmmsg` with the local address and the kernel's drop counter.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::{mem, ptr};

use nix::libc;

use crate::Socket;
use crate::addr::{RawAddr, canonical_ip};

/// The largest UDP payload, so no datagram is ever cut. Untouched pages of a slot cost no memory.
const DATAGRAM_MAX: usize = 65_535;

/// Room for the control messages of one datagram: packet info (v6: 40 bytes) and the drop counter
/// (24 bytes), each aligned to 8.
const CONTROL_MAX: usize = 128;

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_MAX]);

/// One received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Who sent it.
    pub remote: SocketAddr,
    /// The address of ours it was sent to: answers leave from it.
    pub local: IpAddr,
    /// The payload.
    pub bytes: &'a [u8],
}

/// Buffers for one `recvmmsg` call, reused for ever.
pub struct RecvBatch {
    data: Vec<u8>,
    names: Vec<RawAddr>,
    controls: Vec<Control>,
    iovecs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    filled: usize,
    dropped: Option<u32>,
}

// SAFETY: the raw pointers inside `iovecs` and `headers` lead only into the vectors of the same
// value, whose heap blocks move with it, and they are written anew before each use.
unsafe impl Send for RecvBatch {}

impl RecvBatch {
    /// Buffers for up to `capacity` datagrams per call (at least one).
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        // SAFETY: plain C structs for which all-zero (null pointers, zero lengths) is valid.
        let (iovec, header) = unsafe { (mem::zeroed(), mem::zeroed()) };
        Self {
            data: vec![0; capacity * DATAGRAM_MAX],
            names: vec![RawAddr::zeroed(); capacity],
            controls: vec![Control([0; CONTROL_MAX]); capacity],
            iovecs: vec![iovec; capacity],
            headers: vec![header; capacity],
            filled: 0,
            dropped: None,
        }
    }

    /// Receives what is there, up to the capacity; returns how many. Zero: nothing is waiting.
    ///
    /// # Errors
    /// Errors of the socket itself. ICMP errors of single peers are no errors of an unconnected
    /// socket and do not show here.
    pub fn recv(&mut self, socket: &Socket) -> io::Result<usize> {
        self.filled = 0;
        self.point();
        // SAFETY: `point` made every header lead to live buffers of the stated lengths.
        let count = unsafe {
            libc::recvmmsg(
                socket.raw(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        match usize::try_from(count) {
            Ok(count) => self.filled = count,
            Err(_) => match io::Error::last_os_error() {
                e if is_transient(&e) => {}
                e => return Err(e),
            },
        }
        if let Some(last) = self.filled.checked_sub(1) {
            self.dropped = self.control_of(last).dropped.or(self.dropped);
        }
        Ok(self.filled)
    }

    /// How many datagrams fit into one call.
    pub fn capacity(&self) -> usize {
        self.headers.len()
    }

    /// The kernel's count of datagrams dropped at the last socket read, since that socket was
    /// opened (wraps at 2^32). `None` until the kernel reported one.
    pub fn kernel_dropped(&mut self) -> Option<u32> {
        self.dropped.take()
    }

    /// The datagrams of the last [`RecvBatch::recv`].
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        (0..self.filled).filter_map(|index| self.at(index))
    }

    fn at(&self, index: usize) -> Option<Received<'_>> {
        let len = self.headers[index].msg_len as usize;
        let start = index * DATAGRAM_MAX;
        Some(Received {
            remote: self.names[index].to_addr()?,
            local: self.control_of(index).local?,
            bytes: &self.data[start..start + len],
        })
    }

    fn point(&mut self) {
        for (index, header) in self.headers.iter_mut().enumerate() {
            self.iovecs[index] = libc::iovec {
                iov_base: self.data[index * DATAGRAM_MAX..].as_mut_ptr().cast(),
                iov_len: DATAGRAM_MAX,
            };
            header.msg_len = 0;
            header.msg_hdr.msg_name = (&raw mut self.names[index]).cast();
            header.msg_hdr.msg_namelen = RawAddr::SIZE;
            header.msg_hdr.msg_iov = &raw mut self.iovecs[index];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = (&raw mut self.controls[index]).cast();
            header.msg_hdr.msg_controllen = CONTROL_MAX as _;
            header.msg_hdr.msg_flags = 0;
        }
    }

    fn control_of(&self, index: usize) -> Metadata {
        let mut metadata = Metadata::default();
        let header = &self.headers[index].msg_hdr;
        // SAFETY: the kernel wrote `msg_controllen` bytes of well-formed control messages into the
        // buffer that `msg_control` leads to, which this value owns; the CMSG macros stay inside.
        unsafe {
            let mut message = libc::CMSG_FIRSTHDR(header);
            while !message.is_null() {
                metadata.read(&*message, libc::CMSG_DATA(message));
                message = libc::CMSG_NXTHDR(header, message);
            }
        }
        metadata
    }
}

#[derive(Default)]
struct Metadata {
    local: Option<IpAddr>,
    dropped: Option<u32>,
}

impl Metadata {
    /// # Safety
    /// `data` leads to the payload of `header`, as long as the kernel's type of it.
    unsafe fn read(&mut self, header: &libc::cmsghdr, data: *const u8) {
        match (header.cmsg_level, header.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: the kernel puts an `in_pktinfo` behind this header; it may be unaligned.
                let info: libc::in_pktinfo = unsafe { ptr::read_unaligned(data.cast()) };
                self.local = Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr))));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: as above, an `in6_pktinfo`.
                let info: libc::in6_pktinfo = unsafe { ptr::read_unaligned(data.cast()) };
                self.local = Some(canonical_ip(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                // SAFETY: as above, a `u32`.
                self.dropped = Some(unsafe { ptr::read_unaligned(data.cast()) });
            }
            _ => {}
        }
    }
}

/// Nothing to read now, or a peer's ICMP error that concerns no datagram of ours.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EAGAIN
                | libc::EINTR
                | libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
        )
    )
}
