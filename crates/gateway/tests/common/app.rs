//! An MQTT 3.1.1 application made of bytes, and what it received: the tests judge by this, not by a
//! library that might repair or reorder.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::wire::{CONNACK, CONNECT, PUBACK, PUBLISH, Published, Raw, SUBACK, SUBSCRIBE, Version};

/// How long a test waits for what must come, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How often it looks.
const STEP: Duration = Duration::from_millis(10);

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(STEP).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited in vain: {what}");
}

/// An application that is connected to a broker.
pub(crate) struct App {
    line: Arc<Line>,
    reader: tokio::task::JoinHandle<()>,
}

struct Line {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    next_packet: AtomicU16,
    subscribed: AtomicUsize,
    acknowledged: AtomicUsize,
}

impl App {
    /// Connects and hands every application message to `on_message`.
    pub(crate) async fn connect(
        broker: SocketAddr,
        id: &str,
        on_message: impl FnMut(Published) + Send + 'static,
    ) -> Self {
        let mut stream = TcpStream::connect(broker).await.expect("the broker listens");
        stream.set_nodelay(true).unwrap();
        stream.write_all(&connect_packet(id)).await.unwrap();
        let mut buffer = BytesMut::new();
        let greeting = read(&mut stream, &mut buffer).await.expect("CONNACK");
        assert_eq!((greeting.kind(), greeting.body.get(1)), (CONNACK, Some(&0)));
        let (input, output) = stream.into_split();
        let line = Arc::new(Line {
            writer: tokio::sync::Mutex::new(output),
            next_packet: AtomicU16::new(1),
            subscribed: AtomicUsize::new(0),
            acknowledged: AtomicUsize::new(0),
        });
        let reader = tokio::spawn(receive(input, buffer, Arc::clone(&line), on_message));
        Self { line, reader }
    }

    /// Subscribes with QoS 1 and waits for the SUBACK.
    pub(crate) async fn subscribe(&self, filter: &str) {
        let before = self.line.subscribed.load(Ordering::Relaxed);
        self.line.send(&subscribe_packet(self.line.packet(), filter, 1)).await;
        let line = &self.line;
        until("SUBACK", || line.subscribed.load(Ordering::Relaxed) > before).await;
    }

    /// Publishes with QoS 1, without waiting.
    pub(crate) async fn publish(&self, topic: &str, payload: &str) {
        let packet = self.line.packet();
        let message = Published {
            topic: topic.to_owned(),
            payload: payload.to_owned(),
            qos: 1,
            dup: false,
            packet,
            size: 0,
        };
        self.line.send(&message.write(Version::V311).encode()).await;
    }

    /// Publishes a command for a device.
    pub(crate) async fn command(&self, endpoint: &str, command: &Value) {
        self.publish(&format!("lwm2m/{endpoint}/dn/test"), &command.to_string()).await;
    }

    /// How many of its messages the broker has acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.line.acknowledged.load(Ordering::Relaxed)
    }

    /// Whether the connection has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.reader.is_finished()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Line {
    async fn send(&self, bytes: &[u8]) {
        // A broker that was killed is found out by the reader.
        let _ = self.writer.lock().await.write_all(bytes).await;
    }

    fn packet(&self) -> u16 {
        loop {
            let packet = self.next_packet.fetch_add(1, Ordering::Relaxed);
            if packet != 0 {
                return packet;
            }
        }
    }
}

async fn receive(
    mut input: OwnedReadHalf,
    mut buffer: BytesMut,
    line: Arc<Line>,
    mut on_message: impl FnMut(Published),
) {
    while let Some(raw) = read(&mut input, &mut buffer).await {
        match raw.kind() {
            PUBLISH => {
                let message = Published::read(&raw, Version::V311).unwrap();
                if message.qos > 0 {
                    line.send(&Raw::new(PUBACK, message.packet.to_be_bytes().to_vec()).encode())
                        .await;
                }
                on_message(message);
            }
            SUBACK => {
                assert!(raw.body[2..].iter().all(|code| *code < 3), "the filter is granted");
                line.subscribed.fetch_add(1, Ordering::Relaxed);
            }
            PUBACK => {
                line.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

async fn read(input: &mut (impl AsyncReadExt + Unpin), buffer: &mut BytesMut) -> Option<Raw> {
    loop {
        if let Some(raw) = Raw::take(buffer) {
            return Some(raw);
        }
        let Ok(1..) = input.read_buf(buffer).await else { return None };
    }
}

/// CONNECT of MQTT 3.1.1.
pub(crate) fn connect_packet(id: &str) -> Vec<u8> {
    let mut body = Vec::new();
    text("MQTT", &mut body);
    // Level 4, clean session, no Keep Alive.
    body.extend_from_slice(&[4, 2, 0, 0]);
    text(id, &mut body);
    Raw::new(CONNECT, body).encode()
}

/// SUBSCRIBE of MQTT 3.1.1 to one filter.
pub(crate) fn subscribe_packet(packet: u16, filter: &str, qos: u8) -> Vec<u8> {
    let mut body = packet.to_be_bytes().to_vec();
    text(filter, &mut body);
    body.push(qos);
    Raw { first: SUBSCRIBE << 4 | 2, body: body.into() }.encode()
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// A message of the gateway.
#[derive(Clone, Debug)]
pub(crate) struct Uplink {
    /// The device that it is about.
    pub(crate) endpoint: String,
    /// The topic behind the mountpoint.
    pub(crate) channel: String,
    /// Its payload.
    pub(crate) json: Value,
}

impl Uplink {
    pub(crate) fn read(message: &Published) -> Self {
        let mut levels = message.topic.splitn(3, '/');
        let (Some("lwm2m"), Some(endpoint), Some(channel)) =
            (levels.next(), levels.next(), levels.next())
        else {
            panic!("a topic of the gateway: {}", message.topic)
        };
        let json = serde_json::from_str(&message.payload)
            .unwrap_or_else(|error| panic!("{error}: {}", message.payload));
        Self { endpoint: endpoint.to_owned(), channel: channel.to_owned(), json }
    }

    /// Its `msgType`.
    pub(crate) fn kind(&self) -> &str {
        self.json["msgType"].as_str().unwrap_or_default()
    }

    /// The `reqID` of the command that it answers.
    pub(crate) fn request(&self) -> Option<u64> {
        self.json.get("reqID").and_then(Value::as_u64)
    }

    /// `data.code`, else the `msgType` (`coap_timeout`, `coap_reset`), and `data.reason`.
    pub(crate) fn outcome(&self) -> String {
        let data = &self.json["data"];
        let code = data["code"].as_str().unwrap_or_else(|| self.kind());
        match data["reason"].as_str() {
            Some(reason) => format!("{code} {reason}"),
            None => code.to_owned(),
        }
    }

    /// The first value of a notification or answer, if it is an integer.
    pub(crate) fn integer(&self) -> Option<i64> {
        self.json["data"]["content"][0]["value"].as_i64()
    }

    /// Whether it ends a command: everything with a `reqID` but the interim `ack`, and later
    /// notifications of an observation.
    pub(crate) fn is_final(&self) -> bool {
        self.request().is_some() && self.kind() != "ack" && self.channel != "up/notify"
    }
}

/// Everything that an application received.
#[derive(Clone, Default)]
pub(crate) struct Mailbox(Arc<Mutex<Vec<Uplink>>>);

impl Mailbox {
    /// An application that receives everything of all devices.
    pub(crate) async fn open(broker: SocketAddr) -> (App, Self) {
        let mailbox = Self::default();
        let sink = mailbox.clone();
        let app = App::connect(broker, "judge", move |message| sink.push(&message)).await;
        app.subscribe("lwm2m/+/up/#").await;
        (app, mailbox)
    }

    pub(crate) fn push(&self, message: &Published) {
        let uplink = Uplink::read(message);
        self.0.lock().push(uplink);
    }

    pub(crate) fn all(&self) -> Vec<Uplink> {
        self.0.lock().clone()
    }

    /// How many of them are so.
    pub(crate) fn count(&self, is_so: impl Fn(&Uplink) -> bool) -> usize {
        self.0.lock().iter().filter(|uplink| is_so(uplink)).count()
    }

    /// Waits until at least so many of them are so.
    pub(crate) async fn wait(&self, count: usize, what: &str, is_so: impl Fn(&Uplink) -> bool) {
        let wait = async {
            while self.count(&is_so) < count {
                tokio::time::sleep(STEP).await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        assert!(came, "{} of {count} came: {what}", self.count(&is_so));
    }

    /// What each device said, in order.
    pub(crate) fn of(&self, endpoint: &str) -> Vec<Uplink> {
        self.0.lock().iter().filter(|uplink| uplink.endpoint == endpoint).cloned().collect()
    }
}
