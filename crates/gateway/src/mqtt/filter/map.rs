//! Values by topic filter, found by topic.
//!
//! A look-up costs one hash per level of the topic however many filters there are, and a comparison
//! for each filter with `+`: a device whose name has a `/` inside has a filter of its own
//! (`lwm2m/a/b/dn/#`), while filters with `+` are as few as mountpoints.

use std::collections::HashMap;
use std::iter::once;

use super::Filter;

/// Values by topic filter.
#[derive(Clone, Debug)]
pub struct FilterMap<T> {
    /// Those without wildcards.
    exact: HashMap<Box<str>, T>,
    /// Those whose one wildcard is a final `/#`, by what stands before it.
    below: HashMap<Box<str>, T>,
    wild: Vec<(Filter, T)>,
}

impl<T> Default for FilterMap<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), below: HashMap::new(), wild: Vec::new() }
    }
}

impl<T: Default> FilterMap<T> {
    /// The value of a filter; it gets one, if it has none.
    pub fn at(&mut self, filter: &Filter) -> &mut T {
        match Shape::of(filter.as_str()) {
            Shape::Exact(topic) => self.exact.entry(topic.into()).or_default(),
            Shape::Below(topic) => self.below.entry(topic.into()).or_default(),
            Shape::Wild => {
                let place = self.wild.iter().position(|(known, _)| known == filter);
                let place = place.unwrap_or_else(|| {
                    self.wild.push((filter.clone(), T::default()));
                    self.wild.len() - 1
                });
                &mut self.wild[place].1
            }
        }
    }
}

impl<T> FilterMap<T> {
    /// Takes a filter out.
    pub fn remove(&mut self, filter: &Filter) {
        match Shape::of(filter.as_str()) {
            Shape::Exact(topic) => drop(self.exact.remove(topic)),
            Shape::Below(topic) => drop(self.below.remove(topic)),
            Shape::Wild => self.wild.retain(|(known, _)| known != filter),
        }
    }

    /// The values of all filters that match a topic name.
    pub fn matching<'m>(&'m self, topic: &'m str) -> impl Iterator<Item = &'m T> {
        let below = beginnings(topic).filter_map(|beginning| self.below.get(beginning));
        let wild = self.wild.iter().filter(|(filter, _)| filter.matches(topic));
        self.exact.get(topic).into_iter().chain(below).chain(wild.map(|(_, value)| value))
    }

    /// Whether another filter matches all that this one matches.
    pub fn covers(&self, filter: &Filter) -> bool {
        let text = filter.as_str();
        let (plain, itself) = match Shape::of(text) {
            Shape::Exact(topic) => (topic, None),
            Shape::Below(topic) => (topic, Some(topic)),
            Shape::Wild => (text.split(['+', '#']).next().unwrap_or_default(), None),
        };
        // What stands before a wildcard ends with a slash.
        let plain = plain.strip_suffix('/').filter(|_| plain.len() < text.len()).unwrap_or(plain);
        let mut below = beginnings(plain).filter(|beginning| Some(*beginning) != itself);
        below.any(|beginning| self.below.contains_key(beginning))
            || self.wild.iter().any(|(other, _)| other != filter && other.covers(filter))
    }
}

/// How a filter is found again.
enum Shape<'a> {
    Exact(&'a str),
    Below(&'a str),
    Wild,
}

impl<'a> Shape<'a> {
    fn of(filter: &'a str) -> Self {
        let is_plain = |text: &str| !text.contains(['+', '#']);
        match filter.strip_suffix("/#") {
            Some(topic) if is_plain(topic) => Self::Below(topic),
            None if is_plain(filter) => Self::Exact(filter),
            _ => Self::Wild,
        }
    }
}

/// A topic's beginnings of whole levels, the topic itself last.
fn beginnings(topic: &str) -> impl Iterator<Item = &str> {
    let slashes = topic.match_indices('/');
    slashes.filter_map(|(at, _)| topic.get(..at)).chain(once(topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        Filter::parse(text).unwrap()
    }

    fn map(texts: &[&str]) -> FilterMap<Vec<String>> {
        let mut map = FilterMap::<Vec<String>>::default();
        texts.iter().for_each(|text| map.at(&filter(text)).push((*text).to_owned()));
        map
    }

    #[test]
    fn every_matching_filter_is_found_once() {
        let texts = ["a/b", "a/#", "a/b/#", "+/b", "#", "c/#", "a", "/#", "/"];
        let map = map(&texts);
        for topic in ["a/b", "a", "a/b/c", "c", "x/b", "/", "//", "", "$SYS/b"] {
            let mut found: Vec<_> = map.matching(topic).flatten().cloned().collect();
            let mut expected: Vec<_> = texts.to_vec();
            expected.retain(|text| filter(text).matches(topic));
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{topic}");
        }
    }

    #[test]
    fn what_was_removed_is_not_found() {
        let mut map = map(&["a/b", "a/#", "+/b"]);
        for (text, left) in [("a/#", 2), ("+/b", 1), ("a/b", 0)] {
            map.remove(&filter(text));
            assert_eq!(map.matching("a/b").count(), left, "{text}");
        }
    }

    #[test]
    fn a_map_covers_what_one_of_its_other_filters_covers() {
        let texts = ["a/b", "a/b/#", "a/+/c", "x/#", "x/y/#", "x/+/z", "/#", "p", "q/+"];
        let map = map(&texts);
        for text in ["a/b", "a/b/#", "a/b/c", "x", "x/y", "x/y/#", "x/+/z", "/", "/p", "p", "q/+"] {
            let wanted = filter(text);
            let others = texts.iter().map(|other| filter(other)).filter(|other| *other != wanted);
            let expected = others.into_iter().any(|other| other.covers(&wanted));
            assert_eq!(map.covers(&wanted), expected, "{text}");
        }
    }
}
