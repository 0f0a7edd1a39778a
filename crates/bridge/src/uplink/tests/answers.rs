//! Answers, acknowledgements and ends without an answer: sections 4.1, 4.2, 4.4 and table 0.1.

use super::*;

#[test]
fn an_answer_has_the_shape_of_the_contract() {
    for profile in BOTH {
        let mut bench = Bench::new(profile);
        let publication = bench.answered(READ, &plain("EMQ"));
        assert_eq!(publication.topic, "lwm2m/EP/up/resp");
        assert!(!publication.retain);
        assert_eq!(
            text(&publication),
            r#"{"reqID":1,"msgType":"read","data":{"reqPath":"/3/0/0","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/0","value":"EMQ"}]}}"#
        );
    }
}

#[test]
fn codes_have_the_names_of_the_profile() {
    let cases = [
        (2, 1, "created"),
        (2, 2, "deleted"),
        (2, 31, "continue"),
        (4, 0, "bad_request"),
        (4, 2, "bad_option"),
        (4, 3, "forbidden"),
        (4, 4, "not_found"),
        (4, 5, "method_not_allowed"),
        (4, 6, "not_acceptable"),
        (4, 8, "request_entity_incomplete"),
        (4, 9, "conflict"),
        (4, 12, "precondition_failed"),
        (4, 13, "request_entity_too_large"),
        (4, 15, "unsupported_content_format"),
        (4, 22, "unprocessable_entity"),
        (4, 29, "too_many_requests"),
        (5, 0, "internal_server_error"),
        (5, 1, "not_implemented"),
        (5, 2, "bad_gateway"),
        (5, 3, "service_unavailable"),
        (5, 4, "gateway_timeout"),
        (5, 5, "proxying_not_supported"),
        (5, 8, "hop_limit_reached"),
        (2, 7, "unknown"),
        (7, 31, "unknown"),
    ];
    for (profile, unauthorized) in [(Emqx4, "uauthorized"), (Emqx5, "unauthorized")] {
        for (class, detail, name) in cases.into_iter().chain([(4, 1, unauthorized)]) {
            let json = Bench::new(profile).answer(READ, &code(class, detail));
            let expected = format!(
                r#"{{"reqID":1,"msgType":"read","data":{{"reqPath":"/3/0/0","code":"{class}.{detail:02}","codeMsg":"{name}"}}}}"#
            );
            assert_eq!(json, expected);
        }
    }
}

#[test]
fn errors_have_no_content_and_no_diagnostic_text() {
    for profile in BOTH {
        let error = answer(Code::NOT_FOUND, Some(Format::TEXT), b"no such resource");
        let json = Bench::new(profile).answer(READ, &error);
        assert!(json.ends_with(r#""code":"4.04","codeMsg":"not_found"}}"#), "{json}");
    }
}

#[test]
fn an_undecodable_answer_becomes_4_00() {
    for profile in BOTH {
        let json = Bench::new(profile).answer(READ, &tlv("C3 00 45"));
        assert_eq!(
            json,
            r#"{"reqID":1,"msgType":"read","data":{"reqPath":"/3/0/0","code":"4.00","codeMsg":"bad_request"}}"#
        );
    }
}

#[test]
fn read_takes_2_03_and_2_04_like_2_05() {
    for profile in BOTH {
        for (detail, name) in [(3, "valid"), (4, "changed")] {
            let with_body = answer(Code::new(2, detail), Some(Format::TEXT), b"95");
            let json = Bench::new(profile).answer(&ask("read", "/3/0/9"), &with_body);
            let data = format!(
                r#""code":"2.0{detail}","codeMsg":"{name}","content":[{{"path":"/3/0/9","value":95}}]}}}}"#
            );
            assert!(json.ends_with(&data), "{json}");
            let json = Bench::new(profile).answer(&ask("read", "/1"), &code(2, detail));
            assert!(json.ends_with(&format!(r#""codeMsg":"{name}"}}}}"#)), "{json}");
        }
    }
}

#[test]
fn success_codes_that_do_not_belong_to_the_operation_are_published_as_they_came() {
    let write = r#"{"msgType":"write","data":{"path":"/3/0/14","type":"String","value":"x"}}"#;
    let create = r#"{"msgType":"create","data":{"basePath":"/3303","content":[]}}"#;
    let cases = [
        (write.to_owned(), (2, 5), "content"),
        (write.to_owned(), (2, 4), "changed"),
        (write.to_owned(), (2, 1), "created"),
        (ask("execute", "/3/0/4"), (2, 5), "content"),
        (ask("write-attr", "/3/0/9"), (2, 5), "content"),
        (ask("observe", "/3/0/9"), (2, 4), "changed"),
        (ask("cancel-observe", "/3/0/9"), (2, 4), "changed"),
        (ask("discover", "/3/0"), (2, 4), "changed"),
        (ask("delete", "/3303/1"), (2, 5), "content"),
        (ask("delete", "/3303/1"), (2, 2), "deleted"),
        (create.to_owned(), (2, 1), "created"),
        (create.to_owned(), (2, 5), "content"),
    ];
    for profile in BOTH {
        for (command, (class, detail), name) in &cases {
            let odd = answer(Code::new(*class, *detail), Some(Format::TEXT), b"1");
            let json = Bench::new(profile).answer(command, &odd);
            let end = format!(r#""code":"{class}.0{detail}","codeMsg":"{name}"}}}}"#);
            assert!(json.ends_with(&end), "{command} {json}");
        }
    }
}

#[test]
fn cancel_observe_is_answered_with_the_value() {
    for profile in BOTH {
        let json = Bench::new(profile).answer(&ask("cancel-observe", "/3/0/9"), &plain("95"));
        assert_eq!(
            json,
            r#"{"msgType":"cancel-observe","data":{"reqPath":"/3/0/9","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/9","value":95}]}}"#
        );
    }
}

#[test]
fn an_ack_carries_the_data_of_the_command() {
    let payload = r#"{"reqID":1,"x":[ 2 ],"msgType":"read","data":{"path":"/3/0/0", "y" :1e2}}"#;
    for profile in BOTH {
        let mut bench = Bench::new(profile);
        assert_eq!(
            published(&bench.acked(payload)),
            [(
                "lwm2m/EP/up/resp",
                r#"{"reqID":1,"x":[ 2 ],"msgType":"ack","data":{"path":"/3/0/0", "y" :1e2}}"#
                    .to_owned()
            )]
        );
    }
}

#[test]
fn a_reset_and_silence_carry_the_data_of_the_command() {
    for profile in BOTH {
        let mut bench = Bench::new(profile);
        let expected = |message| {
            [format!(r#"{{"reqID":1,"msgType":"{message}","data":{{"path":"/3/0/0"}}}}"#)]
        };
        assert_eq!(bench.failure(READ, &CommandError::Reset), expected("coap_reset"));
        for acked in [false, true] {
            let timeout = CommandError::Timeout { acked };
            assert_eq!(bench.failure(READ, &timeout), expected("coap_timeout"));
        }
    }
}

#[test]
fn a_command_that_died_in_the_queue_is_reported() {
    let unavailable = ("5.03", "service_unavailable");
    let cases = [
        (CommandError::Expired, unavailable, "expired"),
        (CommandError::QueueFull, unavailable, "queue_full"),
        (CommandError::Deregistered, unavailable, "deregistered"),
        (CommandError::RegistrationExpired, unavailable, "deregistered"),
        (CommandError::Replaced, unavailable, "replaced"),
        (CommandError::UnknownDevice, ("4.04", "not_found"), "unknown_device"),
        (
            CommandError::Unsupported("no such format".into()),
            ("4.00", "bad_request"),
            "no such format",
        ),
    ];
    for profile in BOTH {
        let mut bench = Bench::new(profile);
        for (error, (code, name), reason) in &cases {
            let expected = format!(
                r#"{{"reqID":1,"msgType":"read","data":{{"reqPath":"/3/0/0","code":"{code}","codeMsg":"{name}","reason":"{reason}"}}}}"#
            );
            assert_eq!(bench.failure(READ, error), [expected]);
        }
    }
}

#[test]
fn with_report_profile_each_release_is_as_silent_as_it_is() {
    let cases = [
        (CommandError::Reset, 0, 1),
        (CommandError::Timeout { acked: false }, 0, 1),
        (CommandError::Expired, 0, 0),
        (CommandError::QueueFull, 0, 0),
        (CommandError::UnknownDevice, 0, 0),
        (CommandError::Unsupported(String::new()), 0, 0),
    ];
    for (error, four, five) in cases {
        for (profile, count) in [(Emqx4, four), (Emqx5, five)] {
            let mut bench =
                Bench::with(Settings { report: Report::Profile, ..Settings::of(profile) });
            assert_eq!(bench.failure(READ, &error).len(), count, "{error} {profile:?}");
            // Answers and acknowledgements are not reports.
            bench.answer(READ, &plain("EMQ"));
            assert_eq!(bench.acked(READ).len(), 1);
        }
    }
}

#[test]
fn a_command_that_was_not_accepted_is_answered_where_it_came_from() {
    let mut settings = Settings::of(Emqx4);
    settings.listener_mountpoints.insert(7, "site/%a/%e/".to_owned());
    let mut bench = Bench::with(settings);
    let delivery = Delivery::new("site/192.0.2.7/EP/dn/dm", READ.as_bytes());
    let Downlink::Command(command) = bench.deliver(&delivery) else { panic!("a command") };
    let mut out = Vec::new();
    let surroundings = Surroundings { models: &bench.models, wall_ms: WALL_MS };
    bench.bridge.refused(&command, &CommandError::UnknownDevice, surroundings, &mut out);
    assert_eq!(
        published(&out),
        [(
            "site/192.0.2.7/EP/up/resp",
            r#"{"reqID":1,"msgType":"read","data":{"reqPath":"/3/0/0","code":"4.04","codeMsg":"not_found","reason":"unknown_device"}}"#.to_owned()
        )]
    );
}

#[test]
fn every_outcome_goes_to_the_response_topic_of_the_command_as_well() {
    for profile in BOTH {
        let mut bench = Bench::new(profile);
        let delivery = Delivery {
            response_topic: Some("answers/1"),
            correlation: Some(b"c"),
            ..Delivery::new("lwm2m/EP/dn", OBSERVE.as_bytes())
        };
        let Downlink::Command(command) = bench.deliver(&delivery) else { panic!("a command") };
        let mut number_3 = plain("4096");
        number_3.sequence = Some(3);
        let mut out = bench.finish(&command, Ok(&number_3));
        out.extend(bench.finish(&command, Err(&CommandError::Reset)));
        out.extend(bench.finish(&command, Err(&CommandError::Expired)));
        bench.bridge.acked(&bench.device, &command.origin, &mut out);
        let (usual, named): (Vec<_>, Vec<_>) =
            out.into_iter().partition(|sent| sent.topic.starts_with("lwm2m/EP/up/"));
        assert_eq!((usual.len(), named.len()), (4, 4));
        for (usual, named) in usual.iter().zip(&named) {
            assert_eq!((&named.payload, &usual.correlation), (&usual.payload, &None));
            assert_eq!(named.topic, "answers/1");
            assert_eq!(named.correlation.as_deref(), Some(&b"c"[..]));
        }
    }
}

#[test]
fn who_names_the_usual_topic_is_told_once() {
    let mut bench = Bench::new(Emqx4);
    let delivery = Delivery {
        response_topic: Some("lwm2m/EP/up/resp"),
        correlation: Some(b"c"),
        ..Delivery::new("lwm2m/EP/dn", br#"{"msgType":"read","data":{"path":"/3/0/0"}}"#)
    };
    let Downlink::Command(command) = bench.deliver(&delivery) else { panic!("a command") };
    let out = bench.finish(&command, Ok(&plain("EMQ")));
    assert_eq!(out.len(), 1);
    assert_eq!(
        (&*out[0].topic, out[0].correlation.as_deref()),
        ("lwm2m/EP/up/resp", Some(&b"c"[..]))
    );
}

#[test]
fn an_origin_that_is_not_from_here_harms_nobody() {
    let mut bench = Bench::new(Emqx4);
    let foreign = Origin::new(b"\x01\xffnonsense");
    let mut out = Vec::new();
    bench.bridge.acked(&bench.device, &foreign, &mut out);
    assert!(out.is_empty());
}
