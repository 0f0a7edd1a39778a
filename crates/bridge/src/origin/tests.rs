use super::*;

fn asked<'a>() -> Asked<'a> {
    Asked {
        message: MessageType::Observe,
        mount: 300,
        address: Some("192.0.2.7"),
        echo: "\"reqID\":1",
        echoes_sequence: false,
        data: "{\"path\":\"/3/0\"}",
        request_path: Some(Span { start: 9, len: 4 }),
        response_topic: Some("answers/1"),
        correlation: Some(&[0, 255]),
    }
}

#[test]
fn what_is_packed_comes_out_again() {
    let long = "x".repeat(70_000);
    let cases = [
        asked(),
        Asked { message: MessageType::WriteComposite, mount: 0, request_path: None, ..asked() },
        Asked { response_topic: None, ..asked() },
        Asked { correlation: None, echo: "", echoes_sequence: true, ..asked() },
        Asked { data: &long, ..asked() },
    ];
    for case in cases {
        assert_eq!(Asked::unpack(&case.pack()), Some(case));
    }
}

#[test]
fn the_path_is_a_piece_of_the_data() {
    assert_eq!(asked().request_path(), Some("/3/0"));
    let beyond = Asked { request_path: Some(Span { start: 9, len: 99 }), ..asked() };
    assert_eq!(beyond.request_path(), None);
}

#[test]
fn a_typical_observation_takes_few_bytes() {
    let asked = Asked {
        mount: 0,
        address: None,
        data: "{\"path\":\"/3303/0/5700\"}",
        response_topic: None,
        correlation: None,
        ..asked()
    };
    assert_eq!(asked.pack().as_bytes().len(), 3 + 1 + (1 + 9) + (1 + 23) + 2);
}

#[test]
fn a_foreign_origin_is_nobodys() {
    let whole = asked().pack();
    for len in 0..whole.as_bytes().len() {
        let cut = Origin::new(&whole.as_bytes()[..len]);
        assert_eq!(Asked::unpack(&cut), None, "{len}");
    }
    assert_eq!(Asked::unpack(&Origin::default()), None);
    assert_eq!(Asked::unpack(&Origin::new(&[2, 1, 0, 0, 0, 0])), None, "another form");
    assert_eq!(Asked::unpack(&Origin::new(&[1, 99, 0, 0, 0, 0])), None, "no such command");
    assert_eq!(Asked::unpack(&Origin::new(&[0xff; 64])), None);
}

#[test]
fn a_flipped_bit_never_panics() {
    let whole = asked().pack();
    for bit in 0..whole.as_bytes().len() * 8 {
        let mut bytes = whole.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let origin = Origin::new(&bytes);
        if let Some(asked) = Asked::unpack(&origin) {
            let mut out = Vec::new();
            asked.push_echo(&mut out, Sequence::FromDevice);
            let _ = asked.request_path();
        }
    }
}
