//! The fleet on a virtual clock, against a server that answers at once: what it decides and when.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::config::{Group, Notify, Rebind, Reboot, Signal, Sleep};
use crate::spread::Spread;

use world::{Manner, Play, WALL, World, config, group, observe, seconds};

/// Everything that a scenario can ask for, in two groups.
fn colourful() -> FleetConfig {
    let rough = Group {
        name: "rough".to_owned(),
        prefix: "rough-".to_owned(),
        lifetime: Spread::new(seconds(60), seconds(120)).unwrap(),
        update_every: Spread::new(seconds(20), seconds(40)),
        notify: Notify {
            con: 0.5,
            every: Spread::new(seconds(5), seconds(9)),
            ..Notify::default()
        },
        answer_delay: Spread::new(Duration::from_millis(10), seconds(1)),
        loss: 0.2,
        rebind: Some(Rebind { share: 0.5, every: seconds(30) }),
        reboot: Some(Reboot { at: seconds(60), within: seconds(5), share: 0.5, away: seconds(2) }),
        ..Group::new(20)
    };
    let sleepers = Group {
        sleep: Sleep { share: 1.0, awake: seconds(3) },
        update_every: Some(seconds(25).into()),
        ..group(10)
    };
    config(vec![rough, sleepers])
}

#[test]
fn the_same_seed_and_scenario_send_the_same_datagrams_at_the_same_times() {
    let log = |seed: u64| {
        let config = FleetConfig { seed, ..colourful() };
        let mut play = Play::of(&config, Manner::Observes);
        play.pass(seconds(180));
        (play.world.log.clone(), play.totals())
    };
    let (first, totals) = log(11);
    assert!(first.len() > 500, "{}", first.len());
    let happened = [
        totals.lost_simulated,
        totals.rebinds,
        totals.reboots,
        totals.retransmissions,
        totals.updates,
        totals.notifications_con_acked,
    ];
    assert!(happened.iter().all(|count| *count > 0), "{totals:?}");
    assert_eq!(log(11), (first.clone(), totals));
    assert_ne!(log(12).0, first);
}

#[test]
fn what_one_device_does_does_not_depend_on_how_many_others_there_are() {
    let of_first = |count: usize| {
        let mut play = Play::of(&config(vec![group(count)]), Manner::Observes);
        play.pass(seconds(60));
        let sent = play.world.log.into_iter().filter(|(_, from, _)| from.device == 0);
        sent.collect::<Vec<_>>()
    };
    assert_eq!(of_first(1), of_first(200));
}

#[test]
fn a_constant_ramp_waits_for_a_server_that_does_not_answer_and_a_burst_does_not() {
    let mut constant = Play::of(&config(vec![group(3_000)]), Manner::Silent);
    constant.pass(seconds(10));
    assert_eq!(constant.totals().started, 2_000);
    let burst =
        FleetConfig { ramp: Ramp::Burst { within: seconds(2) }, ..config(vec![group(3_000)]) };
    let mut burst = Play::of(&burst, Manner::Silent);
    burst.pass(seconds(1));
    assert!((1_450..1_550).contains(&burst.totals().started), "{:?}", burst.totals());
    burst.pass(seconds(20));
    let totals = burst.totals();
    assert_eq!(totals.started, 3_000);
    // After 2 to 3 s, after 4 to 6 more, after 8 to 12 more: three times within 21 s at most.
    assert!((6_000..=9_000).contains(&totals.retransmissions), "{totals:?}");
}

#[test]
fn groups_grow_side_by_side() {
    let (a, mut b) = (group(300), group(100));
    "b-".clone_into(&mut b.prefix);
    let mut play = Play::of(&config(vec![a, b]), Manner::Observes);
    play.pass(Duration::from_millis(200));
    let started: Vec<_> = play.fleet.groups.iter().map(|group| group.counts.started).collect();
    assert!(started[0].abs_diff(150) <= 2 && started[1].abs_diff(50) <= 2, "{started:?}");
    play.pass(seconds(1));
    let counts = play.fleet.summary(Instant::ZERO).groups;
    let counts: Vec<_> = counts.iter().map(|(_, group)| group.once_registered).collect();
    assert_eq!(counts, [300, 100]);
}

#[test]
fn a_device_changes_its_value_at_its_own_phase_and_keeps_its_interval() {
    let mut play = Play::of(&config(vec![group(100)]), Manner::Observes);
    play.pass(seconds(60));
    let mut times: BTreeMap<usize, Vec<Instant>> = BTreeMap::new();
    for (at, device, _) in play.notifications() {
        times.entry(device).or_default().push(at);
    }
    for times in times.values() {
        let steps = times.windows(2).map(|pair| pair[1] - pair[0]);
        for step in steps {
            assert_eq!(step, seconds(10));
        }
    }
    let phases: BTreeSet<_> =
        times.values().map(|times| times[0].as_micros() / 1_000_000).collect();
    assert_eq!((times.len(), phases.len()), (100, 11), "{phases:?}");
    assert_eq!(play.totals().changes_skipped, 0);
}

#[test]
fn the_clock_is_told_to_the_microsecond() {
    let mut one = group(1);
    one.notify.value = Signal::Clock;
    one.format = Some(lwm2m::Format::SENML_JSON);
    let mut play = Play::of(&config(vec![one]), Manner::Observes);
    play.pass(seconds(30));
    let notifications = play.notifications();
    assert!(notifications.len() >= 2);
    for (at, _, message) in notifications {
        let text = String::from_utf8(message.payload.to_vec()).unwrap();
        let value: f64 =
            text.split_once("\"v\":").unwrap().1.trim_end_matches("}]").parse().unwrap();
        assert_eq!((value * 1e6).round() as i64, WALL + at.as_micros() as i64, "{text}");
    }
}

#[test]
fn values_wait_until_the_group_is_observed_and_for_their_time() {
    let mut waiting = group(5);
    waiting.notify.start = Start::WhenObserved;
    let mut play = Play::of(&config(vec![waiting.clone()]), Manner::Silent);
    play.pass(seconds(60));
    assert_eq!(play.totals().notifications, 0);
    waiting.notify.after = seconds(30);
    let mut play = Play::of(&config(vec![waiting]), Manner::Observes);
    play.pass(seconds(30));
    assert_eq!(play.totals().notifications, 0);
    play.pass(seconds(11));
    assert_eq!(play.totals().notifications, 5);
}

#[test]
fn nothing_reaches_a_device_that_sleeps() {
    let mut sleeper = group(1);
    sleeper.notify.every = None;
    sleeper.sleep = Sleep { share: 1.0, awake: seconds(3) };
    sleeper.update_every = Some(seconds(60).into());
    let mut play = Play::of(&config(vec![sleeper]), Manner::Observes);
    play.pass(seconds(2));
    let ask = |play: &mut Play| {
        let place = play.world.log.last().unwrap().1;
        let before = play.world.log.len();
        play.world.answers.push_back((place, observe(1_000 + before)));
        play.exchange();
        play.world.log.len() - before
    };
    assert_eq!(ask(&mut play), 1, "it listens for a while, and for a while after each message");
    play.pass(seconds(2));
    assert_eq!((ask(&mut play), play.totals().datagrams_while_asleep), (1, 0));
    play.pass(seconds(4));
    assert_eq!((ask(&mut play), play.totals().datagrams_while_asleep), (0, 1));
    play.pass(seconds(53));
    assert_eq!(play.totals().updates, 1, "it wakes for its Update");
    assert_eq!(ask(&mut play), 1);
}

#[test]
fn a_device_behind_a_nat_moves_without_knowing() {
    let mut behind = group(1);
    behind.rebind = Some(Rebind { share: 1.0, every: seconds(60) });
    let mut play = Play::of(&config(vec![behind]), Manner::Observes);
    play.pass(seconds(59));
    let first = play.world.log[0].1;
    play.pass(seconds(61));
    let totals = play.totals();
    let places: BTreeSet<_> = play.world.log.iter().map(|(_, from, _)| *from).collect();
    assert_eq!((totals.rebinds, totals.registrations, places.len()), (2, 1, 3));
    play.world.answers.push_back((first, observe(9)));
    play.exchange();
    assert_eq!(play.totals().datagrams_to_old_address, 1);
}

#[test]
fn a_storm_reboots_its_share_within_its_span_from_new_addresses() {
    let mut caught = group(200);
    caught.reboot =
        Some(Reboot { at: seconds(20), within: seconds(4), share: 0.5, away: seconds(2) });
    let mut play = Play::of(&config(vec![caught]), Manner::Observes);
    play.pass(seconds(19));
    assert_eq!(play.totals().registered, 200);
    play.pass(seconds(3));
    assert!(play.totals().registered < 180, "{:?}", play.totals());
    play.pass(seconds(10));
    let totals = play.totals();
    assert!((70..130).contains(&totals.reboots), "{totals:?}");
    assert_eq!(totals.registrations, 200 + totals.reboots);
    assert_eq!(totals.registered, 200);
}

#[test]
fn lost_datagrams_are_counted_and_their_share_is_met() {
    let lossy = Group { loss: 0.25, ..group(100) };
    let mut play = Play::of(&config(vec![lossy]), Manner::Observes);
    play.pass(seconds(120));
    let totals = play.totals();
    let all = totals.datagrams_out + totals.datagrams_in;
    let share = totals.lost_simulated as f64 / (all + totals.lost_simulated) as f64;
    assert!((0.2..0.3).contains(&share), "{share}");
    assert!(totals.retransmissions > 0 && totals.registered == 100, "{totals:?}");
}

#[test]
fn confirmable_notifications_are_counted_to_their_end() {
    let mut alarms = group(10);
    alarms.notify.con = 1.0;
    let mut play = Play::of(&config(vec![alarms.clone()]), Manner::Observes);
    play.pass(seconds(60));
    let totals = play.totals();
    assert!(totals.notifications >= 50, "{totals:?}");
    assert_eq!(totals.notifications_con, totals.notifications);
    assert_eq!(totals.notifications_con_acked, totals.notifications);
    assert_eq!(play.fleet.latencies.acknowledgement.count(), totals.notifications);
    let mut deaf = Play::of(&config(vec![alarms]), Manner::IgnoresNotifications);
    deaf.pass(seconds(110));
    let totals = deaf.totals();
    assert_eq!((totals.notifications_unacked, totals.observed), (10, 0), "{totals:?}");
}

#[test]
fn the_fleet_leaves_and_each_device_says_so() {
    let mut play = Play::of(&config(vec![group(150)]), Manner::Observes);
    play.pass(seconds(2));
    play.fleet.begin_to_leave();
    let mut rounds = 0;
    while play.fleet.leave_some(play.world.now, &mut play.world) {
        play.exchange();
        rounds += 1;
        assert!(rounds < 10);
    }
    assert_eq!((play.totals().left, play.totals().registered), (150, 0));
    let mut play =
        Play::of(&FleetConfig { leave: Leave::Vanish, ..config(vec![group(5)]) }, Manner::Observes);
    play.pass(seconds(2));
    play.fleet.begin_to_leave();
    assert!(!play.fleet.leave_some(play.world.now, &mut play.world));
    assert_eq!(play.totals().left, 0);
}

#[test]
fn a_change_that_comes_a_whole_interval_late_is_skipped_and_counted() {
    let at = Instant::from_micros(5_000_000);
    let after = |secs: u64| next_change(at, seconds(10), Instant::from_micros(secs * 1_000_000));
    assert_eq!(after(5), (Instant::from_micros(15_000_000), 0));
    assert_eq!(after(14), (Instant::from_micros(15_000_000), 0));
    assert_eq!(after(36), (Instant::from_micros(45_000_000), 3));
}

#[test]
fn a_world_with_one_line_gives_a_new_address_on_it() {
    let mut behind = group(1);
    behind.rebind = Some(Rebind { share: 1.0, every: seconds(30) });
    let config = config(vec![behind]);
    let mut play = Play::of(&config, Manner::Observes);
    play.world.lines = 1;
    play.fleet = Fleet::new(&config, None, 1);
    play.pass(seconds(95));
    assert_eq!((play.totals().rebinds, play.world.reopened), (3, 3));
}

/// Bytes that a device may take while it is registered, observed and idle: everything included, the
/// entry in the wheel and its part of the tables too.
const IDLE_MAX: f64 = 200.0;

/// In a process of its own, since the heap of this one has other users.
#[test]
fn an_idle_device_takes_at_most_200_bytes() {
    let program = std::env::current_exe().unwrap();
    let alone = "fleet::tests::memory_of_an_idle_fleet";
    let mut command = std::process::Command::new(program);
    let output = command.args([alone, "--exact", "--ignored", "--nocapture"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("bytes each"), "{text}");
}

#[test]
#[ignore = "measures the heap of the process, so the test above runs it alone"]
fn memory_of_an_idle_fleet() {
    let count = std::env::var("SIM_DEVICES").map_or(100_000, |count| count.parse().unwrap());
    let mut idle = group(count);
    idle.lifetime = Spread::new(seconds(80_000), seconds(90_000)).unwrap();
    idle.notify = Notify { every: Some(seconds(3600).into()), con: 0.5, ..Notify::default() };
    let config = FleetConfig { ramp: Ramp::Burst { within: seconds(60) }, ..config(vec![idle]) };
    let mut world = World::new(Manner::Observes);
    world.logs = false;
    let before = udpio::heap_in_use().expect("the system says");
    let mut play = Play { fleet: Fleet::new(&config, Some(WALL / 1000), world.lines), world };
    // An hour in which each value changes once, and everything is forgotten that can be.
    play.pass(seconds(3900));
    let after = udpio::heap_in_use().expect("the system says");
    let totals = play.totals();
    assert_eq!((totals.registered, totals.observed), (count, count));
    assert!(totals.notifications >= count as u64, "{totals:?}");
    let each = (after - before) as f64 / count as f64;
    println!("{count} idle devices take {each:.1} bytes each");
    assert!(each <= IDLE_MAX, "{each} bytes each");
}
