//! Commands of devices that die, expire or leave: exactly one end each, with its reason in the
//! answer, in the log and in the metrics.
#![cfg(feature = "embedded-broker")]

#[path = "common/app.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod app;
#[path = "common/node.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod node;
#[path = "common/process.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod process;
#[path = "common/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod wire;

use std::time::Duration;

use device::{Answers, Event, Profile, Reliability};
use serde_json::json;

use app::{App, Mailbox, until};
use node::{Node, profile};
use process::GatewayProcess;

/// One command under way and three that wait.
const COMMANDS: u64 = 4;

/// A device with [`COMMANDS`] commands that it does not answer.
struct Story {
    gateway: GatewayProcess,
    app: App,
    mailbox: Mailbox,
    node: Node,
}

impl Story {
    async fn begin(settings: &str, silent: bool, change: impl FnOnce(&mut Profile)) -> Self {
        let settings = format!("shards = 2\nlog.level = \"info,gateway=debug\"\n{settings}");
        let gateway = GatewayProcess::start(&settings);
        let (app, mailbox) = Mailbox::open(gateway.broker).await;
        let node = Node::start("subject", gateway.coap, profile(change)).await;
        until("the registration", || node.is_registered()).await;
        if silent {
            node.fall_silent().await;
        }
        let heard = node.view().received;
        for request in 0..COMMANDS {
            let data = json!({"path": "/3/0/0"});
            app.command("subject", &json!({"reqID": request, "msgType": "read", "data": data}))
                .await;
        }
        until("a command under way", || node.view().received > heard).await;
        let accepted = || gateway.metrics().value("commands_accepted_total");
        until("all commands with their shard", || accepted() == COMMANDS as f64).await;
        Self { gateway, app, mailbox, node }
    }

    /// Every command ends as `outcome`, once; log and metrics call it `reason`.
    async fn ends(&self, outcome: &str, reason: &str) {
        self.mailbox.wait(COMMANDS as usize, "ends of commands", app::Uplink::is_final).await;
        // What would come twice would come soon.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let ends: Vec<_> =
            self.mailbox.of("subject").into_iter().filter(|u| u.is_final()).collect();
        let requests: Vec<_> = ends.iter().filter_map(app::Uplink::request).collect();
        assert_eq!(requests, (0..COMMANDS).collect::<Vec<_>>(), "one end each, in order");
        for end in &ends {
            assert_eq!(end.outcome(), outcome);
        }
        let metrics = self.gateway.metrics();
        assert_eq!(metrics.total("commands_finished", "outcome", reason), COMMANDS);
        assert_eq!(metrics.value("commands_accepted_total"), COMMANDS as f64);
        assert_eq!(metrics.value("commands_open"), 0.0);
        assert_eq!(metrics.value("outbox_reserved"), 0.0);
        let lines = self.log_lines("command_finished");
        assert_eq!(lines.len(), COMMANDS as usize);
        assert!(lines.iter().all(|line| line.contains(&format!("\"outcome\":\"{reason}\""))));
    }

    fn log_lines(&self, event: &str) -> Vec<String> {
        let log = self.gateway.log();
        let mark = format!("\"event\":\"{event}\"");
        log.lines().filter(|line| line.contains(&mark)).map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_a_device_that_dies_time_out_once_each() {
    let settings = "coap.ack_timeout = \"100ms\"\ncoap.max_retransmit = 2";
    let story = Story::begin(settings, true, |_| {}).await;
    story.ends("coap_timeout", "timeout").await;
    let metrics = story.gateway.metrics();
    assert_eq!(metrics.value("devices"), 1.0, "a device that does not answer stays registered");
    let again = metrics.total("coap_messages", "kind", "retransmission");
    assert_eq!(again, 2 * COMMANDS, "each is sent three times");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_a_device_that_expires_end_once_each() {
    let settings = "lwm2m.expiry_grace = \"1s\"\nlwm2m.topics.lifecycle = \"up/life\"";
    let story = Story::begin(settings, true, |profile| profile.lifetime = Some(1)).await;
    story.ends("5.03 deregistered", "registration_expired").await;
    let metrics = story.gateway.metrics();
    assert_eq!(metrics.total("registrations_ended", "reason", "expired"), 1);
    assert_eq!(metrics.value("registrations_late_total"), 1.0);
    assert_eq!(metrics.value("devices"), 0.0);
    assert_eq!(story.log_lines("late").len(), 1);
    assert_eq!(story.log_lines("expired").len(), 1);
    let kinds: Vec<_> = story.mailbox.all().iter().map(|u| u.kind().to_owned()).collect();
    assert_eq!(kinds, ["register", "late", "read", "read", "read", "read", "expired"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_a_device_that_deregisters_end_once_each() {
    let after = Duration::from_secs(3600);
    let story = Story::begin("", false, |profile| {
        profile.answers = Answers::Separate { after, reliability: Reliability::Confirmable };
    })
    .await;
    story.node.act(|device, now| device.deregister(now));
    story.ends("5.03 deregistered", "deregistered").await;
    let metrics = story.gateway.metrics();
    assert_eq!(metrics.total("registrations_ended", "reason", "deregistered"), 1);
    assert_eq!(story.log_lines("deregistered").len(), 1);
    assert_eq!(story.node.happened(|event| *event == Event::Deregistered), 1);

    // The next command is for nobody.
    let command = json!({"reqID": 99, "msgType": "read", "data": {"path": "/3/0/0"}});
    story.app.command("subject", &command).await;
    let is_it = |uplink: &app::Uplink| uplink.request() == Some(99);
    story.mailbox.wait(1, "the refusal", is_it).await;
    let all = story.mailbox.all();
    let refusal = all.iter().find(|uplink| is_it(uplink)).unwrap();
    assert_eq!(refusal.outcome(), "4.04 unknown_device");
    assert_eq!(story.gateway.metrics().total("commands_rejected", "reason", "unknown_device"), 1);
}
