//! What is wrong with a configuration is said by place, key, what was found and what was expected.

use super::*;

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
