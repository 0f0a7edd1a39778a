//! Commands over links that lose, repeat and reorder datagrams: at most once, and one end each.
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
#[path = "common/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod wire;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use device::{Answers, Event, Reliability};
use serde_json::json;

use app::{Mailbox, until};
use lossy_udp::{Conditions, LossyUdp};
use node::{Node, profile};
use process::GatewayProcess;

const DEVICES: usize = 25;
const COMMANDS: usize = 1_000;

/// One datagram in ten lost, in each direction.
const CONDITIONS: Conditions =
    Conditions { lost: 10, repeated: 10, delayed: 30, delay_max: Duration::from_millis(40) };

/// The transmission times of RFC 7252 divided by ten, so that a command that meets nothing but
/// losses ends within 10 s.
const SETTINGS: &str = r#"
shards = 2
coap.ack_timeout = "200ms"
lwm2m.command_timeout = "20s"
"#;

/// Half of the devices answer in the acknowledgement, the others separately.
async fn fleet(proxy: &LossyUdp) -> Vec<Node> {
    let like = |answers| {
        profile(|profile| {
            profile.transmission.ack_timeout = Duration::from_millis(200);
            profile.answers = answers;
        })
    };
    let separate = Answers::Separate {
        after: Duration::from_millis(5),
        reliability: Reliability::Confirmable,
    };
    let half = DEVICES / 2;
    let mut fleet = Node::fleet("direct", half, proxy.address, &like(Answers::Piggybacked)).await;
    fleet.extend(Node::fleet("late", DEVICES - half, proxy.address, &like(separate)).await);
    fleet
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_executes_over_a_lossy_link_run_once_and_end_once() {
    let gateway = GatewayProcess::start(SETTINGS);
    let proxy = LossyUdp::start(gateway.coap, 20_260_101, CONDITIONS);
    let (app, mailbox) = Mailbox::open(gateway.broker).await;
    let fleet = fleet(&proxy).await;
    until("registrations", || fleet.iter().all(Node::is_registered)).await;

    for request in 0..COMMANDS {
        let data = json!({"path": "/3/0/12", "args": format!("0='{request}'")});
        let command = json!({"reqID": request, "msgType": "execute", "data": data});
        app.command(&fleet[request % DEVICES].name, &command).await;
    }
    mailbox.wait(COMMANDS, "ends of commands", app::Uplink::is_final).await;
    // What would come twice would come soon.
    tokio::time::sleep(Duration::from_millis(500)).await;

    let mut ends: HashMap<u64, Vec<String>> = HashMap::new();
    for uplink in mailbox.all().iter().filter(|uplink| uplink.is_final()) {
        ends.entry(uplink.request().unwrap()).or_default().push(uplink.outcome());
    }
    let runs = runs(&fleet);
    let mut timeouts = 0;
    for request in 0..COMMANDS as u64 {
        let (end, run) = (&ends[&request], runs.get(&request).copied().unwrap_or(0));
        match end.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["2.04"] => assert_eq!(run, 1, "command {request} ran {run} times"),
            ["coap_timeout"] => {
                assert!(run <= 1, "command {request} ran {run} times");
                timeouts += 1;
            }
            _ => panic!("command {request} ended as {end:?}"),
        }
    }
    let counts = &proxy.counts;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    println!("{timeouts} of {COMMANDS} commands timed out; the link: {counts:?}");
    assert!(count(&counts.lost) > 200 && count(&counts.repeated) > 200, "{counts:?}");
    assert!(timeouts <= 10, "{timeouts} timeouts: 5 transmissions lose both ways 1 in 4 000 times");
    let metrics = gateway.metrics();
    assert_eq!(
        metrics.total("commands_finished", "outcome", "success"),
        (COMMANDS - timeouts) as u64
    );
    assert_eq!(metrics.value("outbox_reserved"), 0.0, "no slot of an outcome leaks");
}

/// How often each command ran, by the number in its arguments.
fn runs(fleet: &[Node]) -> HashMap<u64, u32> {
    let mut runs = HashMap::new();
    for event in fleet.iter().flat_map(|node| node.view().events) {
        if let Event::Executed { arguments, .. } = event {
            let number = arguments.trim_start_matches("0='").trim_end_matches('\'');
            *runs.entry(number.parse().unwrap()).or_default() += 1;
        }
    }
    runs
}
