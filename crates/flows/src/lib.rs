//! The three data flows through the pure crates, from datagram to publication and back, without a
//! socket, a thread or a broker: what instruction counts (`cargo xtask instructions`) and
//! micro-benchmarks (`cargo bench -p flows`) are taken of.
//!
//! Each operation does what a shard does for it, in the order of `gateway::shard`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bridge::{Bridge, Delivery, Downlink, Publication, Surroundings};
use coap::{
    Code, ContentFormat, Duration, Instant, Message, MessageId, OptionList, Peer, Token, Type,
};
use engine::{ClaimAnswer, Completion, Config, Datagram, Event, Identity, Rearm, Routed, Server};
use lwm2m::Models;

/// 2026-01-01.
const WALL_MS: i64 = 1_767_225_600_000;

/// What a device of a usual fleet registers.
const LINKS: &[u8] = b"</>;rt=\"oma.lwm2m\";ct=\"60 110 112 11542\",</1/0>,</3/0>,</4/0>,</5/0>,\
                       </6/0>,</7/0>,</3303/0>,</3303/1>";

/// A shard and a fleet that is registered, each device of which is observed.
pub struct Shard {
    server: Server,
    bridge: Bridge,
    models: Arc<Models>,
    now: Instant,
    devices: Vec<Device>,
    next: usize,
    datagram: Vec<u8>,
    sent: Vec<u8>,
    published: Vec<Publication>,
    used: Vec<Publication>,
    message_id: u16,
    operations: u64,
}

struct Device {
    peer: Peer,
    /// Of the observation.
    token: Token,
    observe: u32,
}

impl Shard {
    /// `fleet` devices, registered and observed at `/3303/0/5700`.
    ///
    /// # Panics
    /// When one of them cannot be registered.
    #[must_use]
    pub fn with_fleet(fleet: u32) -> Self {
        let models = Arc::new(Models::builtin());
        // A registration is one flow; setting observations up again would be others.
        let settings = engine::Settings { rearm: Rearm::Off, ..engine::Settings::default() };
        let settings = Arc::new(settings);
        let server = Server::new(Config::default(), settings, Arc::clone(&models), 0, [7; 32]);
        let bridge = Bridge::new(bridge::Settings::of(bridge::Profile::Emqx4)).expect("a contract");
        let mut shard = Self {
            server,
            bridge,
            models,
            now: Instant::from_micros(1_000_000),
            devices: Vec::new(),
            next: 0,
            datagram: Vec::new(),
            sent: Vec::new(),
            published: Vec::new(),
            used: Vec::new(),
            message_id: 0,
            operations: 0,
        };
        for number in 0..fleet {
            shard.add_device(number);
        }
        shard
    }

    /// Messages that were published so far.
    #[must_use]
    pub const fn operations(&self) -> u64 {
        self.operations
    }

    /// The next device notifies a value, not confirmable: datagram → event → publication.
    pub fn notification(&mut self) {
        let number = self.advance();
        let device = &mut self.devices[number];
        device.observe += 1;
        let (peer, token) = (device.peer, device.token);
        let mut options = OptionList::new();
        options.observe(device.observe);
        options.content_format(ContentFormat(0));
        let value = [b'2', b'0', b'.', b'0' + (device.observe % 10) as u8];
        self.message_id = self.message_id.wrapping_add(1);
        let message = Message {
            kind: Type::NonConfirmable,
            code: Code::CONTENT,
            id: MessageId::new(self.message_id),
            token,
            options: options.options(),
            payload: &value,
        };
        self.receive(peer, &message);
        self.publish();
    }

    /// The next device registers again under its name, which ends its observation: datagram → claim
    /// → answer → publication.
    pub fn registration(&mut self) {
        let number = self.advance();
        self.register(number as u32, self.devices[number].peer);
        self.publish();
    }

    /// A command of an application to the next device and its answer: delivery → datagram → event
    /// → publication.
    pub fn command(&mut self) {
        let number = self.advance();
        let topic = format!("lwm2m/{}/dn/dm", name(number as u32));
        let payload = br#"{"reqID":7,"msgType":"read","data":{"path":"/3303/0/5700"}}"#;
        self.submit(&topic, payload);
        let (peer, request) = self.take_request();
        self.answer(peer, &request, None);
        self.publish();
    }

    fn advance(&mut self) -> usize {
        self.now += Duration::from_micros(20);
        self.next = (self.next + 1) % self.devices.len();
        self.next
    }

    fn add_device(&mut self, number: u32) {
        let remote = SocketAddr::from((Ipv4Addr::from(0x7f01_0001 + number), 56_830));
        let peer = Peer::new(0, IpAddr::V4(Ipv4Addr::LOCALHOST), remote);
        self.register(number, peer);
        self.publish();
        let topic = format!("lwm2m/{}/dn/dm", name(number));
        let observe = br#"{"reqID":1,"msgType":"observe","data":{"path":"/3303/0/5700"}}"#;
        self.submit(&topic, observe);
        let (peer, request) = self.take_request();
        let token = self.answer(peer, &request, Some(1));
        self.publish();
        self.devices.push(Device { peer, token, observe: 1 });
    }

    fn register(&mut self, number: u32, peer: Peer) {
        let mut options = OptionList::new();
        options.uri_path("rd");
        options.content_format(ContentFormat(40));
        options.uri_query(&format!("ep={}", name(number)));
        ["lwm2m=1.1", "lt=86400", "b=U"].iter().for_each(|query| options.uri_query(query));
        self.message_id = self.message_id.wrapping_add(1);
        let message = Message {
            kind: Type::Confirmable,
            code: Code::POST,
            id: MessageId::new(self.message_id),
            token: Token::new(&self.message_id.to_be_bytes()).expect("two bytes"),
            options: options.options(),
            payload: LINKS,
        };
        self.receive(peer, &message);
        while let Some(claim) = self.server.poll_claim() {
            self.server.handle_claim(self.now, claim.id, ClaimAnswer::Granted { evict: false });
        }
        assert!(self.server.poll_transmit(&mut self.sent).is_some(), "a Register is answered");
        self.sent.clear();
    }

    fn receive(&mut self, peer: Peer, message: &Message<'_>) {
        self.datagram.clear();
        message.encode(&mut self.datagram);
        let datagram = Datagram { peer, identity: &Identity::None, bytes: &self.datagram };
        let routed = self.server.handle_datagram(self.now, WALL_MS, datagram);
        assert_eq!(routed, Routed::Handled);
    }

    fn submit(&mut self, topic: &str, payload: &[u8]) {
        let delivery = Delivery::new(topic, payload);
        match self.bridge.downlink(self.now, &delivery, &self.models) {
            Downlink::Command(command) => {
                self.server.submit(self.now, *command).expect("a command that is taken");
            }
            other => panic!("{other:?}"),
        }
    }

    fn take_request(&mut self) -> (Peer, Vec<u8>) {
        let mut request = std::mem::take(&mut self.sent);
        request.clear();
        let peer = self.server.poll_transmit(&mut request).expect("a request");
        (peer, request)
    }

    /// Answers a request with a value; its token.
    fn answer(&mut self, peer: Peer, request: &[u8], observe: Option<u32>) -> Token {
        let request = Message::parse(request).expect("a message");
        let mut options = OptionList::new();
        if let Some(number) = observe {
            options.observe(number);
        }
        options.content_format(ContentFormat(0));
        let message = Message {
            kind: Type::Acknowledgement,
            code: Code::CONTENT,
            id: request.id,
            token: request.token,
            options: options.options(),
            payload: b"20.5",
        };
        self.receive(peer, &message);
        request.token
    }

    /// Turns what happened into publications, which go back for their memory.
    fn publish(&mut self) {
        while let Some(event) = self.server.poll_event() {
            let used = &mut self.used;
            self.bridge.refill(|| used.pop());
            let surroundings = Surroundings { models: &self.models, wall_ms: WALL_MS };
            self.bridge.uplink(&event, surroundings, &mut self.published);
            if let Some(reply_to) = event.reply_to() {
                self.server.complete(self.now, reply_to, Completion::Accept);
            }
            match event {
                Event::CommandFinished(_) => {}
                other => self.server.recycle(other),
            }
            self.operations += self.published.len() as u64;
            self.used.append(&mut self.published);
        }
    }
}

fn name(number: u32) -> String {
    format!("urn:imei:{number:015}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A count of nothing would look very good.
    #[test]
    fn each_operation_publishes_one_message() {
        let mut shard = Shard::with_fleet(5);
        let mut expected = shard.operations();
        for flow in [Shard::notification, Shard::registration, Shard::command] {
            for _ in 0..10 {
                flow(&mut shard);
                expected += 1;
                assert_eq!(shard.operations(), expected);
            }
        }
    }
}
