//! What comes back: every member nobody knows, and the path as it was written.

use super::*;
use crate::testing::{code, plain};

/// The members that the answer to a read has besides its own.
fn echoed(members: &str) -> String {
    let payload = format!(r#"{{{members}"msgType":"read","data":{{"path":"/3/0/0"}}}}"#);
    let answer = Bench::new(Emqx4).answer(&payload, &code(4, 4));
    let own =
        r#""msgType":"read","data":{"reqPath":"/3/0/0","code":"4.04","codeMsg":"not_found"}}"#;
    answer.strip_prefix('{').unwrap().strip_suffix(own).unwrap().to_owned()
}

#[test]
fn every_other_member_comes_back_as_it_came() {
    let cases = [
        r#""reqID":1,"#,
        r#""reqID":"1","#,
        r#""requestID":18446744073709551615,"cacheID":-9223372036854775808,"#,
        r#""reqID":123456789012345678901234567890.50e-3,"#,
        r#""imei":"\u00e9\/","imsi":null,"serverID":[1,{"a":[]}],"encoding":"base64","#,
        r#""mheaders":{"ttl": 7200,  "x":[ ]},"#,
        r#""a b":true,"":false,"#,
        r#""seqNum":7,"#,
        "",
    ];
    for members in cases {
        assert_eq!(echoed(members), members);
    }
}

#[test]
fn of_a_repeated_member_the_last_comes_back() {
    assert_eq!(echoed(r#""reqID":1,"a":2,"reqID":3,"#), r#""a":2,"reqID":3,"#);
    let answer = Bench::new(Emqx4).answer(
        r#"{"msgType":"write","msgType":"read","data":1,"data":{"path":"/1","path":"/3/0/0"}}"#,
        &plain("EMQ"),
    );
    assert!(answer.starts_with(r#"{"msgType":"read","data":{"reqPath":"/3/0/0","#), "{answer}");
}

#[test]
fn the_path_comes_back_character_for_character() {
    let cases = [
        ("read", r#""path":"/3/0/""#, r#""/3/0/""#, r#""/3/0/""#),
        ("read", r#""path":"3/0""#, r#""3/0""#, r#""3/0""#),
        ("read", r#""path":"\/3\/0""#, r#""\/3\/0""#, r#""\/3\/0""#),
        ("read", r#""path":"/3/0?a=1&b""#, r#""/3/0?a=1&b""#, r#""/3/0""#),
        ("write", r#""basePath":"/3/0/","content":[]"#, r#""/3/0/""#, r#""/3/0/""#),
        ("write", r#""basePath":"/3/0","path":"/x","content":[]"#, r#""/x""#, r#""/x""#),
        ("create", r#""basePath":"3303/""#, r#""3303/""#, r#""3303/""#),
        ("read-composite", r#""paths":["/3/0/0"]"#, "null", "null"),
    ];
    for (message, data, four, five) in cases {
        for (profile, expected) in [(Emqx4, four), (Emqx5, five)] {
            let payload = format!(r#"{{"msgType":"{message}","data":{{{data}}}}}"#);
            let answer = Bench::new(profile).answer(&payload, &code(4, 4));
            let wanted = format!(r#""data":{{"reqPath":{expected},"code""#);
            assert!(answer.contains(&wanted), "{payload} {answer}");
        }
    }
}

#[test]
fn an_observation_repeats_only_so_much() {
    let payload = |len: usize| {
        let text = "x".repeat(len);
        format!(r#"{{"text":"{text}","msgType":"observe","data":{{"path":"/3/0/9"}}}}"#)
    };
    for profile in BOTH {
        let bench = Bench::new(profile);
        let command = bench.command(&payload(400));
        assert!(command.origin.as_bytes().len() <= engine::Origin::OBSERVE_LEN_MAX);
        let report = bench.refusal(&payload(600));
        assert!(report.contains("more than 512 bytes"), "{report}");
        bench.command(&payload(600).replace("observe", "read"));
    }
}
