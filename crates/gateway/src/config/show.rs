//! `config show`: every effective value and where it came from, secrets redacted.
//!
//! The output is a valid configuration file except for the secrets.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::load::Loaded;

/// The effective configuration as TOML with the origin of each value behind it.
#[must_use]
pub fn show(loaded: &Loaded) -> String {
    let mut out = String::new();
    // Serialising plain data of our own cannot fail; were it to, nothing is shown rather than a
    // half.
    if let Ok(table) = Table::try_from(&loaded.config) {
        section(loaded, "", &table, &mut out);
    }
    out
}

fn section(loaded: &Loaded, path: &str, table: &Table, out: &mut String) {
    let key_of =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let (sections, values): (Vec<_>, Vec<_>) =
        table.iter().partition(|(_, value)| value.is_table());
    if !values.is_empty() && !path.is_empty() {
        let _ = writeln!(out, "\n[{path}]");
    }
    for (name, value) in values {
        let line = format!("{name} = {value}");
        let _ = writeln!(out, "{line:<ORIGIN_COLUMN$} # {}", loaded.origin(&key_of(name)));
    }
    for (name, value) in sections {
        if let Value::Table(below) = value {
            section(loaded, &key_of(name), below, out);
        }
    }
}

/// Wide enough for nearly every line, so that the origins form a column.
const ORIGIN_COLUMN: usize = 44;
