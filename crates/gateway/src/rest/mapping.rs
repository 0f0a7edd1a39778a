//! EMQX 5's names and forms of the configuration, and ours: `gateway.lwm2m` of section 1.2 of the
//! contract against `[lwm2m]`, `[coap]` and `[listeners.NAME]`.
//!
//! Whether a value makes sense is judged where files are judged, in [`crate::config`]; here it is
//! only brought into the form it has there.

use bridge::Qos;
use serde::Serialize;
use serde_json::{Map, Number, Value, json};
use toml::Table;

use crate::http::ApiError;

/// Members that are shown and cannot be set, and those of EMQX that mean nothing here: a program
/// that writes back what it read, or what it used to write, is no error.
const PASSED_OVER: [&str; 8] = [
    "name",
    "status",
    "created_at",
    "started_at",
    "stopped_at",
    "needs_restart",
    "enable_stats",
    "idle_timeout",
];

/// The same of a listener. `active_n` and `buffer` are about EMQX's own processes; devices are
/// authenticated by the gateway's own rules.
const PASSED_OVER_OF_LISTENERS: [&str; 7] =
    ["id", "name", "type", "running", "status", "node_status", "enable_authn"];

/// From EMQX's names below `udp_options` to ours; `None` for what means nothing here.
const UDP_OPTIONS: [(&str, Option<&str>); 5] = [
    ("recbuf", Some("recv_buffer")),
    ("sndbuf", Some("send_buffer")),
    ("reuseaddr", Some("reuse_address")),
    ("buffer", None),
    ("active_n", None),
];

/// Reads the body of a change: it as the configuration file would have it.
pub(super) fn changes(body: Map<String, Value>) -> Result<Table, ApiError> {
    let mut changes = Table::new();
    let mut lwm2m = Table::new();
    for (key, value) in body {
        match (key.as_str(), value) {
            (key, _) if PASSED_OVER.contains(&key) => {}
            ("enable", Value::Bool(enabled)) => {
                changes.insert(key, enabled.into());
            }
            ("enable", _) => return Err(ApiError::bad_request("enable: expected true or false")),
            ("translators", value) => {
                lwm2m.insert("topics".to_owned(), topics(value)?.into());
            }
            ("listeners", value) => {
                changes.insert("listeners".to_owned(), listeners(value)?.into());
            }
            ("blockwise", value) => {
                changes.insert("coap".to_owned(), blockwise(value)?.into());
            }
            ("auto_observe", Value::String(text)) => {
                lwm2m.insert(key, auto_observe(&text));
            }
            // EMQX's names for keys that stand elsewhere here would be found unknown by it.
            ("topics", _) => return Err(unknown("topics")),
            (_, value) => {
                let value = to_toml(&key, value)?;
                lwm2m.insert(key, value);
            }
        }
    }
    if !lwm2m.is_empty() {
        changes.insert("lwm2m".to_owned(), lwm2m.into());
    }
    Ok(changes)
}

/// Reads the body of a listener: what stands below `[listeners.NAME]`.
pub(super) fn listener(body: Map<String, Value>) -> Result<Table, ApiError> {
    let mut keys = Table::new();
    for (key, value) in body {
        match (key.as_str(), value) {
            ("type", value) => {
                keys.insert(key.clone(), to_toml(&key, value)?);
            }
            (key, _) if PASSED_OVER_OF_LISTENERS.contains(&key) => {}
            ("bind", value) => {
                keys.insert(key, bind(value)?);
            }
            // EMQX writes a rate with its unit.
            ("max_conn_rate", Value::String(text)) => {
                let rate = text.strip_suffix("/s").unwrap_or(&text);
                let rate = rate.parse().map(i64::into);
                keys.insert(key, rate.unwrap_or_else(|_| text.into()));
            }
            ("udp_options", value) => udp_options(value, &mut keys)?,
            (_, value) => {
                let value = to_toml(&key, value)?;
                keys.insert(key, value);
            }
        }
    }
    Ok(keys)
}

/// A section of the configuration as JSON.
pub(super) fn section(section: &impl Serialize) -> Map<String, Value> {
    // Serialising plain data of our own cannot fail.
    let table = Table::try_from(section).unwrap_or_default();
    table.into_iter().map(|(key, value)| (key, to_json(value))).collect()
}

/// Takes the topics out of `lwm2m` and gives them EMQX's form: each with its QoS.
pub(super) fn translators(lwm2m: &mut Map<String, Value>, usual: Qos) -> Map<String, Value> {
    let topics = match lwm2m.remove("topics") {
        Some(Value::Object(topics)) => topics,
        _ => Map::new(),
    };
    let usual = match usual {
        Qos::AtMostOnce => 0,
        Qos::AtLeastOnce => 1,
        Qos::ExactlyOnce => 2,
    };
    let translator = |value: Value| match value {
        Value::Object(mut translator) => {
            if translator.get("qos").is_none_or(Value::is_null) {
                translator.insert("qos".to_owned(), json!(usual));
            }
            // EMQX's translators have no such member.
            if translator.get("retain") == Some(&Value::Bool(false)) {
                translator.remove("retain");
            }
            Value::Object(translator)
        }
        topic => json!({"topic": topic, "qos": usual}),
    };
    topics.into_iter().map(|(name, value)| (name, translator(value))).collect()
}

fn topics(value: Value) -> Result<Table, ApiError> {
    object("translators", value)?
        .into_iter()
        .map(|(name, value)| {
            let key = format!("translators.{name}");
            Ok((name, to_toml(&key, value)?))
        })
        .collect()
}

fn listeners(value: Value) -> Result<Table, ApiError> {
    let Value::Array(list) = value else {
        return Err(ApiError::bad_request("listeners: expected a list"));
    };
    list.into_iter()
        .map(|value| {
            let body = object("listeners", value)?;
            let name = body.get("name").and_then(Value::as_str).map(str::to_owned);
            let name = name.ok_or_else(|| ApiError::bad_request("listeners: name is missing"))?;
            Ok((name, listener(body)?.into()))
        })
        .collect()
}

/// EMQX 6.1.1's settings of block-wise transfer.
fn blockwise(value: Value) -> Result<Table, ApiError> {
    let mut keys = Table::new();
    for (name, value) in object("blockwise", value)? {
        let ours = match name.as_str() {
            "max_block_size" => "block_size_max",
            "max_body_size" => "body_max",
            _ => return Err(unknown(&format!("blockwise.{name}"))),
        };
        keys.insert(ours.to_owned(), to_toml(&name, value)?);
    }
    Ok(keys)
}

fn udp_options(value: Value, keys: &mut Table) -> Result<(), ApiError> {
    for (name, value) in object("udp_options", value)? {
        let known = UDP_OPTIONS.iter().find(|(theirs, _)| *theirs == name);
        let Some((_, ours)) = known else {
            return Err(unknown(&format!("udp_options.{name}")));
        };
        if let Some(ours) = ours {
            keys.insert((*ours).to_owned(), to_toml(&name, value)?);
        }
    }
    Ok(())
}

/// `on`, `off`, and a list with commas are EMQX's forms in a string.
fn auto_observe(text: &str) -> toml::Value {
    match text {
        "on" => true.into(),
        "off" => false.into(),
        list => {
            let paths = list.split(',').map(|path| path.trim().to_owned().into());
            toml::Value::Array(paths.collect())
        }
    }
}

/// A port alone listens on every address.
fn bind(value: Value) -> Result<toml::Value, ApiError> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(port) => port.to_string(),
        _ => return Err(ApiError::bad_request("bind: expected an address and a port")),
    };
    let port = text.strip_prefix(':').unwrap_or(&text);
    let text = if port.parse::<u16>().is_ok() { format!("0.0.0.0:{port}") } else { text };
    Ok(text.into())
}

fn object(key: &str, value: Value) -> Result<Map<String, Value>, ApiError> {
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(ApiError::bad_request(format!("{key}: expected an object"))),
    }
}

fn unknown(key: &str) -> ApiError {
    ApiError::bad_request(format!("{key}: there is no such key"))
}

fn to_toml(key: &str, value: Value) -> Result<toml::Value, ApiError> {
    let fault = |what: &str| Err(ApiError::bad_request(format!("{key}: {what}")));
    Ok(match value {
        Value::Null => return fault("null is no value; leave the key out"),
        Value::Bool(value) => value.into(),
        Value::String(text) => text.into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(float)) if float.is_finite() => float.into(),
            _ => return fault("the number is out of range"),
        },
        Value::Array(list) => {
            let list = list.into_iter().map(|item| to_toml(key, item));
            toml::Value::Array(list.collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let value = to_toml(&format!("{key}.{name}"), value)?;
                Ok((name, value))
            });
            toml::Value::Table(members.collect::<Result<_, ApiError>>()?)
        }
    })
}

fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(list) => list.into_iter().map(to_json).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, to_json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Lwm2m;

    fn body(value: Value) -> Map<String, Value> {
        object("body", value).unwrap()
    }

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn emqx_forms_become_ours() {
        for (emqx, ours) in [
            (json!({"lifetime_min": "15s"}), "lwm2m.lifetime_min = '15s'"),
            (json!({"lifetime_max": 86400}), "lwm2m.lifetime_max = 86400"),
            (json!({"auto_observe": "on"}), "lwm2m.auto_observe = true"),
            (json!({"auto_observe": "off"}), "lwm2m.auto_observe = false"),
            (json!({"auto_observe": false}), "lwm2m.auto_observe = false"),
            (json!({"auto_observe": "/3/0, /1/0"}), "lwm2m.auto_observe = ['/3/0', '/1/0']"),
            (json!({"auto_observe": ["/3/0"]}), "lwm2m.auto_observe = ['/3/0']"),
            (json!({"mountpoint": "m/${clientid}/"}), "lwm2m.mountpoint = 'm/${clientid}/'"),
            (
                json!({"translators": {"notify": {"topic": "n", "qos": 1}}}),
                "lwm2m.topics.notify = { topic = 'n', qos = 1 }",
            ),
            (json!({"blockwise": {"max_block_size": 512}}), "coap.block_size_max = 512"),
            (json!({"queue": {"commands": 5}}), "lwm2m.queue.commands = 5"),
            (
                json!({"listeners": [{"type": "udp", "name": "b", "bind": 5783}]}),
                "listeners.b = { type = 'udp', bind = '0.0.0.0:5783' }",
            ),
            (json!({"name": "lwm2m", "status": "running", "idle_timeout": "30s"}), ""),
            (
                json!({"enable": false, "mountpoint": "m/"}),
                "enable = false\nlwm2m.mountpoint = 'm/'",
            ),
            (json!({"enable": true}), "enable = true"),
        ] {
            assert_eq!(changes(body(emqx.clone())).unwrap(), table(ours), "{emqx}");
        }
    }

    #[test]
    fn listeners_take_emqx_names() {
        let emqx = json!({
            "id": "lwm2m:udp:x", "type": "udp", "name": "x", "bind": ":5690", "enable": true,
            "max_connections": 10, "max_conn_rate": "1000/s", "enable_authn": true, "status": {"running": true},
            "udp_options": {"recbuf": "1MB", "sndbuf": "2MB", "active_n": 100, "buffer": "1KB"},
        });
        let ours = "type = 'udp'\nbind = '0.0.0.0:5690'\nenable = true\nmax_connections = 10\n\
                    max_conn_rate = 1000\nrecv_buffer = '1MB'\nsend_buffer = '2MB'";
        assert_eq!(listener(body(emqx)).unwrap(), table(ours));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (emqx, named) in [
            (json!({"enable": 1}), "enable: "),
            (json!({"translators": []}), "translators: "),
            (json!({"translators": {"notify": null}}), "translators.notify: "),
            (json!({"mountpoint": null}), "mountpoint: "),
            (json!({"topics": {}}), "topics: "),
            (json!({"blockwise": {"enable": true}}), "blockwise.enable: "),
            (json!({"listeners": {}}), "listeners: "),
            (json!({"listeners": [{"bind": "x"}]}), "listeners: name"),
            (json!({"listeners": [{"name": "x", "bind": []}]}), "bind: "),
            (json!({"listeners": [{"name": "x", "udp_options": {"x": 1}}]}), "udp_options.x: "),
            (json!({"queue": {"commands": 18446744073709551615_u64}}), ""),
        ] {
            match changes(body(emqx.clone())) {
                Err(error) => assert!(error.message().starts_with(named), "{emqx}: {error:?}"),
                Ok(changes) => assert!(named.is_empty(), "{emqx}: {changes:?}"),
            }
        }
    }

    #[test]
    fn every_topic_is_shown_with_its_qos() {
        let mut lwm2m = section(&Lwm2m::default());
        let translators = translators(&mut lwm2m, Qos::AtLeastOnce);
        assert_eq!(translators["command"], json!({"topic": "dn/#", "qos": 1}));
        assert_eq!(translators["response"], json!({"topic": "up/resp", "qos": 1}));
        assert_eq!(lwm2m["qmode_time_window"], "22s");
        assert!(!lwm2m.contains_key("topics"));
    }
}
