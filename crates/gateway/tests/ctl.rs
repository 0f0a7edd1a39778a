//! `lwm2m-gateway ctl` with the real program on both ends, and settings that outlive it.
#![cfg(feature = "embedded-broker")]

#[path = "common/node.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod node;
#[path = "common/process.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod process;

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use node::{Node, profile};
use process::{ANY_PORTS, GatewayProcess, Scratch};

/// What a command printed, and its exit code.
struct Ran {
    code: Option<i32>,
    out: String,
    errors: String,
}

fn ctl(server: SocketAddr, arguments: &[&str]) -> Ran {
    ctl_with(server, arguments, &[])
}

fn ctl_with(server: SocketAddr, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let url = format!("http://{server}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lwm2m-gateway"));
    command.args(["ctl", "--url", &url]).args(arguments).envs(environment.iter().copied());
    let output = command.output().expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code(), out: text(output.stdout), errors: text(output.stderr) }
}

impl Ran {
    #[track_caller]
    fn printed(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.errors);
        self.out
    }

    #[track_caller]
    fn refused(self, code: i32, words: &str) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.errors);
        assert!(self.errors.contains(words) && self.out.is_empty(), "{}", self.errors);
    }
}

async fn registered(gateway: &GatewayProcess) -> Node {
    let node = Node::start("meter-1", gateway.coap, profile(|_| {})).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !node.is_registered() {
        assert!(Instant::now() < deadline, "the device does not register");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_listed_asked_and_kicked() {
    let gateway = GatewayProcess::start("");
    let node = registered(&gateway).await;
    let run = |arguments: &[&str]| ctl(gateway.http, arguments);
    assert!(run(&["status"]).printed().starts_with("lwm2m running, 1 of 1000000 devices"));
    let listed = run(&["devices", "list"]).printed();
    assert!(listed.starts_with("NAME ") && listed.contains("\nmeter-1 "), "{listed}");
    assert!(!run(&["devices", "list", "other"]).printed().contains("meter-1"));
    let rows: Json = serde_json::from_str(&run(&["devices", "list", "--json"]).printed()).unwrap();
    assert_eq!(rows[0]["endpoint_name"], "meter-1");
    assert!(run(&["devices", "show", "meter-1"]).printed().contains("\nlwm2m        1.1\n"));

    // The type of what is written is the one of the object definition.
    let counter = ["meter-1", "/3442/0/120"];
    let written = run(&[&["write"], &counter[..], &["-5"]].concat()).printed();
    assert_eq!(written, "2.04 changed\n");
    assert_eq!(run(&[&["read"], &counter[..]].concat()).printed(), "/3442/0/120  -5\n");
    let read = run(&["--json", "read", "meter-1", "/3442/0/120"]).printed();
    let read: Json = serde_json::from_str(&read).unwrap();
    assert_eq!(read["content"][0]["value"], -5);
    run(&["write", "meter-1", "/3442/0/120", "x"]).refused(1, "BAD_REQUEST");
    run(&["write", "meter-1", "/32000/0/1", "x"]).refused(2, "--type");
    run(&["read", "meter-1", "/3442/0/9999"]).refused(1, "the device answered 4.04");
    assert!(run(&["discover", "meter-1", "/3442/0"]).printed().contains("/3442/0/120"));
    assert!(run(&["observe", "meter-1", "/3442/0/120"]).printed().contains("-5"));
    assert!(run(&["devices", "show", "meter-1"]).printed().contains("observed     /3442/0/120"));
    run(&["observe", "meter-1", "/3442/0/120", "--off"]).printed();
    let command = r#"{"msgType":"read","data":{"path":"/3442/0/120"}}"#;
    assert_eq!(run(&["send", "meter-1", command]).printed(), "/3442/0/120  -5\n");
    run(&["send", "meter-1", "{"]).refused(2, "no JSON");

    node.fall_silent().await;
    run(&["read", "meter-1", "/3/0/0", "--timeout", "1"]).refused(5, "no answer");
    assert_eq!(run(&["devices", "kick", "meter-1"]).printed(), "");
    run(&["devices", "kick", "meter-1"]).refused(1, "RESOURCE_NOT_FOUND");
    run(&["read", "meter-1", "/3/0/0"]).refused(1, "CLIENT_NOT_FOUND");
}

/// A listener and limits that were set while the gateway ran are there after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn listeners_and_settings_outlive_the_process() {
    let scratch = Scratch::new();
    let mut gateway = GatewayProcess::start_in(&scratch, ANY_PORTS);
    let run = |gateway: &GatewayProcess, arguments: &[&str]| ctl(gateway.http, arguments);
    let added = run(&gateway, &["listeners", "add", "second", "127.0.0.1:0"]).printed();
    assert!(added.contains("lwm2m:udp:second"), "{added}");
    run(&gateway, &["listeners", "add", "second", "127.0.0.1:0"]).refused(1, "second");
    let url = format!("http://{}/api/v5/gateways/lwm2m", gateway.http);
    let put = ureq::put(&url).content_type("application/json");
    let put = put.send(r#"{"lifetime_max": "7200s"}"#).expect("it is changed");
    assert_eq!(put.status().as_u16(), 204);
    gateway.terminate();
    assert_eq!(gateway.exit_code(), Some(0));

    let gateway = GatewayProcess::start_in(&scratch, ANY_PORTS);
    let listed = run(&gateway, &["listeners", "list"]).printed();
    assert!(listed.contains("lwm2m:udp:second") && listed.contains("true"), "{listed}");
    let url = format!("http://{}/api/v5/gateways/lwm2m", gateway.http);
    let shown = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(shown.contains(r#""lifetime_max":"7200s""#), "{shown}");
    assert_eq!(run(&gateway, &["listeners", "remove", "second"]).printed(), "");
    run(&gateway, &["listeners", "remove", "second"]).refused(1, "RESOURCE_NOT_FOUND");
}

#[test]
fn keys_are_asked_for_and_given_by_environment() {
    let settings = "http.api_keys.ops.secret = \"hidden\"\n";
    let gateway = GatewayProcess::start(settings);
    ctl(gateway.http, &["status"]).refused(1, "AUTHORIZATION_HEADER_ERROR");
    ctl(gateway.http, &["status", "--key", "ops", "--secret", "x"]).refused(1, "BAD_API_KEY");
    ctl(gateway.http, &["status", "--key", "ops"]).refused(2, "--secret");
    let environment = [("LWM2M_GATEWAY_KEY", "ops"), ("LWM2M_GATEWAY_SECRET", "hidden")];
    ctl_with(gateway.http, &["status"], &environment).printed();
    // A change is logged once, with who made it.
    let add = ["listeners", "add", "second", "127.0.0.1:0"];
    ctl_with(gateway.http, &add, &environment).printed();
    let log = gateway.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("listeners.second")).collect();
    let [line] = lines[..] else { panic!("one line, not {lines:#?}") };
    let line: Json = serde_json::from_str(line).expect("JSON");
    assert_eq!((&line["event"], &line["by"]), (&"settings_changed".into(), &"key ops".into()));
    assert!(!log.contains("hidden"));
}

#[test]
fn a_gateway_that_is_not_there_has_its_exit_code() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    ctl(nobody, &["status"]).refused(4, "http://127.0.0.1:");
    ctl(nobody, &["stauts"]).refused(2, "stauts");
}

/// The configuration file of a service stands in the environment, and must not stand in the way.
#[test]
fn the_file_of_the_environment_is_shown_and_disturbs_nobody() {
    let scratch = Scratch::new();
    let file = scratch.write("gateway.toml", "shards = 3\n");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lwm2m-gateway"));
        let command = command.args(arguments).env("LWM2M_GATEWAY_CONFIG", &file);
        let output = command.output().expect("the program runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let (code, shown) = run(&["config", "show"]);
    assert!(code == Some(0) && shown.contains("shards = 3"), "{shown}");
    let (code, help) = run(&["ctl", "--help"]);
    assert!(code == Some(0) && help.contains("--url") && !help.contains("--shards"), "{help}");
    assert_eq!(run(&["ctl", "--url", "http://127.0.0.1:1", "status"]).0, Some(4));
}

#[test]
fn shells_get_their_completion() {
    for (shell, words) in [("bash", "complete -F"), ("zsh", "#compdef"), ("fish", "complete -c")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lwm2m-gateway"));
        let output = command.args(["completion", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains(words), "{shell}");
        assert!(script.contains("devices"), "{shell}");
    }
}
