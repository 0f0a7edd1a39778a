//! The layers of the configuration as one tree whose leaves know where they came from.
//!
//! Turning the tree into a [`super::Config`] is the job of [`super::de`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, is_secret};

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    #[default]
    Default,
    /// A file; lines count from 1.
    File {
        /// As it was named.
        path: Arc<Path>,
        /// Where the key stands.
        line: usize,
    },
    /// The environment variable of this name.
    Environment(Arc<str>),
    /// The flag of this name, dashes included.
    Flag(&'static str),
    /// A change at run time that is being judged; once it is kept, it comes from a file.
    Change,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Change => f.write_str("change"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// What TOML can say, and the untyped text of an environment variable or flag.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Table),
}

pub(super) type Table = BTreeMap<String, Node>;

impl Node {
    /// A value from outside of a file. What reads as a TOML list or inline table is one, unless
    /// it is a secret, which may look like anything.
    pub(super) fn text(key: &str, text: &str, origin: Origin) -> Self {
        let key = key.rsplit(['.', '_']).next().unwrap_or(key);
        let structured = text.starts_with(['[', '{']) && !is_secret(key);
        structured
            .then(|| parse_value(text, &origin))
            .flatten()
            .unwrap_or_else(|| Self { value: Value::Text(text.to_owned()), origin })
    }

    /// The items of a list of strings.
    pub(super) fn texts(&self) -> Option<Vec<String>> {
        let Value::List(items) = &self.value else { return None };
        let text = |item: &Self| match &item.value {
            Value::Text(text) | Value::String(text) => Some(text.clone()),
            _ => None,
        };
        items.iter().map(text).collect()
    }

    fn empty_table(origin: Origin) -> Self {
        Self { value: Value::Table(Table::new()), origin }
    }
}

/// Parses one file.
pub(super) fn parse(text: &str, path: &Path) -> Result<Table, ConfigError> {
    let reader = FileReader { text, path: path.into() };
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        ConfigError::other(reader.origin(offset), error.message().to_owned())
    })?;
    reader.table(table.get_ref())
}

fn parse_value(text: &str, origin: &Origin) -> Option<Node> {
    let document = format!("value = {text}");
    let mut table = parse(&document, Path::new("")).ok()?;
    let mut node = table.remove("value").filter(|_| table.is_empty())?;
    set_origin(&mut node, origin);
    Some(node)
}

fn set_origin(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.value {
        Value::List(list) => list.iter_mut().for_each(|node| set_origin(node, origin)),
        Value::Table(table) => table.values_mut().for_each(|node| set_origin(node, origin)),
        _ => {}
    }
}

struct FileReader<'a> {
    text: &'a str,
    path: Arc<Path>,
}

impl FileReader<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.as_bytes().iter().take(offset);
        let line = 1 + before.filter(|&&byte| byte == b'\n').count();
        Origin::File { path: Arc::clone(&self.path), line }
    }

    fn table(&self, table: &DeTable<'_>) -> Result<Table, ConfigError> {
        let mut out = Table::new();
        for (key, value) in table {
            let origin = self.origin(key.span().start);
            let value =
                self.value(value.get_ref(), &origin).map_err(|error| error.under(key.get_ref()))?;
            out.insert(key.get_ref().to_string(), Node { value, origin });
        }
        Ok(out)
    }

    fn value(&self, value: &DeValue<'_>, origin: &Origin) -> Result<Value, ConfigError> {
        Ok(match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => Value::Integer(
                i64::from_str_radix(number.as_str(), number.radix())
                    .map_err(|_| ConfigError::other(origin.clone(), too_large(number.as_str())))?,
            ),
            DeValue::Float(number) => Value::Float(
                number
                    .as_str()
                    .parse()
                    .map_err(|_| ConfigError::other(origin.clone(), too_large(number.as_str())))?,
            ),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Datetime(date) => Value::String(date.to_string()),
            DeValue::Array(list) => Value::List(
                list.iter()
                    .map(|item| {
                        let origin = self.origin(item.span().start);
                        Ok(Node { value: self.value(item.get_ref(), &origin)?, origin })
                    })
                    .collect::<Result<_, ConfigError>>()?,
            ),
            DeValue::Table(table) => Value::Table(self.table(table)?),
        })
    }
}

fn too_large(number: &str) -> String {
    format!("`{number}` does not fit into 64 bits")
}

/// Puts `over` on top of `base`: sections are merged, everything else is replaced.
pub(super) fn merge(base: &mut Table, over: Table) {
    for (key, node) in over {
        match (base.get_mut(&key).map(|node| &mut node.value), node.value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => {
                base.insert(key, Node { value, origin: node.origin });
            }
        }
    }
}

/// Sets one value by its path.
pub(super) fn insert(table: &mut Table, path: &[&str], node: Node) -> Result<(), ConfigError> {
    let (&key, rest) = path.split_first().unwrap_or((&"", &[]));
    if rest.is_empty() {
        table.insert(key.to_owned(), node);
        return Ok(());
    }
    let origin = node.origin.clone();
    let section = table.entry(key.to_owned()).or_insert_with(|| Node::empty_table(origin.clone()));
    match &mut section.value {
        Value::Table(below) => insert(below, rest, node).map_err(|error| error.under(key)),
        _ => Err(ConfigError::other(
            origin,
            format!("it is a section here and a value in {}", section.origin),
        )
        .under(key)),
    }
}

/// Where the value of `key` (segments joined by dots) came from; that of its section when only
/// the section was given.
pub(super) fn origin_of(table: &Table, key: &str) -> Origin {
    find(table, key).map_or(Origin::Default, |node| node.origin.clone())
}

/// The node of `key`, if some layer set it.
pub(super) fn find<'t>(table: &'t Table, key: &str) -> Option<&'t Node> {
    let (head, rest) = key.split_once('.').map_or((key, None), |(head, rest)| (head, Some(rest)));
    let node = table.get(head)?;
    match (rest, &node.value) {
        (None, _) => Some(node),
        (Some(rest), Value::Table(below)) => find(below, rest),
        // A list or a text that stands for a whole section: all of it came from there.
        (Some(_), _) => Some(node),
    }
}

/// A table as TOML has it.
pub(super) fn to_toml(table: &Table) -> toml::Table {
    table.iter().map(|(key, node)| (key.clone(), to_toml_value(node))).collect()
}

/// A value as TOML has it.
pub(super) fn to_toml_value(node: &Node) -> toml::Value {
    match &node.value {
        Value::Text(text) | Value::String(text) => toml::Value::String(text.clone()),
        Value::Integer(number) => toml::Value::Integer(*number),
        Value::Float(number) => toml::Value::Float(*number),
        Value::Boolean(value) => toml::Value::Boolean(*value),
        Value::List(list) => toml::Value::Array(list.iter().map(to_toml_value).collect()),
        Value::Table(table) => toml::Value::Table(to_toml(table)),
    }
}

/// A table all of which comes from one place.
pub(super) fn from_toml(table: &toml::Table, origin: &Origin) -> Table {
    table.iter().map(|(key, value)| (key.clone(), from_toml_value(value, origin))).collect()
}

fn from_toml_value(value: &toml::Value, origin: &Origin) -> Node {
    let value = match value {
        toml::Value::String(text) => Value::String(text.clone()),
        toml::Value::Integer(number) => Value::Integer(*number),
        toml::Value::Float(number) => Value::Float(*number),
        toml::Value::Boolean(value) => Value::Boolean(*value),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(list) => {
            Value::List(list.iter().map(|item| from_toml_value(item, origin)).collect())
        }
        toml::Value::Table(table) => Value::Table(from_toml(table, origin)),
    };
    Node { value, origin: origin.clone() }
}

/// Takes the value of `key` out, and sections that are empty by that.
pub(super) fn remove(table: &mut Table, key: &str) {
    let Some((head, rest)) = key.split_once('.') else {
        table.remove(key);
        return;
    };
    if let Some(Node { value: Value::Table(below), .. }) = table.get_mut(head) {
        remove(below, rest);
        if below.is_empty() {
            table.remove(head);
        }
    }
}
