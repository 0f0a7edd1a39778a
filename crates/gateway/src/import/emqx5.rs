//! The keys of `gateway.lwm2m` of EMQX 5: contract, section 1.2.

use super::Fault;
use super::hocon::{Node, Object, Value};
use super::listener;
use super::target::{Place, Target, topic};
use super::value::{self, list, number, observe, paths_of, period, quoted, rate_of, size, switch};

/// Why there is nothing that a key of the gateway could set.
const NOTHING: [(&str, &str); 6] = [
    ("enable_stats", "metrics are always there"),
    ("idle_timeout", "no process waits for a socket here; nothing to end"),
    ("clientinfo_override", "EMQX's LwM2M gateway does not use it either"),
    ("authentication", "authentication back ends are not available in this version"),
    ("blockwise.exchange_lifetime", "follows from coap.ack_timeout and coap.max_retransmit"),
    ("blockwise.enable", "block-wise transfer is always there; it is used when it is needed"),
];

/// The same for a listener.
const LISTENER_NOTHING: [(&str, &str); 6] = [
    ("enable_authn", "authentication back ends are not available in this version"),
    ("authentication", "authentication back ends are not available in this version"),
    ("acceptors", "shards take datagrams; see `shards`"),
    ("udp_options.active_n", "the gateway reads up to 64 datagrams at once by itself"),
    ("udp_options.buffer", "the gateway reads whole datagrams and needs no buffer of its own"),
    ("health_check", "the gateway answers CoAP pings and has /health over HTTP"),
];

/// The highest quality of service that ours publishes with.
const QOS_MAX: u8 = 1;

/// Turns the block into ours.
pub(super) fn import(root: &Object, target: &mut Target) -> Result<(), Vec<Fault>> {
    let block = Node::find(root, "gateway.lwm2m").or_else(|| Node::find(root, "lwm2m"));
    let Some(Node { line, value: Value::Object(block) }) = block else {
        let text = "no LwM2M gateway in it: expected a block `gateway.lwm2m` (EMQX 5) or keys that \
                    begin with `lwm2m.` (EMQX 4.x)";
        return Err(vec![Fault::at(1, text)]);
    };
    target.set("", "profile", "\"emqx5\"");
    if Node::find(block, "mountpoint").is_none() {
        target.set("lwm2m", "mountpoint", "\"lwm2m/${endpoint_name}/\"");
    }
    for name in ["command", "response", "notify", "register", "update"] {
        if Node::find(block, &format!("translators.{name}")).is_none() {
            let key = format!("translators.{name}");
            target.fault(Place { line: *line, key: &key }, "is missing; EMQX requires it");
        }
    }
    let is_newer = Node::find(block, "blockwise.max_block_size").is_some();
    for (key, node) in block {
        if key == "coap_max_block_size" && is_newer {
            let place = Place { line: node.line, key };
            target.note(place, "blockwise.max_block_size counts instead, as in EMQX");
            continue;
        }
        member(key, node, target);
    }
    remarks(block, target);
    Ok(())
}

fn member(key: &str, node: &Node, target: &mut Target) {
    let place = Place { line: node.line, key };
    match (key, &node.value) {
        ("translators", Value::Object(translators)) => {
            translators.iter().for_each(|(name, node)| translator(name, node, target));
        }
        ("blockwise", Value::Object(blockwise)) => {
            for (key, node) in blockwise {
                scalar(&format!("blockwise.{key}"), node, target);
            }
        }
        ("listeners", Value::Object(kinds)) => {
            kinds.iter().for_each(|(kind, node)| listeners(kind, node, target));
        }
        ("auto_observe", Value::List(paths)) => {
            target.put(place, "lwm2m.auto_observe", texts(paths).and_then(|p| paths_of(&p)));
        }
        _ => match reason(key, &NOTHING) {
            Some(reason) => target.note(place, reason),
            None => scalar(key, node, target),
        },
    }
}

/// A key with one counterpart.
fn scalar(key: &str, node: &Node, target: &mut Target) {
    let place = Place { line: node.line, key };
    if let Some(reason) = reason(key, &NOTHING) {
        return target.note(place, reason);
    }
    let text = match &node.value {
        Value::Text(text) => text.as_str(),
        Value::Null => return target.note(place, "is null: left out"),
        Value::List(_) | Value::Object(_) => {
            return target.note(place, "unknown to EMQX's LwM2M gateway");
        }
    };
    let (ours, value) = match key {
        "lifetime_min" => ("lwm2m.lifetime_min", period(text)),
        "lifetime_max" => ("lwm2m.lifetime_max", period(text)),
        "qmode_time_window" => ("lwm2m.qmode_time_window", period(text)),
        "auto_observe" => ("lwm2m.auto_observe", observe(text)),
        "update_msg_publish_condition" => ("lwm2m.update_msg_publish_condition", condition(text)),
        "mountpoint" => ("lwm2m.mountpoint", Ok(quoted(text))),
        "xml_dir" => ("lwm2m.xml_dir", Ok(quoted(text))),
        "blockwise.max_block_size" | "coap_max_block_size" => {
            ("coap.block_size_max", block_size(text))
        }
        "blockwise.max_body_size" => ("coap.body_max", size(text)),
        "enable" => return enable(place, text, target),
        _ => return target.note(place, "unknown to EMQX's LwM2M gateway"),
    };
    target.put(place, ours, value);
}

fn enable(place: Place<'_>, text: &str, target: &mut Target) {
    match switch(text) {
        Ok(true) => {}
        Ok(false) => target.set("", "enable", "false"),
        Err(complaint) => target.fault(place, &complaint),
    }
}

fn translator(name: &str, node: &Node, target: &mut Target) {
    let key = format!("translators.{name}");
    let place = Place { line: node.line, key: &key };
    if !["command", "response", "notify", "register", "update"].contains(&name) {
        return target.note(place, "unknown to EMQX's LwM2M gateway");
    }
    let Value::Object(members) = &node.value else {
        return target.fault(place, "expected a block with topic and qos");
    };
    let text = |key: &str| match Node::find(members, key).map(|node| &node.value) {
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let Some(given) = text("topic") else {
        return target.fault(place, "expected a block with a topic");
    };
    match value::qos(text("qos").unwrap_or("0")) {
        Ok(qos) => {
            if qos > QOS_MAX {
                target.note(place, "qos 2 becomes 1: events reach the broker at least once");
            }
            let value = topic(given, qos.min(QOS_MAX));
            target.put(place, &format!("lwm2m.topics.{name}"), Ok(value));
        }
        Err(complaint) => {
            let line = Node::find(members, "qos").map_or(node.line, |qos| qos.line);
            target.fault(Place { line, key: &format!("{key}.qos") }, &complaint);
        }
    }
    for (other, node) in members.iter().filter(|(key, _)| !["topic", "qos"].contains(&&**key)) {
        let key = format!("{key}.{other}");
        target.note(Place { line: node.line, key: &key }, "unknown to EMQX's LwM2M gateway");
    }
}

fn listeners(kind: &str, node: &Node, target: &mut Target) {
    let Value::Object(named) = &node.value else { return };
    for (name, node) in named {
        let key = format!("listeners.{kind}.{name}");
        let place = Place { line: node.line, key: &key };
        match (kind, &node.value) {
            ("udp", Value::Object(members)) => udp(place, name, members, target),
            ("dtls", _) => target.note(place, listener::NO_DTLS),
            _ => target.note(place, "unknown to EMQX's LwM2M gateway"),
        }
    }
}

fn udp(listener: Place<'_>, name: &str, members: &Object, target: &mut Target) {
    let section = listener::section(name);
    if Node::find(members, "bind").is_none() {
        target.fault(listener, "bind is missing");
    }
    for (key, node) in flat(members) {
        let whole = format!("{}.{key}", listener.key);
        let place = Place { line: node.line, key: &whole };
        if let Some(reason) = reason(&key, &LISTENER_NOTHING) {
            target.note(place, reason);
            continue;
        }
        let ours = |name: &str| format!("{section}.{name}");
        match (key.as_str(), &node.value) {
            ("bind", Value::Text(text)) => listener::bind(target, place, &section, text),
            ("enable", Value::Text(text)) => {
                target.put(place, &ours("enable"), switch(text).map(|on| on.to_string()));
            }
            ("mountpoint", Value::Text(text)) => {
                target.put(place, &ours("mountpoint"), Ok(quoted(text)));
            }
            ("max_connections", Value::Text(text)) => connections(place, &section, text, target),
            ("max_conn_rate", Value::Text(text)) => {
                target.put(place, &ours("max_conn_rate"), rate_of(text));
            }
            ("access_rules", Value::List(rules)) => {
                let rules = texts(rules).map(|rules| list(&rules));
                target.put(place, &ours("access_rules"), rules);
            }
            ("udp_options.recbuf", Value::Text(text)) => {
                target.put(place, &ours("recv_buffer"), size(text));
            }
            ("udp_options.sndbuf", Value::Text(text)) => {
                target.put(place, &ours("send_buffer"), size(text));
            }
            ("udp_options.reuseaddr", Value::Text(text)) => reuse(place, text, target),
            _ => target.note(place, "unknown to EMQX's LwM2M gateway"),
        }
    }
}

fn connections(place: Place<'_>, section: &str, text: &str, target: &mut Target) {
    if text == "infinity" {
        return target.note(place, "infinity: the default of 1 000 000 is kept");
    }
    target.put(place, &format!("{section}.max_connections"), number(text));
}

fn reuse(place: Place<'_>, text: &str, target: &mut Target) {
    match switch(text) {
        // EMQX's default, which a restart of it needs; ours does not.
        Ok(true) => target.note(
            place,
            "not taken over: a restart needs it no more, and a second program on the same port \
             would go unnoticed; set reuse_address if it is meant",
        ),
        Ok(false) => {}
        Err(complaint) => target.fault(place, &complaint),
    }
}

/// What means something else here although the key is the same.
fn remarks(block: &Object, target: &mut Target) {
    if Node::find(block, "lifetime_min").is_some() || Node::find(block, "lifetime_max").is_some() {
        target.remark(
            "lifetime_min, lifetime_max",
            "EMQX 5 checks neither; here lifetimes outside are accepted, too, unless \
             lwm2m.lifetime_policy = \"refuse\"",
        );
    }
    if Node::find(block, "xml_dir").is_some() {
        target.remark(
            "xml_dir",
            "the path is kept; the files are watched, and built-in definitions come on top",
        );
    }
    target.remark(
        "broker",
        "EMQX was the broker as well: this gateway brings its own on 127.0.0.1:1883; to go on with \
         EMQX set mqtt.mode = \"external\" and mqtt.external.url",
    );
}

/// Members with those of inner blocks beside them, as `udp_options.recbuf`.
fn flat(members: &Object) -> Vec<(String, &Node)> {
    let mut all = Vec::new();
    for (key, node) in members {
        match &node.value {
            Value::Object(inner) if key == "udp_options" => {
                all.extend(inner.iter().map(|(name, node)| (format!("{key}.{name}"), node)));
            }
            _ => all.push((key.clone(), node)),
        }
    }
    all
}

fn reason(key: &str, reasons: &[(&'static str, &'static str)]) -> Option<&'static str> {
    reasons.iter().find(|(known, _)| *known == key).map(|(_, reason)| *reason)
}

fn texts(nodes: &[Node]) -> Result<Vec<&str>, String> {
    nodes.iter().map(one_text).collect()
}

fn one_text(node: &Node) -> Result<&str, String> {
    match &node.value {
        Value::Text(text) => Ok(text),
        Value::Null | Value::List(_) | Value::Object(_) => {
            Err("expected a list of texts".to_owned())
        }
    }
}

fn condition(text: &str) -> Result<String, String> {
    match text {
        "always" | "contains_object_list" => Ok(quoted(text)),
        _ => Err(format!("found `{text}`, expected always or contains_object_list")),
    }
}

fn block_size(text: &str) -> Result<String, String> {
    match text {
        "16" | "32" | "64" | "128" | "256" | "512" | "1024" => Ok(text.to_owned()),
        _ => Err(format!("found `{text}`, expected a power of two from 16 to 1024")),
    }
}
