//! Datagrams of the specifications and of real devices, byte by byte.

use proptest::prelude::*;

use crate::{
    Code, ContentFormat, Message, MessageId, OptionList, OptionNumber, Options, ParseError, Token,
    Type,
};

pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// RFC 7252 appendix A, RFC 7641 appendix A, and what Wakaama and Anjay send (device-behaviour).
pub(super) const VECTORS: &[(&str, &str)] = &[
    ("figure 16, request", "40 01 7d34 bb 74656d7065726174757265"),
    ("figure 16, response", "60 45 7d34 ff 32322e332043"),
    ("figure 17, request", "41 01 7d35 20 bb 74656d7065726174757265"),
    ("figure 17, response", "61 45 7d35 20 ff 32322e332043"),
    ("figure 20, empty acknowledgement", "60 00 7d38"),
    ("figure 20, separate response", "41 45 ad7b 53 ff 32322e332043"),
    ("figure 22, non-confirmable", "51 01 7d40 75 bb 74656d7065726174757265"),
    ("reset", "70 00 7d40"),
    ("observe", "41 01 1633 4a 60 5b 74656d70657261747572 65"),
    (
        "register",
        "44 02 0001 01020304 b2 7264 11 28 39 6c776d326d3d312e31 04 65703d77 03 623d55
      05 6c743d3630 ff 3c2f312f303e",
    ),
    ("send with an empty token", "40 02 0002 b2 6470 11 6e ff 5b5d"),
    ("notification", "58 45 0003 0501020304050607 61 10 62 2d16 ff c10964"),
];

/// A million devices' registrations depend on it: what is read is what was meant.
#[test]
fn the_vectors_of_rfc_7252_appendix_a() {
    let path = |text: &str| {
        let mut list = OptionList::new();
        list.uri_path(text);
        list
    };
    let token = |bytes: &[u8]| Token::new(bytes).unwrap();
    let empty = OptionList::new;
    type Row<'r> = (Type, Code, u16, Token, OptionList, &'r [u8]);
    let expected: [Row<'_>; 8] = [
        (Type::Confirmable, Code::GET, 0x7d34, Token::EMPTY, path("temperature"), b""),
        (Type::Acknowledgement, Code::CONTENT, 0x7d34, Token::EMPTY, empty(), b"22.3 C"),
        (Type::Confirmable, Code::GET, 0x7d35, token(&[0x20]), path("temperature"), b""),
        (Type::Acknowledgement, Code::CONTENT, 0x7d35, token(&[0x20]), empty(), b"22.3 C"),
        (Type::Acknowledgement, Code::EMPTY, 0x7d38, Token::EMPTY, empty(), b""),
        (Type::Confirmable, Code::CONTENT, 0xad7b, token(&[0x53]), empty(), b"22.3 C"),
        (Type::NonConfirmable, Code::GET, 0x7d40, token(&[0x75]), path("temperature"), b""),
        (Type::Reset, Code::EMPTY, 0x7d40, Token::EMPTY, empty(), b""),
    ];
    for ((name, hex), (kind, code, id, token, options, payload)) in VECTORS.iter().zip(&expected) {
        let datagram = bytes(hex);
        let message = Message::parse(&datagram).unwrap();
        assert_eq!((message.kind, message.code, message.token), (*kind, *code, *token), "{name}");
        assert_eq!((message.id, message.payload), (MessageId::new(*id), *payload), "{name}");
        assert_eq!(message.options, options.options(), "{name}");
    }
}

#[test]
fn every_vector_is_written_as_it_was_read() {
    for (name, hex) in VECTORS {
        let datagram = bytes(hex);
        let message = Message::parse(&datagram).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut out = Vec::new();
        message.encode(&mut out);
        assert_eq!(out, datagram, "{name}");
    }
}

#[test]
fn the_options_of_a_register() {
    let datagram = bytes(VECTORS[9].1);
    let message = Message::parse(&datagram).unwrap();
    let options = &message.options;
    assert_eq!(options.uri_path().collect::<Vec<_>>(), [b"rd"]);
    assert_eq!(options.content_format(), Some(ContentFormat::LINK));
    let query: Vec<_> = options.uri_query().map(String::from_utf8_lossy).collect();
    assert_eq!(query, ["lwm2m=1.1", "ep=w", "b=U", "lt=60"]);
    assert_eq!((options.accept(), options.observe(), options.max_age()), (None, None, None));
}

/// RFC 7252 3.1: deltas and lengths below 13, below 269, and above.
#[test]
fn deltas_and_lengths_are_extended_at_their_borders() {
    for (delta, head) in [
        (0, "00"),
        (12, "c0"),
        (13, "d0 00"),
        (268, "d0 ff"),
        (269, "e0 0000"),
        (65_535, "e0 fef2"),
    ] {
        let list = OptionList::new().with(OptionNumber(delta), b"");
        assert_eq!(list.as_bytes(), bytes(head), "delta {delta}");
        let (options, _) = Options::parse(list.as_bytes()).unwrap();
        assert_eq!(options.iter().collect::<Vec<_>>(), [(OptionNumber(delta), b"".as_slice())]);
    }
    for (len, head) in
        [(12, "bc"), (13, "bd 00"), (268, "bd ff"), (269, "be 0000"), (65_804, "be ffff")]
    {
        let value = vec![b'x'; len];
        let list = OptionList::new().with(OptionNumber::URI_PATH, &value);
        assert!(list.as_bytes().starts_with(&bytes(head)), "length {len}");
        assert_eq!(list.options().first(OptionNumber::URI_PATH), Some(value.as_slice()));
    }
}

/// Fact 38: Max-Age is handed up as it came.
#[test]
fn unsigned_integers_take_as_few_bytes_as_they_need() {
    for (value, len) in [(0, 0), (1, 1), (255, 1), (256, 2), (65_536, 3), (1 << 24, 4)] {
        let list = OptionList::new().with_uint(OptionNumber::MAX_AGE, value);
        assert_eq!(list.options().first(OptionNumber::MAX_AGE).map(<[u8]>::len), Some(len));
        assert_eq!(list.options().max_age().map(u64::from), Some(value));
    }
    // Leading zero bytes do no harm.
    let zeros = OptionList::new().with(OptionNumber::MAX_AGE, &[0, 0, 0, 7]);
    assert_eq!(zeros.options().max_age(), Some(7));
    let long = OptionList::new().with(OptionNumber::MAX_AGE, &[0, 0, 0, 0, 7]);
    assert_eq!(long.options().max_age(), None);
}

#[test]
fn options_added_in_any_order_stand_in_the_order_of_their_numbers() {
    let mut list = OptionList::new();
    list.uri_query("b");
    list.uri_path("rd");
    list.push(OptionNumber(2048), b"far");
    list.content_format(40);
    list.uri_path("0");
    list.uri_query("a");
    let numbers: Vec<u16> = list.iter().map(|(number, _)| number.0).collect();
    assert_eq!(numbers, [11, 11, 12, 15, 15, 2048]);
    assert_eq!(list.options().uri_path().collect::<Vec<_>>(), [b"rd".as_slice(), b"0"]);
    list.remove(OptionNumber::URI_PATH);
    list.replace_uint(OptionNumber::CONTENT_FORMAT, 112);
    assert_eq!(list.options().content_format(), Some(ContentFormat::SENML_CBOR));
    assert_eq!(list.options().uri_path().count(), 0);
}

#[test]
fn format_errors_of_rfc_7252_section_3() {
    for (hex, error) in [
        ("", ParseError::Header),
        ("40 01 7d", ParseError::Header),
        ("00 01 7d34", ParseError::Version),
        ("80 01 7d34", ParseError::Version),
        ("c0 01 7d34", ParseError::Version),
        ("49 01 7d34 000102030405060708", ParseError::TokenLength),
        ("4f 01 7d34 000102030405060708090a0b0c0d0e", ParseError::TokenLength),
        ("44 01 7d34 010203", ParseError::TokenTruncated),
        ("41 00 7d34 01", ParseError::NotEmpty),
        ("40 00 7d34 00", ParseError::NotEmpty),
        ("40 00 7d34 ff 00", ParseError::NotEmpty),
        ("40 01 7d34 ff", ParseError::EmptyPayload),
        ("40 01 7d34 b1 61 ff", ParseError::EmptyPayload),
        ("40 01 7d34 f0", ParseError::OptionReserved),
        ("40 01 7d34 0f", ParseError::OptionReserved),
        ("40 01 7d34 b5 61", ParseError::OptionTruncated),
        ("40 01 7d34 d0", ParseError::OptionTruncated),
        ("40 01 7d34 e0 00", ParseError::OptionTruncated),
        ("40 01 7d34 0d", ParseError::OptionTruncated),
        ("40 01 7d34 e0 ffff", ParseError::OptionNumber),
        ("40 01 7d34 e0 fef2 10", ParseError::OptionNumber),
    ] {
        assert_eq!(Message::parse(&bytes(hex)).map(drop), Err(error), "{hex}");
    }
}

prop_compose! {
    fn options()(
        mut list in prop::collection::vec(
            (any::<u16>(), prop::collection::vec(any::<u8>(), 0..400)), 0..8)
    ) -> Vec<(u16, Vec<u8>)> {
        list.sort_by_key(|(number, _)| *number);
        list
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        kind in 0u8..4, code in 1u8.., id in any::<u16>(),
        token in prop::collection::vec(any::<u8>(), 0..=8),
        options in options(), payload in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let list = options.iter().rev().fold(OptionList::new(), |list, (number, value)| {
            list.with(OptionNumber(*number), value)
        });
        let message = Message {
            kind: Type::from_bits(kind),
            code: Code::from_byte(code),
            id: MessageId::new(id),
            token: Token::new(&token).unwrap(),
            options: list.options(),
            payload: &payload,
        };
        let mut out = Vec::new();
        message.encode(&mut out);
        prop_assert_eq!(&Message::parse(&out).unwrap(), &message);
        let numbers: Vec<u16> = message.options.iter().map(|(number, _)| number.0).collect();
        let expected: Vec<u16> = options.iter().map(|(number, _)| *number).collect();
        prop_assert_eq!(numbers, expected);
    }

    #[test]
    fn what_can_be_read_is_written_as_it_came(
        datagram in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        if let Ok(message) = Message::parse(&datagram) {
            let mut out = Vec::new();
            message.encode(&mut out);
            prop_assert_eq!(out, datagram);
        }
    }
}
