//! Log lines that a stranger can cause: at most one per kind and minute, with a count of the rest.
//!
//! A flood of garbage must not become a flood of log lines; the metrics still count every one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Decides which lines are written. One per thread: it has no lock.
#[derive(Debug, Default)]
pub struct RateLimit {
    kinds: HashMap<&'static str, Window>,
}

#[derive(Debug)]
struct Window {
    opened: Instant,
    suppressed: u64,
}

/// What to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Write it, and say how many of its kind were left out since the last one.
    Write {
        /// Lines left out.
        suppressed: u64,
    },
    /// Leave it out.
    Suppress,
}

/// One line per kind and minute: an operator sees what goes on within a minute, and the worst
/// attacker causes as many lines per minute as there are kinds.
const WINDOW: Duration = Duration::from_secs(60);

impl RateLimit {
    /// Decides about a line of this kind. Kinds are constants of the program, which bounds them.
    pub fn pass(&mut self, kind: &'static str, now: Instant) -> Pass {
        let Some(window) = self.kinds.get_mut(kind) else {
            self.kinds.insert(kind, Window { opened: now, suppressed: 0 });
            return Pass::Write { suppressed: 0 };
        };
        if now.saturating_duration_since(window.opened) < WINDOW {
            window.suppressed += 1;
            return Pass::Suppress;
        }
        window.opened = now;
        Pass::Write { suppressed: std::mem::take(&mut window.suppressed) }
    }

    /// Kinds whose minute is over and that left lines out: to be summed up in a line of their own,
    /// since no further line of that kind may ever come. To be called about once a minute.
    pub fn overdue(&mut self, now: Instant) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.kinds.iter_mut().filter_map(move |(kind, window)| {
            let over = now.saturating_duration_since(window.opened) >= WINDOW;
            (over && window.suppressed > 0).then(|| (*kind, std::mem::take(&mut window.suppressed)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_kind_and_minute_with_a_count_of_the_rest() {
        let mut limit = RateLimit::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(limit.pass("format_error", at(0)), Pass::Write { suppressed: 0 });
        assert_eq!(limit.pass("format_error", at(1)), Pass::Suppress);
        assert_eq!(limit.pass("unknown_token", at(1)), Pass::Write { suppressed: 0 });
        assert_eq!(limit.pass("format_error", at(59)), Pass::Suppress);
        assert_eq!(limit.pass("format_error", at(60)), Pass::Write { suppressed: 2 });
        assert_eq!(limit.pass("format_error", at(61)), Pass::Suppress);
        assert_eq!(limit.pass("format_error", at(121)), Pass::Write { suppressed: 1 });
    }

    #[test]
    fn what_was_left_out_is_summed_up_when_nothing_follows() {
        let mut limit = RateLimit::default();
        let start = Instant::now();
        for _ in 0..5 {
            limit.pass("format_error", start);
        }
        limit.pass("unknown_token", start);
        assert_eq!(limit.overdue(start + Duration::from_secs(59)).count(), 0);
        let over: Vec<_> = limit.overdue(start + Duration::from_secs(60)).collect();
        assert_eq!(over, [("format_error", 4)]);
        assert_eq!(limit.overdue(start + Duration::from_secs(61)).count(), 0);
    }
}
