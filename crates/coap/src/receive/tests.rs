use super::*;
use crate::block::BlockSize;

fn at(secs: u64) -> Instant {
    Instant::from_micros(secs * 1_000_000)
}

fn peer(port: u16) -> Peer {
    Peer::new(0, [127, 0, 0, 1].into(), ([127, 0, 0, 2], port).into())
}

fn assemblies() -> Assemblies {
    let limits = Limits {
        body_max: 100,
        per_peer_max: 2,
        bytes_max: 1_000,
        timeout: Duration::from_secs(93),
    };
    Assemblies::new(limits, RandomState::with_seeds(1, 2, 3, 4))
}

fn piece(key: u64, number: u32, more: bool, payload: &[u8]) -> Piece<'_> {
    let block = BlockOption { number, more, size: BlockSize::new(0).unwrap() };
    Piece { peer: peer(1), key, block, size1: None, payload }
}

#[test]
fn blocks_are_put_together_in_order_and_repetitions_change_nothing() {
    let mut bodies = assemblies();
    assert_eq!(bodies.take(at(1), &piece(1, 0, true, &[0; 16]), 0), Received::Continue);
    assert_eq!(bodies.take(at(1), &piece(1, 1, true, &[1; 16]), 0), Received::Continue);
    assert_eq!(bodies.take(at(1), &piece(1, 1, true, &[1; 16]), 0), Received::Continue);
    let Received::Complete(body) = bodies.take(at(1), &piece(1, 2, false, &[2; 3]), 0) else {
        panic!("not complete");
    };
    assert_eq!(body, [&[0; 16][..], &[1; 16], &[2; 3]].concat());
    assert!(bodies.is_empty() && bodies.bytes() == 0);
}

#[test]
fn block_zero_begins_anew() {
    let mut bodies = assemblies();
    bodies.take(at(1), &piece(1, 0, true, &[0; 16]), 0);
    bodies.take(at(1), &piece(1, 1, true, &[1; 16]), 0);
    assert_eq!(bodies.take(at(1), &piece(1, 0, true, &[7; 16]), 0), Received::Continue);
    let complete = bodies.take(at(1), &piece(1, 1, false, &[8]), 0);
    assert_eq!(complete, Received::Complete([&[7; 16][..], &[8]].concat()));
}

#[test]
fn the_size_may_shrink_on_the_way() {
    let mut bodies = assemblies();
    let first = BlockOption { number: 0, more: true, size: BlockSize::new(1).unwrap() };
    bodies.take(at(1), &Piece { block: first, ..piece(1, 0, true, &[0; 32]) }, 0);
    let complete = bodies.take(at(1), &piece(1, 2, false, &[9]), 0);
    assert_eq!(complete, Received::Complete([&[0; 32][..], &[9]].concat()));
}

#[test]
fn what_does_not_fit_is_refused_by_its_code() {
    for (before, block, expected) in [
        (None, piece(1, 1, true, &[0; 16]), Received::Incomplete),
        (Some(()), piece(1, 2, true, &[0; 16]), Received::Incomplete),
        (Some(()), piece(2, 1, false, &[0; 16]), Received::Incomplete),
        (Some(()), piece(1, 1, true, &[0; 15]), Received::BadSize),
        (Some(()), piece(1, 1, false, &[0; 17]), Received::BadSize),
        (Some(()), piece(1, 6, true, &[0; 16]), Received::TooLarge),
        (Some(()), piece(1, BlockOption::NUMBER_MAX, true, &[0; 16]), Received::TooLarge),
        (None, Piece { size1: Some(101), ..piece(1, 0, true, &[0; 16]) }, Received::TooLarge),
        (None, Piece { size1: Some(u32::MAX), ..piece(1, 0, true, &[0; 16]) }, Received::TooLarge),
    ] {
        let mut bodies = assemblies();
        if before.is_some() {
            bodies.take(at(1), &piece(1, 0, true, &[0; 16]), 0);
        }
        assert_eq!(bodies.take(at(1), &block, 0), expected, "{block:?}");
    }
}

#[test]
fn a_peer_keeps_its_latest_two_and_all_peers_share_the_bound() {
    let mut bodies = assemblies();
    for (second, key) in [(1, 1), (2, 2), (3, 3)] {
        bodies.take(at(second), &piece(key, 0, true, &[0; 16]), 0);
    }
    assert_eq!(bodies.take(at(4), &piece(1, 1, false, &[0]), 0), Received::Incomplete);
    assert_eq!(bodies.bytes(), 2 * (16 + ASSEMBLY_COST));
    let elsewhere = |port| Piece { peer: peer(port), ..piece(1, 0, true, &[0; 16]) };
    assert_eq!(bodies.take(at(4), &elsewhere(2), 0), Received::Continue);
    assert_eq!(bodies.take(at(4), &elsewhere(3), 500), Received::NoRoom);
    assert_eq!(bodies.take(at(4), &elsewhere(3), 0), Received::Continue);
    assert_eq!(bodies.take(at(4), &elsewhere(4), 0), Received::NoRoom);
    assert_eq!(bodies.sweep(at(4 + 93)), 4);
    assert!(bodies.is_empty() && bodies.bytes() == 0);
}

#[test]
fn a_body_lives_from_block_to_block() {
    let mut bodies = assemblies();
    bodies.take(at(0), &piece(1, 0, true, &[0; 16]), 0);
    bodies.take(at(90), &piece(1, 1, true, &[0; 16]), 0);
    assert_eq!(bodies.sweep(at(182)), 0);
    assert_eq!(bodies.sweep(at(183)), 1);
}
