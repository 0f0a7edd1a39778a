use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

mod faults;

/// A directory of the test's own, gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lwm2m-gateway-config-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Loads a file of this text with nothing around it.
fn load_text(text: &str) -> Result<Loaded, String> {
    let scratch = Scratch::new();
    let file = scratch.file("gateway.toml", text);
    load(&Sources::file(file)).map_err(|errors| in_scratch(&errors.to_string(), &scratch))
}

fn in_scratch(text: &str, scratch: &Scratch) -> String {
    text.replace(&format!("{}/", scratch.0.display()), "")
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

#[test]
fn the_printed_file_is_the_defaults() {
    let loaded = load_text(DEFAULT_FILE).unwrap();
    assert_eq!(loaded.config, Config::default());
}

#[test]
fn the_printed_file_names_every_key_and_no_other() {
    let keys_of = |table: &toml::Table| {
        let mut keys = Vec::new();
        collect_keys("", table, &mut keys);
        keys.sort();
        keys
    };
    let file: toml::Table = DEFAULT_FILE.parse().unwrap();
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    assert_eq!(keys_of(&file), keys_of(&defaults));
}

fn collect_keys(path: &str, table: &toml::Table, keys: &mut Vec<String>) {
    for (name, value) in table {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            toml::Value::Table(below) => collect_keys(&key, below, keys),
            _ => keys.push(key),
        }
    }
}

#[test]
fn every_key_of_the_printed_file_has_a_comment_above_its_group() {
    let mut commented = false;
    for line in DEFAULT_FILE.lines() {
        match line {
            "" => commented = false,
            _ if line.starts_with('#') => commented = true,
            // Sections whose keys are explained one by one.
            _ if line.starts_with('[') => commented = true,
            _ => assert!(commented, "{line}"),
        }
    }
}

#[test]
fn the_sample_of_the_design_is_accepted() {
    let text = r#"
        profile = "emqx4"
        data_dir = "data"
        shards = 0
        durability = "memory"
        [lwm2m]
        lifetime_min = "1s"
        lifetime_max = "864000s"
        lifetime_policy = ""
        qmode_time_window = "22s"
        auto_observe = false
        update_msg_publish_condition = ""
        mountpoint = "lwm2m/%e/"
        xml_dir = "etc/lwm2m_xml"
        xml_poll = "1s"
        builtin_objects = true
        unknown_objects = "raw"
        report = "all"
        command_timeout = "120s"
        expiry_grace = "30s"
        rearm = true
        nosec_rebind = "accept"
        max_in_flight = 1
        command_payload_max = 65536
        accept_versions = ["1"]
        stale_notifications = "publish"
        firmware_notify = "profile"
        [lwm2m.topics]
        command = "dn/#"
        response = "up/resp"
        notify = "up/notify"
        register = "up/resp"
        update = "up/resp"
        [listeners.default]
        type = "udp"
        bind = "0.0.0.0:5683"
        [mqtt]
        mode = "embedded"
        protocol = "5"
        [mqtt.embedded]
        bind = "127.0.0.1:1883"
        [mqtt.external]
        url = "mqtt://127.0.0.1:1883"
        client_id = ""
        username = ""
        password = ""
        [http]
        enabled = true
        bind = "127.0.0.1:8080"
    "#;
    assert_eq!(load_text(text).unwrap().config, Config::default());
}

#[test]
fn flags_win_over_environment_over_overrides_over_file_over_defaults() {
    let scratch = Scratch::new();
    let data_dir = scratch.0.display().to_string();
    let file = scratch.file(
        "gateway.toml",
        &format!(
            "data_dir = {data_dir:?}\nshards = 1\n[lwm2m]\nlifetime_min = 1\nlifetime_max = 101\n\
             command_timeout = 101\n"
        ),
    );
    scratch.file(
        "overrides.toml",
        "[lwm2m]\nlifetime_max = 102\ncommand_timeout = 102\nexpiry_grace = 102\n",
    );
    let sources = Sources {
        file: Some(file),
        environment: environment(&[
            ("LWM2M_GATEWAY__LWM2M__EXPIRY_GRACE", "103s"),
            ("LWM2M_GATEWAY__LWM2M__COMMAND_TIMEOUT", "103"),
            ("LWM2M_GATEWAY__SHARDS", "3"),
            ("LWM2M_GATEWAY_CONFIG", "not ours"),
            ("PATH", "/bin"),
        ]),
        flags: vec![("--shards", "shards", "4".to_owned())],
    };
    let loaded = load(&sources).unwrap();
    let lwm2m = &loaded.config.lwm2m;
    for (key, value, expected, origin) in [
        ("lwm2m.qmode_time_window", lwm2m.qmode_time_window, 22, "default"),
        ("lwm2m.lifetime_min", lwm2m.lifetime_min, 1, "gateway.toml:4"),
        ("lwm2m.lifetime_max", lwm2m.lifetime_max, 102, "overrides.toml:2"),
        (
            "lwm2m.expiry_grace",
            lwm2m.expiry_grace,
            103,
            "environment LWM2M_GATEWAY__LWM2M__EXPIRY_GRACE",
        ),
        (
            "lwm2m.command_timeout",
            lwm2m.command_timeout,
            103,
            "environment LWM2M_GATEWAY__LWM2M__COMMAND_TIMEOUT",
        ),
    ] {
        assert_eq!(value, Period::seconds(expected), "{key}");
        assert_eq!(in_scratch(&loaded.origin(key).to_string(), &scratch), origin, "{key}");
    }
    assert_eq!(loaded.config.shards, 4);
    assert_eq!(loaded.origin("shards").to_string(), "flag --shards");
}

#[test]
fn overrides_lie_in_the_data_dir_that_wins() {
    let scratch = Scratch::new();
    scratch.file("overrides.toml", "[lwm2m]\nlifetime_max = 7\n");
    let data_dir = scratch.0.display().to_string();
    let sources = Sources {
        environment: environment(&[("LWM2M_GATEWAY__DATA_DIR", "/nonexistent")]),
        flags: vec![("--data-dir", "data_dir", data_dir)],
        ..Sources::default()
    };
    assert_eq!(load(&sources).unwrap().config.lwm2m.lifetime_max, Period::seconds(7));
    scratch.file("overrides.toml", "data_dir = \"elsewhere\"\n");
    let error = load(&sources).map(|loaded| loaded.config).unwrap_err().to_string();
    assert!(error.contains("overrides.toml:1: data_dir: cannot be changed from inside"), "{error}");
}

#[test]
fn the_environment_reaches_every_kind_of_value() {
    let variables = [
        ("LWM2M_GATEWAY__PROFILE", "emqx5"),
        ("LWM2M_GATEWAY__HTTP__ENABLED", "false"),
        ("LWM2M_GATEWAY__COAP__ACK_RANDOM_FACTOR", "2"),
        ("LWM2M_GATEWAY__LWM2M__QUEUE__BYTES", "128KB"),
        ("LWM2M_GATEWAY__LWM2M__ACCEPT_VERSIONS", "1.0, 1.1"),
        ("LWM2M_GATEWAY__MQTT__RESPONSE_TOPIC_PREFIXES", "[\"a/\", \"b/\"]"),
        ("LWM2M_GATEWAY__LWM2M__TOPICS__NOTIFY", "{ topic = \"n\", qos = 1, retain = true }"),
        ("LWM2M_GATEWAY__LWM2M__TOPICS__UPDATE", "u"),
        ("LWM2M_GATEWAY__LISTENERS__V6__BIND", "[::]:5683"),
        ("LWM2M_GATEWAY__MQTT__EXTERNAL__USERNAME", "true"),
        ("LWM2M_GATEWAY__MQTT__EXTERNAL__PASSWORD", "[\"secret\"]"),
    ];
    let sources = Sources { environment: environment(&variables), ..Sources::default() };
    let config = load(&sources).unwrap().config;
    assert_eq!(config.profile, Profile::Emqx5);
    assert!(!config.http.enabled);
    assert_eq!(config.coap.ack_random_factor, 2.0);
    assert_eq!(config.lwm2m.queue.bytes, Size::kilobytes(128));
    assert_eq!(config.lwm2m.accept_versions, ["1.0", "1.1"]);
    assert_eq!(config.mqtt.response_topic_prefixes, ["a/", "b/"]);
    let notify = Topic { topic: "n".to_owned(), qos: Some(1), retain: true };
    assert_eq!(config.lwm2m.topics.notify, notify);
    assert_eq!(config.lwm2m.topics.update, Topic::new("u"));
    let listeners: Vec<_> = config.listeners.iter().collect();
    assert!(
        matches!(&listeners[..], [(name, listener)] if *name == "v6"
            && listener.bind == "[::]:5683".parse().unwrap()),
        "{listeners:?}"
    );
    assert_eq!(config.mqtt.external.username, "true");
    assert_eq!(config.mqtt.external.password.reveal(), "[\"secret\"]");
}

#[test]
fn a_setting_without_effect_is_said_to_whoever_sets_it() {
    assert_eq!(load_text("").unwrap().warnings, []);
    for (mode, other) in [("embedded", "external"), ("external", "embedded")] {
        let text = format!("[mqtt]\nmode = \"{mode}\"\n[mqtt.embedded]\n[mqtt.external]\n");
        let warnings = load_text(&text).unwrap().warnings;
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        let expected = format!("mqtt.{other}: has no effect, because mqtt.mode is \"{mode}\"");
        assert!(warning.to_string().ends_with(&expected), "{warning}");
    }
}

#[test]
fn auto_observe_is_a_truth_value_a_list_or_a_text_of_emqx() {
    let paths = AutoObserve::Paths(vec!["/3/0".to_owned(), "/1/0".to_owned()]);
    for (text, expected) in [
        ("true", AutoObserve::All),
        ("false", AutoObserve::Off),
        ("\"on\"", AutoObserve::All),
        ("\"off\"", AutoObserve::Off),
        ("[\"/3/0\", \"/1/0\"]", paths.clone()),
        ("\"/3/0, /1/0\"", paths.clone()),
        ("[]", AutoObserve::Paths(Vec::new())),
    ] {
        let config = load_text(&format!("[lwm2m]\nauto_observe = {text}")).unwrap().config;
        assert_eq!(config.lwm2m.auto_observe, expected, "{text}");
    }
}

#[test]
fn show_says_value_and_origin_and_no_secret() {
    let scratch = Scratch::new();
    let file = scratch.file(
        "gateway.toml",
        "[mqtt.external]\nusername = \"u\"\npassword = \"hunter2\"\n[lwm2m.topics]\n\
         notify = { topic = \"n\", qos = 1 }\n",
    );
    let sources = Sources {
        file: Some(file),
        flags: vec![("--profile", "profile", "emqx5".to_owned())],
        ..Sources::default()
    };
    let shown = in_scratch(&show(&load(&sources).unwrap()), &scratch);
    let squeezed: Vec<_> =
        shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "profile = \"emqx5\" # flag --profile",
        "[lwm2m]",
        "lifetime_max = \"864000s\" # default",
        "[mqtt.external]",
        "username = \"u\" # gateway.toml:2",
        "password = \"<redacted>\" # gateway.toml:3",
        "token = \"\" # default",
        "[lwm2m.topics.notify]",
        "qos = 1 # gateway.toml:5",
        "[listeners.default]",
    ] {
        assert!(squeezed.iter().any(|have| have == line), "{line} is not in\n{shown}");
    }
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(load_text(&shown).is_ok(), "{shown}");
}

#[test]
fn spans_of_time_are_read_with_their_unit() {
    for (text, millis) in [
        ("500ms", 500),
        ("30s", 30_000),
        ("30", 30_000),
        ("1.5s", 1_500),
        ("5m", 300_000),
        ("5min", 300_000),
        ("1h", 3_600_000),
        ("7d", 604_800_000),
        (" 2 s ", 2_000),
        ("0", 0),
        ("4294967295", 4_294_967_295_000),
    ] {
        assert_eq!(Period::parse(text), Some(Period::millis(millis)), "{text:?}");
    }
    for text in ["", "s", "-1s", "1w", "1s2", "1e9s", "4294967296", "99999999999d", "1..2s", "NaN"]
    {
        assert_eq!(Period::parse(text), None, "{text:?}");
    }
    assert_eq!(Period::millis(1_500).to_string(), "1500ms");
    assert_eq!(Period::seconds(90).to_string(), "90s");
}

#[test]
fn sizes_are_read_with_their_unit() {
    for (text, bytes) in [
        ("0", 0),
        ("100", 100),
        ("100B", 100),
        ("64KB", 65_536),
        ("64 kb", 65_536),
        ("64KiB", 65_536),
        ("1MB", 1 << 20),
        ("2g", 2 << 30),
        ("1024GB", 1 << 40),
    ] {
        assert_eq!(Size::parse(text), Some(Size::bytes(bytes)), "{text:?}");
    }
    for text in ["", "KB", "-1", "1.5MB", "1TB", "1025GB", "99999999999999999999", "1 2"] {
        assert_eq!(Size::parse(text), None, "{text:?}");
    }
    for (size, text) in [(0, "0"), (1000, "1000"), (1024, "1KB"), (3 << 20, "3MB"), (1025, "1025")]
    {
        assert_eq!(Size::bytes(size).to_string(), text);
    }
}

#[test]
fn a_broker_address_is_host_and_port() {
    let load_url = |url: &str| load_text(&format!("[mqtt.external]\nurl = {url:?}")).is_ok();
    for url in
        ["mqtt://broker", "mqtt://broker:1883", "mqtts://10.0.0.1:8883/", "mqtt://[::1]:1883"]
    {
        assert!(load_url(url), "{url}");
    }
    for url in ["", "broker:1883", "mqtt://", "mqtt://:1883", "mqtt://b:0", "mqtt://b:x", "ws://b"]
    {
        assert!(!load_url(url), "{url}");
    }
}

#[test]
fn shards_are_as_set_or_one_per_core() {
    let config = |shards| Config { shards, ..Config::default() };
    assert_eq!(config(3).shard_count(), 3);
    assert!((1..=SHARDS_MAX).contains(&config(0).shard_count()));
}

#[test]
fn life_cycle_events_have_one_topic_or_one_each() {
    use super::LifecycleTopics;
    let topics = |text: &str| load_text(text).unwrap().config.lwm2m.topics.lifecycle;
    assert_eq!(topics(""), LifecycleTopics::default());
    assert_eq!(topics("lwm2m.topics.lifecycle = \"life\""), LifecycleTopics::all("life"));
    let one = topics("lwm2m.topics.lifecycle = { topic = \"life\", qos = 1 }");
    assert_eq!((one.common.topic.as_str(), one.common.qos), ("life", Some(1)));
    let several = topics(
        "[lwm2m.topics.lifecycle]\ncommon = \"life\"\nlate = \"\"\n\
         expired = { topic = \"alarm\", retain = true }",
    );
    assert_eq!(several.common, Topic::new("life"));
    assert_eq!(several.own("late"), Some(&Topic::new("")));
    assert!(several.own("expired").unwrap().retain);
    assert_eq!(several.own("awake"), None);
}
