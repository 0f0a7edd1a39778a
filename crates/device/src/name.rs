//! The endpoint name of a device: its own, or a number behind what the names of its fleet begin
//! with.

use std::fmt;

/// What a device is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// A name of its own.
    Own(Box<str>),
    /// [`crate::Profile::prefix`] and this number: four bytes a device.
    Numbered(u32),
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self::Own(name.into())
    }
}

/// A name that is being written out.
pub(crate) struct Written<'a> {
    pub(crate) name: &'a Name,
    pub(crate) prefix: &'a str,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Name::Own(name) => f.write_str(name),
            Name::Numbered(number) => write!(f, "{}{number}", self.prefix),
        }
    }
}
