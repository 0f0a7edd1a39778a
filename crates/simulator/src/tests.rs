//! The fleet on real sockets, against a small server made of hand-written messages.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use coap::{Code, Message, MessageId, OptionList, Token, Type};
use lwm2m::Models;

use crate::{FleetConfig, FleetError, Group, Leave, Notify, Ramp, Snapshot, Sources, Start};
use crate::{Summary, run};

/// What the server saw.
#[derive(Debug, Default)]
struct Seen {
    /// Endpoint names by address, in the order of their registration.
    names: BTreeMap<SocketAddr, String>,
    registrations: usize,
    updates: usize,
    deregistrations: usize,
    notifications: BTreeMap<SocketAddr, Vec<u32>>,
    answers: usize,
}

/// A server that takes every registration, observes the temperature of each device and, if asked
/// to, reboots each once.
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Observes,
    Reboots,
    Refuses,
}

impl Server {
    fn start(bind: &str, manner: Manner) -> Self {
        let socket = UdpSocket::bind(bind).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(&socket, manner, &flag));
        Self { address, stop, thread }
    }

    fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn serve(socket: &UdpSocket, manner: Manner, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
        let message = Message::parse(&buffer[..len]).unwrap();
        for datagram in react(&mut seen, from, &message, manner) {
            socket.send_to(&datagram, from).unwrap();
        }
    }
    seen
}

fn react(seen: &mut Seen, from: SocketAddr, message: &Message<'_>, manner: Manner) -> Vec<Vec<u8>> {
    if message.code.is_response() {
        match message.options.observe() {
            Some(number) => seen.notifications.entry(from).or_default().push(number),
            None => seen.answers += 1,
        }
        let acknowledgement = encode(Type::Acknowledgement, Code::EMPTY, message.id, Token::EMPTY);
        return if message.kind == Type::Confirmable { vec![acknowledgement] } else { Vec::new() };
    }
    let path: Vec<String> =
        message.options.uri_path().map(|part| String::from_utf8(part.to_vec()).unwrap()).collect();
    match (message.code, path.len()) {
        (Code::POST, 1) => on_register(seen, from, message, manner),
        (Code::POST, 2) => {
            seen.updates += 1;
            vec![answer(message, Code::CHANGED)]
        }
        (Code::DELETE, 2) => {
            seen.deregistrations += 1;
            vec![answer(message, Code::DELETED)]
        }
        _ => Vec::new(),
    }
}

fn on_register(
    seen: &mut Seen,
    from: SocketAddr,
    message: &Message<'_>,
    manner: Manner,
) -> Vec<Vec<u8>> {
    if manner == Manner::Refuses {
        return vec![answer(message, Code::FORBIDDEN)];
    }
    seen.registrations += 1;
    let name =
        message.options.uri_query().find_map(|query| query.strip_prefix(b"ep=").map(Vec::from));
    let name = String::from_utf8(name.unwrap()).unwrap();
    let known = seen.names.values().any(|known| *known == name);
    seen.names.insert(from, name);
    let mut options = OptionList::new();
    options.location_path("rd");
    options.location_path("x");
    let mut datagrams = vec![encode_with(
        (Type::Acknowledgement, Code::CREATED),
        message.id,
        message.token,
        &options,
    )];
    let id = MessageId::new(seen.registrations as u16);
    let token = Token::new(b"tk").unwrap();
    let mut options = OptionList::new();
    let (code, path) = if manner == Manner::Reboots && !known {
        (Code::POST, ["3", "0", "4"])
    } else {
        options.observe(0);
        (Code::GET, ["3303", "0", "5700"])
    };
    for segment in path {
        options.uri_path(segment);
    }
    datagrams.push(encode_with((Type::Confirmable, code), id, token, &options));
    datagrams
}

fn answer(request: &Message<'_>, code: Code) -> Vec<u8> {
    encode(Type::Acknowledgement, code, request.id, request.token)
}

fn encode(kind: Type, code: Code, id: MessageId, token: Token) -> Vec<u8> {
    encode_with((kind, code), id, token, &OptionList::new())
}

fn encode_with(
    (kind, code): (Type, Code),
    id: MessageId,
    token: Token,
    options: &OptionList,
) -> Vec<u8> {
    let mut datagram = Vec::new();
    Message { kind, code, id, token, options: options.options(), payload: &[] }
        .encode(&mut datagram);
    datagram
}

fn group(count: usize) -> Group {
    let every = Some(Duration::from_millis(100).into());
    Group { notify: Notify { every, ..Notify::default() }, ..Group::new(count) }
}

fn of(server: &Server, group: Group) -> FleetConfig {
    FleetConfig {
        ramp: Ramp::Constant { rate: 10_000 },
        ..FleetConfig::of(server.address, group, Arc::new(Models::builtin()))
    }
}

fn config(server: &Server, count: usize) -> FleetConfig {
    of(server, group(count))
}

/// Runs a fleet until the condition holds, at most ten seconds.
fn run_until(config: FleetConfig, done: impl Fn(&Snapshot) -> bool) -> Summary {
    let stop = AtomicBool::new(false);
    let limit = Instant::now() + Duration::from_secs(10);
    run(config, &stop, |snapshot| {
        if done(snapshot) || Instant::now() > limit {
            stop.store(true, Ordering::Relaxed);
        }
    })
    .unwrap()
}

#[test]
fn a_fleet_registers_notifies_and_leaves_from_addresses_of_its_own() {
    let server = Server::start("127.0.0.1:0", Manner::Observes);
    let summary = run_until(config(&server, 50), |now| now.notifications >= 200);
    let seen = server.end();
    assert!(summary.is_complete(), "{summary}");
    assert_eq!((seen.registrations, seen.deregistrations), (50, 50));
    let names: BTreeSet<&str> = seen.names.values().map(String::as_str).collect();
    assert!(names.len() == 50 && names.contains("sim-1") && names.contains("sim-50"));
    let hosts: BTreeSet<_> = seen.names.keys().map(SocketAddr::ip).collect();
    assert_eq!(hosts.len(), 50, "each device is a peer of its own");
    let numbers: Vec<_> = seen.notifications.values().map(|numbers| numbers[0]).collect();
    assert_eq!(numbers, [0; 50], "the first Observe number is 0");
    for numbers in seen.notifications.values() {
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    }
    assert!(seen.notifications.values().map(Vec::len).sum::<usize>() >= 200);
    assert_eq!(summary.registration.count(), 50);
}

#[test]
fn towards_other_servers_each_device_has_a_socket_of_its_own() {
    let server = Server::start("127.0.0.1:0", Manner::Observes);
    let config = FleetConfig { sources: Sources::Ports, ..config(&server, 10) };
    let summary = run_until(config, |now| now.observed == 10);
    let seen = server.end();
    assert!(summary.is_complete(), "{summary}");
    let ports: BTreeSet<_> = seen.names.keys().map(SocketAddr::port).collect();
    assert_eq!(ports.len(), 10);
}

#[test]
fn ipv6_servers_are_reached() {
    let server = Server::start("[::1]:0", Manner::Observes);
    let summary = run_until(config(&server, 3), |now| now.notifications >= 3);
    let seen = server.end();
    assert!(summary.is_complete(), "{summary}");
    assert_eq!(seen.names.len(), 3);
}

#[test]
fn confirmable_notifications_go_on_after_their_acknowledgement() {
    let server = Server::start("127.0.0.1:0", Manner::Observes);
    let mut config = config(&server, 5);
    config.groups[0].notify.con = 1.0;
    let summary = run_until(config, |now| now.notifications >= 50);
    server.end();
    assert!(summary.totals.notifications >= 50, "{summary}");
    assert_eq!(summary.totals.unanswered, 0);
}

#[test]
fn values_may_wait_until_everybody_is_observed() {
    let server = Server::start("127.0.0.1:0", Manner::Refuses);
    let mut waiting = config(&server, 5);
    waiting.groups[0].notify.start = Start::WhenObserved;
    waiting.duration = Some(Duration::from_millis(300));
    let summary = run_until(waiting, |_| false);
    server.end();
    assert_eq!(summary.totals.notifications, 0);
    assert_eq!(summary.totals.refused, 5);
    assert!(!summary.is_complete());
    let server = Server::start("127.0.0.1:0", Manner::Observes);
    let mut ready = config(&server, 5);
    ready.groups[0].notify.start = Start::WhenObserved;
    let summary = run_until(ready, |now| now.notifications >= 10);
    server.end();
    assert!(summary.totals.notifications >= 10, "{summary}");
}

#[test]
fn a_device_that_reboots_comes_back_from_another_address() {
    let server = Server::start("127.0.0.1:0", Manner::Reboots);
    // It stays away for five seconds.
    let summary = run_until(config(&server, 2), |now| now.observed == 2);
    let seen = server.end();
    assert_eq!((summary.totals.reboots, summary.totals.executions), (2, 2), "{summary}");
    assert_eq!(seen.names.len(), 4, "{:?}", seen.names);
}

#[test]
fn a_fleet_may_vanish_and_ends_by_itself() {
    let server = Server::start("127.0.0.1:0", Manner::Observes);
    let mut config = config(&server, 3);
    config.leave = Leave::Vanish;
    config.groups[0].update_every = Some(Duration::from_millis(50).into());
    config.duration = Some(Duration::from_millis(400));
    let stop = AtomicBool::new(false);
    let summary = run(config, &stop, |_| {}).unwrap();
    let seen = server.end();
    assert_eq!(seen.deregistrations, 0);
    assert!(seen.updates >= 9 && summary.totals.updates >= 9, "{summary}");
}

#[test]
fn the_demo_has_names_of_its_own_and_a_fleet_of_nobody_is_refused() {
    let server = Server::start("127.0.0.1:0", Manner::Observes);
    let models = Arc::new(Models::builtin());
    let demo = FleetConfig::demo(server.address, 2, Arc::clone(&models));
    run_until(demo, |now| now.registered == 2);
    let nobody = run(FleetConfig::demo(server.address, 0, models), &AtomicBool::new(false), |_| {});
    assert!(matches!(nobody, Err(FleetError::Config(_))));
    let seen = server.end();
    let names: Vec<_> = seen.names.values().cloned().collect();
    assert_eq!(names, ["demo-1", "demo-2"]);
}
