//! Bodies larger than a datagram, as a device sees them: RFC 7959.
//!
//! One body comes in at a time and one is kept while it is fetched: a device has one server, which
//! asks one thing at a time. Requests of the device's own leave in blocks in [`crate::requests`].

use coap::{Code, Instant, Message, OptionList, OptionNumber};

use crate::reply::Reply;

/// Value of a Block1 or Block2 option: RFC 7959 2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) number: u32,
    pub(crate) more: bool,
    /// Size exponent, 0 to 6.
    pub(crate) szx: u8,
}

impl Block {
    /// The option of a message: `Ok(None)` when absent, 4.02 when it is not allowed.
    pub(crate) fn of(message: &Message<'_>, number: OptionNumber) -> Result<Option<Self>, Code> {
        const LEN_MAX: usize = 3;
        const SZX_RESERVED: u32 = 7;
        if message.options.first(number).is_none() {
            return Ok(None);
        }
        let value = message.options.uint(number, LEN_MAX).ok_or(Code::BAD_OPTION)?;
        if value & SZX_RESERVED == SZX_RESERVED {
            return Err(Code::BAD_OPTION);
        }
        Ok(Some(Self { number: value >> 4, more: value & 8 != 0, szx: (value & 7) as u8 }))
    }

    /// Bytes of a block, 16 to 1024.
    pub(crate) const fn size(self) -> usize {
        16 << self.szx
    }

    /// Where the block begins; at most 2^30.
    pub(crate) const fn offset(self) -> usize {
        self.number as usize * self.size()
    }

    pub(crate) fn push(self, options: &mut OptionList, number: OptionNumber) {
        let more = if self.more { 8 } else { 0 };
        let value = u64::from(self.number) << 4 | more | u64::from(self.szx);
        options.push_uint(number, value);
    }
}

/// The exponent of the largest block that is not above `bytes`.
pub(crate) fn szx_of(bytes: u16) -> u8 {
    const SZX_MAX: u32 = 6;
    (bytes.max(16).ilog2() - 4).min(SZX_MAX) as u8
}

/// What a request is about: the same for all of its blocks. FNV-1a over path, query, Accept and
/// Request-Tag; for a FETCH over its payload too.
///
/// A simulated device is asked by one server, so nobody gains by making two requests collide.
pub(crate) fn key_of(message: &Message<'_>) -> u64 {
    let mut key = Fnv::new();
    key.add(&[message.code.byte()]);
    for (number, value) in message.options.iter() {
        let counts = [
            OptionNumber::URI_PATH,
            OptionNumber::URI_QUERY,
            OptionNumber::ACCEPT,
            OptionNumber::REQUEST_TAG,
        ];
        if counts.contains(&number) {
            key.add(&number.0.to_be_bytes());
            key.add(value);
        }
    }
    if message.code == Code::FETCH {
        key.add(message.payload);
    }
    key.0
}

struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // Ends the field, so that two neighbours cannot trade bytes.
        self.0 = (self.0 ^ 0x100).wrapping_mul(0x0100_0000_01b3);
    }
}

/// A body that is coming in.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    key: u64,
    body: Vec<u8>,
    until: Instant,
}

/// What a block of a request leads to.
pub(crate) enum Received {
    /// The body is complete.
    Body(Vec<u8>),
    /// The block is answered, the body goes on or is refused.
    Answer(Reply),
}

/// Limits for bodies that come in.
#[derive(Clone, Copy)]
pub(crate) struct UploadLimits {
    /// Largest block.
    pub(crate) szx: u8,
    /// What is said to a larger one.
    pub(crate) large: crate::LargeBlock,
    /// Largest body.
    pub(crate) body_max: usize,
    /// Until when the next block has to come.
    pub(crate) until: Instant,
}

impl Upload {
    /// Takes one block of a request with Block1.
    pub(crate) fn receive(
        current: &mut Option<Box<Self>>,
        message: &Message<'_>,
        block: Block,
        limits: UploadLimits,
    ) -> Received {
        let key = key_of(message);
        if block.number == 0 {
            if block.szx > limits.szx && limits.large == crate::LargeBlock::Restart {
                let smaller = Block { szx: limits.szx, ..block };
                return Received::Answer(too_large(smaller));
            }
            *current = Some(Box::new(Self { key, body: Vec::new(), until: limits.until }));
        }
        let incomplete = || Received::Answer(Reply::code(Code::REQUEST_ENTITY_INCOMPLETE));
        let Some(upload) = current.as_mut().filter(|upload| upload.key == key) else {
            return incomplete();
        };
        if block.offset() != upload.body.len()
            || block.more && message.payload.len() != block.size()
        {
            return incomplete();
        }
        if upload.body.len() + message.payload.len() > limits.body_max {
            *current = None;
            return Received::Answer(too_large(block));
        }
        upload.body.extend_from_slice(message.payload);
        upload.until = limits.until;
        if block.more {
            let mut reply = Reply::code(Code::CONTINUE);
            let szx = block.szx.min(limits.szx);
            Block { szx, ..block }.push(&mut reply.options, OptionNumber::BLOCK1);
            return Received::Answer(reply);
        }
        let body = std::mem::take(&mut upload.body);
        *current = None;
        Received::Body(body)
    }

    pub(crate) const fn until(&self) -> Instant {
        self.until
    }
}

fn too_large(block: Block) -> Reply {
    let mut reply = Reply::code(Code::REQUEST_ENTITY_TOO_LARGE);
    block.push(&mut reply.options, OptionNumber::BLOCK1);
    reply
}

/// A body that is being fetched block by block.
#[derive(Debug, Clone)]
pub(crate) struct Download {
    key: u64,
    reply: Reply,
    until: Instant,
}

impl Download {
    pub(crate) const fn new(key: u64, reply: Reply, until: Instant) -> Self {
        Self { key, reply, until }
    }

    /// The kept body, if it is that of the request.
    pub(crate) fn of(current: Option<&Self>, key: u64) -> Option<&Reply> {
        current.filter(|download| download.key == key).map(|download| &download.reply)
    }

    pub(crate) const fn until(&self) -> Instant {
        self.until
    }
}

/// The part of a large reply that a block names; the whole reply when it is small and no block was
/// asked for. Says whether more follows.
pub(crate) fn slice(reply: &Reply, wanted: Option<Block>, szx: u8) -> (Reply, bool) {
    let first = Block { number: 0, more: false, szx };
    let asked = wanted.unwrap_or(first);
    // A smaller size than was asked for keeps the offset: RFC 7959 2.4.
    let szx = asked.szx.min(szx);
    let offset = asked.offset();
    let number = (offset >> (szx + 4)) as u32;
    let block = Block { number, more: false, szx };
    if wanted.is_none() && reply.payload.len() <= block.size() {
        return (reply.clone(), false);
    }
    let Some(rest) = reply.payload.get(offset..).filter(|rest| !rest.is_empty() || offset == 0)
    else {
        return (Reply::code(Code::BAD_REQUEST), false);
    };
    let more = rest.len() > block.size();
    let part = rest.get(..block.size()).unwrap_or(rest);
    let mut sliced =
        Reply { code: reply.code, options: reply.options.clone(), payload: part.into() };
    Block { more, ..block }.push(&mut sliced.options, OptionNumber::BLOCK2);
    if offset == 0 {
        sliced.options.push_uint(OptionNumber::SIZE2, reply.payload.len() as u64);
    } else {
        sliced.options.remove(OptionNumber::OBSERVE);
    }
    (sliced, more)
}
