//! Object definitions in OMA's XML: OMA Core Appendix D, schemas LWM2M.xsd and LWM2M-v1_1.xsd.
//!
//! Files come from makers of devices and are older or newer than the schemas, so what can be
//! understood is: a byte order mark, CDATA, missing declarations and versions, items in any order.
//! Entities and schema locations are never followed. Which of several files counts is the job of
//! the builder.

use roxmltree::{Document, Node, ParsingOptions};

use super::{Multiplicity, ObjectModel, Operations, Presence, ResourceModel};
use crate::{DataType, MAX_ID, Version};

/// The largest file that is read, in bytes.
///
/// The largest of the OMA registry has 62 KB. The tree of a file takes about ten times its size
/// while it is read: 20 MiB at worst.
pub const XML_LEN_MAX: usize = 2 * 1024 * 1024;

/// How many elements, texts and comments a file may have; the largest of the registry has 4 000.
const NODES_MAX: u32 = 200_000;

/// The longest name of an object or resource in bytes; it is copied into answers and pages.
const NAME_LEN_MAX: usize = 256;

/// Reads one object definition.
pub fn parse(bytes: &[u8]) -> Result<ObjectModel, XmlError> {
    if bytes.len() > XML_LEN_MAX {
        return Err(XmlError::TooLarge);
    }
    let text = core::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
    // The byte order mark is no part of the document.
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let options =
        ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(malformed)?;
    let root = document.root_element();
    if root.tag_name().name() != "LWM2M" {
        return Err(XmlError::NotADefinition);
    }
    let mut objects = children(root, "Object");
    let object = objects.next().ok_or(XmlError::NotADefinition)?;
    if objects.next().is_some() {
        return Err(XmlError::SeveralObjects);
    }
    parse_object(object)
}

/// Why a file is not taken as an object definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// More than [`XML_LEN_MAX`] bytes.
    #[error("the file has more than {XML_LEN_MAX} bytes")]
    TooLarge,
    /// Not UTF-8, which is what all of OMA's files are.
    #[error("the file is not UTF-8")]
    NotUtf8,
    /// A DOCTYPE: entities could make a small file endless.
    #[error("the file has a DOCTYPE")]
    Doctype,
    /// Not well-formed XML.
    #[error("the file is not well-formed XML: {0}")]
    Malformed(String),
    /// No `LWM2M/Object` in it, or one without an id, as in OMA's list of common resources.
    #[error("the file holds no object definition")]
    NotADefinition,
    /// More than one `Object`.
    #[error("the file holds several object definitions")]
    SeveralObjects,
    /// An element holds what it must not.
    #[error("{place}: {element} is {value:?}")]
    BadElement {
        /// The object or resource that it is about.
        place: String,
        /// Name of the element or attribute.
        element: &'static str,
        /// The text, cut after some characters.
        value: String,
    },
    /// Two resources have the same id.
    #[error("resource {0} is defined twice")]
    RepeatedResource(u16),
}

fn malformed(error: roxmltree::Error) -> XmlError {
    match error {
        roxmltree::Error::DtdDetected => XmlError::Doctype,
        other => XmlError::Malformed(other.to_string()),
    }
}

fn parse_object(object: Node<'_, '_>) -> Result<ObjectModel, XmlError> {
    let id_text = text_of(object, "ObjectID");
    if id_text.is_empty() {
        return Err(XmlError::NotADefinition);
    }
    let place = "the object";
    let id = parse_id(&id_text).ok_or_else(|| bad(place, "ObjectID", &id_text))?;
    let version = text_of(object, "ObjectVersion");
    let model = ObjectModel {
        id,
        version: match version.as_str() {
            "" => Version::V1_0,
            text => Version::parse(text).ok_or_else(|| bad(place, "ObjectVersion", text))?,
        },
        name: parse_name(object, place)?,
        multiplicity: parse_multiplicity(object, place)?,
        presence: parse_presence(object, place)?,
        resources: parse_resources(object)?,
    };
    Ok(model)
}

/// The resources ascending by id; in the files they are in any order.
fn parse_resources(object: Node<'_, '_>) -> Result<Box<[ResourceModel]>, XmlError> {
    let items = children(object, "Resources").flat_map(|list| children(list, "Item"));
    let mut resources = items.map(parse_resource).collect::<Result<Vec<_>, _>>()?;
    resources.sort_by_key(|resource| resource.id);
    let repeated = resources.windows(2).find_map(|pair| match pair {
        [one, other] if one.id == other.id => Some(one.id),
        _ => None,
    });
    repeated.map_or_else(|| Ok(resources.into()), |id| Err(XmlError::RepeatedResource(id)))
}

fn parse_resource(item: Node<'_, '_>) -> Result<ResourceModel, XmlError> {
    let id_text = item.attribute("ID").unwrap_or("").trim();
    let id = parse_id(id_text).ok_or_else(|| bad("a resource", "ID", id_text))?;
    let place = format!("resource {id}");
    let operations = text_of(item, "Operations");
    let data_type = text_of(item, "Type");
    Ok(ResourceModel {
        id,
        name: parse_name(item, &place)?,
        operations: Operations::parse(&operations)
            .ok_or_else(|| bad(&place, "Operations", &operations))?,
        multiplicity: parse_multiplicity(item, &place)?,
        presence: parse_presence(item, &place)?,
        data_type: DataType::parse(&data_type).ok_or_else(|| bad(&place, "Type", &data_type))?,
    })
}

fn parse_id(text: &str) -> Option<u16> {
    // `u16::from_str` takes a sign, which no id has.
    let id = text.parse().ok().filter(|id| *id != MAX_ID)?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(id)
}

fn parse_name(parent: Node<'_, '_>, place: &str) -> Result<Box<str>, XmlError> {
    let name = text_of(parent, "Name");
    if name.len() > NAME_LEN_MAX {
        return Err(bad(place, "Name", &name));
    }
    Ok(name.into())
}

fn parse_multiplicity(parent: Node<'_, '_>, place: &str) -> Result<Multiplicity, XmlError> {
    match text_of(parent, "MultipleInstances").as_str() {
        "Multiple" => Ok(Multiplicity::Multiple),
        "Single" | "" => Ok(Multiplicity::Single),
        other => Err(bad(place, "MultipleInstances", other)),
    }
}

fn parse_presence(parent: Node<'_, '_>, place: &str) -> Result<Presence, XmlError> {
    match text_of(parent, "Mandatory").as_str() {
        "Mandatory" => Ok(Presence::Mandatory),
        "Optional" | "" => Ok(Presence::Optional),
        other => Err(bad(place, "Mandatory", other)),
    }
}

fn children<'a, 'input: 'a>(
    parent: Node<'a, 'input>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    parent.children().filter(move |child| child.tag_name().name() == name)
}

/// The text of a child element with all white space runs as single spaces; empty without the
/// element.
///
/// A comment or CDATA section splits a text into several nodes, so all of them are joined.
fn text_of(parent: Node<'_, '_>, name: &'static str) -> String {
    let Some(element) = children(parent, name).next() else { return String::new() };
    let whole: String =
        element.children().filter(Node::is_text).filter_map(|node| node.text()).collect();
    whole.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn bad(place: &str, element: &'static str, value: &str) -> XmlError {
    // The text comes from a file; a message needs only its beginning.
    let value = value.chars().take(40).collect();
    XmlError::BadElement { place: place.to_owned(), element, value }
}
