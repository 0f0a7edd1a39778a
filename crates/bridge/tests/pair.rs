//! The contract over a real engine and a real device: JSON in, CoAP in between, JSON out.
//!
//! What each message looks like in detail is tested beside the code; this shows that the three
//! crates mean the same.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bridge::{Bridge, Delivery, Downlink, Profile, Publication, Settings, Surroundings};
use device::{Device, Profile as DeviceProfile};
use engine::{
    ClaimAnswer, Completion, Config, Datagram, Duration, Identity, Instant, Peer, Server, WallMs,
};
use lwm2m::{Models, Path, Value, Version};
use serde_json::Value as Json;

/// A server and one device without a network in between.
struct Pair {
    server: Server,
    device: Device,
    bridge: Bridge,
    models: Arc<Models>,
    peer: Peer,
    now: Instant,
    published: Vec<Publication>,
}

/// 2026-01-02 03:04:05.678 UTC.
const WALL: WallMs = 1_767_323_045_678;

impl Pair {
    fn registered(profile: Profile) -> Self {
        let models = Arc::new(Models::builtin());
        let now = Instant::from_micros(1_000_000);
        let settings = Arc::new(engine::Settings::default());
        let server = Server::new(Config::default(), settings, Arc::clone(&models), 0, [7; 32]);
        let of_device = DeviceProfile::new(Version::V1_1, Arc::clone(&models)).into_shared();
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut pair = Self {
            server,
            device: Device::new("EP", of_device, 1, now),
            bridge: Bridge::new(Settings::of(profile)).expect("the default settings"),
            models,
            peer: Peer::new(0, local, SocketAddr::from(([192, 0, 2, 7], 5683))),
            now,
            published: Vec::new(),
        };
        pair.run();
        pair
    }

    /// Carries everything to and fro until nothing moves.
    fn run(&mut self) {
        loop {
            let mut datagram = Vec::new();
            if self.device.poll_transmit(&mut datagram).is_some() {
                let identity = Identity::None;
                let datagram = Datagram { peer: self.peer, identity: &identity, bytes: &datagram };
                self.server.handle_forwarded(self.now, WALL, datagram);
            } else if let Some(claim) = self.server.poll_claim() {
                let granted = ClaimAnswer::Granted { evict: false };
                self.server.handle_claim(self.now, claim.id, granted);
            } else if self.server.poll_transmit(&mut datagram).is_some() {
                self.device.handle_datagram(self.now, &datagram);
            } else if let Some(event) = self.server.poll_event() {
                let surroundings = Surroundings { models: &self.models, wall_ms: WALL };
                self.bridge.uplink(&event, surroundings, &mut self.published);
                if let Some(reply_to) = event.reply_to() {
                    self.server.complete(self.now, reply_to, Completion::Accept);
                }
            } else {
                return;
            }
        }
    }

    fn wait(&mut self, span: Duration) {
        self.now += span;
        self.device.handle_timeout(self.now);
        self.server.handle_timeout(self.now);
        self.run();
    }

    /// Sends a command and gives what is published from then on.
    fn command(&mut self, payload: &str) -> Vec<(String, Json)> {
        self.published.clear();
        let delivery = Delivery::new("lwm2m/EP/dn/dm", payload.as_bytes());
        match self.bridge.downlink(self.now, &delivery, &self.models) {
            Downlink::Command(command) => {
                self.server.submit(self.now, *command).expect("an accepted command");
            }
            other => panic!("{payload}: {other:?}"),
        }
        self.run();
        self.taken()
    }

    /// Topics behind `lwm2m/EP/` and payloads.
    fn taken(&mut self) -> Vec<(String, Json)> {
        let taken = self.published.drain(..).map(|publication| {
            let topic = publication.topic.strip_prefix("lwm2m/EP/").expect("its mountpoint");
            (topic.to_owned(), serde_json::from_slice(&publication.payload).expect("JSON"))
        });
        taken.collect()
    }

    /// The one answer to a command.
    fn answer(&mut self, payload: &str) -> Json {
        let taken = self.command(payload);
        let [(topic, json)] = &taken[..] else { panic!("{payload}: {taken:?}") };
        assert_eq!(topic, "up/resp");
        json.clone()
    }
}

fn path(text: &str) -> Path {
    Path::parse(text).expect("a path")
}

#[test]
fn a_registration_reaches_mqtt() {
    for profile in [Profile::Emqx4, Profile::Emqx5] {
        let mut pair = Pair::registered(profile);
        let taken = pair.taken();
        let [(topic, json)] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!(topic, "up/resp");
        assert_eq!(json["msgType"], "register");
        assert_eq!(json["data"]["ep"], "EP");
        assert!(json["data"]["lt"].is_u64());
        let list = json["data"]["objectList"].as_array().expect("a list");
        assert!(list.contains(&"/3/0".into()), "{json}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    for profile in [Profile::Emqx4, Profile::Emqx5] {
        let mut pair = Pair::registered(profile);
        let write = r#"{"reqID":1,"msgType":"write","data":
            {"path":"/3/0/14","type":"String","value":"+02:00"}}"#;
        assert_eq!(pair.answer(write)["data"]["code"], "2.04");
        let read = r#"{"reqID":2,"msgType":"read","data":{"path":"3/0/14/"}}"#;
        let answer = pair.answer(read);
        assert_eq!(answer["reqID"], 2);
        assert_eq!(answer["data"]["reqPath"], "3/0/14/");
        assert_eq!(answer["data"]["content"][0]["path"], "/3/0/14");
        assert_eq!(answer["data"]["content"][0]["value"], "+02:00");
    }
}

#[test]
fn batch_write_execute_discover_and_attributes_arrive() {
    let mut pair = Pair::registered(Profile::Emqx4);
    let batch = r#"{"msgType":"write","data":{"basePath":"/3/0","content":[
        {"path":"14","type":"String","value":"+01:00"},
        {"path":"15","type":"String","value":"Europe/Zurich"}]}}"#;
    assert_eq!(pair.answer(batch)["data"]["code"], "2.04");
    let text = |text: &str| Some(Value::String(text.to_owned()));
    assert_eq!(pair.device.value(&path("/3/0/14")).cloned(), text("+01:00"));
    assert_eq!(pair.device.value(&path("/3/0/15")).cloned(), text("Europe/Zurich"));

    let execute = r#"{"msgType":"execute","data":{"path":"/3/0/12"}}"#;
    assert_eq!(pair.answer(execute)["data"]["code"], "2.04");
    assert_eq!(pair.device.executions(&path("/3/0/12")), 1);

    let attributes = r#"{"msgType":"write-attr","data":{"path":"/3/0/9","pmin":1,"pmax":"60"}}"#;
    assert_eq!(pair.answer(attributes)["data"]["code"], "2.04");
    let discover = r#"{"msgType":"discover","data":{"path":"/3/0"}}"#;
    let answer = pair.answer(discover);
    let links = answer["data"]["content"].as_array().expect("links");
    assert!(
        links.iter().any(|link| link.as_str().is_some_and(|link| link.starts_with("</3/0/9>")))
    );

    let missing = r#"{"msgType":"read","data":{"path":"/9999/0"}}"#;
    assert_eq!(pair.answer(missing)["data"]["codeMsg"], "not_found");
}

#[test]
fn an_observation_notifies_until_it_is_cancelled() {
    for profile in [Profile::Emqx4, Profile::Emqx5] {
        let mut pair = Pair::registered(profile);
        let observe = r#"{"reqID":307,"msgType":"observe","data":{"path":"/3/0/9"}}"#;
        let first = pair.command(observe);
        assert_eq!(first.len(), 1, "{first:?}");
        assert_eq!(first[0].1["data"]["code"], "2.05");

        pair.device.set_value(pair.now, path("/3/0/9"), Value::Integer(42));
        pair.wait(Duration::from_secs(2));
        let taken = pair.taken();
        let [(topic, json)] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!(topic, "up/notify");
        assert_eq!((&json["reqID"], &json["msgType"]), (&307.into(), &"notify".into()));
        assert!(json["seqNum"].is_u64(), "{json}");
        assert_eq!(json["data"]["content"][0]["value"], 42);

        let cancel = r#"{"msgType":"cancel-observe","data":{"path":"/3/0/9"}}"#;
        assert_eq!(pair.answer(cancel)["data"]["code"], "2.05");
        pair.device.set_value(pair.now, path("/3/0/9"), Value::Integer(43));
        pair.wait(Duration::from_secs(2));
        assert!(pair.taken().is_empty());
    }
}

#[test]
fn a_send_reaches_mqtt() {
    let mut pair = Pair::registered(Profile::Emqx4);
    pair.taken();
    pair.device.send(pair.now, &[path("/3/0/9")]).expect("a registered device");
    pair.run();
    let taken = pair.taken();
    let [(topic, json)] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!((&**topic, &json["msgType"]), ("up/notify", &"send".into()));
    assert_eq!(json["data"]["content"][0]["path"], "/3/0/9");
}

#[test]
fn a_command_for_nobody_is_answered() {
    let mut pair = Pair::registered(Profile::Emqx4);
    let payload = br#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#;
    let delivery = Delivery::new("lwm2m/stranger/dn", payload);
    let Downlink::Command(command) = pair.bridge.downlink(pair.now, &delivery, &pair.models) else {
        panic!("a command")
    };
    let refused = pair.server.submit(pair.now, *command).expect_err("an unknown device");
    let surroundings = Surroundings { models: &pair.models, wall_ms: WALL };
    let mut out = Vec::new();
    pair.bridge.refused(&refused.command, &refused.reason, surroundings, &mut out);
    assert_eq!(out[0].topic, "lwm2m/stranger/up/resp");
    let json: Json = serde_json::from_slice(&out[0].payload).expect("JSON");
    assert_eq!(
        (&json["data"]["code"], &json["data"]["reason"]),
        (&"4.04".into(), &"unknown_device".into())
    );
}
