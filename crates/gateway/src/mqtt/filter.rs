//! Topic filters of our own subscription: MQTT 5.0 section 4.7.
//!
//! Which filters are wanted is decided by `bridge` (from mountpoint and command topic) and by
//! [`crate::device_topics`].

mod map;

use std::fmt;
use std::sync::Arc;

pub use map::FilterMap;

/// A valid topic filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Filter(Arc<str>);

/// Why a text is no topic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// MQTT 4.7.3: at least one character.
    #[error("a topic filter must not be empty")]
    Empty,
    /// MQTT 4.7.3: at most 65 535 bytes.
    #[error("a topic filter has at most 65535 bytes")]
    TooLong,
    /// MQTT 4.7.3: no NUL.
    #[error("a topic filter must not contain NUL")]
    Nul,
    /// MQTT 4.7.1: a wildcard fills a level, and `#` is the last one.
    #[error("a wildcard must fill its level, and '#' must be the last one")]
    Wildcard,
}

impl Filter {
    /// Checks a topic filter.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Err(FilterError::Empty);
        }
        if text.len() > usize::from(u16::MAX) {
            return Err(FilterError::TooLong);
        }
        if text.contains('\0') {
            return Err(FilterError::Nul);
        }
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            let misplaced = match level {
                "#" => levels.peek().is_some(),
                "+" => false,
                other => other.contains(['+', '#']),
            };
            if misplaced {
                return Err(FilterError::Wildcard);
            }
        }
        Ok(Self(text.into()))
    }

    /// The filter as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a topic name matches: MQTT 4.7.1 and 4.7.2.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        if topic.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = topic.split('/');
        for wanted in self.0.split('/') {
            match (wanted, levels.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (exact, Some(level)) if exact == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }

    /// Whether it matches every topic that the other one matches.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if other.0.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = other.0.split('/');
        for wanted in self.0.split('/') {
            match (wanted, levels.next()) {
                ("#", _) => return true,
                ("+", Some(level)) if level != "#" => {}
                (exact, Some(level)) if exact == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }

    /// Whether some topic matches both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (these, those) = (&*self.0, &*other.0);
        let is_wild = |text: &str| text.starts_with(['+', '#']);
        if (these.starts_with('$') && is_wild(those)) || (those.starts_with('$') && is_wild(these))
        {
            return false;
        }
        let (mut these, mut those) = (these.split('/'), those.split('/'));
        loop {
            match (these.next(), those.next()) {
                (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
                (Some("+"), Some(_)) | (Some(_), Some("+")) => {}
                (Some(one), Some(other)) if one == other => {}
                _ => return false,
            }
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Several filters, asked together.
#[derive(Clone, Debug, Default)]
pub struct FilterSet(FilterMap<()>);

impl FilterSet {
    /// Whether any filter matches the topic name.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        self.0.matching(topic).next().is_some()
    }

    /// Whether another filter matches all that this one matches.
    #[must_use]
    pub fn covers(&self, filter: &Filter) -> bool {
        self.0.covers(filter)
    }
}

impl FromIterator<Filter> for FilterSet {
    fn from_iter<I: IntoIterator<Item = Filter>>(filters: I) -> Self {
        let mut set = Self::default();
        for filter in filters {
            set.0.at(&filter);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_mqtt_4_7_says() {
        for (filter, topic, expected) in [
            ("lwm2m/+/dn/#", "lwm2m/a/dn", true),
            ("lwm2m/+/dn/#", "lwm2m/a/dn/x/y", true),
            ("lwm2m/+/dn/#", "lwm2m//dn/x", true),
            ("lwm2m/+/dn/#", "lwm2m/a/b/dn", false),
            ("lwm2m/+/dn/#", "lwm2m/a/up", false),
            ("lwm2m/+/dn/#", "lwm2m/a/dnx", false),
            ("+/a", "$SYS/a", false),
            ("#", "$SYS/a", false),
            ("$SYS/#", "$SYS/a", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "a/b", true),
            ("a/b", "a/b", true),
            ("a/b", "a/b/", false),
            ("a/b/", "a/b", false),
        ] {
            let parsed = Filter::parse(filter).expect(filter);
            assert_eq!(parsed.matches(topic), expected, "{filter} against {topic}");
        }
    }

    #[test]
    fn malformed_filters_are_refused_by_reason() {
        for (filter, error) in [
            ("", FilterError::Empty),
            ("a\0b", FilterError::Nul),
            ("a+/b", FilterError::Wildcard),
            ("#/a", FilterError::Wildcard),
            ("a/b#", FilterError::Wildcard),
        ] {
            assert_eq!(Filter::parse(filter), Err(error), "{filter:?}");
        }
        assert_eq!(Filter::parse(&"x".repeat(65_536)), Err(FilterError::TooLong));
    }

    #[test]
    fn a_set_matches_what_one_of_its_filters_matches() {
        let filters = ["lwm2m/+/dn/#", "lwm2m/a/b/dn/x", "lwm2m/+/dn/#"];
        let set: FilterSet = filters.iter().map(|text| Filter::parse(text).unwrap()).collect();
        for (topic, expected) in
            [("lwm2m/a/dn/x", true), ("lwm2m/a/b/dn/x", true), ("lwm2m/a/b/dn/y", false)]
        {
            assert_eq!(set.matches(topic), expected, "{topic}");
        }
    }

    #[test]
    fn a_filter_covers_what_matches_no_topic_beyond_its_own() {
        for (filter, other, expected) in [
            ("lwm2m/+/dn/#", "lwm2m/a/dn/dm", true),
            ("lwm2m/+/dn/#", "lwm2m/a/dn", true),
            ("lwm2m/+/dn/#", "lwm2m/+/dn/+", true),
            ("lwm2m/+/dn/#", "lwm2m/a/#", false),
            ("lwm2m/a/#", "lwm2m/+/dn/#", false),
            ("a/+", "a/#", false),
            ("a/#", "a/+", true),
            ("a", "a", true),
            ("a", "a/b", false),
            ("#", "$SYS/a", false),
            ("+/a", "$SYS/a", false),
        ] {
            let (filter, other) = (Filter::parse(filter).unwrap(), Filter::parse(other).unwrap());
            assert_eq!(filter.covers(&other), expected, "{filter} and {other}");
        }
    }

    #[test]
    fn filters_overlap_when_one_topic_matches_both() {
        for (one, other, expected) in [
            ("a/+/x", "a/b/+", true),
            ("a/+/x", "a/b/y", false),
            ("a/#", "a", true),
            ("a/#", "b/#", false),
            ("a/b/#", "a/+", true),
            ("a/b/c", "a/+", false),
            ("#", "$SYS/a", false),
            ("+/a", "$SYS/a", false),
            ("$SYS/#", "$SYS/a", true),
        ] {
            let (one, other) = (Filter::parse(one).unwrap(), Filter::parse(other).unwrap());
            assert_eq!(one.overlaps(&other), expected, "{one} and {other}");
            assert_eq!(other.overlaps(&one), expected, "{other} and {one}");
        }
    }
}
