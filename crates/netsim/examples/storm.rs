//! A hundred datagrams over a bad link: what becomes of them is decided by the seed.
//!
//! `cargo run -p netsim --example storm`

use netsim::{Direction, Link};

fn main() {
    let mut link = Link::seeded(7);
    for number in 0..100_u8 {
        link.send(u64::from(number) * 10_000, Direction::ToServer, vec![number]);
    }
    while let Some(at) = link.next_at() {
        if let Some((_, bytes)) = link.poll(at) {
            println!(
                "{:>4} ms  datagram {}",
                at / 1000,
                bytes.first().copied().unwrap_or_default()
            );
        }
    }
    println!("{:?}", link.stats());
}
