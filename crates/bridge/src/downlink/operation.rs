//! `msgType` and `data` to an [`Operation`] (contract, sections 3.2 to 3.5).

use lwm2m::attributes::{Attribute, Attributes};
use lwm2m::{Models, Operation, Path, WriteMode};

use super::content::Reader;
use super::path::{self, Depth, Target};
use super::value::Encoding;
use super::{Fault, options};
use crate::json::{Json, Members};
use crate::message::MessageType;

/// An operation and what its path brought along.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) query: Vec<String>,
}

/// What a command is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) message: MessageType,
    pub(super) data: &'a Members<'a>,
    pub(super) encoding: Encoding,
    pub(super) models: &'a Models,
}

impl Parts<'_> {
    pub(super) fn request(self) -> Result<Request, Fault> {
        match self.message {
            MessageType::Write => self.write(),
            MessageType::Create => self.create(),
            MessageType::ReadComposite
            | MessageType::WriteComposite
            | MessageType::ObserveComposite
            | MessageType::CancelObserveComposite => self.composite(),
            // A list of paths is an observation of them together.
            MessageType::CancelObserve if self.data.find_value("paths").is_some() => {
                let operation = Operation::CancelObserveComposite { paths: paths(self.data)? };
                Ok(Request { operation, query: Vec::new() })
            }
            _ => self.simple(), // Those with nothing but a path and a few members.
        }
    }

    fn simple(self) -> Result<Request, Fault> {
        let Target { path, query } = path::target(self.data, path::PATH, 1..=4)?;
        let operation = match self.message {
            MessageType::Discover => Operation::Discover { path },
            MessageType::WriteAttr => {
                Operation::WriteAttributes { path, attributes: attributes(self.data)? }
            }
            MessageType::Execute => Operation::Execute { path, arguments: arguments(self.data)? },
            MessageType::Delete => Operation::Delete { path },
            MessageType::Observe => {
                Operation::Observe { path, accept: options::format(self.data, "accept")? }
            }
            MessageType::CancelObserve => Operation::CancelObserve { path },
            _ => Operation::Read { path, accept: options::format(self.data, "accept")? },
        };
        Ok(Request { operation, query })
    }

    const fn reader(&self) -> Reader<'_> {
        Reader { models: self.models, encoding: self.encoding }
    }

    fn write(self) -> Result<Request, Fault> {
        let format = options::format(self.data, "format")?;
        match self.batch_base()? {
            Some(Target { path, query }) => {
                let items = items(self.data)?.ok_or(Fault::Missing("content"))?;
                let usual = if path.len() == 2 { WriteMode::Update } else { WriteMode::Replace };
                let mode = options::write_mode(self.data, usual)?;
                let content = self.reader().batch(path, &items)?;
                Ok(Request { operation: Operation::Write { path, mode, format, content }, query })
            }
            None => {
                let Target { path, query } = path::target(self.data, path::PATH, SINGLE_DEPTH)?;
                let mode = options::write_mode(self.data, WriteMode::Replace)?;
                let content = self.reader().single(path, self.data)?;
                Ok(Request { operation: Operation::Write { path, mode, format, content }, query })
            }
        }
    }

    /// The path of a batch write; `None` for the single form, which `basePath` of `/` means as
    /// well.
    fn batch_base(&self) -> Result<Option<Target>, Fault> {
        let Some(value) = self.data.find_value("basePath") else { return Ok(None) };
        let target = path::read("basePath", value, 0..=4)?;
        if target.path.is_root() {
            return Ok(None);
        }
        if !BATCH_DEPTH.contains(&target.path.len()) {
            let expected = "two or three segments";
            return Err(Fault::PathDepth { member: "basePath", expected });
        }
        Ok(Some(target))
    }

    fn create(self) -> Result<Request, Fault> {
        let Target { path, query } = path::target(self.data, path::PATH_OR_BASE, 1..=1)?;
        let format = options::format(self.data, "format")?;
        let items = items(self.data)?.unwrap_or_default();
        let content = self.reader().batch(path, &items)?;
        Ok(Request { operation: Operation::Create { path, format, content }, query })
    }

    fn composite(self) -> Result<Request, Fault> {
        let operation = match self.message {
            MessageType::WriteComposite => {
                let items = items(self.data)?.ok_or(Fault::Missing("content"))?;
                let format = options::format(self.data, "format")?;
                Operation::WriteComposite { format, content: self.reader().composite(&items)? }
            }
            MessageType::ObserveComposite => Operation::ObserveComposite {
                paths: paths(self.data)?,
                accept: options::format(self.data, "accept")?,
            },
            MessageType::CancelObserveComposite => {
                Operation::CancelObserveComposite { paths: paths(self.data)? }
            }
            _ => Operation::ReadComposite {
                paths: paths(self.data)?,
                accept: options::format(self.data, "accept")?,
            },
        };
        Ok(Request { operation, query: Vec::new() })
    }
}

/// A resource, or one instance of it.
const SINGLE_DEPTH: Depth = 3..=4;

/// An object instance, or a resource.
const BATCH_DEPTH: Depth = 2..=3;

fn items<'a>(data: &Members<'a>) -> Result<Option<Vec<Json<'a>>>, Fault> {
    let Some(value) = data.find_value("content") else { return Ok(None) };
    let items = value.array().ok_or(Fault::Member { member: "content", expected: "a list" })?;
    Ok(Some(items))
}

/// The paths of a composite operation; the root stands for the whole device.
fn paths(data: &Members<'_>) -> Result<Vec<Path>, Fault> {
    let expected = "a list of paths";
    let wrong = Fault::Member { member: "paths", expected };
    let value = data.find_value("paths").ok_or(Fault::Missing("paths"))?;
    let list = value.array().filter(|list| !list.is_empty()).ok_or(wrong)?;
    list.into_iter()
        .map(|value| {
            let text = value.string().ok_or(Fault::Member { member: "paths", expected })?;
            Path::parse(&text).map_err(|error| Fault::Path { member: "paths", error })
        })
        .collect()
}

/// The arguments of execute. `undefined` is what EMQX's own REST API sends for none.
fn arguments(data: &Members<'_>) -> Result<String, Fault> {
    let Some(value) = data.find_value("args") else { return Ok(String::new()) };
    match value.string() {
        Some(text) if text == "undefined" => Ok(String::new()),
        Some(text) => Ok(text.into_owned()),
        None => Err(Fault::Member { member: "args", expected: "a string" }),
    }
}

/// The attributes in the order of the command: the five of EMQX, and those that LwM2M has got
/// since. A null is left out, an empty text unsets (OMA Core 5.1.2), any other member is not for
/// the device.
fn attributes(data: &Members<'_>) -> Result<Attributes, Fault> {
    let mut attributes = Attributes::new();
    for (name, value) in data.iter().filter(|(_, value)| !value.is_null()) {
        let Some(attribute) = Attribute::parse(name) else { continue };
        let wrong = Fault::Member { member: attribute.name(), expected: "a number or its text" };
        // `set` writes numbers in plain notation: no device reads an exponent.
        let text = options::number_text(value).ok_or(wrong.clone())?;
        let text = if text.is_empty() { None } else { Some(&*text) };
        attributes.set(attribute, text).map_err(|_| wrong)?;
    }
    Ok(attributes)
}
