//! Scenario files: what they mean, what is refused and where, and the samples.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lwm2m::{Format, Models, Version};

use super::*;
use crate::config::Ramp;

fn parse(text: &str) -> Result<Scenario, String> {
    Scenario::parse(text, Path::new("s.toml")).map_err(|error| error.to_string())
}

fn fleet(text: &str) -> Result<FleetConfig, String> {
    let scenario = parse(text)?;
    scenario.fleet(Arc::new(Models::builtin())).map_err(|error| error.to_string())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    files
}

#[test]
fn every_sample_describes_a_fleet() {
    let files = samples();
    assert!(files.len() >= 6, "{files:?}");
    for path in files {
        let scenario = Scenario::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let config = scenario.fleet(Arc::new(Models::builtin()));
        let config = config.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(config.count(), scenario.count.unwrap(), "{}", path.display());
    }
}

/// The members that a table has, from what the reader says of one that it does not have.
fn members_of(table: &str) -> BTreeSet<String> {
    let error = parse(&format!("{table}\nno_such_member = 1\n")).unwrap_err();
    let (_, known) = error.split_once("expected").expect(&error);
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_reference_names_every_member_with_its_default() {
    let path = samples().into_iter().find(|path| path.ends_with("reference.toml")).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let words: BTreeSet<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let tables = [
        "",
        "[devices]",
        "[devices.notify]",
        "[devices.sleep]",
        "[devices.rebind]",
        "[devices.reboot]",
        "[[group]]",
    ];
    for table in tables {
        let members = members_of(table);
        assert!(!members.is_empty(), "{table}");
        for member in members {
            assert!(words.contains(member.as_str()), "{table} {member}");
        }
    }
    let reference: Scenario = toml::from_str(&text).unwrap();
    let shown =
        Scenario { groups: Vec::new(), ..reference }.fleet(Arc::new(Models::builtin())).unwrap();
    let usual = Group { count: 1000, ..Group::new(1000) };
    let shown = &shown.groups[0];
    let same = Group { rebind: None, reboot: None, ..shown.clone() };
    assert_eq!(same, usual);
}

#[test]
fn a_scenario_describes_a_fleet_of_groups() {
    let config = fleet(
        "count = 10\nseed = 5\nduration = 90\nleave = 'vanish'\nsources = 'ports'\n\
         ramp = { shape = 'burst', within = '10s' }\n\
         [devices]\nversion = '1.0'\nlifetime = ['10m', '20m']\n\
         [devices.notify]\nrate = 5\nvalue = 'clock'\nstart = 'all-observed'\nafter = 3.5\n\
         [[group]]\nname = 'a'\ncount = 4\nprefix = 'x-'\n\
         [[group]]\nname = 'b'\nshare = 1\ndevices.notify.every = '7s'\n\
         [[group]]\nname = 'c'\nshare = 2\n\
         [group.devices]\nversion = '1.1'\nformat = 'senml-cbor'\nloss = 0.25\n\
         rebind = { every = '1m', share = 0.5 }\nreboot = { at = 60 }\nsleep.share = 1\n",
    )
    .unwrap();
    assert_eq!((config.seed, config.duration), (5, Some(seconds(90))));
    assert_eq!(config.ramp, Ramp::Burst { within: seconds(10) });
    assert_eq!((config.leave, config.sources), (Leave::Vanish, Sources::Ports));
    let [a, b, c] = config.groups.as_slice() else { panic!("{:?}", config.groups) };
    assert_eq!((a.count, b.count, c.count), (4, 2, 4));
    assert_eq!((a.prefix.as_str(), b.prefix.as_str()), ("x-", "sim-b-"));
    assert_eq!((a.lifetime.low(), a.lifetime.high()), (seconds(600), seconds(1200)));
    assert_eq!(a.notify.every, Some(Duration::from_millis(800).into()), "4 devices, 5 a second");
    assert_eq!(b.notify.every, Some(seconds(7).into()), "the group's own member hides the rate");
    assert_eq!(a.notify.start, Start::WhenObserved);
    assert_eq!(a.notify.after, Duration::from_millis(3500));
    assert_eq!((a.version, c.version), (Version::V1_0, Version::V1_1));
    assert_eq!((c.format, c.loss, c.sleep.share), (Some(Format::SENML_CBOR), 0.25, 1.0));
    assert_eq!(c.rebind.map(|rebind| rebind.share), Some(0.5));
    assert_eq!(c.reboot.map(|reboot| (reboot.at, reboot.share)), Some((seconds(60), 1.0)));
}

#[test]
fn a_group_has_its_share_to_the_last_device() {
    for count in [3, 7, 100, 1001] {
        let text = format!(
            "count = {count}\n[[group]]\nname='a'\nshare=0.33\n[[group]]\nname='b'\nshare=0.33\n\
             [[group]]\nname='c'\nshare=0.33\n"
        );
        let config = fleet(&text).unwrap();
        assert_eq!(config.count(), count);
        let counts: Vec<_> = config.groups.iter().map(|group| group.count).collect();
        assert!(counts.iter().all(|part| part.abs_diff(count / 3) <= 1), "{counts:?}");
    }
}

#[test]
fn faults_are_told_with_their_line() {
    let rows = [
        ("count = 1\nno_such = 2\n", "s.toml:2: unknown field `no_such`"),
        ("[devices]\n\nlifetime = 'soon'\n", "s.toml:3: invalid value"),
        ("[devices]\nlifetime = ['9s', '3s']\n", "s.toml:2: a range goes"),
        ("[devices]\nlifetime = ['9s']\n", "s.toml:2: a range has two"),
        ("[devices]\nlifetime = true\n", "s.toml:2: invalid type"),
        ("[devices]\nloss = 2\n", "s.toml:2: a share must be"),
        ("[devices.notify]\nresource = '/3/0'\n", "s.toml:2: `/3/0` is not the path"),
        ("[devices.notify]\nvalue = 'noise'\n", "s.toml:2: unknown variant `noise`"),
        ("[devices.rebind]\nshare = 1\n", "s.toml:1: missing field `every`"),
        ("[ramp]\nshape = 'burst'\nrate = 1\n", "s.toml:1: unknown field `rate`"),
        ("\n[[group]]\nname = 'a'\n", "s.toml:2: group `a`: `count` or `share`"),
        ("[[group]]\nname='a'\ncount=1\nshare=1\n", "s.toml:1: group `a`: `count` and"),
        ("[[group]]\nname='a'\nshare=0\n", "s.toml:1: group `a`: `share` must be"),
        ("count = \n", "s.toml:1: "),
    ];
    for (text, expected) in rows {
        let error = parse(text).expect_err(expected);
        assert!(error.starts_with(expected), "{error} for {expected}");
    }
    let error = Scenario::load(Path::new("/no/such.toml")).unwrap_err().to_string();
    assert!(error.starts_with("/no/such.toml: "), "{error}");
}

#[test]
fn fleets_that_cannot_be_say_why() {
    let rows = [
        ("[[group]]\nname='a'\nshare=1\n", "need the `count`"),
        ("count=3\n[[group]]\nname='a'\ncount=2\n", "give them `share`"),
        ("count=3\n[[group]]\nname='a'\ncount=4\n[[group]]\nname='b'\nshare=1\n", "already"),
        ("[devices.notify]\nrate = -1\n", "out of range"),
        ("count=1\n[devices.notify]\nrate = 1e300\n", "out of range"),
        ("[[group]]\nname='a b'\ncount=1\n", "name of a group"),
        ("server = ''\n", "not a server address"),
    ];
    for (text, part) in rows {
        let error = fleet(text).expect_err(part);
        assert!(error.contains(part), "{error} for {part}");
    }
}

#[test]
fn what_lies_above_wins_member_by_member() {
    let below = parse(
        "count = 5\nprefix = 'p-'\n[devices]\nloss = 0.5\n[devices.notify]\nevery = '1s'\ncon = 1\n\
         [[group]]\nname = 'a'\nshare = 1\ndevices.loss = 0.1\ndevices.notify.value = 'clock'\n",
    );
    let above = parse("count = 50\n[devices]\nloss = 0.2\n[devices.notify]\nrate = 10.0\n");
    let config = above.unwrap().over(below.unwrap()).fleet(Arc::new(Models::builtin())).unwrap();
    let group = &config.groups[0];
    assert_eq!((config.count(), group.prefix.as_str(), group.loss), (50, "p-a-", 0.2));
    assert_eq!(group.notify.every, Some(seconds(5).into()), "50 devices, 10 a second");
    assert_eq!((group.notify.con, group.notify.value), (1.0, Signal::Clock));
}
