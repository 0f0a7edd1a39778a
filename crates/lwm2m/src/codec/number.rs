//! Numbers as payloads write them, read without loss: RFC 8259 6, RFC 8428 5, RFC 8949 3.4.3.
//!
//! An integer never goes through a float, which would bend everything above 2^53.

use crate::Value;

/// A number that has not been given a type yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number<'a> {
    /// An integer of CBOR that is not negative.
    Unsigned(u64),
    /// An integer of CBOR that is: -1 minus this, down to -2^64.
    Negative(u64),
    /// A float of CBOR.
    Float(f64),
    /// The text of a JSON number.
    Decimal(&'a str),
}

/// Digits of the largest integer that is looked at, 2^64 = 18446744073709551616. Longer ones fit no
/// type, and 20 digits still fit 128 bits.
const INTEGER_DIGITS_MAX: i64 = 20;

impl Number<'_> {
    /// An integer; `None` beyond the 65 bits that CBOR has.
    pub(crate) fn of_integer(value: i128) -> Option<Self> {
        if value < 0 {
            // -1 - value.
            u64::try_from(!value).ok().map(Self::Negative)
        } else {
            u64::try_from(value).ok().map(Self::Unsigned)
        }
    }

    /// The integer that the number is, exactly: `5`, `5.0` and `50e-1`, but not `5.5`.
    pub(crate) fn integer(self) -> Option<i128> {
        match self {
            Self::Unsigned(value) => Some(value.into()),
            Self::Negative(value) => Some(!i128::from(value)),
            Self::Float(value) => integer_of_float(value),
            Self::Decimal(text) => match text.parse::<i64>() {
                Ok(value) => Some(value.into()),
                Err(_) => integer_of_decimal(text),
            },
        }
    }

    /// The nearest float; `None` for a decimal that is beyond all floats.
    pub(crate) fn float(self) -> Option<f64> {
        match self {
            // Rounded to the nearest, which is what a float can do.
            #[allow(clippy::cast_precision_loss)]
            Self::Unsigned(value) => Some(value as f64),
            #[allow(clippy::cast_precision_loss)]
            Self::Negative(value) => Some(!i128::from(value) as f64),
            Self::Float(value) => Some(value),
            Self::Decimal(text) => text.parse().ok().filter(|value: &f64| value.is_finite()),
        }
    }

    /// What the number is without a definition: an integer when it is written as one and has 64
    /// bits, else a float. One that is neither stays text, which loses nothing.
    pub(crate) fn natural(self) -> Value {
        match self {
            Self::Unsigned(value) => {
                i64::try_from(value).map_or(Value::Unsigned(value), Value::Integer)
            }
            Self::Negative(value) => match i64::try_from(value) {
                Ok(value) => Value::Integer(!value),
                Err(_) => Value::String((!i128::from(value)).to_string()),
            },
            Self::Float(value) => Value::Float(value),
            Self::Decimal(text) => natural_decimal(text),
        }
    }

    /// The sum, exact when it is an integer of two.
    pub(crate) fn plus(self, other: Number<'_>) -> Option<Number<'static>> {
        if let (Some(left), Some(right)) = (self.integer(), other.integer()) {
            // No type holds more than 64 bits, so nothing is lost when such a sum is a float.
            if let Some(sum) = Number::of_integer(left + right) {
                return Some(sum);
            }
        }
        Some(Number::Float(self.float()? + other.float()?))
    }
}

fn natural_integer(value: i128) -> Option<Value> {
    i64::try_from(value)
        .map(Value::Integer)
        .or_else(|_| u64::try_from(value).map(Value::Unsigned))
        .ok()
}

fn natural_decimal(text: &str) -> Value {
    let written_as_integer = !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    let value = if written_as_integer {
        Number::Decimal(text).integer().and_then(natural_integer)
    } else {
        Number::Decimal(text).float().map(Value::Float)
    };
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn integer_of_float(value: f64) -> Option<i128> {
    // Below 2^64 in magnitude the conversion is exact, and nothing larger fits a type.
    let exact = value.fract() == 0.0 && value.abs() <= 18_446_744_073_709_551_616.0;
    #[allow(clippy::cast_possible_truncation)] // Checked just above.
    exact.then_some(value as i128)
}

/// The exact integer of `-?digits[.digits][e[+-]digits]`, if it is one of at most 20 digits.
fn integer_of_decimal(text: &str) -> Option<i128> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let magnitude = scaled_digits(whole, fraction, exponent)?;
    Some(if negative { -magnitude } else { magnitude })
}

/// An exponent beyond a million decides nothing that a million does not, so it is cut there.
fn parse_exponent(text: &str) -> Option<i64> {
    const EXPONENT_MAX: i64 = 1_000_000;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits
        .bytes()
        .fold(0, |value: i64, digit| (value * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX));
    Some(sign * value)
}

/// `whole.fraction * 10^exponent`, if that is an integer of at most 20 digits.
fn scaled_digits(whole: &str, fraction: &str, exponent: i64) -> Option<i128> {
    let digits = || whole.bytes().chain(fraction.bytes());
    if !digits().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count = i64::try_from(whole.len() + fraction.len()).ok()?;
    let zeros_behind =
        i64::try_from(digits().rev().take_while(|digit| *digit == b'0').count()).ok()?;
    if zeros_behind == count {
        return Some(0);
    }
    let zeros_before = i64::try_from(digits().take_while(|digit| *digit == b'0').count()).ok()?;
    let significant = count - zeros_before - zeros_behind;
    let scale = exponent - i64::try_from(fraction.len()).ok()? + zeros_behind;
    if scale < 0 || significant + scale > INTEGER_DIGITS_MAX {
        return None;
    }
    let skipped = usize::try_from(zeros_before).ok()?;
    let taken = usize::try_from(significant).ok()?;
    // At most 20 digits in all, far below the 39 of 128 bits.
    let value = digits()
        .skip(skipped)
        .take(taken)
        .fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    Some(value * 10_i128.pow(u32::try_from(scale).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fact 63: integers of 64 bits are read from their digits, never through a float.
    #[test]
    fn integers_are_exact_in_every_way_to_write_them() {
        let cases = [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("5.0", Some(5)),
            ("5.5", None),
            ("50e-1", Some(5)),
            ("5e-1", None),
            ("1.5E1", Some(15)),
            ("1e+2", Some(100)),
            ("9007199254740993", Some(9_007_199_254_740_993)),
            ("9223372036854775807", Some(i64::MAX.into())),
            ("9223372036854775808", Some(1 << 63)),
            ("-9223372036854775808", Some(i64::MIN.into())),
            ("18446744073709551615", Some(u64::MAX.into())),
            ("1.8446744073709551615e19", Some(u64::MAX.into())),
            ("100000000000000000000", None),
            ("1e400", None),
            ("0e400", Some(0)),
            ("0.000e-99999999999999999999", Some(0)),
            ("1e99999999999999999999", None),
            ("00000000000000000000000000000000000000000005", Some(5)),
            ("5.00000000000000000000000000000000000000000000000", Some(5)),
            ("", None),
            (".", None),
            ("-", None),
            ("1e", None),
            ("1x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Number::Decimal(text).integer(), expected, "{text}");
        }
    }

    #[test]
    fn floats_of_cbor_are_integers_only_when_they_are_whole() {
        let cases = [
            (5.0, Some(5)),
            (-0.0, Some(0)),
            (0.5, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
            (9_223_372_036_854_775_808.0, Some(1 << 63)),
            (1e300, None),
        ];
        for (value, expected) in cases {
            assert_eq!(Number::Float(value).integer(), expected, "{value}");
        }
    }

    #[test]
    fn without_a_definition_a_number_stays_what_it_is_written_as() {
        let cases = [
            ("7", Value::Integer(7)),
            ("9223372036854775808", Value::Unsigned(1 << 63)),
            ("7.0", Value::Float(7.0)),
            ("1e3", Value::Float(1000.0)),
            ("1e400", Value::String("1e400".into())),
            ("18446744073709551616", Value::String("18446744073709551616".into())),
        ];
        for (text, expected) in cases {
            assert_eq!(Number::Decimal(text).natural(), expected, "{text}");
        }
    }

    #[test]
    fn base_values_are_added_exactly() {
        let sum = Number::Decimal("9007199254740993").plus(Number::Decimal("1"));
        assert_eq!(sum, Some(Number::Unsigned(9_007_199_254_740_994)));
        let sum = Number::Decimal("20.5").plus(Number::Unsigned(1));
        assert_eq!(sum, Some(Number::Float(21.5)));
        let sum = Number::Unsigned(u64::MAX).plus(Number::Unsigned(1));
        assert_eq!(sum, Some(Number::Float(18_446_744_073_709_551_616.0)));
        let sum = Number::Negative(9).plus(Number::Decimal("12"));
        assert_eq!(sum, Some(Number::Unsigned(2)));
        assert_eq!(Number::Decimal("1e400").plus(Number::Unsigned(1)), None);
    }
}
