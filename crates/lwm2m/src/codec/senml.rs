//! SenML records, whatever they are written in: RFC 8428 4, OMA Core 7.4.5.
//!
//! Base values are put into the records that follow, names become paths, values get their types.
//! [`super::senml_json`] and [`super::senml_cbor`] read and write the records themselves.

use std::borrow::Cow;

use super::name::Ids;
use super::number::Number;
use super::typing::{self, Definitions, Wire};
use super::{Context, DecodeError};
use crate::{Content, Path, Reading, Readings};

/// A record as it is written.
#[derive(Debug, Default)]
pub(crate) struct Record<'a> {
    base_name: Option<Cow<'a, str>>,
    /// Seconds, as is `time`.
    base_time: Option<f64>,
    base_value: Option<Number<'a>>,
    name: Option<Cow<'a, str>>,
    time: Option<f64>,
    value: Held<'a>,
}

/// What a record holds.
#[derive(Debug, Default)]
pub(crate) enum Held<'a> {
    /// No member for a value.
    #[default]
    Absent,
    /// A null.
    Null,
    /// A value.
    Value(Wire<'a>),
}

/// A member of a record: RFC 8428 4.3 (labels), OMA Core 7.4.5 (`vlo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    BaseVersion,
    BaseName,
    BaseTime,
    BaseUnit,
    BaseValue,
    BaseSum,
    Name,
    Unit,
    Value,
    StringValue,
    BooleanValue,
    Sum,
    Time,
    UpdateTime,
    DataValue,
    ObjectLink,
    /// One that is not known and may be ignored.
    Other,
}

/// The version of SenML that RFC 8428 defines.
const VERSION_MAX: i128 = 10;

/// Below this, times are relative to now: 2^28 s (RFC 8428 4.5.3).
const ABSOLUTE_FROM_S: f64 = 268_435_456.0;

/// The end of the year 9999. Times beyond it, either way, are garbage, and need not fit anywhere.
pub(crate) const TIME_MAX_S: f64 = 253_402_300_799.0;

impl Label {
    /// The label of a text; an error for one that has to be understood and is not.
    pub(crate) fn of_text(text: &str) -> Result<Self, DecodeError> {
        Ok(match text {
            "bver" => Self::BaseVersion,
            "bn" => Self::BaseName,
            "bt" => Self::BaseTime,
            "bu" => Self::BaseUnit,
            "bv" => Self::BaseValue,
            "bs" => Self::BaseSum,
            "n" => Self::Name,
            "u" => Self::Unit,
            "v" => Self::Value,
            "vs" => Self::StringValue,
            "vb" => Self::BooleanValue,
            "s" => Self::Sum,
            "t" => Self::Time,
            "ut" => Self::UpdateTime,
            "vd" => Self::DataValue,
            "vlo" => Self::ObjectLink,
            _ if text.ends_with('_') => {
                return Err(DecodeError::Malformed("a SenML label that must be understood"));
            }
            _ => Self::Other,
        })
    }

    /// The label of a number in CBOR.
    pub(crate) const fn of_number(number: i64) -> Self {
        match number {
            -1 => Self::BaseVersion,
            -2 => Self::BaseName,
            -3 => Self::BaseTime,
            -4 => Self::BaseUnit,
            -5 => Self::BaseValue,
            -6 => Self::BaseSum,
            0 => Self::Name,
            1 => Self::Unit,
            2 => Self::Value,
            3 => Self::StringValue,
            4 => Self::BooleanValue,
            5 => Self::Sum,
            6 => Self::Time,
            7 => Self::UpdateTime,
            8 => Self::DataValue,
            _ => Self::Other,
        }
    }
}

impl<'a> Record<'a> {
    /// Takes in one member.
    pub(crate) fn set(&mut self, label: Label, held: Held<'a>) -> Result<(), DecodeError> {
        match label {
            Label::BaseName => self.base_name = Some(text(held)?),
            Label::Name => self.name = Some(text(held)?),
            Label::BaseTime => self.base_time = Some(seconds(number(held)?)?),
            Label::Time => self.time = Some(seconds(number(held)?)?),
            Label::BaseValue => self.base_value = Some(number(held)?),
            Label::BaseVersion => match number(held)?.integer() {
                Some(0..=VERSION_MAX) => {}
                _ => return Err(DecodeError::Malformed("a newer version of SenML")),
            },
            // Of no use here, but what is there has to be SenML.
            Label::BaseUnit | Label::Unit => drop(text(held)?),
            Label::BaseSum | Label::Sum | Label::UpdateTime => drop(number(held)?),
            Label::Value
            | Label::StringValue
            | Label::BooleanValue
            | Label::DataValue
            | Label::ObjectLink => self.set_value(label, held)?,
            Label::Other => {}
        }
        Ok(())
    }

    fn set_value(&mut self, label: Label, held: Held<'a>) -> Result<(), DecodeError> {
        if !matches!(self.value, Held::Absent) {
            return Err(DecodeError::Malformed("a SenML record with two values"));
        }
        self.value = match (label, held) {
            (Label::DataValue, Held::Value(Wire::Text(text))) => Held::Value(Wire::Base64(text)),
            (Label::ObjectLink, Held::Value(Wire::Text(text))) => Held::Value(Wire::Link(text)),
            (_, held) => held,
        };
        Ok(())
    }
}

fn text(held: Held<'_>) -> Result<Cow<'_, str>, DecodeError> {
    match held {
        Held::Value(Wire::Text(text)) => Ok(text),
        _ => Err(DecodeError::Malformed("a SenML member that should be text")),
    }
}

fn number(held: Held<'_>) -> Result<Number<'_>, DecodeError> {
    match held {
        Held::Value(Wire::Number(number) | Wire::Time(number)) => Ok(number),
        _ => Err(DecodeError::Malformed("a SenML member that should be a number")),
    }
}

/// Makes readings of records, one after the other.
pub(crate) struct Resolver<'a, 'c> {
    definitions: Definitions<'c>,
    wall_ms: i64,
    base_name: Cow<'a, str>,
    base_time: Option<f64>,
    base_value: Option<Number<'a>>,
    /// A record that has a base name and no more to say: either a path, or the head of those that
    /// follow. The next record tells.
    pending: Option<Record<'a>>,
    readings: Readings,
}

impl<'a, 'c> Resolver<'a, 'c> {
    /// `expected` is how many records there will be, as far as that is known.
    pub(crate) fn new(context: &Context<'c>, expected: usize) -> Self {
        Self {
            definitions: Definitions::new(context),
            wall_ms: context.wall_ms,
            base_name: Cow::Borrowed(""),
            base_time: None,
            base_value: None,
            pending: None,
            readings: Readings::with_capacity(expected),
        }
    }

    /// Takes in the next record.
    pub(crate) fn push(&mut self, mut record: Record<'a>) -> Result<(), DecodeError> {
        let own_base_name = record.base_name.is_some();
        match self.pending.take() {
            // The base values are still those of the pending record.
            Some(pending) if own_base_name => self.resolve(pending)?,
            _ => {}
        }
        self.rebase(&mut record);
        let head = record.name.is_none() && matches!(record.value, Held::Absent);
        match (head, own_base_name) {
            (false, _) => self.resolve(record)?,
            (true, true) => self.pending = Some(record),
            // Only other base values: it sets the stage and says nothing itself.
            (true, false) => {}
        }
        Ok(())
    }

    /// What the records said, in their order.
    pub(crate) fn finish(mut self) -> Result<Content, DecodeError> {
        if let Some(pending) = self.pending.take() {
            self.resolve(pending)?;
        }
        Ok(typing::with_paths(self.readings))
    }

    fn rebase(&mut self, record: &mut Record<'a>) {
        if let Some(base_name) = record.base_name.take() {
            self.base_name = base_name;
        }
        if record.base_time.is_some() {
            self.base_time = record.base_time;
        }
        if record.base_value.is_some() {
            self.base_value = record.base_value;
        }
    }

    fn resolve(&mut self, record: Record<'a>) -> Result<(), DecodeError> {
        let name = record.name.as_deref().unwrap_or("");
        let path = Ids::concatenated(&self.base_name, name)?.path()?;
        let time_ms = self.time_ms(record.time);
        let (value, raw) = match self.summed(record.value) {
            Some(wire) => {
                let (value, raw) = self.definitions.value(path, wire)?;
                (Some(value), raw)
            }
            None => (None, false),
        };
        typing::push(&mut self.readings, Reading { path, value, time_ms, raw })
    }

    /// The value with the base value added, which is also the value where there is none.
    fn summed(&self, held: Held<'a>) -> Option<Wire<'a>> {
        match (held, self.base_value) {
            (Held::Null, _) | (Held::Absent, None) => None,
            (Held::Absent, Some(base)) => Some(Wire::Number(base)),
            (Held::Value(Wire::Number(number)), Some(base)) => {
                // What cannot be added is beyond every type, with the base value or without.
                Some(Wire::Number(number.plus(base).unwrap_or(number)))
            }
            (Held::Value(wire), _) => Some(wire),
        }
    }

    fn time_ms(&self, time: Option<f64>) -> Option<i64> {
        if self.base_time.is_none() && time.is_none() {
            return None;
        }
        let seconds = self.base_time.unwrap_or(0.0) + time.unwrap_or(0.0);
        let relative = if seconds < ABSOLUTE_FROM_S { self.wall_ms } else { 0 };
        Some(relative.saturating_add(milliseconds(seconds)))
    }
}

/// A time in seconds.
pub(crate) fn seconds(number: Number<'_>) -> Result<f64, DecodeError> {
    number
        .float()
        .filter(|seconds| seconds.abs() <= TIME_MAX_S)
        .ok_or(DecodeError::Malformed("a time beyond the year 9999"))
}

/// The nearest millisecond; `seconds` is the sum of two that [`seconds`] let through.
#[allow(clippy::cast_possible_truncation)] // Far below 2^63, and saturating anyway.
pub(crate) fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// How a reading without a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// As a name without a value: a path to be read.
    NameOnly,
    /// As null: a value that is to go, or is not there.
    Null,
}

impl Missing {
    /// Names without values where no reading has one: that is a list of paths.
    pub(crate) fn among(readings: &[Reading]) -> Self {
        let any = readings.iter().any(|reading| reading.value.is_some());
        if any { Self::Null } else { Self::NameOnly }
    }
}

/// The base name of readings under a path, and what the name of each has to leave out.
///
/// A resource is its own base name and its reading has no name, as real servers and devices write
/// it; the paths of composite operations stand in the names alone.
pub(crate) fn base_name(base: &Path, readings: &[Reading]) -> Option<String> {
    if base.is_root() {
        return None;
    }
    let only_base = readings.iter().all(|reading| reading.path == *base);
    Some(if only_base { base.to_string() } else { format!("{base}/") })
}

/// The name of a reading under a base: its ids below it, with slashes between them.
pub(crate) fn write_name(base: &Path, path: &Path, out: &mut String) {
    use core::fmt::Write as _;
    out.clear();
    for (index, id) in path.ids().iter().enumerate().skip(base.len()) {
        let slash = if index > base.len() || base.is_root() { "/" } else { "" };
        let written = write!(out, "{slash}{id}");
        debug_assert!(written.is_ok(), "a String takes everything");
    }
}
