//! Listings of a large fleet: what a page takes of a shard's time, and that devices are answered
//! meanwhile.
//!
//! `RESILIENCE_DEVICES` asks for more devices; docs/testing.md names the size of an acceptance run.
#![cfg(feature = "embedded-broker")]

#[path = "common/node.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod node;
#[path = "common/process.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod process;

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::{ClaimAnswer, Config, Datagram, Identity, Peer, Server, Settings};
use lwm2m::Models;
use serde_json::Value as Json;

use node::{Node, profile};
use process::GatewayProcess;

/// What each device of the fleet says that it has.
const LINKS: &[u8] = b"</1/0>,</3/0>,</4/0>,</5/0>,</6/0>,</7/0>,</3303/0>,</3304/0>";

fn devices() -> u32 {
    std::env::var("RESILIENCE_DEVICES").map_or(5_000, |text| text.parse().expect("a number"))
}

fn name(number: u32) -> String {
    format!("device-{number:07}")
}

/// A Register in NON.
fn register(number: u32) -> Vec<u8> {
    let [high, low] = u16::try_from(number % 60_000).unwrap().to_be_bytes();
    let mut bytes = vec![0x50, 0x02, high, low, 0xb2, b'r', b'd', 0x11, 40];
    let queries = [format!("ep={}", name(number)), "lt=86400".to_owned(), "lwm2m=1.1".to_owned()];
    for (query, delta) in queries.iter().zip([3, 0, 0]) {
        let length = u8::try_from(query.len()).unwrap();
        match length.checked_sub(13) {
            None => bytes.push(delta << 4 | length),
            Some(more) => bytes.extend([delta << 4 | 13, more]),
        }
        bytes.extend_from_slice(query.as_bytes());
    }
    bytes.push(0xff);
    bytes.extend_from_slice(LINKS);
    bytes
}

/// An engine with a fleet in it.
fn crowded(count: u32) -> Server {
    let models = Arc::new(Models::builtin());
    let mut server =
        Server::new(Config::default(), Arc::new(Settings::default()), models, 0, [7; 32]);
    let local = [192, 0, 2, 1].into();
    let mut datagram = Vec::new();
    for number in 0..count {
        // Long after the last one: nothing of its exchange is left.
        let now = engine::Instant::from_micros(u64::from(number) * 10_000);
        let [_, a, b, c] = number.to_be_bytes();
        let peer = Peer::new(0, local, SocketAddr::from(([10, a, b, c], 5683)));
        let bytes = register(number);
        let _ = server.handle_datagram(
            now,
            0,
            Datagram { peer, identity: &Identity::None, bytes: &bytes },
        );
        while let Some(claim) = server.poll_claim() {
            server.handle_claim(now, claim.id, ClaimAnswer::Granted { evict: false });
        }
        while server.poll_transmit(&mut datagram).is_some() {}
        while server.poll_event().is_some() {}
    }
    server
}

/// A page is all that a listing takes of a turn.
#[test]
fn a_page_has_a_bound_and_the_pages_have_every_device_once() {
    let count = devices();
    let server = crowded(count);
    let now = engine::Instant::from_micros(u64::from(count) * 10_000);
    let (mut seen, mut next, mut times) = (BTreeSet::new(), None, Vec::new());
    loop {
        let started = Instant::now();
        let page = server.list(now, next, usize::MAX);
        let found = page.rows.iter().filter(|row| row.device.endpoint.as_str().contains('9'));
        std::hint::black_box(found.count());
        times.push(started.elapsed());
        assert!(page.rows.len() <= 256);
        seen.extend(page.rows.iter().map(|row| row.device.endpoint.to_string()));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), usize::try_from(count).unwrap());
    times.sort_unstable();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{count} devices, {} pages: median {median:?}, longest {longest:?}", times.len());
}

/// Registers a fleet over UDP, a window at a time, many devices from each port.
fn register_fleet(server: SocketAddr, count: u32) {
    for first in (0..count).step_by(8_192) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let end = (first + 8_192).min(count);
        for start in (first..end).step_by(64) {
            register_window(&socket, start..(start + 64).min(end));
        }
    }
}

fn register_window(socket: &UdpSocket, window: std::ops::Range<u32>) {
    for number in window.clone() {
        socket.send(&register(number)).unwrap();
    }
    let mut buffer = [0; 256];
    for _ in window {
        let length = socket.recv(&mut buffer).expect("an answer to each");
        assert_eq!(buffer[..length].get(1), Some(&0x41), "2.01");
    }
}

fn ask(request: ureq::RequestBuilder<ureq::typestate::WithoutBody>) -> Json {
    let mut answer = request.call().expect("an answer");
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).expect("JSON")
}

/// Reads until it is told to stop; how long each took.
fn read_on(http: SocketAddr, stop: &AtomicBool) -> Vec<Duration> {
    let url =
        format!("http://{http}/api/v5/gateways/lwm2m/clients/meter-1/read?path=/3/0/0&wait=50");
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let mut answer = ureq::post(&url).send_empty().expect("an answer");
        times.push(started.elapsed());
        let text = answer.body_mut().read_to_string().unwrap();
        let read: Json = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["code"], "2.05", "{read}");
    }
    times.sort_unstable();
    times
}

/// Pages through the fleet by a filter; how many devices that were.
fn list_all(http: SocketAddr, filter: &str) -> u64 {
    let clients = format!("http://{http}/api/v5/gateways/lwm2m/clients?limit=1000{filter}");
    let (mut cursor, mut found) = ("0.0".to_owned(), 0);
    loop {
        let listed = ask(ureq::get(format!("{clients}&cursor={cursor}")));
        found += listed["data"].as_array().expect("rows").len() as u64;
        match listed["meta"]["cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return found,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_answered_while_a_fleet_is_listed() {
    let count = devices();
    let gateway = GatewayProcess::start("http.timeout = \"60s\"\nlog.level = \"warn\"\n");
    register_fleet(gateway.coap, count);
    let node = Node::start("meter-1", gateway.coap, profile(|_| {})).await;
    while !node.is_registered() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let http = gateway.http;
    let alone = measured(http, || std::thread::sleep(Duration::from_secs(1)));
    let started = Instant::now();
    let listed = measured(http, || {
        let nines = (0..count).filter(|number| name(*number).contains('9')).count() as u64;
        for (filter, expected) in [
            ("", u64::from(count) + 1),
            ("&like_clientid=9", nines),
            ("&gte_lifetime=86401", 0),
            ("&ip_address=127.0.0.1&proto_ver=1.1", u64::from(count) + 1),
        ] {
            assert_eq!(list_all(http, filter), expected, "{filter}");
        }
    });
    println!("{count} devices, listed four times in {:?}", started.elapsed());
    for (what, times) in [("alone", alone), ("while listing", listed)] {
        let at = |share: usize| times[(times.len() * share / 1000).min(times.len() - 1)];
        let [median, most, longest] = [at(500), at(990), at(1000)];
        println!(
            "reads {what}: {} of them, median {median:?}, p99 {most:?}, longest {longest:?}",
            times.len()
        );
    }
}

/// The times of reads while something happens.
fn measured(http: SocketAddr, meanwhile: impl FnOnce()) -> Vec<Duration> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let reads = threads.spawn(|| read_on(http, &stop));
        meanwhile();
        stop.store(true, Ordering::Relaxed);
        let times = reads.join().expect("every read is answered");
        assert!(!times.is_empty());
        times
    })
}
