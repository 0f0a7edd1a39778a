//! A steady stream of notifications allocates nothing between the socket and the broker.
//!
//! The gateway runs in this process, with an allocator that counts what its threads ask for; the
//! device and the broker are threads of the test, which are not counted.

#[path = "common/raw.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod raw;
#[path = "common/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod wire;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use gateway::config::{AutoObserve, Config, Period};
use gateway::service::Service;

use wire::{CONNACK, CONNECT, PUBACK, PUBLISH, Published, Raw, SUBACK, SUBSCRIBE, Version};

/// Counts allocations of the threads that are not the test's own.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static OWN: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    // A thread that ends has no more locals, and is none of those that matter.
    if OWN.try_with(Cell::get) == Ok(false) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those that the system's allocator wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A broker that takes everything and counts it.
struct Broker {
    address: SocketAddr,
    notifications: Arc<AtomicU64>,
}

impl Broker {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let notifications = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&notifications);
        std::thread::spawn(move || {
            OWN.set(true);
            let (stream, _) = listener.accept().unwrap();
            serve(stream, &counter);
        });
        Self { address, notifications }
    }

    fn wait_for(&self, count: u64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.notifications.load(Ordering::Acquire) < count {
            assert!(Instant::now() < deadline, "{count} notifications do not arrive");
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// MQTT 5.0, as much as the gateway needs, until the connection ends.
fn serve(mut stream: TcpStream, notifications: &AtomicU64) {
    stream.set_nodelay(true).unwrap();
    let (mut input, mut chunk) = (BytesMut::new(), [0; 64 * 1024]);
    while let Ok(length @ 1..) = stream.read(&mut chunk) {
        input.extend_from_slice(&chunk[..length]);
        while let Some(packet) = Raw::take(&mut input) {
            if let Some(answer) = answer(&packet, notifications) {
                stream.write_all(&answer.encode()).unwrap();
            }
        }
    }
}

fn answer(packet: &Raw, notifications: &AtomicU64) -> Option<Raw> {
    match packet.kind() {
        CONNECT => Some(Raw::new(CONNACK, vec![0, 0, 0])),
        // One mountpoint, so one filter, which is granted with QoS 1.
        SUBSCRIBE => Some(Raw::new(SUBACK, vec![packet.body[0], packet.body[1], 0, 1])),
        PUBLISH => {
            let published = Published::read(packet, Version::V5)?;
            if published.topic.ends_with("/up/notify") {
                notifications.fetch_add(1, Ordering::Release);
            }
            Some(Raw::new(PUBACK, published.packet.to_be_bytes().to_vec()))
        }
        _ => None,
    }
}

/// A registered device that is observed with this token.
struct Device {
    socket: UdpSocket,
    token: Vec<u8>,
    sent: u32,
}

/// Datagrams in one go while the gateway gets to know the load: fewer than a socket's usual buffer
/// holds ..
const WARM_UP: u64 = 100;

/// .. and while it is looked at: fewer, so that no more messages are under way than ever before.
const STEADY: u64 = 50;

impl Device {
    fn start(gateway: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(gateway).unwrap();
        let queries = ["ep=steady", "lwm2m=1.1", "lt=86400"];
        let registered = raw::ask(&socket, &raw::register(1, &queries, "</3303/0/5700>"));
        assert_eq!(registered.code, raw::CREATED);
        let mut buffer = [0; 2048];
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let length = socket.recv(&mut buffer).expect("an observe request");
        let token = buffer[4..4 + usize::from(buffer[0] & 15)].to_vec();
        let mut answer = vec![0x60 | token.len() as u8, raw::CONTENT, buffer[2], buffer[3]];
        answer.extend_from_slice(&token);
        answer.extend_from_slice(&[0x60, 0x60, 0xff]); // Observe 0, text/plain.
        answer.extend_from_slice(b"20.5");
        assert!(length > 4);
        socket.send(&answer).unwrap();
        Self { socket, token, sent: 0 }
    }

    /// Sends so many notifications, each of which the broker gets before the next burst leaves.
    fn notify(&mut self, broker: &Broker, count: u64, burst: u64) {
        let mut datagram = Vec::new();
        for _ in 0..count / burst {
            let before = broker.notifications.load(Ordering::Acquire);
            for _ in 0..burst {
                self.sent += 1;
                let [_, high, middle, low] = self.sent.to_be_bytes();
                datagram.clear();
                let head = [0x50 | self.token.len() as u8, raw::CONTENT, middle, low];
                datagram.extend_from_slice(&head);
                datagram.extend_from_slice(&self.token);
                // Observe in three bytes, text/plain.
                datagram.extend_from_slice(&[0x63, high, middle, low, 0x60, 0xff]);
                write!(datagram, "{}.25", self.sent % 100).unwrap();
                self.socket.send(&datagram).unwrap();
            }
            broker.wait_for(before + burst);
        }
    }
}

#[test]
fn a_steady_stream_of_notifications_allocates_nothing() {
    const NOTIFICATIONS: u64 = 20_000;
    OWN.set(true);
    let broker = Broker::start();
    let data_dir = std::env::temp_dir().join(format!("lwm2m-steady-{}", std::process::id()));
    let mut config = Config { shards: 1, data_dir: data_dir.clone(), ..Config::default() };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    config.listeners.values_mut().for_each(|listener| listener.bind = any);
    config.mqtt.mode = gateway::config::MqttMode::External;
    config.mqtt.external.url = format!("mqtt://{}", broker.address);
    config.http.enabled = false;
    config.lwm2m.auto_observe = AutoObserve::Paths(vec!["/3303/0/5700".to_owned()]);
    // Looking at the directory of definitions allocates, and is no part of the path.
    config.lwm2m.xml_poll = Period::from(Duration::ZERO);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let service = runtime.block_on(Service::start(&config, 0)).expect("the gateway starts");
    let coap = service.addresses().coap[0].1;

    let mut device = Device::start(coap);
    device.notify(&broker, NOTIFICATIONS / 2, WARM_UP);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    device.notify(&broker, NOTIFICATIONS, STEADY);
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    println!("{allocations} allocations in {NOTIFICATIONS} notifications");
    // Some happen when the scheduler lets more messages wait than ever before, and the runtime has
    // timers; one per message would be 20 000.
    assert!(allocations < NOTIFICATIONS / 20, "{allocations} allocations");

    assert_eq!(runtime.block_on(service.stop()), 0);
    let _ = std::fs::remove_dir_all(data_dir);
}
