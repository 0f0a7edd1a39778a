//! Commands to devices, and the time until their answers: one at a time, or at a rate.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::tally::{Spans, Times, member, whole_number};
use super::wire;

/// How long an answer is waited for before the command counts as lost. The gateway itself gives a
/// device longer, but nothing in these scenarios takes a second.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The request ids of commands begin here, so that they differ from those of observes.
const FIRST_ID: u64 = 1 << 40;

/// What became of the commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commanded {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) lost: u64,
    pub(crate) round_trip: Spans,
}

/// Whom to command, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The devices 1 to this number, in an order that jumps.
    pub(crate) devices: u64,
    /// Commands per second; 0: the next one when the last one was answered.
    pub(crate) rate: u64,
}

/// Sends the commands of a plan and times their answers.
pub(crate) struct Commander {
    prefix: String,
    plan: Option<Plan>,
    began: Instant,
    open: HashMap<u64, Instant>,
    done: Commanded,
    in_this_plan: u64,
    times: Times,
}

impl Commander {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            plan: None,
            began: Instant::now(),
            open: HashMap::new(),
            done: Commanded::default(),
            in_this_plan: 0,
            times: Times::new(),
        }
    }

    /// Begins anew, with counts of zero.
    pub(crate) fn follow(&mut self, plan: Plan, out: &mut Vec<u8>) {
        self.plan = Some(plan);
        self.began = Instant::now();
        self.open.clear();
        self.done = Commanded { sent: 0, ..Commanded::default() };
        self.in_this_plan = 0;
        self.times.clear();
        self.turn(out);
    }

    /// Sends nothing more.
    pub(crate) fn halt(&mut self) {
        self.plan = None;
    }

    /// Sends what is due, and gives up what was never answered.
    pub(crate) fn turn(&mut self, out: &mut Vec<u8>) {
        let Some(plan) = self.plan else { return };
        let now = Instant::now();
        let before = self.open.len();
        self.open.retain(|_, sent| now - *sent < ANSWER_WITHIN);
        self.done.lost += (before - self.open.len()) as u64;
        let due = match plan.rate {
            0 => self.in_this_plan + u64::from(self.open.is_empty()),
            rate => ((now - self.began).as_micros() as u64).saturating_mul(rate) / 1_000_000 + 1,
        };
        while self.in_this_plan < due {
            self.send(plan, out);
        }
    }

    /// When [`Commander::turn`] has something to do again.
    pub(crate) fn wait(&self) -> Option<Duration> {
        let plan = self.plan?;
        let Some(micros) = self.in_this_plan.saturating_mul(1_000_000).checked_div(plan.rate)
        else {
            return Some(ANSWER_WITHIN);
        };
        Some(Duration::from_micros(micros).saturating_sub(self.began.elapsed()))
    }

    /// An answer, to one of our commands or to something else.
    pub(crate) fn answer(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        if self.open.is_empty() {
            return;
        }
        let Some(id) = member(payload, b"\"reqID\":").and_then(whole_number) else { return };
        let Some(sent) = self.open.remove(&id) else { return };
        self.times.record(sent.elapsed());
        self.done.answered += 1;
        if let Some(plan @ Plan { rate: 0, .. }) = self.plan {
            self.send(plan, out);
        }
    }

    pub(crate) fn done(&self) -> Commanded {
        Commanded { round_trip: self.times.spans(), ..self.done }
    }

    fn send(&mut self, plan: Plan, out: &mut Vec<u8>) {
        /// A prime: each device has its turn before one has its second.
        const STRIDE: u64 = 7_919;
        let number = 1 + self.in_this_plan.wrapping_mul(STRIDE) % plan.devices.max(1);
        self.in_this_plan += 1;
        self.done.sent += 1;
        // Plans follow each other; the clock makes their ids differ.
        let id = FIRST_ID + self.done.sent;
        let topic = format!("lwm2m/{}{number}/dn", self.prefix);
        let payload = format!(
            "{{\"reqID\":{id},\"msgType\":\"read\",\"data\":{{\"path\":\"/3303/0/5700\"}}}}"
        );
        self.open.insert(id, Instant::now());
        wire::publish_out(out, &[topic.as_bytes()], payload.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: u64) -> Vec<u8> {
        format!("{{\"reqID\":{id},\"msgType\":\"read\"}}").into_bytes()
    }

    #[test]
    fn the_next_command_follows_the_answer() {
        let mut out = Vec::new();
        let mut commander = Commander::new("sim-");
        commander.follow(Plan { devices: 3, rate: 0 }, &mut out);
        commander.turn(&mut out);
        assert_eq!(commander.done().sent, 1);
        commander.answer(&answer(7), &mut out);
        assert_eq!(commander.done().sent, 1);
        commander.answer(&answer(FIRST_ID + 1), &mut out);
        let done = commander.done();
        assert_eq!((done.sent, done.answered, done.round_trip.count), (2, 1, 1));
        commander.halt();
        commander.answer(&answer(FIRST_ID + 2), &mut out);
        assert_eq!((commander.done().sent, commander.done().answered), (2, 2));
        assert_eq!(commander.wait(), None);
    }

    #[test]
    fn all_devices_have_their_turn() {
        let mut out = Vec::new();
        let mut commander = Commander::new("sim-");
        commander.follow(Plan { devices: 3, rate: 0 }, &mut out);
        for id in 1..=2 {
            commander.answer(&answer(FIRST_ID + id), &mut out);
        }
        let text = String::from_utf8_lossy(&out);
        for name in ["lwm2m/sim-1/dn", "lwm2m/sim-2/dn", "lwm2m/sim-3/dn"] {
            assert!(text.contains(name), "{name}: {text}");
        }
    }
}
