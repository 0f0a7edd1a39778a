use super::*;

#[test]
fn commas_inside_of_quotes_do_not_split() {
    let text = r#"</3/0>;title="a, \"b\", c";ct="60 110",</4/0>,"#;
    let pieces: Vec<_> = split(text).collect();
    assert_eq!(pieces, [r#"</3/0>;title="a, \"b\", c";ct="60 110""#, "</4/0>", ""]);
}
