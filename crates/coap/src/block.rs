//! Block options: RFC 7959 2.1, 2.2.
//!
//! Receiving bodies is the job of [`crate::upload`] and [`crate::download`], sending them that of
//! [`crate::exchange`] and [`crate::serve`].

use crate::{OptionNumber, Options};

/// Size of a block as its exponent: 0 to 6 for 16 to 1024 bytes (RFC 7959 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockSize(u8);

impl BlockSize {
    pub(crate) const MAX: Self = Self(6);

    /// The exponent of an option; 7 is reserved over UDP.
    pub(crate) fn new(szx: u8) -> Option<Self> {
        (szx <= Self::MAX.0).then_some(Self(szx))
    }

    /// The largest size that is not above `bytes`; 16 if even that is.
    pub(crate) fn at_most(bytes: u16) -> Self {
        let exponent = (bytes.max(16).ilog2() - 4) as u8;
        Self(exponent.min(Self::MAX.0))
    }

    /// Bytes of a block, 16 to 1024.
    pub(crate) const fn bytes(self) -> usize {
        16 << self.0
    }
}

/// Value of a Block1 or Block2 option (RFC 7959 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockOption {
    /// Number of the block, below 2^20.
    pub(crate) number: u32,
    /// Whether more blocks follow.
    pub(crate) more: bool,
    /// Size of the blocks.
    pub(crate) size: BlockSize,
}

impl BlockOption {
    /// Blocks are counted with 20 bits.
    pub(crate) const NUMBER_MAX: u32 = (1 << 20) - 1;

    /// The option in a message: `None` if absent.
    ///
    /// # Errors
    /// Over-long, or the reserved size exponent 7.
    pub(crate) fn of(
        options: &Options<'_>,
        number: OptionNumber,
    ) -> Result<Option<Self>, BadBlock> {
        let Some(value) = options.first(number) else {
            return Ok(None);
        };
        if value.len() > 3 {
            return Err(BadBlock);
        }
        let value = crate::options::uint(value);
        let size = BlockSize::new((value & 0b111) as u8).ok_or(BadBlock)?;
        Ok(Some(Self { number: value >> 4, more: value & 0b1000 != 0, size }))
    }

    /// The value of the option.
    pub(crate) fn value(self) -> u64 {
        u64::from(self.number) << 4 | u64::from(self.more) << 3 | u64::from(self.size.0)
    }

    /// Where the block begins in the body: at most 2^30.
    pub(crate) fn offset(self) -> usize {
        self.number as usize * self.size.bytes()
    }
}

/// A block option that RFC 7959 2.2 does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadBlock;
