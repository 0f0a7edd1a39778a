//! Cases of the test suites that other servers skip, at the level of payloads and attributes.

use lwm2m::codec::{self, Context, UnknownPolicy};
use lwm2m::{Attributes, DataType, Format, ModelView, Models, Path, Reading};

/// ETS 235: Read-Composite on `/` asks for the root by its name, in both forms of SenML, alone and
/// beside other paths. Fact 64: a path list has no values.
#[test]
fn the_root_can_be_asked_for_in_a_composite_read() {
    let models = Models::empty();
    let models = ModelView::new(&models, &[]);
    let context = Context { models, wall_ms: 0, unknown: UnknownPolicy::Reject };
    let device = Path::parse("/3/0").expect("a path");
    for (format, paths, written) in [
        (Format::SENML_JSON, vec![Path::ROOT], &br#"[{"n":"/"}]"#[..]),
        (Format::SENML_JSON, vec![device, Path::ROOT], br#"[{"n":"/3/0"},{"n":"/"}]"#),
        (Format::SENML_CBOR, vec![Path::ROOT], b"\x81\xa1\x00\x61/"),
        (Format::SENML_CBOR, vec![Path::ROOT, device], b"\x82\xa1\x00\x61/\xa1\x00\x64/3/0"),
    ] {
        let mut out = Vec::new();
        codec::encode_paths(format, &paths, &mut out).expect("a list of paths");
        assert_eq!(out, written, "{format} {paths:?}");
        let content = codec::decode(Some(format), &Path::ROOT, &out, &context).expect("a list");
        let expected: Vec<_> = paths.into_iter().map(Reading::path_only).collect();
        assert_eq!(content.readings.as_slice(), expected, "{format}");
    }
}

/// ETS 261: attributes can be written to a resource instance. Fact 71: those for numbers only where
/// the resource is one, and none at all to the root.
#[test]
fn attributes_can_be_set_on_a_resource_instance() {
    let instance = Path::parse("/3/0/7/1").expect("a path");
    let all = ["pmin=5", "pmax=60", "gt=10", "lt=1", "st=0.5", "epmin=1", "epmax=2"];
    let attributes = Attributes::from_queries(all).expect("attributes");
    assert_eq!(attributes.check(&instance, Some(DataType::Integer)), Ok(()));
    assert_eq!(attributes.check(&instance, None), Ok(()));
    assert!(attributes.check(&instance, Some(DataType::String)).is_err());
    assert!(attributes.check(&Path::instance(3, 0), None).is_err(), "gt is for values");
    let periods = Attributes::from_queries(["pmax=60", "epmax=2"]).expect("attributes");
    assert_eq!(periods.check(&Path::instance(3, 0), None), Ok(()));
    assert!(periods.check(&Path::ROOT, None).is_err());
}
