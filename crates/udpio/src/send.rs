//! Sending in batches: `sendmmsg`, each datagram with the source address it shall leave from.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::{mem, ptr};

use nix::libc;

use crate::Socket;
use crate::addr::RawAddr;

/// How many datagrams enter the kernel in one call. 64 amortises the call to a few nanoseconds a
/// datagram; more only grows the arrays.
const BATCH: usize = 64;

/// What an idle loop sends at once.
const BATCH_FEW: usize = 8;

/// One packet-info control message: 16 bytes of header and at most 20 of address, aligned.
const CONTROL_MAX: usize = 40;

/// How long a full send buffer is waited for before datagrams are given up, in milliseconds. UDP
/// may lose datagrams anyway, and a confirmable message comes again; a loop that stands still does
/// not.
const FULL_WAIT_MS: i32 = 5;

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_MAX]);

struct Entry {
    remote: SocketAddr,
    local: Option<IpAddr>,
    end: usize,
}

/// What became of a flushed batch, in datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendReport {
    /// Taken by the kernel.
    pub sent: usize,
    /// Refused one by one: no route, too large, filtered.
    pub refused: usize,
    /// Given up because the send buffer stayed full.
    pub dropped: usize,
}

/// Datagrams that wait to leave in one go. Its buffers are reused.
#[derive(Default)]
pub struct SendBatch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl SendBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many datagrams wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a datagram for `remote`. `local`: the address of ours it leaves from; `None`, or an
    /// unspecified one, leaves the choice to the system.
    pub fn push(&mut self, remote: SocketAddr, local: Option<IpAddr>, datagram: &[u8]) {
        self.bytes.extend_from_slice(datagram);
        self.seal(remote, local);
    }

    /// The buffer to append the next datagram to; [`SendBatch::seal`] ends it.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Makes one datagram of everything appended to [`SendBatch::buffer`] since the last one.
    pub fn seal(&mut self, remote: SocketAddr, local: Option<IpAddr>) {
        let local = local.filter(|ip| !ip.is_unspecified());
        self.entries.push(Entry { remote, local, end: self.bytes.len() });
    }

    /// Hands everything to the kernel and empties the batch.
    pub fn flush(&mut self, socket: &Socket) -> SendReport {
        let mut report = SendReport::default();
        let mut waited = false;
        let mut next = 0;
        while next < self.entries.len() {
            // Room for a full batch is 10 KiB to clear, which a few datagrams need not pay for.
            let few = self.entries.len() - next <= BATCH_FEW;
            let result = if few {
                self.send_some::<BATCH_FEW>(socket, next)
            } else {
                self.send_some::<BATCH>(socket, next)
            };
            match result {
                Ok(count) => {
                    next += count;
                    report.sent += count;
                    waited = false;
                }
                Err(e) if e.raw_os_error() == Some(libc::EINTR) => {}
                Err(e) if is_full(&e) && !waited => {
                    wait_writable(socket);
                    waited = true;
                }
                Err(e) if is_full(&e) => {
                    report.dropped += self.entries.len() - next;
                    break;
                }
                Err(_) => {
                    // The error belongs to the first datagram of the call; the others go on.
                    report.refused += 1;
                    next += 1;
                }
            }
        }
        self.bytes.clear();
        self.entries.clear();
        report
    }

    fn send_some<const MAX: usize>(&self, socket: &Socket, first: usize) -> io::Result<usize> {
        let entries = &self.entries[first..self.entries.len().min(first + MAX)];
        let mut start = first.checked_sub(1).map_or(0, |before| self.entries[before].end);
        // SAFETY: plain C structs for which all-zero is valid.
        let mut headers: [libc::mmsghdr; MAX] = unsafe { mem::zeroed() };
        // SAFETY: as above.
        let mut iovecs: [libc::iovec; MAX] = unsafe { mem::zeroed() };
        let mut names = [RawAddr::zeroed(); MAX];
        let mut controls = [Control([0; CONTROL_MAX]); MAX];
        for (index, entry) in entries.iter().enumerate() {
            let datagram = &self.bytes[start..entry.end];
            start = entry.end;
            let (name, name_len) = RawAddr::from_addr(entry.remote, socket.is_ipv6());
            names[index] = name;
            iovecs[index] = libc::iovec {
                iov_base: datagram.as_ptr().cast_mut().cast(),
                iov_len: datagram.len(),
            };
            let header = &mut headers[index].msg_hdr;
            header.msg_name = (&raw mut names[index]).cast();
            header.msg_namelen = name_len;
            header.msg_iov = &raw mut iovecs[index];
            header.msg_iovlen = 1;
            if let Some(local) = entry.local {
                header.msg_control = (&raw mut controls[index]).cast();
                header.msg_controllen = CONTROL_MAX as _;
                // SAFETY: the header leads to a zeroed, aligned buffer of CONTROL_MAX bytes.
                unsafe { write_source(header, local, socket.is_ipv6()) };
            }
        }
        // SAFETY: the first `entries.len()` headers lead to buffers that live until the call ends;
        // the kernel only reads through them.
        let sent = unsafe {
            libc::sendmmsg(
                socket.raw(),
                headers.as_mut_ptr(),
                entries.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Writes a packet-info control message with the source address and sets the exact length.
///
/// # Safety
/// `header.msg_control` leads to at least `CONTROL_MAX` zeroed bytes, aligned to 8.
unsafe fn write_source(header: &mut libc::msghdr, local: IpAddr, ipv6_socket: bool) {
    match (local, ipv6_socket) {
        (IpAddr::V4(ip), false) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(ip).to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            // SAFETY: handed on from the caller; 16 + 12 bytes fit.
            unsafe { write_control(header, libc::IPPROTO_IP, libc::IP_PKTINFO, info) };
        }
        (ip, true) => {
            let ip = match ip {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
                ipi6_ifindex: 0,
            };
            // SAFETY: handed on from the caller; 16 + 20 bytes fit.
            unsafe { write_control(header, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info) };
        }
        (IpAddr::V6(_), false) => {
            // An IPv4 socket has no IPv6 source; the remote address will be refused anyway.
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
        }
    }
}

/// # Safety
/// As [`write_source`]; `T` fits behind the header.
unsafe fn write_control<T>(header: &mut libc::msghdr, level: i32, kind: i32, payload: T) {
    let len = size_of::<T>() as libc::c_uint;
    // SAFETY: the caller's buffer holds CMSG_SPACE(len) bytes, so the first header and its data lie
    // inside it.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(len) as _;
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = libc::CMSG_LEN(len) as _;
        ptr::write_unaligned(libc::CMSG_DATA(message).cast(), payload);
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS))
}

fn wait_writable(socket: &Socket) {
    let mut entry = libc::pollfd { fd: socket.raw(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one live pollfd is passed with count 1. A failure only means not waiting.
    unsafe { libc::poll(&raw mut entry, 1, FULL_WAIT_MS) };
}
