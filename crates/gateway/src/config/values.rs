//! Values with a unit: spans of time and sizes, as people write them.
//!
//! Which key has which unit is the job of the section types beside this module.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time, written `"500ms"`, `"30s"`, `"5m"`, `"1h"`, `"7d"`, or as bare seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

impl Period {
    /// A whole number of seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A whole number of milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// As the standard library's type.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Parses a number with a unit; a number alone is seconds. The resolution is a millisecond.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let millis_per_unit: f64 = match unit.trim() {
            "ms" => 1.0,
            "s" | "" => 1e3,
            "m" | "min" => 60e3,
            "h" => 3_600e3,
            "d" => 86_400e3,
            _ => return None,
        };
        Self::from_millis_f64(number.parse::<f64>().ok()? * millis_per_unit)
    }

    fn from_millis_f64(millis: f64) -> Option<Self> {
        // Casting is exact here: the bound is far below 2^53.
        (0.0..=PERIOD_MAX_MILLIS)
            .contains(&millis)
            .then(|| Self(Duration::from_millis(millis.round() as u64)))
    }
}

/// 136 years, the largest lifetime (2^32 - 1 seconds): every deadline stays addable.
const PERIOD_MAX_MILLIS: f64 = u32::MAX as f64 * 1e3;

impl From<Duration> for Period {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis.is_multiple_of(1000) {
            write!(f, "{}s", millis / 1000)
        } else {
            write!(f, "{millis}ms")
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeriodVisitor)
    }
}

struct PeriodVisitor;

impl Visitor<'_> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a span of time such as \"500ms\", \"30s\", \"5m\", \"1h\", \"7d\", or a number of \
             seconds up to 4294967295",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Period, E> {
        Period::parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Period, E> {
        Period::from_millis_f64(seconds as f64 * 1e3)
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(seconds), &self))
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Period, E> {
        Period::from_millis_f64(seconds as f64 * 1e3)
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(seconds), &self))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Period, E> {
        Period::from_millis_f64(seconds * 1e3)
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Float(seconds), &self))
    }
}

/// A number of bytes, written `"64KB"`, `"1MB"`, `"2GB"` (powers of 1024, as EMQX reads them), or
/// as a bare number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(usize);

impl Size {
    /// A number of bytes.
    #[must_use]
    pub const fn bytes(bytes: usize) -> Self {
        Self(bytes)
    }

    /// `count` times 1024 bytes.
    #[must_use]
    pub const fn kilobytes(count: usize) -> Self {
        Self(count << 10)
    }

    /// `count` times 1024 × 1024 bytes.
    #[must_use]
    pub const fn megabytes(count: usize) -> Self {
        Self(count << 20)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }

    /// Parses a whole number with a unit; a number alone is bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            _ => return None,
        };
        Self::bounded(number.parse::<u64>().ok()?.checked_mul(1 << shift)?)
    }

    fn bounded(bytes: u64) -> Option<Self> {
        (bytes <= SIZE_MAX_BYTES).then_some(Self(usize::try_from(bytes).ok()?))
    }
}

/// 1 TiB: more than any host of the gateway has, and sums of a few of them do not overflow.
const SIZE_MAX_BYTES: u64 = 1 << 40;

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GB"), (20, "MB"), (10, "KB")];
        let fitting = units
            .iter()
            .find(|(shift, _)| self.0 >= 1 << shift && self.0.is_multiple_of(1_usize << shift));
        match fitting {
            Some((shift, unit)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as \"64KB\", \"1MB\", or a number of bytes, at most 1024 GB")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        Size::parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
        Size::bounded(bytes)
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(bytes), &self))
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
        u64::try_from(bytes)
            .ok()
            .and_then(Size::bounded)
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(bytes), &self))
    }
}

/// Reads an address with a port; serde's own reader cannot say what one looks like.
pub(super) fn socket_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<SocketAddr, D::Error> {
    deserializer.deserialize_str(SocketAddressVisitor)
}

struct SocketAddressVisitor;

impl Visitor<'_> for SocketAddressVisitor {
    type Value = SocketAddr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an IP address and a port such as \"0.0.0.0:5683\" or \"[::]:5683\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SocketAddr, E> {
        let unusable = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
        text.trim().parse().map_err(|_| unusable())
    }
}
