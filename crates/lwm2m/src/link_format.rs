//! Link format: RFC 6690, as Register payloads and Discover answers use it.
//!
//! Reading is lenient, because what is published of a Register payload (EMQX compatibility) is not
//! only what a strict grammar takes; writing is strict. What the links of a Register mean is the
//! job of [`crate::registration`].

use std::borrow::Cow;
use std::str::Utf8Error;

#[cfg(test)]
mod tests;

/// The links of a payload; the bytes must be UTF-8. Empty pieces (`,,`) are left out.
///
/// Never fails on the grammar: a piece that is not a link becomes a [`Link`] with an odd target.
pub fn parse(payload: &[u8]) -> Result<Links<'_>, Utf8Error> {
    core::str::from_utf8(payload).map(links)
}

/// As [`parse`], for text.
pub fn links(text: &str) -> Links<'_> {
    Links { pieces: split(text) }
}

/// The pieces between the commas that are outside of quotes, exactly as they stand.
///
/// An empty text is one empty piece, as Discover answers are published.
pub fn split(text: &str) -> Pieces<'_> {
    Pieces { rest: Some(text), separator: b',' }
}

/// The iterator of [`split`].
#[derive(Debug, Clone)]
pub struct Pieces<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest?;
        let end = find_unquoted(text, self.separator);
        self.rest = end.and_then(|at| text.get(at + 1..));
        Some(end.and_then(|at| text.get(..at)).unwrap_or(text))
    }
}

/// The iterator of [`parse`] and [`links`].
#[derive(Debug, Clone)]
pub struct Links<'a> {
    pieces: Pieces<'a>,
}

impl<'a> Iterator for Links<'a> {
    type Item = Link<'a>;

    fn next(&mut self) -> Option<Link<'a>> {
        self.pieces.by_ref().map(str::trim).find(|piece| !piece.is_empty()).map(Link::new)
    }
}

/// One link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link<'a> {
    /// What is between `<` and `>`; without brackets all before the first `;`.
    pub target: &'a str,
    /// All before the first `;`, brackets included.
    pub head: &'a str,
    attributes: &'a str,
}

impl<'a> Link<'a> {
    fn new(piece: &'a str) -> Self {
        let (head, attributes) = piece.split_once(';').unwrap_or((piece, ""));
        let bracketed = piece.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let Some((target, rest)) = bracketed else {
            return Self { target: head.trim(), head, attributes };
        };
        // A target may hold a `;` of its own; what stands between `>` and `;` is dropped.
        let attributes = rest.split_once(';').map_or("", |(_, attributes)| attributes);
        Self { target, head, attributes }
    }

    /// The attributes in order; one without a value (`obs`) has `None`.
    pub fn attributes(&self) -> LinkAttributes<'a> {
        LinkAttributes { pieces: Pieces { rest: Some(self.attributes), separator: b';' } }
    }

    /// The first attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<LinkAttribute<'a>> {
        self.attributes().find(|attribute| attribute.name == name)
    }

    /// Whether a space separated list attribute (`rt`, `if`, `ct`) holds this word.
    pub fn has_word(&self, name: &str, word: &str) -> bool {
        self.attributes()
            .filter(|attribute| attribute.name == name)
            .filter_map(|attribute| attribute.value)
            .any(|value| value.split_ascii_whitespace().any(|known| known == word))
    }
}

/// The iterator of [`Link::attributes`].
#[derive(Debug, Clone)]
pub struct LinkAttributes<'a> {
    pieces: Pieces<'a>,
}

impl<'a> Iterator for LinkAttributes<'a> {
    type Item = LinkAttribute<'a>;

    fn next(&mut self) -> Option<LinkAttribute<'a>> {
        self.pieces.by_ref().map(str::trim).find(|piece| !piece.is_empty()).map(LinkAttribute::new)
    }
}

/// One attribute of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkAttribute<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value without the quotes around it; `None` without `=`. Backslashes are still in it.
    pub value: Option<&'a str>,
}

impl<'a> LinkAttribute<'a> {
    fn new(piece: &'a str) -> Self {
        let Some((name, value)) = piece.split_once('=') else {
            return Self { name: piece, value: None };
        };
        let value = value.trim();
        let unquoted = value.strip_prefix('"').map(|rest| rest.strip_suffix('"').unwrap_or(rest));
        Self { name: name.trim(), value: Some(unquoted.unwrap_or(value)) }
    }

    /// The value with its backslashes resolved (`\"` is `"`); empty without a value.
    pub fn unescaped(&self) -> Cow<'a, str> {
        let value = self.value.unwrap_or("");
        if !value.contains('\\') {
            return Cow::Borrowed(value);
        }
        let mut escaped = false;
        let plain = value.chars().filter(|char| {
            let keep = escaped || *char != '\\';
            escaped = !keep;
            keep
        });
        Cow::Owned(plain.collect())
    }
}

/// Writes links into one text: Discover answers and Register payloads of the device side.
#[derive(Debug, Default, Clone)]
pub struct LinkWriter {
    text: String,
}

impl LinkWriter {
    /// Nothing written yet.
    pub const fn new() -> Self {
        Self { text: String::new() }
    }

    /// Begins the next link; `target` must hold neither `>` nor `,`.
    pub fn link(&mut self, target: impl core::fmt::Display) -> &mut Self {
        let comma = if self.text.is_empty() { "" } else { "," };
        self.append(format_args!("{comma}<{target}>"))
    }

    /// Adds an attribute to the link; quoted when the value is not a plain word.
    pub fn attribute(&mut self, name: &str, value: impl core::fmt::Display) -> &mut Self {
        let value = value.to_string();
        if !value.is_empty() && value.bytes().all(is_plain) {
            return self.append(format_args!(";{name}={value}"));
        }
        self.quoted(name, &value)
    }

    /// Adds an attribute to the link and quotes it, as `rt` wants it.
    pub fn quoted(&mut self, name: &str, value: &str) -> &mut Self {
        self.append(format_args!(";{name}=\""));
        for char in value.chars() {
            if matches!(char, '"' | '\\') {
                self.text.push('\\');
            }
            self.text.push(char);
        }
        self.text.push('"');
        self
    }

    /// Adds an attribute without a value, as `obs`.
    pub fn flag(&mut self, name: &str) -> &mut Self {
        self.append(format_args!(";{name}"))
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.text
    }

    fn append(&mut self, arguments: core::fmt::Arguments<'_>) -> &mut Self {
        // A String takes everything; only a failing Display could make this an error.
        let _ = core::fmt::write(&mut self.text, arguments);
        self
    }
}

/// Whether the byte may stand in an unquoted attribute value (`ptoken` of RFC 6690 without what the
/// lists above are split at).
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'/' | b'+')
}

/// The first `wanted` outside of quotes; a quote that is never closed reaches to the end.
fn find_unquoted(text: &str, wanted: u8) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    text.bytes().position(|byte| {
        let literal = core::mem::take(&mut escaped);
        match byte {
            b'"' if !literal => quoted = !quoted,
            b'\\' if quoted && !literal => escaped = true,
            _ => {}
        }
        byte == wanted && !quoted
    })
}
