//! The same over links that lose, repeat and reorder: nothing happens twice, nothing is left open.

use std::collections::BTreeSet;
use std::sync::Arc;

use device::{Profile, Reliability};
use engine::{Code, CommandError};
use lwm2m::model::Models;
use lwm2m::{Value, Version};
use netsim::{Conditions, Direction};

use crate::harness::{Pair, execute, observe, path, read};

fn profile() -> Profile {
    Profile::new(Version::V1_1, Arc::new(Models::builtin()))
}

/// Fact 26: a lost ACK runs the command once.
#[test]
fn a_lost_acknowledgement_runs_the_command_once() {
    let mut pair = Pair::registered(profile());
    pair.link.drop_next(Direction::ToServer);
    let answer = pair.ask(execute("/3/0/12")).unwrap();
    assert_eq!(answer.code, Code::CHANGED);
    assert_eq!(pair.device.executions(&path("/3/0/12")), 1);
}

#[test]
fn a_device_registers_over_a_bad_link_as_one() {
    for seed in 0..20 {
        let mut pair = Pair::new(profile(), Conditions::LOSSY, seed);
        pair.run_secs(100);
        assert!(pair.device.is_registered(), "seed {seed}");
        assert_eq!(pair.count("registered"), 1, "seed {seed}");
        assert_eq!(pair.server.registrations(), 1, "seed {seed}");
    }
}

/// Executes run at most once each, exactly once unless they time out, and end exactly once.
#[test]
fn executes_over_a_lossy_link_run_once_each() {
    let mut pair = Pair::registered(profile());
    pair.link.set_conditions(Conditions::LOSSY);
    let mut timeouts = 0;
    for _ in 0..200 {
        match pair.ask(execute("/3/0/12")) {
            Ok(answer) => assert_eq!(answer.code, Code::CHANGED),
            Err(CommandError::Timeout { .. }) => timeouts += 1,
            Err(other) => panic!("{other}"),
        }
    }
    let runs = pair.device.executions(&path("/3/0/12"));
    assert!(runs <= 200 && runs + timeouts >= 200, "{runs} runs, {timeouts} time-outs");
    assert_eq!(pair.finished().len(), 200);
}

/// Confirmable notifications all arrive, each once, whatever the link does to them.
#[test]
fn confirmable_notifications_arrive_once_each() {
    let mut pair =
        Pair::registered(Profile { notifications: Reliability::Confirmable, ..profile() });
    pair.ask(observe("/3303/0/5700")).unwrap();
    pair.link.set_conditions(Conditions::LOSSY);
    for value in 0..50 {
        let value = Value::Float(f64::from(value));
        pair.device.set_value(pair.now, path("/3303/0/5700"), value);
        pair.run_secs(60);
    }
    let notified = pair.notified();
    let distinct: BTreeSet<u32> = notified.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(distinct.len(), notified.len(), "none came up twice");
    assert_eq!(notified.len(), 50);
}

/// A link that is cut: the command ends, the registration is late and expires, all once.
#[test]
fn a_cut_link_ends_everything_once() {
    let mut pair = Pair::registered(Profile { lifetime: Some(120), ..profile() });
    pair.link.partition();
    let ids = [pair.submit(read("/3/0/0")), pair.submit(read("/3/0/1"))];
    pair.run_secs(300);
    for id in ids {
        assert!(pair.outcome(id).is_err());
    }
    assert_eq!((pair.count("late"), pair.count("expired")), (1, 1));
    pair.link.heal();
    pair.run_secs(400);
    assert!(pair.device.is_registered(), "it comes back by itself");
}

/// Fact 9: whatever the link loses or repeats, a device that registers again ends up observed, once
/// per path, and its notifications come up.
#[test]
fn observations_outlive_registers_over_a_lossy_link() {
    for seed in 0..10 {
        let notifications = Reliability::Confirmable;
        let mut pair = Pair::new(Profile { notifications, ..profile() }, Conditions::PERFECT, seed);
        pair.run_secs(1);
        for resource in ["/3303/0/5700", "/3/0/9"] {
            pair.ask(observe(resource)).unwrap();
        }
        pair.link.set_conditions(Conditions::LOSSY);
        for round in 0..5 {
            pair.port += 1;
            pair.device.register(pair.now);
            pair.run_secs(300);
            // Every now and then an observe is lost for good: the next sign of life brings it back.
            pair.device.update(pair.now);
            pair.run_secs(300);
            assert_eq!(pair.server.observations(), 2, "seed {seed}, round {round}");
            pair.events.clear();
            pair.device.set_value(pair.now, path("/3303/0/5700"), Value::Float(f64::from(round)));
            pair.run_secs(100);
            assert_eq!(pair.notified().len(), 1, "seed {seed}, round {round}");
        }
    }
}
