//! Large answers kept for those who fetch them block by block: Block2 in the server's role,
//! RFC 7959 2.4.

use alloc::vec::Vec;

use ahash::RandomState;
use hashbrown::HashMap;

use crate::block::{BlockOption, BlockSize};
use crate::time::{Duration, Instant};
use crate::{Code, OptionList, OptionNumber, Peer, Response};

/// One block of a response, ready to be sent, or the response itself if it fits.
pub(crate) fn cut(response: &Response, asked: Option<BlockOption>, size_max: BlockSize) -> Cut {
    let size = asked.map_or(size_max, |block| block.size.min(size_max));
    let len = response.payload.len();
    // What was asked for with larger blocks than ours still begins where it was asked for.
    let offset = asked.map_or(0, BlockOption::offset);
    if asked.is_none() && len <= size.bytes() {
        return Cut::Whole;
    }
    let number = offset / size.bytes();
    if offset > 0 && offset >= len || number > BlockOption::NUMBER_MAX as usize {
        return Cut::Beyond;
    }
    let end = (offset + size.bytes()).min(len);
    let block = BlockOption { number: number as u32, more: end < len, size };
    let mut options = response.options.clone();
    options.replace_uint(OptionNumber::BLOCK2, block.value());
    if block.number == 0 && block.more {
        options.replace_uint(OptionNumber::SIZE2, len as u64);
    }
    let payload = response.payload.get(offset..end).unwrap_or_default().to_vec();
    Cut::Block { response: Response { code: response.code, options, payload }, more: block.more }
}

/// What [`cut`] found.
#[derive(Debug, PartialEq)]
pub(crate) enum Cut {
    /// It fits one message and nobody asked for blocks.
    Whole,
    /// One block of it.
    Block {
        /// The block as a response.
        response: Response,
        /// Whether others follow.
        more: bool,
    },
    /// The body ends before that block.
    Beyond,
}

/// The answer to a block behind the end of the body.
pub(crate) const fn beyond() -> Response {
    Response { code: Code::BAD_REQUEST, options: OptionList::new(), payload: Vec::new() }
}

/// Large answers by peer and by what was asked.
#[derive(Debug)]
pub(crate) struct Served {
    answers: HashMap<(Peer, u64), Answer, RandomState>,
    bytes: usize,
    bytes_max: usize,
    timeout: Duration,
}

#[derive(Debug)]
struct Answer {
    response: Response,
    touched: Instant,
}

impl Served {
    pub(crate) fn new(bytes_max: usize, timeout: Duration, hasher: RandomState) -> Self {
        Self { answers: HashMap::with_hasher(hasher), bytes: 0, bytes_max, timeout }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps an answer in place of an older one to the same question. One above the bound is not
    /// kept: its other blocks are asked for as questions of their own.
    pub(crate) fn keep(&mut self, now: Instant, of: (Peer, u64), response: Response) {
        self.forget(of);
        let cost = cost(&response);
        if cost > self.bytes_max {
            return;
        }
        if self.bytes + cost > self.bytes_max {
            self.make_room(now);
        }
        self.bytes += cost;
        self.answers.insert(of, Answer { response, touched: now });
    }

    /// The answer to a question, if it is still kept.
    pub(crate) fn find(&mut self, now: Instant, of: (Peer, u64)) -> Option<&Response> {
        let answer = self.answers.get_mut(&of)?;
        answer.touched = now;
        Some(&answer.response)
    }

    /// Drops what nobody has asked for since the timeout.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let timeout = self.timeout;
        self.drop_before(now - timeout);
        if self.answers.is_empty() {
            self.answers.shrink_to_fit();
        }
    }

    fn forget(&mut self, of: (Peer, u64)) {
        if let Some(answer) = self.answers.remove(&of) {
            self.bytes = self.bytes.saturating_sub(cost(&answer.response));
        }
    }

    /// Drops the older half, so that a full store is searched once in many answers.
    fn make_room(&mut self, now: Instant) {
        self.drop_before(now - self.timeout);
        let mut times: Vec<Instant> = self.answers.values().map(|answer| answer.touched).collect();
        let middle = times.len() / 2;
        if middle < times.len() {
            let (_, &mut median, _) = times.select_nth_unstable(middle);
            self.drop_before(median);
        }
        if self.bytes > self.bytes_max / 2 {
            self.answers.clear();
            self.bytes = 0;
        }
    }

    /// Drops what was touched at `point` or before.
    fn drop_before(&mut self, point: Instant) {
        let mut freed = 0;
        self.answers.retain(|_, answer| {
            let alive = answer.touched > point;
            freed += if alive { 0 } else { cost(&answer.response) };
            alive
        });
        self.bytes = self.bytes.saturating_sub(freed);
    }
}

fn cost(response: &Response) -> usize {
    response.payload.len() + response.options.as_bytes().len() + ANSWER_COST
}

/// What a kept answer costs beside its bytes: map entry 128, two allocations.
const ANSWER_COST: usize = 192;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    fn of(port: u16) -> (Peer, u64) {
        (Peer::new(0, [127, 0, 0, 1].into(), ([127, 0, 0, 2], port).into()), 1)
    }

    fn large(len: usize) -> Response {
        let payload = (0..len).map(|n| n as u8).collect();
        Response { payload, ..Response::new(Code::CONTENT) }
    }

    fn asked(number: u32, szx: u8) -> Option<BlockOption> {
        Some(BlockOption { number, more: false, size: BlockSize::new(szx).unwrap() })
    }

    #[test]
    fn answers_are_cut_where_they_are_asked_for() {
        let whole = large(100);
        for (block, expected) in [
            (None, Some((0, 64, 0b1010))),
            (asked(0, 0), Some((0, 16, 0b1000))),
            (asked(6, 0), Some((96, 100, 0x60))),
            (asked(1, 2), Some((64, 100, 0x12))),
            (asked(1, 6), None),
            (asked(7, 0), None),
            (asked(BlockOption::NUMBER_MAX, 6), None),
        ] {
            let cut = cut(&whole, block, BlockSize::new(2).unwrap());
            match (cut, expected) {
                (Cut::Block { response, .. }, Some((from, to, value))) => {
                    assert_eq!(response.payload, whole.payload[from..to], "{block:?}");
                    let option = response.options.options().uint(OptionNumber::BLOCK2, 3);
                    assert_eq!(option, Some(value), "{block:?}");
                }
                (Cut::Beyond, None) => {}
                (cut, _) => panic!("{block:?}: {cut:?}"),
            }
        }
        assert_eq!(cut(&large(64), None, BlockSize::new(2).unwrap()), Cut::Whole);
        assert!(matches!(cut(&large(0), asked(0, 2), BlockSize::MAX), Cut::Block { .. }));
    }

    #[test]
    fn answers_are_kept_within_the_bound_and_for_a_while() {
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        let mut served = Served::new(20_000, Duration::from_secs(60), hasher);
        for port in 0..1_000u16 {
            served.keep(at(u64::from(port)), of(port), large(2_000));
            assert!(served.bytes <= 20_000);
        }
        assert!(served.find(at(1_000), of(999)).is_some());
        assert!(served.find(at(1_000), of(1)).is_none());
        served.keep(at(1_000), of(5), large(20_001));
        assert!(served.find(at(1_000), of(5)).is_none());
        served.sweep(at(1_060));
        assert!(served.is_empty() && served.bytes == 0);
    }

    #[test]
    fn a_full_store_keeps_the_newer_answers() {
        let one = cost(&large(1_000));
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        let mut served = Served::new(10 * one, Duration::from_secs(60), hasher);
        for port in 0..10 {
            served.keep(at(u64::from(port)), of(port), large(1_000));
        }
        served.keep(at(10), of(9), large(1_000));
        assert_eq!(served.bytes(), 10 * one, "an answer replaces the former one to its question");
        served.keep(at(11), of(10), large(1_000));
        assert_eq!(served.bytes(), 5 * one);
        for port in 0..=10 {
            assert_eq!(served.find(at(12), of(port)).is_some(), port > 5, "{port}");
        }
        served.keep(at(100), of(11), large(10_000 - 1));
        assert_eq!(served.bytes(), cost(&large(10_000 - 1)), "the others are past their time");
    }
}
