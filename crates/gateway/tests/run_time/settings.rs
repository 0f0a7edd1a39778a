//! Settings.

use gateway::config::Origin;
use gateway::control::{Applied, ChangeError};

use crate::raw;
use crate::rig::{Device, Rig, table};

const LISTENER: &str = "listeners.default.bind = \"127.0.0.1:0\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn lifetimes_topics_and_mountpoint_change_at_once_and_are_kept() {
    let rig = Rig::start(LISTENER).await;
    let (_, topic) = rig.register("default", "one").await;
    assert_eq!(topic, "lwm2m/one/up/resp");
    let changes = "lwm2m.mountpoint = \"site/%e/\"\nlwm2m.lifetime_max = \"400s\"\n\
                   lwm2m.topics.register = \"up/register\"\nlwm2m.topics.command = \"down/#\"";
    let applied = rig.control().change(table(changes)).await.unwrap();
    let changed =
        ["lwm2m.lifetime_max", "lwm2m.mountpoint", "lwm2m.topics.command", "lwm2m.topics.register"];
    assert_eq!(applied.changed, changed);
    assert!(applied.needs_restart.is_empty());
    let rig = check_the_change(rig).await;
    let rig = check_the_change(rig.restart().await).await;
    rig.control().clear(&["lwm2m.topics", "lwm2m.mountpoint"]).await.unwrap();
    let (_, topic) = rig.register("default", "back").await;
    assert_eq!(topic, "lwm2m/back/up/resp");
    assert_eq!(rig.control().config().lwm2m.lifetime_max.to_string(), "400s");
    rig.stop().await;
}

async fn check_the_change(rig: Rig) -> Rig {
    let (device, topic) = rig.register("default", "two").await;
    assert_eq!(topic, "site/two/up/register");
    let stranger = Device::at(rig.address("default"), "long");
    assert_eq!(stranger.register("lt=401").code, raw::BAD_REQUEST);
    // A command by the new topic reaches the device.
    let command = r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#;
    rig.app.publish("site/two/down/x", command, 1, false).await;
    let mut buffer = [0; 256];
    device.socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let length = tokio::task::block_in_place(|| device.socket.recv(&mut buffer)).unwrap();
    assert_eq!(buffer[1], raw::GET, "{:x?}", &buffer[..length]);
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_slash_is_commanded_by_the_new_topics() {
    let rig = Rig::start(LISTENER).await;
    let (device, topic) = rig.register("default", "urn/1").await;
    assert_eq!(topic, "lwm2m/urn/1/up/resp");
    rig.control().change(table("lwm2m.mountpoint = \"site/%e/\"")).await.unwrap();
    let command = r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#;
    rig.app.publish("site/urn/1/dn/x", command, 1, false).await;
    let mut buffer = [0; 256];
    device.socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    tokio::task::block_in_place(|| device.socket.recv(&mut buffer)).unwrap();
    assert_eq!(buffer[1], raw::GET);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_change_is_refused_by_key_and_leaves_everything_as_it_was() {
    let rig = Rig::start(LISTENER).await;
    let before = rig.control().config();
    for (changes, fault) in [
        (
            "lwm2m.lifetime_max = \"10s\"\nlwm2m.lifetime_min = \"20s\"",
            "change: lwm2m.lifetime_min: 20s is above lwm2m.lifetime_max = 10s",
        ),
        ("lwm2m.lifetime_mx = 5", "change: lwm2m.lifetime_mx: unknown key (did you mean"),
        ("lwm2m.mountpoint = \"x/\"", "change: lwm2m.mountpoint: topics.command = \"x/dn/#\": "),
        ("data_dir = \"/tmp\"", "change: data_dir: cannot be changed from inside of data_dir"),
        ("lwm2m.report = 5", "change: lwm2m.report: found integer `5`, expected \"all\" or"),
        (
            "listeners.a.bind = \"x\"",
            "change: listeners.a.bind: found string \"x\", expected an IP",
        ),
    ] {
        let error = rig.control().change(table(changes)).await.unwrap_err();
        assert!(error.to_string().starts_with(fault), "{error}");
        assert!(error.is_of_caller());
    }
    assert_eq!(*rig.control().config(), *before);
    assert_eq!(rig.overrides(), "");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_change_now_is_kept_for_the_next_start_and_named() {
    let rig = Rig::start(LISTENER).await;
    let applied = rig.control().change(table("coap.nstart = 3\nlwm2m.rearm = false")).await;
    let applied = applied.unwrap();
    assert_eq!(applied.changed, ["coap.nstart", "lwm2m.rearm"]);
    assert_eq!(applied.needs_restart, ["coap.nstart"]);
    assert_eq!(rig.control().needs_restart(), ["coap.nstart"]);
    let rig = rig.restart().await;
    assert_eq!(rig.control().config().coap.nstart, 3);
    assert!(rig.control().needs_restart().is_empty());
    let origin = rig.control().origin("coap.nstart");
    assert!(matches!(&origin, Origin::File { path, .. } if path.ends_with("overrides.toml")));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_wins_and_is_named_unless_nothing_would_change() {
    let pins = [("LWM2M_GATEWAY__LWM2M__LIFETIME_MAX", "1h")];
    let rig = Rig::start(LISTENER).await.restart_with(&pins).await;
    let changes = "lwm2m.lifetime_max = \"2h\"\nlwm2m.report = \"profile\"";
    let error = rig.control().change(table(changes)).await.unwrap_err();
    assert!(matches!(error, ChangeError::Pinned(_)));
    let said =
        "lwm2m.lifetime_max: is set by environment LWM2M_GATEWAY__LWM2M__LIFETIME_MAX, which";
    assert!(error.to_string().starts_with(said), "{error}");
    // A client that sends everything back names it as it is.
    let changes = "lwm2m.lifetime_max = 3600\nlwm2m.report = \"profile\"";
    let applied = rig.control().change(table(changes)).await.unwrap();
    assert_eq!(applied.changed, ["lwm2m.report"]);
    assert!(!rig.overrides().contains("lifetime_max"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_the_same_time_come_one_after_the_other() {
    let rig = Rig::start(LISTENER).await;
    let (first, second) = (rig.control().clone(), rig.control().clone());
    let both = tokio::join!(
        first.change(table("lwm2m.lifetime_max = \"1h\"")),
        second.change(table("lwm2m.lifetime_min = \"2m\"")),
    );
    assert!(both.0.is_ok() && both.1.is_ok());
    let lwm2m = rig.control().config().lwm2m.clone();
    assert_eq!(
        (lwm2m.lifetime_max.to_string(), lwm2m.lifetime_min.to_string()),
        ("3600s".to_owned(), "120s".to_owned(),)
    );
    assert!(rig.overrides().contains("1h") && rig.overrides().contains("2m"));
    // What is in effect already is no change.
    let same = rig.control().change(table("lwm2m.lifetime_max = 3600")).await.unwrap();
    assert_eq!(same, Applied::default());
    rig.stop().await;
}
