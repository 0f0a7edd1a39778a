//! HOCON as EMQX 5 writes it and people write it for EMQX: objects, lists, strings, numbers, dotted
//! keys, comments; objects that stand twice are merged.
//!
//! `include` and substitutions (`${...}` outside of quotes) reach beyond the file and are refused
//! by name: a value that was guessed would be worse than none. What keys mean is the business of
//! `emqx5`.

use super::Fault;

/// A value and the line it begins on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What HOCON can say. Numbers and words without quotes are text here: `1s`, `4MB`, `true`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Null,
    List(Vec<Node>),
    /// In the order of the file.
    Object(Object),
}

pub(super) type Object = Vec<(String, Node)>;

/// Nesting of a file; EMQX's own has seven levels.
const DEPTH_MAX: usize = 64;

/// Parses a whole file; its outermost braces may be missing.
pub(super) fn parse(text: &str) -> Result<Object, Fault> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = Reader { rest: text, line: 1, depth: 0 };
    reader.space();
    let object = if reader.take("{") {
        let object = reader.object(Some('}'))?;
        reader.space();
        object
    } else {
        reader.object(None)?
    };
    if reader.rest.is_empty() { Ok(object) } else { Err(reader.unexpected("the end of the file")) }
}

impl Node {
    /// The value at a dotted path.
    pub(super) fn find<'a>(object: &'a [(String, Self)], path: &str) -> Option<&'a Self> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(a, b)| (a, Some(b)));
        let (_, node) = object.iter().find(|(key, _)| key == first)?;
        match (rest, &node.value) {
            (None, _) => Some(node),
            (Some(rest), Value::Object(inner)) => Self::find(inner, rest),
            (Some(_), _) => None,
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        self.line += usize::from(next == '\n');
        Some(next)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest.starts_with(text);
        if found {
            self.rest = &self.rest[text.len()..];
        }
        found
    }

    fn unexpected(&self, expected: &str) -> Fault {
        match self.peek() {
            Some(found) => Fault::at(self.line, format!("expected {expected}, found `{found}`")),
            None => Fault::at(self.line, format!("expected {expected}, found the end of the file")),
        }
    }

    fn comment(&mut self) -> bool {
        let found = self.rest.starts_with('#') || self.rest.starts_with("//");
        if found {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.rest = &self.rest[end..];
        }
        found
    }

    /// Spaces, line ends and comments.
    fn space(&mut self) {
        loop {
            match self.peek() {
                Some(c) if c.is_whitespace() => drop(self.bump()),
                Some(_) if self.comment() => {}
                _ => return,
            }
        }
    }

    /// Spaces on the line.
    fn blanks(&mut self) {
        while self.peek().is_some_and(|c| c.is_whitespace() && c != '\n') {
            self.bump();
        }
    }

    fn deeper(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fault::at(self.line, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(())
    }

    /// Members up to `end`, or to the end of the file.
    fn object(&mut self, end: Option<char>) -> Result<Object, Fault> {
        self.deeper()?;
        let mut object = Object::new();
        loop {
            self.space();
            while self.take(",") {
                self.space();
            }
            match (self.peek(), end) {
                (None, None) => break,
                (Some(found), Some(end)) if found == end => {
                    self.bump();
                    break;
                }
                (None, Some(end)) => return Err(self.unexpected(&format!("`{end}`"))),
                _ => self.member(&mut object)?,
            }
        }
        self.depth -= 1;
        Ok(object)
    }

    fn member(&mut self, object: &mut Object) -> Result<(), Fault> {
        let line = self.line;
        let path = self.key()?;
        self.blanks();
        if path.len() == 1 && path[0] == "include" && self.peek() != Some('=') {
            let text = "`include` is not followed: put what it includes into one file";
            return Err(Fault::at(line, text));
        }
        let value = if self.take("{") {
            Value::Object(self.object(Some('}'))?)
        } else {
            if self.rest.starts_with("+=") {
                return Err(Fault::at(line, "`+=` is not followed: write the whole list"));
            }
            if !self.take("=") && !self.take(":") {
                return Err(self.unexpected("`=`, `:` or `{`"));
            }
            self.space();
            self.value()?.value
        };
        insert(object, &path, Node { line, value });
        Ok(())
    }

    /// `a.b."c.d"`.
    fn key(&mut self) -> Result<Vec<String>, Fault> {
        let mut path = Vec::new();
        loop {
            self.blanks();
            if self.peek() == Some('"') {
                path.push(self.string()?);
            } else {
                let legal = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
                let end = self.rest.find(|c| !legal(c)).unwrap_or(self.rest.len());
                if end == 0 {
                    return Err(self.unexpected("a key"));
                }
                path.push(self.rest[..end].to_owned());
                self.rest = &self.rest[end..];
            }
            if !self.take(".") {
                return Ok(path);
            }
        }
    }

    fn value(&mut self) -> Result<Node, Fault> {
        let line = self.line;
        let value = match self.peek() {
            Some('{') => {
                self.bump();
                Value::Object(self.object(Some('}'))?)
            }
            Some('[') => {
                self.bump();
                Value::List(self.list()?)
            }
            _ => self.text()?,
        };
        Ok(Node { line, value })
    }

    fn list(&mut self) -> Result<Vec<Node>, Fault> {
        self.deeper()?;
        let mut list = Vec::new();
        loop {
            self.space();
            while self.take(",") {
                self.space();
            }
            match self.peek() {
                Some(']') => {
                    self.bump();
                    self.depth -= 1;
                    return Ok(list);
                }
                None => return Err(self.unexpected("`]`")),
                Some(_) => list.push(self.value()?),
            }
        }
    }

    /// A text, with or without quotes, up to the end of the line or what ends a value; pieces side
    /// by side are one.
    fn text(&mut self) -> Result<Value, Fault> {
        let mut text = String::new();
        let mut quoted = false;
        loop {
            if self.rest.starts_with("${") {
                let text = "a substitution (`${...}`) is not followed: write the value itself, or \
                            put it into quotes if it is meant as it stands";
                return Err(Fault::at(self.line, text));
            }
            match self.peek() {
                Some('"') => {
                    text.push_str(&self.string()?);
                    quoted = true;
                }
                Some('\n' | ',' | '}' | ']' | '#') | None => break,
                Some(_) if self.rest.starts_with("//") => break,
                Some('{' | '[') => return Err(self.unexpected("the end of the value")),
                Some(c) => {
                    text.push(c);
                    self.bump();
                }
            }
        }
        let text = if quoted { text.trim_end() } else { text.trim() };
        match text {
            "" if !quoted => Err(self.unexpected("a value")),
            "null" if !quoted => Ok(Value::Null),
            text => Ok(Value::Text(text.to_owned())),
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let line = self.line;
        if self.take("\"\"\"") {
            let Some(end) = self.rest.find("\"\"\"") else {
                return Err(Fault::at(line, "a text in three quotes has no end"));
            };
            let text = self.rest[..end].to_owned();
            self.line += text.matches('\n').count();
            self.rest = &self.rest[end + 3..];
            return Ok(text);
        }
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some('\n') | None => return Err(Fault::at(line, "a text in quotes has no end")),
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let line = self.line;
        match self.bump() {
            Some(c @ ('"' | '\\' | '/')) => Ok(c),
            Some('n') => Ok('\n'),
            Some('t') => Ok('\t'),
            Some('r') => Ok('\r'),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('u') => {
                let digits = self.rest.get(..4).unwrap_or_default();
                let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
                let code = code.ok_or_else(|| Fault::at(line, "`\\u` needs a character"))?;
                self.rest = &self.rest[4..];
                Ok(code)
            }
            _ => Err(Fault::at(line, "an unknown escape in a text")),
        }
    }
}

/// Objects that stand twice are merged; of anything else the last one counts.
fn insert(object: &mut Object, path: &[String], node: Node) {
    let Some((first, rest)) = path.split_first() else { return };
    let line = node.line;
    let at = object.iter().position(|(key, _)| key == first);
    if rest.is_empty() {
        match (at.and_then(|at| object.get_mut(at)), node.value) {
            (Some((_, Node { value: Value::Object(old), .. })), Value::Object(new)) => {
                for (key, inner) in new {
                    insert(old, &[key], inner);
                }
            }
            (Some((_, old)), value) => *old = Node { line, value },
            (None, value) => object.push((first.clone(), Node { line, value })),
        }
        return;
    }
    let at = at.unwrap_or_else(|| {
        object.push((first.clone(), Node { line, value: Value::Object(Object::new()) }));
        object.len() - 1
    });
    let Some((_, outer)) = object.get_mut(at) else { return };
    if !matches!(outer.value, Value::Object(_)) {
        *outer = Node { line, value: Value::Object(Object::new()) };
    }
    if let Value::Object(inner) = &mut outer.value {
        insert(inner, rest, node);
    }
}
