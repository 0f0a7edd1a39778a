use std::fs;

use super::*;
use crate::config::{Sources, load};

/// A directory with a configuration file, gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lwm2m-change-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn load(&self, file: &str) -> Loaded {
        let path = self.0.join("gateway.toml");
        fs::write(&path, format!("data_dir = {:?}\n{file}", self.0)).unwrap();
        load(&Sources::file(path)).unwrap_or_else(|errors| panic!("{errors}"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn changed(loaded: &Loaded, changes: &str) -> Loaded {
    loaded.changed(&changes.parse().unwrap()).unwrap()
}

#[test]
fn what_is_stored_is_what_was_changed() {
    let scratch = Scratch::new("stored");
    let file = "[lwm2m.topics]\nnotify = { topic = \"up/n\", qos = 1 }\n";
    let before = scratch.load(file);
    let changes = "lwm2m.lifetime_max = \"1h\"\nlwm2m.topics.notify = { topic = \"up/m\" }\n\
                   mqtt.external.username = \"u\"\nmqtt.external.password = \"secret\"\n\
                   lwm2m.auto_observe = false";
    let after = changed(&before, changes);
    after.store(&scratch.0).unwrap();
    let read = scratch.load(file);
    assert_eq!(read.config, after.config);
    assert_eq!(read.differences(&after), Vec::<String>::new());
    let differences = [
        "lwm2m.lifetime_max",
        "lwm2m.topics.notify",
        "mqtt.external.password",
        "mqtt.external.username",
    ];
    assert_eq!(read.differences(&before), differences);
    // The table of a topic is merged like every other one.
    assert_eq!(read.config.lwm2m.topics.notify.qos, Some(1));
    let text = fs::read_to_string(scratch.0.join(OVERRIDES_FILE)).unwrap();
    assert!(!text.contains("auto_observe"), "{text}");
    let shown = read.origin("lwm2m.lifetime_max").to_string();
    assert!(shown.contains("overrides.toml:"), "{shown}");
}

#[test]
fn nobody_else_may_read_what_is_stored() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new("mode");
    changed(&scratch.load(""), "http.token = \"secret\"").store(&scratch.0).unwrap();
    let mode = fs::metadata(scratch.0.join(OVERRIDES_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!scratch.0.join("overrides.toml.new").exists());
}

#[test]
fn a_secret_that_is_no_other_is_no_change() {
    let scratch = Scratch::new("secret");
    let before = scratch.load("http.token = \"one\"");
    let same = changed(&before, "http.token = \"one\"");
    assert_eq!(same.differences(&before), Vec::<String>::new());
    let other = changed(&before, "http.token = \"two\"");
    assert_eq!(other.differences(&before), ["http.token"]);
}

#[test]
fn a_listener_is_added_to_the_built_in_one_and_both_are_removed() {
    let scratch = Scratch::new("listeners");
    let loaded = changed(&scratch.load(""), "listeners.b.bind = \"127.0.0.1:7000\"");
    let names: Vec<_> = loaded.config.listeners.keys().collect();
    assert_eq!(names, ["b", "default"]);
    let loaded = loaded.without_listener("default").unwrap();
    loaded.store(&scratch.0).unwrap();
    let names: Vec<_> = scratch.load("").config.listeners.into_keys().collect();
    assert_eq!(names, ["b"]);
    let none = loaded.without_listener("b").unwrap();
    assert!(none.config.listeners.is_empty());
    let shown: Vec<_> = none.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["default: listeners: no listener takes datagrams, so no device can be served"]
    );
    // One of that name that comes again has nothing of the former.
    let again = changed(&none, "listeners.default.mountpoint = \"x/%e/\"");
    assert_eq!(again.config.listeners["default"].mountpoint, "x/%e/");
}

#[test]
fn a_removed_listener_of_the_file_leaves_nothing_to_one_of_its_name() {
    let scratch = Scratch::new("again");
    let loaded = scratch.load("[listeners.a]\nbind = \"127.0.0.1:7001\"\nmountpoint = \"m/%e/\"\n");
    let gone = loaded.without_listener("a").unwrap();
    let again = changed(&gone, "listeners.a.bind = \"127.0.0.1:7002\"");
    assert_eq!(again.config.listeners["a"].mountpoint, "");
    let cleared = again.cleared(&["listeners.a".to_owned()]).unwrap();
    assert_eq!(cleared.config, loaded.config);
}

#[test]
fn flags_and_environment_pin_their_keys() {
    let scratch = Scratch::new("pins");
    let file = scratch.0.join("gateway.toml");
    fs::write(&file, format!("data_dir = {:?}\n", scratch.0)).unwrap();
    let environment =
        vec![("LWM2M_GATEWAY__LISTENERS__DEFAULT__BIND".into(), "127.0.0.1:7003".into())];
    let flags = vec![("--profile", "profile", "emqx5".to_owned())];
    let loaded = load(&Sources { file: Some(file), environment, flags }).unwrap();
    let changes = "profile = \"emqx4\"\nlisteners.default.bind = \"127.0.0.1:7004\"\nshards = 3";
    let Err(Unchangeable::Pinned(pinned)) = loaded.changed(&changes.parse().unwrap()) else {
        panic!("they are pinned")
    };
    let pinned: Vec<_> = pinned.iter().map(|(key, origin)| format!("{key} {origin}")).collect();
    let expected = [
        "listeners.default.bind environment LWM2M_GATEWAY__LISTENERS__DEFAULT__BIND",
        "profile flag --profile",
    ];
    assert_eq!(pinned, expected);
    assert!(matches!(loaded.without_listener("default"), Err(Unchangeable::Pinned(_))));
    // As it is, each may be named.
    let same = changed(&loaded, "profile = \"emqx5\"\nshards = 3");
    assert_eq!(same.differences(&loaded), ["shards"]);
}

#[test]
fn a_whole_configuration_may_be_sent_back() {
    let scratch = Scratch::new("whole");
    let loaded = scratch.load("lwm2m.report = \"profile\"");
    let mut whole = toml::Table::try_from(&loaded.config).unwrap();
    whole.remove("data_dir");
    let same = loaded.changed(&whole).unwrap();
    assert_eq!(same.differences(&loaded), Vec::<String>::new());
    assert!(same.layers.overrides.values.is_empty());
}

#[test]
fn a_configuration_without_a_file_keeps_its_secrets_when_it_changes() {
    let mut config = Config::default();
    config.http.token = crate::telemetry::Redacted::new("secret".to_owned());
    config.listeners.clear();
    let loaded = Loaded::of(config.clone());
    let after = changed(&loaded, "lwm2m.lifetime_max = \"1h\"");
    assert_eq!(after.config.http.token, config.http.token);
    assert!(after.config.listeners.is_empty());
    assert_eq!(after.differences(&loaded), ["lwm2m.lifetime_max"]);
}

#[test]
fn overrides_that_make_no_sense_are_refused_with_their_place() {
    let scratch = Scratch::new("bad");
    for (text, fault) in [
        ("removed_listeners = 5", "overrides.toml:1: removed_listeners: expected a list of names"),
        ("\ndata_dir = \"x\"", "overrides.toml:2: data_dir: cannot be changed from inside of"),
        ("x = [", "overrides.toml:1: "),
    ] {
        fs::write(scratch.0.join(OVERRIDES_FILE), text).unwrap();
        let path = scratch.0.join("gateway.toml");
        fs::write(&path, format!("data_dir = {:?}\n", scratch.0)).unwrap();
        let error = load(&Sources::file(path)).unwrap_err().to_string();
        assert!(error.contains(fault), "{error}");
    }
}

/// A section of that name that comes into the file later counts.
#[test]
fn a_listener_that_came_at_run_time_leaves_no_trace_when_it_is_removed() {
    let scratch = Scratch::new("trace");
    let loaded = changed(&scratch.load(""), "listeners.b.bind = \"127.0.0.1:7000\"");
    loaded.without_listener("b").unwrap().store(&scratch.0).unwrap();
    let later = scratch.load("[listeners.b]\nbind = \"127.0.0.1:7001\"\n");
    assert_eq!(later.config.listeners.into_keys().collect::<Vec<_>>(), ["b"]);
    let names: Vec<_> = scratch.load("").config.listeners.into_keys().collect();
    assert_eq!(names, ["default"]);
}
