//! One CBOR item as a value: RFC 8949 3, OMA Core 7.4.6.
//!
//! Shared by the three CBOR formats. Built on the pull decoder of `minicbor`; what that does not do
//! is here: text that is not UTF-8, strings in pieces, numbers by tag, a limit on nesting.

use std::borrow::Cow;

use minicbor::data::Type;
use minicbor::decode::Decoder;

use super::DecodeError;
use super::number::Number;
use super::senml::Held;
use super::typing::Wire;

/// Levels of arrays, maps and tags in something that is skipped. Each takes a stack frame, and what
/// LwM2M sends has none.
const DEPTH_MAX: u32 = 16;

/// Tags of RFC 8949 3.4.
const TAG_DATE_TIME: u64 = 0;
const TAG_EPOCH_TIME: u64 = 1;
const TAG_BIGNUM: u64 = 2;
const TAG_NEGATIVE_BIGNUM: u64 = 3;
/// Decimal fraction and bigfloat: arrays, so they are no number here.
const TAG_DECIMAL: u64 = 4;
const TAG_BIGFLOAT: u64 = 5;

/// Makes errors of the decoder ours.
pub(crate) fn cbor(error: minicbor::decode::Error) -> DecodeError {
    if error.is_end_of_input() {
        DecodeError::Truncated
    } else {
        DecodeError::Malformed("not CBOR of this format")
    }
}

/// Checks that nothing follows.
pub(crate) fn end(decoder: &Decoder<'_>) -> Result<(), DecodeError> {
    if decoder.position() < decoder.input().len() {
        return Err(DecodeError::Malformed("something behind the CBOR item"));
    }
    Ok(())
}

/// Counts down the items of an array or map, or waits for the break of one without a length.
pub(crate) struct Items(Option<u64>);

impl Items {
    pub(crate) const fn new(len: Option<u64>) -> Self {
        Self(len)
    }

    /// Whether one more follows. Reads the break.
    pub(crate) fn more(&mut self, decoder: &mut Decoder<'_>) -> Result<bool, DecodeError> {
        match &mut self.0 {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if decoder.datatype().map_err(cbor)? == Type::Break => {
                decoder.set_position(decoder.position() + 1);
                Ok(false)
            }
            None => Ok(true),
        }
    }
}

/// Reads one item as a value.
pub(crate) fn value<'a>(decoder: &mut Decoder<'a>) -> Result<Held<'a>, DecodeError> {
    const NULL: u8 = 0xf6;
    const UNDEFINED: u8 = 0xf7;
    let start = decoder.position();
    let read = match initial_byte(decoder)? {
        NULL | UNDEFINED => {
            decoder.set_position(start + 1);
            return Ok(Held::Null);
        }
        0xc0..=0xdf => tagged(decoder)?,
        _ => untagged(decoder)?,
    };
    if let Some(wire) = read {
        return Ok(Held::Value(wire));
    }
    decoder.set_position(start);
    skip(decoder, DEPTH_MAX)?;
    let bytes = decoder.input().get(start..decoder.position()).unwrap_or_default();
    Ok(Held::Value(Wire::Other(bytes)))
}

/// A plain item; `None`, with nothing decided about the position, if it is no value.
fn untagged<'a>(decoder: &mut Decoder<'a>) -> Result<Option<Wire<'a>>, DecodeError> {
    // By the initial byte (RFC 8949 Appendix B), which is faster than by the decoder's types.
    let wire = match initial_byte(decoder)? {
        0x00..=0x1b => Wire::Number(Number::Unsigned(decoder.u64().map_err(cbor)?)),
        0x20..=0x3b => {
            let value = i128::from(decoder.int().map_err(cbor)?);
            Wire::Number(Number::of_integer(value).ok_or(DecodeError::Malformed("an integer"))?)
        }
        0x40..=0x5f => Wire::Bytes(string(decoder)?),
        0x60..=0x7f => Wire::Text(text(decoder)?),
        0xf4 | 0xf5 => Wire::Boolean(decoder.bool().map_err(cbor)?),
        0xf9 => Wire::Number(Number::Float(decoder.f16().map_err(cbor)?.into())),
        0xfa => Wire::Number(Number::Float(decoder.f32().map_err(cbor)?.into())),
        0xfb => Wire::Number(Number::Float(decoder.f64().map_err(cbor)?)),
        _ => return Ok(None),
    };
    Ok(Some(wire))
}

/// An item with one tag or several; tags that only hint at a use are passed over.
fn tagged<'a>(decoder: &mut Decoder<'a>) -> Result<Option<Wire<'a>>, DecodeError> {
    while decoder.datatype().map_err(cbor)? == Type::Tag {
        match decoder.tag().map_err(cbor)?.as_u64() {
            TAG_DATE_TIME => {
                let Some(Wire::Text(text)) = untagged(decoder)? else { return Ok(None) };
                let number = date_time(&text).and_then(|time| Number::of_integer(time.into()));
                return Ok(number.map(Wire::Time));
            }
            TAG_EPOCH_TIME => {
                let Some(Wire::Number(number)) = untagged(decoder)? else { return Ok(None) };
                return Ok(Some(Wire::Time(number)));
            }
            tag @ (TAG_BIGNUM | TAG_NEGATIVE_BIGNUM) => {
                let Some(Wire::Bytes(bytes)) = untagged(decoder)? else { return Ok(None) };
                return Ok(bignum(tag, &bytes).map(Wire::Number));
            }
            tag @ (TAG_DECIMAL | TAG_BIGFLOAT) => return fraction(tag, decoder),
            _ => {}
        }
    }
    untagged(decoder)
}

/// A decimal fraction or bigfloat, the array of an exponent and a mantissa (RFC 8949 3.4.4): Leshan
/// writes the base time of a Send so.
fn fraction<'a>(tag: u64, decoder: &mut Decoder<'a>) -> Result<Option<Wire<'a>>, DecodeError> {
    if decoder.datatype().map_err(cbor)? != Type::Array || decoder.array().map_err(cbor)? != Some(2)
    {
        return Ok(None);
    }
    let exponent = number(decoder)?.and_then(Number::integer);
    let mantissa = number(decoder)?.and_then(Number::integer);
    let (Some(exponent), Some(mantissa)) = (exponent, mantissa) else { return Ok(None) };
    Ok(if tag == TAG_DECIMAL {
        decimal_fraction(mantissa, exponent).map(Wire::Number)
    } else {
        bigfloat(mantissa, exponent).map(Wire::Number)
    })
}

fn number<'a>(decoder: &mut Decoder<'a>) -> Result<Option<Number<'a>>, DecodeError> {
    let read = match decoder.datatype().map_err(cbor)? {
        Type::Tag => match decoder.tag().map_err(cbor)?.as_u64() {
            tag @ (TAG_BIGNUM | TAG_NEGATIVE_BIGNUM) => match untagged(decoder)? {
                Some(Wire::Bytes(bytes)) => return Ok(bignum(tag, &bytes)),
                _ => None,
            },
            _ => None,
        },
        _ => untagged(decoder)?,
    };
    Ok(match read {
        Some(Wire::Number(number)) => Some(number),
        _ => None,
    })
}

/// `mantissa * 10^exponent`, exact when it is an integer.
fn decimal_fraction(mantissa: i128, exponent: i128) -> Option<Number<'static>> {
    let text = format!("{mantissa}e{exponent}");
    let decimal = Number::Decimal(&text);
    let integer = decimal.integer().and_then(Number::of_integer);
    integer.or_else(|| decimal.float().map(Number::Float))
}

/// `mantissa * 2^exponent`; beyond all floats it fits no type.
fn bigfloat(mantissa: i128, exponent: i128) -> Option<Number<'static>> {
    const EXPONENT_MAX: i128 = 2_000; // Twice that of any float, so that none is cut off.
    let exponent = i32::try_from(exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX)).ok()?;
    #[allow(clippy::cast_precision_loss)] // Rounded to the nearest, which is what a float can do.
    let value = mantissa as f64 * 2_f64.powi(exponent);
    value.is_finite().then_some(Number::Float(value))
}

/// An integer in bytes; those beyond 64 bits fit no type, and stay bytes.
fn bignum(tag: u64, bytes: &[u8]) -> Option<Number<'static>> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let significant = bytes.get(zeros..).filter(|bytes| bytes.len() <= 8)?;
    let magnitude = significant.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
    Some(if tag == TAG_NEGATIVE_BIGNUM {
        Number::Negative(magnitude)
    } else {
        Number::Unsigned(magnitude)
    })
}

/// Reads a text, in one piece or several; what is not UTF-8 becomes U+FFFD.
pub(crate) fn text<'a>(decoder: &mut Decoder<'a>) -> Result<Cow<'a, str>, DecodeError> {
    let start = decoder.position();
    if let Ok(text) = decoder.str() {
        return Ok(Cow::Borrowed(text));
    }
    decoder.set_position(start);
    Ok(match string(decoder)? {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    })
}

/// Reads a byte or text string of either kind of length. Anjay Lite sends values that it streams in
/// pieces.
fn string<'a>(decoder: &mut Decoder<'a>) -> Result<Cow<'a, [u8]>, DecodeError> {
    const INDEFINITE: u8 = 31;
    let first = initial_byte(decoder)?;
    if first & 0x1f != INDEFINITE {
        return piece(decoder, first >> 5).map(Cow::Borrowed);
    }
    decoder.set_position(decoder.position() + 1);
    let mut whole = Vec::new();
    while decoder.datatype().map_err(cbor)? != Type::Break {
        whole.extend_from_slice(piece(decoder, first >> 5)?);
    }
    decoder.set_position(decoder.position() + 1);
    Ok(Cow::Owned(whole))
}

/// Reads a string of definite length and of this major type.
fn piece<'a>(decoder: &mut Decoder<'a>, major: u8) -> Result<&'a [u8], DecodeError> {
    const WRONG: DecodeError = DecodeError::Malformed("not a CBOR string");
    let first = initial_byte(decoder)?;
    if first >> 5 != major {
        return Err(WRONG);
    }
    let after_first = decoder.position().saturating_add(1);
    let rest = decoder.input().get(after_first..).unwrap_or_default();
    let len_bytes = match first & 0x1f {
        0..=23 => 0,
        info @ 24..=27 => 1_usize << (info - 24),
        _ => return Err(WRONG),
    };
    let (len, rest) = rest.split_at_checked(len_bytes).ok_or(DecodeError::Truncated)?;
    let inline = if len_bytes == 0 { u64::from(first & 0x1f) } else { 0 };
    let len = len.iter().fold(inline, |len, byte| len << 8 | u64::from(*byte));
    let len = usize::try_from(len).map_err(|_| DecodeError::Truncated)?;
    let piece = rest.get(..len).ok_or(DecodeError::Truncated)?;
    decoder.set_position(after_first + len_bytes + len);
    Ok(piece)
}

fn initial_byte(decoder: &Decoder<'_>) -> Result<u8, DecodeError> {
    decoder.input().get(decoder.position()).copied().ok_or(DecodeError::Truncated)
}

/// Reads past one item, whatever it is.
fn skip(decoder: &mut Decoder<'_>, depth: u32) -> Result<(), DecodeError> {
    let below = || depth.checked_sub(1).ok_or(DecodeError::Malformed("CBOR nested too deep"));
    match decoder.datatype().map_err(cbor)? {
        Type::Array | Type::ArrayIndef => {
            let depth = below()?;
            let mut items = Items::new(decoder.array().map_err(cbor)?);
            while items.more(decoder)? {
                skip(decoder, depth)?;
            }
        }
        Type::Map | Type::MapIndef => {
            let depth = below()?;
            let mut items = Items::new(decoder.map().map_err(cbor)?);
            while items.more(decoder)? {
                skip(decoder, depth)?;
                skip(decoder, depth)?;
            }
        }
        Type::Tag => {
            decoder.tag().map_err(cbor)?;
            skip(decoder, below()?)?;
        }
        Type::Bytes | Type::BytesIndef | Type::String | Type::StringIndef => {
            string(decoder)?;
        }
        Type::Break => return Err(DecodeError::Malformed("a CBOR break where none may be")),
        _ => decoder.skip().map_err(cbor)?,
    }
    Ok(())
}

/// Seconds since 1970 of an RFC 3339 date and time; parts of a second are dropped.
fn date_time(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-');
    let year = digits(date.next()?, 4)?;
    let month = digits(date.next()?, 2).filter(|month| (1..=12).contains(month))?;
    let day = digits(date.next()?, 2).filter(|day| (1..=31).contains(day))?;
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone_at)?;
    let clock = clock.split_once('.').map_or(Some(clock), |(clock, part)| {
        digits(part, part.len()).filter(|_| !part.is_empty() && part.len() <= 9).map(|_| clock)
    })?;
    let mut clock = clock.splitn(3, ':');
    let hour = digits(clock.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = digits(clock.next()?, 2).filter(|minute| *minute < 60)?;
    // 60 is a leap second, which the count of seconds does not have.
    let second = digits(clock.next()?, 2).filter(|second| *second <= 60)?.min(59);
    let of_day = hour * 3600 + minute * 60 + second;
    Some(days_from_1970(year, month, day) * 86_400 + of_day - zone_offset(zone)?)
}

/// Seconds that a zone is ahead of UTC: `Z`, `+02:00`, `-05:30`.
fn zone_offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match zone.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, zone.strip_prefix('+')?),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let hours = digits(hours, 2).filter(|hours| *hours < 24)?;
    let minutes = digits(minutes, 2).filter(|minutes| *minutes < 60)?;
    Some(sign * (hours * 3600 + minutes * 60))
}

fn digits(text: &str, len: usize) -> Option<i64> {
    let all = text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    if all { text.parse().ok() } else { None }
}

/// Days from 1970-01-01 in the Gregorian calendar; years start in March, so that the leap day is
/// last.
const fn days_from_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    // 719 468 days are between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::super::testing::hex;
    use super::*;

    #[test]
    fn dates_are_seconds_since_1970() {
        let cases = [
            ("2013-03-21T20:04:00Z", Some(1_363_896_240)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1969-12-31T23:59:59z", Some(-1)),
            ("2000-02-29T12:00:00.5+02:00", Some(951_818_400)),
            ("2000-02-29t12:00:00-05:30", Some(951_845_400)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_799)),
            ("2013-13-21T20:04:00Z", None),
            ("2013-03-21T24:04:00Z", None),
            ("2013-03-21T20:04:00", None),
            ("2013-03-21", None),
            ("", None),
            ("T", None),
            ("2013-03-21T20:04:00+0200", None),
            ("2013-03-21T20:04:00.Z", None),
        ];
        for (text, expected) in cases {
            assert_eq!(date_time(text), expected, "{text}");
        }
    }

    /// RFC 8949 Appendix A, as far as LwM2M has a use for it.
    #[test]
    fn items_of_appendix_a_are_read() {
        let number = |value| Wire::Number(Number::of_integer(value).unwrap());
        let float = |value| Wire::Number(Number::Float(value));
        let cases = [
            ("00", number(0)),
            ("1903e8", number(1000)),
            ("1bffffffffffffffff", number(u64::MAX.into())),
            ("c249010000000000000000", Wire::Other(&[])),
            ("c243010000", number(65536)),
            ("3bffffffffffffffff", number(-1 - i128::from(u64::MAX))),
            ("c349010000000000000000", Wire::Other(&[])),
            ("20", number(-1)),
            ("3903e7", number(-1000)),
            ("f93e00", float(1.5)),
            ("f98000", float(-0.0)),
            ("fa47c35000", float(100_000.0)),
            ("fb3ff199999999999a", float(1.1)),
            ("f97c00", float(f64::INFINITY)),
            ("f4", Wire::Boolean(false)),
            ("f5", Wire::Boolean(true)),
            ("f0", Wire::Other(&[])),
            (
                "c074323031332d30332d32315432303a30343a30305a",
                Wire::Time(Number::Unsigned(1_363_896_240)),
            ),
            ("c11a514b67b0", Wire::Time(Number::Unsigned(1_363_896_240))),
            ("c1fb41d452d9ec200000", Wire::Time(Number::Float(1_363_896_240.5))),
            ("d74401020304", Wire::Bytes(vec![1, 2, 3, 4].into())),
            ("d9d9f705", number(5)),
            ("40", Wire::Bytes(vec![].into())),
            ("6449455446", Wire::Text("IETF".into())),
            ("62c3bc", Wire::Text("ü".into())),
            ("61ff", Wire::Text("\u{fffd}".into())),
            ("5f42010243030405ff", Wire::Bytes(vec![1, 2, 3, 4, 5].into())),
            ("7f657374726561646d696e67ff", Wire::Text("streaming".into())),
            ("83010203", Wire::Other(&[])),
            ("bf6346756ef563416d7421ff", Wire::Other(&[])),
            ("c48221196ab3", float(273.15)),
            // Leshan's base time in a Send; an integer; a bignum; a bigfloat.
            ("c482281b18eaec17009f161d", float(1_795_506_984.999_392_7)),
            ("c4820203", number(300)),
            ("c48220c24103", float(0.3)),
            ("c5822003", float(1.5)),
            // No array of two, no exponent, beyond all floats: kept as they came.
            ("c48103", Wire::Other(&[])),
            ("c482f93e0003", Wire::Other(&[])),
            ("c4821a7fffffff01", Wire::Other(&[])),
            ("c5821907d001", Wire::Other(&[])),
        ];
        for (bytes, expected) in cases {
            let bytes = hex(bytes);
            let mut decoder = Decoder::new(&bytes);
            let Ok(Held::Value(wire)) = value(&mut decoder) else { panic!("{bytes:02x?}") };
            let expected =
                if expected == Wire::Other(&[]) { Wire::Other(&bytes) } else { expected };
            assert_eq!(wire, expected, "{bytes:02x?}");
            assert_eq!(end(&decoder), Ok(()), "{bytes:02x?}");
            for len in 0..bytes.len() {
                assert!(value(&mut Decoder::new(&bytes[..len])).is_err(), "{bytes:02x?} {len}");
            }
        }
    }

    #[test]
    fn null_and_undefined_are_no_value() {
        for byte in [0xf6, 0xf7] {
            assert!(matches!(value(&mut Decoder::new(&[byte])), Ok(Held::Null)));
        }
    }

    #[test]
    fn nesting_ends_somewhere() {
        for byte in [0x81, 0x9f, 0xa1, 0xbf, 0xd7, 0xc4] {
            assert!(value(&mut Decoder::new(&vec![byte; 100_000])).is_err(), "{byte:02x}");
        }
        // A length that is a lie takes neither memory nor time.
        assert!(value(&mut Decoder::new(&hex("9bffffffffffffffff"))).is_err());
        assert!(value(&mut Decoder::new(&hex("5bffffffffffffffff00"))).is_err());
    }
}
