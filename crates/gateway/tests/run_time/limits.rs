//! What a listener lets in.

use std::time::Duration;

use crate::mqtt::until;
use crate::raw;
use crate::rig::{Device, Rig, table};

const LISTENER: &str = "[listeners.default]\nbind = \"127.0.0.1:0\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_listener_turns_strangers_away_with_a_time_to_come_again() {
    let rig = Rig::start(&format!("{LISTENER}max_connections = 2\n")).await;
    let (first, _) = rig.register("default", "one").await;
    rig.register("default", "two").await;
    let third = Device::at(rig.address("default"), "three");
    let answer = third.register("lt=300");
    assert_eq!((answer.code, answer.option(raw::MAX_AGE)), (raw::UNAVAILABLE, Some(&[30][..])));
    // Who is in may register again.
    assert_eq!(first.register("lt=300").code, raw::CREATED);
    let full = "lwm2m_gateway_listener_registers_refused_full_total{listener=\"default\"}";
    assert_eq!(rig.metric(full), 1);
    // It took its own place; what was there before it ends behind the answer.
    let connections = || rig.control().listener("default").unwrap().connections;
    until("two are in", || connections() == 2).await;
    rig.control().change_listener("default", table("max_connections = 3")).await.unwrap();
    assert_eq!(third.register("lt=300").code, raw::CREATED);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_registers_than_the_rate_are_turned_away() {
    let rig = Rig::start(&format!("{LISTENER}max_conn_rate = 5\n")).await;
    let devices: Vec<_> =
        (0..20).map(|n| Device::at(rig.address("default"), &format!("dev-{n}"))).collect();
    let codes: Vec<_> = devices.iter().map(|device| device.register("lt=300").code).collect();
    let made = codes.iter().filter(|code| **code == raw::CREATED).count();
    assert!((5..20).contains(&made), "{codes:x?}");
    assert!(codes.iter().all(|code| [raw::CREATED, raw::UNAVAILABLE].contains(code)));
    let refused = rig.control().listener("default").unwrap().counts.refused_rate;
    assert_eq!(refused, 20 - made as u64);
    rig.control().change_listener("default", table("max_conn_rate = 0")).await.unwrap();
    assert!(devices.iter().all(|device| device.register("lt=300").code == raw::CREATED));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_address_is_not_heard_until_the_rules_change() {
    let rules = "access_rules = [\"allow 10.0.0.0/8\", \"deny 127.0.0.0/8\"]\n";
    let rig = Rig::start(&format!("{LISTENER}{rules}")).await;
    let device = Device::at(rig.address("default"), "one");
    device.socket.send(&raw::ping(1)).unwrap();
    device.socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(device.socket.recv(&mut [0; 64]).is_err(), "nothing answers");
    let denied = "lwm2m_gateway_listener_datagrams_denied_total{listener=\"default\"}";
    until("counted", || rig.metric(denied) == 1).await;
    let allow = table("access_rules = [\"allow 127.0.0.1\", \"deny all\"]");
    rig.control().change_listener("default", allow).await.unwrap();
    assert_eq!(device.register("lt=300").code, raw::CREATED);
    rig.stop().await;
}
