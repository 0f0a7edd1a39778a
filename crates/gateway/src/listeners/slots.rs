//! The numbers of the listeners: what a `Peer` carries instead of a name.

use std::collections::BTreeMap;

use crate::config::Config;

/// Listener name → number. A name keeps its number as long as the process lives, also while there
/// is no listener of that name, so that no device is ever taken for one of another listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots(BTreeMap<String, u16>);

impl Slots {
    /// The listeners of a configuration, numbered in the order of their names.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let mut slots = Self::default();
        for name in config.listeners.keys() {
            slots.assign(name);
        }
        slots
    }

    /// The number of a name; a new one gets the next. `None` after 65 535 different names.
    pub fn assign(&mut self, name: &str) -> Option<u16> {
        if let Some(number) = self.number(name) {
            return Some(number);
        }
        let number = u16::try_from(self.0.len()).ok().filter(|number| *number < u16::MAX)?;
        self.0.insert(name.to_owned(), number);
        Some(number)
    }

    /// The number of a name that was assigned one.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u16> {
        self.0.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        let mut slots = Slots::of(&Config::default());
        assert_eq!(slots.number("default"), Some(0));
        assert_eq!(slots.assign("a"), Some(1));
        assert_eq!((slots.assign("default"), slots.assign("a")), (Some(0), Some(1)));
        assert_eq!(slots.number("b"), None);
    }
}
