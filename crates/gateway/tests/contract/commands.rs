//! Commands as the requests that devices get, byte by byte: contract, sections 3.1 to 3.5.

use gateway::config::Profile;
use serde_json::{Value as Json, json};

use crate::bench::{Gateway, LINKS, unique_name};
use crate::coap::CON;

in_both_profiles!(requests, writes, values, creates, alternate_paths);

/// Name, `msgType`, `data`, and the request.
type Row = (&'static str, &'static str, Json, &'static str);

fn play(gateway: &Gateway, rows: &[Row]) {
    gateway.play(
        rows,
        |row| row.0,
        |(_, message, data, request)| {
            let command = json!({"reqID": 7, "msgType": message, "data": data});
            one(gateway, LINKS, &command, request);
        },
    );
}

/// Publishes a command, compares its request, answers it, and compares what is repeated.
fn one(gateway: &Gateway, links: &str, command: &Json, expected: &str) {
    let mut device = gateway.registered_with(&unique_name(), links);
    let request = device.command(command);
    assert_eq!(request.shown(), expected);
    assert_eq!(request.kind, CON);
    assert!((1..=8).contains(&request.token.len()), "a token");
    device.answer(&request, "4.04");
    let mut answer = command.clone();
    let data = &command["data"];
    let path = [&data["path"], &data["basePath"]].into_iter().find_map(Json::as_str).unwrap();
    let path = match gateway.profile {
        Profile::Emqx4 => path,
        Profile::Emqx5 => path.split('?').next().unwrap(),
    };
    answer["data"] = json!({"reqPath": path, "code": "4.04", "codeMsg": "not_found"});
    device.expect("up/resp", &answer);
}

fn requests(profile: Profile) {
    let path = |path: &str| json!({"path": path});
    let rows: Vec<Row> = vec![
        ("read has no Accept", "read", path("/3/0/0"), "GET /3/0/0"),
        ("read of an object", "read", path("/3"), "GET /3"),
        ("read of an instance", "read", path("/3/0"), "GET /3/0"),
        ("read of a resource instance", "read", path("/3/0/6/1"), "GET /3/0/6/1"),
        ("slashes at the ends are optional", "read", path("3/0/"), "GET /3/0"),
        ("a slash behind is repeated", "read", path("/3/0/"), "GET /3/0"),
        ("a query becomes options", "read", path("/3/0?a=1&b"), "GET /3/0 ?a=1 ?b"),
        (
            "read in a wanted format",
            "read",
            json!({"path": "/3/0", "accept": 112}),
            "GET /3/0 accept=112",
        ),
        (
            "read in a named format",
            "read",
            json!({"path": "/3/0", "accept": "tlv"}),
            "GET /3/0 accept=11542",
        ),
        (
            "other members of data are not for the device",
            "read",
            json!({"path": "/3/0", "x": [1]}),
            "GET /3/0",
        ),
        ("discover accepts links", "discover", path("/3"), "GET /3 accept=40"),
        ("discover of a resource", "discover", path("/3/0/7"), "GET /3/0/7 accept=40"),
        (
            "write-attr with texts",
            "write-attr",
            json!({"path": "/3/0/9", "pmin": "1", "pmax": "10", "gt": "5", "lt": "2", "st": "1.5"}),
            "PUT /3/0/9 ?pmin=1 ?pmax=10 ?gt=5 ?lt=2 ?st=1.5",
        ),
        (
            "write-attr with numbers",
            "write-attr",
            json!({"path": "/3/0/9", "pmin": 1, "gt": 0.1, "lt": -5.0}),
            "PUT /3/0/9 ?pmin=1 ?gt=0.1 ?lt=-5.0",
        ),
        (
            "write-attr skips null",
            "write-attr",
            json!({"path": "/3/0/9", "pmin": 1, "pmax": null, "gt": null, "lt": null, "st": null}),
            "PUT /3/0/9 ?pmin=1",
        ),
        ("write-attr without attribute", "write-attr", path("/3/0/9"), "PUT /3/0/9"),
        (
            "write-attr ignores other members",
            "write-attr",
            json!({"path": "/3/0/9", "foo": 1, "pmax": 2}),
            "PUT /3/0/9 ?pmax=2",
        ),
        (
            "write-attr of an instance",
            "write-attr",
            json!({"path": "/3/0", "pmin": 5}),
            "PUT /3/0 ?pmin=5",
        ),
        (
            "execute with arguments",
            "execute",
            json!({"path": "/3/0/4", "args": "0='now',1"}),
            "POST /3/0/4 ct=0 30 3D 27 6E 6F 77 27 2C 31",
        ),
        ("execute without arguments", "execute", path("/3/0/4"), "POST /3/0/4 ct=0"),
        (
            "execute with empty arguments",
            "execute",
            json!({"path": "/3/0/4", "args": ""}),
            "POST /3/0/4 ct=0",
        ),
        (
            "execute with undefined",
            "execute",
            json!({"path": "/3/0/4", "args": "undefined"}),
            "POST /3/0/4 ct=0",
        ),
        (
            "execute with null",
            "execute",
            json!({"path": "/3/0/4", "args": null}),
            "POST /3/0/4 ct=0",
        ),
        ("delete", "delete", path("/3303/1"), "DELETE /3303/1"),
        ("observe", "observe", path("/3/0/9"), "GET /3/0/9 observe=0"),
        ("observe of an object", "observe", path("/3303"), "GET /3303 observe=0"),
        (
            "observe has no Accept unless wanted",
            "observe",
            json!({"path": "/3303", "accept": 110}),
            "GET /3303 observe=0 accept=110",
        ),
        (
            "cancel-observe without observation",
            "cancel-observe",
            path("/3/0/9"),
            "GET /3/0/9 observe=1",
        ),
    ];
    play(&Gateway::start(profile, "requests-of-commands"), &rows);
}

fn writes(profile: Profile) {
    let batch = |base: &str, content: Json| json!({"basePath": base, "content": content});
    let integer =
        |path: &str, value: Json| json!({"path": path, "type": "Integer", "value": value});
    let rows: Vec<Row> = vec![
        (
            "a single write replaces",
            "write",
            json!({"path": "/3/0/13", "type": "Integer", "value": "12345"}),
            "PUT /3/0/13 ct=11542 C2 0D 30 39",
        ),
        (
            "a base path of / is the single form",
            "write",
            json!({"basePath": "/", "path": "/3/0/13", "type": "Integer", "value": 1}),
            "PUT /3/0/13 ct=11542 C1 0D 01",
        ),
        (
            "a batch on an instance updates",
            "write",
            batch(
                "/3/0/",
                json!([integer("13", json!("12345")), {"path": "14", "type": "String", "value": "87x"}]),
            ),
            "POST /3/0 ct=11542 C2 0D 30 39 C3 0E 38 37 78",
        ),
        (
            "item paths may begin with a slash",
            "write",
            batch("/3/0", json!([integer("/13", json!(1))])),
            "POST /3/0 ct=11542 C1 0D 01",
        ),
        (
            "item paths may name resource instances",
            "write",
            batch("/3/0", json!([integer("6/0", json!(1)), integer("6/1", json!(5))])),
            "POST /3/0 ct=11542 86 06 41 00 01 41 01 05",
        ),
        (
            "of a repeated resource the last one counts and stands last",
            "write",
            batch(
                "/3/0",
                json!([integer("13", json!(1)), integer("9", json!(2)), integer("13", json!(3))]),
            ),
            "POST /3/0 ct=11542 C1 09 02 C1 0D 03",
        ),
        (
            "of a repeated instance the last one counts and stands last",
            "write",
            batch(
                "/3/0",
                json!([
                    integer("6/0", json!(1)),
                    integer("6/1", json!(2)),
                    integer("6/0", json!(3))
                ]),
            ),
            "POST /3/0 ct=11542 86 06 41 01 02 41 00 03",
        ),
        ("an empty batch has no payload", "write", batch("/3/0", json!([])), "POST /3/0 ct=11542"),
        (
            "one item under a resource is the resource",
            "write",
            batch("/3/0/13", json!([{"type": "Float", "value": "12345.0"}])),
            "PUT /3/0/13 ct=11542 C8 0D 08 40 C8 1C 80 00 00 00 00",
        ),
        (
            "the path of one item under a resource does not count",
            "write",
            batch("/3/0/13", json!([integer("77/8/9", json!(1))])),
            "PUT /3/0/13 ct=11542 C1 0D 01",
        ),
        (
            "several items under a resource are its instances",
            "write",
            batch(
                "/3/0/22",
                json!([{"path": "0", "type": "Objlnk", "value": "1:2"}, {"path": "1", "type": "Objlnk", "value": "1:4"}]),
            ),
            "PUT /3/0/22 ct=11542 88 16 0C 44 00 00 01 00 02 44 01 00 01 00 04",
        ),
        (
            "with path and basePath the batch form counts and path is repeated",
            "write",
            json!({"path": "/x/y", "basePath": "/3/0", "content": [integer("13", json!(1))]}),
            "POST /3/0 ct=11542 C1 0D 01",
        ),
        (
            "a write in another format",
            "write",
            json!({"path": "/3/0/14", "type": "String", "value": "+2", "format": "text"}),
            "PUT /3/0/14 ct=0 2B 32",
        ),
        (
            "a batch that replaces",
            "write",
            json!({"basePath": "/3/0", "mode": "replace", "content": [integer("13", json!(1))]}),
            "PUT /3/0 ct=11542 C1 0D 01",
        ),
        (
            "an id above 255",
            "write",
            json!({"path": "/3/0/300", "type": "Integer", "value": 1}),
            "PUT /3/0/300 ct=11542 E1 01 2C 01",
        ),
    ];
    play(&Gateway::start(profile, "writes"), &rows);
}

/// Name, `type`, `value`, and the bytes of the resource's value in hexadecimal.
type ValueRow = (&'static str, &'static str, Json, &'static str);

fn values(profile: Profile) {
    let rows: Vec<ValueRow> = vec![
        ("a String as it is", "String", json!("Z\u{fc}"), "5A C3 BC"),
        ("0", "Integer", json!(0), "00"),
        ("127", "Integer", json!("127"), "7F"),
        ("128 takes two bytes", "Integer", json!(128), "00 80"),
        ("129", "Integer", json!(129), "00 81"),
        ("255", "Integer", json!("255"), "00 FF"),
        ("32767", "Integer", json!(32767), "7F FF"),
        ("32768 takes four bytes", "Integer", json!(32768), "00 00 80 00"),
        ("65536", "Integer", json!(65536), "00 01 00 00"),
        ("-1", "Integer", json!("-1"), "FF"),
        ("-128", "Integer", json!(-128), "80"),
        ("-129", "Integer", json!(-129), "FF 7F"),
        ("2^31 takes eight bytes", "Integer", json!(2_147_483_648_u64), "00 00 00 00 80 00 00 00"),
        ("2^63 - 1", "Integer", json!(i64::MAX), "7F FF FF FF FF FF FF FF"),
        ("-2^63", "Integer", json!(i64::MIN), "80 00 00 00 00 00 00 00"),
        ("a Time is like an Integer", "Time", json!("1600000000"), "5F 5E 10 00"),
        ("a Time as number", "Time", json!(200), "00 C8"),
        (
            "2^64 - 1 as Unsigned Integer",
            "Unsigned Integer",
            json!(u64::MAX),
            "FF FF FF FF FF FF FF FF",
        ),
        ("200 as Unsigned Integer", "Unsigned Integer", json!("200"), "00 C8"),
        ("a Float as text", "Float", json!("1.5"), "3F F8 00 00 00 00 00 00"),
        ("a Float as number", "Float", json!(1.5), "3F F8 00 00 00 00 00 00"),
        ("a Float without point is a Float", "Float", json!("5"), "40 14 00 00 00 00 00 00"),
        ("a whole number as Float", "Float", json!(5), "40 14 00 00 00 00 00 00"),
        ("a Float with exponent", "Float", json!("-1e3"), "C0 8F 40 00 00 00 00 00"),
        ("true as text", "Boolean", json!("true"), "01"),
        ("false as text", "Boolean", json!("false"), "00"),
        ("true", "Boolean", json!(true), "01"),
        ("false", "Boolean", json!(false), "00"),
        ("Opaque is Base64", "Opaque", json!("AQID"), "01 02 03"),
        ("Opaque without padding", "Opaque", json!("AQ"), "01"),
        ("Opaque with padding", "Opaque", json!("AQ=="), "01"),
        ("Objlnk", "Objlnk", json!("1:2"), "00 01 00 02"),
        ("the null link", "Objlnk", json!("65535:65535"), "FF FF FF FF"),
        ("Corelnk is text", "Corelnk", json!("</3/0>"), "3C 2F 33 2F 30 3E"),
    ];
    let gateway = Gateway::start(profile, "values");
    gateway.play(
        &rows,
        |row| row.0,
        |(_, data_type, value, bytes)| {
            let data = json!({"path": "/3/0/200", "type": data_type, "value": value});
            let command = json!({"msgType": "write", "data": data});
            one(&gateway, LINKS, &command, &format!("PUT /3/0/200 ct=11542 {}", tlv(bytes)));
        },
    );
    let hexadecimal: Vec<ValueRow> = vec![
        ("hex of a String", "String", json!("2B3031"), "2B 30 31"),
        ("hex in small letters", "String", json!("2b3031"), "2B 30 31"),
        ("hex of bytes that are no text", "String", json!("FF00"), "FF 00"),
        ("hex of an Opaque are its bytes", "Opaque", json!("0102FF"), "01 02 FF"),
        ("hex of the text of an Integer", "Integer", json!("313238"), "00 80"),
        ("hex of the text of a Float", "Float", json!("312E35"), "3F F8 00 00 00 00 00 00"),
        ("hex of the text of a Boolean", "Boolean", json!("74727565"), "01"),
    ];
    gateway.play(
        &hexadecimal,
        |row| row.0,
        |(_, data_type, value, bytes)| {
            let data = json!({"path": "/3/0/200", "type": data_type, "value": value});
            let command = json!({"encoding": "hex", "msgType": "write", "data": data});
            one(&gateway, LINKS, &command, &format!("PUT /3/0/200 ct=11542 {}", tlv(bytes)));
        },
    );
    let unknown = json!({"encoding": "base64", "msgType": "write",
                         "data": {"path": "/3/0/14", "type": "String", "value": "2B"}});
    one(&gateway, LINKS, &unknown, "PUT /3/0/14 ct=11542 C2 0E 32 42");
    let elsewhere = json!({"encoding": "hex", "msgType": "read", "data": {"path": "/3/0/14"}});
    one(&gateway, LINKS, &elsewhere, "GET /3/0/14");
    above_the_signed_integers(&gateway);
}

/// An Integer above 2^63 - 1 goes to a resource that is defined as Unsigned Integer.
fn above_the_signed_integers(gateway: &Gateway) {
    // Radio Link Failure counters and the like: object 7 counts in Integer, 3442/0/125 is unsigned.
    let command = json!({"msgType": "write",
        "data": {"path": "/3442/0/125", "type": "Integer", "value": u64::MAX}});
    one(
        gateway,
        "</3442/0>",
        &command,
        "PUT /3442/0/125 ct=11542 C8 7D 08 FF FF FF FF FF FF FF FF",
    );
}

/// Resource 200 as TLV.
fn tlv(value: &str) -> String {
    let length = value.split(' ').count();
    match length {
        0..8 => format!("C{length} C8 {value}"),
        _ => format!("C8 C8 {length:02X} {value}"),
    }
}

fn creates(profile: Profile) {
    let rows: Vec<Row> = vec![
        (
            "instances are TLV of their own",
            "create",
            json!({"basePath": "/6", "content": [{"path": "0/0", "type": "Float", "value": "1.5"}, {"path": "0/4", "type": "Opaque", "value": "AQID"}]}),
            "POST /6 ct=11542 08 00 10 C8 00 08 3F F8 00 00 00 00 00 00 C3 04 01 02 03",
        ),
        (
            "several instances",
            "create",
            json!({"basePath": "/3303", "content": [{"path": "2/5701", "type": "String", "value": "C"}, {"path": "3/5701", "type": "String", "value": "F"}]}),
            "POST /3303 ct=11542 04 02 E1 16 45 43 04 03 E1 16 45 46",
        ),
        (
            "item paths may begin with a slash",
            "create",
            json!({"basePath": "/3303", "content": [{"path": "/2/5701", "type": "String", "value": "C"}]}),
            "POST /3303 ct=11542 04 02 E1 16 45 43",
        ),
        (
            "multiple resources inside of an instance",
            "create",
            json!({"basePath": "/3303", "content": [{"path": "2/5750/0", "type": "Integer", "value": 1}]}),
            "POST /3303 ct=11542 06 02 A3 16 76 41 00 01",
        ),
        (
            "an empty content lets the device choose",
            "create",
            json!({"basePath": "/3303", "content": []}),
            "POST /3303 ct=11542",
        ),
        (
            "a missing content is an empty one",
            "create",
            json!({"basePath": "/3303"}),
            "POST /3303 ct=11542",
        ),
        (
            "path stands for basePath",
            "create",
            json!({"path": "/3303", "content": []}),
            "POST /3303 ct=11542",
        ),
        (
            "a slash behind",
            "create",
            json!({"basePath": "/3303/", "content": []}),
            "POST /3303 ct=11542",
        ),
    ];
    play(&Gateway::start(profile, "creates"), &rows);
}

fn alternate_paths(profile: Profile) {
    let rows: &[(&str, &str, &str)] = &[
        ("one segment", "</lwm2m>;rt=\"oma.lwm2m\",</lwm2m/3/0>", "GET /lwm2m/3/0/0"),
        ("two segments are two options", "</a/b>;rt=\"oma.lwm2m\",</a/b/3/0>", "GET /a/b/3/0/0"),
        ("slashes at the ends", "</a/>;rt=\"oma.lwm2m\",</a/3/0>", "GET /a/3/0/0"),
        ("the root", "</>;rt=\"oma.lwm2m\",</3/0>", "GET /3/0/0"),
    ];
    let gateway = Gateway::start(profile, "alternate-paths");
    gateway.play(
        rows,
        |row| row.0,
        |(_, links, request)| {
            let command = json!({"reqID": 1, "msgType": "read", "data": {"path": "/3/0/0"}});
            one(&gateway, links, &command, request);
        },
    );
}
