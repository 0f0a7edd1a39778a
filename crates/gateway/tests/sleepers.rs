//! Queue mode against devices that really sleep: what comes while they do is lost, and counted.
//!
//! The gateway takes a device to listen for a second; the simulated ones listen for six, so a
//! machine that is busy with other tests has five to spare.
#![cfg(feature = "embedded-broker")]

#[path = "common/app.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod app;
#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/process.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod process;
#[path = "common/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod wire;

use std::sync::Arc;
use std::time::Duration;

use lwm2m::Models;
use parking_lot::Mutex;
use serde_json::{Value, json};
use simulator::{FleetConfig, Group, Notify, Sleep, Spread};

use app::{App, until};
use fleet::Fleet;
use process::GatewayProcess;

const SETTINGS: &str = "lwm2m.qmode_time_window = \"1s\"\n";

const AWAKE: Duration = Duration::from_secs(6);

/// Devices `sim-1` and so on that wake for their Updates only.
fn sleepers(gateway: &GatewayProcess, count: usize, update_every: Spread) -> FleetConfig {
    let group = Group {
        lifetime: Duration::from_secs(3600).into(),
        update_every: Some(update_every),
        notify: Notify { every: None, ..Notify::default() },
        sleep: Sleep { share: 1.0, awake: AWAKE },
        ..Group::new(count)
    };
    FleetConfig::of(gateway.coap, group, Arc::new(Models::builtin()))
}

/// An application that keeps what answers commands.
async fn judge(gateway: &GatewayProcess) -> (App, Arc<Mutex<Vec<Value>>>) {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&answers);
    let app = App::connect(gateway.broker, "judge", move |message| {
        let report: Value = serde_json::from_str(&message.payload).expect("JSON");
        if report["msgType"] == "read" {
            kept.lock().push(report);
        }
    })
    .await;
    app.subscribe("lwm2m/+/up/resp").await;
    (app, answers)
}

fn read(id: u64) -> Value {
    json!({"reqID": id, "msgType": "read", "data": {"path": "/3/0/9"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn three_commands_wait_for_a_sleeper_and_are_answered_in_order_a_fourth_expires() {
    let gateway = GatewayProcess::start(SETTINGS);
    let (app, answers) = judge(&gateway).await;
    let fleet = Fleet::start(sleepers(&gateway, 1, Duration::from_secs(20).into()));
    until("registered", || fleet.snapshot().registered == 1).await;
    tokio::time::sleep(AWAKE + Duration::from_secs(1)).await;
    for id in 1..=3 {
        app.command("sim-1", &read(id)).await;
    }
    let mut urgent = read(4);
    urgent["data"]["ttl"] = json!(2);
    app.command("sim-1", &urgent).await;
    until("the expired one is reported", || !answers.lock().is_empty()).await;
    assert_eq!(fleet.snapshot().updates, 0, "the device sleeps still");
    until("it wakes and answers", || answers.lock().len() == 4).await;
    let summary = fleet.end();
    let answers = answers.lock();
    let told: Vec<_> = answers
        .iter()
        .map(|answer| (answer["reqID"].as_u64(), answer["data"]["code"].as_str()))
        .collect();
    let answered = |id| (Some(id), Some("2.05"));
    assert_eq!(told, [(Some(4), Some("5.03")), answered(1), answered(2), answered(3)]);
    assert_eq!(answers[0]["data"]["reason"], "expired");
    assert!(summary.totals.updates > 0, "{summary}");
    assert_eq!(summary.totals.datagrams_while_asleep, 0, "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_datagram_reaches_a_thousand_sleepers_while_they_sleep() {
    const DEVICES: usize = 1000;
    let gateway = GatewayProcess::start(SETTINGS);
    let (app, answers) = judge(&gateway).await;
    let period = Spread::new(Duration::from_secs(12), Duration::from_secs(20)).unwrap();
    let fleet = Fleet::start(sleepers(&gateway, DEVICES, period));
    until("registered", || fleet.snapshot().registered == DEVICES).await;
    // Some sleep by then, some have just sent their Update: two rounds, a few seconds apart.
    for id in 1..=2 {
        tokio::time::sleep(AWAKE).await;
        for device in 1..=DEVICES {
            app.command(&format!("sim-{device}"), &read(id)).await;
        }
    }
    until("every command is answered", || answers.lock().len() == 2 * DEVICES).await;
    let summary = fleet.end();
    let answered = |answer: &&Value| answer["data"]["code"] == "2.05";
    assert_eq!(answers.lock().iter().filter(answered).count(), 2 * DEVICES);
    assert!(summary.totals.updates > 0, "{summary}");
    assert_eq!(summary.totals.datagrams_while_asleep, 0, "{summary}");
}
