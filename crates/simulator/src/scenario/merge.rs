//! Laying one scenario over another: what the upper one names wins, member by member.

use toml::Spanned;

use super::{Devices, NotifyTable, Scenario, SleepTable};

impl Scenario {
    /// This scenario over another one, as the flags over a file: what is said of the devices here
    /// holds in all groups of the other.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        let groups = if self.groups.is_empty() { below.groups } else { self.groups };
        let over_group = |mut group: Spanned<super::GroupTable>| {
            let table = group.get_mut();
            table.devices = self.devices.over(&table.devices);
            group
        };
        Self {
            server: self.server.or(below.server),
            count: self.count.or(below.count),
            prefix: self.prefix.or(below.prefix),
            seed: self.seed.or(below.seed),
            duration: self.duration.or(below.duration),
            leave: self.leave.or(below.leave),
            sources: self.sources.or(below.sources),
            ramp: self.ramp.or(below.ramp),
            groups: groups.into_iter().map(over_group).collect(),
            devices: self.devices.over(&below.devices),
        }
    }
}

impl Devices {
    /// What is named here, else what is named below.
    pub(super) fn over(&self, below: &Self) -> Self {
        Self {
            version: self.version.or(below.version),
            format: self.format.or(below.format),
            lifetime: self.lifetime.or(below.lifetime),
            update_every: self.update_every.or(below.update_every),
            answer_delay: self.answer_delay.or(below.answer_delay),
            loss: self.loss.or(below.loss),
            notify: self.notify.over(below.notify),
            sleep: self.sleep.over(below.sleep),
            rebind: self.rebind.or(below.rebind),
            reboot: self.reboot.or(below.reboot),
        }
    }
}

impl NotifyTable {
    fn over(self, below: Self) -> Self {
        // `every` and `rate` say the same thing: the upper one of either hides the lower one of
        // the other.
        let (every, rate) = match (self.every, self.rate) {
            (None, None) => (below.every, below.rate),
            own => own,
        };
        Self {
            every,
            rate,
            resource: self.resource.or(below.resource),
            value: self.value.or(below.value),
            con: self.con.or(below.con),
            start: self.start.or(below.start),
            after: self.after.or(below.after),
        }
    }
}

impl SleepTable {
    fn over(self, below: Self) -> Self {
        Self { share: self.share.or(below.share), awake: self.awake.or(below.awake) }
    }
}
