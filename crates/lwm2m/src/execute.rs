//! Arguments of Execute: OMA Core 6.3.5.
//!
//! `arguments = argument *("," argument)`, `argument = DIGIT ["=" "'" *CHAR "'"]`, where CHAR is a
//! visible ASCII character other than `"`, `'` and `\`. What an argument means depends on the
//! resource.

/// One argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument<'a> {
    /// Which one, 0 to 9.
    pub digit: u8,
    /// Its text, without the quotes; `None` for a bare digit.
    pub value: Option<&'a str>,
}

/// Reads the arguments of an Execute payload; none when it is empty.
pub fn arguments(text: &str) -> Result<Vec<Argument<'_>>, ArgumentsError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = Vec::new();
    let mut rest = text;
    loop {
        let (argument, behind) = argument(rest)?;
        list.push(argument);
        if behind.is_empty() {
            return Ok(list);
        }
        rest = behind.strip_prefix(',').ok_or(ArgumentsError::Separator)?;
    }
}

/// Whether a text obeys the grammar.
pub fn is_valid(text: &str) -> bool {
    arguments(text).is_ok()
}

/// Why a text is not a list of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentsError {
    /// An argument does not begin with a digit.
    #[error("an argument begins with one digit")]
    Digit,
    /// There is no quoted text behind the equals sign.
    #[error("the value of an argument stands between single quotes")]
    Quote,
    /// The text holds a character that it must not.
    #[error("an argument holds visible ASCII characters without quotes and backslashes")]
    Character,
    /// Something else than a comma stands behind an argument.
    #[error("arguments are separated by commas")]
    Separator,
}

fn argument(text: &str) -> Result<(Argument<'_>, &str), ArgumentsError> {
    let mut chars = text.chars();
    let digit = chars.next().and_then(|char| char.to_digit(10)).ok_or(ArgumentsError::Digit)?;
    let digit = u8::try_from(digit).map_err(|_| ArgumentsError::Digit)?;
    let rest = chars.as_str();
    let Some(quoted) = rest.strip_prefix('=') else {
        return Ok((Argument { digit, value: None }, rest));
    };
    let inner = quoted.strip_prefix('\'').ok_or(ArgumentsError::Quote)?;
    let (value, behind) = inner.split_once('\'').ok_or(ArgumentsError::Quote)?;
    if !value.bytes().all(is_allowed) {
        return Err(ArgumentsError::Character);
    }
    Ok((Argument { digit, value: Some(value) }, behind))
}

const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(u8, Option<&str>)>, ArgumentsError> {
        Ok(arguments(text)?.iter().map(|argument| (argument.digit, argument.value)).collect())
    }

    /// Fact 68: digits with an optional quoted text, separated by commas.
    #[test]
    fn arguments_follow_the_grammar() {
        assert_eq!(parsed(""), Ok(vec![]));
        assert_eq!(parsed("5"), Ok(vec![(5, None)]));
        assert_eq!(parsed("0,1"), Ok(vec![(0, None), (1, None)]));
        assert_eq!(parsed("2='10.3'"), Ok(vec![(2, Some("10.3"))]));
        assert_eq!(
            parsed("7,0='https://example.org/fw?a=1,2',1=''"),
            Ok(vec![(7, None), (0, Some("https://example.org/fw?a=1,2")), (1, Some(""))])
        );
    }

    /// Fact 68: what the grammar does not know is refused.
    #[test]
    fn other_texts_are_refused() {
        let cases = [
            ("a", ArgumentsError::Digit),
            ("10", ArgumentsError::Separator),
            ("0,", ArgumentsError::Digit),
            (",0", ArgumentsError::Digit),
            ("0=", ArgumentsError::Quote),
            ("0=1", ArgumentsError::Quote),
            ("0='1", ArgumentsError::Quote),
            ("0=\"1\"", ArgumentsError::Quote),
            ("0='a b'", ArgumentsError::Character),
            ("0='a\\b'", ArgumentsError::Character),
            ("0='a\"b'", ArgumentsError::Character),
            ("0='ä'", ArgumentsError::Character),
            ("0='a';1", ArgumentsError::Separator),
            ("0 ,1", ArgumentsError::Separator),
            ("٣", ArgumentsError::Digit),
        ];
        for (text, error) in cases {
            assert_eq!(parsed(text), Err(error), "{text:?}");
            assert!(!is_valid(text));
        }
    }

    #[test]
    fn each_truncation_is_read_or_refused() {
        let text = "0='abc',1,2='x'";
        for len in 0..=text.len() {
            let whole = matches!(len, 0 | 1 | 7 | 9 | 11 | 15);
            assert_eq!(is_valid(&text[..len]), whole, "{len}");
        }
    }
}
