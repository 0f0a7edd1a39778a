//! The scenarios, at three scales.

mod command;
mod floor;
mod idle;
mod mixed;
mod notify;
mod overload;
mod peers;
mod register;
mod shards;
mod trouble;

use std::time::Duration;

use crate::problem::{Outcome, Problem};
use crate::report::Row;
use crate::rig::Bench;

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Whether it works: seconds, any build.
    Smoke,
    /// Five minutes.
    Quick,
    /// A million devices.
    Full,
}

impl Scale {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }

    /// One of three.
    pub(crate) const fn of<T: Copy>(self, smoke: T, quick: T, full: T) -> T {
        match self {
            Self::Smoke => smoke,
            Self::Quick => quick,
            Self::Full => full,
        }
    }

    /// How long things run before they are measured.
    pub(crate) const fn warm_up(self) -> Duration {
        Duration::from_millis(self.of(100, 700, 5_000))
    }

    /// How long a server is left alone to see what it uses when idle.
    pub(crate) const fn idle(self) -> Duration {
        Duration::from_millis(self.of(100, 500, 2_000))
    }

    /// How long a count may stand still before what is missing is taken for lost.
    pub(crate) const fn still(self) -> Duration {
        Duration::from_millis(self.of(300, 1_000, 3_000))
    }

    /// How long they are measured.
    pub(crate) const fn window(self) -> Duration {
        Duration::from_millis(self.of(200, 2_500, 15_000))
    }
}

/// Takes each row as soon as it is measured.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Row);

/// Something to measure.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    run: fn(&Bench, Take<'_>) -> Outcome<()>,
}

/// All of them, in the order in which they run.
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "floor",
        what: "sockets and kernel alone: receive, answer, publish",
        run: floor::floors,
    },
    Scenario {
        name: "register",
        what: "registration bursts, both brokers, by size of the fleet",
        run: register::bursts,
    },
    Scenario { name: "update", what: "Updates at a steady rate", run: register::updates },
    Scenario {
        name: "notify-non",
        what: "non-confirmable notifications, both brokers, by size of the fleet",
        run: notify::non_confirmable,
    },
    Scenario {
        name: "notify-con",
        what: "confirmable notifications, both brokers, by size of the fleet",
        run: notify::confirmable,
    },
    Scenario {
        name: "latency",
        what: "time from device to subscriber, at a low rate",
        run: notify::latencies,
    },
    Scenario {
        name: "command",
        what: "command round trips, to one device and to each of many in turn",
        run: command::round_trips,
    },
    Scenario {
        name: "leshan",
        what: "the same by Leshan's server, warmed up (--no-leshan leaves it out)",
        run: peers::leshan,
    },
    Scenario { name: "peer", what: "the same by the server of --peer", run: peers::peer },
    Scenario {
        name: "mixed",
        what: "notifications of both kinds, Updates and commands at once",
        run: mixed::mixed,
    },
    Scenario {
        name: "shards",
        what: "one shard, two, and two that forward half of what they receive",
        run: shards::shards,
    },
    Scenario {
        name: "overload",
        what: "twice as many notifications as the gateway can do",
        run: overload::twice,
    },
    Scenario {
        name: "storm",
        what: "a fleet that registers within seconds, with real retransmissions",
        run: overload::storm,
    },
    Scenario {
        name: "slow-subscriber",
        what: "a subscriber of the embedded broker that does not read",
        run: trouble::slow_subscriber,
    },
    Scenario {
        name: "broker-away",
        what: "an external broker that goes away under load",
        run: trouble::broker_away,
    },
    Scenario { name: "idle", what: "a fleet that says nothing: memory, CPU", run: idle::idle },
];

impl Scenario {
    /// Measures, and hands each row over as soon as it is there.
    pub(crate) fn run(&self, bench: &Bench, take: Take<'_>) -> Outcome<()> {
        (self.run)(bench, take)
    }
}

/// The chosen ones; an error names what does not exist.
pub(crate) fn chosen(names: &[String]) -> Outcome<Vec<&'static Scenario>> {
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|one| one.name != **name)) {
        let known: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        let known = known.join(", ");
        return Err(Problem::new(format!("no scenario {unknown}; there are: {known}")));
    }
    let is_chosen =
        |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    Ok(ALL.iter().filter(is_chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_chosen_by_name_and_unknown_ones_are_refused() {
        assert_eq!(chosen(&[]).unwrap().len(), ALL.len());
        let one = chosen(&["notify-con".to_owned()]).unwrap();
        assert_eq!(one.iter().map(|scenario| scenario.name).collect::<Vec<_>>(), ["notify-con"]);
        let problem = chosen(&["nothing".to_owned()]).err().unwrap().to_string();
        assert!(problem.starts_with("no scenario nothing; there are: "), "{problem}");
    }
}
