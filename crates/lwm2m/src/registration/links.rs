//! The object links of a Register or Update payload: OMA Core 6.2.1, Transport 6.4.1.
//!
//! Two views of the same links: what is published (all of them, as EMQX lists them) and what the
//! engine may address (objects and instances below the device's root).

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
/// Comparable as a whole and made of a few flat pieces, so that the registrations of a fleet can share
/// one.
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
        if links.clone().nth(LINKS_MAX).is_some() {
            return Err(LinksError::TooMany);
        }
        let root = links.clone().find(is_root);
        let prefix = root.map_or("", |link| link.target.trim_end_matches('/'));
        let mut parts = ObjectLinksParts {
            alternate_path: root.map_or("/", |link| link.target).to_owned(),
            object_list: Vec::new(),
            objects: Vec::new(),
            instances: Vec::new(),
            formats: root.map(|link| formats(&link)).unwrap_or_default(),
        };
        for link in links.filter(|link| !is_root(link)) {
            parts.add(&link, prefix);
        }
        Ok(Some(Self::from_parts(parts)))
    }

    /// Puts stored parts together again.
    pub fn from_parts(mut parts: ObjectLinksParts) -> Self {
        // A stated version goes before none: sorted behind it, and kept by the removal.
        parts.objects.sort_by_key(|entry| (entry.object, entry.version.is_none()));
        parts.objects.dedup_by_key(|entry| entry.object);
        parts.instances.sort_unstable();
        parts.instances.dedup();
        // A target with a line feed is no URI; an empty one could not be told from none.
        parts.object_list.retain(|link| !link.is_empty() && !link.contains('\n'));
        Self {
            alternate_path: parts.alternate_path.into(),
            object_list: parts.object_list.join("\n").into(),
            objects: parts.objects.into(),
            instances: parts.instances.into(),
            formats: parts.formats.into(),
        }
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

impl ObjectLinksParts {
    fn add(&mut self, link: &Link<'_>, prefix: &str) {
        let shown: String = link.head.chars().filter(|char| !matches!(char, '<' | '>')).collect();
        let shown = shown.trim();
        self.object_list.push(below(shown, prefix).unwrap_or(shown).to_owned());
        let Some(inside) = below(link.target, prefix) else { return };
        let Ok(path) = Path::parse(inside) else { return };
        let Some(object) = path.object_id() else { return };
        // `ver` belongs on the link of the object; some clients put it on that of an instance.
        self.objects.push(ObjectVersion { object, version: version(link) });
        if path.len() >= 2 {
            self.instances.push(path.truncated(2));
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

/// Whether the link names the root of the device's tree: `rt="oma.lwm2m"`, quoted or not, alone or in
/// a list.
fn is_root(link: &Link<'_>) -> bool {
    link.has_word("rt", "oma.lwm2m")
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
