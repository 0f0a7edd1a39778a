use super::*;
use crate::config::{LogFormat, MqttMode, Profile};

struct Ran {
    task: Task,
    out: String,
    errors: String,
}

fn run(arguments: &[&str]) -> Ran {
    run_with(arguments, &[])
}

fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let arguments = ["lwm2m-gateway"].iter().chain(arguments).map(OsString::from);
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let task = prepare(arguments, environment, &mut out, &mut errors);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { task, out: text(out), errors: text(errors) }
}

fn exit(ran: &Ran) -> Option<Exit> {
    match ran.task {
        Task::Exit(exit) => Some(exit),
        Task::Serve { .. } => None,
    }
}

#[test]
fn flags_reach_their_settings() {
    let ran = run(&[
        "--demo",
        "5",
        "--shards",
        "2",
        "--bind",
        "[::1]:0",
        "--mqtt",
        "mqtt://broker:1884",
        "--http-bind",
        "127.0.0.1:0",
        "--data-dir",
        "/tmp/none",
        "--profile",
        "emqx5",
        "--log",
        "debug",
        "--log-format",
        "json",
    ]);
    let Task::Serve { loaded, demo } = ran.task else { panic!("{}", ran.errors) };
    let config = loaded.config;
    assert_eq!((demo, config.shards, config.profile), (5, 2, Profile::Emqx5));
    assert_eq!(config.listeners["default"].bind, "[::1]:0".parse().unwrap());
    assert_eq!(config.mqtt.mode, MqttMode::External);
    assert_eq!(config.mqtt.external.url, "mqtt://broker:1884");
    assert_eq!(config.http.bind, "127.0.0.1:0".parse().unwrap());
    assert_eq!(config.data_dir, PathBuf::from("/tmp/none"));
    assert_eq!((config.log.level.as_str(), config.log.format), ("debug", LogFormat::Json));
}

#[test]
fn unusable_command_lines_end_with_2() {
    for arguments in [
        &["--shards", "x"][..],
        &["--bind", "5683"],
        &["--mqtt", "tcp://x"],
        &["--mqtt", "mqtt://x", "--mqtt-bind", "127.0.0.1:0"],
        &["--demo", "100001"],
        &["--nonsense"],
        &["config"],
        &["config", "check", "/nonexistent"],
        &["--config", "/nonexistent"],
        &["config", "show", "--profile", "emqx6"],
    ] {
        let ran = run(arguments);
        assert_eq!(exit(&ran), Some(Exit::Configuration), "{arguments:?} {}", ran.errors);
        assert!(!ran.errors.is_empty() && ran.out.is_empty(), "{arguments:?}");
    }
    let ran = run(&["--shards", "x"]);
    let expected = "error: flag --shards: shards: found string \"x\", expected a whole number";
    assert!(ran.errors.starts_with(expected), "{}", ran.errors);
}

#[test]
fn the_default_file_is_printed_as_it_is_kept() {
    let ran = run(&["config", "default"]);
    assert_eq!((exit(&ran), ran.out.as_str()), (Some(Exit::Clean), DEFAULT_FILE));
}

#[test]
fn import_prints_a_file_and_says_what_has_no_counterpart() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/src/import/samples/emqx_lwm2m.conf");
    let ran = run(&["config", "import", sample]);
    assert_eq!(exit(&ran), Some(Exit::Clean), "{}", ran.errors);
    assert!(config::judge(Path::new("out.toml"), &ran.out).is_ok(), "{}", ran.out);
    let note = format!("{sample}: line 8: lwm2m.bind.dtls.1: DTLS is not available");
    assert!(ran.errors.contains(&note), "{}", ran.errors);
    let ran = run(&["config", "import", "/nonexistent"]);
    assert_eq!((exit(&ran), ran.out.as_str()), (Some(Exit::Configuration), ""));
    assert!(ran.errors.starts_with("error: /nonexistent:1: cannot be read"), "{}", ran.errors);
}

#[test]
fn show_takes_flags_and_environment() {
    let environment = [("LWM2M_GATEWAY__LWM2M__REPORT", "profile")];
    let ran = run_with(&["config", "show", "--shards", "3"], &environment);
    assert_eq!(exit(&ran), Some(Exit::Clean), "{}", ran.errors);
    assert!(ran.out.contains("# flag --shards"), "{}", ran.out);
    assert!(ran.out.contains("# environment LWM2M_GATEWAY__LWM2M__REPORT"), "{}", ran.out);
}

#[test]
fn help_and_version_are_no_failure() {
    for flag in ["--help", "--version"] {
        let ran = run(&[flag]);
        assert_eq!(exit(&ran), Some(Exit::Clean));
        assert!(!ran.out.is_empty() && ran.errors.is_empty());
    }
    assert_eq!(
        run(&["--version"]).out.trim(),
        concat!("lwm2m-gateway ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let help = run(&["--help"]).out;
    let exits = [
        Exit::Clean,
        Exit::Failure,
        Exit::Configuration,
        Exit::EventsLeft,
        Exit::Unreachable,
        Exit::NoAnswer,
    ];
    for exit in exits {
        assert!(help.contains(&format!("{} ", exit.code())), "{help}");
    }
}

/// What a help page says of options, one name a line.
fn options(help: &str) -> Vec<String> {
    let lines = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
    let short = help.lines().filter_map(|line| line.trim_start().split_once(", --"));
    let names = lines.chain(short.map(|(_, name)| name));
    names.filter_map(|name| name.split([' ', ',']).next()).map(str::to_owned).collect()
}

const OF_A_START: [&str; 10] = [
    "shards",
    "bind",
    "mqtt",
    "mqtt-bind",
    "http-bind",
    "data-dir",
    "profile",
    "log",
    "log-format",
    "demo",
];

#[test]
fn a_help_page_lists_the_options_that_its_command_takes() {
    let with_settings = [&["--help"][..], &["config", "show", "--help"]];
    for arguments in with_settings {
        let options = options(&run(arguments).out);
        for option in OF_A_START.iter().filter(|option| **option != "demo") {
            assert!(options.iter().any(|known| known == option), "{arguments:?}: {option}");
        }
    }
    for arguments in [
        &["ctl", "--help"][..],
        &["ctl", "devices", "list", "--help"],
        &["config", "--help"],
        &["config", "default", "--help"],
        &["config", "check", "--help"],
        &["config", "import", "--help"],
        &["completion", "--help"],
    ] {
        let ran = run(arguments);
        assert_eq!(exit(&ran), Some(Exit::Clean), "{arguments:?}");
        let options = options(&ran.out);
        let foreign = options.iter().find(|option| OF_A_START.contains(&option.as_str()));
        assert_eq!(foreign, None, "{arguments:?}");
        let has_url = options.iter().any(|option| option == "url");
        assert_eq!(has_url, arguments[0] == "ctl", "{arguments:?}");
    }
}

#[test]
fn options_of_a_start_are_refused_where_they_would_do_nothing() {
    for arguments in [
        &["--shards", "2", "config", "show"][..],
        &["--demo", "1", "ctl", "status"],
        &["config", "check", "gateway.toml", "--profile", "emqx5"],
        &["config", "default", "--shards", "2"],
        &["ctl", "status", "--bind", "127.0.0.1:0"],
    ] {
        let ran = run(arguments);
        assert_eq!(exit(&ran), Some(Exit::Configuration), "{arguments:?} {}", ran.errors);
    }
}
