//! What a registered device costs, measured at the allocator: the budget of 1 KiB per device with
//! one observation is one of resident memory, which pages and bins of the allocator make larger
//! than what is counted here, so the bound is tighter.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coap::{Code, Message, MessageId, OptionList, Token, Type};
use engine::{
    ClaimAnswer, Command, Config, Datagram, Identity, Instant, Origin, Peer, Server, Settings,
};
use lwm2m::model::Models;
use lwm2m::{EndpointName, Operation, Path};

/// The system's allocator with a count of the bytes that are in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to `System` unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const DEVICES: u32 = 20_000;

/// Bytes per device with one observation, after what is remembered of its Register is forgotten.
const IDLE_BYTES_MAX: usize = 400;

/// What is left of 20 000 devices when all but one are gone: the timing wheels keep their places.
const LEFT_BYTES_MAX: usize = 1536 << 10;

/// Eight object links, as a typical device has.
const LINKS: &[u8] = br#"</>;rt="oma.lwm2m";ct="60 110 112 11542",</1/0>,</2/0>,</3/0>,</4/0>,</5/0>,</6/0>,</3303/0>,</3304/0>"#;

fn peer(device: u32) -> Peer {
    let [_, a, b, c] = device.to_be_bytes();
    Peer::new(0, [127, 0, 0, 1].into(), ([10, a, b, c], 5683).into())
}

fn encode(
    kind: Type,
    code: Code,
    id: MessageId,
    token: Token,
    rest: (OptionList, &[u8]),
) -> Vec<u8> {
    let mut out = Vec::new();
    let (options, payload) = rest;
    Message { kind, code, id, token, options: options.options(), payload }.encode(&mut out);
    out
}

fn deliver(server: &mut Server, now: Instant, device: u32, bytes: &[u8]) {
    let datagram = Datagram { peer: peer(device), identity: &Identity::None, bytes };
    let _ = server.handle_datagram(now, 1_767_225_600_000, datagram);
    while let Some(claim) = server.poll_claim() {
        server.handle_claim(now, claim.id, ClaimAnswer::Granted { evict: false });
    }
    while server.poll_event().is_some() {}
}

fn transmit(server: &mut Server) -> Vec<u8> {
    let (mut datagram, mut last) = (Vec::new(), Vec::new());
    while server.poll_transmit(&mut datagram).is_some() {
        last = core::mem::take(&mut datagram);
    }
    last
}

fn name(device: u32) -> String {
    format!("urn:imei:{device:015}")
}

/// Registers a device and observes its temperature.
fn register(server: &mut Server, now: Instant, device: u32) {
    register_alone(server, now, device);
    transmit(server);
    let operation = Operation::Observe { path: Path::resource(3303, 0, 5700), accept: None };
    let endpoint = EndpointName::parse(&name(device)).unwrap();
    server.submit(now, Command::new(endpoint, operation, Origin::new(b"{\"reqID\":1}"))).unwrap();
    answer(server, now, device);
}

/// Registers a device that is registered: its observation is set up again.
fn register_again(server: &mut Server, now: Instant, device: u32) {
    register_alone(server, now, device);
    answer(server, now, device);
}

fn register_alone(server: &mut Server, now: Instant, device: u32) {
    let mut options = OptionList::new();
    options.uri_path("rd");
    for query in [&format!("ep={}", name(device)), "lt=86400", "lwm2m=1.1", "b=U"] {
        options.uri_query(query);
    }
    let (id, token) = (MessageId::new(device as u16), Token::new(&device.to_be_bytes()).unwrap());
    let request = encode(Type::Confirmable, Code::POST, id, token, (options, LINKS));
    deliver(server, now, device, &request);
}

/// Answers the observe that was sent last.
fn answer(server: &mut Server, now: Instant, device: u32) {
    let sent = transmit(server);
    let sent = Message::parse(&sent).unwrap();
    let mut options = OptionList::new();
    options.observe(0);
    let answer =
        encode(Type::Acknowledgement, Code::CONTENT, sent.id, sent.token, (options, b"21.5"));
    deliver(server, now, device, &answer);
    transmit(server);
}

#[test]
fn a_registered_and_observed_device_stays_within_its_budget() {
    let models = Arc::new(Models::builtin());
    let settings = Arc::new(Settings::default());
    let mut server = Server::new(Config::default(), settings, models, 0, [7; 32]);
    let before = IN_USE.load(Ordering::Relaxed);
    let mut now = Instant::from_micros(1);
    for device in 0..DEVICES {
        register(&mut server, now, device);
        now += engine::Duration::from_millis(1);
    }
    let busy = (IN_USE.load(Ordering::Relaxed) - before) / DEVICES as usize;
    rest(&mut server, &mut now);
    let idle = (IN_USE.load(Ordering::Relaxed) - before) / DEVICES as usize;
    assert_eq!((server.registrations(), server.observations()), (20_000, 20_000));
    println!("{busy} bytes per device while its Register is remembered, {idle} bytes afterwards");
    assert!(idle <= IDLE_BYTES_MAX, "{idle} bytes per device");

    for device in 0..DEVICES {
        register_again(&mut server, now, device);
        now += engine::Duration::from_millis(1);
    }
    rest(&mut server, &mut now);
    let again = (IN_USE.load(Ordering::Relaxed) - before) / DEVICES as usize;
    assert_eq!((server.registrations(), server.observations()), (20_000, 20_000));
    println!("{again} bytes per device after it has registered again");
    assert!(again <= IDLE_BYTES_MAX, "{again} bytes per device");

    // All but the first one leave for good.
    now += engine::Duration::from_secs(86_000);
    register_again(&mut server, now, 0);
    rest(&mut server, &mut now);
    let left = IN_USE.load(Ordering::Relaxed) - before;
    assert_eq!((server.registrations(), server.observations()), (1, 1));
    println!("{left} bytes when all but one are gone");
    assert!(left <= LEFT_BYTES_MAX, "{left} bytes");
}

/// Ten minutes pass: after EXCHANGE_LIFETIME nothing of the exchanges is remembered any more.
fn rest(server: &mut Server, now: &mut Instant) {
    for _ in 0..60 {
        *now += engine::Duration::from_secs(10);
        server.handle_timeout(*now);
        transmit(server);
        while server.poll_event().is_some() {}
    }
}
