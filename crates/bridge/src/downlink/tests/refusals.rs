//! Commands that cannot be used: what is said, and when nothing is.

use super::*;
use crate::Report;

fn fault(bench: &Bench, payload: &str) -> Fault {
    match bench.downlink(payload) {
        Downlink::Refused { fault, .. } | Downlink::Dropped(fault) => fault,
        Downlink::Command(command) => panic!("{payload}: {command:?}"),
    }
}

#[test]
fn what_is_no_command_at_all_is_dropped() {
    for profile in BOTH {
        let bench = Bench::new(profile);
        for payload in ["", "{", "not json", "null", "[1]", "\"read\"", "{\"data\":{}}", "{}"] {
            assert!(matches!(bench.downlink(payload), Downlink::Dropped(_)), "{payload}");
        }
        let delivery = Delivery::new("other/topic", b"{\"msgType\":\"read\"}");
        assert!(matches!(bench.deliver(&delivery), Downlink::Dropped(Fault::NoEndpoint)));
        let delivery = Delivery::new("lwm2m/EP/dn", b"{\"msgType\":\"read\",\"a\":\"\xff\"}");
        assert!(matches!(bench.deliver(&delivery), Downlink::Dropped(Fault::NotAnObject(_))));
    }
}

#[test]
fn an_unusable_command_is_reported_with_a_reason() {
    let cases = [
        (
            r#"{"reqID":1,"msgType":"teleport","data":{"path":"/3/0"}}"#,
            r#"{"reqID":1,"msgType":"teleport","data":{"reqPath":"/3/0","code":"4.00","codeMsg":"bad_request","reason":"msgType is none of the commands"}}"#,
        ),
        (
            r#"{"reqID":1,"msgType":7,"data":{"basePath":"/3/0"}}"#,
            r#"{"reqID":1,"msgType":7,"data":{"reqPath":"/3/0","code":"4.00","codeMsg":"bad_request","reason":"msgType is none of the commands"}}"#,
        ),
        (
            r#"{"msgType":"read"}"#,
            r#"{"msgType":"read","data":{"reqPath":null,"code":"4.00","codeMsg":"bad_request","reason":"data is missing or no object"}}"#,
        ),
        (
            r#"{"msgType":"read","data":{"reqPath":"/9"}}"#,
            r#"{"msgType":"read","data":{"reqPath":"/9","code":"4.00","codeMsg":"bad_request","reason":"data.path is missing"}}"#,
        ),
        (
            r#"{"msgType":"read","data":{"path":[3]}}"#,
            r#"{"msgType":"read","data":{"reqPath":[3],"code":"4.00","codeMsg":"bad_request","reason":"data.path must be a string"}}"#,
        ),
        (
            r#"{"a":{"b":18446744073709551615},"msgType":"read","data":{"path":"/1/2/3/4/5"}}"#,
            r#"{"a":{"b":18446744073709551615},"msgType":"read","data":{"reqPath":"/1/2/3/4/5","code":"4.00","codeMsg":"bad_request","reason":"data.path is no path: a path has at most four segments"}}"#,
        ),
        (
            r#"{"encoding":"hex","msgType":"write","data":{"path":"/3/0/14","type":"String","value":"4"}}"#,
            r#"{"encoding":"hex","msgType":"write","data":{"reqPath":"/3/0/14","code":"4.00","codeMsg":"bad_request","reason":"value 0: not hexadecimal"}}"#,
        ),
    ];
    for profile in BOTH {
        let bench = Bench::new(profile);
        for (payload, report) in cases {
            assert_eq!(bench.refusal(payload), report);
        }
    }
}

#[test]
fn a_report_goes_to_the_topic_of_its_msg_type() {
    let cases = [
        ("notify", "lwm2m/EP/up/notify"),
        ("register", "lwm2m/EP/up/register"),
        ("update", "lwm2m/EP/up/update"),
        ("ack", "lwm2m/EP/up/resp"),
        ("read", "lwm2m/EP/up/resp"),
    ];
    for profile in BOTH {
        let mut settings = Settings::of(profile);
        settings.topics.register.topic = "up/register".to_owned();
        settings.topics.update.topic = "up/update".to_owned();
        let bench = Bench::with(settings);
        for (message, topic) in cases {
            match bench.downlink(&format!(r#"{{"msgType":"{message}","data":{{}}}}"#)) {
                Downlink::Refused { publications, .. } => assert_eq!(publications[0].topic, topic),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn with_report_profile_each_release_is_as_silent_as_it_is() {
    let told_by_5 = [
        r#"{"msgType":"teleport","data":{}}"#,
        r#"{"msgType":7,"data":{}}"#,
        r#"{"msgType":"read"}"#,
        r#"{"encoding":"hex","msgType":"write","data":{"path":"/3/0/14","type":"String","value":"4"}}"#,
    ];
    let told_by_none = [
        r#"{"msgType":"read","data":{"path":"/1/2/3/4/5"}}"#,
        r#"{"msgType":"write","data":{"path":"/3/0/14","type":"Text","value":"4"}}"#,
        r#"{"msgType":"execute","data":{"path":"/3/0/4","args":[]}}"#,
    ];
    for (profile, told) in [(Emqx4, 0), (Emqx5, told_by_5.len())] {
        let bench = Bench::with(Settings { report: Report::Profile, ..Settings::of(profile) });
        let reported = |payload: &&str| matches!(bench.downlink(payload), Downlink::Refused { .. });
        assert_eq!(told_by_5.iter().filter(|payload| reported(payload)).count(), told);
        assert_eq!(told_by_none.iter().filter(|payload| reported(payload)).count(), 0);
    }
}

/// Fact 72: 65535 is no id.
#[test]
fn paths_that_are_none_are_refused() {
    let bench = Bench::new(Emqx4);
    for given in ["/1/2/3/4/5", "", "/", "//", "/3//0", "/65535", "/3/65536", "/a", "/-1", "/3/0 "]
    {
        let payload = format!(r#"{{"msgType":"read","data":{{"path":"{given}"}}}}"#);
        let fault = fault(&bench, &payload);
        assert_eq!(fault.name(), "path", "{given:?} {fault}");
    }
}

#[test]
fn writes_that_cannot_be_made_are_refused() {
    let item = |data: &str| format!(r#""basePath":"/3/0","content":[{data}]"#);
    let value = |item: usize, error: ValueFault| Fault::Value { item, error };
    let cases = [
        (r#""path":"/3/0","type":"String","value":"x""#.to_owned(), None),
        (r#""path":"/3","type":"String","value":"x""#.to_owned(), None),
        (r#""type":"String","value":"x""#.to_owned(), Some(Fault::Missing("path"))),
        (r#""path":"/3/0/14","value":"x""#.to_owned(), Some(value(0, ValueFault::Type))),
        (
            r#""path":"/3/0/14","type":"string","value":"x""#.to_owned(),
            Some(value(0, ValueFault::Type)),
        ),
        (r#""path":"/3/0/14","type":"","value":"x""#.to_owned(), Some(value(0, ValueFault::Type))),
        (r#""path":"/3/0/14","type":"String""#.to_owned(), Some(value(0, ValueFault::Missing))),
        (
            r#""path":"/3/0/14","type":"String","value":null"#.to_owned(),
            Some(value(0, ValueFault::Missing)),
        ),
        (
            r#""path":"/3/0/9","type":"Float","value":1e400"#.to_owned(),
            Some(value(0, ValueFault::Range)),
        ),
        (r#""basePath":"/3","content":[]"#.to_owned(), None),
        (r#""basePath":"/3/0/6/1","content":[]"#.to_owned(), None),
        (r#""basePath":"/3/0/6/1/2","content":[]"#.to_owned(), None),
        (r#""basePath":"/3/0""#.to_owned(), Some(Fault::Missing("content"))),
        (r#""basePath":"/3/0","content":{}"#.to_owned(), None),
        (item("1"), Some(value(0, ValueFault::NotAnObject))),
        (item(r#"{"type":"Integer","value":1}"#), Some(value(0, ValueFault::Path))),
        (item(r#"{"path":"","type":"Integer","value":1}"#), Some(value(0, ValueFault::Path))),
        (item(r#"{"path":"6/1/2","type":"Integer","value":1}"#), Some(value(0, ValueFault::Path))),
        (item(r#"{"path":9,"type":"Integer","value":1}"#), Some(value(0, ValueFault::Path))),
        (
            item(
                r#"{"path":"9","type":"Integer","value":1},{"path":"13","type":"Integer","value":1.5}"#,
            ),
            Some(value(1, ValueFault::Mismatch("an integer or its decimal text"))),
        ),
        (r#""path":"/3/0/9","type":"Integer","value":1,"mode":"patch""#.to_owned(), None),
        (r#""path":"/3/0/9","type":"Integer","value":1,"format":"xml""#.to_owned(), None),
    ];
    for profile in BOTH {
        let bench = Bench::new(profile);
        for (data, expected) in &cases {
            let payload = format!(r#"{{"msgType":"write","data":{{{data}}}}}"#);
            let fault = fault(&bench, &payload);
            if let Some(expected) = expected {
                assert_eq!(&fault, expected, "{data}");
            }
            bench.refusal(&payload);
        }
    }
}

#[test]
fn other_commands_that_cannot_be_made_are_refused() {
    let cases = [
        ("execute", r#""path":"/3/0/4","args":1"#),
        ("execute", r#""path":"/3/0/4","args":["0"]"#),
        ("create", ""),
        ("create", r#""basePath":"/6/0""#),
        ("create", r#""basePath":"/6","content":[{"path":"0","type":"Integer","value":1}]"#),
        ("create", r#""basePath":"/6","content":7"#),
        ("write-attr", r#""path":"/3/0/9","pmin":"abc""#),
        ("write-attr", r#""path":"/3/0/9","pmin":true"#),
        ("write-attr", r#""path":"/3/0/9","gt":1e400"#),
        ("read", r#""path":"/3","accept":"xml""#),
        ("read", r#""path":"/3","accept":65536"#),
        ("read-composite", ""),
        ("read-composite", r#""paths":[]"#),
        ("read-composite", r#""paths":"/3""#),
        ("read-composite", r#""paths":[3]"#),
        ("read-composite", r#""paths":["/3/0/x"]"#),
        ("write-composite", r#""paths":["/3"]"#),
        ("write-composite", r#""content":[{"path":"/3/0","type":"String","value":"x"}]"#),
    ];
    for profile in BOTH {
        let bench = Bench::new(profile);
        for (message, data) in cases {
            bench.refusal(&format!(r#"{{"msgType":"{message}","data":{{{data}}}}}"#));
        }
    }
}

#[test]
fn a_payload_above_the_limit_is_refused_with_a_reason() {
    for profile in BOTH {
        let bench = Bench::with(Settings { command_payload_max: 100, ..Settings::of(profile) });
        let payload = |len: usize| {
            let start = r#"{"reqID":1,"msgType":"execute","data":{"path":"/3/0/4","args":""#;
            format!("{start}{}\"}}}}", "x".repeat(len - start.len() - 3))
        };
        bench.command(&payload(100));
        let report = bench.refusal(&payload(101));
        assert!(report.starts_with(r#"{"reqID":1,"msgType":"execute","#), "{report}");
        assert!(
            report.ends_with(r#""reason":"the payload has more than 100 bytes"}}"#),
            "{report}"
        );
    }
}

#[test]
fn every_truncation_of_a_command_is_dropped() {
    let whole = r#"{"reqID":1,"msgType":"write","data":{"basePath":"/3/0/","content":[
        {"path":"13","type":"Integer","value":"12345"},{"path":"14","type":"String","value":"ü"}]}}"#;
    let bench = Bench::new(Emqx5);
    bench.command(whole);
    for len in 0..whole.len() {
        let delivery = Delivery::new("lwm2m/EP/dn/dm", &whole.as_bytes()[..len]);
        let dropped = matches!(bench.deliver(&delivery), Downlink::Dropped(Fault::NotAnObject(_)));
        assert!(dropped, "{len}");
    }
}

#[test]
fn every_fault_has_a_name() {
    let bench = Bench::new(Emqx4);
    let cases = [
        ("", "not_an_object"),
        ("{}", "no_msg_type"),
        (r#"{"msgType":"x"}"#, "unknown_msg_type"),
        (r#"{"msgType":"read"}"#, "no_data"),
        (r#"{"msgType":"read","data":{}}"#, "member"),
    ];
    for (payload, name) in cases {
        assert_eq!(fault(&bench, payload).name(), name);
    }
}
