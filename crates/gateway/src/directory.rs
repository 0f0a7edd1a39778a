//! Which shard and which registration an endpoint name belongs to: design rule "claim".
//!
//! The one structure that shards share. It is asked once per registration and once per command,
//! never on the notification path. The engine stays pure: it asks for a claim, the shard loop
//! answers it from here.

use ahash::RandomState;
use engine::RegistrationId;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use lwm2m::EndpointName;
use parking_lot::RwLock;

/// Number of locks. A lookup holds one for some 50 ns, so with 64 of them a few dozen threads
/// hardly ever meet; the tables cost 64 × 56 bytes empty.
const PARTITIONS: usize = 64;

/// The home of a registered device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// The shard that serves the device.
    pub shard: u8,
    /// Its current registration.
    pub registration: RegistrationId,
}

struct Row {
    endpoint: EndpointName,
    home: Home,
}

type Partition = RwLock<HashTable<Row>>;

/// Endpoint name → home, for all shards of a process.
pub struct Directory {
    partitions: Box<[Partition]>,
    hasher: RandomState,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory {
    /// An empty directory with hash keys of its own: names come from devices and may be chosen to
    /// collide.
    pub fn new() -> Self {
        let partitions = (0..PARTITIONS).map(|_| Partition::default()).collect();
        Self { partitions, hasher: RandomState::new() }
    }

    /// Makes `home` the home of the endpoint and returns the former one, which the caller evicts.
    pub fn claim(&self, endpoint: &EndpointName, home: Home) -> Option<Home> {
        let hash = self.hasher.hash_one(endpoint.as_str());
        let mut rows = self.partition(hash).write();
        match rows.entry(hash, |row| row.endpoint == *endpoint, |row| self.hash(row)) {
            Entry::Occupied(mut row) => Some(std::mem::replace(&mut row.get_mut().home, home)),
            Entry::Vacant(place) => {
                place.insert(Row { endpoint: endpoint.clone(), home });
                None
            }
        }
    }

    /// Forgets the endpoint if `registration` is still its current one; a newer claim stays.
    /// Returns whether it is forgotten.
    pub fn release(&self, endpoint: &EndpointName, registration: RegistrationId) -> bool {
        let hash = self.hasher.hash_one(endpoint.as_str());
        let mut rows = self.partition(hash).write();
        let current =
            |row: &Row| row.endpoint == *endpoint && row.home.registration == registration;
        let found = rows.find_entry(hash, current);
        let is_forgotten = found.map(|row| row.remove()).is_ok();
        // A fleet that left for good must not keep the memory of its peak.
        if rows.len() * 4 < rows.capacity() {
            rows.shrink_to(0, |row| self.hash(row));
        }
        is_forgotten
    }

    /// Where the device with this name lives now.
    pub fn find(&self, endpoint: &str) -> Option<Home> {
        let hash = self.hasher.hash_one(endpoint);
        let rows = self.partition(hash).read();
        rows.find(hash, |row| row.endpoint.as_str() == endpoint).map(|row| row.home)
    }

    /// Gives `what` to `act`, with the home of an endpoint, which cannot move meanwhile, and the
    /// name as the directory stores it, so that callers share its memory. `act` must be short.
    ///
    /// # Errors
    /// `what` itself, when the endpoint is not registered.
    pub fn at_home<A, T>(
        &self,
        endpoint: &str,
        what: A,
        act: impl FnOnce(A, &EndpointName, Home) -> T,
    ) -> Result<T, A> {
        let hash = self.hasher.hash_one(endpoint);
        let rows = self.partition(hash).read();
        match rows.find(hash, |row| row.endpoint.as_str() == endpoint) {
            Some(row) => Ok(act(what, &row.endpoint, row.home)),
            None => Err(what),
        }
    }

    /// Registered endpoints of all shards.
    pub fn len(&self) -> usize {
        self.partitions.iter().map(|rows| rows.read().len()).sum()
    }

    /// Whether no endpoint is registered.
    pub fn is_empty(&self) -> bool {
        self.partitions.iter().all(|rows| rows.read().is_empty())
    }

    fn partition(&self, hash: u64) -> &Partition {
        // The table itself uses the top and bottom bits; the middle ones choose the partition.
        &self.partitions[(hash >> 32) as usize % PARTITIONS]
    }

    fn hash(&self, row: &Row) -> u64 {
        self.hasher.hash_one(row.endpoint.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> EndpointName {
        EndpointName::parse(text).unwrap()
    }

    fn home(shard: u8, random: u64) -> Home {
        Home { shard, registration: RegistrationId::new(shard, random) }
    }

    #[test]
    fn a_claim_returns_the_home_it_replaced() {
        let directory = Directory::new();
        assert_eq!(directory.claim(&name("a"), home(0, 1)), None);
        assert_eq!(directory.claim(&name("a"), home(1, 2)), Some(home(0, 1)));
        assert_eq!(directory.find("a"), Some(home(1, 2)));
        assert_eq!(directory.len(), 1);
    }

    #[test]
    fn only_the_current_registration_releases_the_name() {
        let directory = Directory::new();
        directory.claim(&name("a"), home(0, 1));
        directory.claim(&name("a"), home(1, 2));
        assert!(!directory.release(&name("a"), home(0, 1).registration));
        assert_eq!(directory.find("a"), Some(home(1, 2)));
        assert!(directory.release(&name("a"), home(1, 2).registration));
        assert_eq!(directory.find("a"), None);
        assert!(directory.is_empty());
    }

    #[test]
    fn what_is_for_nobody_is_handed_back() {
        let directory = Directory::new();
        directory.claim(&name("a"), home(3, 1));
        let at_home = |endpoint| directory.at_home(endpoint, 7, |what, _, home| (what, home.shard));
        assert_eq!((at_home("a"), at_home("b")), (Ok((7, 3)), Err(7)));
    }

    #[test]
    fn names_share_the_memory_of_the_directory() {
        let directory = Directory::new();
        directory.claim(&name("a"), home(0, 1));
        let shared = || directory.at_home("a", (), |(), name, _| name.clone()).unwrap();
        let (first, second) = (shared(), shared());
        assert_eq!(first.as_str().as_ptr(), second.as_str().as_ptr());
    }

    #[test]
    fn memory_is_given_back_when_a_fleet_leaves() {
        let directory = Directory::new();
        let names: Vec<_> = (0..20_000u64).map(|n| name(&format!("device-{n}"))).collect();
        for (n, name) in names.iter().enumerate() {
            directory.claim(name, home(0, n as u64));
        }
        assert_eq!(directory.len(), names.len());
        for (n, name) in names.iter().enumerate() {
            directory.release(name, home(0, n as u64).registration);
        }
        assert!(directory.is_empty());
        let capacity: usize = directory.partitions.iter().map(|p| p.read().capacity()).sum();
        assert!(capacity < 1_000, "{capacity} rows are still held");
    }
}
