//! CBOR, one value: OMA Core 7.4.6 (since LwM2M 1.1), RFC 8949.

use minicbor::decode::Decoder;

use super::cbor_item;
use super::cbor_write::{self, Times};
use super::senml::Held;
use super::text::single_value;
use super::typing::{self, Definitions};
use super::{Context, DecodeError, EncodeError};
use crate::{Content, Path, Reading};

/// Decodes one item at the request path.
pub fn decode(
    request_path: &Path,
    payload: &[u8],
    context: &Context<'_>,
) -> Result<Content, DecodeError> {
    if payload.is_empty() {
        return Err(DecodeError::Empty);
    }
    let mut decoder = Decoder::new(payload);
    let held = cbor_item::value(&mut decoder)?;
    cbor_item::end(&decoder)?;
    match held {
        Held::Value(wire) => {
            let (value, raw) = Definitions::new(context).value(*request_path, wire)?;
            Ok(typing::single(*request_path, Some(value), raw))
        }
        Held::Null | Held::Absent => Ok(typing::single(*request_path, None, false)),
    }
}

/// Appends the one value of the request path. Times have tag 1.
pub fn encode(
    base: &Path,
    readings: &[Reading],
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let value = single_value(base, readings)?;
    cbor_write::value(*base, value, Times::Tagged, &mut Definitions::new(context), out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::UnknownPolicy;
    use super::super::testing::{self, Fleet, hex};
    use super::*;
    use crate::Value;

    #[test]
    fn one_item_is_the_value_of_the_resource() {
        let fleet = Fleet::new();
        let cases = [
            ("/3/0/0", "6449455446", Value::String("IETF".into())),
            ("/3/0/9", "1864", Value::Integer(100)),
            ("/3/0/9", "f95640", Value::Integer(100)),
            ("/3/0/13", "c11a514b67b0", Value::Time(1_363_896_240)),
            ("/3/0/13", "1a514b67b0", Value::Time(1_363_896_240)),
            ("/3/0/13", "c074323031332d30332d32315432303a30343a30305a", Value::Time(1_363_896_240)),
            ("/3442/0/125", "1b8000000000000000", Value::Unsigned(1 << 63)),
            ("/3442/0/125", "c2488000000000000000", Value::Unsigned(1 << 63)),
            ("/3442/0/130", "f93e00", Value::Float(1.5)),
            ("/3442/0/130", "05", Value::Float(5.0)),
            ("/3442/0/140", "f5", Value::Boolean(true)),
            ("/3442/0/140", "01", Value::Boolean(true)),
            ("/3442/0/150", "43010203", Value::Opaque(vec![1, 2, 3])),
            ("/3442/0/170", "63333a30", Value::Objlnk(3, 0)),
            ("/3442/0/180", "673c2f333434323e", Value::Corelnk("</3442>".into())),
        ];
        for (path, bytes, expected) in cases {
            let path = testing::path(path);
            let content = decode(&path, &hex(bytes), &fleet.strict());
            assert_eq!(content, Ok(typing::single(path, Some(expected), false)), "{path} {bytes}");
        }
    }

    #[test]
    fn what_fits_no_definition_is_what_the_item_says() {
        let fleet = Fleet::new();
        let cases = [
            ("/9999/0/0", "c11a514b67b0", Value::Time(1_363_896_240)),
            ("/9999/0/0", "1bffffffffffffffff", Value::Unsigned(u64::MAX)),
            ("/9999/0/0", "f5", Value::Boolean(true)),
            ("/9999/0/0", "8101", Value::Opaque(hex("8101"))),
            ("/3/0/9", "fb3ff199999999999a", Value::Float(1.1)),
            ("/3/0/9", "1bffffffffffffffff", Value::Unsigned(u64::MAX)),
            ("/3/0/9", "c249010000000000000000", Value::Opaque(hex("c249010000000000000000"))),
            ("/3/0/13", "c1fb41d452d9ec200000", Value::Float(1_363_896_240.5)),
            ("/3/0/0", "420102", Value::Opaque(vec![1, 2])),
        ];
        for (path, bytes, expected) in cases {
            let path = testing::path(path);
            let content = decode(&path, &hex(bytes), &fleet.context());
            assert_eq!(content, Ok(typing::single(path, Some(expected), true)), "{path} {bytes}");
            assert!(decode(&path, &hex(bytes), &fleet.strict()).is_err(), "{path} {bytes}");
        }
        assert_eq!(fleet.strict().unknown, UnknownPolicy::Reject);
    }

    #[test]
    fn null_is_no_value_and_more_than_one_item_is_refused() {
        let fleet = Fleet::new();
        let path = testing::path("/3/0/0");
        let null = decode(&path, &[0xf6], &fleet.context());
        assert_eq!(null, Ok(typing::single(path, None, false)));
        assert!(decode(&path, &[0x01, 0x02], &fleet.context()).is_err());
        assert_eq!(decode(&path, &[], &fleet.context()), Err(DecodeError::Empty));
    }

    #[test]
    fn values_are_written_with_times_tagged() {
        let fleet = Fleet::new();
        let cases = [
            ("/3/0/0", Value::String("IETF".into()), "6449455446"),
            ("/3/0/0", Value::Opaque(b"IETF".to_vec()), "6449455446"),
            ("/3/0/0", Value::Opaque(vec![0xff]), "41ff"),
            ("/3/0/13", Value::Time(1_363_896_240), "c11a514b67b0"),
            ("/3442/0/125", Value::Unsigned(u64::MAX), "1bffffffffffffffff"),
            ("/3442/0/170", Value::Objlnk(3, 0), "63333a30"),
        ];
        for (path, value, expected) in cases {
            let path = testing::path(path);
            let mut out = Vec::new();
            let encoded = encode(&path, &[Reading::new(path, value)], &fleet.context(), &mut out);
            assert_eq!((encoded, out), (Ok(()), hex(expected)), "{path}");
        }
    }
}
