//! What is wrong with a configuration: where, which key, what was expected.
//!
//! Every such error ends the program with exit code 2; see [`crate::cli`].

use std::fmt;

use serde::de::{Expected, Unexpected};

use super::tree::Origin;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    origin: Option<Origin>,
    /// Segments from the root.
    key: Vec<String>,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    Unknown { known: &'static [&'static str] },
    Value { found: String, expected: String },
    Missing(&'static str),
    Other(String),
}

impl ConfigError {
    /// A fault in words.
    pub(super) fn other(origin: Origin, problem: String) -> Self {
        Self { origin: Some(origin), key: Vec::new(), problem: Problem::Other(problem) }
    }

    /// A file that cannot be read.
    pub(super) fn unreadable(path: &std::path::Path, error: &std::io::Error) -> Self {
        let origin = Origin::File { path: path.into(), line: 1 };
        Self::other(origin, format!("cannot be read: {error}"))
    }

    /// A fault in words of the key, whose segments are joined by dots.
    pub(super) fn of_key(origin: Origin, key: &str, problem: String) -> Self {
        let key = key.split('.').map(str::to_owned).collect();
        Self { origin: Some(origin), key, problem: Problem::Other(problem) }
    }

    /// The same, one section further up.
    pub(super) fn under(mut self, section: &str) -> Self {
        self.key.insert(0, section.to_owned());
        self
    }

    /// The same, with a place if it has none yet.
    pub(super) fn at(mut self, origin: &Origin) -> Self {
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }

    pub(super) fn value(found: impl fmt::Display, expected: impl fmt::Display) -> Self {
        Self::plain(Problem::Value { found: found.to_string(), expected: expected.to_string() })
    }

    fn plain(problem: Problem) -> Self {
        Self { origin: None, key: Vec::new(), problem }
    }

    /// The key, its segments joined by dots; empty for a fault of a whole file.
    #[must_use]
    pub fn key(&self) -> String {
        self.key.join(".")
    }

    /// The fault alone, with its key: for a text that nobody has as a file.
    pub(crate) fn without_place(&self) -> String {
        format!("{}: {}", self.key(), self.describe())
    }

    fn describe(&self) -> String {
        match &self.problem {
            Problem::Unknown { known } => self.describe_unknown(known),
            // What was found may be the secret itself, written without quotes.
            Problem::Value { expected, .. } if self.is_secret() => format!("expected {expected}"),
            Problem::Value { found, expected } => format!("found {found}, expected {expected}"),
            Problem::Missing(field) => format!("`{field}` is missing"),
            Problem::Other(problem) => problem.clone(),
        }
    }

    fn describe_unknown(&self, known: &[&str]) -> String {
        let given = self.key.last().map_or("", String::as_str);
        let nearest = known.iter().min_by_key(|name| distance(given, name));
        let hint = nearest
            .filter(|name| distance(given, name) <= 1 + given.len() / 4)
            .map(|name| format!(" (did you mean `{name}`?)"))
            .unwrap_or_default();
        format!("unknown key{hint}, expected one of: {}", known.join(", "))
    }

    fn is_secret(&self) -> bool {
        self.key.last().is_some_and(|key| is_secret(key))
    }
}

/// Keys whose values never appear in any output.
pub(super) fn is_secret(key: &str) -> bool {
    matches!(key, "password" | "token" | "secret")
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key())?;
        }
        f.write_str(&self.describe())
    }
}

impl std::error::Error for ConfigError {}

impl serde::de::Error for ConfigError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::plain(Problem::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::value(found, in_words(&expected.to_string()))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::value(found, in_words(&expected.to_string()))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::value(Unexpected::Str(variant), one_of(expected))
    }

    fn unknown_field(_field: &str, known: &'static [&'static str]) -> Self {
        Self::plain(Problem::Unknown { known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::plain(Problem::Missing(field))
    }
}

/// `"a", "b" or "c"`.
pub(super) fn one_of(choices: &[&str]) -> String {
    let quoted: Vec<_> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Serde's names of types, for people who do not write Rust.
fn in_words(expected: &str) -> String {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "f64" => "a number",
        "a boolean" => "true or false",
        "path string" => "a path in quotes",
        "a sequence" => "a list such as [\"a\", \"b\"]",
        "a map" => "a section",
        _ if expected.starts_with("struct ") => "a section",
        _ => expected,
    }
    .to_owned()
}

/// Edits between two names (Levenshtein), for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// All faults that were found, never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
