//! Block-wise transfer in both directions and both roles: RFC 7959.

use coap::{Code, OptionList, OptionNumber, Type};
use lwm2m::Value;

use super::{Lab, Seen, get, path, profile, put};
use crate::{LargeBlock, Profile, Reliability};

const BLOCK1: OptionNumber = OptionNumber::BLOCK1;
const BLOCK2: OptionNumber = OptionNumber::BLOCK2;

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

fn small_blocks(large_block: LargeBlock) -> Profile {
    Profile { block_size: 64, large_block, ..profile() }
}

/// Writes a body to /5/0/0 from an offset on, in blocks of that size; gives the last answer.
fn upload(lab: &mut Lab, body: &[u8], size: usize) -> Seen {
    let count = body.len().div_ceil(size);
    let mut last = None;
    for (number, block) in body.chunks(size).enumerate() {
        let more = number + 1 < count;
        let ask = put("/5/0/0").with(42, block).block(BLOCK1, (number as u32, more, size as u32));
        let answer = lab.ask(ask);
        if !more {
            last = Some(answer);
        } else {
            assert_eq!(answer.code, Code::CONTINUE);
            assert_eq!(answer.block(BLOCK1), Some((number as u32, true, size as u32)));
        }
    }
    last.unwrap()
}

/// Fact 35: 2.31 in between, the final code at the last block.
#[test]
fn a_package_of_50_kilobytes_is_written() {
    let mut lab = Lab::registered(profile());
    let package = bytes(51_200);
    let answer = upload(&mut lab, &package, 1024);
    assert_eq!((answer.code, answer.block(BLOCK1)), (Code::CHANGED, Some((49, false, 1024))));
    assert_eq!(lab.device.value(&path("/5/0/0")), Some(&Value::Opaque(package)));
    assert_eq!(lab.device.value(&path("/5/0/3")), Some(&Value::Integer(2)));
}

/// Fact 35: a smaller size in the answer is followed.
#[test]
fn a_device_with_small_blocks_shrinks_them() {
    let mut lab = Lab::registered(small_blocks(LargeBlock::Shrink));
    let body = bytes(1100);
    let first = put("/5/0/0").with(42, &body[..1024]).block(BLOCK1, (0, true, 1024));
    let answer = lab.ask(first);
    assert_eq!((answer.code, answer.block(BLOCK1)), (Code::CONTINUE, Some((0, true, 64))));
    let second = put("/5/0/0").with(42, &body[1024..1088]).block(BLOCK1, (16, true, 64));
    assert_eq!(lab.ask(second).code, Code::CONTINUE);
    let third = put("/5/0/0").with(42, &body[1088..]).block(BLOCK1, (17, false, 64));
    assert_eq!(lab.ask(third).code, Code::CHANGED);
    assert_eq!(lab.device.value(&path("/5/0/0")), Some(&Value::Opaque(body)));
}

/// Fact 35: 4.13 with a smaller size on block 0 means start again at block 0.
#[test]
fn a_device_that_wants_the_start_again_in_small_blocks_gets_nothing_else() {
    let mut lab = Lab::registered(small_blocks(LargeBlock::Restart));
    let body = bytes(1100);
    let first = put("/5/0/0").with(42, &body[..1024]).block(BLOCK1, (0, true, 1024));
    let answer = lab.ask(first);
    assert_eq!(answer.code, Code::REQUEST_ENTITY_TOO_LARGE);
    assert_eq!(answer.block(BLOCK1).map(|block| block.2), Some(64));
    let wrong = put("/5/0/0").with(42, &body[1024..1088]).block(BLOCK1, (16, true, 64));
    assert_eq!(lab.ask(wrong).code, Code::REQUEST_ENTITY_INCOMPLETE);
    assert_eq!(upload(&mut lab, &body, 64).code, Code::CHANGED);
    assert_eq!(lab.device.value(&path("/5/0/0")), Some(&Value::Opaque(body)));
}

#[test]
fn gaps_strangers_and_giants_are_refused() {
    let mut lab = Lab::registered(Profile { body_max: 200, ..profile() });
    let block = |number, more| put("/5/0/0").with(42, bytes(64)).block(BLOCK1, (number, more, 64));
    assert_eq!(lab.ask(block(1, true)).code, Code::REQUEST_ENTITY_INCOMPLETE);
    assert_eq!(lab.ask(block(0, true)).code, Code::CONTINUE);
    assert_eq!(lab.ask(block(2, true)).code, Code::REQUEST_ENTITY_INCOMPLETE);
    let other = put("/5/0/1").with(0, bytes(64)).block(BLOCK1, (1, true, 64));
    assert_eq!(lab.ask(other).code, Code::REQUEST_ENTITY_INCOMPLETE);
    assert_eq!(lab.ask(block(1, true)).code, Code::CONTINUE);
    assert_eq!(lab.ask(block(2, true)).code, Code::CONTINUE);
    assert_eq!(lab.ask(block(3, true)).code, Code::REQUEST_ENTITY_TOO_LARGE);
    let mut reserved = put("/5/0/0").with(42, bytes(64));
    reserved.options.push_uint(BLOCK1, 7);
    assert_eq!(lab.ask(reserved).code, Code::BAD_OPTION);
}

fn download(lab: &mut Lab, target: &str, size: u32, from: u32) -> Vec<u8> {
    let mut body = Vec::new();
    for number in from.. {
        let answer = lab.ask(get(target).accept(42).block(BLOCK2, (number, false, size)));
        assert_eq!(answer.code, Code::CONTENT);
        assert_eq!(answer.observe(), None);
        let block = answer.block(BLOCK2).unwrap();
        assert_eq!((block.0, block.2), (number, size));
        body.extend_from_slice(&answer.payload);
        if !block.1 {
            break;
        }
    }
    body
}

#[test]
fn a_read_of_8_kilobytes_is_fetched_in_blocks() {
    let mut lab = Lab::registered(profile());
    let large = bytes(8192);
    lab.set("/3442/0/150", Value::Opaque(large.clone()));
    let first = lab.ask(get("/3442/0/150").accept(42));
    assert_eq!(first.block(BLOCK2), Some((0, true, 1024)));
    // What was begun is finished as it was, whatever changes meanwhile.
    lab.set("/3442/0/150", Value::Opaque(vec![1]));
    let mut body = first.payload;
    body.extend(download(&mut lab, "/3442/0/150", 1024, 1));
    assert_eq!(body, large);
}

#[test]
fn a_size_negotiated_early_is_honoured() {
    let mut lab = Lab::registered(profile());
    lab.set("/3442/0/150", Value::Opaque(bytes(200)));
    assert_eq!(download(&mut lab, "/3442/0/150", 64, 0), bytes(200));
    assert_eq!(download(&mut lab, "/3442/0/150", 16, 0), bytes(200));
    let beyond = lab.ask(get("/3442/0/150").accept(42).block(BLOCK2, (99, false, 64)));
    assert_eq!(beyond.code, Code::BAD_REQUEST);
    let exact = lab.ask(get("/3442/0/150").accept(42).block(BLOCK2, (0, false, 1024)));
    assert_eq!(exact.block(BLOCK2), Some((0, false, 1024)));
}

/// Fact 34: a large notification carries the first block, the rest is fetched without Observe.
#[test]
fn the_rest_of_a_large_notification_is_fetched() {
    let mut lab = Lab::registered(profile());
    lab.ask(get("/3442/0/150").accept(42).observe(0).token(b"tok1"));
    lab.set("/3442/0/150", Value::Opaque(bytes(2500)));
    let told = lab.one();
    assert_eq!((told.observe(), told.block(BLOCK2)), (Some(1), Some((0, true, 1024))));
    let mut body = told.payload;
    body.extend(download(&mut lab, "/3442/0/150", 1024, 1));
    assert_eq!(body, bytes(2500));
    assert_eq!(lab.device.observation_count(), 1);
}

fn piece(code: Code, block: (u32, bool, u32)) -> (Code, OptionList) {
    let mut options = OptionList::new();
    if code == Code::CREATED {
        options.location_path("rd");
        options.location_path("x1");
    }
    let szx = u64::from(block.2.ilog2() - 4);
    options.push_uint(BLOCK1, u64::from(block.0) << 4 | u64::from(block.1) << 3 | szx);
    (code, options)
}

/// Fact 36: a large Register comes in blocks, each with the full query.
#[test]
fn register_leaves_in_blocks() {
    let mut lab = Lab::new(small_blocks(LargeBlock::Shrink));
    let mut payload = Vec::new();
    let mut seen = Vec::new();
    loop {
        let part = lab.one();
        let block = part.block(BLOCK1).unwrap();
        assert_eq!((part.kind, part.code), (Type::Confirmable, Code::POST));
        assert!(part.queries().contains(&"ep=lab-1".to_owned()));
        payload.extend_from_slice(&part.payload);
        seen.push((block.0, part.token));
        if !block.1 {
            lab.answer(&part, piece(Code::CREATED, block));
            break;
        }
        assert_eq!(part.payload.len(), 64);
        lab.answer(&part, piece(Code::CONTINUE, block));
    }
    assert!(seen.len() >= 3, "{seen:?}");
    assert!(
        seen.iter()
            .enumerate()
            .all(|(index, (number, token))| { *number == index as u32 && *token == seen[0].1 })
    );
    assert!(lab.device.is_registered());
    assert!(String::from_utf8(payload).unwrap().ends_with("</3442/0>"));
}

#[test]
fn register_follows_the_server_to_smaller_blocks_and_starts_again() {
    let mut lab = Lab::new(Profile { block_size: 128, ..profile() });
    let first = lab.one();
    assert_eq!(first.block(BLOCK1), Some((0, true, 128)));
    lab.answer(&first, piece(Code::REQUEST_ENTITY_TOO_LARGE, (0, false, 64)));
    let again = lab.one();
    assert_eq!(again.block(BLOCK1), Some((0, true, 64)));
    lab.answer(&again, piece(Code::CONTINUE, (0, true, 32)));
    let smaller = lab.one();
    assert_eq!(smaller.block(BLOCK1), Some((2, true, 32)));
    lab.answer(&smaller, piece(Code::REQUEST_ENTITY_INCOMPLETE, (2, false, 32)));
    assert_eq!(lab.one().block(BLOCK1), Some((0, true, 32)));
}

#[test]
fn a_large_confirmable_notification_is_repeated_as_its_first_block() {
    let profile = Profile { notifications: Reliability::Confirmable, ..profile() };
    let mut lab = Lab::registered(profile);
    lab.ask(get("/3442/0/150").accept(42).observe(0));
    lab.set("/3442/0/150", Value::Opaque(bytes(2500)));
    let told = lab.one();
    lab.pass_secs(4);
    assert_eq!(lab.one(), told);
}
