use super::*;
use crate::{DataType, Path};
use xml::XmlError;

/// A definition as one line a resource, to compare it at a glance.
fn shown(model: &ObjectModel) -> Vec<String> {
    let flags = |multiplicity: Multiplicity, presence: Presence| {
        format!("{multiplicity:?} {presence:?}").to_lowercase()
    };
    let head = format!(
        "{} {} {:?} {}",
        model.id,
        model.version,
        model.name,
        flags(model.multiplicity, model.presence)
    );
    let resource = |resource: &ResourceModel| {
        format!(
            "{} {:?} {} {:?} {}",
            resource.id,
            resource.name,
            flags(resource.multiplicity, resource.presence),
            resource.operations.name(),
            resource.data_type.name()
        )
    };
    core::iter::once(head).chain(model.resources.iter().map(resource)).collect()
}

const RESET: &str = r#"0 "Reset" single optional "E" "#;

#[test]
fn each_odd_form_of_a_file_is_read() {
    let all_types: Vec<_> = [
        "String",
        "Integer",
        "Unsigned Integer",
        "Float",
        "Boolean",
        "Opaque",
        "Time",
        "Objlnk",
        "Corelnk",
        "",
    ]
    .iter()
    .enumerate()
    .map(|(id, name)| format!(r#"{id} "Type {id}" single optional "R" {name}"#))
    .collect();
    let mut types = vec![r#"33008 1.0 "All types" multiple optional"#];
    types.extend(all_types.iter().map(String::as_str));
    let cases: [(&[u8], &[&str]); 10] = [
        (
            include_bytes!("fixtures/bom-crlf.xml"),
            &[
                r#"33001 1.0 "Byte order mark and line ends" single optional"#,
                r#"1 "Level" single mandatory "R" Float"#,
            ],
        ),
        (
            include_bytes!("fixtures/cdata.xml"),
            &[
                r#"33002 1.1 "Valves & <pumps>" multiple optional"#,
                r#"1 "Flow & <pressure> rate" single optional "R" Float"#,
            ],
        ),
        (
            include_bytes!("fixtures/no-declaration.xml"),
            &[r#"33003 1.0 "No declaration" multiple optional"#, RESET],
        ),
        (
            include_bytes!("fixtures/comments.xml"),
            &[r#"33004 1.0 "Comments" multiple optional"#, RESET],
        ),
        (
            include_bytes!("fixtures/no-versions.xml"),
            &[r#"33005 1.0 "No versions" multiple optional"#, RESET],
        ),
        (
            include_bytes!("fixtures/empty-versions.xml"),
            &[r#"33006 1.0 "Empty versions" multiple optional"#, RESET],
        ),
        (
            include_bytes!("fixtures/unsorted.xml"),
            &[
                r#"33007 2.10 "Unsorted" multiple optional"#,
                r#"0 "First" single optional "R" Time"#,
                r#"3 "Third" single optional "RW" Integer"#,
                r#"5700 "Value" single mandatory "R" Float"#,
                r#"65534 "Last" multiple optional "W" String"#,
            ],
        ),
        (include_bytes!("fixtures/types.xml"), &types),
        (
            include_bytes!("fixtures/operations.xml"),
            &[
                r#"33009 1.0 "Bootstrap only" multiple optional"#,
                r#"0 "Secret" single mandatory "" Opaque"#,
                r#"1 "Reading" single optional "R" Opaque"#,
                r#"2 "Writing" single optional "W" Opaque"#,
                r#"3 "Both" single optional "RW" Opaque"#,
                r#"4 "Running" single optional "E" "#,
            ],
        ),
        (include_bytes!("fixtures/bare.xml"), &[r#"33010 1.0 "" single optional"#]),
    ];
    for (bytes, expected) in cases {
        assert_eq!(shown(&xml::parse(bytes).expect(expected[0])), expected);
    }
}

fn object(inner: &str) -> Vec<u8> {
    format!("<LWM2M><Object>{inner}</Object></LWM2M>").into_bytes()
}

fn item(inner: &str) -> Vec<u8> {
    object(&format!("<ObjectID>9</ObjectID><Resources>{inner}</Resources>"))
}

fn bad(place: &str, element: &'static str, value: &str) -> XmlError {
    XmlError::BadElement { place: place.to_owned(), element, value: value.to_owned() }
}

#[test]
fn what_is_wrong_in_a_file_is_named() {
    let cases = [
        (object(""), XmlError::NotADefinition),
        (b"<LWM2M/>".to_vec(), XmlError::NotADefinition),
        (include_bytes!("fixtures/index.xml").to_vec(), XmlError::NotADefinition),
        (include_bytes!("fixtures/doctype.xml").to_vec(), XmlError::Doctype),
        (b"<!DOCTYPE LWM2M><LWM2M/>".to_vec(), XmlError::Doctype),
        (b"<LWM2M>\xff</LWM2M>".to_vec(), XmlError::NotUtf8),
        (vec![b' '; xml::XML_LEN_MAX + 1], XmlError::TooLarge),
        (b"<LWM2M><Object/><Object/></LWM2M>".to_vec(), XmlError::SeveralObjects),
        (object("<ObjectID>65535</ObjectID>"), bad("the object", "ObjectID", "65535")),
        (object("<ObjectID>+3</ObjectID>"), bad("the object", "ObjectID", "+3")),
        (
            object("<ObjectID>3</ObjectID><ObjectVersion>one</ObjectVersion>"),
            bad("the object", "ObjectVersion", "one"),
        ),
        (
            object("<ObjectID>3</ObjectID><Mandatory>Maybe</Mandatory>"),
            bad("the object", "Mandatory", "Maybe"),
        ),
        (item("<Item/>"), bad("a resource", "ID", "")),
        (item("<Item ID='65535'/>"), bad("a resource", "ID", "65535")),
        (
            item("<Item ID='7'><Operations>RWE</Operations></Item>"),
            bad("resource 7", "Operations", "RWE"),
        ),
        (item("<Item ID='7'><Type>Int</Type></Item>"), bad("resource 7", "Type", "Int")),
        (
            item("<Item ID='7'><MultipleInstances>Two</MultipleInstances></Item>"),
            bad("resource 7", "MultipleInstances", "Two"),
        ),
        (item("<Item ID='7'/><Item ID='1'/><Item ID='7'/>"), XmlError::RepeatedResource(7)),
    ];
    for (bytes, error) in cases {
        assert_eq!(xml::parse(&bytes), Err(error));
    }
    for text in ["", "<LWM2M>", "<LWM2M></Object></LWM2M>", "{}", "<LWM2M>&unknown;</LWM2M>"] {
        let error = xml::parse(text.as_bytes()).expect_err(text);
        assert!(matches!(error, XmlError::Malformed(_)), "{text}: {error}");
    }
    let long = object(&format!("<ObjectID>3</ObjectID><Name>{}</Name>", "x".repeat(300)));
    let error = xml::parse(&long).expect_err("too long a name");
    assert!(error.to_string().len() < 100, "{error}");
}

#[test]
fn a_hostile_file_is_refused_in_time() {
    let deep = "<a>".repeat(100_000) + &"</a>".repeat(100_000);
    let wide = format!("<LWM2M>{}</LWM2M>", "<a/>".repeat(300_000));
    assert!(xml::parse(deep.as_bytes()).is_err());
    assert!(xml::parse(wide.as_bytes()).is_err());
}

#[test]
fn each_truncation_and_bit_flip_of_a_file_is_read_or_refused() {
    let whole = include_bytes!("fixtures/cdata.xml");
    for len in 0..whole.trim_ascii_end().len() {
        assert!(xml::parse(&whole[..len]).is_err(), "{len}");
    }
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(model) = xml::parse(&bytes) {
            assert!(model.resources.len() <= 1);
        }
    }
}

#[test]
fn files_are_taken_once_and_conflicts_name_both() {
    let file = |name: &str| {
        let inner = format!("<ObjectID>33100</ObjectID><Name>{name}</Name>");
        object(&inner)
    };
    let (id, version) = (33100, Version::V1_0);
    let mut builder = ModelsBuilder::new(Models::empty());
    assert_eq!(
        builder.add_file("a.xml", &file("Pump")),
        FileOutcome::Loaded { id, version, name: "Pump".into() }
    );
    assert_eq!(builder.add_file("copy.xml", &file("Pump")), FileOutcome::Same { id, version });
    let refused = builder.add_file("b.xml", &file("Valve"));
    let FileOutcome::Refused(reason) = refused else { panic!("{refused:?}") };
    assert_eq!(reason.to_string(), "b.xml differs from a.xml about object 33100 in version 1.0");
    let broken = builder.add_file("c.xml", b"<LWM2M>");
    let FileOutcome::Refused(reason) = broken else { panic!("{broken:?}") };
    assert!(reason.to_string().starts_with("c.xml: the file is not well-formed XML"), "{reason}");
    assert_eq!(builder.add_file("DDF.xml", b"<DDFList/>"), FileOutcome::NotADefinition);
    let models = builder.finish();
    assert_eq!(models.len(), 1);
    assert_eq!(models.lookup(id, None).map(|model| &*model.name), Some("Pump"));
}

#[test]
fn a_file_takes_the_place_of_a_built_in_definition() {
    let mut builder = ModelsBuilder::new(Models::builtin());
    let inner = "<ObjectID>3303</ObjectID><ObjectVersion>1.1</ObjectVersion><Name>Mine</Name>";
    let outcome = builder.add_file("mine.xml", &object(inner));
    assert!(matches!(outcome, FileOutcome::Loaded { id: 3303, .. }), "{outcome:?}");
    let models = builder.finish();
    assert_eq!(models.len(), Models::builtin().len());
    assert_eq!(models.lookup(3303, None).map(|model| &*model.name), Some("Mine"));
}

#[test]
fn the_nearest_version_is_found_and_told() {
    let mut builder = ModelsBuilder::new(Models::empty());
    for version in ["1.1", "1.10", "2.0"] {
        let inner = format!("<ObjectID>9</ObjectID><ObjectVersion>{version}</ObjectVersion>");
        builder.add_file(version, &object(&inner));
    }
    let models = builder.finish();
    let cases = [
        (None, "2.0", Fit::Exact),
        (Some("1.1"), "1.1", Fit::Exact),
        (Some("1.10"), "1.10", Fit::Exact),
        (Some("1.0"), "1.1", Fit::Nearest),
        (Some("1.2"), "1.1", Fit::Nearest),
        (Some("1.99"), "1.10", Fit::Nearest),
        (Some("3.0"), "2.0", Fit::Nearest),
    ];
    for (asked, expected, fit) in cases {
        let found = models.find(9, asked.and_then(Version::parse)).expect("some version");
        assert_eq!((found.model.version.to_string().as_str(), found.fit), (expected, fit));
    }
    assert!(models.find(8, None).is_none());
    assert!(models.find(8, Some(Version::V1_0)).is_none());
    assert_eq!(models.versions(9).count(), 3);
}

/// Fact 15: what a missing version of an object means depends on the version of LwM2M.
#[test]
fn a_missing_version_is_that_of_the_enabler() {
    let cases = [
        (0, ["1.0", "1.1", "1.2"]),
        (1, ["1.0", "1.1", "1.2"]),
        (2, ["1.0", "1.0", "1.1"]),
        (3, ["1.0", "1.1", "1.2"]),
        (4, ["1.0", "1.2", "1.3"]),
        (5, ["1.0", "1.0", "1.1"]),
        (6, ["1.0", "1.0", "1.0"]),
        (21, ["1.0", "1.0", "2.0"]),
        (3303, ["1.0", "1.0", "1.0"]),
    ];
    for (object, versions) in cases {
        for (enabler, expected) in
            [Version::V1_0, Version::V1_1, Version::V1_2].iter().zip(versions)
        {
            assert_eq!(default_version(object, *enabler).to_string(), expected, "object {object}");
        }
    }
    assert_eq!(default_version(3, Version::new(1, 3)), Version::V1_2);
}

#[test]
fn a_view_follows_the_versions_of_the_device() {
    let models = Models::builtin();
    let versions = [
        ObjectVersion { object: 4, version: Some(Version::V1_1) },
        ObjectVersion { object: 5, version: None },
    ];
    let view = ModelView::new(&models, &versions);
    let version = |view: &ModelView<'_>, object| {
        view.object(object).map(|model| model.version.to_string()).unwrap_or_default()
    };
    assert_eq!([version(&view, 4), version(&view, 5), version(&view, 3)], ["1.1", "1.2", "1.2"]);
    let view = view.with_enabler(Some(Version::V1_0));
    assert_eq!([version(&view, 4), version(&view, 5), version(&view, 3)], ["1.1", "1.0", "1.2"]);
    assert_eq!(version(&view, 30000), "");
    // A resource that only a newer version has is found all the same.
    assert!(view.object(5).is_some_and(|model| model.resource(13).is_none()));
    let resource = view.resource(&Path::resource(5, 0, 13)).expect("defined in 5/1.1");
    assert_eq!(resource.id, 13);
    let battery = view.resource(&Path::resource_instance(3, 0, 9, 0)).expect("in 3/1.2");
    assert_eq!((&*battery.name, battery.data_type), ("Battery Level", DataType::Integer));
    assert!(view.resource(&Path::resource(3, 0, 999)).is_none());
    assert!(view.resource(&Path::instance(3, 0)).is_none());
    assert!(view.resource(&Path::resource(30000, 0, 0)).is_none());
}

#[test]
fn the_builtin_tables_are_complete_and_in_order() {
    let models = Models::builtin();
    let tables = [
        include_str!("builtin/core.txt"),
        include_str!("builtin/ipso-3200.txt"),
        include_str!("builtin/ipso-3320.txt"),
        include_str!("builtin/test.txt"),
    ];
    let lines = || tables.iter().flat_map(|table| table.lines());
    let heads = lines().filter(|line| line.starts_with('@'));
    let versions: usize = heads.map(|line| line.split(',').count()).sum();
    assert_eq!(models.len(), versions);
    let is_resource = |line: &&str| line.starts_with(|char: char| char.is_ascii_digit());
    let distinct: std::collections::BTreeSet<_> =
        models.iter().map(|model| (model.id, shown(model).split_off(1))).collect();
    let resources: usize = distinct.iter().map(|(_, resources)| resources.len()).sum();
    assert_eq!(resources, lines().filter(is_resource).count());
    for model in models.iter() {
        assert!(model.resources.is_sorted_by(|one, next| one.id < next.id), "{}", model.id);
    }
}

#[test]
fn the_builtin_set_has_what_devices_commonly_are() {
    let models = Models::builtin();
    let wanted = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 16, 19, 21, 23, 25, 26, 3308, 3441, 3442]
        .into_iter()
        .chain(3200..=3203)
        .chain(3300..=3306)
        .chain(3310..=3331)
        .chain(3336..=3348);
    for object in wanted {
        assert!(models.lookup(object, None).is_some(), "object {object}");
    }
    let resource = |object, version, id| {
        models.lookup(object, Version::parse(version)).and_then(|model| model.resource(id))
    };
    let secret = resource(0, "1.2", 5).expect("secret key");
    assert_eq!((secret.operations, secret.data_type), (Operations::Bootstrap, DataType::Opaque));
    let reboot = resource(3, "1.0", 4).expect("reboot");
    assert_eq!((reboot.operations, reboot.data_type), (Operations::Execute, DataType::None));
    assert!(resource(3, "1.2", 6).is_some_and(ResourceModel::is_multiple));
    assert!(models.lookup(1, None).is_some_and(ObjectModel::is_multiple));
    assert!(resource(4, "1.0", 11).is_none() && resource(4, "1.3", 13).is_some());
    assert_eq!(resource(3442, "1.0", 1180).map(|it| it.data_type), Some(DataType::Corelnk));
}

#[test]
fn operations_say_what_is_allowed() {
    let cases = [("", [false; 3]), ("R", [true, false, false]), ("W", [false, true, false])];
    let more = [("RW", [true, true, false]), ("E", [false, false, true])];
    for (name, allowed) in cases.into_iter().chain(more) {
        let operations = Operations::parse(name).expect(name);
        assert_eq!(operations.name(), name);
        let is = [operations.is_readable(), operations.is_writable(), operations.is_executable()];
        assert_eq!(is, allowed, "{name}");
    }
    assert_eq!(Operations::parse("r"), None);
}
