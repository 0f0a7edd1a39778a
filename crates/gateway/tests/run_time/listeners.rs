//! Listeners that come, change, rest and go.

use std::net::UdpSocket;
use std::time::Duration;

use gateway::control::{ChangeError, Enabled, ListenerState};

use crate::mqtt::until;
use crate::node::{Node, profile};
use crate::raw;
use crate::rig::{Device, Rig, table};

const LISTENER: &str = "listeners.default.bind = \"127.0.0.1:0\"\n\
                        lwm2m.topics.lifecycle = \"up/life\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_comes_serves_is_kept_over_a_restart_and_goes() {
    let rig = Rig::start(LISTENER).await;
    let (_stays, _) = rig.register("default", "stays").await;
    let settings = table("bind = \"127.0.0.1:0\"\nmountpoint = \"plant/%e/\"");
    rig.control().add_listener("plant", settings.clone()).await.unwrap();
    let (_, topic) = rig.register("plant", "one").await;
    assert_eq!(topic, "plant/one/up/resp");
    assert_eq!(rig.metric("lwm2m_gateway_listener_devices{listener=\"plant\"}"), 1);
    let again = rig.control().add_listener("plant", settings).await.unwrap_err();
    assert!(matches!(again, ChangeError::ListenerExists(_)), "{again}");

    let rig = rig.restart().await;
    let (_, topic) = rig.register("plant", "one").await;
    assert_eq!(topic, "plant/one/up/resp");
    let (_stays, _) = rig.register("default", "stays").await;
    let address = rig.address("plant");
    let from = rig.app.received().len();
    rig.control().remove_listener("plant").await.unwrap();
    // The device cannot be reached any more; that is said under its own topics.
    let message = rig.topic_of(from, "kicked").await;
    assert_eq!(message.topic, "plant/one/up/life");
    assert!(rig.control().listener("plant").is_none());
    assert_eq!(rig.control().listener("default").unwrap().connections, 1);
    UdpSocket::bind(address).expect("the port is free again");
    let unknown = rig.control().remove_listener("plant").await.unwrap_err();
    assert!(matches!(unknown, ChangeError::UnknownListener(_)), "{unknown}");
    let rig = rig.restart().await;
    assert!(rig.control().listener("plant").is_none());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_of_the_file_stays_removed_until_that_is_cleared() {
    let rig = Rig::start(LISTENER).await;
    rig.control().remove_listener("default").await.unwrap();
    let rig = rig.restart().await;
    assert!(rig.control().listeners().is_empty());
    rig.control().clear(&["listeners.default"]).await.unwrap();
    rig.register("default", "one").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_and_nothing_changes() {
    let rig = Rig::start(LISTENER).await;
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let settings = format!(
        "lwm2m.lifetime_max = \"1h\"\nlisteners.a.bind = \"127.0.0.1:0\"\n\
         listeners.b.bind = \"{}\"",
        other.local_addr().unwrap()
    );
    let before = rig.control().config();
    let error = rig.control().change(table(&settings)).await.unwrap_err();
    assert!(matches!(error, ChangeError::Listener(_)));
    let said = error.to_string();
    assert!(said.starts_with("listeners.b.bind: cannot bind UDP 127.0.0.1:"), "{said}");
    assert!(said.ends_with("(another gateway or LwM2M server has this port)"), "{said}");
    assert_eq!((&*rig.control().config(), rig.overrides().as_str()), (&*before, ""));
    assert_eq!(rig.control().listeners().len(), 1);
    rig.register("default", "one").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_disabled_keeps_its_registrations_and_is_enabled_again() {
    let rig = Rig::start(LISTENER).await;
    let node = Node::start("dev", rig.address("default"), profile(|_| {})).await;
    until("registered", || node.is_registered()).await;
    let address = rig.address("default");
    let fixed = table(&format!("bind = \"{address}\""));
    rig.control().change_listener("default", fixed).await.unwrap();
    rig.control().enable(Enabled::No).await.unwrap();
    let status = rig.control().listener("default").unwrap();
    assert_eq!((status.state, status.connections), (ListenerState::GatewayDisabled, 1));
    assert!(!rig.control().is_enabled());
    UdpSocket::bind(address).expect("the port is free");
    rig.control().enable(Enabled::Yes).await.unwrap();
    assert_eq!(rig.address("default"), address);
    // The registration is still good: what the device sends is for it.
    let from = rig.app.received().len();
    let command = r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#;
    rig.app.publish("lwm2m/dev/dn/x", command, 1, false).await;
    let answer = rig.topic_of(from, "read").await;
    assert!(answer.payload.contains("2.05"), "{}", answer.payload);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_moves_takes_its_registrations_along() {
    let rig = Rig::start(LISTENER).await;
    let (device, _) = rig.register("default", "dev").await;
    let former = rig.address("default");
    // Another port, then a wider address of the same port.
    for bind in ["127.0.0.2:0".to_owned(), format!("0.0.0.0:{}", former.port())] {
        rig.control()
            .change_listener("default", table(&format!("bind = \"{bind}\"")))
            .await
            .unwrap();
        assert_eq!(rig.control().listener("default").unwrap().connections, 1);
        let mut address = rig.address("default");
        address.set_ip("127.0.0.2".parse().unwrap());
        device.socket.connect(address).unwrap();
        assert_eq!(device.register("lt=300").code, raw::CREATED);
    }
    let wider = format!("bind = \"0.0.0.0:{}\"", rig.address("default").port());
    assert!(rig.control().add_listener("b", table(&wider)).await.unwrap_err().is_of_caller());
    rig.stop().await;
}

/// The notifications of an observation on one listener while others come and go: none is lost.
#[tokio::test(flavor = "multi_thread")]
async fn notifications_flow_while_other_listeners_come_and_go() {
    let rig = Rig::start(LISTENER).await;
    let node = Node::start("dev", rig.address("default"), profile(|_| {})).await;
    until("registered", || node.is_registered()).await;
    let command = r#"{"reqID":1,"msgType":"observe","data":{"path":"/3442/0/120"}}"#;
    rig.app.publish("lwm2m/dev/dn/x", command, 1, false).await;
    until("observed", || node.view().observations == 1).await;
    let sender = async {
        for number in 1..=500 {
            node.count_to(number);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let control = rig.control().clone();
    let changes = async {
        for round in 0..6 {
            let name = format!("extra-{round}");
            control.add_listener(&name, table("bind = \"127.0.0.1:0\"")).await.unwrap();
            let limit = format!("max_connections = {}", 10 + round);
            control.change_listener("default", table(&limit)).await.unwrap();
            control.remove_listener(&name).await.unwrap();
        }
    };
    tokio::join!(sender, changes);
    let came = || {
        let all = rig.app.received();
        let notifications = all.iter().filter(|message| message.topic == "lwm2m/dev/up/notify");
        notifications.map(|message| message.payload.clone()).collect::<Vec<_>>()
    };
    until("every notification", || came().len() >= 500).await;
    let values = (1..=500).map(|number| format!("\"value\":{number}}}"));
    let came = came();
    let lost: Vec<_> = values.filter(|value| !came.iter().any(|it| it.contains(value))).collect();
    assert!(lost.is_empty(), "{lost:?}: {}", came[0]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_rests_and_wakes_alone() {
    let rig = Rig::start(LISTENER).await;
    let settings = table("bind = \"127.0.0.1:0\"\nenable = false");
    rig.control().add_listener("b", settings).await.unwrap();
    assert_eq!(rig.control().listener("b").unwrap().state, ListenerState::Disabled);
    rig.control().change_listener("b", table("enable = true")).await.unwrap();
    rig.register("b", "one").await;
    let address = rig.address("b");
    rig.control().change_listener("b", table("enable = false")).await.unwrap();
    let status = rig.control().listener("b").unwrap();
    assert_eq!((status.state, status.connections), (ListenerState::Disabled, 1));
    let device = Device::at(address, "two");
    device.socket.send(&raw::ping(1)).unwrap();
    device.socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(device.socket.recv(&mut [0; 64]).is_err());
    rig.register("default", "three").await;
    rig.stop().await;
}
