//! Observation: section 5, section 7 and table 0.1.

use super::*;

/// The answer to an observe with this Observe number; `None`: the device left it out, and the
/// engine made up a number.
fn first(observe: Option<u32>) -> Answer {
    let sequence = observe.or(Some(500));
    Answer { observe, sequence, ..plain("4096") }
}

const CONTENT: &str = r#""data":{"reqPath":"/3/0/10","code":"2.05","codeMsg":"content","content":[{"path":"/3/0/10","value":4096}]}}"#;

#[test]
fn the_first_answer_of_an_observe_follows_the_profile() {
    let plain_answer = ("lwm2m/EP/up/resp", r#"{"reqID":307,"msgType":"observe","#.to_owned());
    let notify = |number: u32| {
        ("lwm2m/EP/up/notify", format!(r#"{{"reqID":307,"msgType":"notify","seqNum":{number},"#))
    };
    let numbered = |number: u32| {
        ("lwm2m/EP/up/resp", format!(r#"{{"reqID":307,"msgType":"observe","seqNum":{number},"#))
    };
    let cases = [
        (Emqx4, Some(0), plain_answer.clone()),
        (Emqx5, Some(0), plain_answer),
        (Emqx4, Some(3), notify(3)),
        (Emqx5, Some(3), numbered(3)),
        (Emqx4, None, notify(500)),
        (Emqx5, None, numbered(500)),
    ];
    for (profile, observe, (topic, head)) in cases {
        let publication = Bench::new(profile).answered(OBSERVE, &first(observe));
        assert_eq!(publication.topic, topic);
        assert_eq!(text(&publication), format!("{head}{CONTENT}"));
    }
}

#[test]
fn a_refused_observe_is_an_answer() {
    for profile in BOTH {
        let publication = Bench::new(profile).answered(OBSERVE, &code(4, 4));
        assert_eq!(publication.topic, "lwm2m/EP/up/resp");
        assert_eq!(
            text(&publication),
            r#"{"reqID":307,"msgType":"observe","data":{"reqPath":"/3/0/10","code":"4.04","codeMsg":"not_found"}}"#
        );
    }
}

#[test]
fn a_notification_repeats_the_members_of_its_observe() {
    for profile in BOTH {
        let mut bench = Bench::new(profile);
        for sequence in [3, 0, 0xff_ffff] {
            let out = bench.notify(&News { sequence, ..NEWS });
            let expected =
                format!(r#"{{"reqID":307,"msgType":"notify","seqNum":{sequence},{CONTENT}"#);
            assert_eq!(published(&out), [("lwm2m/EP/up/notify", expected)]);
        }
    }
}

#[test]
fn a_seq_num_of_the_application_gives_way_to_that_of_the_notification() {
    let command = r#"{"seqNum":"mine","reqID":1,"msgType":"observe","data":{"path":"/3/0/10"}}"#;
    let mut bench = Bench::new(Emqx4);
    let out = bench.notify(&News { command, ..NEWS });
    let expected = format!(r#"{{"reqID":1,"msgType":"notify","seqNum":3,{CONTENT}"#);
    assert_eq!(published(&out), [("lwm2m/EP/up/notify", expected)]);
    let answer = bench.answer(command, &first(Some(0)));
    assert_eq!(answer, format!(r#"{{"seqNum":"mine","reqID":1,"msgType":"observe",{CONTENT}"#));
}

#[test]
fn a_notification_with_an_error_is_the_end_of_the_observe() {
    for profile in BOTH {
        let news = News { code: Code::NOT_FOUND, body: b"gone", ..NEWS };
        let expected = r#"{"reqID":307,"msgType":"observe","data":{"reqPath":"/3/0/10","code":"4.04","codeMsg":"not_found"}}"#;
        assert_eq!(
            published(&Bench::new(profile).notify(&news)),
            [("lwm2m/EP/up/resp", expected.to_owned())]
        );
    }
}

#[test]
fn a_stale_notification_is_published_unless_it_is_to_be_dropped() {
    for profile in BOTH {
        let stale = News { freshness: Freshness::Stale, sequence: 1, ..NEWS };
        let out = Bench::new(profile).notify(&stale);
        assert!(text(&out[0]).contains(r#""seqNum":1,"#));
        let stale_notifications = StaleNotifications::Drop;
        let mut bench = Bench::with(Settings { stale_notifications, ..Settings::of(profile) });
        assert!(bench.notify(&stale).is_empty());
        assert_eq!(bench.notify(&NEWS).len(), 1);
        assert_eq!(bench.notify(&News { freshness: Freshness::NoNumber, ..NEWS }).len(), 1);
    }
}

#[test]
fn an_undecodable_notification_becomes_4_00() {
    for profile in BOTH {
        let news = News { format: Some(Format::TLV), body: b"\xc8", ..NEWS };
        let expected = r#"{"reqID":307,"msgType":"notify","seqNum":3,"data":{"reqPath":"/3/0/10","code":"4.00","codeMsg":"bad_request"}}"#;
        assert_eq!(
            published(&Bench::new(profile).notify(&news)),
            [("lwm2m/EP/up/notify", expected.to_owned())]
        );
    }
}

#[test]
fn notifications_of_object_5_go_where_the_settings_say() {
    use FirmwareNotify::{Both, Notify, Profile as ByProfile};
    const DM: &str = "lwm2m/EP//v1/up/dm";
    const NOTIFY: &str = "lwm2m/EP/up/notify";
    let cases: [(Profile, FirmwareNotify, &[&str]); 6] = [
        (Emqx4, ByProfile, &[NOTIFY]),
        (Emqx5, ByProfile, &[DM]),
        (Emqx4, Notify, &[NOTIFY]),
        (Emqx5, Notify, &[NOTIFY]),
        (Emqx4, Both, &[NOTIFY, DM]),
        (Emqx5, Both, &[NOTIFY, DM]),
    ];
    for (profile, firmware_notify, topics) in cases {
        let qos = crate::Qos::AtLeastOnce;
        let mut bench = Bench::with(Settings { firmware_notify, qos, ..Settings::of(profile) });
        let command = r#"{"msgType":"observe","data":{"path":"/5/0/3"}}"#;
        let out = bench.notify(&News { command, path: "/5/0/3", body: b"2", ..NEWS });
        let found: Vec<_> = out.iter().map(|publication| &*publication.topic).collect();
        assert_eq!(found, topics, "{profile:?} {firmware_notify:?}");
        for publication in &out {
            let expected = if publication.topic == DM { crate::Qos::AtMostOnce } else { qos };
            assert_eq!(publication.qos, expected);
        }
        // Others are not concerned.
        assert_eq!(bench.notify(&NEWS)[0].topic, NOTIFY);
    }
}

#[test]
fn an_observation_of_the_gateway_itself_has_no_request_id() {
    let four = format!(r#"{{"msgType":"observe",{CONTENT}"#);
    let five = format!(r#"{{"is_auto_observe":true,"msgType":"observe",{CONTENT}"#);
    for (profile, expected) in [(Emqx4, four), (Emqx5, five)] {
        let out = Bench::new(profile).auto_observed("/3/0/10", Ok(first(Some(0))));
        assert_eq!(published(&out), [("lwm2m/EP/up/resp", expected)]);
    }
    let four = format!(r#"{{"msgType":"notify","seqNum":3,{CONTENT}"#);
    let five = format!(r#"{{"is_auto_observe":true,"msgType":"notify","seqNum":3,{CONTENT}"#);
    for (profile, expected) in [(Emqx4, four), (Emqx5, five)] {
        let out = Bench::new(profile).notify(&News { command: "", ..NEWS });
        assert_eq!(published(&out), [("lwm2m/EP/up/notify", expected)]);
    }
}

#[test]
fn an_observation_that_the_gateway_could_not_set_up_is_reported_once() {
    use engine::CommandError::{Reset, Timeout};
    let refused =
        r#""msgType":"observe","data":{"reqPath":"/3/0","code":"4.04","codeMsg":"not_found"}}"#;
    let silent = r#""msgType":"coap_timeout","data":{"path":"/3/0"}}"#;
    let reset = r#""msgType":"coap_reset","data":{"path":"/3/0"}}"#;
    for (result, expected) in
        [(Ok(code(4, 4)), refused), (Err(Timeout { acked: false }), silent), (Err(Reset), reset)]
    {
        for (profile, begin) in [(Emqx4, "{"), (Emqx5, r#"{"is_auto_observe":true,"#)] {
            let out = Bench::new(profile).auto_observed("/3/0", result.clone());
            assert_eq!(published(&out), [("lwm2m/EP/up/resp", format!("{begin}{expected}"))]);
        }
    }
    let settings = Settings { report: Report::Profile, ..Settings::of(Emqx4) };
    let out = Bench::with(settings).auto_observed("/3/0", Err(Timeout { acked: false }));
    assert_eq!(published(&out), [], "as silent as the release");
}

/// Who asked had the answer long ago: what comes after a Register is one more value, whatever its
/// number, or the end.
#[test]
fn an_observation_that_is_set_up_again_notifies() {
    for profile in BOTH {
        for number in [0, 7] {
            let out = Bench::new(profile).rearmed(OBSERVE, Ok(first(Some(number))));
            let expected =
                format!(r#"{{"reqID":307,"msgType":"notify","seqNum":{number},{CONTENT}"#);
            assert_eq!(published(&out), [("lwm2m/EP/up/notify", expected)]);
        }
        let out = Bench::new(profile).rearmed(OBSERVE, Ok(code(4, 4)));
        let ended = r#"{"reqID":307,"msgType":"observe","data":{"reqPath":"/3/0/10","code":"4.04","codeMsg":"not_found"}}"#;
        assert_eq!(published(&out), [("lwm2m/EP/up/resp", ended.to_owned())]);
        let silent = CommandError::Timeout { acked: false };
        let out = Bench::new(profile).rearmed(OBSERVE, Err(silent));
        let lost = r#"{"reqID":307,"msgType":"coap_timeout","data":{"path":"/3/0/10"}}"#;
        assert_eq!(published(&out), [("lwm2m/EP/up/resp", lost.to_owned())]);
    }
}

/// Fact 61: a notification with history delivers all of it, each value with its own time.
#[test]
fn values_with_their_own_time_keep_it() {
    let body = br#"[{"bn":"/3303/0/","bt":1600000000,"n":"5700","v":20.5},
        {"n":"5700","t":60,"v":21}]"#;
    let command = r#"{"msgType":"observe","data":{"path":"/3303/0/5700"}}"#;
    let news =
        News { command, path: "/3303/0/5700", format: Some(Format::SENML_JSON), body, ..NEWS };
    let expected = r#"{"msgType":"notify","seqNum":3,"data":{"reqPath":"/3303/0/5700","code":"2.05","codeMsg":"content","content":[{"path":"/3303/0/5700","value":20.5,"timestamp":1600000000000},{"path":"/3303/0/5700","value":21.0,"timestamp":1600000060000}]}}"#;
    assert_eq!(
        published(&Bench::new(Emqx4).notify(&news)),
        [("lwm2m/EP/up/notify", expected.to_owned())]
    );
}

/// Fact 64: a composite answer may leave paths out, or say null for them.
#[test]
fn a_composite_observation_has_no_request_path() {
    let body = br#"[{"n":"/3/0/9","v":95},{"n":"/3/0/0"}]"#;
    let command =
        r#"{"reqID":1,"msgType":"observe-composite","data":{"paths":["/3/0/9","/3/0/0","/4"]}}"#;
    let news = News { command, path: "/", format: Some(Format::SENML_JSON), body, ..NEWS };
    let expected = r#"{"reqID":1,"msgType":"notify","seqNum":3,"data":{"reqPath":null,"code":"2.05","codeMsg":"content","content":[{"path":"/3/0/9","value":95},{"path":"/3/0/0","value":null}]}}"#;
    assert_eq!(
        published(&Bench::new(Emqx4).notify(&news)),
        [("lwm2m/EP/up/notify", expected.to_owned())]
    );
    let ended = News { code: Code::NOT_FOUND, ..news };
    let out = Bench::new(Emqx4).notify(&ended);
    assert!(text(&out[0]).starts_with(r#"{"reqID":1,"msgType":"observe-composite","#));
}

/// Fact 67: a Send is data without a command.
#[test]
fn a_send_goes_to_the_notify_topic() {
    let body = br#"[{"bn":"/3/0/","n":"9","v":95,"bt":1600000000},{"n":"0","vs":"EMQ"}]"#;
    for profile in BOTH {
        let Bench { mut bridge, models, device } = Bench::new(profile);
        let surroundings = Surroundings { models: &models, wall_ms: WALL_MS };
        let mut out = Vec::new();
        bridge.sent(&device, Format::SENML_JSON, body, surroundings, &mut out);
        let expected = r#"{"msgType":"send","data":{"content":[{"path":"/3/0/9","value":95,"timestamp":1600000000000},{"path":"/3/0/0","value":"EMQ","timestamp":1600000000000}]}}"#;
        assert_eq!(published(&out), [("lwm2m/EP/up/notify", expected.to_owned())]);
    }
}

#[test]
fn the_definition_is_that_of_the_version_that_the_device_registered() {
    use engine::RegisteredInfo;
    let links = ObjectLinks::parse(b"</3>;ver=1.1,</3/0>").unwrap().unwrap();
    let info = RegisteredInfo { links: Some(links.into()), ..RegisteredInfo::default() };
    let mut bench = Bench::new(Emqx4);
    bench.device = device("EP", info);
    let out = bench.notify(&NEWS);
    assert!(text(&out[0]).contains(r#""value":4096}"#));
}
