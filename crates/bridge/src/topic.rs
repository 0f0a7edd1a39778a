//! Topic templates: placeholders, the command filter, and back from a topic to the endpoint
//! (contract, sections 1.3, 3.1 and 8).
//!
//! Mountpoint and topic are joined as they are; no slash is added or removed. Which template
//! belongs to which message is the job of [`crate::contract`].

use core::fmt::{self, Write as _};
use std::net::IpAddr;

use lwm2m::EndpointName;

/// A compiled topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    /// `%e`, `${endpoint_name}`, `${clientid}`, `${username}`.
    Endpoint,
    /// `%a`, `${peerhost}`.
    Address,
    /// `+`: a whole level.
    AnyLevel,
    /// `/#` (or `#` alone): nothing, or any levels.
    AnyRest,
}

impl Part {
    fn push(&self, text: &mut String, endpoint: &str, address: &str) {
        match self {
            Self::Text(literal) => text.push_str(literal),
            Self::Endpoint => text.push_str(endpoint),
            Self::Address => text.push_str(address),
            Self::AnyLevel => text.push('+'),
            Self::AnyRest => text.push_str(if text.is_empty() { "#" } else { "/#" }),
        }
    }
}

/// Every spelling of a placeholder. Names of EMQX that mean nothing here stay as they are, as
/// unknown ones do there.
const PLACEHOLDERS: [(&str, Part); 6] = [
    ("%e", Part::Endpoint),
    ("%a", Part::Address),
    ("${endpoint_name}", Part::Endpoint),
    ("${clientid}", Part::Endpoint),
    ("${username}", Part::Endpoint),
    ("${peerhost}", Part::Address),
];

/// MQTT's bound on a topic (MQTT 5, 1.5.4), less room for what placeholders grow to.
const TEMPLATE_LEN_MAX: usize = 32_768;

/// 16 placeholders and wildcards: matching tries each split, so their number bounds its time.
const PLACEHOLDERS_MAX: usize = 16;

/// 10 000 parts looked at for one topic, about 0.1 ms. A usual template takes five; what takes more
/// has placeholders side by side, and the topic is the publisher's choice.
const STEPS_MAX: u32 = 10_000;

/// 16 readings of one topic. Only names with `/` inside make more than one possible.
const CANDIDATES_MAX: usize = 16;

/// Whom a topic names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named<'t> {
    pub(crate) endpoint: EndpointName,
    /// What stands in the place of the address, if there is one.
    pub(crate) address: Option<&'t str>,
}

/// The address in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address<'a> {
    /// That of a registered device.
    Of(IpAddr),
    /// What stood in the topic of the command, for a device that is not registered.
    Asked(Option<&'a str>),
}

/// Whether a template may hold wildcards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wildcards {
    Allowed,
    Forbidden,
}

/// Why a text is not a topic template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Nothing at all.
    #[error("a topic must not be empty")]
    Empty,
    /// Too long for what its placeholders grow to.
    #[error("a topic template has at most {TEMPLATE_LEN_MAX} bytes")]
    TooLong,
    /// `+` or `#` in a topic that is published to.
    #[error("+ and # are for the command topic only")]
    Wildcard,
    /// `+` or `#` that is not a whole level, or `#` that is not the last one.
    #[error("+ must be a whole level and # the last one")]
    MisplacedWildcard,
    /// NUL or another control character.
    #[error("control characters are not allowed in topics")]
    Control,
    /// A topic that belongs to the broker.
    #[error("topics that begin with $ belong to the broker")]
    Reserved,
    /// More than anybody needs: matching tries each split.
    #[error("at most {PLACEHOLDERS_MAX} placeholders and wildcards")]
    TooManyPlaceholders,
}

impl Template {
    /// Reads mountpoint and topic, joined as they are.
    pub(crate) fn parse(text: &str, wildcards: Wildcards) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        if text.len() > TEMPLATE_LEN_MAX {
            return Err(TemplateError::TooLong);
        }
        if text.contains(char::is_control) {
            return Err(TemplateError::Control);
        }
        let template = Self { parts: split(text, wildcards)? };
        let specials = template.parts.iter().filter(|part| !matches!(part, Part::Text(_)));
        if specials.count() > PLACEHOLDERS_MAX {
            return Err(TemplateError::TooManyPlaceholders);
        }
        if matches!(template.parts.first(), Some(Part::Text(text)) if text.starts_with('$')) {
            return Err(TemplateError::Reserved);
        }
        Ok(template)
    }

    /// Whether the endpoint name is part of it.
    pub(crate) fn names_endpoint(&self) -> bool {
        self.parts.contains(&Part::Endpoint)
    }

    /// The topic of one device. Only for templates without wildcards.
    pub(crate) fn fill(&self, endpoint: &str, address: Address<'_>) -> String {
        let mut topic = String::new();
        self.fill_into(&mut topic, endpoint, address);
        topic
    }

    /// The same at the end of a text.
    pub(crate) fn fill_into(&self, topic: &mut String, endpoint: &str, address: Address<'_>) {
        topic.reserve(self.len_filled(endpoint));
        for part in &self.parts {
            match part {
                Part::Address => push_address(topic, address),
                other => other.push(topic, endpoint, ""),
            }
        }
    }

    fn len_filled(&self, endpoint: &str) -> usize {
        let len = |part: &Part| match part {
            Part::Text(text) => text.len(),
            Part::Endpoint => endpoint.len(),
            Part::Address => ADDRESS_LEN_MAX,
            Part::AnyLevel => 1,
            Part::AnyRest => 2,
        };
        self.parts.iter().map(len).sum()
    }

    /// The filter that matches the topics of all devices without `/` in their name: levels with a
    /// placeholder become `+`.
    pub(crate) fn filter(&self) -> String {
        as_filter(&self.with_placeholders(PLACEHOLDER, PLACEHOLDER))
    }

    /// The filter for one device, for names that `+` cannot match.
    pub(crate) fn exact_filter(&self, endpoint: &str) -> String {
        as_filter(&self.with_placeholders(endpoint, PLACEHOLDER))
    }

    fn with_placeholders(&self, endpoint: &str, address: &str) -> String {
        let mut text = String::new();
        self.parts.iter().for_each(|part| part.push(&mut text, endpoint, address));
        text
    }

    /// Whom a topic may be for, shortest name first: more than one only when a name contains `/`
    /// and the rest of the template fits at several places.
    pub(crate) fn read<'t>(&self, topic: &'t str) -> Vec<Named<'t>> {
        let mut search = Search { found: Vec::new(), steps: STEPS_MAX };
        // Most topics that are held against a template are of another kind, and end differently.
        if matches!(self.parts.last(), Some(Part::Text(end)) if !topic.ends_with(&**end)) {
            return search.found;
        }
        search.run(&self.parts, topic, Captured::default());
        search.found.sort_by_key(|named| named.endpoint.as_str().len());
        search.found
    }

    /// Whether some topic of this template could be one of the other as well, whatever the
    /// placeholders of both hold (no `/` in them).
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let text = self.with_placeholders(PLACEHOLDER, PLACEHOLDER);
        let other = other.with_placeholders(PLACEHOLDER, PLACEHOLDER);
        overlap(&mut text.split('/'), &mut other.split('/'))
    }
}

/// As it is written in the settings; of several spellings the shortest.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_placeholders("%e", "%a"))
    }
}

/// Stands for a placeholder where a template is looked at as text. No topic can hold it.
const PLACEHOLDER: &str = "\0";

/// Room for an IPv6 address; IPv4 is shorter.
const ADDRESS_LEN_MAX: usize = 39;

/// What stands for the address of a device that is not known (any more).
const ADDRESS_UNKNOWN: &str = "unknown";

fn push_address(topic: &mut String, address: Address<'_>) {
    match address {
        Address::Of(address) => {
            // Writing to a String cannot fail.
            let _ = write!(topic, "{}", address.to_canonical());
        }
        Address::Asked(text) => topic.push_str(text.unwrap_or(ADDRESS_UNKNOWN)),
    }
}

fn split(text: &str, wildcards: Wildcards) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let at_level_start = rest.len() == text.len() || text_before(text, rest).ends_with('/');
        let placeholder = PLACEHOLDERS.iter().find(|(name, _)| rest.starts_with(name));
        if let Some((name, part)) = placeholder {
            flush(&mut literal, &mut parts);
            parts.push(part.clone());
            rest = rest.get(name.len()..).unwrap_or_default();
            continue;
        }
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
        match next {
            '+' | '#' if wildcards == Wildcards::Forbidden => return Err(TemplateError::Wildcard),
            '+' if at_level_start && (rest.is_empty() || rest.starts_with('/')) => {
                flush(&mut literal, &mut parts);
                parts.push(Part::AnyLevel);
            }
            '#' if at_level_start && rest.is_empty() => {
                // `a/#` matches `a` too (MQTT 5, 4.7.1.2), so the slash belongs to the wildcard.
                literal.pop();
                flush(&mut literal, &mut parts);
                parts.push(Part::AnyRest);
            }
            '+' | '#' => return Err(TemplateError::MisplacedWildcard),
            other => literal.push(other),
        }
    }
    flush(&mut literal, &mut parts);
    Ok(parts)
}

fn text_before<'a>(text: &'a str, rest: &str) -> &'a str {
    text.get(..text.len().saturating_sub(rest.len())).unwrap_or_default()
}

fn flush(literal: &mut String, parts: &mut Vec<Part>) {
    if !literal.is_empty() {
        parts.push(Part::Text(core::mem::take(literal).into_boxed_str()));
    }
}

/// Levels with a placeholder in them become `+`.
fn as_filter(text: &str) -> String {
    let level = |level: &str| if level.contains(PLACEHOLDER) { "+" } else { level }.to_owned();
    text.split('/').map(level).collect::<Vec<_>>().join("/")
}

/// Whether a topic and a filter, some of whose levels hold placeholders, can match.
fn overlap<'a>(
    topic: &mut impl Iterator<Item = &'a str>,
    filter: &mut impl Iterator<Item = &'a str>,
) -> bool {
    loop {
        match (topic.next(), filter.next()) {
            (_, Some("#")) | (None, None) => return true,
            (Some(level), Some(wanted)) if level_may_be(level, wanted) => {}
            _ => return false,
        }
    }
}

fn level_may_be(level: &str, wanted: &str) -> bool {
    if wanted == "+" {
        return true;
    }
    match (around_placeholders(level), around_placeholders(wanted)) {
        (None, None) => level == wanted,
        (Some((before, behind)), None) => wanted.starts_with(before) && wanted.ends_with(behind),
        (None, Some((before, behind))) => level.starts_with(before) && level.ends_with(behind),
        (Some((before, behind)), Some((wanted_before, wanted_behind))) => {
            (before.starts_with(wanted_before) || wanted_before.starts_with(before))
                && (behind.ends_with(wanted_behind) || wanted_behind.ends_with(behind))
        }
    }
}

/// What stands before the first and behind the last placeholder of a level, if it has one.
fn around_placeholders(level: &str) -> Option<(&str, &str)> {
    let (before, rest) = level.split_once(PLACEHOLDER)?;
    Some((before, rest.rsplit(PLACEHOLDER).next().unwrap_or_default()))
}

/// Reads a topic against the parts of a template, trying each end of a name.
struct Search<'t> {
    found: Vec<Named<'t>>,
    /// How much work is left.
    steps: u32,
}

/// What the placeholders before a place hold.
#[derive(Clone, Copy, Default)]
struct Captured<'t> {
    endpoint: Option<&'t str>,
    address: Option<&'t str>,
}

impl<'t> Search<'t> {
    fn run(&mut self, parts: &[Part], rest: &'t str, captured: Captured<'t>) {
        let Some(steps) = self.steps.checked_sub(1) else { return };
        self.steps = steps;
        if self.found.len() >= CANDIDATES_MAX {
            return;
        }
        let Some((part, parts)) = parts.split_first() else {
            if rest.is_empty() {
                self.keep(captured);
            }
            return;
        };
        match (part, captured.endpoint) {
            (Part::Text(text), _) => self.literal(text, parts, rest, captured),
            (Part::Endpoint, Some(name)) => self.literal(name, parts, rest, captured),
            (Part::Endpoint, None) => self.each_name(parts, rest, captured),
            (Part::Address, _) => self.each_address(parts, rest, captured),
            (Part::AnyLevel, _) => {
                let level = rest.find('/').unwrap_or(rest.len());
                self.run(parts, rest.get(level..).unwrap_or_default(), captured);
            }
            (Part::AnyRest, _) => {
                if rest.is_empty() || rest.starts_with('/') {
                    self.keep(captured);
                }
            }
        }
    }

    fn literal(&mut self, text: &str, parts: &[Part], rest: &'t str, captured: Captured<'t>) {
        if let Some(rest) = rest.strip_prefix(text) {
            self.run(parts, rest, captured);
        }
    }

    fn each_name(&mut self, parts: &[Part], rest: &'t str, captured: Captured<'t>) {
        for (name, behind) in beginnings(rest, NAME_LEN_MAX) {
            // Cheap test first: a name ends where the text behind it stands.
            if may_follow(parts, behind) {
                self.run(parts, behind, Captured { endpoint: Some(name), ..captured });
            }
        }
    }

    fn each_address(&mut self, parts: &[Part], rest: &'t str, captured: Captured<'t>) {
        for (address, behind) in beginnings(rest, ADDRESS_LEN_MAX) {
            if address.ends_with('/') {
                return;
            }
            if may_follow(parts, behind) {
                self.run(parts, behind, Captured { address: Some(address), ..captured });
            }
        }
    }

    fn keep(&mut self, captured: Captured<'t>) {
        let Some(Ok(endpoint)) = captured.endpoint.map(EndpointName::parse) else { return };
        if self.found.iter().all(|named| named.endpoint != endpoint) {
            self.found.push(Named { endpoint, address: captured.address });
        }
    }
}

/// Each way to cut a text in two of which the first part has 1 to `len_max` bytes.
fn beginnings(text: &str, len_max: usize) -> impl Iterator<Item = (&str, &str)> {
    text.char_indices()
        .map(|(at, next)| at + next.len_utf8())
        .take_while(move |end| *end <= len_max)
        .filter_map(|end| text.split_at_checked(end))
}

/// The longest endpoint name in bytes (OMA Core 6.2.1 in a Uri-Query option).
const NAME_LEN_MAX: usize = 252;

fn may_follow(parts: &[Part], rest: &str) -> bool {
    match parts.first() {
        None => rest.is_empty(),
        Some(Part::Text(text)) => rest.starts_with(&**text),
        Some(Part::AnyRest) => rest.is_empty() || rest.starts_with('/'),
        Some(Part::Endpoint | Part::Address | Part::AnyLevel) => true,
    }
}

#[cfg(test)]
mod tests;
