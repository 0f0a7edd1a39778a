//! Who and what the engine talks about: registrations, commands, claims, proven identities.
//!
//! A device is known by its registration id in the path, by a token and by its proven identity,
//! never by its source address. Tokens are the business of [`coap`].

use core::fmt;
use std::sync::Arc;

/// The number of characters a [`RegistrationId`] takes in a Location-Path.
pub const REGISTRATION_ID_LEN: usize = 12;

/// The identifier that the Location-Path of a registration ends with.
///
/// Nine bytes: the shard that owns the registration, then 64 random bits, since a NoSec device is
/// known by nothing else. Written as 12 characters of unpadded base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistrationId {
    random: u64,
    shard: u8,
}

impl RegistrationId {
    /// The id made of a shard number and 64 bits that nobody can guess.
    #[must_use]
    pub const fn new(shard: u8, random: u64) -> Self {
        Self { random, shard }
    }

    /// Reads the last segment of a Location-Path; `None` for whatever is not 12 characters of
    /// base64url.
    #[must_use]
    pub fn parse(segment: &[u8]) -> Option<Self> {
        let segment: &[u8; REGISTRATION_ID_LEN] = segment.try_into().ok()?;
        let mut bits: u128 = 0;
        for &character in segment {
            bits = bits << 6 | u128::from(sextet(character)?);
        }
        let [.., shard, a, b, c, d, e, f, g, h] = bits.to_be_bytes();
        Some(Self { shard, random: u64::from_be_bytes([a, b, c, d, e, f, g, h]) })
    }

    /// The shard that gave the id out, and that datagrams carrying it belong to.
    #[must_use]
    pub const fn shard(self) -> u8 {
        self.shard
    }

    /// The random part, which is also its hash.
    #[must_use]
    pub const fn random(self) -> u64 {
        self.random
    }

    /// The 12 characters of the Location-Path segment.
    #[must_use]
    pub fn to_segment(self) -> [u8; REGISTRATION_ID_LEN] {
        let bits = u128::from(self.shard) << 64 | u128::from(self.random);
        core::array::from_fn(|place| {
            let shift = 6 * (REGISTRATION_ID_LEN - 1 - place);
            let sextet = (bits >> shift) as usize & 0x3f;
            ALPHABET.get(sextet).copied().unwrap_or(b'A')
        })
    }
}

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_segment().iter().try_for_each(|&byte| fmt::Write::write_char(f, char::from(byte)))
    }
}

impl fmt::Debug for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An accepted command; unique within its shard, also across a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub(crate) u64);

impl CommandId {
    /// The number of the command, for logs.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A question to the directory of endpoint names that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimId(pub(crate) u64);

/// What the transport has proven about the sender of a datagram.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum Identity {
    /// Nothing: plain UDP.
    #[default]
    None,
    /// The identity of the pre-shared key the session was made with.
    Psk(Arc<str>),
    /// The subject's common name, or the first subject alternative name, of a checked certificate.
    Certificate(Arc<str>),
}

impl Identity {
    /// The name that a Register without `ep` is taken to mean (OMA Core 6.2.1).
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Psk(name) | Self::Certificate(name) => Some(name),
        }
    }
}

fn sextet(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

/// Base64url, RFC 4648 5.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_id_survives_its_text() {
        for (shard, random) in [(0, 0), (1, 1), (255, u64::MAX), (7, 0x0123_4567_89ab_cdef)] {
            let id = RegistrationId::new(shard, random);
            let text = id.to_string();
            assert_eq!(text.len(), REGISTRATION_ID_LEN);
            assert_eq!(RegistrationId::parse(text.as_bytes()), Some(id));
        }
        assert_eq!(RegistrationId::new(0, 0).to_string(), "AAAAAAAAAAAA");
        assert_eq!(RegistrationId::new(255, u64::MAX).to_string(), "____________");
    }

    #[test]
    fn only_twelve_characters_of_base64url_are_an_id() {
        for segment in
            ["", "AAAAAAAAAAA", "AAAAAAAAAAAAA", "AAAAAAAAAAA=", "AAAA/AAAAAAA", "äAAAAAAAAAA"]
        {
            assert_eq!(RegistrationId::parse(segment.as_bytes()), None, "{segment}");
        }
    }
}
