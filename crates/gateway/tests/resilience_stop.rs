//! Start and end of the program: signals under load, ports and directories that are taken, brokers
//! that are away, configurations that cannot be.
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

use std::collections::HashSet;
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::json;

use app::{App, Mailbox, until};
use node::{Node, profile};
use process::{ANY_PORTS, GatewayProcess, Scratch, run};

/// Settings that ask for exactly the ports that a gateway has.
fn same_ports(gateway: &GatewayProcess) -> String {
    format!(
        "listeners.default.bind = \"{}\"\nmqtt.embedded.bind = \"{}\"\nhttp.bind = \"{}\"\n\
         log.format = \"json\"\nshards = 2\n",
        gateway.coap, gateway.broker, gateway.http
    )
}

/// Notifications and commands as fast as they go, until dropped.
struct Load(Vec<tokio::task::JoinHandle<()>>);

impl Load {
    fn start(fleet: &std::sync::Arc<Vec<Node>>, app: &std::sync::Arc<App>) -> Self {
        let (nodes, commanded) = (std::sync::Arc::clone(fleet), std::sync::Arc::clone(fleet));
        let notifications = tokio::spawn(async move {
            for number in 1.. {
                nodes.iter().for_each(|node| node.count_to(number));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let app = std::sync::Arc::clone(app);
        let commands = tokio::spawn(async move {
            for (request, node) in (1_000..).zip(commanded.iter().cycle()) {
                let data = json!({"path": "/3/0/0"});
                let read = json!({"reqID": request, "msgType": "read", "data": data});
                app.command(&node.name, &read).await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Self(vec![notifications, commands])
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_ends_clean_and_the_next_start_has_the_same_ports() {
    const DEVICES: usize = 20;
    let scratch = Scratch::new();
    let mut gateway = GatewayProcess::start_in(&scratch, &format!("{ANY_PORTS}shards = 2\n"));
    let settings = same_ports(&gateway);
    let (app, mailbox) = Mailbox::open(gateway.broker).await;
    let app = std::sync::Arc::new(app);
    let fleet =
        std::sync::Arc::new(Node::fleet("dev", DEVICES, gateway.coap, &profile(|_| {})).await);
    mailbox.wait(DEVICES, "register", |uplink| uplink.kind() == "register").await;
    for (request, node) in fleet.iter().enumerate() {
        let data = json!({"path": "/3442/0/120"});
        let observe = json!({"reqID": request, "msgType": "observe", "data": data});
        app.command(&node.name, &observe).await;
    }
    mailbox.wait(DEVICES, "observe", |uplink| uplink.kind() == "observe").await;

    let load = Load::start(&fleet, &app);
    mailbox.wait(500, "notify", |uplink| uplink.kind() == "notify").await;
    mailbox.wait(50, "read", |uplink| uplink.kind() == "read").await;
    let begun = Instant::now();
    gateway.terminate();
    let code = gateway.exit_code();
    let took = begun.elapsed();
    drop(load);
    assert_eq!(code, Some(0), "{}", gateway.log());
    assert!(took < Duration::from_secs(7), "the stop took {took:?}");
    until("the broker closes", || app.is_closed()).await;
    let answered: Vec<_> =
        mailbox.all().iter().filter(|u| u.is_final()).filter_map(app::Uplink::request).collect();
    let distinct: HashSet<_> = answered.iter().collect();
    assert_eq!(distinct.len(), answered.len(), "no command ends twice");
    drop(gateway);

    // At once, on the same ports, with the clients of before: devices find out by 4.04 and Reset.
    let gateway = GatewayProcess::start_in(&scratch, &settings);
    let (app, mailbox) = Mailbox::open(gateway.broker).await;
    for node in fleet.iter() {
        node.act(|device, now| device.update(now));
    }
    mailbox.wait(DEVICES, "register", |uplink| uplink.kind() == "register").await;
    let read = json!({"reqID": 7, "msgType": "read", "data": {"path": "/3/0/0"}});
    app.command("dev-0", &read).await;
    let answered = |uplink: &app::Uplink| uplink.request() == Some(7) && uplink.outcome() == "2.05";
    mailbox.wait(1, "an answer", answered).await;
}

#[test]
fn a_second_gateway_is_refused_by_name_of_the_port_and_of_the_directory() {
    let scratch = Scratch::new();
    let mut first = GatewayProcess::start_in(&scratch, &format!("{ANY_PORTS}shards = 2\n"));
    let other = Scratch::new();
    let data_dir = format!("data_dir = {:?}\n{ANY_PORTS}", scratch.path().join("data"));
    let (coap, broker, http) = (first.coap, first.broker, first.http);
    let rows = [
        (
            format!("{ANY_PORTS}shards = 2\n").replace(
                "listeners.default.bind = \"127.0.0.1:0\"",
                &format!("listeners.default.bind = \"{coap}\""),
            ),
            vec![
                "listeners.default.bind".to_owned(),
                coap.to_string(),
                "another gateway".to_owned(),
            ],
        ),
        (
            ANY_PORTS.replace(
                "mqtt.embedded.bind = \"127.0.0.1:0\"",
                &format!("mqtt.embedded.bind = \"{broker}\""),
            ),
            vec!["mqtt.embedded.bind".to_owned(), broker.to_string()],
        ),
        (
            ANY_PORTS.replace("http.bind = \"127.0.0.1:0\"", &format!("http.bind = \"{http}\"")),
            vec!["http.bind".to_owned(), http.to_string()],
        ),
        (data_dir, vec!["data_dir".to_owned(), "in use by another gateway".to_owned()]),
    ];
    for (settings, words) in rows {
        let (code, log) = run(&other, &settings);
        assert_eq!(code, Some(1), "{settings}\n{log}");
        for word in words {
            assert!(log.contains(&word), "`{word}` is not in:\n{log}");
        }
    }
    assert!(first.is_alive());
}

/// Ports that something else has are named like those of another gateway.
#[test]
fn ports_of_other_programs_are_named_by_their_setting() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let scratch = Scratch::new();
    for (key, address) in [
        ("listeners.default.bind", udp.local_addr().unwrap()),
        ("mqtt.embedded.bind", tcp.local_addr().unwrap()),
        ("http.bind", tcp.local_addr().unwrap()),
    ] {
        let any = format!("{key} = \"127.0.0.1:0\"");
        let settings = ANY_PORTS.replacen(&any, &format!("{key} = \"{address}\""), 1);
        let (code, log) = run(&scratch, &settings);
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(key) && log.contains(&address.to_string()), "{key}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_no_broker_took_are_counted_at_the_end() {
    const DEVICES: usize = 5;
    // A port where nobody listens, for as long as this socket lives.
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = format!(
        "mqtt.mode = \"external\"\nmqtt.external.url = \"mqtt://{nobody}\"\n\
         outbox.drain_max = \"500ms\"\n"
    );
    let mut gateway = GatewayProcess::start(&settings);
    let fleet = Node::fleet("dev", DEVICES, gateway.coap, &profile(|_| {})).await;
    until("registrations without a broker", || fleet.iter().all(Node::is_registered)).await;
    gateway.terminate();
    assert_eq!(gateway.exit_code(), Some(3), "{}", gateway.log());
    assert!(gateway.log().contains(&format!("\"left\":{DEVICES}")), "{}", gateway.log());
}

#[test]
fn an_unusable_configuration_ends_with_2_and_names_file_line_and_key() {
    let scratch = Scratch::new();
    let rows = [
        ("shards = 2\n[lwm2m]\nlifetime_mox = \"60s\"\n", "lifetime_mox", 4),
        ("shards = 2\n[lwm2m]\n\nlifetime_max = \"soon\"\n", "lifetime_max", 5),
        ("shards = 1000\n", "shards", 2),
        ("[http]\nbind = \"everywhere\"\n", "bind", 3),
        ("[lwm2m.topics]\ncommand = \"dn/#\"\nnotify = \"dn/x\"\n", "notify", 4),
        ("shards = = 2\n", "", 2),
    ];
    for (settings, key, line) in rows {
        // `data_dir` is the first line of the file.
        let (code, said) = run(&scratch, settings);
        assert_eq!(code, Some(2), "{settings}\n{said}");
        let place = format!("{}:{line}", scratch.path().join("gateway.toml").display());
        assert!(said.contains(&place), "{place} is not in:\n{said}");
        assert!(said.contains(key), "{key} is not in:\n{said}");
    }
}
