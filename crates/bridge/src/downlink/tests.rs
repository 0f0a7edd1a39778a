use engine::{Duration, Priority};
use lwm2m::attributes::Attributes;
use lwm2m::{Format, Operation, Path, Reading as Item, Value, WriteMode};

use super::*;
use crate::testing::{BOTH, Bench, Emqx4, Emqx5, NOW};
use crate::{ResponseTopics, Settings, ValueFault};

mod echo;
mod properties;
mod refusals;
mod writes;

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn read(text: &str) -> Operation {
    Operation::Read { path: path(text), accept: None }
}

/// Fact 65: a null in a composite write removes. Fact 68: execute arguments go as they are given,
/// the device judges their grammar.
#[test]
fn each_msg_type_is_its_operation() {
    let arguments =
        |text: &str| Operation::Execute { path: path("/3/0/4"), arguments: text.to_owned() };
    let cases = [
        (r#""msgType":"read","data":{"path":"/3/0/0"}"#, read("/3/0/0")),
        (
            r#""msgType":"discover","data":{"path":"/3/0"}"#,
            Operation::Discover { path: path("/3/0") },
        ),
        (
            r#""msgType":"delete","data":{"path":"/3303/5"}"#,
            Operation::Delete { path: path("/3303/5") },
        ),
        (
            r#""msgType":"observe","data":{"path":"/3/0/10"}"#,
            Operation::Observe { path: path("/3/0/10"), accept: None },
        ),
        (
            r#""msgType":"cancel-observe","data":{"path":"/3/0/10"}"#,
            Operation::CancelObserve { path: path("/3/0/10") },
        ),
        (r#""msgType":"execute","data":{"path":"/3/0/4"}"#, arguments("")),
        (r#""msgType":"execute","data":{"path":"/3/0/4","args":""}"#, arguments("")),
        (r#""msgType":"execute","data":{"path":"/3/0/4","args":null}"#, arguments("")),
        (r#""msgType":"execute","data":{"path":"/3/0/4","args":"undefined"}"#, arguments("")),
        (r#""msgType":"execute","data":{"path":"/3/0/4","args":"0='a',1"}"#, arguments("0='a',1")),
        (
            r#""msgType":"read-composite","data":{"paths":["/3/0/0","/1"]}"#,
            Operation::ReadComposite { paths: vec![path("/3/0/0"), path("/1")], accept: None },
        ),
        (
            r#""msgType":"observe-composite","data":{"paths":["/3/0/0"],"accept":112}"#,
            Operation::ObserveComposite {
                paths: vec![path("/3/0/0")],
                accept: Some(Format::SENML_CBOR),
            },
        ),
        (
            r#""msgType":"cancel-observe-composite","data":{"paths":["/3/0/0"]}"#,
            Operation::CancelObserveComposite { paths: vec![path("/3/0/0")] },
        ),
        (
            r#""msgType":"write-composite","data":{"content":[
                {"path":"/3/0/14","type":"String","value":"+02"},{"path":"/9/0/6/1","value":null}]}"#,
            Operation::WriteComposite {
                format: None,
                content: vec![
                    Item::new(path("/3/0/14"), Value::String("+02".into())),
                    Item::path_only(path("/9/0/6/1")),
                ],
            },
        ),
    ];
    for profile in BOTH {
        let bench = Bench::new(profile);
        for (members, expected) in &cases {
            let command = bench.command(&format!("{{{members}}}"));
            assert_eq!(&command.operation, expected);
            assert_eq!(command.endpoint.as_str(), "EP");
            assert_eq!(command.priority, Priority::Normal);
            assert_eq!((command.timeout, command.expires), (None, None));
            assert!(command.query.is_empty());
        }
    }
}

#[test]
fn slashes_at_the_ends_of_a_path_are_optional() {
    let bench = Bench::new(Emqx4);
    let cases = [
        ("/3/0/0", "/3/0/0"),
        ("3/0/0", "/3/0/0"),
        ("/3/0/", "/3/0"),
        ("3/0/", "/3/0"),
        ("/3", "/3"),
        ("3", "/3"),
        ("/3/0/6/1", "/3/0/6/1"),
    ];
    for (given, expected) in cases {
        let payload = format!(r#"{{"msgType":"read","data":{{"path":"{given}"}}}}"#);
        assert_eq!(bench.operation(&payload), read(expected), "{given}");
    }
}

#[test]
fn a_query_behind_the_path_becomes_uri_query_options() {
    for profile in BOTH {
        let bench = Bench::new(profile);
        let command = bench.command(r#"{"msgType":"read","data":{"path":"/3/0/?a=1&b"}}"#);
        assert_eq!(command.operation, read("/3/0"));
        assert_eq!(command.query, ["a=1", "b"]);
    }
}

/// Fact 71: a parameter without a value unsets; the order is that of the command.
#[test]
fn write_attr_takes_numbers_and_texts_in_plain_notation() {
    let bench = Bench::new(Emqx4);
    let queries = |members: &str| {
        let payload = format!(r#"{{"msgType":"write-attr","data":{{"path":"/3/0/9",{members}}}}}"#);
        match bench.operation(&payload) {
            Operation::WriteAttributes { attributes, .. } => {
                attributes.queries().collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    let cases = [
        (
            r#""pmin":"60","pmax":"120","gt":"95.0","lt":"5.0","st":"10.0""#,
            vec!["pmin=60", "pmax=120", "gt=95.0", "lt=5.0", "st=10.0"],
        ),
        (r#""pmin":null,"pmax":null,"gt":null,"lt":null,"st":10"#, vec!["st=10"]),
        (r#""gt":1.5e2,"lt":-1e-1,"pmin":1"#, vec!["gt=150", "lt=-0.1", "pmin=1"]),
        (r#""gt":0.1"#, vec!["gt=0.1"]),
        (r#""pmax":"","pmin":"1""#, vec!["pmax", "pmin=1"]),
        (r#""other":1,"Pmin":2"#, vec![]),
        (r#""pmin":1,"pmin":2"#, vec!["pmin=2"]),
    ];
    for (members, expected) in cases {
        assert_eq!(queries(members), expected, "{members}");
    }
}

#[test]
fn write_attr_without_attributes_is_sent() {
    let operation = Bench::new(Emqx5).operation(r#"{"msgType":"write-attr","data":{"path":"/3"}}"#);
    assert_eq!(
        operation,
        Operation::WriteAttributes { path: path("/3"), attributes: Attributes::new() }
    );
}

#[test]
fn a_command_may_ask_for_more_than_emqx_knows() {
    let bench = Bench::new(Emqx4);
    let accept = |text: &str| {
        let payload = format!(r#"{{"msgType":"read","data":{{"path":"/3","accept":{text}}}}}"#);
        match bench.operation(&payload) {
            Operation::Read { accept, .. } => accept,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(accept("110"), Some(Format::SENML_JSON));
    assert_eq!(accept("\"tlv\""), Some(Format::TLV));
    assert_eq!(accept("\"11543\""), Some(Format::JSON));
    assert_eq!(accept("null"), None);
    let payload = r#"{"msgType":"write","data":{"path":"/3/0/14","type":"String","value":"x",
        "mode":"update","format":"text"}}"#;
    match bench.operation(payload) {
        Operation::Write { mode, format, .. } => {
            assert_eq!((mode, format), (WriteMode::Update, Some(Format::TEXT)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn timeout_and_ttl_are_seconds() {
    let bench = Bench::new(Emqx4);
    let command = |members: &str| {
        bench.command(&format!(r#"{{"msgType":"read","data":{{"path":"/3",{members}}}}}"#))
    };
    assert_eq!(command(r#""timeout":5"#).timeout, Some(Duration::from_secs(5)));
    assert_eq!(command(r#""timeout":"0.25""#).timeout, Some(Duration::from_millis(250)));
    assert_eq!(command(r#""ttl":60"#).expires, Some(NOW + Duration::from_secs(60)));
    assert_eq!(command(r#""ttl":0"#).expires, Some(NOW));
    for wrong in [
        r#""timeout":0"#,
        r#""timeout":-1"#,
        r#""timeout":1e400"#,
        r#""ttl":86401"#,
        r#""ttl":"x""#,
        r#""ttl":true"#,
    ] {
        bench.refusal(&format!(r#"{{"msgType":"read","data":{{"path":"/3",{wrong}}}}}"#));
    }
}

#[test]
fn the_expiry_of_the_message_and_ttl_the_shorter_counts() {
    let bench = Bench::new(Emqx4);
    let expires = |ttl: &str, expiry: Option<u64>| {
        let payload = format!(r#"{{"msgType":"read","data":{{"path":"/3"{ttl}}}}}"#);
        let delivery = Delivery {
            expiry: expiry.map(Duration::from_secs),
            ..Delivery::new("lwm2m/EP/dn", payload.as_bytes())
        };
        match bench.deliver(&delivery) {
            Downlink::Command(command) => command.expires,
            other => panic!("{other:?}"),
        }
    };
    let after = |seconds| Some(NOW + Duration::from_secs(seconds));
    assert_eq!(expires("", None), None);
    assert_eq!(expires("", Some(30)), after(30));
    assert_eq!(expires(r#","ttl":10"#, Some(30)), after(10));
    assert_eq!(expires(r#","ttl":60"#, Some(30)), after(30));
}

#[test]
fn mheaders_ttl_0_does_not_wait_for_its_turn() {
    let bench = Bench::new(Emqx4);
    let priority = |mheaders: &str| {
        let payload =
            format!(r#"{{"mheaders":{mheaders},"msgType":"read","data":{{"path":"/3"}}}}"#);
        bench.command(&payload).priority
    };
    assert_eq!(priority(r#"{"ttl":0}"#), Priority::Urgent);
    for other in [r#"{"ttl":7200}"#, r#"{"ttl":"0"}"#, "{}", "0", "null", r#"[{"ttl":0}]"#] {
        assert_eq!(priority(other), Priority::Normal, "{other}");
    }
}

#[test]
fn a_retained_command_means_the_same() {
    let bench = Bench::new(Emqx4);
    let payload = br#"{"msgType":"read","data":{"path":"/3/0/0"}}"#;
    let delivery = Delivery { retained: true, ..Delivery::new("lwm2m/EP/dn/dm", payload) };
    assert!(matches!(bench.deliver(&delivery), Downlink::Command(_)));
}

#[test]
fn of_several_names_the_known_one_counts_else_the_shortest() {
    let bench = Bench::new(Emqx4);
    let payload = br#"{"msgType":"read","data":{"path":"/3/0/0"}}"#;
    let delivery = Delivery::new("lwm2m/a/dn/b/dn/dm", payload);
    let endpoint = |known: &str| {
        let registered = |name: &EndpointName| name.as_str() == known;
        match bench.bridge.downlink_to(&delivery, bench.circumstances(&registered)) {
            Downlink::Command(command) => command.endpoint.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(endpoint("a"), "a");
    assert_eq!(endpoint("a/dn/b"), "a/dn/b");
    assert_eq!(endpoint("nobody"), "a");
}

#[test]
fn what_the_gateway_publishes_for_a_name_with_slashes_is_no_command() {
    let bench = Bench::new(Emqx4);
    let payload = br#"{"msgType":"register","data":{"ep":"a/dn/b"}}"#;
    let delivery = Delivery::new("lwm2m/a/dn/b/up/resp", payload);
    let deliver = |known: &str| {
        let registered = |name: &EndpointName| name.as_str() == known;
        bench.bridge.downlink_to(&delivery, bench.circumstances(&registered))
    };
    assert!(matches!(deliver("a/dn/b"), Downlink::Dropped(Fault::OwnTopic)));
    assert!(matches!(deliver("a"), Downlink::Refused { .. }));
}

#[test]
fn a_message_on_a_topic_of_one_device_is_for_that_device() {
    let bench = Bench::new(Emqx4);
    let endpoint = EndpointName::parse("EP").unwrap();
    let recipient = Recipient { endpoint: &endpoint, listener: 0, address: "192.0.2.1" };
    let read = |topic: &str, payload: &str| {
        let delivery = Delivery::new(topic, payload.as_bytes());
        bench.bridge.downlink_for(&delivery, bench.circumstances(&|_| true), recipient)
    };
    let command = r#"{"msgType":"read","data":{"path":"/3/0/0"}}"#;
    assert!(matches!(read("group/1", command), Downlink::Command(it) if it.endpoint == endpoint));
    match read("group/1", r#"{"msgType":"nonsense","data":{}}"#) {
        Downlink::Refused { publications, .. } => {
            assert_eq!(publications[0].topic, "lwm2m/EP/up/resp");
        }
        other => panic!("{other:?}"),
    }
    // The registration of a name with slashes is published there.
    let own = read("lwm2m/a/b/up/resp", command);
    assert!(matches!(own, Downlink::Dropped(Fault::OwnTopic)));
}

#[test]
fn answers_are_not_sent_where_they_would_be_commands_of_one_device() {
    let bench = Bench::new(Emqx4);
    let payload = br#"{"msgType":"read","data":{"path":"/3/0/0"}}"#;
    let delivery =
        Delivery { response_topic: Some("group/1"), ..Delivery::new("lwm2m/EP/dn", payload) };
    let circumstances = bench.circumstances(&|_| true);
    let takes_commands = |topic: &str| topic == "group/1";
    for (circumstances, is_refused) in [
        (circumstances, false),
        (Circumstances { takes_commands: &takes_commands, ..circumstances }, true),
    ] {
        let read = bench.bridge.downlink_to(&delivery, circumstances);
        let refused = matches!(read, Downlink::Refused { fault: Fault::ResponseTopic, .. });
        assert_eq!(refused, is_refused);
    }
}

#[test]
fn a_response_topic_gets_the_report_as_well_with_its_correlation_data() {
    for profile in BOTH {
        let bench = Bench::new(profile);
        let payload = br#"{"msgType":"nonsense","data":{}}"#;
        let delivery = Delivery {
            response_topic: Some("answers/1"),
            correlation: Some(b"\x00\xff"),
            ..Delivery::new("lwm2m/EP/dn", payload)
        };
        let Downlink::Refused { publications, .. } = bench.deliver(&delivery) else {
            panic!("a report")
        };
        let [usual, named] = &publications[..] else { panic!("two: {publications:?}") };
        assert_eq!((usual.topic.as_str(), &usual.correlation), ("lwm2m/EP/up/resp", &None));
        assert_eq!((named.topic.as_str(), &named.payload), ("answers/1", &usual.payload));
        assert_eq!(named.correlation.as_deref(), Some(&b"\x00\xff"[..]));
    }
}

#[test]
fn an_unsafe_response_topic_is_refused_on_the_usual_one() {
    let settings = Settings {
        response_topics: ResponseTopics { prefixes: vec!["answers/".to_owned()] },
        ..Settings::default()
    };
    let bench = Bench::with(settings);
    let payload = br#"{"msgType":"read","data":{"path":"/3/0/0"}}"#;
    let deliver = |topic| {
        let delivery =
            Delivery { response_topic: Some(topic), ..Delivery::new("lwm2m/EP/dn", payload) };
        bench.deliver(&delivery)
    };
    for topic in ["", "answers/+", "answers/#", "$SYS/x", "lwm2m/EP/dn/x", "other/1", "answers/\0"]
    {
        match deliver(topic) {
            Downlink::Refused { publications, fault, .. } => {
                assert_eq!(fault, Fault::ResponseTopic, "{topic}");
                let topics: Vec<_> = publications.iter().map(|sent| sent.topic.as_str()).collect();
                assert_eq!(topics, ["lwm2m/EP/up/resp"]);
            }
            other => panic!("{topic}: {other:?}"),
        }
    }
    assert!(matches!(deliver("answers/1"), Downlink::Command(_)));
}
