//! Read and Discover: the rows of the behaviour matrix, formats, errors.

use coap::Code;

use super::{Lab, get, path, post, profile, put};
use crate::{Profile, Slot};

/// What a request is answered with: code and Content-Format.
fn outcome(profile: Profile, ask: super::Ask) -> (Code, Option<u16>) {
    let answer = Lab::registered(profile).ask(ask);
    (answer.code, answer.format())
}

#[test]
fn without_accept_each_client_has_its_own_format() {
    let models = super::models;
    let content = |format: u16| (Code::CONTENT, Some(format));
    let rows = [
        (Profile::like_wakaama(models()), "/3/0", content(11542)),
        (Profile::like_anjay(models()), "/3/0", content(112)),
        (Profile::like_leshan(models()), "/3/0", content(11542)),
        (Profile::like_wakaama(models()), "/3/0/0", content(11542)),
        (Profile::like_anjay(models()), "/3/0/0", content(0)),
        (Profile::like_anjay(models()), "/3/0/6/0", content(0)),
        (Profile::like_leshan(models()), "/3/0/0", content(11542)),
        (Profile::like_node_lib(models()), "/3/0/0", (Code::CONTENT, None)),
    ];
    for (index, (profile, target, expected)) in rows.into_iter().enumerate() {
        assert_eq!(outcome(profile, get(target)), expected, "row {index}: {target}");
    }
}

#[test]
fn accept_is_honoured_or_refused() {
    let content = |format: u16| (Code::CONTENT, Some(format));
    let refused = (Code::NOT_ACCEPTABLE, None);
    let rows = [
        ("/3/0", 11542, content(11542)),
        ("/3/0", 11543, content(11543)),
        ("/3/0", 110, content(110)),
        ("/3/0", 112, content(112)),
        ("/3/0/0", 60, content(60)),
        ("/3/0/0", 0, content(0)),
        ("/3442/0/150", 42, content(42)),
        ("/3/0", 0, refused),
        ("/3/0/9", 42, refused),
        ("/3/0", 60, refused),
        ("/3/0", 1542, refused),
        ("/3/0", 50, refused),
    ];
    for (target, accept, expected) in rows {
        let found = outcome(profile(), get(target).accept(accept));
        assert_eq!(found, expected, "{target} in {accept}");
    }
    let old = || Profile::like_wakaama_1_0(super::models());
    assert_eq!(outcome(old(), get("/3/0").accept(110)), content(11543));
    assert_eq!(outcome(old(), get("/3/0/0").accept(110)), content(0));
    assert_eq!(outcome(old(), get("/3/0/0").accept(11542)), content(11542));
    let wakaama = Profile::like_wakaama(super::models());
    assert_eq!(outcome(wakaama.clone(), get("/3/0").accept(1542)), content(1542));
    assert_eq!(outcome(wakaama, get("/3/0").accept(112)), refused);
}

#[test]
fn what_cannot_be_read_says_why() {
    let rows = [
        (get("/0"), Code::UNAUTHORIZED),
        (get("/0/0/1"), Code::UNAUTHORIZED),
        (get("/9"), Code::NOT_FOUND),
        (get("/3/1"), Code::NOT_FOUND),
        (get("/3/0/99"), Code::NOT_FOUND),
        (get("/3/0/6/9"), Code::NOT_FOUND),
        (get("/3/0/4"), Code::METHOD_NOT_ALLOWED),
        (get("/5/0/0"), Code::METHOD_NOT_ALLOWED),
        (get("/"), Code::METHOD_NOT_ALLOWED),
        (get("/x"), Code::NOT_FOUND),
        (get("/3/0/65535"), Code::NOT_FOUND),
        (get("/").accept(40), Code::BAD_REQUEST),
        (get("/9").accept(40), Code::NOT_FOUND),
        (super::ask(Code::DELETE, "/3/0"), Code::METHOD_NOT_ALLOWED),
        (super::ask(Code::DELETE, "/9/0"), Code::NOT_FOUND),
        (put("/3/0/0").with(0, "x"), Code::METHOD_NOT_ALLOWED),
        (put("/3/0/14?con=1"), Code::BAD_REQUEST),
        (put("/3/0/14?gt=5"), Code::BAD_REQUEST),
        (post("/3/0/0"), Code::METHOD_NOT_ALLOWED),
        (post("/5/0/2"), Code::METHOD_NOT_ALLOWED),
        (super::ask(Code::PATCH, "/3/0"), Code::METHOD_NOT_ALLOWED),
    ];
    for (ask, expected) in rows {
        let shown = format!("{ask:?}");
        assert_eq!(outcome(profile(), ask), (expected, None), "{shown}");
    }
}

#[test]
fn errors_carry_a_text_only_where_the_client_gives_one() {
    let leshan = Profile::like_leshan(super::models());
    let answer = Lab::registered(leshan).ask(get("/9"));
    assert_eq!((answer.code, answer.format()), (Code::NOT_FOUND, Some(0)));
    assert!(!answer.payload.is_empty());
}

#[test]
fn the_test_object_reads_as_in_other_clients() {
    // The 20 records of Leshan's /3442/0 in TLV, brought into the order of their ids.
    let answer = Lab::registered(profile()).ask(get("/3442/0/160").accept(11542));
    assert_eq!(answer.payload, [0xc4, 0xa0, 0x38, 0x6d, 0x43, 0x80]);
    let multiple = Lab::registered(profile()).ask(get("/3442/0/1120").accept(11542));
    assert_eq!(multiple.payload, [0xa4, 0x04, 0x60, 0x42, 0x00, 0x04, 0x00]);
    let link = Lab::registered(profile()).ask(get("/3442/0/170").accept(0));
    assert_eq!(link.text(), "3:0");
    let unsigned = Lab::registered(profile()).ask(get("/3442/0/125").accept(0));
    assert_eq!(unsigned.text(), "9223372036854775808");
    let whole = Lab::registered(profile()).ask(get("/3442/0").accept(11542));
    assert_eq!(whole.payload.len(), 190);
}

#[test]
fn an_instance_is_read_without_what_is_write_only() {
    let answer = Lab::registered(profile()).ask(get("/5/0").accept(110));
    let text = answer.text();
    assert!(!text.contains("\"0\""), "{text}");
    assert!(text.contains("\"3\""), "{text}");
}

#[test]
fn discover_lists_everything_with_versions_dimensions_and_attributes() {
    let mut lab = Lab::registered(profile());
    let set = |lab: &mut Lab, target: &str| assert_eq!(lab.ask(put(target)).code, Code::CHANGED);
    set(&mut lab, "/3303?pmin=10");
    set(&mut lab, "/3303/0/5700?pmax=60&gt=30.5");
    let object = lab.ask(get("/3303").accept(40));
    assert_eq!(object.format(), Some(40));
    assert_eq!(
        object.text(),
        "</3303>;ver=1.1;pmin=10,</3303/0>,</3303/0/5601>,</3303/0/5602>,</3303/0/5603>,\
         </3303/0/5604>,</3303/0/5605>,</3303/0/5700>;pmax=60;gt=30.5,</3303/0/5701>,\
         </3303/0/5750>"
    );
    // Fact 70: what is inherited shows where the resource is asked for by itself.
    let resource = lab.ask(get("/3303/0/5700").accept(40));
    assert_eq!(resource.text(), "</3303/0/5700>;pmin=10;pmax=60;gt=30.5");
    assert_eq!(lab.ask(get("/3/0/6").accept(40)).text(), "</3/0/6>;dim=2");
    set(&mut lab, "/3303?pmin");
    assert!(lab.ask(get("/3303").accept(40)).text().starts_with("</3303>;ver=1.1,"));
}

#[test]
fn below_an_alternate_path_only_that_path_exists() {
    let mut profile = profile();
    profile.alternate_path = Some("/lwm2m".to_owned());
    let mut lab = Lab::registered(profile);
    assert_eq!(lab.ask(get("/lwm2m/3/0/0")).code, Code::CONTENT);
    assert_eq!(lab.ask(get("/3/0/0")).code, Code::NOT_FOUND);
    assert_eq!(lab.ask(get("/lwm2m3/0/0")).code, Code::NOT_FOUND);
    let links = lab.ask(get("/lwm2m/3/0/9").accept(40)).text();
    assert_eq!(links, "</lwm2m/3/0/9>");
}

#[test]
fn composite_operations_are_done_refused_or_ignored() {
    let paths = r#"[{"n":"/3/0/0"},{"n":"/9/9"},{"n":"/3/0/9"}]"#;
    let fetch = super::ask(Code::FETCH, "/").with(110, paths).accept(110);
    // Fact 64: what is not there is left out silently.
    let answer = Lab::registered(profile()).ask(fetch.clone());
    assert_eq!((answer.code, answer.format()), (Code::CONTENT, Some(110)));
    let text = answer.text();
    assert!(text.contains("lwm2m-sim") && text.contains("100") && !text.contains("/9/9"), "{text}");
    let old = Profile::new(lwm2m::Version::V1_0, super::models());
    assert_eq!(outcome(old, fetch.clone()), (Code::METHOD_NOT_ALLOWED, None));
    let mut silent = Lab::registered(Profile::like_wakaama(super::models()));
    silent.submit(&fetch);
    silent.nothing();
    silent.submit(&super::ask(Code::IPATCH, "/").with(110, "[]"));
    silent.nothing();
}

#[test]
fn unknown_critical_options_are_refused_and_elective_ones_skipped() {
    let mut lab = Lab::registered(profile());
    let mut elective = get("/3/0/0");
    elective.options.push(coap::OptionNumber(65000), b"x");
    assert_eq!(lab.ask(elective).code, Code::CONTENT);
    let mut critical = get("/3/0/0");
    critical.options.push(coap::OptionNumber(65001), b"x");
    assert_eq!(lab.ask(critical.clone()).code, Code::BAD_OPTION);
    critical.kind = coap::Type::NonConfirmable;
    lab.submit(&critical);
    lab.nothing();
}

#[test]
fn a_device_that_knows_the_time_tells_it() {
    let mut lab = Lab::registered(Profile { epoch_ms: Some(1_600_000_000_000), ..profile() });
    lab.pass_secs(9);
    assert_eq!(lab.ask(get("/3/0/13").accept(0)).text(), "1600000010");
    lab.ask(put("/3/0/13").with(0, "5"));
    assert_eq!(lab.ask(get("/3/0/13").accept(0)).text(), "5");
}

#[test]
fn a_profile_may_have_other_objects() {
    let mut profile = profile();
    let objects = std::sync::Arc::make_mut(&mut profile.objects);
    objects.set(path("/3303/7"), Slot::Instance);
    objects.remove(&path("/6"));
    profile.versions.retain(|entry| entry.object != 6);
    let mut lab = Lab::registered(profile);
    assert_eq!(lab.ask(get("/3303/7").accept(110)).text(), "[]");
    assert_eq!(lab.ask(get("/6/0/0")).code, Code::NOT_FOUND);
}
