//! The OpenAPI document and the page that shows it.

use std::collections::BTreeSet;

use gateway::config::Profile;
use serde_json::Value as Json;

use crate::http::{Api, gateway};

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

fn document(api: &Api) -> Json {
    let mut answer = api.send("GET", "/api/v5/openapi.json", &[]);
    assert_eq!(answer.status().as_u16(), 200);
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

/// Every path of the document is served with exactly the methods that it names.
#[test]
fn the_document_names_what_is_served_and_nothing_else() {
    let (_gateway, api) = gateway(Profile::Emqx5, "rest-document", |_| {});
    let document = document(&api);
    let mut served = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        // Values that name nothing: a request that is served is refused for them.
        let concrete = path.split('/').map(|part| if part.starts_with('{') { "0" } else { part });
        let concrete = concrete.collect::<Vec<_>>().join("/");
        for method in METHODS {
            let answer = api.send(&method.to_uppercase(), &concrete, &[]);
            let status = answer.status().as_u16();
            match item.get(method) {
                None => assert_eq!(status, 405, "{method} {path}"),
                Some(described) => {
                    let expected = described["responses"].get(status.to_string());
                    assert!(expected.is_some(), "{method} {path}: {status} is not described");
                    served += 1;
                }
            }
        }
    }
    assert!(served >= 20, "{served}");
    let mut absent = api.send("GET", "/api/v5/gateways/coap", &[]);
    assert_eq!(absent.status().as_u16(), 404);
    assert!(absent.body_mut().read_to_string().unwrap().contains("NOT_FOUND"));
}

#[test]
fn every_operation_is_described() {
    let (_gateway, api) = gateway(Profile::Emqx4, "rest-described", |_| {});
    let document = document(&api);
    assert_eq!(document["openapi"], "3.1.0");
    let tags: Vec<&Json> =
        document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let named = format!("{method} {path}");
            assert!(ids.insert(operation["operationId"].to_string()), "{named}");
            assert!(tags.contains(&&operation["tags"][0]), "{named}");
            assert!(operation["summary"].is_string(), "{named}");
            assert!(operation["security"].is_array() || document["security"].is_array());
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{named}: {parameter}");
            }
        }
    }
    // Each refers to something that is there.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let (_gateway, api) = gateway(Profile::Emqx4, "rest-page", |_| {});
    for (path, kind) in [
        ("/api-docs/", "text/html"),
        ("/api-docs/page.js", "text/javascript"),
        ("/api-docs/page.css", "text/css"),
        ("/api-docs", "text/html"),
    ] {
        let mut answer = api.send("GET", path, &[]);
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-type").starts_with(kind), "{path}");
        assert!(header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        let content = answer.body_mut().read_to_string().unwrap();
        assert!(!content.contains("http://") && !content.contains("https://"), "{path}");
    }
}
