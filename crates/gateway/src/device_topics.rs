//! Topics on which one device takes commands besides those of the settings: what EMQX's session of
//! a device is subscribed to over REST (contract, section 9.1).
//!
//! They are held as long as the name is registered; a Register that replaces a registration keeps
//! them, as EMQX's session does. Who asks for them is the job of [`crate::rest`], subscribing at
//! the broker that of [`crate::pump`], and reading the messages that of [`crate::downlink`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bridge::Recipient;
use engine::Device;
use lwm2m::EndpointName;
use parking_lot::RwLock;

use crate::mqtt::{Filter, FilterMap};

/// Topics of one device: more than an application has kinds of commands.
pub const TOPICS_PER_DEVICE: usize = 16;

/// Topics of all devices. They are set up one by one by hand or by a script; a fleet is served by
/// the settings. With the longest topics and names they hold some 10 MB, and a broker that is
/// connected anew gets 64 SUBSCRIBE packets.
pub const TOPICS_MAX: usize = 4_096;

/// The longest topic with its mountpoint, in bytes.
pub const TOPIC_LEN_MAX: usize = 1_024;

/// A topic of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceTopic {
    /// As it was asked for, without mountpoint.
    pub asked: String,
    /// With the mountpoint that the device had then.
    pub filter: Filter,
    /// What a broker would be asked for with it.
    pub options: Options,
}

/// Subscription options, MQTT 5 3.8.3.1, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Maximum QoS.
    pub qos: u8,
    /// No Local.
    pub no_local: u8,
    /// Retain As Published.
    pub retain_as_published: u8,
    /// Retain Handling.
    pub retain_handling: u8,
}

/// A device that takes the messages of a topic for commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    endpoint: EndpointName,
    listener: u16,
    address: Box<str>,
}

impl Holder {
    /// The device as it is now.
    pub fn of(device: &Device) -> Self {
        Self {
            endpoint: device.endpoint.clone(),
            listener: device.peer.listener(),
            address: device.peer.remote_ip().to_string().into(),
        }
    }

    /// As the contract wants it.
    pub fn recipient(&self) -> Recipient<'_> {
        Recipient { endpoint: &self.endpoint, listener: self.listener, address: &self.address }
    }
}

/// Why there is no room for one more topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The device has as many as it can have.
    #[error("the device has {TOPICS_PER_DEVICE} topics of its own, which is the most")]
    Device,
    /// All devices together have.
    #[error("devices have {TOPICS_MAX} topics of their own, which is the most")]
    Gateway,
}

/// The topics of all devices.
#[derive(Debug, Default)]
pub struct DeviceTopics {
    held: RwLock<Held>,
    /// Mirrors the number of topics: mostly there are none, and nothing need be locked.
    count: AtomicUsize,
    version: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    by_name: HashMap<EndpointName, Vec<DeviceTopic>>,
    by_topic: FilterMap<Vec<Holder>>,
    count: usize,
}

impl DeviceTopics {
    /// Gives a device a topic; if it has that one, it gets the new options.
    ///
    /// # Errors
    /// [`Full`].
    pub fn hold(&self, holder: Holder, topic: DeviceTopic) -> Result<(), Full> {
        let mut held = self.held.write();
        let topics = held.by_name.get_mut(&holder.endpoint);
        let same = topics.and_then(|topics| topics.iter_mut().find(|t| t.filter == topic.filter));
        if let Some(same) = same {
            same.options = topic.options;
            return Ok(());
        }
        if held.by_name.get(&holder.endpoint).is_some_and(|own| own.len() >= TOPICS_PER_DEVICE) {
            return Err(Full::Device);
        }
        if held.count >= TOPICS_MAX {
            return Err(Full::Gateway);
        }
        held.by_topic.at(&topic.filter).push(holder.clone());
        held.by_name.entry(holder.endpoint).or_default().push(topic);
        held.count += 1;
        self.changed(&held);
        Ok(())
    }

    /// Takes a topic from a device, named with mountpoint or without. Returns whether it had it.
    pub fn release(&self, endpoint: &EndpointName, named: &str) -> bool {
        let mut held = self.held.write();
        let Some(topics) = held.by_name.get_mut(endpoint) else { return false };
        let asked = topics.iter().position(|topic| topic.asked == named);
        let place =
            asked.or_else(|| topics.iter().position(|topic| topic.filter.as_str() == named));
        let Some(place) = place else { return false };
        let topic = topics.remove(place);
        if topics.is_empty() {
            held.by_name.remove(endpoint);
        }
        held.leave(endpoint, &topic.filter);
        self.changed(&held);
        true
    }

    /// Takes all topics from a device that is not registered any more.
    pub fn forget(&self, endpoint: &EndpointName) {
        if self.is_empty() {
            return;
        }
        let mut held = self.held.write();
        let Some(topics) = held.by_name.remove(endpoint) else { return };
        topics.iter().for_each(|topic| held.leave(endpoint, &topic.filter));
        self.changed(&held);
    }

    /// The topics of a device, the oldest first.
    pub fn of(&self, endpoint: &EndpointName) -> Vec<DeviceTopic> {
        if self.is_empty() {
            return Vec::new();
        }
        self.held.read().by_name.get(endpoint).cloned().unwrap_or_default()
    }

    /// How many a device has.
    pub fn count_of(&self, endpoint: &EndpointName) -> usize {
        if self.is_empty() {
            return 0;
        }
        self.held.read().by_name.get(endpoint).map_or(0, Vec::len)
    }

    /// The devices that take messages of this topic for commands, each once.
    pub fn holders(&self, topic: &str) -> Vec<Holder> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut holders: Vec<Holder> = Vec::new();
        for holder in self.held.read().by_topic.matching(topic).flatten() {
            if holders.iter().all(|known| known.endpoint != holder.endpoint) {
                holders.push(holder.clone());
            }
        }
        holders
    }

    /// Whether messages of this topic are commands for some device.
    pub fn takes(&self, topic: &str) -> bool {
        !self.is_empty() && self.held.read().by_topic.matching(topic).next().is_some()
    }

    /// The filters of all devices, each once.
    pub fn filters(&self) -> Vec<Filter> {
        if self.is_empty() {
            return Vec::new();
        }
        let held = self.held.read();
        let topics = held.by_name.values().flatten();
        let mut filters: Vec<Filter> = topics.map(|topic| topic.filter.clone()).collect();
        filters.sort_unstable();
        filters.dedup();
        filters
    }

    /// Topics of all devices.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether no device has any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Grows with each change.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn changed(&self, held: &Held) {
        self.count.store(held.count, Ordering::Release);
        self.version.fetch_add(1, Ordering::Release);
    }
}

impl Held {
    fn leave(&mut self, endpoint: &EndpointName, filter: &Filter) {
        let holders = self.by_topic.at(filter);
        holders.retain(|holder| holder.endpoint != *endpoint);
        if holders.is_empty() {
            self.by_topic.remove(filter);
        }
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> EndpointName {
        EndpointName::parse(text).unwrap()
    }

    fn holder(text: &str) -> Holder {
        Holder { endpoint: name(text), listener: 0, address: "192.0.2.1".into() }
    }

    fn topic(asked: &str) -> DeviceTopic {
        let filter = Filter::parse(&format!("m/{asked}")).unwrap();
        DeviceTopic { asked: asked.to_owned(), filter, options: Options::default() }
    }

    fn held(topics: &[(&str, &str)]) -> DeviceTopics {
        let held = DeviceTopics::default();
        for (device, asked) in topics {
            held.hold(holder(device), topic(asked)).unwrap();
        }
        held
    }

    fn names(topics: &DeviceTopics, topic: &str) -> Vec<String> {
        let holders = topics.holders(topic);
        let mut names: Vec<_> = holders.iter().map(|it| it.endpoint.to_string()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_message_is_for_each_device_whose_topics_match_once() {
        let topics = held(&[("a", "x/#"), ("a", "x/+"), ("b", "x/y"), ("b", "z")]);
        assert_eq!(names(&topics, "m/x/y"), ["a", "b"]);
        assert_eq!(names(&topics, "m/z"), ["b"]);
        assert!(topics.takes("m/x") && !topics.takes("x"));
    }

    #[test]
    fn the_same_topic_again_changes_its_options() {
        let topics = held(&[("a", "x"), ("b", "x")]);
        let options = Options { qos: 2, ..Options::default() };
        topics.hold(holder("a"), DeviceTopic { options, ..topic("x") }).unwrap();
        assert_eq!(topics.of(&name("a")), [DeviceTopic { options, ..topic("x") }]);
        assert_eq!(topics.filters(), [topic("x").filter]);
        assert_eq!((topics.len(), topics.count_of(&name("a"))), (2, 1));
    }

    #[test]
    fn a_topic_goes_by_either_name_and_all_with_their_device() {
        let topics = held(&[("a", "x"), ("a", "y/+"), ("a", "z"), ("b", "x")]);
        assert!(topics.release(&name("a"), "y/+"));
        assert!(topics.release(&name("a"), "m/z"));
        assert!(!topics.release(&name("a"), "z"));
        assert!(!topics.release(&name("c"), "x"));
        let version = topics.version();
        topics.forget(&name("a"));
        topics.forget(&name("a"));
        assert_eq!(topics.version(), version + 1);
        assert_eq!(names(&topics, "m/x"), ["b"]);
        topics.forget(&name("b"));
        assert!(topics.is_empty() && topics.filters().is_empty() && !topics.takes("m/x"));
    }

    #[test]
    fn there_is_room_for_so_many_topics_and_no_more() {
        let topics = DeviceTopics::default();
        for number in 0..TOPICS_PER_DEVICE {
            topics.hold(holder("a"), topic(&number.to_string())).unwrap();
        }
        assert_eq!(topics.hold(holder("a"), topic("x")), Err(Full::Device));
        topics.hold(holder("a"), topic("0")).expect("it has that one");
        for number in TOPICS_PER_DEVICE..TOPICS_MAX {
            topics.hold(holder(&format!("d{number}")), topic("x")).unwrap();
        }
        assert_eq!(topics.hold(holder("b"), topic("x")), Err(Full::Gateway));
        topics.release(&name("a"), "0");
        topics.hold(holder("b"), topic("x")).expect("there is room again");
    }
}
