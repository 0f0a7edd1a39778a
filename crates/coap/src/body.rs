//! Bodies in the client's role: requests that leave as Block1, answers that come as Block2:
//! RFC 7959 2.3 to 2.5, 2.9.
//!
//! Both are plain state; sending the messages is the job of [`crate::endpoint`].

use alloc::vec::Vec;
use core::ops::Range;

use crate::block::{BlockOption, BlockSize};
use crate::{Code, ExchangeFailure, OptionNumber, Options};

/// A request body that leaves in blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    size: BlockSize,
    offset: usize,
    len: usize,
    /// Whether 4.08 has made it begin anew already.
    restarted: bool,
    /// Request-Tag, if bodies carry one.
    pub(crate) tag: Option<u32>,
}

/// What the answer to a block leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The next message is to be sent.
    GoOn,
    /// This is the answer to the whole request.
    Final,
    /// The peer does not keep to the rules.
    Fail,
}

impl Sending {
    /// A body of `len` bytes from its beginning.
    pub(crate) const fn new(size: BlockSize, len: usize, tag: Option<u32>) -> Self {
        Self { size, offset: 0, len, restarted: false, tag }
    }

    /// The block to be sent and where it lies in the body.
    pub(crate) fn block(&self) -> (BlockOption, Range<usize>) {
        let end = (self.offset + self.size.bytes()).min(self.len);
        let number = (self.offset / self.size.bytes()) as u32;
        (BlockOption { number, more: end < self.len, size: self.size }, self.offset..end)
    }

    /// Whether the first block is due, which says how long the body is (RFC 7959 4).
    pub(crate) const fn is_first(&self) -> bool {
        self.offset == 0
    }

    /// Takes the answer to the block that was sent.
    pub(crate) fn answered(&mut self, code: Code, echoed: Option<BlockOption>) -> Sent {
        let (sent, range) = self.block();
        match code {
            Code::REQUEST_ENTITY_TOO_LARGE => self.shrink(echoed),
            Code::REQUEST_ENTITY_INCOMPLETE if !self.restarted => {
                self.restarted = true;
                self.offset = 0;
                Sent::GoOn
            }
            // 2.31, or the answer of a server that takes each block for itself (figure 8).
            code if code.is_success() && sent.more => match echoed {
                None if code == Code::CONTINUE => Sent::Fail,
                None => Sent::Final,
                Some(echoed) if echoed.offset() != range.start => Sent::Fail,
                Some(echoed) => {
                    self.offset = range.end;
                    // A server may ask for smaller blocks, never for larger ones.
                    self.size = self.size.min(echoed.size);
                    Sent::GoOn
                }
            },
            Code::CONTINUE => Sent::Fail,
            _ => Sent::Final,
        }
    }

    /// 4.13 with a smaller size: from the beginning, with that size (RFC 7959 2.9.3).
    fn shrink(&mut self, echoed: Option<BlockOption>) -> Sent {
        match echoed {
            Some(echoed) if echoed.size < self.size => {
                self.size = echoed.size;
                self.offset = 0;
                Sent::GoOn
            }
            _ => Sent::Final,
        }
    }
}

/// The size that 4.13 asks for, if a request without blocks is to be sent again in blocks.
pub(crate) fn wanted_size(
    code: Code,
    echoed: Option<BlockOption>,
    len: usize,
) -> Option<BlockSize> {
    let size = echoed.filter(|_| code == Code::REQUEST_ENTITY_TOO_LARGE)?.size;
    (size.bytes() < len).then_some(size)
}

/// An answer that comes in blocks.
#[derive(Debug)]
pub(crate) struct Fetching {
    /// Code and options of the first block: those of the whole.
    pub(crate) code: Code,
    pub(crate) options: Options<'static>,
    body: Vec<u8>,
    size: BlockSize,
    /// Whether a change on the way has made it begin anew already.
    restarted: bool,
}

/// What a block of an answer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// This block is wanted next.
    Ask(BlockOption),
    /// The body is complete.
    Done,
    /// It cannot be completed.
    Fail(ExchangeFailure),
}

impl Fetching {
    /// Begins with the first block, which says that others follow.
    pub(crate) fn new(code: Code, options: Options<'static>, size: BlockSize) -> Self {
        Self { code, options, body: Vec::new(), size, restarted: false }
    }

    /// Bytes that have come so far.
    pub(crate) const fn len(&self) -> usize {
        self.body.len()
    }

    /// The whole body.
    pub(crate) fn into_parts(self) -> (Code, Options<'static>, Vec<u8>) {
        (self.code, self.options, self.body)
    }

    /// Takes a block that is part of the same representation as the first one.
    pub(crate) fn take(
        &mut self,
        block: BlockOption,
        options: &Options<'_>,
        payload: &[u8],
        body_max: usize,
    ) -> Fetched {
        let full = payload.len() == block.size.bytes();
        let fits = if block.more { full } else { payload.len() <= block.size.bytes() };
        let changed = options.etag() != self.options.etag();
        if !fits || changed || block.offset() != self.body.len() {
            return self.restart();
        }
        let announced = options.uint(OptionNumber::SIZE2, 4).unwrap_or(0) as usize;
        if announced.max(self.body.len() + payload.len()) > body_max {
            return Fetched::Fail(ExchangeFailure::BodyTooLarge);
        }
        self.body.extend_from_slice(payload);
        if !block.more {
            return Fetched::Done;
        }
        self.size = self.size.min(block.size);
        self.ask()
    }

    /// Takes an answer without Block2 to the question for a block: the whole at once.
    pub(crate) fn replace(&mut self, code: Code, options: Options<'static>, payload: &[u8]) {
        self.code = code;
        self.options = options;
        self.body.clear();
        self.body.extend_from_slice(payload);
    }

    /// Takes the options of a new first block after a restart.
    pub(crate) fn begin_anew(&mut self, code: Code, options: Options<'static>) {
        self.code = code;
        self.options = options;
        self.body.clear();
    }

    /// Whether the first block is waited for.
    pub(crate) const fn is_at_start(&self) -> bool {
        self.body.is_empty()
    }

    /// Begins anew, once: the resource changed, or a block was mixed up.
    pub(crate) fn restart(&mut self) -> Fetched {
        if self.restarted {
            return Fetched::Fail(ExchangeFailure::BlockMismatch);
        }
        self.restarted = true;
        self.body.clear();
        self.ask()
    }

    fn ask(&self) -> Fetched {
        let number = self.body.len() / self.size.bytes();
        match u32::try_from(number) {
            Ok(number) if number <= BlockOption::NUMBER_MAX => {
                Fetched::Ask(BlockOption { number, more: false, size: self.size })
            }
            _ => Fetched::Fail(ExchangeFailure::BodyTooLarge),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptionList;

    fn option(number: u32, more: bool, szx: u8) -> BlockOption {
        BlockOption { number, more, size: BlockSize::new(szx).unwrap() }
    }

    /// Fact 35: 2.31 goes on, a smaller size is followed, 4.08 begins anew once, 4.13 goes smaller.
    #[test]
    fn the_answers_to_a_block_of_a_request() {
        let mut body = Sending::new(BlockSize::new(3).unwrap(), 300, None);
        assert_eq!(body.block(), (option(0, true, 3), 0..128));
        assert_eq!(body.answered(Code::CONTINUE, Some(option(0, true, 1))), Sent::GoOn);
        assert_eq!(body.block(), (option(4, true, 1), 128..160));
        assert_eq!(body.answered(Code::REQUEST_ENTITY_INCOMPLETE, None), Sent::GoOn);
        assert_eq!(body.block(), (option(0, true, 1), 0..32));
        assert_eq!(body.answered(Code::REQUEST_ENTITY_INCOMPLETE, None), Sent::Final);
        assert_eq!(
            body.answered(Code::REQUEST_ENTITY_TOO_LARGE, Some(option(0, false, 0))),
            Sent::GoOn
        );
        assert_eq!(body.block(), (option(0, true, 0), 0..16));
        assert_eq!(
            body.answered(Code::REQUEST_ENTITY_TOO_LARGE, Some(option(0, false, 0))),
            Sent::Final
        );
        assert_eq!(body.answered(Code::CONTINUE, Some(option(3, true, 0))), Sent::Fail);
        assert_eq!(body.answered(Code::CONTINUE, None), Sent::Fail);
        assert_eq!(body.answered(Code::NOT_FOUND, None), Sent::Final);
    }

    #[test]
    fn a_larger_size_is_not_followed_and_the_last_block_gets_no_continue() {
        let mut body = Sending::new(BlockSize::new(0).unwrap(), 20, None);
        assert_eq!(body.answered(Code::CONTINUE, Some(option(0, true, 6))), Sent::GoOn);
        assert_eq!(body.block(), (option(1, false, 0), 16..20));
        assert_eq!(body.answered(Code::CONTINUE, Some(option(1, false, 0))), Sent::Fail);
        assert_eq!(body.answered(Code::CHANGED, Some(option(1, false, 0))), Sent::Final);
    }

    fn tagged(tag: &[u8]) -> Options<'static> {
        OptionList::new().with(OptionNumber::ETAG, tag).into_options()
    }

    /// Fact 34: the ETag of all blocks must agree; a change begins anew, once.
    #[test]
    fn blocks_of_an_answer_are_put_together_while_their_etag_agrees() {
        let size = BlockSize::new(0).unwrap();
        let mut body = Fetching::new(Code::CONTENT, tagged(b"a"), size);
        let next = body.take(option(0, true, 0), &tagged(b"a"), &[0; 16], 100);
        assert_eq!(next, Fetched::Ask(option(1, false, 0)));
        let changed = body.take(option(1, true, 0), &tagged(b"b"), &[1; 16], 100);
        assert_eq!(changed, Fetched::Ask(option(0, false, 0)));
        body.begin_anew(Code::CONTENT, tagged(b"b"));
        body.take(option(0, true, 0), &tagged(b"b"), &[2; 16], 100);
        let done = body.take(option(1, false, 0), &tagged(b"b"), &[3; 4], 100);
        assert_eq!(done, Fetched::Done);
        assert_eq!(body.into_parts().2, [&[2; 16][..], &[3; 4]].concat());
    }

    #[test]
    fn a_body_that_never_fits_or_never_ends_is_given_up() {
        let size = BlockSize::new(0).unwrap();
        let mut body = Fetching::new(Code::CONTENT, Options::EMPTY, size);
        let again = body.take(option(7, true, 0), &Options::EMPTY, &[0; 16], 100);
        assert_eq!(again, Fetched::Ask(option(0, false, 0)));
        let short = body.take(option(0, true, 0), &Options::EMPTY, &[0; 3], 100);
        assert_eq!(short, Fetched::Fail(ExchangeFailure::BlockMismatch));
        let mut body = Fetching::new(Code::CONTENT, Options::EMPTY, size);
        for number in 0..6 {
            body.take(option(number, true, 0), &Options::EMPTY, &[0; 16], 100);
        }
        let large = body.take(option(6, true, 0), &Options::EMPTY, &[0; 16], 100);
        assert_eq!(large, Fetched::Fail(ExchangeFailure::BodyTooLarge));
    }
}
