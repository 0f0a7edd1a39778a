//! Which options a receiver accepts: RFC 7252 5.4.1, 5.4.3, 5.4.5 and table 4.
//!
//! Reading their values is the job of [`crate::options`].

use crate::{OptionNumber, Options};

/// What is wrong with the options of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadOptions {
    /// A critical option that is unknown, repeated without being repeatable, or of a wrong length
    /// (which counts as unknown).
    Critical(OptionNumber),
    /// The request is meant for another server.
    Proxy,
}

/// Judges the options of a request or response. Elective options that are wrong in themselves are
/// as good as absent, which the accessors of [`Options`] see to.
#[inline]
pub(crate) fn check(options: &Options<'_>) -> Result<(), BadOptions> {
    let mut previous = OptionNumber(0);
    let mut proxy = false;
    for (number, value) in options {
        if number.is_critical() {
            let Some(rule) = rule(number) else {
                return Err(BadOptions::Critical(number));
            };
            let repeated = number == previous && !rule.repeatable;
            if repeated || !(rule.len_min..=rule.len_max).contains(&value.len()) {
                return Err(BadOptions::Critical(number));
            }
            proxy |= matches!(number, OptionNumber::PROXY_URI | OptionNumber::PROXY_SCHEME);
        }
        previous = number;
    }
    if proxy { Err(BadOptions::Proxy) } else { Ok(()) }
}

struct Rule {
    len_min: usize,
    len_max: usize,
    repeatable: bool,
}

/// The critical options that are understood, with their lengths.
const fn rule(number: OptionNumber) -> Option<Rule> {
    let (len_min, len_max, repeatable) = match number {
        OptionNumber::IF_MATCH => (0, 8, true),
        OptionNumber::URI_HOST => (1, 255, false),
        OptionNumber::IF_NONE_MATCH => (0, 0, false),
        OptionNumber::URI_PORT => (0, 2, false),
        OptionNumber::URI_PATH | OptionNumber::URI_QUERY => (0, 255, true),
        OptionNumber::ACCEPT => (0, 2, false),
        OptionNumber::BLOCK1 | OptionNumber::BLOCK2 => (0, 3, false),
        OptionNumber::PROXY_URI => (1, 1034, false),
        OptionNumber::PROXY_SCHEME => (1, 255, false),
        _ => return None,
    };
    Some(Rule { len_min, len_max, repeatable })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptionList;

    fn judge(options: &[(u16, &[u8])]) -> Result<(), BadOptions> {
        let list = options.iter().fold(OptionList::new(), |list, (number, value)| {
            list.with(OptionNumber(*number), value)
        });
        check(&list.options())
    }

    /// Fact 37: unknown critical options are refused, elective ones are skipped.
    #[test]
    fn critical_options_are_judged_and_elective_ones_are_not() {
        let long = [b'x'; 256];
        let bad = |number| Err(BadOptions::Critical(OptionNumber(number)));
        type Row<'r> = (&'r [(u16, &'r [u8])], Result<(), BadOptions>);
        let rows: &[Row<'_>] = &[
            (&[], Ok(())),
            (&[(11, b"rd"), (11, b"0")], Ok(())),
            (&[(15, b"ep=a"), (15, b"lt=60")], Ok(())),
            (&[(65_000, b"elective")], Ok(())),
            (&[(65_001, b"critical")], bad(65_001)),
            (&[(9, b"OSCORE")], bad(9)),
            (&[(19, b"")], bad(19)),
            (&[(15, &long)], bad(15)),
            (&[(11, &long)], bad(11)),
            (&[(15, &long[..255])], Ok(())),
            (&[(17, b"\x00\x00\x28")], bad(17)),
            (&[(17, b"\x28"), (17, b"\x28")], bad(17)),
            (&[(3, b"")], bad(3)),
            (&[(5, b"x")], bad(5)),
            (&[(27, b"\x00\x00\x00\x00")], bad(27)),
            (&[(6, b"\x00\x00\x00\x00"), (12, b"abc"), (12, b"abc")], Ok(())),
            (&[(35, b"coap://elsewhere/")], Err(BadOptions::Proxy)),
            (&[(39, b"coap")], Err(BadOptions::Proxy)),
            (&[(35, b"coap://elsewhere/"), (65_001, b"")], bad(65_001)),
            (&[(252, b"echo"), (258, b"\x02"), (292, b"tag")], Ok(())),
        ];
        for (options, verdict) in rows {
            assert_eq!(judge(options), *verdict, "{options:?}");
        }
    }
}
