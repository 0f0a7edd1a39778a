//! Spans of time as people write them: `300`, `300s`, `250ms`, `5m`, `24h`.

use std::time::Duration;

/// A text that is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a span of time: write 300, 300s, 250ms, 5m or 24h")]
pub struct SpanError(String);

/// Reads a span; a bare number counts seconds.
///
/// # Errors
/// Anything else, and spans above 136 years.
pub fn parse_span(text: &str) -> Result<Duration, SpanError> {
    let refused = || SpanError(text.to_owned());
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u32 = number.parse().map_err(|_| refused())?;
    let number = u64::from(number);
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        "h" => Ok(Duration::from_secs(number * 3600)),
        "d" => Ok(Duration::from_secs(number * 86_400)),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        let rows = [
            ("300", Some(300_000)),
            ("300s", Some(300_000)),
            ("250ms", Some(250)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("", None),
            ("s", None),
            ("-1", None),
            ("1.5s", None),
            ("5 m", None),
            ("5x", None),
            ("99999999999", None),
        ];
        for (text, millis) in rows {
            assert_eq!(parse_span(text).ok(), millis.map(Duration::from_millis), "{text:?}");
        }
    }
}
