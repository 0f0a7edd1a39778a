//! Versions of objects that devices have and nobody has defined: OMA Core 7.2.
//!
//! The nearest definition is used then. That is said once for each version of an object, whichever
//! of a million devices brings it first.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::{Device, RegisteredInfo};
use lwm2m::model::Fit;
use lwm2m::registration::ObjectLinks;
use lwm2m::{Models, Version};
use parking_lot::Mutex;

/// Versions that are remembered. Devices choose them, so there is a bound: 16 bytes each, 16 KiB.
const MISSING_MAX: usize = 1_024;

/// What was said already; shared by the shards.
#[derive(Debug, Default)]
pub struct MissingVersions {
    said: Mutex<BTreeSet<(u16, Version)>>,
    count: AtomicUsize,
}

impl MissingVersions {
    /// How many versions of objects were asked for that nobody defined.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Other definitions may have them, and others not.
    pub fn clear(&self) {
        let mut said = self.said.lock();
        said.clear();
        self.count.store(0, Ordering::Relaxed);
    }

    /// Whether it is news.
    fn note(&self, object: u16, version: Version) -> bool {
        let mut said = self.said.lock();
        let is_new = said.len() < MISSING_MAX && said.insert((object, version));
        self.count.store(said.len(), Ordering::Relaxed);
        is_new
    }
}

/// One shard's look at what its devices register.
#[derive(Debug, Default)]
pub struct VersionCheck {
    /// What was looked at last. A fleet that registers at once sends the same links.
    last: Option<(Arc<ObjectLinks>, Option<Version>)>,
}

impl VersionCheck {
    /// Forgets what was looked at: the definitions are others.
    pub fn clear(&mut self) {
        self.last = None;
    }

    /// Looks at the objects of a device that registered or sent its links again.
    pub fn look(&mut self, device: &Device, models: &Models, missing: &MissingVersions) {
        let info: &RegisteredInfo = &device.info;
        let Some(links) = &info.links else { return };
        let enabler = info.enabler();
        let is_known = |(seen, of): &(Arc<ObjectLinks>, Option<Version>)| {
            Arc::ptr_eq(seen, links) && *of == enabler
        };
        if self.last.as_ref().is_some_and(is_known) {
            return;
        }
        self.last = Some((Arc::clone(links), enabler));
        let view = info.view(models);
        for object in links.objects() {
            let Some(version) = view.version(object.object) else { continue };
            let Some(found) = models.find(object.object, Some(version)) else { continue };
            if found.fit == Fit::Nearest && missing.note(object.object, version) {
                tracing::warn!(
                    event = "object_version_missing",
                    object = object.object,
                    %version,
                    stated = object.version.is_some(),
                    used = %found.model.version,
                    endpoint = device.endpoint.as_str(),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_is_news_once_until_the_definitions_change() {
        let missing = MissingVersions::default();
        let version = Version::new(1, 7);
        assert!(missing.note(3, version));
        assert!(!missing.note(3, version));
        assert!(missing.note(4, version));
        assert_eq!(missing.count(), 2);
        missing.clear();
        assert!(missing.note(3, version));
    }

    #[test]
    fn what_devices_invent_is_bounded() {
        let missing = MissingVersions::default();
        let news = (0..2_000).filter(|minor| missing.note(3, Version::new(1, *minor))).count();
        assert_eq!((news, missing.count()), (MISSING_MAX, MISSING_MAX));
    }
}
