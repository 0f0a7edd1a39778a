//! Attributes of Write-Attributes: OMA Core 5.1.2 (1.1.1), 7.3 (1.2).

/// Attributes in the order they were given, each with its value or, to unset it, without.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    entries: Vec<(Box<str>, Option<Box<str>>)>,
}

impl Attributes {
    /// No attributes.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }
}
