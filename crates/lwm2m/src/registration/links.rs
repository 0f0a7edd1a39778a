//! The object links of a Register or Update payload: OMA Core 6.2.1, Transport 6.4.1.
//!
//! Two views of the same links: what is published (all of them, as EMQX lists them) and what the
//! engine may address (objects and instances below the device's root).

use std::borrow::Cow;

use crate::link_format::{self, Link};
use crate::model::ObjectVersion;
use crate::{Format, Path, Version};

/// How many links a payload may have.
///
/// Devices list tens, gateways for other devices (object 25) a few thousand. Worst case: about 40
/// bytes for each link of three bytes, 160 KiB.
pub const LINKS_MAX: usize = 4096;

/// What a device says it has.
///
/// Comparable as a whole and made of a few flat pieces, so that the registrations of a fleet can
/// share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectLinks {
    alternate_path: Box<str>,
    /// The published list, joined by line feeds (a link that holds one is left out).
    object_list: Box<str>,
    /// Ascending by object id.
    objects: Box<[ObjectVersion]>,
    /// Ascending.
    instances: Box<[Path]>,
    formats: Box<[Format]>,
}

/// [`ObjectLinks`] taken apart, to be stored and put together again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectLinksParts {
    /// See [`ObjectLinks::alternate_path`].
    pub alternate_path: String,
    /// See [`ObjectLinks::object_list`].
    pub object_list: Vec<String>,
    /// See [`ObjectLinks::objects`].
    pub objects: Vec<ObjectVersion>,
    /// See [`ObjectLinks::instances`].
    pub instances: Vec<Path>,
    /// See [`ObjectLinks::formats`].
    pub formats: Vec<Format>,
}

impl ObjectLinks {
    /// Reads a payload in link format; an empty one says nothing.
    pub fn parse(payload: &[u8]) -> Result<Option<Self>, LinksError> {
        let links = link_format::parse(payload).map_err(|_| LinksError::NotUtf8)?;
        if payload.is_empty() {
            return Ok(None);
        }
        let root = links.clone().find(is_root);
        let prefix = root.map_or("", |link| link.target.trim_end_matches('/'));
        let mut draft = Draft::default();
        for (index, link) in links.enumerate() {
            if index >= LINKS_MAX {
                return Err(LinksError::TooMany);
            }
            if !is_root(&link) {
                draft.add(&link, prefix);
            }
        }
        let formats = root.map(|link| formats(&link)).unwrap_or_default();
        Ok(Some(draft.finish(root.map_or("/", |link| link.target), formats)))
    }

    /// Puts stored parts together again.
    pub fn from_parts(parts: ObjectLinksParts) -> Self {
        let mut draft = Draft {
            object_list: String::new(),
            objects: parts.objects,
            instances: parts.instances,
        };
        parts.object_list.iter().for_each(|link| draft.list(link));
        draft.finish(&parts.alternate_path, parts.formats)
    }

    /// Takes it apart, to be stored.
    pub fn to_parts(&self) -> ObjectLinksParts {
        ObjectLinksParts {
            alternate_path: self.alternate_path.to_string(),
            object_list: self.object_list().map(str::to_owned).collect(),
            objects: self.objects.to_vec(),
            instances: self.instances.to_vec(),
            formats: self.formats.to_vec(),
        }
    }

    /// The path of the link with `rt="oma.lwm2m"` as it was sent, else `/`.
    pub fn alternate_path(&self) -> &str {
        &self.alternate_path
    }

    /// The segments that go in front of each path of the device; none for the root `/`.
    pub fn alternate_segments(&self) -> impl Iterator<Item = &str> {
        self.alternate_path.split('/').filter(|segment| !segment.is_empty())
    }

    /// The list that is published: every other link in its order, without the alternate path.
    pub fn object_list(&self) -> impl Iterator<Item = &str> {
        // An empty text would be one empty line.
        self.object_list.split('\n').filter(|link| !link.is_empty())
    }

    /// The objects below the root, ascending, each with the version it was registered with.
    pub fn objects(&self) -> &[ObjectVersion] {
        &self.objects
    }

    /// The object instances below the root, ascending.
    pub fn instances(&self) -> &[Path] {
        &self.instances
    }

    /// The content formats that `ct` of the root link names, in its order; empty when it does not.
    pub fn formats(&self) -> &[Format] {
        &self.formats
    }

    /// Whether the device has this object.
    pub fn has_object(&self, object: u16) -> bool {
        self.objects.binary_search_by_key(&object, |entry| entry.object).is_ok()
    }

    /// The instances of one object, ascending.
    pub fn instances_of(&self, object: u16) -> &[Path] {
        let start = self.instances.partition_point(|path| path.object_id() < Some(object));
        let end = self.instances.partition_point(|path| path.object_id() <= Some(object));
        self.instances.get(start..end).unwrap_or(&[])
    }
}

/// [`ObjectLinks`] while they are read, in the order of the payload.
#[derive(Default)]
struct Draft {
    object_list: String,
    objects: Vec<ObjectVersion>,
    instances: Vec<Path>,
}

impl Draft {
    fn add(&mut self, link: &Link<'_>, prefix: &str) {
        let shown = without_brackets(link.head);
        let shown = shown.trim();
        self.list(below(shown, prefix).unwrap_or(shown));
        let Some(inside) = below(link.target, prefix) else { return };
        let Ok(path) = Path::parse(inside) else { return };
        let Some(object) = path.object_id() else { return };
        // `ver` belongs on the link of the object; some clients put it on that of an instance.
        self.objects.push(ObjectVersion { object, version: version(link) });
        if path.len() >= 2 {
            self.instances.push(path.truncated(2));
        }
    }

    fn list(&mut self, link: &str) {
        // A target with a line feed is no URI; an empty one could not be told from none.
        if link.is_empty() || link.contains('\n') {
            return;
        }
        if !self.object_list.is_empty() {
            self.object_list.push('\n');
        }
        self.object_list.push_str(link);
    }

    fn finish(mut self, alternate_path: &str, formats: Vec<Format>) -> ObjectLinks {
        // A stated version goes before none; of several the first counts.
        self.objects.sort_by_key(|entry| (entry.object, entry.version.is_none()));
        self.objects.dedup_by_key(|entry| entry.object);
        self.instances.sort_unstable();
        self.instances.dedup();
        ObjectLinks {
            alternate_path: alternate_path.into(),
            object_list: self.object_list.into(),
            objects: self.objects.into(),
            instances: self.instances.into(),
            formats: formats.into(),
        }
    }
}

/// Why a payload cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinksError {
    /// It is not UTF-8.
    #[error("the object links are not UTF-8")]
    NotUtf8,
    /// More than [`LINKS_MAX`].
    #[error("more than {LINKS_MAX} object links")]
    TooMany,
}

/// Whether the link names the root of the device's tree: `rt="oma.lwm2m"`, quoted or not, alone or
/// in a list.
fn is_root(link: &Link<'_>) -> bool {
    link.has_word("rt", "oma.lwm2m")
}

/// The text without any `<` and `>`, as EMQX lists it; nearly always it is what stands between
/// them.
fn without_brackets(head: &str) -> Cow<'_, str> {
    let inner = head.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(head);
    if inner.contains(['<', '>']) {
        return Cow::Owned(inner.replace(['<', '>'], ""));
    }
    Cow::Borrowed(inner)
}

/// What of the target is below the prefix, with its leading slash; all of it without a prefix.
fn below<'a>(target: &'a str, prefix: &str) -> Option<&'a str> {
    // `/lwm2m` must not swallow the beginning of `/lwm2m-other`.
    target.strip_prefix(prefix).filter(|rest| prefix.is_empty() || rest.starts_with('/'))
}

fn version(link: &Link<'_>) -> Option<Version> {
    Version::parse(link.attribute("ver")?.value?.trim())
}

fn formats(link: &Link<'_>) -> Vec<Format> {
    let list = link.attribute("ct").and_then(|attribute| attribute.value).unwrap_or("");
    let numbers = list.split([' ', ',']).filter_map(|word| word.parse().ok()).map(Format);
    let mut formats: Vec<Format> = Vec::new();
    for format in numbers.take(FORMATS_MAX) {
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    formats
}

/// How many formats of a `ct` list are looked at: LwM2M knows fifteen; 64 x 2 bytes at most.
const FORMATS_MAX: usize = 64;
