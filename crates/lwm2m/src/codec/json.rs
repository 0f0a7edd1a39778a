//! JSON as the two JSON formats need it: RFC 8259.
//!
//! A reader that is pulled: strings and numbers stay slices of the payload until a definition says
//! what they are, which keeps numbers exact, and nothing is built that is not kept.

use std::borrow::Cow;

use super::number::Number;
use super::senml::Held;
use super::typing::Wire;
use super::{DecodeError, base64_text};

/// JSON as text; bytes that are not UTF-8 become U+FFFD instead of spoiling the rest.
pub(crate) fn text(payload: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    if payload.is_empty() {
        return Err(DecodeError::Empty);
    }
    Ok(String::from_utf8_lossy(payload))
}

/// A place in a JSON text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// Levels of objects and arrays in a member that is not known. The formats themselves have three;
/// each level takes a stack frame.
const DEPTH_MAX: u32 = 32;

const UNEXPECTED: DecodeError = DecodeError::Malformed("not JSON");

impl<'a> Reader<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Reads the bracket that must come next.
    pub(crate) fn open(&mut self, bracket: u8) -> Result<(), DecodeError> {
        if self.peek()? != bracket {
            return Err(UNEXPECTED);
        }
        self.at += 1;
        Ok(())
    }

    /// Reads up to the next element or member, or past the closing bracket: then there is no more.
    /// `first` is whether none has been read, and becomes false.
    pub(crate) fn more(&mut self, first: &mut bool, close: u8) -> Result<bool, DecodeError> {
        let next = self.peek()?;
        if next == close {
            self.at += 1;
            return Ok(false);
        }
        if !core::mem::take(first) {
            if next != b',' {
                return Err(UNEXPECTED);
            }
            self.at += 1;
            if self.peek()? == close {
                return Err(UNEXPECTED);
            }
        }
        Ok(true)
    }

    /// Reads the name of a member and the colon behind it.
    pub(crate) fn key(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        if self.peek()? != b'"' {
            return Err(UNEXPECTED);
        }
        let key = self.string()?;
        if self.peek()? != b':' {
            return Err(UNEXPECTED);
        }
        self.at += 1;
        Ok(key)
    }

    /// Reads a value; an object or array is checked and stays a slice of the text.
    pub(crate) fn value(&mut self) -> Result<Held<'a>, DecodeError> {
        let next = self.peek()?;
        let start = self.at;
        let wire = match next {
            b'"' => Wire::Text(self.string()?),
            b'-' | b'0'..=b'9' => Wire::Number(Number::Decimal(self.number()?)),
            b't' => self.word("true").map(|()| Wire::Boolean(true))?,
            b'f' => self.word("false").map(|()| Wire::Boolean(false))?,
            b'n' => return self.word("null").map(|()| Held::Null),
            _ => {
                self.skip(DEPTH_MAX)?;
                Wire::Other(self.bytes().get(start..self.at).unwrap_or_default())
            }
        };
        Ok(Held::Value(wire))
    }

    /// Checks that nothing but white space follows.
    pub(crate) fn end(mut self) -> Result<(), DecodeError> {
        match self.peek() {
            Err(DecodeError::Truncated) => Ok(()),
            _ => Err(DecodeError::Malformed("something behind the JSON value")),
        }
    }

    const fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Result<u8, DecodeError> {
        loop {
            match self.bytes().get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(DecodeError::Truncated),
            }
        }
    }

    fn skip(&mut self, depth: u32) -> Result<(), DecodeError> {
        let close = match self.peek()? {
            b'[' => b']',
            b'{' => b'}',
            b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => return self.value().map(drop),
            _ => return Err(UNEXPECTED),
        };
        let depth = depth.checked_sub(1).ok_or(DecodeError::Malformed("JSON nested too deep"))?;
        self.at += 1;
        let mut first = true;
        while self.more(&mut first, close)? {
            if close == b'}' {
                self.key()?;
            }
            self.skip(depth)?;
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), DecodeError> {
        let rest = self.bytes().get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(if word.as_bytes().starts_with(rest) { DecodeError::Truncated } else { UNEXPECTED })
    }

    fn number(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.at;
        self.take(b"-");
        let leading_zero = self.take(b"0");
        if !leading_zero {
            self.digits()?;
        }
        if self.take(b".") {
            self.digits()?;
        }
        if self.take(b"eE") {
            self.take(b"+-");
            self.digits()?;
        }
        self.text.get(start..self.at).ok_or(UNEXPECTED)
    }

    fn take(&mut self, any_of: &[u8]) -> bool {
        let taken = self.bytes().get(self.at).is_some_and(|byte| any_of.contains(byte));
        self.at += usize::from(taken);
        taken
    }

    fn digits(&mut self) -> Result<(), DecodeError> {
        let rest = self.bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        match (count, rest.is_empty()) {
            (0, true) => Err(DecodeError::Truncated),
            (0, false) => Err(UNEXPECTED),
            _ => Ok(()),
        }
    }

    /// Reads a string from its opening quote on. Control characters are let through as they are:
    /// small devices print them so.
    fn string(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        let start = self.at + 1;
        let mut end = start;
        let mut escaped = false;
        loop {
            match self.bytes().get(end) {
                None => return Err(DecodeError::Truncated),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        let inner = self.text.get(start..end).ok_or(UNEXPECTED)?;
        if escaped { unescape(inner).map(Cow::Owned) } else { Ok(Cow::Borrowed(inner)) }
    }
}

/// The text with its escapes replaced; half a surrogate pair becomes U+FFFD.
fn unescape(text: &str) -> Result<String, DecodeError> {
    const BAD: DecodeError = DecodeError::Malformed("an unknown escape in a JSON string");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut behind = after.chars();
        let replaced = match behind.next().ok_or(BAD)? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, behind) = unicode_escape(after).ok_or(BAD)?;
                out.push(character);
                rest = behind;
                continue;
            }
            same @ ('"' | '\\' | '/') => same,
            _ => return Err(BAD),
        };
        out.push(replaced);
        rest = behind.as_str();
    }
    out.push_str(rest);
    Ok(out)
}

/// The character of `uXXXX`, or of `uXXXX\uXXXX`, and what is behind it.
fn unicode_escape(text: &str) -> Option<(char, &str)> {
    let (unit, rest) = code_unit(text)?;
    if (0xd800..0xdc00).contains(&unit)
        && let Some(second) = rest.strip_prefix('\\')
        && let Some((low, behind)) = code_unit(second)
        && (0xdc00..0xe000).contains(&low)
    {
        let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        return Some((char::from_u32(code)?, behind));
    }
    Some((char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), rest))
}

fn code_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.strip_prefix('u')?.split_at_checked(4)?;
    let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let unit = hexadecimal.then(|| u32::from_str_radix(digits, 16).ok())??;
    Some((unit, rest))
}

/// The members of an object that is being written.
pub(crate) struct Members<'o> {
    first: bool,
    out: &'o mut Vec<u8>,
}

impl<'o> Members<'o> {
    /// Goes on behind the opening bracket.
    pub(crate) const fn new(out: &'o mut Vec<u8>) -> Self {
        Self { first: true, out }
    }

    /// Appends a label; the value is up to the caller.
    pub(crate) fn label(&mut self, label: &str) -> &mut Vec<u8> {
        if !core::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        write_string(label, self.out);
        self.out.push(b':');
        self.out
    }
}

/// Appends a string with its quotes and what has to be escaped.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(text.as_bytes().get(plain_from..at).unwrap_or_default());
        plain_from = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => write_plain(&format!("\\u{byte:04x}"), out),
        }
    }
    out.extend_from_slice(text.as_bytes().get(plain_from..).unwrap_or_default());
    out.push(b'"');
}

/// Appends bytes as a string of Base64 with the alphabet for URLs, without padding.
pub(crate) fn write_base64_url(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    base64_text::encode_url_safe(bytes, out);
    out.push(b'"');
}

/// Appends bytes as a string of Base64 with the standard alphabet and padding.
pub(crate) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    base64_text::encode_standard(bytes, out);
    out.push(b'"');
}

/// Appends text as it is: a number, a bracket.
pub(crate) fn write_plain(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

/// Appends seconds from milliseconds, with as many decimals as are needed.
pub(crate) fn write_seconds(time_ms: i64, out: &mut Vec<u8>) {
    let sign = if time_ms < 0 { "-" } else { "" };
    let (whole, part) = (time_ms.unsigned_abs() / 1000, time_ms.unsigned_abs() % 1000);
    if part == 0 {
        write_plain(&format!("{sign}{whole}"), out);
    } else {
        let decimals = format!("{part:03}");
        write_plain(&format!("{sign}{whole}.{}", decimals.trim_end_matches('0')), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<Held<'_>, DecodeError> {
        let mut reader = Reader::new(text);
        let held = reader.value()?;
        reader.end()?;
        Ok(held)
    }

    #[test]
    fn strings_are_unescaped() {
        let cases = [
            (r#""plain""#, "plain"),
            (r#""a\"b\\c\/d\b\f\n\r\t""#, "a\"b\\c/d\u{8}\u{c}\n\r\t"),
            (r#""\u00e9\u20AC""#, "é€"),
            (r#""\ud83d\ude00!""#, "😀!"),
            (r#""\ud83d!""#, "\u{fffd}!"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
            ("\"tab\there\"", "tab\there"),
            (r#""""#, ""),
        ];
        for (json, expected) in cases {
            match value(json) {
                Ok(Held::Value(Wire::Text(text))) => assert_eq!(text, expected),
                other => panic!("{json}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let cases = [
            "",
            " ",
            "tru",
            "nul",
            "\"",
            "\"\\",
            "\"\\\"",
            r#""\x""#,
            r#""\u12g4""#,
            r#""\u123é""#,
            "-",
            "01",
            "1.",
            ".5",
            "1e",
            "+1",
            "[1,]",
            "[,1]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{a:1}",
            "[1",
            "{\"a\":",
            "1 2",
            "]",
            "}",
            "NaN",
        ];
        for json in cases {
            assert!(value(json).is_err(), "{json}");
        }
    }

    #[test]
    fn unknown_members_may_nest_only_so_deep() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(value(&nested(32)).is_ok());
        assert!(value(&nested(33)).is_err());
        assert!(value(&"[".repeat(100_000)).is_err());
        assert!(value(r#"[{"a":[1,"x",null,true,{}]} , -1.5e+3 ]"#).is_ok());
    }

    #[test]
    fn strings_are_written_so_that_they_are_read_back() {
        for text in ["", "plain", "\"\\\n\r\t\u{1}\u{1f}", "é€😀\u{7f}"] {
            let mut out = Vec::new();
            write_string(text, &mut out);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn seconds_have_only_the_decimals_they_need() {
        let cases =
            [(0, "0"), (1500, "1.5"), (-1, "-0.001"), (1_767_323_045_678, "1767323045.678")];
        for (time_ms, expected) in cases {
            let mut out = Vec::new();
            write_seconds(time_ms, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
