//! A seeded lossy link and its virtual clock, for tests of two state machines that face each other.
//!
//! A [`Link`] carries datagrams between a device and a server and does to them what UDP does: it
//! loses, delays, repeats and reorders them. What happens is decided by a generator that the caller
//! seeds, so a run is repeated exactly by its seed. Time is a plain count of microseconds that the
//! caller moves; the link never looks at a clock. Real sockets are the job of `udpio`.
//!
//! ```
//! use netsim::{Direction, Link};
//!
//! let mut link = Link::perfect();
//! link.drop_next(Direction::ToServer);
//! link.send(0, Direction::ToServer, b"lost".to_vec());
//! link.send(0, Direction::ToServer, b"arrives".to_vec());
//! assert_eq!(link.poll(0), Some((Direction::ToServer, b"arrives".to_vec())));
//! assert_eq!(link.next_at(), None);
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod conditions;
mod link;

pub use conditions::{Conditions, Permille};
pub use link::{Direction, Link, Parcel, Stats};
