//! The order of messages under way, against a model of a broker.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::outbox::{Limits, OutboxMonitor, OutboxReader, outboxes};

struct Source {
    outbox: crate::outbox::Outbox,
    reader: OutboxReader,
    monitor: OutboxMonitor,
    next: usize,
}

impl Source {
    fn new() -> Self {
        let (mut ends, reader, monitor) = outboxes(1, Limits::default());
        Self { outbox: ends.remove(0), reader, monitor, next: 0 }
    }

    fn message(&mut self, qos: Qos) -> Outgoing {
        let payload = self.next.to_string().into_bytes();
        self.next += 1;
        let (topic, retain, correlation) = ("t".to_owned(), false, None);
        let publication = Publication { topic, payload, qos, retain, correlation };
        self.outbox.try_push(publication).unwrap();
        let mut batch = Vec::new();
        self.reader.take(&mut batch, 1);
        let entry = batch.remove(0);
        Outgoing::new(entry.publication, entry.ticket)
    }
}

fn welcome(session_present: bool, receive_max: u16) -> Welcome {
    Welcome {
        session_present,
        receive_max,
        packet_max: usize::MAX,
        retain_available: true,
        qos_max: Qos::ExactlyOnce,
        keep_alive: None,
    }
}

/// One packet as the broker gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Packet {
    Publish { payload: String, packet: Option<u16>, dup: bool },
    Release(u16),
}

/// Sends everything that may be sent.
fn send(lane: &mut Lane, end: &mut u64) -> Vec<Packet> {
    let mut sent = Vec::new();
    while let Some(next) = lane.next() {
        sent.push(match next {
            Next::Release(packet) => Packet::Release(packet.get()),
            Next::Publish { message, packet, sending } => Packet::Publish {
                payload: String::from_utf8_lossy(&message.publication.payload).into_owned(),
                packet: packet.map(PacketId::get),
                dup: sending == Sending::Repetition,
            },
        });
        *end += 1;
        lane.sent(*end);
    }
    sent
}

fn publish(payload: &str, packet: u16, dup: bool) -> Packet {
    Packet::Publish { payload: payload.to_owned(), packet: Some(packet), dup }
}

fn id(packet: u16) -> PacketId {
    PacketId::new(packet).unwrap()
}

#[test]
fn a_second_lost_connection_in_the_middle_of_repeating_keeps_the_order() {
    let mut source = Source::new();
    let mut lane = Lane::new(0);
    lane.on_connected(&welcome(false, 10), 10);
    for _ in 0..4 {
        lane.push(source.message(Qos::AtLeastOnce));
    }
    let mut end = 0;
    send(&mut lane, &mut end);
    lane.on_lost();
    lane.on_connected(&welcome(true, 2), 10);
    assert_eq!(send(&mut lane, &mut end), [publish("0", 1, true), publish("1", 2, true)]);
    lane.on_lost();
    lane.push(source.message(Qos::AtLeastOnce));
    lane.on_connected(&welcome(true, 10), 10);
    let expected = [
        publish("0", 1, true),
        publish("1", 2, true),
        publish("2", 3, true),
        publish("3", 4, true),
        publish("4", 5, false),
    ];
    assert_eq!(send(&mut lane, &mut end), expected);
}

#[test]
fn a_lost_session_makes_every_message_a_new_one() {
    let mut source = Source::new();
    let mut lane = Lane::new(0);
    lane.on_connected(&welcome(false, 10), 10);
    for _ in 0..3 {
        lane.push(source.message(Qos::AtLeastOnce));
    }
    let mut end = 0;
    send(&mut lane, &mut end);
    lane.on_end(id(1)).unwrap().taken();
    lane.on_lost();
    let (received, again) = lane.on_connected(&welcome(false, 10), 10);
    assert!(received.is_empty());
    assert_eq!(again, 2);
    assert_eq!(send(&mut lane, &mut end), [publish("1", 4, false), publish("2", 5, false)]);
}

#[test]
fn qos_2_goes_on_with_pubrel_when_the_broker_received_it() {
    let mut source = Source::new();
    let mut lane = Lane::new(0);
    lane.on_connected(&welcome(false, 10), 10);
    lane.push(source.message(Qos::ExactlyOnce));
    lane.push(source.message(Qos::ExactlyOnce));
    let mut end = 0;
    send(&mut lane, &mut end);
    assert!(lane.on_received(id(1)));
    lane.on_lost();
    lane.on_connected(&welcome(true, 10), 10);
    assert_eq!(send(&mut lane, &mut end), [Packet::Release(1), publish("1", 2, true)]);
    lane.on_end(id(1)).unwrap().taken();

    assert!(lane.on_received(id(2)));
    lane.on_lost();
    let (mut received, _) = lane.on_connected(&welcome(false, 10), 10);
    assert_eq!(
        received.remove(0).publication.payload,
        b"1",
        "the broker took it before it forgot the session"
    );
    assert!(lane.is_empty());
}

#[test]
fn qos_0_is_with_the_broker_when_its_last_byte_is_written() {
    let mut source = Source::new();
    let mut lane = Lane::new(0);
    lane.on_connected(&welcome(false, 10), 10);
    lane.push(source.message(Qos::AtMostOnce));
    lane.push(source.message(Qos::AtLeastOnce));
    lane.push(source.message(Qos::AtMostOnce));
    let mut end = 0;
    assert_eq!(send(&mut lane, &mut end).len(), 3);
    lane.on_written(2, Outgoing::taken);
    assert_eq!(source.monitor.left(), 2);
    lane.on_lost();
    lane.on_connected(&welcome(true, 10), 10);
    let rest = Packet::Publish { payload: "2".to_owned(), packet: None, dup: false };
    assert_eq!(send(&mut lane, &mut end), [publish("1", 1, true), rest]);
}

#[test]
fn a_broker_without_higher_classes_or_retained_messages_gets_what_it_takes() {
    let mut source = Source::new();
    let mut lane = Lane::new(0);
    let poor = Welcome { qos_max: Qos::AtMostOnce, retain_available: false, ..welcome(false, 9) };
    lane.on_connected(&poor, 10);
    let mut message = source.message(Qos::ExactlyOnce);
    message.publication.retain = true;
    lane.push(message);
    let Some(Next::Publish { message, packet: None, .. }) = lane.next() else { panic!() };
    assert_eq!((message.publication.qos, message.publication.retain), (Qos::AtMostOnce, false));
}

#[test]
fn unknown_acknowledgements_change_nothing() {
    let mut source = Source::new();
    let mut lane = Lane::new(0);
    lane.on_connected(&welcome(false, 10), 10);
    lane.push(source.message(Qos::AtLeastOnce));
    assert!(lane.on_end(id(1)).is_none(), "not sent yet");
    send(&mut lane, &mut 0);
    assert!(lane.on_end(id(9)).is_none());
    assert!(!lane.on_received(id(1)), "QoS 1 has no PUBREC");
    assert!(lane.on_end(id(1)).is_some());
    assert!(lane.on_end(id(1)).is_none(), "a second acknowledgement");
}

#[test]
fn packet_ids_run_out_and_come_back() {
    let mut ids = PacketIds::starting_at(65_000);
    let all: HashSet<_> = (0..u16::MAX).map(|_| ids.take().unwrap()).collect();
    assert_eq!(all.len(), usize::from(u16::MAX));
    assert_eq!(ids.take(), None);
    ids.give_back(id(77));
    assert_eq!(ids.take(), Some(id(77)));
}

/// What happens next.
#[derive(Clone, Debug)]
enum Act {
    Push(Qos),
    /// Sends what may be sent.
    Send,
    /// The broker answers the oldest open packet.
    Answer,
    /// The connection is lost and made again.
    Cut {
        session_present: bool,
        receive_max: u16,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => prop_oneof![
            Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)
        ].prop_map(Act::Push),
        3 => Just(Act::Send),
        4 => Just(Act::Answer),
        1 => (any::<bool>(), 1..5_u16).prop_map(|(session_present, receive_max)| Act::Cut {
            session_present,
            receive_max
        }),
    ]
}

/// A broker that gets every packet, remembers QoS 2 ids as MQTT says, and answers in order.
#[derive(Default)]
struct Broker {
    got: Vec<(usize, Qos)>,
    open: Vec<(u16, Stage)>,
    /// PUBRELs that were repeated on this connection: they do not count.
    repeated: HashSet<u16>,
    /// QoS 2 packet ids that were received and not released.
    held: BTreeMap<u16, usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Puback,
    Pubrec,
    Pubcomp,
}

impl Broker {
    fn receive(&mut self, packet: Packet, qos: impl Fn(usize) -> Qos) {
        match packet {
            Packet::Release(packet) => {
                self.held.remove(&packet);
                self.open.push((packet, Stage::Pubcomp));
                self.repeated.insert(packet);
            }
            Packet::Publish { payload, packet, dup } => {
                let number = payload.parse().unwrap();
                match (qos(number), packet) {
                    (Qos::AtMostOnce, _) => self.got.push((number, Qos::AtMostOnce)),
                    (Qos::AtLeastOnce, Some(packet)) => {
                        self.got.push((number, Qos::AtLeastOnce));
                        self.open.push((packet, Stage::Puback));
                    }
                    (Qos::ExactlyOnce, Some(packet)) => {
                        match self.held.insert(packet, number) {
                            None => self.got.push((number, Qos::ExactlyOnce)),
                            Some(held) => {
                                assert_eq!(held, number, "an id in use is not given to another");
                                assert!(dup, "a repetition says so");
                            }
                        }
                        self.open.push((packet, Stage::Pubrec));
                    }
                    _ => panic!("no packet id"),
                }
            }
        }
    }

    fn answer(&mut self, lane: &mut Lane) {
        if self.open.is_empty() {
            return;
        }
        let (packet, stage) = self.open.remove(0);
        match stage {
            Stage::Puback | Stage::Pubcomp => {
                self.repeated.remove(&packet);
                lane.on_end(id(packet)).unwrap().taken();
            }
            Stage::Pubrec => {
                assert!(lane.on_received(id(packet)));
                // The session writes PUBREL at once.
                self.held.remove(&packet);
                self.open.push((packet, Stage::Pubcomp));
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_everything_arrives_in_order_and_qos_2_once_per_session(
        acts in prop::collection::vec(act(), 1..200)
    ) {
        let mut source = Source::new();
        let mut lane = Lane::new(u16::MAX - 3);
        let mut broker = Broker::default();
        let mut classes = Vec::new();
        let mut end = 0;
        let mut lost_session = false;
        let mut limit = 3;
        lane.on_connected(&welcome(false, limit), 10);
        let finish = std::iter::repeat_n([Act::Send, Act::Answer], 1_000).flatten();
        for act in acts.into_iter().chain(finish) {
            match act {
                Act::Push(qos) => {
                    classes.push(qos);
                    let message = source.message(qos);
                    lane.push(message);
                }
                Act::Send => {
                    for packet in send(&mut lane, &mut end) {
                        broker.receive(packet, |number| classes[number]);
                    }
                    lane.on_written(end, Outgoing::taken);
                    let counted = broker.open.len() - broker.repeated.len();
                    prop_assert!(counted <= usize::from(limit));
                }
                Act::Answer => broker.answer(&mut lane),
                Act::Cut { session_present, receive_max } => {
                    limit = receive_max;
                    lost_session |= !session_present;
                    broker.open.clear();
                    broker.repeated.clear();
                    if !session_present {
                        broker.held.clear();
                    }
                    lane.on_lost();
                    let (received, _) = lane.on_connected(&welcome(session_present, limit), 10);
                    received.into_iter().for_each(Outgoing::taken);
                }
            }
        }
        prop_assert!(lane.is_empty());
        prop_assert_eq!(source.monitor.left(), 0);
        let mut seen = HashSet::new();
        let got = broker.got.iter().map(|got| got.0);
        let firsts: Vec<_> = got.filter(|number| seen.insert(*number)).collect();
        prop_assert_eq!(firsts, (0..classes.len()).collect::<Vec<_>>());
        if !lost_session {
            let once = broker.got.iter().filter(|got| got.1 == Qos::ExactlyOnce).count();
            let wanted = classes.iter().filter(|qos| **qos == Qos::ExactlyOnce).count();
            prop_assert_eq!(once, wanted, "exactly once while the session lives");
        }
    }
}
