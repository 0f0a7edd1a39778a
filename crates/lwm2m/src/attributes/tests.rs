use super::*;

/// Fact 71: a parameter without a value unsets the attribute.
#[test]
fn a_value_less_parameter_unsets() {
    let mut held = Attributes::from_queries(["pmin=10", "pmax=60"]).expect("valid");
    let update = Attributes::from_queries(["pmin", "gt=-3.5"]).expect("valid");
    assert_eq!(update.queries().collect::<Vec<_>>(), ["pmin", "gt=-3.5"]);
    held.apply(&update);
    assert_eq!(held.queries().collect::<Vec<_>>(), ["pmax=60", "gt=-3.5"]);
    // LwM2M 1.0 wrote it with the equals sign.
    held.apply(&Attributes::from_queries(["pmax="]).expect("valid"));
    assert_eq!(held.queries().collect::<Vec<_>>(), ["gt=-3.5"]);
}

/// Fact 71: `lt` < `gt` and `lt` + 2 `st` < `gt`.
#[test]
fn thresholds_must_not_contradict() {
    let path = Path::resource(3303, 0, 5700);
    let cases: [(&[&str], bool); 7] = [
        (&["lt=1", "gt=2"], true),
        (&["lt=2", "gt=2"], false),
        (&["lt=3", "gt=2"], false),
        (&["lt=1", "gt=5", "st=1.9"], true),
        (&["lt=1", "gt=5", "st=2"], false),
        (&["lt=1", "st=100"], true),
        (&["lt=3", "gt"], true),
    ];
    for (queries, valid) in cases {
        let attributes = Attributes::from_queries(queries.iter().copied()).expect("valid values");
        let expected = if valid { Ok(()) } else { Err(AttributeError::Contradiction) };
        assert_eq!(attributes.check(&path, Some(DataType::Float)), expected, "{queries:?}");
    }
}

/// Fact 71: a `pmax` below `pmin` is ignored, not refused.
#[test]
fn a_pmax_below_pmin_does_not_count() {
    let cases: [(&[&str], Option<u64>); 5] = [
        (&["pmin=10", "pmax=60"], Some(60)),
        (&["pmin=10", "pmax=10"], Some(10)),
        (&["pmin=10", "pmax=9"], None),
        (&["pmax=9"], Some(9)),
        (&["pmax=0"], None),
    ];
    for (queries, pmax) in cases {
        let attributes = Attributes::from_queries(queries.iter().copied()).expect("valid values");
        assert_eq!(attributes.effective_pmax(), pmax, "{queries:?}");
        assert_eq!(attributes.check(&Path::object(3), None), Ok(()), "{queries:?}");
    }
}

/// Fact 71: `gt`, `lt` and `st` are for numbers only, and belong to a resource.
#[test]
fn thresholds_are_for_numbers() {
    let resource = Path::resource(3, 0, 9);
    let gt = Attributes::from_queries(["gt=1"]).expect("valid");
    let edge = Attributes::from_queries(["edge=1"]).expect("valid");
    let misplaced = |attribute| Err(AttributeError::Misplaced(attribute));
    for data_type in [DataType::Integer, DataType::Unsigned, DataType::Float, DataType::Time] {
        assert_eq!(gt.check(&resource, Some(data_type)), Ok(()));
        assert_eq!(edge.check(&resource, Some(data_type)), misplaced(Attribute::Edge));
    }
    for data_type in [DataType::String, DataType::Boolean, DataType::Opaque, DataType::None] {
        assert_eq!(gt.check(&resource, Some(data_type)), misplaced(Attribute::Gt));
    }
    assert_eq!(gt.check(&resource, None), Ok(()));
    assert_eq!(gt.check(&Path::instance(3, 0), None), misplaced(Attribute::Gt));
    assert_eq!(edge.check(&resource, Some(DataType::Boolean)), Ok(()));
    let pmin = Attributes::from_queries(["pmin=1"]).expect("valid");
    assert_eq!(pmin.check(&Path::ROOT, None), misplaced(Attribute::Pmin));
    // Unsetting is allowed wherever the attribute could have come from.
    let unset = Attributes::from_queries(["gt"]).expect("valid");
    assert_eq!(unset.check(&resource, Some(DataType::String)), Ok(()));
}

#[test]
fn values_are_checked_by_attribute() {
    let cases = [
        ("pmin=60", Some("pmin=60")),
        ("pmin=60.0", Some("pmin=60")),
        ("pmin=6e1", Some("pmin=60")),
        ("pmin=1.5", None),
        ("pmin=-1", None),
        ("pmin=abc", None),
        ("pmin=18446744073709551615", Some("pmin=18446744073709551615")),
        ("pmin=18446744073709551616", None),
        ("lt=-5.0", Some("lt=-5.0")),
        ("gt=95.0", Some("gt=95.0")),
        ("gt=1e-7", Some("gt=0.0000001")),
        ("st=-1", None),
        ("st=0.5", Some("st=0.5")),
        ("con=1", Some("con=1")),
        ("con=2", None),
        ("edge=0", Some("edge=0")),
        ("hqmax=20", Some("hqmax=20")),
        ("epmin=1", Some("epmin=1")),
        ("epmax=2", Some("epmax=2")),
        ("PMIN=1", None),
        ("other=1", None),
        ("other", None),
        ("", None),
        ("=1", None),
    ];
    for (query, expected) in cases {
        let written = Attributes::from_queries([query])
            .ok()
            .map(|attributes| attributes.queries().collect::<Vec<_>>().join("&"));
        assert_eq!(written.as_deref(), expected, "{query:?}");
    }
}

#[test]
fn the_order_is_kept_and_the_last_of_a_name_wins() {
    let attributes = Attributes::from_queries(["st=1", "pmin=1", "st=2", "pmax=5"]).expect("valid");
    assert_eq!(attributes.queries().collect::<Vec<_>>(), ["pmin=1", "st=2", "pmax=5"]);
    assert_eq!(attributes.integer(Attribute::Pmin), Some(1));
    assert_eq!(attributes.number(Attribute::St), Some(2.0));
    assert_eq!(attributes.number(Attribute::Gt), None);
}

/// Fact 70: a Discover answer carries attributes beside others, such as `dim`.
#[test]
fn attributes_are_read_from_a_discover_link() {
    let mut links = crate::link_format::links("</3/0/6>;dim=2;pmin=10;gt=\"1.5\";ver=1.1;lt=x");
    let attributes = Attributes::from_link(&links.next().expect("a link"));
    assert_eq!(attributes.queries().collect::<Vec<_>>(), ["pmin=10", "gt=1.5"]);
}

#[test]
fn numbers_become_plain() {
    let cases = [
        ("0", Some("0")),
        ("-0.50", Some("-0.50")),
        ("007", Some("007")),
        ("1e3", Some("1000")),
        ("1E+3", Some("1000")),
        ("1.25e1", Some("12.5")),
        ("1.25e2", Some("125")),
        ("-1.25e4", Some("-12500")),
        ("125e-1", Some("12.5")),
        ("125e-3", Some("0.125")),
        ("125e-5", Some("0.00125")),
        ("1.0e0", Some("1.0")),
        ("0e999999", Some("0")),
        ("1e999999", None),
        ("1e-999999", None),
        ("1e99999999999", None),
        ("1.00000000000000005551e-1", Some("0.100000000000000005551")),
        ("+1", None),
        ("1.", None),
        (".5", None),
        ("", None),
        ("-", None),
        ("e1", None),
        ("1e", None),
        ("0x10", None),
        ("inf", None),
        ("NaN", None),
        ("1 ", None),
    ];
    for (text, expected) in cases {
        assert_eq!(plain_decimal(text).as_deref(), expected, "{text:?}");
    }
    assert_eq!(plain_decimal(&"1".repeat(DECIMAL_LEN_MAX + 1)), None);
}

proptest::proptest! {
    #[test]
    fn a_number_keeps_its_value(value in -1e20f64..1e20, exponent in -12i32..12) {
        let text = format!("{value}e{exponent}");
        if let Some(plain) = plain_decimal(&text) {
            proptest::prop_assert!(!plain.contains(['e', 'E']));
            proptest::prop_assert_eq!(plain.parse::<f64>(), text.parse::<f64>());
        }
    }

    #[test]
    fn any_query_is_read_or_refused(query in ".*") {
        if let Ok(attributes) = Attributes::from_queries([query.as_str()]) {
            let queries: Vec<_> = attributes.queries().collect();
            let again = Attributes::from_queries(queries.iter().map(String::as_str));
            proptest::prop_assert_eq!(again, Ok(attributes));
        }
    }
}
