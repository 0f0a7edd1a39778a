//! What the seed decides: the habits of each device, when it does what, and what is lost.
//!
//! Every decision is a function of the seed, the number of the device and what is decided, so none
//! has to be kept, and a run with the same seed decides the same whatever else happens. Acting on
//! the decisions is the job of [`crate::fleet`].

use std::sync::Arc;
use std::time::Duration;

use coap::{Instant, Reliability};
use device::{Answers, Habits, Identity, Name, Profile, QueueMode};

use crate::config::{FleetConfig, Group};
use crate::spread::Spread;

/// The decisions for a fleet.
pub(crate) struct Plan {
    seed: u64,
    kinds: Vec<Kind>,
}

/// A group and its place among the devices.
pub(crate) struct Kind {
    /// The number of its first device.
    pub(crate) first: usize,
    pub(crate) group: Group,
    pub(crate) profile: Arc<Profile>,
}

/// What is decided by chance; each decision of a device is independent of its others.
#[derive(Debug, Clone, Copy)]
enum Choice {
    Device = 1,
    Lifetime,
    Update,
    Confirmable,
    Sleeps,
    Delay,
    Notify,
    Phase,
    Rebinds,
    RebindPhase,
    Reboots,
    RebootTime,
    Loss,
}

impl Plan {
    pub(crate) fn new(config: &FleetConfig, epoch_ms: Option<i64>) -> Self {
        let mut first = 0;
        let kinds = config.groups.iter().map(|group| {
            let profile = group.profile(&config.models, epoch_ms);
            let kind = Kind { first, group: group.clone(), profile };
            first += group.count;
            kind
        });
        Self { seed: config.seed, kinds: kinds.collect() }
    }

    pub(crate) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The number of the group that a device belongs to.
    pub(crate) fn kind_of(&self, device: usize) -> usize {
        self.kinds.partition_point(|kind| kind.first <= device).saturating_sub(1)
    }

    /// Who a device is: its name counts from 1 in its group.
    pub(crate) fn identity<'k>(&self, kind: &'k Kind, device: usize) -> Identity<'k> {
        Identity {
            name: Name::Numbered((device - kind.first + 1) as u32),
            profile: &kind.profile,
            habits: self.habits(kind, device),
        }
    }

    /// What the tokens, message ids and jitter of a device come from.
    pub(crate) fn seed_of(&self, device: usize) -> u64 {
        self.draw(device, Choice::Device, 0)
    }

    pub(crate) fn habits(&self, kind: &Kind, device: usize) -> Habits {
        let group = &kind.group;
        let own = |spread, choice| self.own(device, choice, spread);
        let delay = group.answer_delay.map(|delay| own(delay, Choice::Delay));
        let lifetime = own(group.lifetime, Choice::Lifetime).as_secs();
        Habits {
            lifetime: Some(u32::try_from(lifetime).unwrap_or(u32::MAX)),
            update_every: group.update_every.map(|every| own(every, Choice::Update)),
            notifications: if self.is_among(device, Choice::Confirmable, group.notify.con) {
                Reliability::Confirmable
            } else {
                Reliability::NonConfirmable
            },
            queue_mode: if self.sleeps(kind, device) { QueueMode::On } else { QueueMode::Off },
            answers: match delay {
                Some(after) => Answers::Separate { after, reliability: Reliability::Confirmable },
                None => Answers::Piggybacked,
            },
        }
    }

    pub(crate) fn sleeps(&self, kind: &Kind, device: usize) -> bool {
        self.is_among(device, Choice::Sleeps, kind.group.sleep.share)
    }

    /// How often the value of a device changes.
    pub(crate) fn changes_every(&self, kind: &Kind, device: usize) -> Option<Duration> {
        let every = kind.group.notify.every?;
        Some(self.own(device, Choice::Notify, every))
    }

    /// The part of its period that a device lets pass before its first change.
    pub(crate) fn phase(&self, device: usize) -> f64 {
        // The golden ratio spreads any number of neighbours evenly, which chance does not.
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        let offset = unit(mix(self.seed ^ Choice::Phase as u64));
        (device as f64 * GOLDEN + offset).fract()
    }

    /// How often the address of a device has changed by a time.
    pub(crate) fn rebindings(&self, kind: &Kind, device: usize, now: Instant) -> u16 {
        let Some(rebind) = kind.group.rebind else { return 0 };
        if !self.is_among(device, Choice::Rebinds, rebind.share) {
            return 0;
        }
        let phase = rebind.every.mul_f64(self.share(device, Choice::RebindPhase, 0));
        let passed =
            now.saturating_add(phase).as_micros() / (rebind.every.as_micros() as u64).max(1);
        u16::try_from(passed).unwrap_or(u16::MAX)
    }

    /// When the storm catches a device.
    pub(crate) fn reboots_at(&self, kind: &Kind, device: usize) -> Option<Instant> {
        let storm = kind.group.reboot?;
        let share = self.share(device, Choice::RebootTime, 0);
        self.is_among(device, Choice::Reboots, storm.share)
            .then(|| Instant::ZERO + storm.at + storm.within.mul_f64(share))
    }

    /// Whether the so manieth datagram of a device, of both directions together, is lost.
    pub(crate) fn loses(&self, kind: &Kind, device: usize, number: u32) -> bool {
        kind.group.loss > 0.0 && self.share(device, Choice::Loss, number) < kind.group.loss
    }

    fn is_among(&self, device: usize, choice: Choice, share: f64) -> bool {
        // All or nobody is the usual thing, and needs no draw.
        share > 0.0 && (share >= 1.0 || self.share(device, choice, 0) < share)
    }

    /// The span that a device has of a spread.
    fn own(&self, device: usize, choice: Choice, spread: Spread) -> Duration {
        if spread.low() == spread.high() {
            return spread.low();
        }
        spread.at(self.share(device, choice, 0))
    }

    /// A number from 0 to 1, 1 excluded.
    fn share(&self, device: usize, choice: Choice, number: u32) -> f64 {
        unit(self.draw(device, choice, number))
    }

    fn draw(&self, device: usize, choice: Choice, number: u32) -> u64 {
        let decision = (choice as u64) << 32 | u64::from(number);
        mix(mix(self.seed ^ mix(device as u64)) ^ decision)
    }
}

/// The finisher of SplitMix64: every bit of the input moves every bit of the output.
const fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn unit(number: u64) -> f64 {
    // 53 bits: as many as an f64 holds exactly.
    (number >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use lwm2m::Models;

    use super::*;
    use crate::config::{Notify, Rebind, Reboot, Sleep};

    const COUNT: usize = 4_000;

    fn plan(seed: u64, group: Group) -> Plan {
        let server = "127.0.0.1:5683".parse().unwrap();
        let config = FleetConfig::of(server, group, Arc::new(Models::builtin()));
        Plan::new(&FleetConfig { seed, ..config }, None)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn mixed() -> Group {
        Group {
            lifetime: Spread::new(seconds(100), seconds(300)).unwrap(),
            notify: Notify { con: 0.25, ..Notify::default() },
            sleep: Sleep { share: 0.5, ..Sleep::default() },
            loss: 0.1,
            rebind: Some(Rebind { share: 0.5, every: seconds(60) }),
            reboot: Some(Reboot {
                at: seconds(10),
                within: seconds(10),
                share: 0.2,
                away: seconds(1),
            }),
            ..Group::new(COUNT)
        }
    }

    /// How many devices something is true of, as a share.
    fn share_of(plan: &Plan, holds: impl Fn(&Plan, &Kind, usize) -> bool) -> f64 {
        let kind = &plan.kinds()[0];
        let count = (0..COUNT).filter(|device| holds(plan, kind, *device)).count();
        count as f64 / COUNT as f64
    }

    #[test]
    fn shares_are_met_and_do_not_depend_on_each_other() {
        let plan = plan(7, mixed());
        let con = |plan: &Plan, kind: &Kind, device: usize| {
            plan.habits(kind, device).notifications == Reliability::Confirmable
        };
        let sleeps = |plan: &Plan, kind: &Kind, device: usize| plan.sleeps(kind, device);
        let rows = [
            (share_of(&plan, con), 0.25),
            (share_of(&plan, sleeps), 0.5),
            (share_of(&plan, |plan, kind, d| con(plan, kind, d) && sleeps(plan, kind, d)), 0.125),
            (share_of(&plan, |plan, kind, d| plan.loses(kind, d, 3)), 0.1),
            (share_of(&plan, |plan, kind, d| plan.reboots_at(kind, d).is_some()), 0.2),
            (
                share_of(&plan, |plan, kind, d| {
                    plan.habits(kind, d).lifetime.is_some_and(|lifetime| lifetime < 200)
                }),
                0.5,
            ),
        ];
        for (index, (found, expected)) in rows.into_iter().enumerate() {
            assert!((found - expected).abs() < 0.03, "row {index}: {found} for {expected}");
        }
    }

    #[test]
    fn the_seed_decides_everything() {
        let (first, second, other) = (plan(1, mixed()), plan(1, mixed()), plan(2, mixed()));
        let decisions = |plan: &Plan| -> Vec<_> {
            let kind = &plan.kinds()[0];
            let at = Instant::from_micros(300_000_000);
            let of = |d| {
                let storm = plan.reboots_at(kind, d);
                (plan.habits(kind, d), plan.rebindings(kind, d, at), storm, plan.seed_of(d))
            };
            (0..100).map(of).collect()
        };
        assert_eq!(decisions(&first), decisions(&second));
        assert_ne!(decisions(&first), decisions(&other));
    }

    #[test]
    fn phases_are_spread_over_one_period() {
        let plan = plan(3, Group::new(COUNT));
        for quarter in 0..4 {
            let within = |device: &usize| (plan.phase(*device) * 4.0) as usize == quarter;
            let count = (0..1000).filter(within).count();
            assert!((245..=255).contains(&count), "{count}");
        }
    }

    #[test]
    fn an_address_changes_once_in_each_interval() {
        let plan = plan(3, mixed());
        let kind = &plan.kinds()[0];
        let moved =
            |device, at: u64| plan.rebindings(kind, device, Instant::from_micros(at * 1_000_000));
        let behind: Vec<usize> = (0..COUNT).filter(|device| moved(*device, 600) > 0).collect();
        assert!((1_900..2_100).contains(&behind.len()), "{}", behind.len());
        for device in behind {
            let (early, late) = (moved(device, 60), moved(device, 600));
            assert!(early <= 1 + 1 && late - early == 9, "{early} {late}");
        }
    }

    #[test]
    fn groups_follow_each_other() {
        let server = "127.0.0.1:5683".parse().unwrap();
        let models = Arc::new(Models::builtin());
        let mut config = FleetConfig::of(server, Group::new(3), models);
        config.groups.push(Group { prefix: "b-".to_owned(), ..Group::new(2) });
        let plan = Plan::new(&config, None);
        let names: Vec<_> = (0..5)
            .map(|device| {
                let kind = &plan.kinds()[plan.kind_of(device)];
                (kind.profile.prefix.as_str(), plan.identity(kind, device).name)
            })
            .collect();
        let expected = [("sim-", 1), ("sim-", 2), ("sim-", 3), ("b-", 1), ("b-", 2)];
        assert_eq!(names, expected.map(|(prefix, number)| (prefix, Name::Numbered(number))));
    }
}
