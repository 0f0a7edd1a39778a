//! UDP sockets in batches: `recvmmsg`, `sendmmsg`, `IP_PKTINFO`, `SO_RXQ_OVFL`, epoll, eventfd.
//!
//! The only crate of the workspace with `unsafe`. It moves datagrams and addresses between the
//! kernel and plain buffers; what the bytes mean is the job of `coap`, who sends when is the job of
//! the loop that owns the socket.
//!
//! The kernel is 95 % of the cost of a datagram, so the batches exist to enter it less often, and
//! their buffers are allocated once.

mod addr;
mod heap;
mod poll;
mod process;
mod recv;
mod send;
mod socket;

pub use heap::{give_back_free_pages, heap_in_use};
pub use poll::{Poller, Registrar, Token, Waker};
pub use process::cpu_time;
pub use recv::{Received, RecvBatch};
pub use send::{SendBatch, SendReport};
pub use socket::{BindError, Probe, Socket, SocketOptions, bind, bind_group};

#[cfg(test)]
mod tests;
