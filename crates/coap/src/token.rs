//! Tokens and what they say about their giver: RFC 7252 5.3.1.
//!
//! Ours are 8 bytes: shard 1, slot 3, random 4. The shard lets a datagram find its owner, the slot
//! its exchange or observation, and the random part makes a token worthless to whoever was not
//! asked. Which slot is in use is the job of [`crate::slots`].

use core::fmt;
use core::hash::{Hash, Hasher};

/// Names a request or observation to its two ends; 0 to 8 bytes (RFC 7252 5.3.1).
#[derive(Clone, Copy, Default)]
pub struct Token {
    bytes: [u8; Self::LEN_MAX],
    len: u8,
}

impl Token {
    /// The longest token there is.
    pub const LEN_MAX: usize = 8;

    /// The token of no bytes.
    pub const EMPTY: Self = Self { bytes: [0; Self::LEN_MAX], len: 0 };

    /// The token of these bytes; `None` if there are more than 8.
    pub fn new(source: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LEN_MAX];
        bytes.get_mut(..source.len())?.copy_from_slice(source);
        Some(Self { bytes, len: source.len() as u8 })
    }

    /// The bytes as they stand in a message.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// Number of bytes, 0 to 8.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether this is the token of no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One of our own tokens. Only the low 24 bits of `slot` count.
    pub(crate) fn of_slot(shard: u8, slot: u32, random: u32) -> Self {
        let [_, s2, s1, s0] = slot.to_be_bytes();
        let [r3, r2, r1, r0] = random.to_be_bytes();
        Self { bytes: [shard, s2, s1, s0, r3, r2, r1, r0], len: 8 }
    }

    /// Shard, slot and random part, if this can be one of our own.
    pub(crate) fn parts(&self) -> Option<(u8, u32, u32)> {
        if self.len != 8 {
            return None;
        }
        let [shard, s2, s1, s0, r3, r2, r1, r0] = self.bytes;
        Some((shard, u32::from_be_bytes([0, s2, s1, s0]), u32::from_be_bytes([r3, r2, r1, r0])))
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Token {}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("token ")?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Which shard gave out the token of a datagram, if the datagram is a response or notification that
/// carries one of our tokens.
///
/// Looks at the header only. `None` for requests, empty messages, other protocol versions and
/// tokens of another length: those belong to whoever received them.
pub fn token_shard(datagram: &[u8]) -> Option<u8> {
    let &[first, code, _, _, shard, _, _, _, _, _, _, _, ..] = datagram else {
        return None;
    };
    let ours = first & 0b1100_1111 == 0b0100_1000;
    (ours && crate::Code::from_byte(code).is_response()).then_some(shard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_at_most_eight_bytes() {
        assert_eq!(Token::new(&[1; 8]).map(|token| token.len()), Some(8));
        assert_eq!(Token::new(&[1; 9]), None);
        assert_eq!(Token::new(&[]), Some(Token::EMPTY));
        assert_ne!(Token::new(&[0]), Some(Token::EMPTY));
    }

    #[test]
    fn our_tokens_carry_shard_slot_and_chance() {
        let token = Token::of_slot(7, 0x0012_3456, 0xdead_beef);
        assert_eq!(token.as_bytes(), [7, 0x12, 0x34, 0x56, 0xde, 0xad, 0xbe, 0xef]);
        assert_eq!(token.parts(), Some((7, 0x0012_3456, 0xdead_beef)));
        assert_eq!(Token::new(&[1, 2]).and_then(|token| token.parts()), None);
    }

    #[test]
    fn the_shard_is_read_from_responses_with_an_eight_byte_token_only() {
        let response = [0x48, 0x45, 0, 1, 3, 0, 0, 0, 1, 1, 1, 1];
        assert_eq!(token_shard(&response), Some(3));
        for (index, byte) in [(0, 0x44), (0, 0x88), (1, 0x01), (1, 0x00)] {
            let mut other = response;
            other[index] = byte;
            assert_eq!(token_shard(&other), None, "byte {index} = {byte:#x}");
        }
        assert_eq!(token_shard(&response[..11]), None);
    }
}
