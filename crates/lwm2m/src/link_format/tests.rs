use super::*;
use proptest::prelude::*;

type Attribute<'a> = (&'a str, Option<&'a str>);
type Expected<'a> = &'a [(&'a str, &'a [Attribute<'a>])];

fn read(text: &str) -> Vec<(&str, Vec<Attribute<'_>>)> {
    links(text)
        .map(|link| (link.target, link.attributes().map(|a| (a.name, a.value)).collect()))
        .collect()
}

#[test]
fn commas_inside_of_quotes_do_not_split() {
    let cases: [(&str, &[&str]); 7] = [
        ("", &[""]),
        ("</3/0>", &["</3/0>"]),
        ("</3/0>;pmin=10, </3/0/1>", &["</3/0>;pmin=10", " </3/0/1>"]),
        (
            r#"</3/0>;title="a, \"b\", c";ct="60 110",</4/0>,"#,
            &[r#"</3/0>;title="a, \"b\", c";ct="60 110""#, "</4/0>", ""],
        ),
        (r#"</1>;t="a\\",</2>"#, &[r#"</1>;t="a\\""#, "</2>"]),
        (r#"</1>;t="never closed,</2>"#, &[r#"</1>;t="never closed,</2>"#]),
        (",,", &["", "", ""]),
    ];
    for (text, pieces) in cases {
        assert_eq!(split(text).collect::<Vec<_>>(), pieces, "{text:?}");
    }
}

/// Fact 16: values are quoted or not, and attributes may have no value.
#[test]
fn links_are_read_leniently() {
    let cases: [(&str, Expected<'_>); 11] = [
        ("", &[]),
        (" , ,", &[]),
        ("</3/0>", &[("/3/0", &[])]),
        (
            r#"</>;rt="oma.lwm2m";ct="60 110 112 11542",</1/0>"#,
            &[("/", &[("rt", Some("oma.lwm2m")), ("ct", Some("60 110 112 11542"))]), ("/1/0", &[])],
        ),
        ("</5>;obs;hb;ver=1.1", &[("/5", &[("obs", None), ("hb", None), ("ver", Some("1.1"))])]),
        ("< /1 >; rt = x ;;", &[(" /1 ", &[("rt", Some("x"))])]),
        ("/1/0;ver=1", &[("/1/0", &[("ver", Some("1"))])]),
        ("</a;b>;c", &[("/a;b", &[("c", None)])]),
        ("</1/0>garbage;x=1", &[("/1/0", &[("x", Some("1"))])]),
        ("</1", &[("</1", &[])]),
        (r#"</1>;t="a;b,c";n="open"#, &[("/1", &[("t", Some("a;b,c")), ("n", Some("open"))])]),
    ];
    for (text, expected) in cases {
        let expected: Vec<_> =
            expected.iter().map(|(target, attributes)| (*target, attributes.to_vec())).collect();
        assert_eq!(read(text), expected, "{text:?}");
    }
    assert!(parse(b"</\xff>").is_err());
}

#[test]
fn a_word_is_found_in_a_list() {
    let link = links(r#"</x>;rt="core.rd oma.lwm2m";ct=110;rt=other"#).next().expect("a link");
    assert!(link.has_word("rt", "oma.lwm2m"));
    assert!(link.has_word("rt", "other"));
    assert!(link.has_word("ct", "110"));
    assert!(!link.has_word("rt", "oma"));
    assert!(!link.has_word("if", "oma.lwm2m"));
    assert_eq!(link.attribute("ct").and_then(|attribute| attribute.value), Some("110"));
    assert_eq!(link.attribute("none"), None);
}

#[test]
fn a_register_payload_is_written() {
    let mut writer = LinkWriter::new();
    writer.link("/").quoted("rt", "oma.lwm2m").attribute("ct", "60 110");
    writer.link(crate::Path::object(3)).attribute("ver", crate::Version::V1_1);
    writer.link(crate::Path::instance(3, 0));
    writer.link("/3/0/9").attribute("pmin", 10).flag("obs").quoted("title", r#"a "b" \c"#);
    let expected = r#"</>;rt="oma.lwm2m";ct="60 110",</3>;ver=1.1,</3/0>,"#.to_owned()
        + r#"</3/0/9>;pmin=10;obs;title="a \"b\" \\c""#;
    let written = writer.finish();
    assert_eq!(written, expected);
    let title = links(&written).last().and_then(|link| link.attribute("title"));
    assert_eq!(title.expect("a title").unescaped(), r#"a "b" \c"#);
}

#[test]
fn each_truncation_and_bit_flip_is_read() {
    let whole = br#"</>;rt="oma.lwm2m";ct="60 110",</3>;ver=1.1;t="a,\"b;c",</3/0>;obs"#;
    for len in 0..=whole.len() {
        let pieces = parse(&whole[..len]).expect("ASCII").count();
        assert!(pieces <= 3, "{len}");
    }
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(links) = parse(&bytes) {
            let values = links.flat_map(|link| link.attributes().map(|a| a.unescaped().len()));
            assert!(values.sum::<usize>() <= whole.len());
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        links_in in proptest::collection::vec(
            ("[a-z0-9/]{1,12}", proptest::collection::vec(("[a-z]{1,6}", "\\PC{0,12}"), 0..4)),
            1..6,
        )
    ) {
        let mut writer = LinkWriter::new();
        for (target, attributes) in &links_in {
            writer.link(target);
            for (name, value) in attributes {
                writer.attribute(name, value);
            }
        }
        let text = writer.finish();
        let read: Vec<_> = links(&text)
            .map(|link| {
                let attributes = link.attributes()
                    .map(|a| (a.name.to_owned(), a.unescaped().into_owned()))
                    .collect::<Vec<_>>();
                (link.target.to_owned(), attributes)
            })
            .collect();
        prop_assert_eq!(read, links_in);
    }

    #[test]
    fn pieces_joined_are_the_text(text in "[a-z,;\"\\\\<>/ ]{0,40}") {
        prop_assert_eq!(split(&text).collect::<Vec<_>>().join(","), text);
    }
}
