//! Topic filters of our own subscription: MQTT 5.0 section 4.7.
//!
//! Which filters are wanted is decided by `bridge` (from mountpoint and command topic).

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

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
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Several filters, asked together. Those without a wildcard cost one look-up however many there
/// are: a device whose name has a `/` inside gets an exact filter of its own.
#[derive(Clone, Debug, Default)]
pub struct FilterSet {
    exact: HashSet<Arc<str>>,
    wild: Vec<Filter>,
}

impl FilterSet {
    /// Whether any filter matches the topic name.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        self.wild.iter().any(|filter| filter.matches(topic)) || self.exact.contains(topic)
    }
}

impl FromIterator<Filter> for FilterSet {
    fn from_iter<I: IntoIterator<Item = Filter>>(filters: I) -> Self {
        let mut set = Self::default();
        for filter in filters {
            if !filter.0.contains(['+', '#']) {
                set.exact.insert(filter.0);
            } else if !set.wild.contains(&filter) {
                set.wild.push(filter);
            }
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
        assert_eq!(set.wild.len(), 1);
        for (topic, expected) in
            [("lwm2m/a/dn/x", true), ("lwm2m/a/b/dn/x", true), ("lwm2m/a/b/dn/y", false)]
        {
            assert_eq!(set.matches(topic), expected, "{topic}");
        }
    }
}
