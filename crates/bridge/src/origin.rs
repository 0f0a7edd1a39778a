//! Who asked for a command and what its answer must repeat, packed into [`engine::Origin`].
//!
//! The engine keeps these bytes with each command and observation and hands them back with every
//! outcome, so they hold what an answer needs and nothing else.

use engine::Origin;

use crate::json::{self, Members};
use crate::message::MessageType;

/// The origin of observations that no command asked for (contract, section 7): it has nothing to be
/// repeated.
#[must_use]
pub fn auto_observe_origin() -> Origin {
    Origin::default()
}

/// What of a command its answer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked<'a> {
    pub(crate) message: MessageType,
    /// Which of the mountpoints the command came in by.
    pub(crate) mount: u16,
    /// What stood in its topic in the place of the device's address.
    pub(crate) address: Option<&'a str>,
    /// The members to repeat, as `"name":value,"name":value`.
    pub(crate) echo: &'a str,
    /// Whether one of them is `seqNum`, which a notification brings itself.
    pub(crate) echoes_sequence: bool,
    /// The command's `data` as it came.
    pub(crate) data: &'a str,
    /// Where in `data` the characters of `reqPath` are, without quotes; `None`: there are none.
    pub(crate) request_path: Option<Span>,
    /// MQTT 5 Response Topic.
    pub(crate) response_topic: Option<&'a str>,
    /// MQTT 5 Correlation Data.
    pub(crate) correlation: Option<&'a [u8]>,
}

/// A piece of a text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    /// Where `part`, which is a piece of `whole` itself, begins.
    pub(crate) fn of(part: &str, whole: &str) -> Option<Self> {
        let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
        let end = start.checked_add(part.len())?;
        let span = Self { start: start.try_into().ok()?, len: part.len().try_into().ok()? };
        (end <= whole.len()).then_some(span)
    }

    fn cut(self, whole: &str) -> Option<&str> {
        let start = self.start as usize;
        whole.get(start..start.checked_add(self.len as usize)?)
    }
}

/// Of the packed form. Origins survive a restart inside stored observations, also one with an
/// update of the program: whoever changes the form gives it another number and keeps reading this
/// one.
const FORM: u8 = 1;

const HAS_REQUEST_PATH: u8 = 1;
const HAS_RESPONSE_TOPIC: u8 = 2;
const HAS_CORRELATION: u8 = 4;
const ECHOES_SEQUENCE: u8 = 8;
const HAS_ADDRESS: u8 = 16;

impl<'a> Asked<'a> {
    /// The characters of `reqPath` as they stood in the command, escapes included.
    pub(crate) fn request_path(&self) -> Option<&'a str> {
        self.request_path.and_then(|span| span.cut(self.data))
    }

    /// Where whoever asked waits for an answer, and what tells him which it is.
    pub(crate) fn reply_to(&self) -> Option<(&'a str, Option<&'a [u8]>)> {
        Some((self.response_topic?, self.correlation))
    }

    /// Packs everything into one allocation.
    pub(crate) fn pack(&self) -> Origin {
        let texts = self.echo.len() + self.data.len() + self.response_topic.map_or(0, str::len);
        let mut out = Vec::with_capacity(24 + texts + self.correlation.map_or(0, <[u8]>::len));
        out.extend_from_slice(&[FORM, self.message.number(), self.flags()]);
        push_number(&mut out, u32::from(self.mount));
        push_block(&mut out, self.echo.as_bytes());
        push_block(&mut out, self.data.as_bytes());
        if let Some(span) = self.request_path {
            push_number(&mut out, span.start);
            push_number(&mut out, span.len);
        }
        if let Some(topic) = self.response_topic {
            push_block(&mut out, topic.as_bytes());
        }
        if let Some(correlation) = self.correlation {
            push_block(&mut out, correlation);
        }
        if let Some(address) = self.address {
            push_block(&mut out, address.as_bytes());
        }
        Origin::from(out)
    }

    const fn flags(&self) -> u8 {
        let mut flags = 0;
        if self.request_path.is_some() {
            flags |= HAS_REQUEST_PATH;
        }
        if self.response_topic.is_some() {
            flags |= HAS_RESPONSE_TOPIC;
        }
        if self.correlation.is_some() {
            flags |= HAS_CORRELATION;
        }
        if self.echoes_sequence {
            flags |= ECHOES_SEQUENCE;
        }
        if self.address.is_some() {
            flags |= HAS_ADDRESS;
        }
        flags
    }

    /// Reads what [`Asked::pack`] wrote; `None` for an origin that is not from here.
    pub(crate) fn unpack(origin: &'a Origin) -> Option<Self> {
        let mut reader = Reader(origin.as_bytes());
        if reader.byte()? != FORM {
            return None;
        }
        let message = MessageType::from_number(reader.byte()?)?;
        let flags = reader.byte()?;
        let has = |flag: u8| flags & flag != 0;
        let mount = reader.number()?.try_into().ok()?;
        let echo = reader.text()?;
        let data = reader.text()?;
        let request_path = match has(HAS_REQUEST_PATH) {
            true => Some(Span { start: reader.number()?, len: reader.number()? }),
            false => None,
        };
        let response_topic = if has(HAS_RESPONSE_TOPIC) { Some(reader.text()?) } else { None };
        let correlation = if has(HAS_CORRELATION) { Some(reader.block()?) } else { None };
        let address = if has(HAS_ADDRESS) { Some(reader.text()?) } else { None };
        let echoes_sequence = has(ECHOES_SEQUENCE);
        Some(Self {
            message,
            mount,
            address,
            echo,
            echoes_sequence,
            data,
            request_path,
            response_topic,
            correlation,
        })
    }

    /// Appends the members to repeat, each followed by a comma.
    pub(crate) fn push_echo(&self, out: &mut Vec<u8>, sequence: Sequence) {
        if sequence == Sequence::FromDevice && self.echoes_sequence {
            return self.push_echo_without_sequence(out);
        }
        if !self.echo.is_empty() {
            out.extend_from_slice(self.echo.as_bytes());
            out.push(b',');
        }
    }

    /// A member named `seqNum` gives way to that of the notification, or the name would stand
    /// twice.
    fn push_echo_without_sequence(&self, out: &mut Vec<u8>) {
        let object = format!("{{{}}}", self.echo);
        let Ok(members) = Members::parse(object.as_bytes()) else { return };
        for (name, value) in members.iter().filter(|(name, _)| *name != SEQUENCE_MEMBER) {
            push_member(out, name, value.text());
        }
    }
}

/// The member that a notification's Observe number stands in.
pub(crate) const SEQUENCE_MEMBER: &str = "seqNum";

/// Whose `seqNum` a message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// None, or one that the application sent and gets back.
    FromApplication,
    /// That of the notification.
    FromDevice,
}

/// Appends `"name":value,`.
pub(crate) fn push_member(out: &mut Vec<u8>, name: &str, value: &str) {
    json::push_string(out, name);
    out.push(b':');
    out.extend_from_slice(value.as_bytes());
    out.push(b',');
}

fn push_block(out: &mut Vec<u8>, bytes: &[u8]) {
    // Payloads of commands are far below 4 GiB: MQTT itself ends at 256 MiB.
    push_number(out, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

/// Seven bits a byte, lowest first: most lengths take one.
fn push_number(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u32> {
        let mut number: u32 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn block(&mut self) -> Option<&'a [u8]> {
        let len = self.number()? as usize;
        let (block, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(block)
    }

    fn text(&mut self) -> Option<&'a str> {
        core::str::from_utf8(self.block()?).ok()
    }
}

#[cfg(test)]
mod tests;
