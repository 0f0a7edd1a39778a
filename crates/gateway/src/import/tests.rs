use std::path::PathBuf;

use super::hocon::{self, Node, Value};
use super::*;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/samples")
}

fn imported(text: &str) -> Imported {
    let imported = import(Path::new("test.conf"), text).unwrap_or_else(|faults| {
        panic!("{faults:?}\n{text}");
    });
    if let Err(errors) = config::judge(Path::new("out.toml"), &imported.toml) {
        panic!("{:?}\n{}", errors.0, imported.toml);
    }
    imported
}

fn faults(text: &str) -> Vec<String> {
    match import(Path::new("test.conf"), text) {
        Ok(imported) => panic!("no fault: {}", imported.toml),
        Err(faults) => faults.iter().map(|f| format!("{}: {}", f.line, f.text)).collect(),
    }
}

/// The smallest block that EMQX 5 takes, with more inside.
fn block(more: &str) -> String {
    format!(
        "gateway.lwm2m {{\ntranslators {{ command {{ topic = \"dn/#\" }}, response.topic = \"up\", \
         notify.topic = \"up/n\", register.topic = \"up\", update.topic = \"up\" }}\n{more}\n}}\n"
    )
}

/// What is imported of the samples, line by line; written anew with `UPDATE_SAMPLES=1`.
#[test]
fn the_samples_become_what_they_became() {
    for name in ["emqx_lwm2m", "emqx5"] {
        let file = samples().join(format!("{name}.conf"));
        let imported = import_file(&file).unwrap();
        let notes: Vec<String> = imported.notes.iter().map(Note::to_string).collect();
        let expected = samples().join(format!("{name}.toml"));
        if std::env::var_os("UPDATE_SAMPLES").is_some() {
            std::fs::write(&expected, &imported.toml).unwrap();
        }
        assert_eq!(imported.toml, std::fs::read_to_string(&expected).unwrap(), "{name}");
        for note in notes {
            assert!(imported.toml.contains(&note), "{note} is a comment, too");
        }
    }
}

/// Every key of the plugin of EMQX 4.x, with a value.
const KEYS_4: &[(&str, &str)] = &[
    ("bind.udp.1", "0.0.0.0:5683"),
    ("bind.dtls.1", "0.0.0.0:5684"),
    ("lifetime_min", "2s"),
    ("lifetime_max", "86400s"),
    ("qmode_time_window", "22"),
    ("auto_observe", "/3/0,/3303/0"),
    ("mountpoint", "plant/%e/"),
    ("topics.command", "dn/x"),
    ("topics.response", "up/x"),
    ("topics.notify", "up/x"),
    ("topics.register", "up/x"),
    ("topics.update", "up/x"),
    ("xml_dir", "etc/xml"),
    ("update_msg_publish_condition", "always"),
    ("opts.buffer", "1024KB"),
    ("opts.recbuf", "2MB"),
    ("opts.sndbuf", "2MB"),
    ("opts.read_packets", "20"),
    ("dtls.verify", "verify_peer"),
    ("dtls.fail_if_no_peer_cert", "false"),
    ("dtls.keyfile", "key.pem"),
    ("dtls.certfile", "cert.pem"),
    ("dtls.cacertfile", "ca.pem"),
    ("dtls.ciphers", "X"),
    ("dtls.psk_ciphers", "X"),
    ("lb", "coap"),
    ("keyfile", "key.pem"),
    ("certfile", "cert.pem"),
];

#[test]
fn every_key_of_emqx_4_is_taken_over_or_listed() {
    let base = "lwm2m.bind.udp.9 = 127.0.0.1:5693\nlwm2m.mountpoint = lwm2m/%e/\n\
                lwm2m.topics.command = dn/#\nlwm2m.topics.response = up/resp\n\
                lwm2m.topics.notify = up/notify\nlwm2m.topics.register = up/resp\n\
                lwm2m.topics.update = up/resp\n";
    let without = imported(base);
    for (key, value) in KEYS_4 {
        let with = imported(&format!("{base}lwm2m.{key} = {value}\n"));
        let key = format!("lwm2m.{key}");
        let listed = with.notes.iter().find(|note| note.key == key && note.line.is_some());
        let body = |imported: &Imported| -> Vec<String> {
            let lines = imported.toml.lines().filter(|line| !line.starts_with('#'));
            lines.map(str::to_owned).collect()
        };
        assert!(listed.is_some() || body(&with) != body(&without), "{key}: {}", with.toml);
        assert!(listed.is_none_or(|note| !note.text.contains("unknown")), "{key}");
    }
}

/// Every key of `gateway.lwm2m` of EMQX 5, with a value.
const KEYS_5: &[(&str, &str)] = &[
    ("enable", "false"),
    ("enable_stats", "true"),
    ("idle_timeout", "30s"),
    ("clientinfo_override", "{ username = \"u\" }"),
    ("xml_dir", "\"/etc/xml\""),
    ("lifetime_min", "15s"),
    ("lifetime_max", "1d"),
    ("qmode_time_window", "23s"),
    ("auto_observe", "[\"/3/0\", \"/1/0\"]"),
    ("update_msg_publish_condition", "always"),
    ("mountpoint", "\"x/${endpoint_name}/\""),
    ("translators.command", "{ topic = \"down/#\", qos = 0 }"),
    ("translators.response", "{ topic = \"x\", qos = 1 }"),
    ("translators.notify", "{ topic = \"x\", qos = 1 }"),
    ("translators.register", "{ topic = \"x\", qos = 1 }"),
    ("translators.update", "{ topic = \"x\", qos = 1 }"),
    ("blockwise.enable", "true"),
    ("blockwise.max_block_size", "256"),
    ("blockwise.max_body_size", "4MB"),
    ("blockwise.exchange_lifetime", "247s"),
    ("coap_max_block_size", "512"),
    ("authentication", "{ backend = http }"),
    ("listeners.dtls.x", "{ bind = 5784 }"),
    ("listeners.udp.x.bind", "5799"),
    ("listeners.udp.x.enable", "false"),
    ("listeners.udp.x.max_connections", "1024"),
    ("listeners.udp.x.max_conn_rate", "1000"),
    ("listeners.udp.x.enable_authn", "true"),
    ("listeners.udp.x.mountpoint", "\"y/${endpoint_name}/\""),
    ("listeners.udp.x.access_rules", "[\"allow all\"]"),
    ("listeners.udp.x.authentication", "{ backend = http }"),
    ("listeners.udp.x.acceptors", "16"),
    ("listeners.udp.x.udp_options.active_n", "100"),
    ("listeners.udp.x.udp_options.recbuf", "2MB"),
    ("listeners.udp.x.udp_options.sndbuf", "2MB"),
    ("listeners.udp.x.udp_options.buffer", "2MB"),
    ("listeners.udp.x.udp_options.reuseaddr", "true"),
    ("listeners.udp.x.health_check", "{ request = \"a\", reply = \"b\" }"),
];

#[test]
fn every_key_of_emqx_5_is_taken_over_or_listed() {
    let base = "listeners.udp.x.bind = 5783";
    let without = imported(&block(base));
    for (key, value) in KEYS_5 {
        let with = imported(&block(&format!("{base}\n{key} = {value}")));
        let listed = with.notes.iter().find(|note| note.key == *key && note.line.is_some());
        let changed = without.toml.lines().ne(with.toml.lines().filter(|l| !l.starts_with("#   ")));
        assert!(listed.is_some() || changed, "{key}: {}", with.toml);
        assert!(listed.is_none_or(|note| !note.text.contains("unknown")), "{key}");
    }
}

#[test]
fn the_older_name_of_the_block_size_gives_way() {
    let both = imported(&block("coap_max_block_size = 256\nblockwise.max_block_size = 512"));
    assert!(both.toml.contains("block_size_max = 512"), "{}", both.toml);
    assert!(both.notes.iter().any(|note| note.key == "coap_max_block_size"));
}

#[test]
fn keys_that_nobody_knows_are_listed_with_their_line() {
    let notes = |text: &str| -> Vec<String> {
        let notes = imported(text).notes;
        notes.iter().filter(|n| n.text.contains("unknown")).map(Note::to_string).collect()
    };
    let text = "lwm2m.bind.udp.1 = 5683\n\nlwm2m.speed = 3\n";
    assert_eq!(notes(text), ["line 3: lwm2m.speed: unknown to EMQX's LwM2M plugin"]);
    let known = "unknown to EMQX's LwM2M gateway";
    for (more, expected) in [
        ("speed = 3", "speed"),
        ("speed { a = 3 }", "speed"),
        ("translators.up { topic = x }", "translators.up"),
        ("translators.command.retain = true", "translators.command.retain"),
        ("blockwise.speed = 3", "blockwise.speed"),
        ("listeners.tcp.a { bind = 1 }", "listeners.tcp.a"),
        ("listeners.udp.a { bind = 1, speed = 2 }", "listeners.udp.a.speed"),
    ] {
        let found = notes(&block(more));
        assert_eq!(found.len(), 1, "{more}: {found:?}");
        assert!(found[0].ends_with(&format!(" {expected}: {known}")), "{more}: {found:?}");
    }
}

#[test]
fn what_cannot_be_understood_is_told_with_its_line() {
    let rows_4: &[(&str, &str)] = &[
        ("lwm2m.bind.udp.1 0.0.0.0:1", "1: expected `key = value`, found `lwm2m.bind"),
        ("[lwm2m]\nlifetime_min = \"1s\"", "1: expected a key, found `[`"),
        ("listener.tcp.external = 1883", "1: no LwM2M gateway in it"),
        ("lwm2m.a = 1\nwhat is this", "2: expected `key = value`, found `what is this`"),
        ("lwm2m.a = 1\nlwm2m.b! = 2", "2: `lwm2m.b!` is no key"),
        ("# c\nlwm2m.lifetime_min = soon", "2: lwm2m.lifetime_min: found `soon`, expected a span"),
        ("lwm2m.bind.udp.1 = here", "1: lwm2m.bind.udp.1: found `here`, expected a port"),
        ("lwm2m.bind.udp.1 = 1\nlwm2m.opts.recbuf = 4XB", "2: lwm2m.opts.recbuf: found `4XB`"),
        ("lwm2m.auto_observe = /3/x", "1: lwm2m.auto_observe: found `/3/x`, expected a path"),
        ("lwm2m.update_msg_publish_condition = often", "1: lwm2m.update_msg_publish_condition"),
    ];
    let rows_5: &[(&str, &str)] = &[
        ("lifetime_max = long", "3: lifetime_max: found `long`, expected a span"),
        (
            "translators.command { qos = 1 }\ntranslators.command.topic = null",
            "2: translators.command: expected a block",
        ),
        ("translators.notify { topic = n, qos = 3 }", "3: translators.notify.qos: found `3`"),
        ("coap_max_block_size = 100", "3: coap_max_block_size: found `100`, expected a power"),
        ("listeners.udp.a { max_connections = 1 }", "3: listeners.udp.a: bind is missing"),
        ("listeners.udp.a { bind = \"x:y\" }", "3: listeners.udp.a.bind: found `x:y`"),
        ("auto_observe = [3]", "3: auto_observe: found `3`, expected a path"),
        ("enable = perhaps", "3: enable: found `perhaps`, expected true or false"),
    ];
    for (text, expected) in rows_4 {
        let found = faults(text);
        assert!(found[0].starts_with(expected), "{text:?}: {found:?}");
    }
    for (more, expected) in rows_5 {
        let found = faults(&block(more));
        assert!(found[0].starts_with(expected), "{more:?}: {found:?}");
    }
    let several = faults(&block("lifetime_min = a\nlifetime_max = b"));
    assert_eq!(several.len(), 2);
    let missing = faults("gateway.lwm2m { translators.command.topic = x }");
    assert_eq!(missing.len(), 4, "{missing:?}");
}

#[test]
fn hocon_is_read_as_people_write_it() {
    let rows: &[(&str, &str, &str)] = &[
        ("a = 1", "a", "1"),
        ("a : 1", "a", "1"),
        ("{ a = 1 }", "a", "1"),
        ("a { b = 1 }", "a.b", "1"),
        ("a.b.c = 1", "a.b.c", "1"),
        ("a = { b : 1, c : 2 }", "a.c", "2"),
        ("a { b = 1 }\na { c = 2 }", "a.b", "1"),
        ("a { b = 1 }\na.b = 2", "a.b", "2"),
        ("a = 1\na { b = 2 }", "a.b", "2"),
        ("\"a.b\" = 1", "a.b", ""),
        ("a = 1 # one", "a", "1"),
        ("a = 1 // one", "a", "1"),
        ("# nothing\na = 1", "a", "1"),
        ("a = one two", "a", "one two"),
        ("a = \"x # y\"", "a", "x # y"),
        ("a = \"${x}\"", "a", "${x}"),
        (r#"a = "q\"\\\/\n\t\u00e4""#, "a", "q\"\\/\n\t\u{e4}"),
        ("a = \"\"\"x \"y\" z\"\"\"", "a", "x \"y\" z"),
        ("a = \"x\" y", "a", "x y"),
        ("a = \"\"", "a", ""),
        ("a =\n  1", "a", "1"),
        ("\u{feff}a = 1", "a", "1"),
        ("a = 0.0.0.0:1", "a", "0.0.0.0:1"),
        ("a = 1\r\nb = 2\r\n", "b", "2"),
    ];
    for (text, path, expected) in rows {
        let root = hocon::parse(text).unwrap_or_else(|fault| panic!("{text:?}: {fault:?}"));
        let found = match Node::find(&root, path).map(|node| &node.value) {
            Some(Value::Text(found)) => found.as_str(),
            None => "",
            other => panic!("{text:?}: {other:?}"),
        };
        assert_eq!(found, *expected, "{text:?}");
    }
    let root = hocon::parse("a = [1, \"b\"\n c, {d = 1}]\ne = null").unwrap();
    let Some(Node { value: Value::List(list), .. }) = Node::find(&root, "a") else { panic!() };
    assert_eq!(list.len(), 4);
    assert_eq!(
        Node::find(&root, "e").map(|node| (node.line, &node.value)),
        Some((3, &Value::Null))
    );
}

#[test]
fn hocon_that_reaches_beyond_the_file_or_is_broken_is_refused_by_line() {
    for (text, expected) in [
        ("a = 1\ninclude \"x.conf\"", "2: `include` is not followed"),
        ("a = ${b}", "1: a substitution"),
        ("a = x${?b}", "1: a substitution"),
        ("a += 1", "1: `+=` is not followed"),
        ("a {\nb = 1", "2: expected `}`, found the end of the file"),
        ("a = [1", "1: expected `]`, found the end of the file"),
        ("a = \"x\nb = 1", "1: a text in quotes has no end"),
        ("a = \"\"\"x", "1: a text in three quotes has no end"),
        (r#"a = "\q""#, "1: an unknown escape"),
        ("a = ", "1: expected a value, found the end of the file"),
        ("a 1", "1: expected `=`, `:` or `{`, found `1`"),
        ("= 1", "1: expected a key, found `=`"),
        ("{ a = 1 } b", "1: expected the end of the file, found `b`"),
        ("a = x { b = 1 }", "1: expected the end of the value, found `{`"),
    ] {
        let fault = hocon::parse(text).expect_err(text);
        assert!(format!("{}: {}", fault.line, fault.text).starts_with(expected), "{fault:?}");
    }
    let deep = "a = ".to_owned() + &"[".repeat(100_000);
    assert!(hocon::parse(&deep).unwrap_err().text.starts_with("nested deeper"));
}

/// Every beginning of the samples and every byte of them changed: a fault or a configuration.
#[test]
fn no_file_harms_the_importer() {
    for name in ["emqx_lwm2m.conf", "emqx5.conf"] {
        let text = std::fs::read_to_string(samples().join(name)).unwrap();
        for end in 0..text.len() {
            let _ = import(Path::new(name), &text[..end]);
        }
        for at in 0..text.len() {
            for other in ["{", "}", "\"", "$", "\n"] {
                let mut changed = text.clone();
                changed.replace_range(at..=at, other);
                let _ = import(Path::new(name), &changed);
            }
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_or_gives_no_valid_result_is_a_fault() {
    let missing = import_file(Path::new("/nonexistent/emqx.conf")).unwrap_err();
    assert!(missing[0].text.starts_with("cannot be read"));
    let directory = std::env::temp_dir().join(format!("import-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("emqx_lwm2m.conf");
    std::fs::write(&file, "lwm2m.bind.udp.1 = 5683\n\nlwm2m.topics.response = up/+\n").unwrap();
    let faults = import_file(&file).unwrap_err();
    let _ = std::fs::remove_dir_all(&directory);
    assert_eq!(faults[0].line, 3, "{faults:?}");
    assert!(faults[0].text.contains("lwm2m.topics.response"), "{faults:?}");
}

#[test]
fn values_are_written_as_ours() {
    use super::value::{address, observe, period, rate_of, size};
    for (text, ours) in [("1s", "1s"), ("86400", "86400s"), ("1h30m", "5400s"), ("500ms", "500ms")]
    {
        assert_eq!(period(text), Ok(format!("\"{ours}\"")), "{text}");
    }
    for text in ["", "x", "1x", "h1", "-1s"] {
        assert!(period(text).is_err(), "{text}");
    }
    for (text, ours) in [("1024KB", "1MB"), ("4MB", "4MB"), ("1000", "1000B")] {
        let found = size(text).unwrap();
        let bytes = |text: &str| config::Size::parse(text.trim_matches('"')).unwrap();
        assert_eq!(bytes(&found), bytes(ours), "{text}");
    }
    for (text, ours) in
        [("5783", "0.0.0.0:5783"), (":5783", "0.0.0.0:5783"), ("[::1]:1", "[::1]:1")]
    {
        assert_eq!(address(text).map(|a| a.to_string()).as_deref(), Ok(ours), "{text}");
    }
    for (text, ours) in
        [("on", "true"), ("false", "false"), ("/3/0, /3/0/1", "[\"/3/0\", \"/3/0/1\"]")]
    {
        assert_eq!(observe(text).as_deref(), Ok(ours), "{text}");
    }
    for (text, ours) in [("1000", "1000"), ("1000/s", "1000"), ("infinity", "0")] {
        assert_eq!(rate_of(text).as_deref(), Ok(ours), "{text}");
    }
}
