//! Every hot function alone, and the three flows: `cargo bench -p flows`.

use bridge::{Bridge, Delivery};
use coap::wheel::TimerWheel;
use coap::{Duration, Instant, Message};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use flows::Shard;
use lwm2m::codec::{self, Context, UnknownPolicy};
use lwm2m::{Format, ModelView, Models, Path};

fn main() {
    divan::main();
}

/// A notification of `/3303/0/5700`: token of 8 bytes, Observe, text/plain, "20.5".
const NOTIFICATION: &[u8] =
    b"\x58\x45\x12\x34\x00\x01\x02\x03\x04\x05\x06\x07\x62\x01\x02\x60\xff20.5";

#[divan::bench]
fn coap_parse(bencher: Bencher<'_, '_>) {
    let bytes = BytesCount::new(NOTIFICATION.len());
    bencher.counter(bytes).bench(|| Message::parse(black_box(NOTIFICATION)).map(|m| m.token));
}

#[divan::bench]
fn coap_encode(bencher: Bencher<'_, '_>) {
    let message = Message::parse(NOTIFICATION).expect("a message");
    let mut out = Vec::with_capacity(64);
    bencher.bench_local(|| {
        out.clear();
        black_box(&message).encode(&mut out);
        out.len()
    });
}

/// A payload of each format, and what it answers.
const PAYLOADS: [(&str, u16, &str, &[u8]); 5] = [
    ("text", 0, "/3303/0/5700", b"20.5"),
    ("tlv", 11_542, "/3303/0/5700", b"\xe4\x16\x44\x41\xa4\x00\x00"),
    ("tlv_instance", 11_542, "/3303/0", b"\xe4\x16\x44\x41\xa4\x00\x00\xe3\x16\x45Cel"),
    ("senml_json", 110, "/3303/0/5700", b"[{\"bn\":\"/3303/0/5700\",\"v\":20.5}]"),
    ("senml_cbor", 112, "/3303/0/5700", b"\x81\xa2\x21\x6c/3303/0/5700\x02\xf9\x4d\x20"),
];

#[divan::bench(args = PAYLOADS.map(|(name, ..)| name))]
fn decode(bencher: Bencher<'_, '_>, name: &str) {
    let payload = PAYLOADS.iter().find(|(known, ..)| *known == name).expect("a payload");
    let (_, format, path, payload) = *payload;
    let models = Models::builtin();
    let path: Path = path.parse().expect("a path");
    let context =
        Context { models: ModelView::new(&models, &[]), wall_ms: 0, unknown: UnknownPolicy::Raw };
    let decode = || codec::decode(Some(Format(format)), &path, black_box(payload), &context);
    assert!(decode().is_ok(), "{name}");
    bencher.bench_local(decode);
}

#[divan::bench]
fn command_json(bencher: Bencher<'_, '_>) {
    let bridge = Bridge::new(bridge::Settings::of(bridge::Profile::Emqx4)).expect("a contract");
    let models = Models::builtin();
    let payload = br#"{"reqID":7,"msgType":"read","data":{"path":"/3303/0/5700"}}"#;
    let delivery = Delivery::new("lwm2m/urn:imei:000000000000001/dn/dm", payload);
    let now = Instant::from_micros(1);
    bencher.bench_local(|| bridge.downlink(now, black_box(&delivery), &models));
}

#[divan::bench]
fn command_topic(bencher: Bencher<'_, '_>) {
    let bridge = Bridge::new(bridge::Settings::of(bridge::Profile::Emqx4)).expect("a contract");
    bencher.bench_local(|| bridge.endpoints(black_box("lwm2m/urn:imei:000000000000001/dn/dm")));
}

/// One timer in and one out of a wheel that holds a million.
#[divan::bench]
fn timer_wheel(bencher: Bencher<'_, '_>) {
    let mut wheel = TimerWheel::new();
    let mut now = Instant::from_micros(0);
    for number in 0..1_000_000_u32 {
        wheel.schedule(now + Duration::from_micros(u64::from(number) * 60), number);
    }
    bencher.bench_local(|| {
        now += Duration::from_micros(60);
        let due = wheel.poll_expired(now);
        if let Some(number) = due {
            wheel.schedule(now + Duration::from_secs(60), number);
        }
        due
    });
}

const FLEETS: [u32; 2] = [1_000, 100_000];

#[divan::bench(args = FLEETS, sample_size = 1_000)]
fn flow_notification(bencher: Bencher<'_, '_>, fleet: u32) {
    let mut shard = Shard::with_fleet(fleet);
    bencher.bench_local(|| shard.notification());
}

#[divan::bench(args = FLEETS, sample_size = 1_000)]
fn flow_registration(bencher: Bencher<'_, '_>, fleet: u32) {
    let mut shard = Shard::with_fleet(fleet);
    bencher.bench_local(|| shard.registration());
}

#[divan::bench(args = FLEETS, sample_size = 1_000)]
fn flow_command(bencher: Bencher<'_, '_>, fleet: u32) {
    let mut shard = Shard::with_fleet(fleet);
    bencher.bench_local(|| shard.command());
}
