//! Paths in a command, the query behind them, and what `reqPath` repeats (contract, section 3.1).

use lwm2m::Path;

use super::Fault;
use crate::json::{Json, Members};
use crate::origin::Span;
use crate::settings::Profile;

/// A path and the Uri-Query options behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) path: Path,
    pub(super) query: Vec<String>,
}

/// The longest Uri-Query option (RFC 7252 5.10).
const QUERY_LEN_MAX: usize = 255;

/// 16 options: the request must fit a datagram, and no known resource takes more than five.
const QUERIES_MAX: usize = 16;

/// Which of the members says where a command goes, the first that is there.
pub(super) const PATH: &[&str] = &["path"];
pub(super) const PATH_OR_BASE: &[&str] = &["basePath", "path"];

/// How many segments a path has.
pub(super) type Depth = core::ops::RangeInclusive<usize>;

/// Reads the path of a command. One to four segments; slashes at both ends are optional.
pub(super) fn target(
    data: &Members<'_>,
    members: &[&'static str],
    depth: Depth,
) -> Result<Target, Fault> {
    let named = members.iter().find_map(|name| Some((*name, data.find_value(name)?)));
    let Some((member, value)) = named else {
        return Err(Fault::Missing(members.first().copied().unwrap_or("path")));
    };
    read(member, value, depth)
}

/// Reads the path in one member.
pub(super) fn read(member: &'static str, value: Json<'_>, depth: Depth) -> Result<Target, Fault> {
    let text = value.string().ok_or(Fault::Member { member, expected: "a string" })?;
    let (path, query) = text.split_once('?').unwrap_or((&text, ""));
    let path = Path::parse(path).map_err(|error| Fault::Path { member, error })?;
    if !depth.contains(&path.len()) {
        return Err(Fault::PathDepth { member, expected: depth_name(&depth) });
    }
    Ok(Target { path, query: split_query(query)? })
}

fn depth_name(depth: &Depth) -> &'static str {
    match (depth.start(), depth.end()) {
        (1, 1) => "one segment",
        (2, 3) => "two or three segments",
        (3, 4) => "three or four segments",
        _ => "one to four segments",
    }
}

fn split_query(query: &str) -> Result<Vec<String>, Fault> {
    let options: Vec<String> =
        query.split('&').filter(|option| !option.is_empty()).map(str::to_owned).collect();
    let fits =
        options.len() <= QUERIES_MAX && options.iter().all(|option| option.len() <= QUERY_LEN_MAX);
    if fits { Ok(options) } else { Err(Fault::Query) }
}

/// The member whose text `reqPath` repeats: `path`, else `basePath`, else (in reports) `reqPath`.
pub(super) fn request_path_member<'a>(data: &Members<'a>) -> Option<Json<'a>> {
    ["path", "basePath", "reqPath"].iter().find_map(|name| data.find_value(name))
}

/// Where in `data` the characters stand that `reqPath` repeats.
pub(super) fn request_path_span(
    data: Json<'_>,
    members: &Members<'_>,
    profile: Profile,
) -> Option<Span> {
    let value = request_path_member(members)?;
    Span::of(string_content(value, profile)?, data.text())
}

/// The characters of a string as they stand between its quotes. EMQX 5 cuts the query off.
pub(super) fn string_content<'a>(value: Json<'a>, profile: Profile) -> Option<&'a str> {
    let content = value.text().strip_prefix('"')?.strip_suffix('"')?;
    let end = match profile {
        Profile::Emqx4 => content.len(),
        Profile::Emqx5 => query_start(content).unwrap_or(content.len()),
    };
    content.get(..end)
}

/// Where the first `?` stands, also when it is written as an escape.
fn query_start(content: &str) -> Option<usize> {
    let mut escaped = false;
    content.char_indices().find_map(|(at, character)| {
        let escape = escaped;
        escaped = character == '\\' && !escape;
        let behind = content.get(at..).unwrap_or_default();
        match character {
            '?' => Some(at),
            'u' if escape && (behind.starts_with("u003f") || behind.starts_with("u003F")) => {
                at.checked_sub(1)
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(value: &str, profile: Profile) -> String {
        let text = format!("{{\"path\":{value}}}");
        let members = Members::parse(text.as_bytes()).unwrap();
        let value = request_path_member(&members).unwrap();
        string_content(value, profile).unwrap().to_owned()
    }

    #[test]
    fn profile_5_repeats_the_path_without_its_query() {
        let cases = [
            (r#""/3/0/""#, "/3/0/", "/3/0/"),
            (r#""3/0?a=1&b""#, "3/0?a=1&b", "3/0"),
            (r#""\/3\/0\u003Fa""#, r"\/3\/0\u003Fa", r"\/3\/0"),
            (r#""\\u003f""#, r"\\u003f", r"\\u003f"),
            (r#""?""#, "?", ""),
        ];
        for (value, four, five) in cases {
            assert_eq!(content(value, Profile::Emqx4), four);
            assert_eq!(content(value, Profile::Emqx5), five);
        }
    }

    #[test]
    fn a_query_becomes_options_within_their_limits() {
        let query = |text: &str| split_query(text);
        assert_eq!(query("a=1&b"), Ok(vec!["a=1".to_owned(), "b".to_owned()]));
        assert_eq!(query("&&"), Ok(vec![]));
        assert_eq!(query(&"x".repeat(255)).map(|options| options.len()), Ok(1));
        assert_eq!(query(&"x".repeat(256)), Err(Fault::Query));
        assert_eq!(query(&"x&".repeat(17)), Err(Fault::Query));
    }
}
