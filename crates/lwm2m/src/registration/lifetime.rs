//! The lifetime of a registration: OMA Core 6.2.1, parameter `lt`.

use core::fmt;
use core::time::Duration;

/// Whole seconds that a registration lives without an Update.
///
/// Any number is kept, 0 and those beyond 32 bits as well: whether it is taken is a matter of the
/// configured limits, and timers saturate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lifetime(u64);

impl Lifetime {
    /// What a missing `lt` means (OMA Core Table 6.2.1.1-1).
    pub const DEFAULT: Self = Self(86_400);

    /// A lifetime of so many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Reads decimal digits, without a sign.
    pub fn parse(text: &str) -> Result<Self, LifetimeError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(LifetimeError::NotANumber);
        }
        text.parse().map(Self).map_err(|_| LifetimeError::TooLarge)
    }

    /// The seconds.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The same as a duration.
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why an `lt` is not a [`Lifetime`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LifetimeError {
    /// Not decimal digits only.
    #[error("the lifetime is not a number of seconds")]
    NotANumber,
    /// More than 64 bits hold.
    #[error("the lifetime is beyond 64 bits")]
    TooLarge,
}
