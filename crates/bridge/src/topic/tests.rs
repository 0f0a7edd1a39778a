use std::net::Ipv6Addr;

use super::*;

fn command(text: &str) -> Template {
    Template::parse(text, Wildcards::Allowed).unwrap()
}

fn names(template: &str, topic: &str) -> Vec<String> {
    command(template).read(topic).iter().map(|named| named.endpoint.to_string()).collect()
}

#[test]
fn placeholders_of_both_profiles_are_filled() {
    let address = Address::Of(IpAddr::from([192, 0, 2, 7]));
    let cases = [
        ("lwm2m/%e/up/resp", "lwm2m/EP/up/resp"),
        ("lwm2m/${endpoint_name}/up", "lwm2m/EP/up"),
        ("${clientid}/${username}", "EP/EP"),
        ("%a/%e", "192.0.2.7/EP"),
        ("${peerhost}%e", "192.0.2.7EP"),
        ("no/placeholder", "no/placeholder"),
        ("x/${zone}/${client_attrs.tns}/%e%f", "x/${zone}/${client_attrs.tns}/EP%f"),
    ];
    for (template, topic) in cases {
        let template = Template::parse(template, Wildcards::Forbidden).unwrap();
        assert_eq!(template.fill("EP", address), topic);
    }
}

#[test]
fn addresses_are_printed_without_the_ipv6_mapping() {
    let template = Template::parse("%a", Wildcards::Forbidden).unwrap();
    let mapped: Ipv6Addr = "::ffff:192.0.2.7".parse().unwrap();
    assert_eq!(template.fill("EP", Address::Of(mapped.into())), "192.0.2.7");
    let plain = Address::Of("2001:db8::1".parse().unwrap());
    assert_eq!(template.fill("EP", plain), "2001:db8::1");
    assert_eq!(template.fill("EP", Address::Asked(Some("192.0.2.7"))), "192.0.2.7");
    assert_eq!(template.fill("EP", Address::Asked(None)), "unknown");
}

#[test]
fn a_placeholder_inside_a_name_is_not_filled_again() {
    let template = Template::parse("%e/up", Wildcards::Forbidden).unwrap();
    assert_eq!(template.fill("%a", Address::Asked(None)), "%a/up");
}

#[test]
fn levels_with_placeholders_become_plus_in_the_filter() {
    let cases = [
        ("lwm2m/%e/dn/#", "lwm2m/+/dn/#"),
        ("lwm2m/${endpoint_name}/dn/#", "lwm2m/+/dn/#"),
        ("%e/dn", "+/dn"),
        ("dev-%e/%a/+/dn/#", "+/+/+/dn/#"),
        ("%e/#", "+/#"),
        ("a//%e/", "a//+/"),
    ];
    for (template, filter) in cases {
        assert_eq!(command(template).filter(), filter, "{template}");
    }
    assert_eq!(command("lwm2m/%e/%a/dn/#").exact_filter("a/b"), "lwm2m/a/b/+/dn/#");
}

#[test]
fn a_command_topic_leads_back_to_the_endpoint() {
    let default = "lwm2m/%e/dn/#";
    let cases = [
        (default, "lwm2m/EP/dn", vec!["EP"]),
        (default, "lwm2m/EP/dn/dm", vec!["EP"]),
        (default, "lwm2m/EP/dn/a/b/c", vec!["EP"]),
        (default, "lwm2m/EP/dn/", vec!["EP"]),
        (default, "lwm2m/EP/dnx", vec![]),
        (default, "lwm2m/EP/up/resp", vec![]),
        (default, "lwm2m//dn/dm", vec![]),
        (default, "other/EP/dn", vec![]),
        (default, "lwm2m/EP", vec![]),
        (default, "", vec![]),
        (default, "lwm2m/Z\u{fc}rich \u{4e2d}/dn/dm", vec!["Z\u{fc}rich \u{4e2d}"]),
        ("%e", "EP", vec!["EP"]),
        ("%e/#", "EP", vec!["EP"]),
        ("dev-%e-x/dn", "dev-EP-x/dn", vec!["EP"]),
        ("dev-%e-x/dn", "dev-a-x-x/dn", vec!["a-x"]),
        ("%e/%e/dn", "EP/EP/dn", vec!["EP"]),
        ("%e/%e/dn", "EP/other/dn", vec![]),
        ("%a/%e/dn/#", "192.0.2.7/EP/dn/dm", vec!["EP"]),
        ("%e/+/dn", "EP/anything/dn", vec!["EP"]),
        ("%e/+/dn", "EP//dn", vec!["EP"]),
    ];
    for (template, topic, expected) in cases {
        assert_eq!(names(template, topic), expected, "{template} {topic}");
    }
}

#[test]
fn names_with_slashes_give_several_candidates_the_shortest_first() {
    assert_eq!(names("lwm2m/%e/dn/#", "lwm2m/a/b/dn/dm"), ["a/b"]);
    assert_eq!(names("lwm2m/%e/dn/#", "lwm2m/a/dn/b/dn/dm"), ["a", "a/dn/b"]);
    assert_eq!(names("%e/#", "a/b/c"), ["a", "a/b", "a/b/c"]);
    let long = format!("lwm2m/{}dn", "dn/".repeat(200));
    assert_eq!(names("lwm2m/%e/dn/#", &long).len(), CANDIDATES_MAX);
}

#[test]
fn matching_takes_a_bounded_time_whatever_the_topic() {
    let template = "%e%a%a%a/+/+/dn/#";
    let topic = format!("{}/x/y/dn", "1".repeat(4000));
    assert!(names(template, &topic).len() <= CANDIDATES_MAX);
}

#[test]
fn topics_that_cannot_be_used_are_refused_with_a_reason() {
    let long = "x".repeat(TEMPLATE_LEN_MAX + 1);
    let many = "%e".repeat(PLACEHOLDERS_MAX + 1);
    let cases = [
        ("", Wildcards::Allowed, TemplateError::Empty),
        (&*long, Wildcards::Allowed, TemplateError::TooLong),
        (&*many, Wildcards::Allowed, TemplateError::TooManyPlaceholders),
        ("up/+", Wildcards::Forbidden, TemplateError::Wildcard),
        ("up/#", Wildcards::Forbidden, TemplateError::Wildcard),
        ("a+/b", Wildcards::Allowed, TemplateError::MisplacedWildcard),
        ("+a/b", Wildcards::Allowed, TemplateError::MisplacedWildcard),
        ("a#", Wildcards::Allowed, TemplateError::MisplacedWildcard),
        ("#/a", Wildcards::Allowed, TemplateError::MisplacedWildcard),
        ("%e+/a", Wildcards::Allowed, TemplateError::MisplacedWildcard),
        ("a\0b", Wildcards::Allowed, TemplateError::Control),
        ("$SYS/%e", Wildcards::Allowed, TemplateError::Reserved),
    ];
    for (text, wildcards, error) in cases {
        assert_eq!(Template::parse(text, wildcards), Err(error), "{text:.20}");
    }
}

#[test]
fn an_uplink_topic_that_could_be_a_command_topic_is_found() {
    let cases = [
        ("lwm2m/%e/up/resp", "lwm2m/%e/dn/#", false),
        ("lwm2m/%e/dn/resp", "lwm2m/%e/dn/#", true),
        ("lwm2m/%e/dn", "lwm2m/%e/dn/#", true),
        ("lwm2m/x/dn", "lwm2m/%e/dn/#", true),
        ("%e/%e/up", "%e/dn/#", true),
        ("%e/up-%e/x", "%e/dn/#", false),
        ("%e/d%en", "%e/dn/#", true),
        ("up/%e", "%e/dn", true),
        ("a/b/c", "%e/+", false),
        ("gw-%e-up", "gw-%e-dn/#", false),
        ("gw-%e-dn", "gw-%e-dn/#", true),
        ("gw-%e", "gw-%e-dn/#", true),
        ("gw-x-dn", "gw-%e-dn/#", true),
        ("gw-x-up", "gw-%e-dn/#", false),
        ("%eup", "%edn/#", false),
        ("x%e", "%edn/+", false),
    ];
    for (uplink, commands, expected) in cases {
        let template = Template::parse(uplink, Wildcards::Forbidden).unwrap();
        assert_eq!(template.overlaps(&command(commands)), expected, "{uplink} {commands}");
    }
}

#[test]
fn a_template_prints_as_it_is_set() {
    assert_eq!(command("a/${endpoint_name}/%a/+/#").to_string(), "a/%e/%a/+/#");
}

#[test]
fn the_address_in_a_command_topic_is_kept_for_the_answer() {
    let template = command("%a/%e/dn/#");
    let [named] = &template.read("192.0.2.7/EP/dn/dm")[..] else { panic!("one name") };
    assert_eq!(named.address, Some("192.0.2.7"));
    assert_eq!(command("%e/dn").read("EP/dn")[0].address, None);
}
