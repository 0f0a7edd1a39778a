//! Devices over REST: section 9.1, clients.

use std::collections::BTreeSet;

use gateway::config::Profile;
use serde_json::{Value as Json, json};

use crate::bench::{Gateway, unique_name};
use crate::http::{Api, escaped, gateway};

in_both_profiles!(rows, filters, pages, kicks, refusals);

/// Every member of EMQX's client row, and what came on top.
const MEMBERS: [&str; 42] = [
    "node",
    "clientid",
    "username",
    "mountpoint",
    "proto_name",
    "proto_ver",
    "ip_address",
    "port",
    "is_bridge",
    "connected_at",
    "disconnected_at",
    "connected",
    "keepalive",
    "clean_start",
    "expiry_interval",
    "created_at",
    "subscriptions_cnt",
    "subscriptions_max",
    "inflight_cnt",
    "inflight_max",
    "mqueue_len",
    "mqueue_max",
    "mqueue_dropped",
    "awaiting_rel_cnt",
    "awaiting_rel_max",
    "recv_cnt",
    "recv_msg",
    "recv_oct",
    "recv_pkt",
    "send_cnt",
    "send_msg",
    "send_oct",
    "send_pkt",
    "mailbox_len",
    "heap_size",
    "reductions",
    "endpoint_name",
    "lifetime",
    "presence",
    "last_heard_at",
    "expires_at",
    "observations_cnt",
];

fn rows(profile: Profile) {
    let (gateway, api) = gateway(profile, "rest-rows", |_| {});
    let mut device = gateway.device("urn:imei:1/a");
    device.register(&["b=UQ", "imei=490154203237518"], "</1/0>,</3/0>");
    assert_eq!(device.published().json["msgType"], "register");
    let request = device.command(&json!({"msgType": "observe", "data": {"path": "/3/0/9"}}));
    device.answer(&request, "2.05 observe=1 text 95");
    device.published();

    let listed = api.get("/lwm2m/clients");
    assert_eq!(listed.status, 200);
    let meta = json!({"page": 1, "limit": 100, "count": 1, "hasnext": false});
    assert_eq!(listed.json["meta"], meta);
    let row = &listed.json["data"][0];
    let members: BTreeSet<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
    let expected: BTreeSet<&str> = MEMBERS.into_iter().collect();
    assert_eq!(members, expected);
    for (member, value) in [
        ("clientid", json!("urn:imei:1/a")),
        ("endpoint_name", json!("urn:imei:1/a")),
        ("username", json!("490154203237518")),
        ("mountpoint", json!("lwm2m/urn:imei:1/a/")),
        ("proto_name", json!("LwM2M")),
        ("proto_ver", json!("1.1")),
        ("ip_address", json!("127.0.0.1")),
        ("port", json!(device.socket.local_addr().unwrap().port())),
        ("is_bridge", json!(false)),
        ("connected", json!(true)),
        ("disconnected_at", Json::Null),
        ("keepalive", json!(86_400)),
        ("lifetime", json!(86_400)),
        ("subscriptions_cnt", json!(1)),
        ("inflight_cnt", json!(0)),
        ("mqueue_len", json!(0)),
        ("mqueue_max", json!(64)),
        ("observations_cnt", json!(1)),
    ] {
        assert_eq!(row[member], value, "{member}");
    }
    let node = row["node"].as_str().unwrap();
    assert!(node.starts_with("lwm2m-gateway@") && node.len() > 14, "{node}");
    assert_eq!(row["created_at"], row["connected_at"]);

    // One device, its name escaped: what it said of itself, and what is observed.
    let one = api.get(&format!("/lwm2m/clients/{}", escaped("urn:imei:1/a"))).json;
    assert_eq!(one["clientid"], "urn:imei:1/a");
    assert_eq!(one["created_at"], row["created_at"]);
    assert_eq!(one["objectList"], json!(["/1/0", "/3/0"]));
    assert_eq!(one["parameters"]["imei"], "490154203237518");
    assert_eq!(one["parameters"]["b"], "UQ");
    assert_eq!(one["observations"], json!([{"path": "/3/0/9", "accept": null}]));

    let topics = api.get(&format!("/lwm2m/clients/{}/subscriptions", escaped("urn:imei:1/a")));
    let topic = "lwm2m/urn:imei:1/a/dn/#";
    let rh = u8::from(profile == Profile::Emqx5);
    let row = json!({"topic": topic, "qos": 0, "nl": 0, "rap": 0, "rh": rh, "sub_props": {}});
    assert_eq!((topics.status, &topics.json), (200, &json!([row])));
}

fn names(api: &Api, query: &str) -> Vec<String> {
    let listed = api.get(&format!("/lwm2m/clients?{query}"));
    assert_eq!(listed.status, 200, "{query}: {:?}", listed.json);
    let rows = listed.json["data"].as_array().unwrap();
    let mut names: Vec<String> =
        rows.iter().map(|row| row["clientid"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed.json["meta"]["count"], names.len(), "{query}");
    names.sort_unstable();
    names
}

fn filters(profile: Profile) {
    let (gateway, api) = gateway(profile, "rest-filters", |_| {});
    // A millisecond apart, which is what times are told to.
    let pause = || std::thread::sleep(std::time::Duration::from_millis(2));
    let first = gateway.registered("alpha-1");
    pause();
    let mut second = gateway.device("alpha-2");
    second.register(&["lt=7200", "imei=35"], "</3/0>");
    pause();
    let mut third = gateway.device("beta-1");
    third.register(&["lt=60"], "</3/0>");
    assert_eq!(third.published().json["msgType"], "register");
    let created = |name: &str| {
        let row = api.get(&format!("/lwm2m/clients/{name}")).json;
        escaped(row["created_at"].as_str().unwrap())
    };
    let node = api.get("/lwm2m/clients/alpha-1").json["node"].as_str().unwrap().to_owned();
    let rows: &[(String, &[&str])] = &[
        ("clientid=alpha-1".into(), &["alpha-1"]),
        ("clientid=alpha".into(), &[]),
        ("endpoint_name=beta-1".into(), &["beta-1"]),
        ("clientid=alpha-1&endpoint_name=beta-1".into(), &[]),
        ("like_clientid=alpha".into(), &["alpha-1", "alpha-2"]),
        ("like_endpoint_name=-1".into(), &["alpha-1", "beta-1"]),
        ("like_endpoint_name=-1&like_clientid=beta".into(), &["beta-1"]),
        ("like_endpoint_name=ALPHA".into(), &[]),
        ("username=35".into(), &["alpha-2"]),
        ("username=alpha-2".into(), &[]),
        ("like_username=alpha".into(), &["alpha-1"]),
        ("ip_address=127.0.0.1".into(), &["alpha-1", "alpha-2", "beta-1"]),
        ("ip_address=127.0.0.2".into(), &[]),
        ("conn_state=connected".into(), &["alpha-1", "alpha-2", "beta-1"]),
        ("conn_state=disconnected".into(), &[]),
        ("clean_start=true".into(), &["alpha-1", "alpha-2", "beta-1"]),
        ("clean_start=false".into(), &[]),
        ("proto_ver=1.1".into(), &["alpha-1", "alpha-2", "beta-1"]),
        ("proto_ver=1.0".into(), &[]),
        ("gte_lifetime=7200".into(), &["alpha-1", "alpha-2"]),
        ("lte_lifetime=7200".into(), &["alpha-2", "beta-1"]),
        ("gte_lifetime=61&lte_lifetime=7200".into(), &["alpha-2"]),
        (format!("node={}", escaped(&node)), &["alpha-1", "alpha-2", "beta-1"]),
        ("node=emqx%40127.0.0.1".into(), &[]),
        (format!("gte_created_at={}", created("beta-1")), &["beta-1"]),
        (format!("lte_created_at={}", created("alpha-1")), &["alpha-1"]),
        (format!("gte_connected_at={}", created("alpha-2")), &["alpha-2", "beta-1"]),
        (format!("lte_connected_at={}", created("alpha-2")), &["alpha-1", "alpha-2"]),
        ("gte_created_at=2000-01-01T00:00:00Z".into(), &["alpha-1", "alpha-2", "beta-1"]),
        ("lte_created_at=946684800000".into(), &[]),
    ];
    gateway.play(
        rows,
        |row| &row.0,
        |(query, expected)| {
            assert_eq!(names(&api, query), *expected, "{query}");
        },
    );
    drop((first, second, third));
}

fn pages(profile: Profile) {
    let (gateway, api) = gateway(profile, "rest-pages", |_| {});
    let devices: Vec<_> = (0..7).map(|n| gateway.registered(&format!("dev-{n}"))).collect();
    let mut seen = BTreeSet::new();
    for (page, (rows, hasnext)) in [(3, true), (3, true), (1, false), (0, false)].iter().enumerate()
    {
        let listed = api.get(&format!("/lwm2m/clients?page={}&limit=3", page + 1)).json;
        let (data, meta) = (listed["data"].as_array().unwrap(), &listed["meta"]);
        assert_eq!((data.len(), &meta["hasnext"]), (*rows, &json!(hasnext)), "page {page}");
        assert_eq!((&meta["page"], &meta["limit"]), (&json!(page + 1), &json!(3)));
        assert_eq!(meta["count"], 7);
        seen.extend(data.iter().map(|row| row["clientid"].to_string()));
    }
    assert_eq!(seen.len(), devices.len());

    // The same by cursor, with and without a filter.
    for filter in ["", "&like_clientid=dev", "&like_clientid=dev-3"] {
        let expected = if filter.ends_with('3') { 1 } else { 7 };
        let mut listed = api.get(&format!("/lwm2m/clients?limit=2{filter}")).json;
        let mut seen = BTreeSet::new();
        loop {
            let rows = listed["data"].as_array().unwrap();
            assert!(rows.len() <= 2);
            seen.extend(rows.iter().map(|row| row["clientid"].to_string()));
            let meta = &listed["meta"];
            assert_eq!(meta["hasnext"].as_bool(), Some(meta["cursor"].is_string()));
            let Some(cursor) = meta["cursor"].as_str() else { break };
            listed = api.get(&format!("/lwm2m/clients?limit=2&cursor={cursor}{filter}")).json;
            assert!(listed["meta"].get("page").is_none());
        }
        assert_eq!(seen.len(), expected, "{filter}");
    }
}

fn kicks(profile: Profile) {
    let (gateway, api) = gateway(profile, "rest-kicks", |_| {});
    let device = gateway.registered(&unique_name());
    let path = format!("/lwm2m/clients/{}", device.name);
    assert_eq!(api.get(&path).status, 200);
    let kicked = api.delete(&path);
    assert_eq!((kicked.status, kicked.json), (204, Json::Null));
    assert_eq!(api.get(&path).refusal(), (404, "RESOURCE_NOT_FOUND"));
    assert_eq!(api.delete(&path).refusal(), (404, "RESOURCE_NOT_FOUND"));
    assert_eq!(device.update(&[], "").shown(), "4.04");
}

/// Each names the parameter that is to be mended.
fn refusals(profile: Profile) {
    let (gateway, api) = gateway(profile, "rest-refusals", |_| {});
    let device = gateway.registered("known");
    let rows = [
        ("/lwm2m/clients?page=0", "page: "),
        ("/lwm2m/clients?page=-1", "page: "),
        ("/lwm2m/clients?page=x", "page: "),
        ("/lwm2m/clients?page=", "page: "),
        ("/lwm2m/clients?limit=0", "limit: "),
        ("/lwm2m/clients?limit=10001", "limit: "),
        ("/lwm2m/clients?cursor=x", "cursor: "),
        ("/lwm2m/clients?cursor=0.0&page=1", "cursor: "),
        ("/lwm2m/clients?ip_address=localhost", "ip_address: "),
        ("/lwm2m/clients?conn_state=asleep", "conn_state: "),
        ("/lwm2m/clients?clean_start=yes", "clean_start: "),
        ("/lwm2m/clients?gte_lifetime=-1", "gte_lifetime: "),
        ("/lwm2m/clients?lte_created_at=noon", "lte_created_at: "),
        ("/lwm2m/clients?limt=3", "limt"),
        ("/lwm2m/clients/known/lookup?path=/3/0/0", "action"),
        ("/lwm2m/clients/known/lookup?action=read", "path"),
        ("/lwm2m/clients/known/lookup?path=/x&action=read", "path: "),
        ("/lwm2m/clients/known/lookup?path=/3&action=reed", "action: "),
        ("/lwm2m/objects/x", "id: "),
    ];
    gateway.play(
        &rows,
        |row| row.0,
        |(path, named)| {
            let refused = api.get(path);
            assert_eq!(refused.refusal(), (400, "BAD_REQUEST"), "{path}");
            assert!(refused.message().contains(named), "{path}: {}", refused.message());
        },
    );
    let rows = [
        ("read", "path"),
        ("read?path=", "path: "),
        ("read?path=/", "path: "),
        ("read?path=/3/0/0/0/0", "path: "),
        ("read?path=/3/0/0&wait=x", "wait: "),
        ("write?path=/3/0/14&type=string&value=x", "type: "),
        ("write?path=/3/0/14&type=Integer&value=x", "value: "),
        ("write?path=/3/0&type=String&value=x", "path: "),
        ("write?path=/3/0/14&value=x", "type"),
        ("write?path=/3/0/14&type=String", "value"),
        ("observe?path=/3/0/9", "enable"),
        ("observe?path=/3/0/9&enable=yes", "enable"),
    ];
    gateway.play(
        &rows,
        |row| row.0,
        |(operation, named)| {
            let refused = api.post(&format!("/lwm2m/clients/known/{operation}"));
            assert_eq!(refused.refusal(), (400, "BAD_REQUEST"), "{operation}");
            assert!(refused.message().contains(named), "{operation}: {}", refused.message());
        },
    );
    unknown_devices(&gateway, &api);
    drop(device);
}

fn unknown_devices(gateway: &Gateway, api: &Api) {
    for name in ["nobody", "no+name", "%FF", "%00"] {
        let client = |rest: &str| format!("/lwm2m/clients/{name}{rest}");
        let status = |answer: crate::http::Answer| {
            let (status, code) = answer.refusal();
            (status, code.to_owned())
        };
        let (absent, not_found) = match name {
            "%FF" => ((400, "BAD_REQUEST".to_owned()), (404, "RESOURCE_NOT_FOUND".to_owned())),
            _ => ((404, "CLIENT_NOT_FOUND".to_owned()), (404, "RESOURCE_NOT_FOUND".to_owned())),
        };
        assert_eq!(status(api.get(&client("/lookup?path=/3&action=read"))), absent, "{name}");
        assert_eq!(status(api.post(&client("/read?path=/3"))), absent);
        assert_eq!(status(api.post(&client("/observe?path=/3&enable=1"))), absent);
        let write = "/write?path=/3/0/1&type=String&value=";
        assert_eq!(status(api.post(&client(write))), absent);
        assert_eq!(status(api.get(&client(""))), not_found);
        assert_eq!(status(api.delete(&client(""))), not_found);
        assert_eq!(status(api.get(&client("/subscriptions"))), not_found);
    }
    assert!(gateway.http().ip().is_loopback());
}
