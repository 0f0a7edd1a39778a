//! Configurations of EMQX, imported: a device is served under the topics that they name.

use std::net::SocketAddr;
use std::path::Path;

use gateway::config::{self, Config, Profile};
use gateway::import::import_file;
use serde_json::{Value as Json, json};

use crate::bench::{Device, Gateway, LINKS, unique_name};

/// What `config import` makes of a sample, on free ports.
fn imported(sample: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/samples").join(sample);
    let imported = import_file(&path).expect("the sample is imported");
    let loaded = config::judge(Path::new("imported.toml"), &imported.toml).expect("it is valid");
    let mut config = loaded.config;
    for listener in config.listeners.values_mut() {
        listener.bind = SocketAddr::from(([127, 0, 0, 1], 0));
        // The samples' networks are not those of this machine.
        listener.access_rules = config::AccessRules::default();
    }
    config
}

fn start(profile: Profile, sample: &str, name: &str) -> Gateway {
    let imported = imported(sample);
    assert_eq!(imported.profile, profile);
    Gateway::start_with(profile, name, |config| {
        config.lwm2m = imported.lwm2m;
        config.coap = imported.coap;
        config.listeners = imported.listeners;
    })
}

/// Plays a life of a device below `prefix` and its registrations on `register`.
fn serve(device: &mut Device<'_>, prefix: &str, register: &str, update: &str) {
    device.prefix = format!("{prefix}{}/", device.name);
    device.register(&[], LINKS);
    let published = device.published();
    assert_eq!(
        (published.topic.as_str(), &published.json["msgType"]),
        (register, &json!("register"))
    );
    let command = json!({"reqID": 1, "msgType": "read", "data": {"path": "/3/0/0"}});
    device.answer(&device.command(&command), "2.05 text EMQ");
    let data = json!({"reqPath": "/3/0/0", "code": "2.05", "codeMsg": "content",
                      "content": [{"path": "/3/0/0", "value": "EMQ"}]});
    device.expect("up/resp", &json!({"reqID": 1, "msgType": "read", "data": data}));
    device.update(&[], LINKS);
    let published = device.published();
    assert_eq!((published.topic.as_str(), kind(&published.json)), (update, "update"));
}

fn kind(json: &Json) -> &str {
    json["msgType"].as_str().unwrap_or_default()
}

#[test]
fn a_file_of_emqx_4_serves_a_device_under_its_topics() {
    let gateway = start(Profile::Emqx4, "emqx_lwm2m.conf", "imported-4");
    let mut device = gateway.device(&unique_name());
    serve(&mut device, "plant/", "up/register", "up/update");
    let refused = device.request(crate::coap::POST, "/rd");
    let queries = ["ep=long", "lt=86401", "lwm2m=1.1"];
    assert_eq!(device.ask(&refused.queries(&queries)).shown(), "4.00", "lifetime_max is obeyed");
}

#[test]
fn a_file_of_emqx_5_serves_a_device_under_its_topics() {
    let gateway = start(Profile::Emqx5, "emqx5.conf", "imported-5");
    let mut device = gateway.device(&unique_name());
    serve(&mut device, "plant/", "up/register", "up/register");
    let mut annexed = gateway.device_at(1, &unique_name());
    serve(&mut annexed, "annex/", "up/register", "up/register");
}
