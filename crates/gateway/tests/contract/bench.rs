//! A gateway of its own, an application on MQTT and scripted devices on UDP: what the rows of the
//! tables are played with.

use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gateway::config::{Config, MqttMode, Profile};
use gateway::mqtt::embedded::{Embedded, EmbeddedConfig};
use gateway::service::Service;
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use crate::coap::{ACK, CON, CONTENT_FORMAT, DELETE, LOCATION_PATH, Message, POST, RST};
use crate::mqtt::{self, Inbox, Received, V5};
use crate::recording_proxy::RecordingProxy;

/// How long a row waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Paths of the devices that rows are played with, unless a row says otherwise.
pub(crate) const LINKS: &str = "</1/0>,</3/0>,</4/0>,</5/0>,</3303/0>,</3303/1>";

/// What is the same or differs between the profiles.
#[derive(Clone, Debug)]
pub(crate) enum By<T> {
    Both(T),
    Each(T, T),
}

impl<T: Clone> By<T> {
    pub(crate) fn of(&self, profile: Profile) -> T {
        match (self, profile) {
            (Self::Both(same), _) | (Self::Each(same, _), Profile::Emqx4) => same.clone(),
            (Self::Each(_, five), Profile::Emqx5) => five.clone(),
        }
    }
}

/// A running gateway with an application that hears everything.
pub(crate) struct Gateway {
    runtime: Runtime,
    service: Option<Service>,
    mqtt: V5,
    coap: SocketAddr,
    pub(crate) profile: Profile,
    external: Option<External>,
}

/// A broker of its own, and the line to it that can be cut.
struct External {
    proxy: RecordingProxy,
    _broker: Embedded,
}

impl Gateway {
    pub(crate) fn start(profile: Profile, name: &str) -> Self {
        Self::start_with(profile, name, |_| {})
    }

    /// Starts a gateway with two shards on free ports. `name` is unique among the tests.
    pub(crate) fn start_with(profile: Profile, name: &str, set: impl FnOnce(&mut Config)) -> Self {
        Self::start_in(runtime(), profile, name, |config| {
            set(config);
            None
        })
    }

    /// Starts a gateway with a broker outside of it.
    pub(crate) fn start_external(
        profile: Profile,
        name: &str,
        set: impl FnOnce(&mut Config),
    ) -> Self {
        let runtime = runtime();
        let external = runtime.block_on(async {
            let config = EmbeddedConfig {
                bind: SocketAddr::from(([127, 0, 0, 1], 0)),
                ..EmbeddedConfig::default()
            };
            let broker = Embedded::start(&config, Inbox::open()).await.expect("a broker");
            External { proxy: RecordingProxy::start(broker.address()).await, _broker: broker }
        });
        Self::start_in(runtime, profile, name, |config| {
            config.mqtt.mode = MqttMode::External;
            config.mqtt.external.url = format!("mqtt://{}", external.proxy.address());
            config.mqtt.external.reconnect_min = Duration::from_millis(20).into();
            set(config);
            Some(external)
        })
    }

    fn start_in(
        runtime: Runtime,
        profile: Profile,
        name: &str,
        set: impl FnOnce(&mut Config) -> Option<External>,
    ) -> Self {
        let mut config =
            Config { profile, shards: 2, data_dir: data_dir(profile, name), ..Config::default() };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        config.listeners.values_mut().for_each(|listener| listener.bind = any);
        config.mqtt.embedded.bind = any;
        config.http.enabled = false;
        let external = set(&mut config);
        let (service, mqtt) = runtime.block_on(async {
            let service = Service::start(&config, 0).await.expect("the gateway starts");
            let outside = external.as_ref().map(|external| external._broker.address());
            let broker = outside.or(service.addresses().broker).unwrap();
            let mqtt = V5::connect(broker, "application");
            mqtt.subscribe("#", 2).await;
            mqtt::until("the gateway is connected", || service.connected()).await;
            (service, mqtt)
        });
        let coap = service.addresses().coap[0].1;
        Self { runtime, service: Some(service), mqtt, coap, profile, external }
    }

    /// Cuts the line to the external broker; `meanwhile` happens while it is away.
    pub(crate) fn cut(&self, meanwhile: impl FnOnce()) {
        let proxy = &self.external.as_ref().expect("an external broker").proxy;
        let service = self.service.as_ref().unwrap();
        proxy.let_through(false);
        proxy.cut();
        self.runtime.block_on(mqtt::until("the gateway is away", || !service.connected()));
        meanwhile();
        proxy.let_through(true);
        self.runtime.block_on(mqtt::until("the gateway is back", || service.connected()));
    }

    /// Publishes a message that the broker keeps; an empty one removes it.
    pub(crate) fn retain(&self, topic: &str, payload: &str) {
        self.runtime.block_on(self.mqtt.publish(topic, payload, 1, true));
    }

    /// Waits until the gateway has everything that was published so far: a broker outside of it
    /// acknowledges before it passes on.
    pub(crate) fn heard(&self) {
        let mut nobody = self.device(&unique_name());
        nobody.publish(&json!({"msgType": "read", "data": {"path": "/3/0/15"}}));
        assert_eq!(nobody.published().json["data"]["reason"], "unknown_device");
    }

    pub(crate) fn publish(&self, topic: &str, payload: &str) {
        self.runtime.block_on(self.mqtt.publish(topic, payload, 1, false));
    }

    pub(crate) fn publish_with(
        &self,
        topic: &str,
        payload: &str,
        properties: rumqttc_v5::PublishProperties,
    ) {
        let options = rumqttc_v5::PublishOptions::new(rumqttc_v5::QoS::AtLeastOnce);
        self.publish_options(topic, payload, options.properties(properties));
    }

    pub(crate) fn publish_options(
        &self,
        topic: &str,
        payload: &str,
        options: rumqttc_v5::PublishOptions,
    ) {
        let (topic, payload) = (topic.to_owned(), payload.as_bytes().to_vec());
        self.runtime.block_on(async {
            let notice = self.mqtt.client.publish_tracked(topic, payload, options).await.unwrap();
            notice.wait_async().await.expect("the broker takes it");
        });
    }

    /// The HTTP server, if the settings asked for one.
    pub(crate) fn http(&self) -> SocketAddr {
        let service = self.service.as_ref().expect("it runs until it is dropped");
        service.addresses().http.expect("the settings ask for it")
    }

    /// A device that has not registered.
    pub(crate) fn device(&self, name: &str) -> Device<'_> {
        self.device_to(self.coap, name)
    }

    /// The same at the listener of this number, in the order of their names.
    pub(crate) fn device_at(&self, listener: usize, name: &str) -> Device<'_> {
        let listeners = &self.service.as_ref().unwrap().addresses().coap;
        self.device_to(listeners[listener].1, name)
    }

    fn device_to(&self, coap: SocketAddr, name: &str) -> Device<'_> {
        let socket = socket();
        socket.connect(coap).unwrap();
        Device {
            gateway: self,
            name: name.to_owned(),
            prefix: format!("lwm2m/{name}/"),
            socket,
            next_id: Cell::new(first_id()),
            location: String::new(),
            read: self.mqtt.received().len(),
        }
    }

    /// A registered device whose registration has been seen on MQTT.
    pub(crate) fn registered(&self, name: &str) -> Device<'_> {
        self.registered_with(name, LINKS)
    }

    pub(crate) fn registered_with(&self, name: &str, links: &str) -> Device<'_> {
        let mut device = self.device(name);
        device.register(&[], links);
        assert_eq!(device.published().json["msgType"], "register");
        device
    }

    /// Plays the rows and fails at the end, if any failed, with the names of those that did.
    pub(crate) fn play<R>(&self, rows: &[R], name: fn(&R) -> &str, row: impl Fn(&R)) {
        let failed: Vec<&str> = rows
            .iter()
            .map(|each| (name(each), catch_unwind(AssertUnwindSafe(|| row(each)))))
            .filter_map(|(name, outcome)| outcome.is_err().then_some(name))
            .inspect(|name| eprintln!("^^^ row \"{name}\" in {:?}", self.profile))
            .collect();
        assert!(failed.is_empty(), "{:?}: {} rows failed: {failed:#?}", self.profile, failed.len());
    }
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(service) = self.service.take() {
            self.runtime.block_on(service.stop());
        }
    }
}

fn data_dir(profile: Profile, name: &str) -> PathBuf {
    let process = std::process::id();
    std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("contract-{process}-{name}-{profile:?}"))
}

pub(crate) fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A name that no other row has.
pub(crate) fn unique_name() -> String {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    format!("dev-{}", NAMES.fetch_add(1, Ordering::Relaxed))
}

/// Each device has a hundred message ids of its own: one may get the port that another one had, and
/// the gateway would take what it sends for repetitions.
fn first_id() -> u16 {
    static IDS: AtomicU16 = AtomicU16::new(1);
    IDS.fetch_add(100, Ordering::Relaxed)
}

/// A message of the gateway, its topic without mountpoint.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) topic: String,
    pub(crate) json: Json,
    pub(crate) message: Received,
}

/// A device that does what its row says.
pub(crate) struct Device<'g> {
    pub(crate) gateway: &'g Gateway,
    pub(crate) name: String,
    /// What its topics begin with.
    pub(crate) prefix: String,
    pub(crate) socket: UdpSocket,
    next_id: Cell<u16>,
    /// Path of the registration.
    pub(crate) location: String,
    /// Messages of the application that were looked at.
    read: usize,
}

impl Device<'_> {
    pub(crate) fn profile(&self) -> Profile {
        self.gateway.profile
    }

    pub(crate) fn new_id(&self) -> u16 {
        let id = self.next_id.get();
        self.next_id.set(id.wrapping_add(1));
        id
    }

    /// A confirmable request with a token of its own.
    pub(crate) fn request(&self, code: u8, path: &str) -> Message {
        let id = self.new_id();
        Message::new(CON, code, id, &id.to_be_bytes()).path(path)
    }

    pub(crate) fn send(&self, message: &Message) {
        self.socket.send(&message.encode()).unwrap();
    }

    /// The next message for the device. A read of the lifetime, with which the gateway finds out
    /// whether the address is real, is answered on the way.
    pub(crate) fn receive(&self) -> Message {
        loop {
            let message = self.receive_any();
            if message.shown() == "GET /1/0/1" {
                self.answer(&message, "2.05 text 60");
            } else {
                return message;
            }
        }
    }

    fn receive_any(&self) -> Message {
        let mut buffer = vec![0; 65_536];
        let length = self.socket.recv(&mut buffer).expect("a datagram for the device");
        Message::decode(&buffer[..length])
    }

    /// Sends a request and gives its answer.
    pub(crate) fn ask(&self, request: &Message) -> Message {
        self.send(request);
        let answer = self.receive();
        assert_eq!((answer.id, &answer.token), (request.id, &request.token), "{answer:?}");
        answer
    }

    /// Registers with parameters beside `ep`, `lt` and `lwm2m`.
    pub(crate) fn register(&mut self, parameters: &[&str], links: &str) {
        let name = format!("ep={}", self.name);
        let queries = [&[name.as_str(), "lt=86400", "lwm2m=1.1"], parameters].concat();
        let request = self.request(POST, "/rd").queries(&queries).body(links.as_bytes());
        let answer = self.ask(&request);
        assert_eq!(answer.shown().split(' ').next(), Some("2.01"), "{answer:?}");
        self.location = location(&answer);
    }

    pub(crate) fn update(&self, parameters: &[&str], links: &str) -> Message {
        let request = self.request(POST, &self.location);
        self.ask(&request.queries(parameters).body(links.as_bytes()))
    }

    pub(crate) fn deregister(&self) -> Message {
        self.ask(&self.request(DELETE, &self.location))
    }

    /// Publishes a command for this device.
    pub(crate) fn publish(&self, command: &Json) {
        self.publish_text(&command.to_string());
    }

    pub(crate) fn publish_text(&self, command: &str) {
        self.gateway.publish(&format!("{}dn/dm", self.prefix), command);
    }

    /// Publishes a command and gives the request that it becomes.
    pub(crate) fn command(&self, command: &Json) -> Message {
        self.publish(command);
        self.receive()
    }

    /// Acknowledges a request with an answer given as a line.
    pub(crate) fn answer(&self, request: &Message, line: &str) {
        self.send(&Message::answer(request, line));
    }

    /// Sends an answer or notification in a message of its own, and gives its id.
    pub(crate) fn separately(&self, kind: u8, request: &Message, line: &str) -> u16 {
        let id = self.new_id();
        self.send(&Message { kind, id, ..Message::answer(request, line) });
        id
    }

    /// Waits for the empty acknowledgement of a message.
    pub(crate) fn acknowledged(&self, id: u16) {
        assert_eq!(self.receive(), Message::new(ACK, 0, id, &[]));
    }

    /// Waits for the Reset of a message.
    pub(crate) fn reset(&self, id: u16) {
        assert_eq!(self.receive(), Message::new(RST, 0, id, &[]));
    }

    /// The next message of the gateway about this device.
    pub(crate) fn published(&mut self) -> Published {
        let prefix = self.prefix.clone();
        self.published_below(&prefix)
    }

    /// The next message of the gateway whose topic begins with `prefix`.
    pub(crate) fn published_below(&mut self, prefix: &str) -> Published {
        let (topic, message) = self.heard(prefix);
        let json = serde_json::from_str(&message.payload).expect("JSON");
        Published { topic, json, message }
    }

    /// The payload of the next message, character by character.
    pub(crate) fn published_text(&mut self) -> String {
        let prefix = self.prefix.clone();
        self.heard(&prefix).1.payload
    }

    fn heard(&mut self, prefix: &str) -> (String, Received) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for message in self.gateway.mqtt.received_from(self.read) {
                self.read += 1;
                let Some(topic) = message.topic.strip_prefix(prefix) else { continue };
                // What this application published itself.
                if topic != "dn" && !topic.starts_with("dn/") {
                    return (topic.to_owned(), message);
                }
            }
            assert!(
                Instant::now() < deadline,
                "nothing more is published below {prefix}; so far: {:#?}",
                self.published_so_far(prefix),
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn published_so_far(&self, prefix: &str) -> Vec<Received> {
        let mut messages = self.gateway.mqtt.received();
        messages.retain(|message| message.topic.starts_with(prefix));
        messages
    }

    /// The next message is this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, topic: &str, json: &Json) {
        let published = self.published();
        assert_eq!((published.topic.as_str(), &published.json), (topic, json));
    }

    /// Nothing more is published about the device and nothing more is sent to it, which a command
    /// that passes all others shows.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        let command = json!({"reqID": "last", "mheaders": {"ttl": 0}, "msgType": "read",
                             "data": {"path": "/3/0/15"}});
        let request = self.command(&command);
        assert_eq!(request.shown(), "GET /3/0/15");
        self.answer(&request, "4.04");
        let published = self.published();
        assert_eq!(published.json["reqID"], "last", "{published:?}");
    }
}

/// The path in the Location-Path options.
pub(crate) fn location(answer: &Message) -> String {
    let segments = answer.values(LOCATION_PATH);
    let segments = segments.iter().map(|segment| std::str::from_utf8(segment).unwrap());
    segments.map(|segment| format!("/{segment}")).collect()
}

/// `json` with the name of a device in place of `EP`.
pub(crate) fn named(json: &Json, name: &str) -> Json {
    serde_json::from_str(&json.to_string().replace("EP", name)).unwrap()
}

/// A Register as a message, with `EP` in the queries replaced.
pub(crate) fn register_request(device: &Device<'_>, queries: &[&str], links: &str) -> Message {
    let queries: Vec<String> = queries.iter().map(|q| q.replace("EP", &device.name)).collect();
    let request = device.request(POST, "/rd").queries(&queries);
    request.uint(CONTENT_FORMAT, 40).body(links.as_bytes())
}
