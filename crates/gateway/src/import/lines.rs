//! The configuration files of EMQX 4.x: one `key = value` a line.

use super::Fault;

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: String,
}

/// Whether a file is of this kind: settings of the plugin begin with `lwm2m.`. In EMQX 5 the same
/// keys stand below `gateway`.
pub(super) fn is_emqx4(text: &str) -> bool {
    let mut settings = text.lines().map(str::trim).filter(|line| !is_nothing(line));
    settings.any(|line| line.starts_with("lwm2m."))
        && !text.lines().any(|line| line.trim_start().starts_with("gateway"))
}

/// Reads all settings. Of a key that stands twice the last one counts, as in EMQX.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, Fault> {
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let (line, number) = (line.trim(), number + 1);
        if is_nothing(line) {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(Fault::at(number, format!("expected `key = value`, found `{line}`")));
        };
        let key = key.trim();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if key.is_empty() || !key.chars().all(legal) {
            return Err(Fault::at(number, format!("`{key}` is no key")));
        }
        entries.retain(|entry| entry.key != key);
        let value = without_comment(value).trim().to_owned();
        entries.push(Entry { line: number, key: key.to_owned(), value });
    }
    Ok(entries)
}

fn is_nothing(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}

/// A `#` begins a comment only behind a space: `dn/#` is a topic.
fn without_comment(value: &str) -> &str {
    let comment = value.match_indices('#').map(|(at, _)| at);
    let is_comment = |at: &usize| value[..*at].ends_with([' ', '\t']);
    comment.into_iter().find(is_comment).map_or(value, |at| &value[..at])
}
