use super::*;
use crate::{Format, Path, Version};
use proptest::prelude::*;

fn register<'a>(query: &[&'a str], payload: &str) -> Register<'a> {
    Register::parse(query.iter().map(|option| option.as_bytes()), payload.as_bytes())
        .expect("can be read")
}

fn links(payload: &str) -> ObjectLinks {
    ObjectLinks::parse(payload.as_bytes()).expect("can be read").expect("not empty")
}

fn parameters(options: &[&str]) -> Parameters {
    Parameters::from_options(options.iter().copied()).expect("valid")
}

#[test]
fn endpoint_names_are_safe_in_topics_and_options() {
    let longest = "x".repeat(ENDPOINT_NAME_LEN_MAX);
    for name in ["a", "urn:imei:350077452003900", "a/b", "ünï", " ", "up", "a=b&c", &longest] {
        assert_eq!(EndpointName::parse(name).expect(name).as_str(), name);
    }
    let too_long = "x".repeat(ENDPOINT_NAME_LEN_MAX + 1);
    let cases = [
        ("", EndpointNameError::Empty),
        ("+", EndpointNameError::Wildcard),
        ("a+b", EndpointNameError::Wildcard),
        ("#", EndpointNameError::Wildcard),
        ("a\0b", EndpointNameError::Control),
        ("a\nb", EndpointNameError::Control),
        ("a\u{85}b", EndpointNameError::Control),
        ("/a", EndpointNameError::SlashAtEnd),
        ("a/", EndpointNameError::SlashAtEnd),
        ("/", EndpointNameError::SlashAtEnd),
        (&too_long, EndpointNameError::TooLong),
    ];
    for (name, error) in cases {
        assert_eq!(EndpointName::parse(name), Err(error), "{name:?}");
    }
}

/// Fact 6: a missing `lt` is allowed, and means 86400 s.
#[test]
fn a_missing_lifetime_is_a_day() {
    assert_eq!(register(&["ep=a"], "").lifetime, Ok(None));
    assert_eq!(Lifetime::DEFAULT.as_secs(), 86_400);
}

/// Fact 8: 0 and numbers beyond 2^31 and 2^32 are lifetimes like any other.
#[test]
fn lifetimes_never_overflow() {
    let cases = [
        ("lt=0", Ok(0)),
        ("lt=00060", Ok(60)),
        ("lt=2147483648", Ok(1 << 31)),
        ("lt=4294967296", Ok(1 << 32)),
        ("lt=18446744073709551615", Ok(u64::MAX)),
        ("lt=18446744073709551616", Err(LifetimeError::TooLarge)),
        ("lt=", Err(LifetimeError::NotANumber)),
        ("lt=-1", Err(LifetimeError::NotANumber)),
        ("lt=+1", Err(LifetimeError::NotANumber)),
        ("lt=1.5", Err(LifetimeError::NotANumber)),
        ("lt=60s", Err(LifetimeError::NotANumber)),
        ("lt=1e3", Err(LifetimeError::NotANumber)),
    ];
    for (option, expected) in cases {
        let lifetime = register(&[option], "").lifetime;
        assert_eq!(
            lifetime,
            expected.map(|seconds| Some(Lifetime::from_secs(seconds))),
            "{option}"
        );
    }
    assert_eq!(Lifetime::from_secs(u64::MAX).as_duration().as_secs(), u64::MAX);
}

/// Fact 3: values hold `=`, escapes and UTF-8; only the first `=` splits.
#[test]
fn only_the_first_equals_sign_splits() {
    let register = register(&["ep=urn:x=1==", "sms=%2B1=2", "name=Zähler=№1", "a&b=c&d"], "");
    assert_eq!(register.endpoint, Some("urn:x=1=="));
    let all: Vec<_> = register.parameters.iter().collect();
    assert_eq!(all, [("sms", Some("%2B1=2")), ("name", Some("Zähler=№1")), ("a&b", Some("c&d"))]);
    let bad = Register::parse([b"ep=\xff".as_slice()], b"");
    assert_eq!(bad, Err(RegisterError::Parameters(ParametersError::NotUtf8)));
}

#[test]
fn the_last_of_a_repeated_key_wins_and_order_is_kept() {
    let register = register(&["ep=a", "x=1", "lt=5", "y=2", "x=3", "ep=b", "lt=7", "y"], "");
    assert_eq!(register.endpoint, Some("b"));
    assert_eq!(register.lifetime, Ok(Some(Lifetime::from_secs(7))));
    assert_eq!(register.parameters.options().collect::<Vec<_>>(), ["x=3", "y"]);
}

#[test]
fn oddities_are_left_for_the_profile_to_judge() {
    let plain = parameters(&["b=U", "Q", "sms="]);
    assert_eq!((plain.value_less_keys().count(), plain.has_empty_key()), (0, false));
    let odd = register(&["ep", "lt", "flag", "=value", "Q"], "");
    assert_eq!((odd.endpoint, odd.lifetime), (None, Ok(None)));
    assert_eq!(odd.parameters.value_less_keys().collect::<Vec<_>>(), ["ep", "lt", "flag"]);
    assert!(odd.parameters.has_empty_key());
    assert!(parameters(&[""]).has_empty_key());
    let kept = odd.parameters.filtered(|key, value| value.is_some() || key == "Q");
    assert_eq!(kept.options().collect::<Vec<_>>(), ["=value", "Q"]);
}

/// Fact 2: queue mode is the value-less `Q` of 1.1 or the `UQ` of 1.0; a binding that does not fit
/// the version is meant as it reads.
#[test]
fn queue_mode_is_told_in_several_ways() {
    let cases: [(&[&str], QueueMode); 14] = [
        (&[], QueueMode::Off),
        (&["b=U"], QueueMode::Off),
        (&["b=U", "Q"], QueueMode::Parameter),
        (&["Q="], QueueMode::Parameter),
        (&["Q=no"], QueueMode::Off),
        (&["b=UQ"], QueueMode::Binding),
        (&["b=SQ"], QueueMode::Binding),
        (&["b=UQS"], QueueMode::Binding),
        (&["lwm2m=1.1", "b=UQ"], QueueMode::Binding),
        (&["b=UT"], QueueMode::Off),
        (&["apn=Ctnb"], QueueMode::Apn),
        (&["apn=psmA.eDRX0.ctnb", "b=U"], QueueMode::Apn),
        (&["apn=psmF.eDRXC.ctnb", "b=UQ"], QueueMode::Binding),
        (&["apn=internet"], QueueMode::Off),
    ];
    for (options, mode) in cases {
        assert_eq!(parameters(options).queue_mode(), mode, "{options:?}");
    }
}

/// Fact 2: each version has its own set of bindings.
#[test]
fn a_binding_fits_its_version_or_not() {
    let cases = [
        ("U", "1.0", true),
        ("UQ", "1.0", true),
        ("UQS", "1.0", true),
        ("UT", "1.0", false),
        ("", "1.0", false),
        ("U", "1.1", true),
        ("UT", "1.1", true),
        ("UTSN", "1.1", true),
        ("UQ", "1.1", false),
        ("UM", "1.1", false),
        ("UU", "1.1", false),
        ("", "1.1", false),
        ("UM", "1.2", true),
        ("H", "1.2", true),
        ("UX", "1.2", false),
    ];
    for (binding, version, expected) in cases {
        let parameters = parameters(&[&format!("b={binding}")]);
        let version = Version::parse(version).expect("valid");
        let fits = parameters.binding().map(|binding| binding.fits(version));
        assert_eq!(fits, Some(expected), "{binding} in {version}");
    }
}

/// Fact 1: the version is a parameter of its own, kept as it was sent so that a foreign one can be
/// told.
#[test]
fn versions_are_accepted_by_a_list() {
    let cases = [
        ("1", true),
        ("1.0", true),
        ("1.1", true),
        ("1.2", true),
        ("1.anything", true),
        ("10", false),
        ("2.0", false),
        ("", false),
        ("v1", false),
        ("1 .0", false),
    ];
    for (text, accepted) in cases {
        let parameters = parameters(&[&format!("lwm2m={text}")]);
        let version = parameters.lwm2m().expect("given");
        assert_eq!(version.as_str(), text);
        assert_eq!(version.is_one_of(&["1"]), accepted, "{text:?}");
    }
    let parameters = parameters(&["lwm2m=1.2"]);
    let version = parameters.lwm2m().expect("given");
    assert_eq!(version.version(), Some(Version::V1_2));
    assert!(version.is_one_of(&["1.0", "1.2"]));
    assert!(!version.is_one_of(&["1.0", "1.1"]));
    assert!(!version.is_one_of::<&str>(&[]));
    assert_eq!(Parameters::empty().lwm2m(), None);
}

/// Fact 14: an Update with an object list replaces it, one without leaves it; parameters are laid
/// over the registered ones.
#[test]
fn an_update_is_laid_over_the_registration() {
    let registered = parameters(&["lwm2m=1.1", "b=U", "sms=1", "Q"]);
    let update = Update::parse([b"b=UQ".as_slice(), b"ep=other", b"new=2", b"lt=9"], b"")
        .expect("can be read");
    assert_eq!(update.links, None);
    assert_eq!(update.lifetime, Ok(Some(Lifetime::from_secs(9))));
    let merged = registered.overlaid(&update.parameters);
    let options: Vec<_> = merged.options().collect();
    assert_eq!(options, ["lwm2m=1.1", "sms=1", "Q", "b=UQ", "new=2"]);
    assert_eq!(registered.overlaid(&Parameters::empty()), registered);
    let update = Update::parse([], b"</3/0>").expect("can be read");
    assert_eq!(update.links, Some(links("</3/0>")));
    assert_eq!((update.lifetime, update.parameters), (Ok(None), Parameters::empty()));
}

#[test]
fn parameters_are_bounded() {
    let many: Vec<_> = (0..=PARAMETERS_MAX).map(|number| format!("k{number}=v")).collect();
    let parse = |len: usize| Parameters::from_options(many[..len].iter().map(String::as_str));
    assert_eq!(parse(PARAMETERS_MAX + 1), Err(ParametersError::TooMany));
    let full = parse(PARAMETERS_MAX).expect("at the limit");
    assert_eq!(full.iter().count(), PARAMETERS_MAX);
    // Updates cannot make a registration grow beyond it either.
    let more = full.overlaid(&parameters(&["other=1"]));
    assert_eq!(more.iter().count(), PARAMETERS_MAX);
    let long = format!("k={}", "x".repeat(254));
    assert_eq!(Parameters::from_options([&*long]), Err(ParametersError::TooLong));
    let longest = parameters(&[&long[..255], "b=U"]);
    assert_eq!(longest.value("k").map(str::len), Some(253));
    assert_eq!(longest.value("b"), Some("U"));
}

/// EMQX's table of object lists, section 2.4 of the compatibility reference, and the rows added to
/// it.
#[test]
fn object_lists_are_published_as_emqx_does() {
    let cases: [(&str, &str, &[&str]); 16] = [
        ("</1>, </2>, </3/0>", "/", &["/1", "/2", "/3/0"]),
        (r#"</>;rt="oma.lwm2m";ct=11543,</lwm2m/1/0>"#, "/", &["/lwm2m/1/0"]),
        (r#"</lwm2m>;rt="oma.lwm2m";ct=11543,</lwm2m/1/0>,</3/0>"#, "/lwm2m", &["/1/0", "/3/0"]),
        (r#"</1/0>;ver=1.1, </3/0>;ct="60""#, "/", &["/1/0", "/3/0"]),
        // The root link may stand anywhere.
        (r#"</lwm2m/1/0>,</lwm2m>;rt="oma.lwm2m""#, "/lwm2m", &["/1/0"]),
        // Unquoted, and in a list.
        ("</lwm2m>;rt=oma.lwm2m,</lwm2m/1/0>", "/lwm2m", &["/1/0"]),
        (r#"</lwm2m>;rt="core.x oma.lwm2m",</lwm2m/1/0>"#, "/lwm2m", &["/1/0"]),
        // Two of them: the first counts, both are left out.
        (r#"</a>;rt="oma.lwm2m",</b>;rt="oma.lwm2m",</a/1>,</b/2>"#, "/a", &["/1", "/b/2"]),
        // Only whole segments are a prefix.
        (r#"</lwm2m>;rt="oma.lwm2m",</lwm2m2/1>"#, "/lwm2m", &["/lwm2m2/1"]),
        (r#"</a/b/>;rt="oma.lwm2m",</a/b/3/0>"#, "/a/b/", &["/3/0"]),
        // Attributes without a value are no trouble.
        ("</5>;obs,</3/0>;hb", "/", &["/5", "/3/0"]),
        // Commas and semicolons in quotes.
        (r#"</5/0>;title="a,</6/0>;b",</3/0>"#, "/", &["/5/0", "/3/0"]),
        // No brackets, rubbish behind them, empty pieces.
        ("/1/0, 3/0 ,,</4/0>rubbish;x,", "/", &["/1/0", "3/0", "/4/0rubbish"]),
        ("</a/b>,</1/65535>", "/", &["/a/b", "/1/65535"]),
        (",;,<>", "/", &[]),
        (" ", "/", &[]),
    ];
    for (payload, alternate_path, object_list) in cases {
        let links = links(payload);
        assert_eq!(links.alternate_path(), alternate_path, "{payload}");
        assert_eq!(links.object_list().collect::<Vec<_>>(), object_list, "{payload}");
    }
    assert_eq!(ObjectLinks::parse(b""), Ok(None));
}

/// What the engine sees of a payload, as `objects` (with versions) and `instances`.
fn seen(payload: &str) -> (String, String) {
    let links = links(payload);
    let version = |version: Option<Version>| version.map_or(String::new(), |v| format!("@{v}"));
    let objects = links.objects().iter().map(|o| format!("{}{}", o.object, version(o.version)));
    let instances = links.instances().iter().map(Path::to_string);
    (objects.collect::<Vec<_>>().join(" "), instances.collect::<Vec<_>>().join(" "))
}

/// Fact 15: `</1/0>` and `</3>` mix, unknown objects are accepted, `ver` is on the object link.
#[test]
fn register_payloads_of_real_clients_are_understood() {
    let cases = [
        (
            // Wakaama
            concat!(
                r#"</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</2/0>,</3/0>,"#,
                "</31024>;ver=1.0,</31024/10>,</31024/11>,</31024/12>"
            ),
            "1@1.1 2 3 31024@1.0",
            "/1/0 /2/0 /3/0 /31024/10 /31024/11 /31024/12",
        ),
        // Wakaama 1.0
        (r#"</>;rt="oma.lwm2m";ct=11543,</1/0>,</3/0>"#, "1 3", "/1/0 /3/0"),
        // Anjay: an object without instances stands alone, there is no root link.
        ("</1/1>,</2>,</3/0>,</10>;ver=1.1,</10/0>,</11>", "1 2 3 10@1.1 11", "/1/1 /3/0 /10/0"),
        (
            // Leshan
            concat!(
                r#"</>;rt="oma.lwm2m";ct="60 110 112 11542 11543",</1/0>,</3>;ver=1.2,"#,
                "</3/0>,</6/0>,</3303>;ver=1.1,</3303/0>,</3442/0>"
            ),
            "1 3@1.2 6 3303@1.1 3442",
            "/1/0 /3/0 /6/0 /3303/0 /3442/0",
        ),
        // lwm2m-node-lib
        ("</3/0>", "3", "/3/0"),
    ];
    for (payload, objects, instances) in cases {
        assert_eq!(seen(payload), (objects.to_owned(), instances.to_owned()), "{payload}");
    }
}

/// Fact 15: the version belongs to the object, wherever it stands and however it is quoted.
#[test]
fn versions_are_found_on_object_and_instance_links() {
    assert_eq!(seen(r#"</3/0>;ver="1.1",</3>"#).0, "3@1.1");
    assert_eq!(seen("</3>,</3/0>;ver=1.2").0, "3@1.2");
    assert_eq!(seen("</3>;ver=x,</5>;ver,</7>;ver=").0, "3 5 7");
    assert_eq!(seen("</3>;ver=1.2,</3>;ver=1.1,</3/0>,</3/0>"), ("3@1.2".into(), "/3/0".into()));
}

/// Fact 16: links outside of the root are published but not addressed.
#[test]
fn links_outside_of_the_root_are_not_addressed() {
    let payload = r#"</lwm2m>;rt="oma.lwm2m";ct="110 11542",</lwm2m/1/0>,</lwm2m/3>,</5/0>,</x>"#;
    assert_eq!(seen(payload), ("1 3".into(), "/1/0".into()));
    let links = links(payload);
    assert_eq!(links.object_list().collect::<Vec<_>>(), ["/1/0", "/3", "/5/0", "/x"]);
    assert_eq!(links.alternate_segments().collect::<Vec<_>>(), ["lwm2m"]);
    assert_eq!(seen("</1/0/3>,</65535>,</1/65535>,</>,</a/1>"), ("1".into(), "/1/0".into()));
}

/// Fact 18: `ct` of the root link is the device's list of formats.
#[test]
fn the_root_link_tells_the_formats() {
    let cases: [(&str, &[u16]); 7] = [
        (r#"</>;rt="oma.lwm2m";ct="60 110 112 11542 11543""#, &[60, 110, 112, 11542, 11543]),
        (r#"</>;ct=110;rt="oma.lwm2m""#, &[110]),
        (r#"</>;rt="oma.lwm2m";ct="110 x 112  110 99999""#, &[110, 112]),
        (r#"</>;rt="oma.lwm2m";ct"#, &[]),
        (r#"</>;rt="oma.lwm2m""#, &[]),
        // Only that of the root counts.
        ("</3/0>;ct=60", &[]),
        (r#"</>;ct="110""#, &[]),
    ];
    for (payload, formats) in cases {
        let formats: Vec<_> = formats.iter().copied().map(Format).collect();
        assert_eq!(links(payload).formats(), formats, "{payload}");
    }
}

/// Fact 73: instance ids have gaps; those of one object are found.
#[test]
fn instances_of_an_object_are_found() {
    let links = links("</3/0>,</5>,</1/65534>,</1/7>,</31024/10>");
    let of = |object| links.instances_of(object).iter().map(Path::to_string).collect::<Vec<_>>();
    assert_eq!(of(1), ["/1/7", "/1/65534"]);
    assert_eq!(of(3), ["/3/0"]);
    assert!(of(5).is_empty() && of(0).is_empty() && of(65535).is_empty());
    assert!(links.has_object(5) && !links.has_object(6));
}

#[test]
fn links_are_bounded_and_comparable() {
    let many = "</1>,".repeat(LINKS_MAX);
    assert_eq!(links(&many).objects().len(), 1);
    let more = format!("{many}</2>");
    assert_eq!(ObjectLinks::parse(more.as_bytes()), Err(LinksError::TooMany));
    assert_eq!(ObjectLinks::parse(b"</\xff>"), Err(LinksError::NotUtf8));
    assert_eq!(links("</1/0>, </3/0>"), links("</1/0>,</3/0>;x=1"));
    assert_ne!(links("</1/0>,</3/0>"), links("</3/0>,</1/0>"));
}

#[test]
fn each_truncation_of_a_register_payload_is_read() {
    let whole = r#"</lwm2m>;rt="oma.lwm2m";ct="60 110",</lwm2m/3>;ver=1.1,</lwm2m/3/0>,</ä>"#;
    for len in 0..=whole.len() {
        match ObjectLinks::parse(&whole.as_bytes()[..len]) {
            Ok(links) => assert_eq!(links.is_none(), len == 0),
            Err(error) => {
                assert_eq!((error, whole.is_char_boundary(len)), (LinksError::NotUtf8, false));
            }
        }
    }
}

proptest! {
    #[test]
    fn links_survive_being_stored(payload in "[</>,;\"=a-c0-3. \n]{1,60}") {
        let links = links(&payload);
        prop_assert_eq!(ObjectLinks::from_parts(links.to_parts()), links.clone());
        prop_assert!(links.instances().is_sorted());
        prop_assert!(links.objects().is_sorted_by_key(|entry| entry.object));
        let known = links.instances().iter().filter_map(Path::object_id);
        prop_assert!(known.into_iter().all(|object| links.has_object(object)));
    }

    #[test]
    fn parameters_survive_being_stored(options in proptest::collection::vec("\\PC{0,60}", 0..12)) {
        if let Ok(parameters) = Parameters::from_options(options.iter().map(String::as_str)) {
            let again = Parameters::from_options(parameters.options());
            prop_assert_eq!(again, Ok(parameters));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        queries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..5),
        payload in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let queries = || queries.iter().map(Vec::as_slice);
        let register = Register::parse(queries(), &payload);
        let update = Update::parse(queries(), &payload);
        prop_assert_eq!(register.map(|register| register.links), update.map(|update| update.links));
    }
}
