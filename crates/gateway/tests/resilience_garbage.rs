//! Random and mutated datagrams against the real program: it lives, serves, and gives back the
//! memory that the registrations among them took.
//!
//! Without more words 200 000 of them, with short lifetimes and tight bounds on what is remembered
//! of requests and unfinished bodies, so that all of it is reached soon. `RESILIENCE_DATAGRAMS`
//! says how many come to a gateway with the usual settings and a `lifetime_max` of 60 s: after them
//! the test waits until the gateway has forgotten the requests too. It looks at each peer once in
//! an EXCHANGE_LIFETIME (247 s), so that takes two of them.
#![cfg(feature = "embedded-broker")]

#[path = "common/app.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod app;
#[path = "common/lossy_udp.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod lossy_udp;
#[path = "common/node.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod node;
#[path = "common/process.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod process;
#[path = "common/raw.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod raw;
#[path = "common/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod wire;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use app::{App, Mailbox, Uplink, until};
use lossy_udp::Chance;
use node::{Node, profile};
use process::GatewayProcess;
use raw::{BLOCK1, CONTENT_FORMAT, DELETE, GET, OBSERVE, POST, PUT, URI_PATH, URI_QUERY};

/// Datagrams between two pings. Few enough to fit into a socket's usual buffer.
const BATCH: usize = 150;

/// How much, and against what.
struct Plan {
    datagrams: usize,
    settings: &'static str,
    /// How long the gateway remembers what came, after the last registration is gone.
    remembers: Duration,
}

impl Plan {
    fn chosen() -> Self {
        match std::env::var("RESILIENCE_DATAGRAMS") {
            Ok(text) => Self {
                datagrams: text.parse().expect("RESILIENCE_DATAGRAMS is a number"),
                settings: "shards = 2\nlwm2m.lifetime_max = \"60s\"\n",
                remembers: 2 * Duration::from_secs(250),
            },
            Err(_) => Self {
                datagrams: 200_000,
                settings: "shards = 2\nlwm2m.lifetime_max = \"3s\"\n\
                           lwm2m.expiry_grace = \"0s\"\ncoap.dedup.entries = 4096\n\
                           coap.body_max = \"16KB\"\ncoap.transfers.bytes = \"256KB\"\n",
                remembers: Duration::from_secs(1),
            },
        }
    }
}

/// Messages as devices send them, to be mutated.
fn templates(chance: &mut Chance, former: &[Vec<u8>]) -> Vec<u8> {
    let id = chance.next() as u16;
    let name = format!("ep=fuzz-{}", chance.below(2_000));
    let links = ["</1/0>,</3/0>,</3303/0>;ver=1.1", "</>;rt=\"oma.lwm2m\";ct=110,</3>", ""];
    let links = links[chance.below(3) as usize];
    let location = &former[chance.below(former.len() as u64) as usize];
    let text = |text: &'static str| text.as_bytes();
    match chance.below(10) {
        0..3 => raw::register(id, &["lwm2m=1.1", "lt=2", &name, "b=U"], links),
        3 => raw::register(id, &["lwm2m=1.1", &name], links),
        4 => raw::message(POST, id, &[(URI_PATH, text("rd")), (URI_PATH, location)], b""),
        5 => raw::message(DELETE, id, &[(URI_PATH, text("rd")), (URI_PATH, location)], b""),
        6 => raw::message(
            POST,
            id,
            &[(URI_PATH, text("dp")), (CONTENT_FORMAT, &[110])],
            br#"[{"bn":"/3303/0/","n":"5700","v":1}]"#,
        ),
        // A notification with a token that nobody gave out.
        7 => raw::message(raw::CONTENT, id, &[(OBSERVE, &[1]), (CONTENT_FORMAT, &[])], b"21.5"),
        8 => raw::message(
            POST,
            id,
            &[(URI_PATH, text("rd")), (URI_QUERY, name.as_bytes()), (BLOCK1, &[0x0e])],
            &[b'<'; 1024],
        ),
        _ => raw::message([GET, PUT][chance.below(2) as usize], id, &[(URI_PATH, text("3"))], b""),
    }
}

/// Random bytes, or a message with a few faults.
fn datagram(chance: &mut Chance, former: &[Vec<u8>]) -> Vec<u8> {
    if chance.below(5) == 0 {
        return (0..chance.below(120)).map(|_| chance.next() as u8).collect();
    }
    let mut bytes = templates(chance, former);
    for _ in 0..chance.below(4) {
        let at = chance.below(bytes.len() as u64) as usize;
        match chance.below(5) {
            0 => bytes[at] ^= 1 << chance.below(8),
            1 => bytes[at] = chance.next() as u8,
            2 => bytes.truncate(at.max(1)),
            3 => bytes.insert(at, chance.next() as u8),
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes.truncate(1_400);
    bytes
}

/// Sends one batch from a socket of its own and waits until the gateway has dealt with it. What
/// came back is a source of locations that exist.
fn send_batch(server: SocketAddr, chance: &mut Chance, former: &mut [Vec<u8>]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    for _ in 0..BATCH {
        let _ = socket.send(&datagram(chance, former));
    }
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut buffer = [0; 2048];
    for id in 0..20 {
        let ping = raw::ping(0xff00 + id);
        socket.send(&ping).unwrap();
        while let Ok(length) = socket.recv(&mut buffer) {
            let answer = raw::Answer::read(&buffer[..length]);
            if (answer.kind, answer.code, answer.id) == (3, 0, 0xff00 + id) {
                return;
            }
            if answer.code == raw::CREATED {
                let location = answer.options.iter().rfind(|(at, _)| *at == raw::LOCATION_PATH);
                former[chance.below(former.len() as u64) as usize] = location.unwrap().1.clone();
            }
        }
    }
    panic!("the gateway does not answer a ping");
}

/// Reads from a registered device all the while; every read has to succeed.
async fn serve_throughout(app: &App, mailbox: &Mailbox, over: &AtomicBool) {
    let good = |uplink: &Uplink| uplink.endpoint == "good" && uplink.outcome() == "2.05";
    let before = mailbox.count(good);
    let mut served = before;
    while !over.load(Ordering::Relaxed) {
        let read = json!({"reqID": served, "msgType": "read", "data": {"path": "/3/0/0"}});
        app.command("good", &read).await;
        let answered =
            |uplink: &Uplink| uplink.endpoint == "good" && uplink.request() == Some(served as u64);
        mailbox.wait(1, "an answer of the device", answered).await;
        served += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(mailbox.count(good), served, "every read succeeds");
    assert!(served > before, "the device was read");
}

/// Waits for the gateway to hand back what it has freed, which it does every 10 s; the memory that
/// it has then.
async fn given_back(gateway: &GatewayProcess, allowed: u64) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(15);
    while gateway.resident() > allowed && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    gateway.resident()
}

/// Waits until the registrations of the storm have expired and the gateway has given back what it
/// took for them; the memory that it has then.
async fn settled(gateway: &GatewayProcess, plan: &Plan, allowed: u64) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(120);
    while gateway.metrics().value("devices") > 1.0 {
        assert!(Instant::now() < deadline, "registrations do not expire");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(plan.remembers).await;
    given_back(gateway, allowed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn random_and_mutated_datagrams_leave_no_trace() {
    let plan = Plan::chosen();
    let mut gateway = GatewayProcess::start(plan.settings);
    let mailbox = Mailbox::default();
    let sink = mailbox.clone();
    let app = App::connect(gateway.broker, "judge", move |message| sink.push(&message)).await;
    app.subscribe("lwm2m/good/up/#").await;
    let like = profile(|profile| {
        profile.lifetime = Some(3);
        profile.update_every = Some(Duration::from_secs(1));
    });
    let node = Node::start("good", gateway.coap, like).await;
    until("the registration", || node.is_registered()).await;

    // The first storm fills what has a bound and stretches what is kept of a peak; the second one
    // finds all of it there, and scatters it over other pages at most.
    let mut memory = [0, u64::MAX];
    for (storm, seed) in [0x5eed, 0xfeed].into_iter().enumerate() {
        weather(&gateway, &app, &mailbox, (seed, plan.datagrams / 2)).await;
        let allowed = memory[0] + memory[0] / 10;
        memory[storm] = settled(&gateway, &plan, allowed).await;
        println!("storm {storm}: {} bytes resident after it", memory[storm]);
    }
    let [first, second] = memory;
    let metrics = gateway.metrics();
    let registered = metrics.total("registrations", "outcome", "registered");
    assert!(gateway.is_alive());
    assert_eq!(metrics.value("devices"), 1.0, "the device of the test is still there");
    assert!(registered > plan.datagrams as u64 / 100, "the garbage holds registrations");
    assert!(second <= first + first / 10, "{second} bytes resident, {first} after the first storm");
}

/// Sends so many datagrams from a seed while a device is read.
async fn weather(
    gateway: &GatewayProcess,
    app: &App,
    mailbox: &Mailbox,
    (seed, datagrams): (u64, usize),
) {
    let over = Arc::new(AtomicBool::new(false));
    let (server, ended) = (gateway.coap, Arc::clone(&over));
    let storm = tokio::task::spawn_blocking(move || {
        let mut chance = Chance(seed);
        let mut former = vec![b"AAAAAAAAAAAA".to_vec(); 64];
        for _ in 0..datagrams.div_ceil(BATCH) {
            send_batch(server, &mut chance, &mut former);
        }
        ended.store(true, Ordering::Relaxed);
    });
    serve_throughout(app, mailbox, &over).await;
    storm.await.expect("the gateway answers pings");
}

/// A missing `lt` means 86 400 s (OMA Core 6.2.1), which is outside of a shorter `lifetime_max`.
#[tokio::test]
async fn a_missing_lifetime_obeys_the_longest_one() {
    let gateway = GatewayProcess::start("lwm2m.lifetime_max = \"60s\"\n");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(gateway.coap).unwrap();
    for (id, queries, code) in [
        (1, &["ep=a", "lwm2m=1.1"][..], raw::BAD_REQUEST),
        (2, &["ep=a", "lwm2m=1.1", "lt=61"][..], raw::BAD_REQUEST),
        (3, &["ep=a", "lwm2m=1.1", "lt=60"][..], raw::CREATED),
    ] {
        let answer = raw::ask(&socket, &raw::register(id, queries, "</1/0>"));
        assert_eq!(answer.code, code, "{queries:?}");
    }
    until("the registration in the numbers", || gateway.metrics().value("devices") == 1.0).await;
}
