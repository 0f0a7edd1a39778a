//! How the values of a scenario are written: spans, intervals, shares, paths, formats.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use lwm2m::{Format, Path, Version};
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::span::parse_span;
use crate::spread::Spread;

/// A span of time: `"250ms"`, `"30s"`, `"5m"`, `"24h"`, `"7d"`, or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(Duration);

impl Span {
    /// 136 years, the largest lifetime.
    pub(super) const MAX: Duration = Duration::from_secs(u32::MAX as u64);

    /// As the standard library's type.
    pub const fn duration(self) -> Duration {
        self.0
    }

    fn of_seconds(seconds: f64) -> Option<Self> {
        Duration::try_from_secs_f64(seconds).ok().filter(|span| *span <= Self::MAX).map(Self)
    }
}

impl From<Duration> for Span {
    fn from(span: Duration) -> Self {
        Self(span)
    }
}

impl FromStr for Span {
    type Err = crate::span::SpanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_span(text).map(Self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a span of time such as \"250ms\", \"30s\", \"5m\", or a number of seconds")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Span, E> {
        Span::of_seconds(seconds as f64)
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(seconds), &self))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Span, E> {
        Span::of_seconds(seconds).ok_or_else(|| E::invalid_value(Unexpected::Float(seconds), &self))
    }
}

/// A span, or two of which each device has one in between: `"60s"` or `["50s", "70s"]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval(Spread);

impl Interval {
    /// As a range.
    pub const fn spread(self) -> Spread {
        self.0
    }

    /// The range, if anything in it is longer than nothing.
    pub fn unless_zero(self) -> Option<Spread> {
        (!self.0.high().is_zero()).then_some(self.0)
    }
}

impl From<Duration> for Interval {
    fn from(span: Duration) -> Self {
        Self(span.into())
    }
}

impl FromStr for Interval {
    type Err = String;

    /// `60s` or `50s..70s`, as flags have it.
    fn from_str(text: &str) -> Result<Self, String> {
        let span = |text: &str| parse_span(text).map_err(|error| error.to_string());
        let Some((low, high)) = text.split_once("..") else { return Ok(Self(span(text)?.into())) };
        Spread::new(span(low)?, span(high)?)
            .map(Self)
            .ok_or_else(|| format!("`{text}` goes from the longer span to the shorter one"))
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IntervalVisitor)
    }
}

struct IntervalVisitor;

impl<'de> Visitor<'de> for IntervalVisitor {
    type Value = Interval;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a span of time such as \"30s\", or a range of two such as [\"20s\", \"40s\"]")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Interval, E> {
        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Interval, E> {
        SpanVisitor.visit_i64(seconds).map(|span| Interval(span.0.into()))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Interval, E> {
        SpanVisitor.visit_f64(seconds).map(|span| Interval(span.0.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut range: A) -> Result<Interval, A::Error> {
        let mut next = || range.next_element::<Span>()?.ok_or_else(|| A::Error::custom(TWO_ENDS));
        let (low, high) = (next()?, next()?);
        if range.next_element::<Span>()?.is_some() {
            return Err(A::Error::custom(TWO_ENDS));
        }
        Spread::new(low.0, high.0)
            .map(Interval)
            .ok_or_else(|| A::Error::custom("a range goes from the shorter span to the longer one"))
    }
}

const TWO_ENDS: &str = "a range has two spans of time: [\"20s\", \"40s\"]";

/// A number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(f64);

impl Share {
    /// Nothing of it.
    pub const NONE: Self = Self(0.0);

    /// All of it.
    pub const ALL: Self = Self(1.0);

    /// As a number.
    pub const fn value(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("a share must be between 0 and 1, not {number}"))
        }
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
        number.try_into()
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

/// The path of a resource, such as `"/3303/0/5700"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource(Path);

impl Resource {
    /// As a path.
    pub const fn path(self) -> Path {
        self.0
    }
}

impl FromStr for Resource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = Path::parse(text).ok().filter(|path| path.len() >= 3);
        path.map(Self).ok_or_else(|| format!("`{text}` is not the path of a resource"))
    }
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Versions of LwM2M.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
pub enum Enabler {
    /// The first one
    #[serde(rename = "1.0")]
    #[value(name = "1.0")]
    V1_0,
    /// With composite operations, SenML and Send
    #[serde(rename = "1.1")]
    #[value(name = "1.1")]
    V1_1,
}

impl Enabler {
    /// As the vocabulary of the protocol has it.
    pub const fn version(self) -> Version {
        match self {
            Self::V1_0 => Version::V1_0,
            Self::V1_1 => Version::V1_1,
        }
    }
}

/// Formats that devices can prefer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// What the version has as its default
    Tlv,
    /// LwM2M JSON
    Json,
    /// SenML JSON; LwM2M 1.1
    SenmlJson,
    /// SenML CBOR; LwM2M 1.1
    SenmlCbor,
}

impl Encoding {
    /// The format; `None` for the default.
    pub const fn format(self) -> Option<Format> {
        match self {
            Self::Tlv => None,
            Self::Json => Some(Format::JSON),
            Self::SenmlJson => Some(Format::SENML_JSON),
            Self::SenmlCbor => Some(Format::SENML_CBOR),
        }
    }
}
