use super::*;
use proptest::prelude::*;

#[test]
fn a_path_is_small() {
    assert_eq!(size_of::<Path>(), 10);
    assert_eq!(size_of::<Option<Path>>(), 10);
}

#[test]
fn slashes_at_the_ends_are_optional() {
    let cases: [(&str, &[u16]); 12] = [
        ("/", &[]),
        ("", &[]),
        ("/3", &[3]),
        ("3", &[3]),
        ("3/", &[3]),
        ("/3/", &[3]),
        ("/3/0", &[3, 0]),
        ("3/0", &[3, 0]),
        ("/3/0/0", &[3, 0, 0]),
        ("/3/0/0/", &[3, 0, 0]),
        ("/3/0/6/1", &[3, 0, 6, 1]),
        ("/65534/65534/65534/65534", &[65534; 4]),
    ];
    for (text, ids) in cases {
        let path = Path::parse(text).expect(text);
        assert_eq!(path.ids(), ids, "{text:?}");
        assert_eq!(path.len(), ids.len());
        assert_eq!(Path::from_ids(ids), Some(path));
    }
}

#[test]
fn other_texts_are_no_paths() {
    let cases = [
        ("//", PathError::EmptySegment),
        ("//3", PathError::EmptySegment),
        ("/3//0", PathError::EmptySegment),
        ("3/0//", PathError::EmptySegment),
        ("/3/0/0/0/0", PathError::TooDeep),
        ("/a", PathError::NotAnId),
        ("/3/0/0?x=1", PathError::NotAnId),
        ("/-1", PathError::NotAnId),
        ("/+1", PathError::NotAnId),
        ("/ 3", PathError::NotAnId),
        ("/3 ", PathError::NotAnId),
        ("/65536", PathError::NotAnId),
        ("/000003", PathError::NotAnId),
        ("/٣", PathError::NotAnId),
        ("/99999999999999999999", PathError::NotAnId),
    ];
    for (text, error) in cases {
        assert_eq!(Path::parse(text), Err(error), "{text:?}");
    }
}

/// Fact 72: the id 65535 is reserved at every level.
#[test]
fn the_reserved_id_is_refused_at_every_level() {
    for text in ["/65535", "/3/65535", "/3/0/65535", "/3/0/6/65535"] {
        assert_eq!(Path::parse(text), Err(PathError::Reserved), "{text}");
    }
    for len in 0..4 {
        let path = Path::from_ids(&[1; 4][..len]).expect("valid ids");
        assert_eq!(path.child(MAX_ID), None);
        assert!(path.child(MAX_ID - 1).is_some());
    }
    assert_eq!(Path::from_ids(&[3, MAX_ID]), None);
}

/// Fact 73: instance ids have gaps and reach 65534.
#[test]
fn instance_ids_are_any_number() {
    for text in ["/3/0", "/3303/7", "/31024/65534"] {
        assert_eq!(Path::parse(text).expect(text).to_string(), text);
    }
}

#[test]
fn a_path_knows_its_family() {
    let path = Path::resource_instance(3, 0, 6, 1);
    assert_eq!(path.parent(), Some(Path::resource(3, 0, 6)));
    assert_eq!(path.truncated(2), Path::instance(3, 0));
    assert_eq!(path.truncated(7), path);
    assert_eq!(Path::ROOT.parent(), None);
    assert_eq!(Path::object(3).parent(), Some(Path::ROOT));
    assert!(path.starts_with(&Path::ROOT));
    assert!(path.starts_with(&Path::instance(3, 0)));
    assert!(path.starts_with(&path));
    assert!(!path.starts_with(&Path::instance(3, 1)));
    assert!(!Path::object(3).starts_with(&Path::instance(3, 0)));
    assert_eq!(path.child(1), None);
    let ids = [path.object_id(), path.instance_id(), path.resource_id()];
    assert_eq!(ids, [Some(3), Some(0), Some(6)]);
    assert_eq!(path.resource_instance_id(), Some(1));
    assert_eq!(Path::object(3).instance_id(), None);
    assert_eq!(Path::instance(0, 0).level(), Level::Instance);
}

#[test]
fn parents_are_ordered_before_their_children() {
    let ordered = ["/", "/0", "/0/0", "/0/0/0", "/0/0/0/0", "/0/1", "/3", "/3/0/9", "/3/1", "/10"];
    let paths: Vec<_> = ordered.iter().map(|text| Path::parse(text).expect(text)).collect();
    assert!(paths.is_sorted());
}

fn any_path() -> impl Strategy<Value = Path> {
    proptest::collection::vec(0..MAX_ID, 0..=4)
        .prop_map(|ids| Path::from_ids(&ids).expect("four valid ids"))
}

proptest! {
    #[test]
    fn a_path_survives_being_written(path in any_path()) {
        prop_assert_eq!(Path::parse(&path.to_string()), Ok(path));
        prop_assert_eq!(Path::from_ids(path.ids()), Some(path));
    }

    #[test]
    fn order_is_that_of_the_ids(one in any_path(), other in any_path()) {
        prop_assert_eq!(one.cmp(&other), one.ids().cmp(other.ids()));
        prop_assert_eq!(one == other, one.ids() == other.ids());
    }

    #[test]
    fn any_text_is_a_path_or_an_error(text in "[/0-9a+ -]{0,24}") {
        if let Ok(path) = Path::parse(&text) {
            prop_assert!(path.ids().iter().all(|id| *id != MAX_ID));
            let inner = text.trim_matches('/');
            let written = path.to_string();
            let ids: Vec<_> = inner.split('/').filter(|id| !id.is_empty())
                .map(|id| id.parse::<u16>().expect("digits")).collect();
            prop_assert_eq!(ids.as_slice(), path.ids());
            prop_assert!(written.starts_with('/'));
        }
    }
}
