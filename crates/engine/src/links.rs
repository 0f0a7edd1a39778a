//! The object links of registrations, each once.
//!
//! Devices of a fleet send the same payload word for word: one that was read lately is known by its
//! bytes and not read again, which is a third of what a Register costs.

use std::sync::Arc;

use ahash::RandomState;
use lwm2m::registration::{LinksError, ObjectLinks};

use crate::intern::Interner;

/// The links in use, and the payloads read last.
pub(crate) struct Links {
    shared: Interner<ObjectLinks>,
    hasher: RandomState,
    /// One payload for each value of the low bits of its hash.
    read: [Option<Known>; PLACES],
}

/// A payload and what it says.
#[derive(Clone)]
struct Known {
    payload: Box<[u8]>,
    links: Arc<ObjectLinks>,
}

/// Payloads that are known by their bytes: more than a gateway has kinds of devices that register
/// at the same time.
const PLACES: usize = 32;

/// Longer payloads are read each time, so that all that are kept take 64 KiB at most.
const PAYLOAD_MAX: usize = 2_048;

impl Links {
    pub(crate) fn new(hasher: RandomState) -> Self {
        let read = std::array::from_fn(|_| None);
        Self { shared: Interner::new(hasher.clone()), hasher, read }
    }

    /// What a payload says; `None` for an empty one.
    pub(crate) fn read(&mut self, payload: &[u8]) -> Result<Option<Arc<ObjectLinks>>, LinksError> {
        if payload.len() > PAYLOAD_MAX {
            return Ok(ObjectLinks::parse(payload)?.map(|links| self.share(links)));
        }
        let number = self.hasher.hash_one(payload) as usize % PLACES;
        let known = self.read.get(number).and_then(Option::as_ref);
        if let Some(known) = known.filter(|known| *known.payload == *payload) {
            return Ok(Some(Arc::clone(&known.links)));
        }
        let Some(links) = ObjectLinks::parse(payload)? else { return Ok(None) };
        let links = self.share(links);
        if let Some(place) = self.read.get_mut(number) {
            *place = Some(Known { payload: payload.into(), links: Arc::clone(&links) });
        }
        Ok(Some(links))
    }

    /// The links that equal these.
    pub(crate) fn share(&mut self, links: ObjectLinks) -> Arc<ObjectLinks> {
        match self.shared.find(&links) {
            Some(shared) => shared,
            None => self.shared.add(Arc::new(links)),
        }
    }

    /// Drops what nobody uses any more.
    pub(crate) fn sweep(&mut self) {
        self.read.fill(None);
        self.shared.sweep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Links {
        Links::new(RandomState::with_seeds(1, 2, 3, 4))
    }

    #[test]
    fn a_payload_means_the_same_however_often_it_is_read() {
        let mut links = links();
        let payloads: Vec<String> =
            (0..4 * PLACES).map(|number| format!("</3/0>,</{number}/1>")).collect();
        for _ in 0..3 {
            for payload in &payloads {
                let parsed = ObjectLinks::parse(payload.as_bytes()).unwrap().unwrap();
                assert_eq!(*links.read(payload.as_bytes()).unwrap().unwrap(), parsed);
            }
        }
        assert!(links.read(b"").unwrap().is_none());
        assert!(links.read(b"\xff").is_err());
    }

    #[test]
    fn equal_links_are_one_whether_read_or_stored() {
        let mut links = links();
        let first = links.read(b"</3/0>").unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &links.read(b"</3/0>").unwrap().unwrap()));
        let stored = links.share(ObjectLinks::parse(b"</3/0>").unwrap().unwrap());
        assert!(Arc::ptr_eq(&first, &stored));
        let long = format!("</3/0>,</1/0>;x=\"{}\"", "x".repeat(PAYLOAD_MAX));
        let long = [(); 2].map(|()| links.read(long.as_bytes()).unwrap().unwrap());
        assert!(Arc::ptr_eq(&long[0], &long[1]));
        drop((first, stored, long));
        links.sweep();
        assert_eq!(links.shared.len(), 0);
    }
}
