//! Nothing reaches a device while it sleeps: OMA Transport 6.5, facts 20 to 25, case C3.

use coap::{Code, Duration, OptionNumber, Type};
use lwm2m::{Operation, Reading, Value, WriteMode};

use super::queue_mode::sleepy;
use super::rig::{Msg, Rig, execute, observe, path, peer, read};
use crate::{CommandError, Completion, Settings};

/// How long a device listens after its last message.
const WINDOW: u64 = 22;

/// A write that takes three blocks of 1 024 bytes.
fn large_write() -> Operation {
    let value = Value::String("x".repeat(2500));
    let content = vec![Reading::new(path("/3/0/14"), value)];
    Operation::Write { path: path("/3/0/14"), mode: WriteMode::Replace, format: None, content }
}

/// The number and more-flag of the Block1 or Block2 option.
fn block(message: &Msg, option: OptionNumber) -> Option<(u32, bool)> {
    let value = message.options.options().uint(option, 3)?;
    Some((value >> 4, value & 8 != 0))
}

fn ok_block(request: &Msg, code: Code) -> Msg {
    let mut answer = request.answer(code);
    let value = request.options.options().uint(OptionNumber::BLOCK1, 3).unwrap();
    answer.options.push_uint(OptionNumber::BLOCK1, value.into());
    answer
}

/// A command in flight when the window closes is not sent again and ends as a time-out.
#[test]
fn nothing_is_repeated_after_the_window() {
    let (mut rig, _) = sleepy();
    let id = rig.submit(read("/3/0/0")).unwrap();
    rig.secs(WINDOW);
    let within = rig.requests();
    assert!((3..=4).contains(&within), "repeated while the device listens: {within}");
    rig.secs(200);
    assert_eq!(rig.requests(), within, "and not while it sleeps");
    assert_eq!(rig.outcome(id), Err(CommandError::Timeout { acked: false }));
}

/// Its late answer counts, and is the message that opens the window for the next command.
#[test]
fn a_late_answer_of_a_sleeper_is_taken() {
    let (mut rig, _) = sleepy();
    let id = rig.submit(read("/3/0/0")).unwrap();
    rig.submit(read("/3/0/1")).unwrap();
    let request = rig.take_request();
    rig.secs(45);
    rig.sent.clear();
    rig.send(peer(1), &request.answer(Code::CONTENT));
    assert_eq!(rig.outcome(id), Ok(Code::CONTENT));
    assert_eq!(rig.take_request().uri(), "/3/0/1");
}

/// A device that wakes by another message gets two seconds to answer what it slept over; then that
/// ends, unsent, and the next command has its turn while the device still listens.
#[test]
fn a_command_that_was_slept_over_makes_way() {
    let (mut rig, location) = sleepy();
    let first = rig.submit(read("/3/0/0")).unwrap();
    rig.submit(read("/3/0/1")).unwrap();
    rig.secs(40);
    rig.sent.clear();
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    rig.advance(Duration::from_millis(1900));
    assert_eq!(rig.requests(), 0);
    assert!(rig.finished().is_empty());
    rig.advance(Duration::from_millis(200));
    assert_eq!(rig.outcome(first), Err(CommandError::Timeout { acked: false }));
    assert_eq!(rig.take_request().uri(), "/3/0/1", "this time-out does not close the window");
}

/// The answer may follow the message that woke the device.
#[test]
fn a_late_answer_may_come_behind_the_update() {
    let (mut rig, location) = sleepy();
    let id = rig.submit(read("/3/0/0")).unwrap();
    let request = rig.take_request();
    rig.secs(40);
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    rig.secs(1);
    rig.send(peer(1), &request.answer(Code::CONTENT));
    assert_eq!(rig.outcome(id), Ok(Code::CONTENT));
}

/// A device that has acknowledged a command answers it when it can, awake or not.
#[test]
fn an_acknowledged_command_is_waited_for_across_sleep() {
    let (mut rig, location) = sleepy();
    let id = rig.submit(execute("/3/0/4")).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &Msg::empty(Type::Acknowledgement, request.id));
    rig.secs(40);
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    rig.secs(30);
    let response = Msg::with_token(request.token, Type::NonConfirmable, Code::CHANGED, 700);
    rig.send(peer(1), &response);
    assert_eq!(rig.outcome(id), Ok(Code::CHANGED));
}

/// Fact 25: the blocks of a write keep the device awake, each for another window.
#[test]
fn each_block_of_a_write_opens_the_window() {
    let (mut rig, _) = sleepy();
    let id = rig.submit(large_write()).unwrap();
    for number in 0..3 {
        let request = rig.take_request();
        let more = number < 2;
        assert_eq!(block(&request, OptionNumber::BLOCK1), Some((number, more)));
        rig.secs(20);
        rig.sent.clear();
        let code = if more { Code::CONTINUE } else { Code::CHANGED };
        rig.send(peer(1), &ok_block(&request, code));
    }
    assert_eq!(rig.outcome(id), Ok(Code::CHANGED), "a minute later");
}

/// Fact 25: no block is sent to a sleeper; the one that it answers late is followed by the next.
#[test]
fn a_block_waits_for_the_device_to_wake() {
    let (mut rig, _) = sleepy();
    let id = rig.submit(large_write()).unwrap();
    let first = rig.take_request();
    rig.secs(WINDOW);
    rig.sent.clear();
    rig.secs(30);
    assert_eq!(rig.requests(), 0);
    rig.send(peer(1), &ok_block(&first, Code::CONTINUE));
    let second = rig.take_request();
    assert_eq!(block(&second, OptionNumber::BLOCK1), Some((1, true)));
    rig.secs(10);
    assert!(rig.finished().is_empty(), "it is under way again: {:?}", rig.finished());
    rig.send(peer(1), &ok_block(&second, Code::CONTINUE));
    rig.sent.retain(|(_, sent)| block(sent, OptionNumber::BLOCK1) == Some((2, false)));
    let third = rig.take_request();
    rig.send(peer(1), &ok_block(&third, Code::CHANGED));
    assert_eq!(rig.outcome(id), Ok(Code::CHANGED));
}

/// Fact 24: the rest of a notification is fetched at once, and not any more when the device sleeps.
#[test]
fn the_rest_of_a_notification_is_fetched_at_once_or_not_at_all() {
    let (mut rig, _) = sleepy();
    let token = rig.observed(0);
    rig.secs(60);
    rig.sent.clear();
    let mut message = Msg::with_token(token, Type::NonConfirmable, Code::CONTENT, 900).observe(4);
    message.options.push_uint(OptionNumber::BLOCK2, 1 << 3);
    rig.send(peer(1), &message.format(0).payload("x".repeat(16)));
    let fetch = rig.sent.pop_front().expect("asked for at once").1;
    assert_eq!(block(&fetch, OptionNumber::BLOCK2), Some((1, false)));
    rig.secs(WINDOW);
    rig.sent.clear();
    rig.secs(300);
    assert_eq!(rig.requests(), 0);
}

/// A separate answer of ours is no exception.
#[test]
fn our_own_answer_is_not_repeated_to_a_sleeper() {
    let (mut rig, _) = sleepy();
    rig.completion = None;
    let send = Msg::post(901, "/dp").format(110).payload(r#"[{"n":"/3/0/9","v":1}]"#);
    rig.send(peer(1), &send);
    rig.secs(2);
    let reply_to = rig.refused.pop().unwrap();
    rig.server.complete(rig.now, &reply_to, Completion::Accept);
    rig.settle();
    let answers = |rig: &Rig| rig.sent.iter().filter(|(_, m)| m.code == Code::CHANGED).count();
    rig.secs(WINDOW);
    let within = answers(&rig);
    assert!(within >= 2, "repeated while the device listens: {within}");
    rig.secs(300);
    assert_eq!(answers(&rig), within);
}

/// Several in flight, one of which waits for its turn in the message layer: a time-out does not
/// let it go to a device that has fallen asleep, its waking does.
#[test]
fn a_time_out_lets_nothing_else_go() {
    let settings = Settings {
        max_in_flight: 2,
        queue_mode_window: Duration::from_secs(600),
        ..Settings::default()
    };
    let mut rig = Rig::new(settings);
    let location = rig.register(peer(1), "ep=dev&lt=3600&lwm2m=1.1&Q");
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    rig.submit(read("/3/0/0")).unwrap();
    rig.submit(read("/3/0/1")).unwrap();
    rig.secs(100);
    assert_eq!(rig.finished().len(), 1);
    assert!(rig.sent.iter().all(|(_, sent)| sent.uri() != "/3/0/1"));
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    assert_eq!(rig.sent.back().unwrap().1.uri(), "/3/0/1");
}

/// An observe is a command like others.
#[test]
fn an_observe_that_was_slept_over_is_forgotten() {
    let (mut rig, _) = sleepy();
    let id = rig.submit(observe("/3/0/9")).unwrap();
    rig.secs(200);
    assert_eq!(rig.outcome(id), Err(CommandError::Timeout { acked: false }));
    assert_eq!(rig.server.observations(), 0);
}
