//! Rust source looked at as text, with comments and literals blanked out.
//!
//! A scanner of a hundred lines instead of a parser: the rules of `tidy` need words, braces and
//! line numbers, no types, and must not cost a build of `syn`.

/// A source text whose comments and the insides of whose literals are spaces. Line breaks and byte
/// positions are those of the original.
pub(crate) struct Code {
    pub(crate) masked: String,
}

/// A function with a body.
pub(crate) struct Function {
    pub(crate) name: String,
    /// From 1.
    pub(crate) line: usize,
    /// From the line of `fn` to that of the closing brace.
    pub(crate) lines: usize,
    pub(crate) in_tests: bool,
}

/// `mod name;`, and the inline modules around it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ModDeclaration {
    pub(crate) inside: Vec<String>,
    pub(crate) name: String,
    /// Byte position of `mod`, where attributes stand before.
    pub(crate) position: usize,
}

impl Code {
    pub(crate) fn new(source: &str) -> Self {
        let mut bytes = source.as_bytes().to_vec();
        for (start, end) in blanks(source.as_bytes()) {
            for byte in &mut bytes[start..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        // Blanking turns whole characters into spaces, so this is UTF-8 still.
        Self { masked: String::from_utf8_lossy(&bytes).into_owned() }
    }

    pub(crate) fn line_of(&self, position: usize) -> usize {
        1 + self.masked.as_bytes()[..position].iter().filter(|&&byte| byte == b'\n').count()
    }

    /// Every word (identifier or keyword) with its position.
    pub(crate) fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut rest = 0;
        std::iter::from_fn(move || {
            let start = rest + self.masked[rest..].find(is_word)?;
            let len = self.masked[start..].find(|c| !is_word(c));
            rest = len.map_or(self.masked.len(), |len| start + len);
            Some((start, &self.masked[start..rest]))
        })
    }

    /// The functions that have a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let tests = self.test_ranges();
        let words: Vec<_> = self.words().collect();
        words
            .windows(2)
            .filter(|pair| pair[0].1 == "fn")
            .filter_map(|pair| {
                let (position, name) = (pair[0].0, pair[1].1);
                let end = self.block_end(self.body_start(position)?)?;
                let line = self.line_of(position);
                Some(Function {
                    name: name.to_owned(),
                    line,
                    lines: self.line_of(end) - line + 1,
                    in_tests: tests.iter().any(|range| range.contains(&position)),
                })
            })
            .collect()
    }

    /// The `{` of the item at `position`, or nothing when a `;` comes first.
    fn body_start(&self, position: usize) -> Option<usize> {
        let mut depth = 0_i32;
        for (offset, byte) in self.masked.as_bytes()[position..].iter().enumerate() {
            match byte {
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth -= 1,
                b'{' if depth == 0 => return Some(position + offset),
                b';' if depth == 0 => return None,
                _ => {}
            }
        }
        None
    }

    /// The `}` that closes the `{` at `start`.
    fn block_end(&self, start: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (offset, byte) in self.masked.as_bytes()[start..].iter().enumerate() {
            match byte {
                b'{' => depth += 1,
                b'}' if depth == 1 => return Some(start + offset),
                b'}' => depth -= 1,
                _ => {}
            }
        }
        None
    }

    /// The byte ranges of items marked `#[cfg(test)]`, attribute included.
    pub(crate) fn test_ranges(&self) -> Vec<std::ops::Range<usize>> {
        let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
        for (start, attribute) in self.masked.match_indices("#[cfg(test)]") {
            let after = start + attribute.len();
            let end = self.body_start(after).and_then(|body| self.block_end(body));
            if let Some(end) = end {
                ranges.push(start..end + 1);
            }
        }
        ranges
    }

    /// Lines that are not part of `#[cfg(test)]` items, and lines that are.
    pub(crate) fn line_counts(&self) -> (usize, usize) {
        let lines =
            |range: std::ops::Range<usize>| self.line_of(range.end) - self.line_of(range.start) + 1;
        let tests = self.test_ranges().into_iter().map(lines).sum();
        (self.masked.lines().count().saturating_sub(tests), tests)
    }

    /// Every `mod name;`.
    pub(crate) fn mod_declarations(&self) -> Vec<ModDeclaration> {
        let mut found = Vec::new();
        let mut inside: Vec<(String, usize)> = Vec::new();
        let words: Vec<_> = self.words().collect();
        for pair in words.windows(2) {
            let ((position, word), (name_at, name)) = (pair[0], pair[1]);
            inside.retain(|(_, end)| position < *end);
            if word != "mod" {
                continue;
            }
            let after = name_at + name.len();
            match self.masked[after..].trim_start().as_bytes().first() {
                Some(b';') => found.push(ModDeclaration {
                    inside: inside.iter().map(|(name, _)| name.clone()).collect(),
                    name: name.to_owned(),
                    position,
                }),
                Some(b'{') => {
                    let end = self.body_start(after).and_then(|body| self.block_end(body));
                    inside.push((name.to_owned(), end.unwrap_or(self.masked.len())));
                }
                _ => {}
            }
        }
        found
    }
}

/// The byte ranges of comments and of the insides of literals.
fn blanks(source: &[u8]) -> Vec<(usize, usize)> {
    let mut blanks = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        let end = match rest {
            [b'/', b'/', ..] => at + line_len(rest),
            [b'/', b'*', ..] => at + block_comment_len(rest),
            [b'"', ..] => at + string_len(rest),
            [b'r', b'"' | b'#', ..] if !follows_word(source, at) => match raw_string_len(rest) {
                Some(len) => at + len,
                None => {
                    at += 1;
                    continue;
                }
            },
            [b'\'', ..] => at + char_len(rest),
            _ => {
                at += 1;
                continue;
            }
        };
        let end = end.min(source.len());
        blanks.push((at, end));
        at = end.max(at + 1);
    }
    blanks
}

fn follows_word(source: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| source.get(before));
    // `br"..."` and `cr"..."` are raw strings too.
    before.is_some_and(|b| (b.is_ascii_alphanumeric() || *b == b'_') && !matches!(b, b'b' | b'c'))
}

fn line_len(rest: &[u8]) -> usize {
    rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())
}

fn block_comment_len(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn string_len(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"..."`, `r#"..."#`; nothing for a raw identifier such as `r#type`.
fn raw_string_len(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
    let body = 1 + hashes;
    if rest.get(body) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let found = rest[body + 1..].windows(close.len()).position(|window| window == close);
    Some(found.map_or(rest.len(), |at| body + 1 + at + close.len()))
}

/// A character literal; of a lifetime only the quote.
fn char_len(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        let close = rest.iter().skip(3).position(|&byte| byte == b'\'');
        return close.map_or(1, |at| at + 4);
    }
    let text = String::from_utf8_lossy(&rest[1..rest.len().min(6)]);
    match text.chars().next() {
        Some(c) if rest.get(1 + c.len_utf8()) == Some(&b'\'') => c.len_utf8() + 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        for (source, words) in [
            ("a // b\nc", vec!["a", "c"]),
            ("a /* b /* c */ d */ e", vec!["a", "e"]),
            (r#"a "b \" c" d"#, vec!["a", "d"]),
            (r##"a r#"b " c"# d"##, vec!["a", "d"]),
            (r##"a br#"b " c"# d"##, vec!["a", "b", "d"]),
            ("r#type a", vec!["r", "type", "a"]),
            ("a 'b' '\\'' '\\u{1F600}' 'é' c", vec!["a", "c"]),
            (
                "fn f<'a>(x: &'a str) -> &'static str",
                vec!["fn", "f", "a", "x", "a", "str", "static", "str"],
            ),
            ("for_each(\"x\") // \"", vec!["for_each"]),
        ] {
            let code = Code::new(source);
            let found: Vec<_> = code.words().map(|(_, word)| word.to_owned()).collect();
            assert_eq!(found, words, "{source}");
            assert_eq!(code.masked.len(), source.len(), "{source}");
        }
    }

    #[test]
    fn functions_are_measured_from_fn_to_the_brace() {
        let source = "trait T {\n    fn no_body(&self);\n}\nfn one() {}\nfn three(\n    \
                      x: [u8; 3],\n) {\n    \"}\";\n}\n#[cfg(test)]\nmod tests {\n    fn tested() {\n    }\n}\n";
        let functions: Vec<_> = Code::new(source)
            .functions()
            .into_iter()
            .map(|function| (function.name, function.line, function.lines, function.in_tests))
            .collect();
        let expected = [
            ("one".to_owned(), 4, 1, false),
            ("three".to_owned(), 5, 5, false),
            ("tested".to_owned(), 12, 2, true),
        ];
        assert_eq!(functions, expected);
        assert_eq!(Code::new(source).line_counts(), (9, 5));
    }

    #[test]
    fn module_declarations_know_the_inline_modules_around_them() {
        let source = "mod a;\npub(crate) mod b { mod c; }\nmod d;\n// mod e;\n";
        let found: Vec<_> = Code::new(source)
            .mod_declarations()
            .into_iter()
            .map(|declaration| (declaration.inside, declaration.name))
            .collect();
        let expected = [
            (vec![], "a".to_owned()),
            (vec!["b".to_owned()], "c".to_owned()),
            (vec![], "d".to_owned()),
        ];
        assert_eq!(found, expected);
    }
}
