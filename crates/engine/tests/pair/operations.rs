//! Every operation with devices of several makers' ways: the ETS cases that a server takes part in.

use std::sync::Arc;

use device::{Answers, Profile, QueueMode, Reliability};
use engine::{Code, CommandError, Duration, Event};
use lwm2m::model::Models;
use lwm2m::{Attributes, Format, Operation, Reading, Value, Version, WriteMode};

use crate::harness::{Pair, execute, observe, path, read};

fn profile() -> Profile {
    Profile::new(Version::V1_1, Arc::new(Models::builtin()))
}

fn makers() -> Vec<(&'static str, Profile)> {
    let models = || Arc::new(Models::builtin());
    vec![
        ("leshan", Profile::like_leshan(models())),
        ("anjay", Profile::like_anjay(models())),
        ("wakaama", Profile::like_wakaama(models())),
        ("wakaama 1.0", Profile::like_wakaama_1_0(models())),
        ("node-lib", Profile::like_node_lib(models())),
    ]
}

fn write(to: &str, mode: WriteMode, content: Vec<Reading>) -> Operation {
    Operation::Write { path: path(to), mode, format: None, content }
}

/// ETS 101, 103: every maker's device registers and leaves.
#[test]
fn devices_of_all_makers_register_update_and_leave() {
    for (maker, profile) in makers() {
        let mut pair = Pair::registered(profile);
        pair.device.update(pair.now);
        pair.run_secs(1);
        assert_eq!(pair.count("updated"), 1, "{maker}");
        pair.device.deregister(pair.now);
        pair.run_secs(1);
        assert_eq!(pair.count("deregistered"), 1, "{maker}");
        assert_eq!(pair.server.registrations(), 0, "{maker}");
    }
}

/// ETS 201 to 225: reads on every level.
#[test]
fn reads_on_every_level_are_answered() {
    let mut pair = Pair::registered(profile());
    for uri in ["/3", "/3/0", "/3/0/0"] {
        assert_eq!(pair.ask(read(uri)).unwrap().code, Code::CONTENT, "{uri}");
    }
    assert_eq!(pair.ask(read("/3/0/9999")).unwrap().code, Code::NOT_FOUND);
    assert_eq!(pair.ask(read("/0")).unwrap().code, Code::UNAUTHORIZED);
}

/// ETS 237, fact 54: the device's choice of format is taken.
#[test]
fn a_read_leaves_the_format_to_the_device_or_asks_for_one() {
    let mut pair = Pair::registered(profile());
    for format in [Format::TLV, Format::SENML_JSON] {
        let operation = Operation::Read { path: path("/3/0"), accept: Some(format) };
        let answer = pair.ask(operation).unwrap();
        assert_eq!((answer.code, answer.format), (Code::CONTENT, Some(format)));
    }
}

/// ETS 226, 227, 256, 241, 260, 270, 290.
#[test]
fn management_operations_are_carried_out() {
    let mut pair = Pair::registered(profile());
    let offset = Reading::new(path("/3/0/14"), Value::String("+02:00".into()));
    let wrote = pair.ask(write("/3/0/14", WriteMode::Replace, vec![offset]));
    assert_eq!(wrote.unwrap().code, Code::CHANGED);
    assert_eq!(pair.device.value(&path("/3/0/14")), Some(&Value::String("+02:00".into())));
    let manufacturer = Reading::new(path("/3/0/0"), Value::String("x".into()));
    let refused = pair.ask(write("/3/0/0", WriteMode::Replace, vec![manufacturer]));
    assert_eq!(refused.unwrap().code, Code::METHOD_NOT_ALLOWED);
    let links = pair.ask(Operation::Discover { path: path("/3/0") }).unwrap();
    assert_eq!((links.code, links.format), (Code::CONTENT, Some(Format::LINK)));
    let attributes = Attributes::from_queries(["pmin=1", "pmax=60"]).unwrap();
    let operation = Operation::WriteAttributes { path: path("/3303/0/5700"), attributes };
    assert_eq!(pair.ask(operation).unwrap().code, Code::CHANGED);
    assert_eq!(
        pair.ask(Operation::Delete { path: path("/3/0") }).unwrap().code,
        Code::METHOD_NOT_ALLOWED
    );
    assert_eq!(pair.ask(execute("/3/0/4")).unwrap().code, Code::CHANGED);
    assert_eq!(pair.device.executions(&path("/3/0/4")), 1);
    assert!(pair.count("registered") >= 1, "it came back after the reboot");
}

/// Fact 28: separate responses, confirmable or not.
#[test]
fn separate_responses_are_answers() {
    for reliability in [Reliability::Confirmable, Reliability::NonConfirmable] {
        let after = Duration::from_millis(700);
        let profile = Profile { answers: Answers::Separate { after, reliability }, ..profile() };
        let mut pair = Pair::registered(profile);
        assert_eq!(pair.ask(execute("/3/0/12")).unwrap().code, Code::CHANGED);
        assert_eq!(pair.count("command_acked"), 1);
        assert_eq!(pair.device.executions(&path("/3/0/12")), 1);
    }
}

/// ETS 301, 303: notifications come, also confirmable ones, until the observation is cancelled.
#[test]
fn notifications_come_until_the_observation_is_cancelled() {
    for notifications in [Reliability::NonConfirmable, Reliability::Confirmable] {
        let mut pair = Pair::registered(Profile { notifications, ..profile() });
        assert_eq!(pair.ask(observe("/3303/0/5700")).unwrap().code, Code::CONTENT);
        for value in [20.5, 21.5, 22.5] {
            pair.device.set_value(pair.now, path("/3303/0/5700"), Value::Float(value));
            pair.run_secs(5);
        }
        assert_eq!(pair.notified().len(), 3);
        let cancel = Operation::CancelObserve { path: path("/3303/0/5700") };
        assert_eq!(pair.ask(cancel).unwrap().code, Code::CONTENT);
        assert_eq!(pair.device.observation_count(), 0);
        pair.device.set_value(pair.now, path("/3303/0/5700"), Value::Float(9.0));
        pair.run_secs(5);
        assert_eq!(pair.notified().len(), 3);
    }
}

/// A device whose NAT mapping changes goes on being served.
#[test]
fn a_device_from_a_new_port_goes_on() {
    let mut pair = Pair::registered(profile());
    pair.ask(observe("/3303/0/5700")).unwrap();
    pair.port = 6000;
    pair.device.set_value(pair.now, path("/3303/0/5700"), Value::Float(30.0));
    pair.run_secs(2);
    assert_eq!((pair.count("address_changed"), pair.notified().len()), (1, 1));
    assert_eq!(pair.ask(read("/3/0/0")).unwrap().code, Code::CONTENT);
    pair.port = 6001;
    let before = pair.count("updated");
    pair.device.update(pair.now);
    pair.run_secs(2);
    assert_eq!((pair.count("address_changed"), pair.count("updated")), (2, before + 1));
}

/// Device behaviour 14: a reboot brings the device back from a new port.
#[test]
fn a_reboot_from_a_new_port_replaces_the_registration() {
    let mut pair = Pair::registered(Profile::like_anjay(Arc::new(Models::builtin())));
    pair.submit(execute("/3/0/4"));
    pair.run_secs(1);
    pair.port = 6000;
    pair.run_secs(120);
    let arrived = |event: &&Event| matches!(event, Event::Registered { .. });
    assert_eq!(pair.events.iter().filter(arrived).count(), 1);
    assert_eq!(pair.server.registrations(), 1);
    assert_eq!(pair.ask(read("/3/0/0")).unwrap().code, Code::CONTENT);
}

/// Facts 35, 36: (device behaviour 8, 11) Register, Write and answers in blocks of 64 bytes.
#[test]
fn bodies_larger_than_a_block_pass_both_ways() {
    let mut pair = Pair::registered(Profile { block_size: 64, ..profile() });
    let long = "x".repeat(900);
    let reading = Reading::new(path("/3/0/15"), Value::String(long.clone()));
    let wrote = pair.ask(write("/3/0/15", WriteMode::Replace, vec![reading]));
    assert_eq!(wrote.unwrap().code, Code::CHANGED);
    let answer = pair.ask(read("/3/0/15")).unwrap();
    assert_eq!(answer.code, Code::CONTENT);
    assert!(answer.body.windows(900).any(|window| window == long.as_bytes()));
}

/// Device behaviour 10: composite operations may be met by silence, and that ends as unsupported.
#[test]
fn composite_operations_are_answered_or_unsupported() {
    let operation = || Operation::ReadComposite {
        paths: vec![path("/3/0/0"), path("/3303/0/5700")],
        accept: Some(Format::SENML_CBOR),
    };
    let mut pair = Pair::registered(Profile::like_leshan(Arc::new(Models::builtin())));
    assert_eq!(pair.ask(operation()).unwrap().code, Code::CONTENT);
    let mut silent = Pair::registered(Profile::like_wakaama(Arc::new(Models::builtin())));
    assert_eq!(silent.ask(operation()), Err(CommandError::CompositeUnsupported(None)));
}

/// ETS 306: Send.
#[test]
fn a_send_is_taken_and_answered() {
    let mut pair = Pair::registered(Profile::like_leshan(Arc::new(Models::builtin())));
    pair.device.send(pair.now, &[path("/3303/0/5700")]).unwrap();
    pair.run_secs(2);
    assert_eq!(pair.count("sent"), 1);
    let answered = core::iter::from_fn(|| pair.device.poll_event())
        .any(|event| event == device::Event::SendFinished { code: Code::CHANGED });
    assert!(answered);
}

/// ETS 108, 109: a queue mode device gets its commands when it wakes.
#[test]
fn a_queue_mode_device_is_served_when_it_wakes() {
    let mut pair = Pair::registered(Profile { queue_mode: QueueMode::On, ..profile() });
    pair.run_secs(30);
    let id = pair.submit(read("/3/0/0"));
    pair.run_secs(10);
    assert!(pair.finished().is_empty());
    pair.device.update(pair.now);
    pair.run_secs(5);
    assert_eq!(pair.outcome(id).unwrap().code, Code::CONTENT);
}

/// A device that dies in mid-command: one end, by its time-out, and later the expiry.
#[test]
fn a_device_that_vanishes_ends_its_commands_once() {
    let mut pair = Pair::registered(Profile { lifetime: Some(300), ..profile() });
    let id = pair.submit(read("/3/0/0"));
    pair.run_secs(1);
    pair.device.vanish();
    pair.link.partition();
    let lost = pair.submit(read("/3/0/1"));
    pair.run_secs(400);
    assert_eq!(pair.outcome(id).unwrap().code, Code::CONTENT);
    assert_eq!(pair.outcome(lost), Err(CommandError::Timeout { acked: false }));
    assert_eq!((pair.count("late"), pair.count("expired")), (1, 1));
}
