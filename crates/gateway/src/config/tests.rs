use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

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

/// File, the message it must give: place, key, what was found, what was expected.
const FAULTS: &[(&str, &str)] = &[
    (
        "profil = \"emqx4\"",
        "gateway.toml:1: profil: unknown key (did you mean `profile`?), expected one of: enable, \
         profile, data_dir, shards, durability, lwm2m, coap, listeners, inbox, outbox, mqtt, http, \
         log",
    ),
    (
        "[lwm2m]\n\nlifetime_mx = 5",
        "gateway.toml:3: lwm2m.lifetime_mx: unknown key (did you mean `lifetime_max`?), expected \
         one of: lifetime_min, ",
    ),
    (
        "[lwm2m.topics]\nanswer = \"x\"",
        "gateway.toml:2: lwm2m.topics.answer: unknown key, expected one of: command, response, ",
    ),
    (
        "[listeners.a]\nport = 5683",
        "gateway.toml:2: listeners.a.port: unknown key, expected one of: enable, type, bind, ",
    ),
    (
        "[listeners.a]\naccess_rules = [\"allow all\", \"permit all\"]",
        "gateway.toml:2: listeners.a.access_rules: found string \"permit all\", expected a rule such \
         as \"allow 10.0.0.0/8\" or \"deny all\"",
    ),
    (
        "[listeners.a]\nproxy_protocol = true",
        "gateway.toml:2: listeners.a.proxy_protocol: is not available for UDP: ",
    ),
    (
        "[listeners.a]\nmax_connections = 0",
        "gateway.toml:2: listeners.a.max_connections: expected more than 0",
    ),
    (
        "profile = \"emqx6\"",
        "gateway.toml:1: profile: found string \"emqx6\", expected \"emqx4\" or \"emqx5\"",
    ),
    ("profile = 4", "gateway.toml:1: profile: found integer `4`, expected \"emqx4\" or \"emqx5\""),
    (
        "[lwm2m]\nlifetime_max = \"10 parsecs\"",
        "gateway.toml:2: lwm2m.lifetime_max: found string \"10 parsecs\", expected a span of time \
         such as \"500ms\", \"30s\", \"5m\", \"1h\", \"7d\", or a number of seconds",
    ),
    ("[lwm2m]\nlifetime_max = -1", "lwm2m.lifetime_max: found integer `-1`, expected a span of"),
    ("[lwm2m]\nlifetime_max = true", "lwm2m.lifetime_max: found boolean `true`, expected a span"),
    (
        "[lwm2m.queue]\nbytes = \"64 kg\"",
        "gateway.toml:2: lwm2m.queue.bytes: found string \"64 kg\", expected a size such as",
    ),
    (
        "shards = -1",
        "gateway.toml:1: shards: found integer `-1`, expected a whole number from 0 to 65535",
    ),
    ("shards = \"two\"", "shards: found string \"two\", expected a whole number from 0 to 65535"),
    ("shards = 257", "gateway.toml:1: shards: expected at most 256, or 0 for one per core"),
    (
        "[http]\nbind = \"localhost\"",
        "gateway.toml:2: http.bind: found string \"localhost\", expected an IP address and a port",
    ),
    ("[http]\nenabled = \"yes\"", "http.enabled: found string \"yes\", expected true or false"),
    ("mqtt = 5", "gateway.toml:1: mqtt: found integer `5`, expected a section"),
    (
        "[lwm2m]\naccept_versions = \"1\"",
        "lwm2m.accept_versions: found string \"1\", expected a list such as",
    ),
    (
        "[lwm2m]\naccept_versions = [\"1.x\"]",
        "lwm2m.accept_versions: found \"1.x\", expected a version such as \"1\" or \"1.1\"",
    ),
    (
        "[lwm2m]\nauto_observe = \"yes\"",
        "lwm2m.auto_observe: found string \"yes\", expected true, false, or a list of paths",
    ),
    (
        "[lwm2m]\nauto_observe = [\"/3/0\", \"3/0/9\"]",
        "gateway.toml:2: lwm2m.auto_observe: found \"3/0/9\", expected a path such as \"/3/0\"",
    ),
    (
        "[lwm2m]\nauto_observe = \"/3/0, /x\"",
        "lwm2m.auto_observe: found \"/x\", expected a path such as \"/3/0\"",
    ),
    ("[lwm2m]\nauto_observe = [\"/\"]", "lwm2m.auto_observe: found \"/\", expected a path"),
    (
        "durability = \"journal\"",
        "gateway.toml:1: durability: \"journal\" is not available in this version; expected \
         \"memory\"",
    ),
    (
        "[listeners.secure]\ntype = \"dtls\"\nbind = \"0.0.0.0:5684\"",
        "gateway.toml:2: listeners.secure.type: \"dtls\" is not available in this version",
    ),
    (
        "[listeners.a]\nbind = \"[::]:5683\"\n[listeners.b]\nbind = \"[::]:5683\"",
        "gateway.toml:4: listeners.b.bind: [::]:5683 is taken by listeners.a.bind",
    ),
    (
        "[listeners.\"a b\"]",
        "gateway.toml:1: listeners.a b: a listener's name has only a to z, 0 to 9, _ and -",
    ),
    (
        "[lwm2m]\nlifetime_min = \"2h\"\nlifetime_max = \"1h\"",
        "gateway.toml:2: lwm2m.lifetime_min: 7200s is above lwm2m.lifetime_max = 3600s",
    ),
    ("[lwm2m]\nlifetime_min = \"1500ms\"", "lwm2m.lifetime_min: expected whole seconds"),
    (
        "[http]\nbind = \"0.0.0.0:8080\"",
        "http.token: or a key in http.api_keys is needed because http.bind = 0.0.0.0:8080 is not a loopback address",
    ),
    ("[mqtt.external]\nurl = \"tcp://x\"", "mqtt.external.url: expected \"mqtt://host:port\""),
    ("[mqtt.external]\nurl = \"mqtt://u:p@x\"", "mqtt.external.url: expected \"mqtt://host:port\""),
    ("[mqtt.external]\npassword = \"x\"", "mqtt.external.password: needs mqtt.external.username"),
    ("[mqtt.embedded]\npacket_max = \"1GB\"", "mqtt.embedded.packet_max: expected at most 256MB"),
    ("[coap]\nblock_size_max = 1000", "coap.block_size_max: found 1000, expected 16, 32, 64, 128"),
    ("[coap]\nack_random_factor = 0.5", "coap.ack_random_factor: expected a number from 1.0"),
    ("[coap.transfers]\nbytes = \"1KB\"", "coap.transfers.bytes: is below coap.body_max = 64KB"),
    ("[outbox]\nentries = 0", "gateway.toml:2: outbox.entries: expected more than 0"),
    ("[log]\nlevel = \"loud\"", "gateway.toml:2: log.level: found \"loud\"; expected error, warn"),
    (
        "[lwm2m.topics]\nnotify = { topic = \"up/notify\", qos = 2 }",
        "gateway.toml:2: lwm2m.topics.notify: expected qos 0 or 1",
    ),
    (
        "[lwm2m]\nmountpoint = \"lwm2m/\"",
        "gateway.toml:2: lwm2m.mountpoint: topics.command = \"lwm2m/dn/#\": mountpoint and command \
         topic need the endpoint name",
    ),
    (
        "[lwm2m.topics]\nresponse = \"dn/resp\"",
        "gateway.toml:2: lwm2m.topics.response: topics.response = \"lwm2m/%e/dn/resp\" may be \
         a command topic (\"lwm2m/%e/dn/#\")",
    ),
    (
        "[lwm2m.topics]\nnotify = \"up/+\"",
        "gateway.toml:2: lwm2m.topics.notify: topics.notify = \"lwm2m/%e/up/+\": + and # are for",
    ),
    (
        "[listeners.a]\nmountpoint = \"plant/\"",
        "gateway.toml:2: listeners.a.mountpoint: topics.command = \"plant/dn/#\": mountpoint and",
    ),
    ("[lwm2m]\ncommand_payload_max = 1", "lwm2m.command_payload_max: command_payload_max = 1: a"),
    ("[lwm2m.topics]\nnotify = { qos = 1 }", "lwm2m.topics.notify: `topic` is missing"),
    (
        "[lwm2m.topics]\nnotify = { topic = \"x\", ros = 1 }",
        "lwm2m.topics.notify.ros: unknown key (did you mean `qos`?)",
    ),
    ("[lwm2m\n", "gateway.toml:1: "),
    ("shards = 1\nshards = 2", "gateway.toml:2: "),
    ("x = 99999999999999999999", "gateway.toml:1: x: `99999999999999999999` does not fit"),
];

#[test]
fn a_fault_names_place_key_and_what_was_expected() {
    for (text, expected) in FAULTS {
        let error = load_text(text).map(|loaded| loaded.config).unwrap_err();
        assert!(error.contains(expected), "{text}\n gave {error}\n not  {expected}");
    }
}

#[test]
fn every_broken_rule_is_named_at_once() {
    let error = load_text("shards = 999\ndurability = \"journal\"\n[http]\nmax_connections = 0");
    let error = error.map(|loaded| loaded.config).unwrap_err();
    assert_eq!(error.lines().count(), 3, "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let sources = Sources::file(PathBuf::from("/nonexistent/gateway.toml"));
    let error = load(&sources).map(|loaded| loaded.config).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/gateway.toml:1: cannot be read: "), "{error}");
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
fn faults_of_the_environment_name_the_variable() {
    for (name, value, expected) in [
        ("LWM2M_GATEWAY__SHARDS", "many", "shards: found string \"many\", expected a whole number"),
        ("LWM2M_GATEWAY__SHARD", "2", "shard: unknown key (did you mean `shards`?)"),
        ("LWM2M_GATEWAY__HTTP__ENABLED", "1", "http.enabled: found string \"1\", expected true or"),
        ("LWM2M_GATEWAY__MQTT", "x", "mqtt: found string \"x\", expected a section"),
    ] {
        let sources = Sources { environment: environment(&[(name, value)]), ..Sources::default() };
        let error = load(&sources).map(|loaded| loaded.config).unwrap_err().to_string();
        assert!(error.starts_with(&format!("environment {name}: {expected}")), "{error}");
    }
}

#[test]
fn a_secret_of_the_wrong_type_is_not_quoted() {
    let error = load_text("[http]\ntoken = 12345678").map(|loaded| loaded.config).unwrap_err();
    assert_eq!(error, "gateway.toml:2: http.token: expected a string");
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
