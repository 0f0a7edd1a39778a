//! Datagrams that are no LwM2M, or hardly CoAP: answered as RFC 7252 says, or not at all, while the
//! session of their sender goes on.

use gateway::config::Profile;

use crate::bench::{Device, Gateway, LINKS, unique_name};
use crate::coap::{BLOCK1, BLOCK2, Message, NON, POST, PUT, SIZE1, URI_QUERY, code_name, from_hex};

in_both_profiles!(datagrams, options, floods);

/// What comes back.
#[derive(Clone, Copy)]
enum Back {
    Reset,
    Nothing,
}

fn datagrams(profile: Profile) {
    use Back::{Nothing, Reset};
    // Name, datagram with message id 7777, and what comes back.
    let rows: &[(&str, &str, Back)] = &[
        ("no bytes", "", Nothing),
        ("one byte", "40", Nothing),
        ("three bytes", "40 01 1E", Nothing),
        ("version 0", "00 01 1E 61", Nothing),
        ("version 2", "80 01 1E 61", Nothing),
        ("version 3", "C0 01 1E 61", Nothing),
        ("a ping", "40 00 1E 61", Reset),
        ("an empty NON", "50 00 1E 61", Nothing),
        ("an acknowledgement of nothing", "60 00 1E 61", Nothing),
        ("a Reset of nothing", "70 00 1E 61", Nothing),
        ("a token length of 9", "49 01 1E 61 00 00 00 00 00 00 00 00 00", Reset),
        ("a token length of 15", "4F 01 1E 61", Reset),
        ("a token length of 9 in NON", "59 01 1E 61 00 00 00 00 00 00 00 00 00", Nothing),
        ("a token that is cut off", "44 01 1E 61 01", Reset),
        ("an empty message with a token", "41 00 1E 61 01", Reset),
        ("an empty message with a payload", "40 00 1E 61 FF 01", Reset),
        ("a marker without payload", "40 02 1E 61 B2 72 64 FF", Reset),
        ("an option delta of 15", "40 02 1E 61 F1 00", Reset),
        ("an option length of 15", "40 02 1E 61 BF 00", Reset),
        ("an option that is cut off", "40 02 1E 61 BD 10 72", Reset),
        ("an extended delta that is cut off", "40 02 1E 61 E0 FF", Reset),
        ("option numbers beyond 65535", "40 02 1E 61 E0 FF FF E0 FF FF", Reset),
        ("a reserved class", "40 20 1E 61", Reset),
        ("a code of class 7", "40 E1 1E 61", Reset),
        ("an answer to nothing", "44 45 1E 61 01 02 03 04", Reset),
        ("an answer to nothing in NON", "54 45 1E 61 01 02 03 04", Reset),
        ("an acknowledgement with a code and no exchange", "64 45 1E 61 01 02 03 04", Nothing),
        ("a token of a shard that is not there", "48 45 1E 61 FF 00 00 01 02 03 04 05", Reset),
        ("noise", "F3 9A 00 FF 13 37 C0 FF EE 40 02", Nothing),
    ];
    let gateway = Gateway::start(profile, "datagrams");
    gateway.play(
        rows,
        |row| row.0,
        |(_, datagram, back)| {
            let device = registered(&gateway);
            device.socket.send(&from_hex(datagram)).unwrap();
            if let Reset = back {
                device.reset(0x1e61);
            }
            // Were there another answer, it would come before that of the Update.
            assert_alive(&device);
        },
    );
}

fn registered(gateway: &Gateway) -> Device<'_> {
    gateway.registered_with(&unique_name(), LINKS)
}

fn assert_alive(device: &Device<'_>) {
    let request = device.request(POST, &device.location);
    device.send(&request);
    let answer = device.receive();
    assert_eq!((answer.id, answer.shown().as_str()), (request.id, "2.04"), "{answer:?}");
}

type Change = fn(Message) -> Message;

fn options(profile: Profile) {
    // Name, what is changed about a good Register of its own, and the code of the answer.
    let rows: &[(&str, Change, &str)] = &[
        ("an unknown critical option", |m| m.option(65_001, b"x"), "4.02"),
        ("an unknown elective option", |m| m.option(65_000, b"x"), "2.01"),
        ("If-None-Match with a value", |m| m.option(5, b"x"), "4.02"),
        ("a query of 256 bytes", |m| m.option(URI_QUERY, &[b'x'; 256]), "4.02"),
        ("a query that is no UTF-8", |m| m.option(URI_QUERY, b"x=\xff"), "4.00"),
        (
            "200 queries",
            |m| (0..200).fold(m, |m, n| m.option(URI_QUERY, format!("k{n}=v").as_bytes())),
            "4.00",
        ),
        (
            "two thousand elective options",
            |m| (0..2000).fold(m, |m, _| m.option(2048, b"")),
            "2.01",
        ),
        (
            "a megabyte announced",
            |m| m.uint(BLOCK1, 8 | 2).uint(SIZE1, u32::MAX).body(&[b' '; 64]),
            "4.13",
        ),
        ("the last block there can be", |m| m.uint(BLOCK1, 0xff_fff6), "4.13"),
        ("a block behind a body that never began", |m| m.uint(BLOCK1, 5 << 4 | 2), "4.08"),
        ("a reserved block size", |m| m.uint(BLOCK1, 7), "4.00"),
        ("a block option of four bytes", |m| m.option(BLOCK1, &[0, 0, 0, 2]), "4.02"),
        ("a block that is shorter than it says", |m| m.uint(BLOCK1, 8 | 2).body(b"</3/0>"), "4.00"),
        (
            "a block that is longer than it says",
            |m| m.uint(BLOCK1, 0).body(b"</3/0>,</3303/0>,"),
            "4.00",
        ),
        ("one block is all", |m| m.uint(BLOCK1, 6), "2.01"),
        ("a proxy request", |m| m.option(35, b"coap://elsewhere/rd"), "5.05"),
        ("an Accept of three bytes", |m| m.option(17, &[1, 2, 3]), "4.02"),
        ("links that are no UTF-8", |m| m.body(b"</3/0>,\xff"), "4.00"),
        ("links that are none", |m| m.body(b"{}"), "2.01"),
        ("five thousand links", |m| m.body("</3303/1>,".repeat(5000).as_bytes()), "4.00"),
        ("If-Match of any", |m| m.option(1, b""), "2.01"),
    ];
    let gateway = Gateway::start(profile, "options");
    gateway.play(
        rows,
        |row| row.0,
        |(_, change, code)| {
            let mut device = gateway.device(&unique_name());
            device.register(&[], LINKS);
            let name = format!("ep={}-other", device.name);
            let good = device.request(POST, "/rd").queries(&[&name, "lt=60", "lwm2m=1.0"]);
            let answer = device.ask(&change(good.body(b"</3/0>")));
            assert_eq!(code_name(answer.code), *code);
            assert_alive(&device);
        },
    );
    // Refused in silence, for nobody waits for an answer.
    let device = registered(&gateway);
    let request = device.request(POST, "/rd").option(65_001, b"x");
    device.send(&Message { kind: NON, ..request });
    assert_alive(&device);
    // A block of an answer that never had so many.
    let request = device.request(PUT, "/rd").uint(BLOCK2, 0xff_fff6);
    assert!(device.ask(&request).code >= 0x80);
    assert_alive(&device);
}

/// A session survives whatever its own address sends.
fn floods(profile: Profile) {
    let gateway = Gateway::start(profile, "floods");
    let device = registered(&gateway);
    let mut noise: u64 = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..2000 {
        let mut datagram = [0; 48];
        for byte in &mut datagram {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            *byte = noise.to_be_bytes()[0];
        }
        device.socket.send(&datagram).unwrap();
    }
    let good = device.request(POST, &device.location).encode();
    for at in 0..good.len() {
        device.socket.send(&good[..at]).unwrap();
        for bit in 0..8 {
            let mut mutated = good.clone();
            mutated[at] ^= 1 << bit;
            device.socket.send(&mutated).unwrap();
        }
    }
    // Whatever came back, the last request is answered.
    let socket = device.socket.try_clone().unwrap();
    let mut last = device.request(POST, &device.location);
    last.id = 0xfedc;
    last.token = b"the last".to_vec();
    let mut buffer = [0; 2048];
    let answered = (0..20).any(|_| {
        socket.send(&last.encode()).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
        std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec()))
            .any(|bytes| bytes[4..].starts_with(b"the last") && bytes[1] == 0x44)
    });
    assert!(answered, "the device is still registered");
}
