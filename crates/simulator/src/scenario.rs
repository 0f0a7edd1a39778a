//! Scenarios: a fleet described in a TOML file, with flags that win over it.
//!
//! Every member is optional; what nobody names has the default of [`Group::new`]. A file and the
//! flags are read into the same [`Scenario`], laid over each other, and made a [`FleetConfig`],
//! which says whether such a fleet can be. How values are written is the job of `values`.

mod error;
mod merge;
mod values;

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use lwm2m::Models;
use serde::Deserialize;
use toml::Spanned;

use crate::address::resolve_server;
use crate::config::{FleetConfig, Group, Leave, Notify, RATE_DEFAULT, Ramp, Reboot, Sleep};
use crate::config::{Rebind, Signal, Sources, Start};

pub use error::ScenarioError;
pub use values::{Enabler, Encoding, Interval, Resource, Share, Span};

/// A scenario file, or what the command line says.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Address of the server, `HOST:PORT`; the port may be left out.
    pub server: Option<String>,
    /// How many devices; with groups that have shares, these are shares of it.
    pub count: Option<usize>,
    /// What the endpoint names begin with.
    pub prefix: Option<String>,
    /// What everything comes from that is left to chance.
    pub seed: Option<u64>,
    /// When the fleet ends by itself.
    pub duration: Option<Span>,
    /// What the devices do at the end.
    pub leave: Option<Leave>,
    /// Where datagrams come from.
    pub sources: Option<Sources>,
    /// How fast devices begin.
    pub ramp: Option<RampTable>,
    /// What the devices are like.
    #[serde(default)]
    pub devices: Devices,
    /// Devices that differ, group by group.
    #[serde(default, rename = "group")]
    pub groups: Vec<Spanned<GroupTable>>,
}

/// `[ramp]`: how fast devices begin.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, tag = "shape", rename_all = "kebab-case")]
pub enum RampTable {
    /// So many in a second, as long as the server follows.
    Constant {
        /// Devices in a second.
        rate: u32,
    },
    /// All of them within a span, come what may.
    Burst {
        /// From the first to the last.
        within: Span,
    },
}

/// `[devices]`: what the devices are like.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Devices {
    /// Version of LwM2M that they speak.
    pub version: Option<Enabler>,
    /// Format that they use where the server does not choose.
    pub format: Option<Encoding>,
    /// Lifetime that they register with.
    pub lifetime: Option<Interval>,
    /// Interval of Updates; 0 or left out: as the lifetime needs.
    pub update_every: Option<Interval>,
    /// How long they think before they answer.
    pub answer_delay: Option<Interval>,
    /// Share of their datagrams that is lost, in each direction.
    pub loss: Option<Share>,
    /// What they notify.
    #[serde(default)]
    pub notify: NotifyTable,
    /// Whether they sleep.
    #[serde(default)]
    pub sleep: SleepTable,
    /// Whether their source address changes without their knowing.
    pub rebind: Option<RebindTable>,
    /// Whether they reboot, many at a time.
    pub reboot: Option<RebootTable>,
}

/// `[devices.notify]`: values that change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyTable {
    /// Interval at which the value of each device changes; 0: never.
    pub every: Option<Interval>,
    /// Changes in a second of all devices of the group together, in the place of `every`.
    pub rate: Option<f64>,
    /// Which value.
    pub resource: Option<Resource>,
    /// What it is.
    pub value: Option<Signal>,
    /// Share of the devices that send confirmable notifications.
    pub con: Option<Share>,
    /// From when on it changes.
    pub start: Option<Start>,
    /// Not before this time of the fleet.
    pub after: Option<Span>,
}

/// `[devices.sleep]`: queue mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SleepTable {
    /// Share of the devices that sleep.
    pub share: Option<Share>,
    /// How long each listens after its last message.
    pub awake: Option<Span>,
}

/// `[devices.rebind]`: a NAT that forgets.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebindTable {
    /// How often the address of each changes.
    pub every: Span,
    /// Share of the devices behind it; all of them when left out.
    pub share: Option<Share>,
}

/// `[devices.reboot]`: a reboot storm.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebootTable {
    /// When it begins, counted from the start of the fleet.
    pub at: Span,
    /// How long it takes until the last one has rebooted; at once when left out.
    pub within: Option<Span>,
    /// Share of the devices that it catches; all of them when left out.
    pub share: Option<Share>,
    /// How long each is away; 5 s when left out.
    pub away: Option<Span>,
}

/// `[[group]]`: devices that differ.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupTable {
    /// What its part of the summary is called.
    pub name: String,
    /// Its part of the fleet's `count`.
    pub share: Option<f64>,
    /// How many devices it has, in the place of `share`.
    pub count: Option<usize>,
    /// What the endpoint names begin with; the fleet's prefix, the name and `-` when left out.
    pub prefix: Option<String>,
    /// What differs from `[devices]` of the fleet.
    #[serde(default)]
    pub devices: Devices,
}

/// How long a device of a storm is away unless the scenario says otherwise.
const AWAY_DEFAULT: Duration = Duration::from_secs(5);

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, or that is no scenario: with its line.
    pub fn load(path: &FilePath) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScenarioError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads the text of a file; `path` is what errors name.
    ///
    /// # Errors
    /// What is wrong and in which line.
    pub fn parse(text: &str, path: &FilePath) -> Result<Self, ScenarioError> {
        let scenario: Self =
            toml::from_str(text).map_err(|fault| ScenarioError::of_toml(path, text, &fault))?;
        scenario.check().map_err(|(at, problem)| ScenarioError::at(path, text, at, problem))?;
        Ok(scenario)
    }

    /// The fleet.
    ///
    /// # Errors
    /// A server that cannot be found, and a fleet that cannot be.
    pub fn fleet(&self, models: Arc<Models>) -> Result<FleetConfig, ScenarioError> {
        let server = resolve_server(self.server.as_deref().unwrap_or("127.0.0.1:5683"))?;
        let config = FleetConfig {
            server,
            groups: self.groups()?,
            ramp: self.ramp.map_or(Ramp::Constant { rate: RATE_DEFAULT }, RampTable::ramp),
            seed: self.seed.unwrap_or(1),
            duration: self.duration.map(Span::duration),
            leave: self.leave.unwrap_or(Leave::Deregister),
            sources: self.sources.unwrap_or(Sources::Auto),
            models,
        };
        config.check()?;
        Ok(config)
    }

    /// What serde cannot see, and where it is in the file.
    fn check(&self) -> Result<(), (usize, String)> {
        for group in &self.groups {
            let fault = |problem: &str| {
                let name = &group.get_ref().name;
                Err((group.span().start, format!("group `{name}`: {problem}")))
            };
            match (group.get_ref().count, group.get_ref().share) {
                (Some(_), Some(_)) => return fault("`count` and `share` exclude each other"),
                (None, None) => return fault("`count` or `share` is missing"),
                (None, Some(share)) if !(share > 0.0 && share.is_finite()) => {
                    return fault("`share` must be above 0");
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn groups(&self) -> Result<Vec<Group>, ScenarioError> {
        let prefix = self.prefix.as_deref().unwrap_or("sim-");
        if self.groups.is_empty() {
            let count = self.count.unwrap_or(1);
            return Ok(vec![self.devices.group("all", prefix.to_owned(), count)?]);
        }
        let counts = self.counts()?;
        let groups = self.groups.iter().map(Spanned::get_ref).zip(counts);
        groups
            .map(|(table, count)| {
                let named = || format!("{prefix}{}-", table.name);
                let prefix = table.prefix.clone().unwrap_or_else(named);
                table.devices.over(&self.devices).group(&table.name, prefix, count)
            })
            .collect()
    }

    /// How many devices each group has: shares divide what the counts leave of the whole, and the
    /// last one gets what rounding leaves.
    fn counts(&self) -> Result<Vec<usize>, ScenarioError> {
        let tables: Vec<&GroupTable> = self.groups.iter().map(Spanned::get_ref).collect();
        let counted: usize = tables.iter().filter_map(|table| table.count).sum();
        let shares: f64 = tables.iter().filter_map(|table| table.share).sum();
        let left = match self.count {
            Some(count) if shares > 0.0 => {
                count.checked_sub(counted).ok_or(ScenarioError::TooFew { count, counted })?
            }
            Some(count) if count != counted => {
                return Err(ScenarioError::NoShares { count, counted });
            }
            Some(_) | None if shares > 0.0 => return Err(ScenarioError::NoCount),
            Some(_) | None => 0,
        };
        let mut given = 0;
        let mut seen = 0.0;
        Ok(tables
            .iter()
            .map(|table| match (table.count, table.share) {
                (Some(count), _) => count,
                (None, share) => {
                    seen += share.unwrap_or(0.0);
                    let until = (left as f64 * (seen / shares)).round() as usize;
                    until - std::mem::replace(&mut given, until)
                }
            })
            .collect())
    }
}

impl Devices {
    fn group(&self, name: &str, prefix: String, count: usize) -> Result<Group, ScenarioError> {
        let usual = Group::new(count);
        Ok(Group {
            name: name.to_owned(),
            prefix,
            count,
            version: self.version.map_or(usual.version, Enabler::version),
            format: self.format.and_then(Encoding::format),
            lifetime: self.lifetime.map_or(usual.lifetime, Interval::spread),
            update_every: self.update_every.and_then(Interval::unless_zero),
            notify: self.notify.notify(name, count)?,
            sleep: self.sleep.sleep(),
            answer_delay: self.answer_delay.and_then(Interval::unless_zero),
            loss: self.loss.map_or(0.0, Share::value),
            rebind: self.rebind.map(|table| Rebind {
                share: table.share.map_or(1.0, Share::value),
                every: table.every.duration(),
            }),
            reboot: self.reboot.map(|table| Reboot {
                at: table.at.duration(),
                within: table.within.map_or(Duration::ZERO, Span::duration),
                share: table.share.map_or(1.0, Share::value),
                away: table.away.map_or(AWAY_DEFAULT, Span::duration),
            }),
        })
    }
}

impl NotifyTable {
    fn notify(&self, group: &str, count: usize) -> Result<Notify, ScenarioError> {
        let usual = Notify::default();
        let every = match (self.rate, self.every) {
            (Some(0.0), _) => None,
            (Some(rate), _) => Some(period_of(rate, count, group)?.into()),
            (None, Some(every)) => every.unless_zero(),
            (None, None) => usual.every,
        };
        Ok(Notify {
            every,
            resource: self.resource.map_or(usual.resource, Resource::path),
            value: self.value.unwrap_or(usual.value),
            con: self.con.map_or(usual.con, Share::value),
            start: self.start.unwrap_or(usual.start),
            after: self.after.map_or(usual.after, Span::duration),
        })
    }
}

/// The period of each of so many devices that change so often in all.
fn period_of(rate: f64, count: usize, group: &str) -> Result<Duration, ScenarioError> {
    Duration::try_from_secs_f64(count as f64 / rate)
        .ok()
        .filter(|period| !period.is_zero() && *period <= Span::MAX)
        .ok_or_else(|| ScenarioError::Rate { group: group.to_owned(), rate })
}

impl SleepTable {
    fn sleep(&self) -> Sleep {
        let usual = Sleep::default();
        Sleep {
            share: self.share.map_or(usual.share, Share::value),
            awake: self.awake.map_or(usual.awake, Span::duration),
        }
    }
}

impl RampTable {
    const fn ramp(self) -> Ramp {
        match self {
            Self::Constant { rate } => Ramp::Constant { rate },
            Self::Burst { within } => Ramp::Burst { within: within.duration() },
        }
    }
}

#[cfg(test)]
mod tests;
