//! The data of a device: what the fleet shares and what differs, copy-on-write.
//!
//! A fleet of devices shares one sorted list of defaults; each device keeps only the slots that
//! differ from it. What a server may do with a slot is the job of [`crate::management`].

use std::iter::Peekable;
use std::sync::Arc;

use lwm2m::{Path, Value};

/// What stands at a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot {
    /// An object instance; at a path of two ids.
    Instance,
    /// A resource of several instances, perhaps of none; at a path of three ids.
    Multiple,
    /// A resource that can be executed; at a path of three ids.
    Executable,
    /// A value: at three ids of a single resource, at four of a resource instance.
    Value(Value),
}

/// The slots that all devices of a fleet begin with, ascending by path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defaults {
    slots: Vec<(Path, Slot)>,
    /// What stands at [`PMIN_DEFAULT`] and [`PMAX_DEFAULT`], since every notification asks.
    periods: [Option<u32>; 2],
}

/// Default Minimum Period of the server object, in seconds.
pub(crate) const PMIN_DEFAULT: Path = Path::resource(1, 0, 2);

/// Default Maximum Period of the server object, in seconds.
pub(crate) const PMAX_DEFAULT: Path = Path::resource(1, 0, 3);

/// A value as a number of seconds.
pub(crate) fn seconds_of(value: &Value) -> Option<u32> {
    match value {
        Value::Integer(seconds) => u32::try_from(*seconds).ok(),
        _ => None,
    }
}

impl Defaults {
    /// No objects at all.
    pub const fn new() -> Self {
        Self { slots: Vec::new(), periods: [None; 2] }
    }

    /// Puts a slot at a path, replacing what was there; what leads to it is created.
    pub fn set(&mut self, path: Path, slot: Slot) {
        if path.len() > 2 {
            self.add(path.truncated(2), Slot::Instance);
        }
        if path.len() > 3 {
            self.add(path.truncated(3), Slot::Multiple);
        }
        match self.slots.binary_search_by_key(&path, |(at, _)| *at) {
            Ok(index) => {
                if let Some(entry) = self.slots.get_mut(index) {
                    entry.1 = slot;
                }
            }
            Err(index) => self.slots.insert(index, (path, slot)),
        }
        self.learn_periods();
    }

    /// Puts a value at a path; see [`Defaults::set`].
    #[must_use]
    pub fn with(mut self, path: Path, value: Value) -> Self {
        self.set(path, Slot::Value(value));
        self
    }

    /// Removes a path and everything below it.
    pub fn remove(&mut self, prefix: &Path) {
        self.slots.retain(|(path, _)| !path.starts_with(prefix));
        self.learn_periods();
    }

    /// What the server object has as default periods: of the least and of the most seconds.
    pub(crate) const fn server_periods(&self) -> [Option<u32>; 2] {
        self.periods
    }

    fn learn_periods(&mut self) {
        self.periods = [PMIN_DEFAULT, PMAX_DEFAULT].map(|path| match self.slot(&path)? {
            Slot::Value(value) => seconds_of(value),
            Slot::Instance | Slot::Multiple | Slot::Executable => None,
        });
    }

    fn slot(&self, path: &Path) -> Option<&Slot> {
        let index = self.slots.binary_search_by_key(path, |(at, _)| *at).ok()?;
        self.slots.get(index).map(|(_, slot)| slot)
    }

    /// The slots, ascending by path.
    pub fn iter(&self) -> impl Iterator<Item = (Path, &Slot)> {
        self.slots.iter().map(|(path, slot)| (*path, slot))
    }

    fn add(&mut self, path: Path, slot: Slot) {
        if let Err(index) = self.slots.binary_search_by_key(&path, |(at, _)| *at) {
            self.slots.insert(index, (path, slot));
        }
    }
}

/// What differs at a path; `None`: the default is gone.
pub(crate) type Change = (Path, Option<Slot>);

/// The data of one device.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    defaults: Arc<Defaults>,
    /// What differs, ascending by path.
    changes: Vec<Change>,
}

impl Tree {
    pub(crate) const fn new(defaults: Arc<Defaults>) -> Self {
        Self { defaults, changes: Vec::new() }
    }

    /// Forgets every difference.
    pub(crate) fn reset(&mut self) {
        self.changes = Vec::new();
    }

    /// The same, and keeps the memory.
    pub(crate) fn forget(&mut self) {
        self.changes.clear();
    }

    /// What differs, ascending by path.
    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    pub(crate) fn put_changes(&mut self, changes: Vec<Change>) {
        self.changes = changes;
    }

    /// Forgets every difference, from these defaults.
    pub(crate) fn begin_with(&mut self, defaults: &Arc<Defaults>) {
        self.changes.clear();
        if !Arc::ptr_eq(&self.defaults, defaults) {
            self.defaults = Arc::clone(defaults);
        }
    }

    pub(crate) fn slot(&self, path: &Path) -> Option<&Slot> {
        if let Ok(index) = self.changes.binary_search_by_key(path, |(at, _)| *at) {
            return self.changes.get(index)?.1.as_ref();
        }
        self.defaults.slot(path)
    }

    /// What differs at a path; `Some(None)`: the default is gone.
    pub(crate) fn change_at(&self, path: &Path) -> Option<&Option<Slot>> {
        let index = self.changes.binary_search_by_key(path, |(at, _)| *at).ok()?;
        self.changes.get(index).map(|(_, slot)| slot)
    }

    pub(crate) fn value(&self, path: &Path) -> Option<&Value> {
        match self.slot(path)? {
            Slot::Value(value) => Some(value),
            Slot::Instance | Slot::Multiple | Slot::Executable => None,
        }
    }

    /// The value at a path if it is not the default.
    pub(crate) fn changed_value(&self, path: &Path) -> Option<&Value> {
        let index = self.changes.binary_search_by_key(path, |(at, _)| *at).ok()?;
        match self.changes.get(index)?.1.as_ref()? {
            Slot::Value(value) => Some(value),
            Slot::Instance | Slot::Multiple | Slot::Executable => None,
        }
    }

    /// Everything at or below a path, ascending.
    pub(crate) fn under(&self, prefix: Path) -> Under<'_> {
        let defaults = &self.defaults.slots;
        let first = defaults.partition_point(|(path, _)| *path < prefix);
        let first_change = self.changes.partition_point(|(path, _)| *path < prefix);
        Under {
            prefix,
            defaults: defaults.get(first..).unwrap_or_default().iter().peekable(),
            changes: self.changes.get(first_change..).unwrap_or_default().iter().peekable(),
        }
    }

    /// Whether anything is at or below a path.
    pub(crate) fn contains(&self, prefix: &Path) -> bool {
        self.under(*prefix).next().is_some()
    }

    pub(crate) fn set(&mut self, path: Path, slot: Slot) {
        match self.changes.binary_search_by_key(&path, |(at, _)| *at) {
            Ok(index) => {
                if let Some(entry) = self.changes.get_mut(index) {
                    entry.1 = Some(slot);
                }
            }
            Err(index) => {
                // Most devices differ in one or two values: growing by doubling would waste half.
                if self.changes.len() < 4 {
                    self.changes.reserve_exact(1);
                }
                self.changes.insert(index, (path, Some(slot)));
            }
        }
    }

    /// Removes a path and everything below it.
    pub(crate) fn remove(&mut self, prefix: &Path) {
        self.changes.retain(|(path, _)| !path.starts_with(prefix));
        let doomed: Vec<Path> = self.under(*prefix).map(|(path, _)| path).collect();
        for path in doomed {
            let at = self.changes.partition_point(|(known, _)| *known < path);
            self.changes.insert(at, (path, None));
        }
    }

    /// Bytes on the heap that this device alone uses for its data, roughly.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.changes.capacity() * size_of::<Change>()
    }
}

/// The merge of defaults and changes below one path.
pub(crate) struct Under<'a> {
    prefix: Path,
    defaults: Peekable<std::slice::Iter<'a, (Path, Slot)>>,
    changes: Peekable<std::slice::Iter<'a, (Path, Option<Slot>)>>,
}

impl<'a> Iterator for Under<'a> {
    type Item = (Path, &'a Slot);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let default = self.defaults.peek().filter(|(path, _)| path.starts_with(&self.prefix));
            let change = self.changes.peek().filter(|(path, _)| path.starts_with(&self.prefix));
            match (default, change) {
                (None, None) => return None,
                (Some((path, slot)), None) => {
                    let item = (*path, slot);
                    self.defaults.next();
                    return Some(item);
                }
                (Some((path, slot)), Some((changed, _))) if path < changed => {
                    let item = (*path, slot);
                    self.defaults.next();
                    return Some(item);
                }
                (default, Some((path, slot))) => {
                    let hidden = default.is_some_and(|(hidden, _)| hidden == path);
                    let item = slot.as_ref().map(|slot| (*path, slot));
                    self.changes.next();
                    if hidden {
                        self.defaults.next();
                    }
                    if item.is_some() {
                        return item;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    fn tree() -> Tree {
        let defaults = Defaults::new()
            .with(path("/3/0/0"), Value::String("maker".into()))
            .with(path("/3/0/6/0"), Value::Integer(1))
            .with(path("/3/0/6/1"), Value::Integer(5))
            .with(path("/3303/0/5700"), Value::Float(20.0));
        Tree::new(Arc::new(defaults))
    }

    fn paths(tree: &Tree, prefix: &str) -> Vec<String> {
        tree.under(path(prefix)).map(|(path, _)| path.to_string()).collect()
    }

    #[test]
    fn what_leads_to_a_value_is_there_too() {
        assert_eq!(
            paths(&tree(), "/"),
            ["/3/0", "/3/0/0", "/3/0/6", "/3/0/6/0", "/3/0/6/1", "/3303/0", "/3303/0/5700"]
        );
        assert_eq!(tree().slot(&path("/3/0/6")), Some(&Slot::Multiple));
    }

    #[test]
    fn a_change_hides_the_default_and_others_do_not_see_it() {
        let first = tree();
        let mut second = first.clone();
        second.set(path("/3303/0/5700"), Slot::Value(Value::Float(1.0)));
        assert_eq!(second.value(&path("/3303/0/5700")), Some(&Value::Float(1.0)));
        assert_eq!(first.value(&path("/3303/0/5700")), Some(&Value::Float(20.0)));
        assert_eq!(paths(&second, "/3303"), ["/3303/0", "/3303/0/5700"]);
        second.reset();
        assert_eq!(second.value(&path("/3303/0/5700")), Some(&Value::Float(20.0)));
    }

    #[test]
    fn removing_takes_everything_below_and_can_be_undone() {
        let mut tree = tree();
        tree.set(path("/3/0/6/2"), Slot::Value(Value::Integer(9)));
        tree.remove(&path("/3/0/6"));
        assert_eq!(paths(&tree, "/3"), ["/3/0", "/3/0/0"]);
        tree.set(path("/3/0/6"), Slot::Multiple);
        tree.set(path("/3/0/6/1"), Slot::Value(Value::Integer(7)));
        assert_eq!(paths(&tree, "/3/0/6"), ["/3/0/6", "/3/0/6/1"]);
    }

    proptest! {
        #[test]
        fn defaults_and_changes_together_are_one_map(
            defaults in prop::collection::vec((0..3_u16, 0..2_u16, 0..3_u16), 0..12),
            steps in prop::collection::vec((any::<bool>(), 0..3_u16, 0..2_u16, 0..3_u16), 0..24),
        ) {
            let mut shared = Defaults::new();
            for (object, instance, resource) in defaults {
                let at = Path::resource(object, instance, resource);
                shared.set(at, Slot::Value(Value::Integer(0)));
            }
            let mut map: BTreeMap<Path, Slot> =
                shared.iter().map(|(path, slot)| (path, slot.clone())).collect();
            let mut tree = Tree::new(Arc::new(shared));
            for (number, (sets, object, instance, resource)) in (1..).zip(steps) {
                let at = Path::resource(object, instance, resource);
                if sets {
                    let slot = Slot::Value(Value::Integer(number));
                    tree.set(at, slot.clone());
                    map.insert(at, slot);
                } else {
                    let prefix = at.truncated(usize::from(resource) + 1);
                    tree.remove(&prefix);
                    map.retain(|path, _| !path.starts_with(&prefix));
                }
                for prefix in [Path::ROOT, at.truncated(1), at.truncated(2), at] {
                    let merged: Vec<_> =
                        tree.under(prefix).map(|(path, slot)| (path, slot.clone())).collect();
                    let expected: Vec<_> = map
                        .iter()
                        .filter(|(path, _)| path.starts_with(&prefix))
                        .map(|(path, slot)| (*path, slot.clone()))
                        .collect();
                    prop_assert_eq!(merged, expected);
                }
                prop_assert_eq!(tree.slot(&at), map.get(&at));
            }
        }
    }

    #[test]
    fn a_new_instance_stands_in_its_place() {
        let mut tree = tree();
        tree.set(path("/3303/5"), Slot::Instance);
        tree.set(path("/3303/5/5700"), Slot::Value(Value::Float(3.5)));
        tree.set(path("/6/0"), Slot::Instance);
        assert_eq!(paths(&tree, "/3303"), ["/3303/0", "/3303/0/5700", "/3303/5", "/3303/5/5700"]);
        assert!(tree.contains(&path("/6")));
        assert!(!tree.contains(&path("/7")));
    }
}
