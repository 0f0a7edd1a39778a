//! Who used how much CPU time between two moments.

use std::time::{Duration, Instant};

use crate::problem::Outcome;
use crate::proc;
use crate::report::{Row, micros_each};

/// The processes of a run.
pub(crate) struct Processes {
    /// The one that is measured; `None` when somebody else runs it.
    pub(crate) server: Option<u32>,
    /// All others but this one, which sleeps.
    pub(crate) others: Vec<u32>,
}

/// CPU times at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    at: Instant,
    server: Option<Duration>,
    others: Duration,
    /// Of everything on the machine.
    busy: Duration,
}

impl Moment {
    pub(crate) fn now(processes: &Processes) -> Outcome<Self> {
        let server = processes.server.map(proc::cpu_time).transpose()?;
        let mut others = Duration::ZERO;
        for pid in &processes.others {
            others += proc::cpu_time(*pid)?;
        }
        Ok(Self { at: Instant::now(), server, others, busy: proc::busy_time()? })
    }

    /// A row with what was used until `later` for so many operations. `idle`: what the server uses
    /// in a second without any.
    pub(crate) fn row(&self, later: &Self, operations: u64, idle: Duration) -> Row {
        let seconds = (later.at - self.at).as_secs_f64();
        let used = |from: Duration, to: Duration| to.saturating_sub(from);
        let server = self.server.zip(later.server).map(|(from, to)| used(from, to));
        let others = used(self.others, later.others);
        let strangers =
            used(self.busy, later.busy).saturating_sub(server.unwrap_or_default() + others);
        let for_nothing = idle.mul_f64(seconds);
        Row {
            operations,
            seconds,
            cpu_us: server.and_then(|cpu| micros_each(used(for_nothing, cpu), operations)),
            server_load: server.map(|cpu| cpu.as_secs_f64() / seconds),
            others_load: others.as_secs_f64() / seconds,
            strangers_load: strangers.as_secs_f64() / seconds,
            ..Row::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_and_strangers_used_is_not_the_servers() {
        let begin = Instant::now();
        let moment = |seconds: u64, server: u64, others: u64, busy: u64| Moment {
            at: begin + Duration::from_secs(seconds),
            server: Some(Duration::from_millis(server)),
            others: Duration::from_millis(others),
            busy: Duration::from_millis(busy),
        };
        let idle = Duration::from_millis(50);
        let row = moment(0, 100, 0, 0).row(&moment(2, 600, 1_000, 2_000), 100_000, idle);
        assert_eq!((row.operations, row.seconds), (100_000, 2.0));
        assert_eq!(row.cpu_us, Some(4.0));
        assert_eq!((row.server_load, row.others_load), (Some(0.25), 0.5));
        assert!((row.strangers_load - 0.25).abs() < 1e-9);
    }
}
