//! Attributes of Write-Attributes: OMA Core 5.1.2 (1.1.1), 7.3 (1.2).
//!
//! Text on the wire, text here: values are checked, and kept in plain decimal notation, because
//! devices read neither exponents nor signs of plus. Applying them to observations is the job of
//! `device`.

use core::fmt;

mod decimal;
#[cfg(test)]
mod tests;

pub use decimal::{DECIMAL_LEN_MAX, plain_decimal};

use crate::link_format::Link;
use crate::{DataType, Level, Path};

/// The attributes that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribute {
    /// Minimum period between notifications, seconds.
    Pmin,
    /// Maximum period between notifications, seconds.
    Pmax,
    /// Greater than: crossing it notifies.
    Gt,
    /// Less than: crossing it notifies.
    Lt,
    /// Step: the least change that notifies.
    St,
    /// Minimum evaluation period, seconds (since 1.1).
    Epmin,
    /// Maximum evaluation period, seconds (since 1.1).
    Epmax,
    /// Edge of a Boolean, 0 falling or 1 rising (since 1.2).
    Edge,
    /// 1: notify confirmably, 0: do not (since 1.2).
    Con,
    /// How many notifications are kept while the server cannot be reached (since 1.2).
    Hqmax,
}

impl Attribute {
    /// All of them, in the order of OMA's table.
    pub const ALL: [Self; 10] = [
        Self::Pmin,
        Self::Pmax,
        Self::Gt,
        Self::Lt,
        Self::St,
        Self::Epmin,
        Self::Epmax,
        Self::Edge,
        Self::Con,
        Self::Hqmax,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pmin => "pmin",
            Self::Pmax => "pmax",
            Self::Gt => "gt",
            Self::Lt => "lt",
            Self::St => "st",
            Self::Epmin => "epmin",
            Self::Epmax => "epmax",
            Self::Edge => "edge",
            Self::Con => "con",
            Self::Hqmax => "hqmax",
        }
    }

    /// The attribute of this name; names are case-sensitive.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attribute| attribute.name() == name)
    }

    /// Takes a value in any decimal notation and gives it in the plain one.
    fn normalized(self, text: &str) -> Result<Box<str>, AttributeError> {
        let bad = AttributeError::BadValue(self);
        let plain = plain_decimal(text).ok_or(bad)?;
        if matches!(self, Self::Gt | Self::Lt) {
            return Ok(plain.into());
        }
        if plain.starts_with('-') {
            return Err(bad);
        }
        if self == Self::St {
            return Ok(plain.into());
        }
        // All others are whole numbers; JSON writers turn 60 into 60.0.
        let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
        let number: u64 = whole.parse().map_err(|_| bad)?;
        let is_flag = matches!(self, Self::Edge | Self::Con);
        if fraction.bytes().any(|digit| digit != b'0') || (is_flag && number > 1) {
            return Err(bad);
        }
        Ok(whole.into())
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Attributes in the order they were given, each once, with its value or, to unset it, without.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    entries: Vec<(Attribute, Option<Box<str>>)>,
}

impl Attributes {
    /// No attributes.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Reads query parameters, `pmin=10` or, to unset, `pmin`; a name that is no attribute is an
    /// error.
    pub fn from_queries<'a>(
        queries: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, AttributeError> {
        let mut attributes = Self::new();
        for query in queries {
            let (name, value) =
                query.split_once('=').map_or((query, None), |(name, value)| (name, Some(value)));
            let attribute = Attribute::parse(name).ok_or(AttributeError::Unknown)?;
            // LwM2M 1.0 clients were told to unset by `pmin=`.
            attributes.set(attribute, value.filter(|value| !value.is_empty()))?;
        }
        Ok(attributes)
    }

    /// The attributes that a link of a Discover answer shows; all else in it is passed over.
    pub fn from_link(link: &Link<'_>) -> Self {
        let mut attributes = Self::new();
        for entry in link.attributes() {
            if let (Some(attribute), Some(value)) = (Attribute::parse(entry.name), entry.value) {
                // A value that cannot be read is no attribute, as an unknown name is none.
                let _ = attributes.set(attribute, Some(value));
            }
        }
        attributes
    }

    /// Sets an attribute, or with `None` asks to unset it; a former entry of it is forgotten.
    pub fn set(&mut self, attribute: Attribute, value: Option<&str>) -> Result<(), AttributeError> {
        let value = value.map(|text| attribute.normalized(text)).transpose()?;
        self.entries.retain(|(known, _)| *known != attribute);
        self.entries.push((attribute, value));
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Each attribute with its value, `None` to unset it.
    pub fn iter(&self) -> impl Iterator<Item = (Attribute, Option<&str>)> {
        self.entries.iter().map(|(attribute, value)| (*attribute, value.as_deref()))
    }

    /// As query parameters: `pmin=10`, or `pmin` to unset it.
    pub fn queries(&self) -> impl Iterator<Item = String> {
        self.iter().map(|(attribute, value)| match value {
            Some(value) => format!("{attribute}={value}"),
            None => attribute.name().to_owned(),
        })
    }

    /// The value of an attribute as text.
    pub fn value(&self, attribute: Attribute) -> Option<&str> {
        self.iter().find(|(known, _)| *known == attribute)?.1
    }

    /// The value of `gt`, `lt` or `st`.
    pub fn number(&self, attribute: Attribute) -> Option<f64> {
        self.value(attribute)?.parse().ok()
    }

    /// The value of an attribute that is a whole number: seconds, a count, 0 or 1.
    pub fn integer(&self, attribute: Attribute) -> Option<u64> {
        self.value(attribute)?.parse().ok()
    }

    /// `pmax` in seconds; `None` as well when it is less than `pmin`, since it is ignored then.
    pub fn effective_pmax(&self) -> Option<u64> {
        let pmin = self.integer(Attribute::Pmin).unwrap_or(0);
        // A period of 0 would be a stream without a pause; nobody can mean that.
        self.integer(Attribute::Pmax).filter(|pmax| *pmax != 0 && *pmax >= pmin)
    }

    /// Lays a Write-Attributes over what was set before: values replace, unset ones go.
    pub fn apply(&mut self, update: &Self) {
        for (attribute, value) in &update.entries {
            self.entries.retain(|(known, _)| known != attribute);
            if value.is_some() {
                self.entries.push((*attribute, value.clone()));
            }
        }
    }

    /// Checks the rules between attributes, and of each for the place it is written to.
    ///
    /// `data_type` is that of the resource, if it is known. Only the device knows which attributes
    /// hold already, so a server can say no more than that these ones contradict each other.
    pub fn check(&self, path: &Path, data_type: Option<DataType>) -> Result<(), AttributeError> {
        let set = self.entries.iter().filter(|(_, value)| value.is_some());
        for (attribute, _) in set {
            if !fits(*attribute, path.level(), data_type) {
                return Err(AttributeError::Misplaced(*attribute));
            }
        }
        let (Some(lt), Some(gt)) = (self.number(Attribute::Lt), self.number(Attribute::Gt)) else {
            return Ok(());
        };
        let st = self.number(Attribute::St).unwrap_or(0.0);
        if lt < gt && lt + 2.0 * st < gt { Ok(()) } else { Err(AttributeError::Contradiction) }
    }
}

/// Why attributes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// There is no attribute of this name.
    #[error("there is no such attribute")]
    Unknown,
    /// The value is not what this attribute takes.
    #[error("the value of {0} is not valid")]
    BadValue(Attribute),
    /// The attribute cannot be set there: `gt`, `lt`, `st` are for numbers, `edge` for Booleans.
    #[error("{0} cannot be set there")]
    Misplaced(Attribute),
    /// `lt` and `gt` must obey `lt < gt` and `lt + 2 * st < gt`.
    #[error("lt must be less than gt, by more than twice st")]
    Contradiction,
}

fn fits(attribute: Attribute, level: Level, data_type: Option<DataType>) -> bool {
    let numeric =
        [DataType::Integer, DataType::Unsigned, DataType::Float, DataType::Time].as_slice();
    let types = match attribute {
        Attribute::Gt | Attribute::Lt | Attribute::St => numeric,
        Attribute::Edge => &[DataType::Boolean],
        _ => return level != Level::Root,
    };
    level >= Level::Resource && data_type.is_none_or(|data_type| types.contains(&data_type))
}
