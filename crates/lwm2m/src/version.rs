//! Versions of objects and of the enabler, `major.minor`: OMA Core 7.2.2.

use core::fmt;
use core::str::FromStr;

/// A version of two numbers. The order is that of time: 1.2 before 1.10 before 2.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// Changes when compatibility is broken.
    pub major: u16,
    /// Changes when something optional is added.
    pub minor: u16,
}

impl Version {
    /// What a missing version of an object means, unless the enabler's version says more.
    pub const V1_0: Self = Self::new(1, 0);
    /// 1.1.
    pub const V1_1: Self = Self::new(1, 1);
    /// 1.2.
    pub const V1_2: Self = Self::new(1, 2);

    /// The version `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Reads `1.2`, or `1` as 1.0; a third number (`1.1.1`) is a correction and not looked at.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let major = parse_number(parts.next()?)?;
        let minor = parts.next().map_or(Some(0), parse_number)?;
        let correction = parts.next().map_or(Some(0), parse_number);
        (correction.is_some() && parts.next().is_none()).then_some(Self { major, minor })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        Self::parse(text).ok_or(VersionError)
    }
}

/// A text that is not a [`Version`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version is two decimal numbers with a point between them")]
pub struct VersionError;

fn parse_number(text: &str) -> Option<u16> {
    // `u16::from_str` takes a sign, which no version has.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered_as_numbers() {
        let cases = [
            ("1.0", Some((1, 0))),
            ("1", Some((1, 0))),
            ("1.10", Some((1, 10))),
            ("1.1.1", Some((1, 1))),
            ("", None),
            ("1.", None),
            (".1", None),
            ("+1.0", None),
            ("1.a", None),
            ("1.1.1.1", None),
            ("65536.0", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(major, minor)| Version::new(major, minor));
            assert_eq!(Version::parse(text), expected, "{text:?}");
        }
        assert!(Version::new(1, 2) < Version::new(1, 10));
        assert!(Version::new(1, 10) < Version::new(2, 0));
    }
}
