//! A broker that follows a script: it acknowledges when it is told to, forgets sessions, narrows
//! limits, and repeats messages.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::wire::{
    CONNACK, CONNECT, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBLISH, Published, Raw, SUBACK,
    SUBSCRIBE, UNSUBACK, UNSUBSCRIBE, Version,
};

/// The listening end.
pub(crate) struct FakeBroker {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// What the CONNACK says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Greeting {
    pub(crate) session_present: bool,
    /// MQTT 5 only.
    pub(crate) receive_maximum: Option<u16>,
    /// MQTT 5 only.
    pub(crate) packet_max: Option<u32>,
    /// A refusal instead of a welcome.
    pub(crate) refusal: Option<u8>,
}

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

impl FakeBroker {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// Waits for a client and greets it.
    pub(crate) async fn accept(&self, greeting: Greeting) -> Client {
        let accepted = tokio::time::timeout(PATIENCE, self.listener.accept()).await;
        let (stream, _) = accepted.expect("the client connects").unwrap();
        let mut client = Client { stream, buffer: BytesMut::new(), version: Version::V5 };
        let connect = client.read().await.expect("CONNECT");
        assert_eq!(connect.kind(), CONNECT);
        client.version = if connect.body[6] == 5 { Version::V5 } else { Version::V311 };
        client.send(&greet(greeting, client.version)).await;
        client
    }

    /// Greets a client and grants its subscription, if it asks for one.
    pub(crate) async fn accept_subscriber(&self, greeting: Greeting) -> Client {
        let mut client = self.accept(greeting).await;
        client.grant_subscription().await;
        client
    }
}

fn greet(greeting: Greeting, version: Version) -> Raw {
    let code = greeting.refusal.unwrap_or(0);
    let mut body = vec![u8::from(greeting.session_present && code == 0), code];
    if version == Version::V5 {
        let mut properties = Vec::new();
        if let Some(maximum) = greeting.receive_maximum {
            properties.push(0x21);
            properties.extend_from_slice(&maximum.to_be_bytes());
        }
        if let Some(maximum) = greeting.packet_max {
            properties.push(0x27);
            properties.extend_from_slice(&maximum.to_be_bytes());
        }
        body.push(u8::try_from(properties.len()).unwrap());
        body.extend_from_slice(&properties);
    }
    Raw::new(CONNACK, body)
}

/// One connection, seen from the broker.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: BytesMut,
    pub(crate) version: Version,
}

impl Client {
    /// The next packet; `None` when the client closed or nothing came in time.
    pub(crate) async fn read(&mut self) -> Option<Raw> {
        self.read_within(PATIENCE).await
    }

    pub(crate) async fn read_within(&mut self, patience: Duration) -> Option<Raw> {
        let read = async {
            loop {
                if let Some(raw) = Raw::take(&mut self.buffer) {
                    return Some(raw);
                }
                let Ok(1..) = self.stream.read_buf(&mut self.buffer).await else { return None };
            }
        };
        tokio::time::timeout(patience, read).await.ok().flatten()
    }

    pub(crate) async fn send(&mut self, raw: &Raw) {
        // The client may be gone; the next read says so.
        let _ = self.stream.write_all(&raw.encode()).await;
    }

    /// The next PUBLISH. Subscriptions and pings on the way are answered.
    pub(crate) async fn read_publish(&mut self) -> Option<Published> {
        self.read_publish_within(PATIENCE).await
    }

    pub(crate) async fn read_publish_within(&mut self, patience: Duration) -> Option<Published> {
        loop {
            let raw = self.read_within(patience).await?;
            match raw.kind() {
                PUBLISH => return Published::read(&raw, self.version),
                DISCONNECT => return None,
                _ => self.answer(&raw).await,
            }
        }
    }

    /// Waits for SUBSCRIBE and grants it; returns the filters' packet.
    pub(crate) async fn grant_subscription(&mut self) -> Raw {
        loop {
            let raw = self.read().await.expect("SUBSCRIBE");
            self.answer(&raw).await;
            if raw.kind() == SUBSCRIBE {
                return raw;
            }
        }
    }

    async fn answer(&mut self, raw: &Raw) {
        let mut ack = raw.body.slice(..raw.body.len().min(2)).to_vec();
        match raw.kind() {
            SUBSCRIBE => {
                if self.version == Version::V5 {
                    ack.push(0);
                }
                ack.extend(std::iter::repeat_n(1, filters(raw, self.version)));
                self.send(&Raw::new(SUBACK, ack)).await;
            }
            UNSUBSCRIBE => {
                if self.version == Version::V5 {
                    ack.extend_from_slice(&[0, 0]);
                }
                self.send(&Raw::new(UNSUBACK, ack)).await;
            }
            PINGREQ => self.send(&Raw::new(PINGRESP, Vec::new())).await,
            _ => {}
        }
    }

    /// Acknowledges a QoS 1 message; `reason` is told to MQTT 5 clients.
    pub(crate) async fn acknowledge(&mut self, packet: u16, reason: u8) {
        let mut body = packet.to_be_bytes().to_vec();
        if reason != 0 {
            body.extend_from_slice(&[reason, 0]);
        }
        self.send(&Raw::new(PUBACK, body)).await;
    }

    /// Delivers a QoS 1 message.
    pub(crate) async fn deliver(&mut self, topic: &str, payload: &str, packet: u16, dup: bool) {
        let (topic, payload) = (topic.to_owned(), payload.to_owned());
        let message = Published { topic, payload, qos: 1, dup, packet, size: 0 };
        self.send(&message.write(self.version)).await;
    }

    /// Waits for the acknowledgement of a delivered message.
    pub(crate) async fn read_ack(&mut self, patience: Duration) -> Option<u16> {
        loop {
            let raw = self.read_within(patience).await?;
            if raw.kind() == PUBACK {
                return Some(u16::from_be_bytes([raw.body[0], raw.body[1]]));
            }
            self.answer(&raw).await;
        }
    }
}

/// Filters in a SUBSCRIBE.
fn filters(raw: &Raw, version: Version) -> usize {
    let mut body = &raw.body[2..];
    if version == Version::V5 {
        body = &body[1 + usize::from(body[0])..];
    }
    let mut count = 0;
    while body.len() > 2 {
        let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
        body = &body[2 + length + 1..];
        count += 1;
    }
    count
}
