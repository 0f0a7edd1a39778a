//! Who may use the REST API: API keys, the token, and pages in browsers.

use gateway::config::{ApiKey, Profile, Role};
use gateway::telemetry::Redacted;

use crate::http::gateway;

/// `ops:secret` and `board:looking`.
const OPS: &str = "Basic b3BzOnNlY3JldA==";
const BOARD: &str = "Basic Ym9hcmQ6bG9va2luZw==";
const WRONG: &str = "Basic b3BzOndyb25n";

const GATEWAYS: &str = "/api/v5/gateways";
const READ: &str = "/api/v5/gateways/lwm2m/clients/none/read?path=/3";

#[test]
fn keys_and_token_open_the_api() {
    let (_gateway, api) = gateway(Profile::Emqx5, "rest-keys", |config| {
        config.http.token = Redacted::new("token".to_owned());
        for (name, secret, role) in
            [("ops", "secret", Role::Administrator), ("board", "looking", Role::Viewer)]
        {
            let secret = Redacted::new(secret.to_owned());
            let key = ApiKey { secret, role, ..ApiKey::default() };
            config.http.api_keys.insert(name.to_owned(), key);
        }
    });
    let rows = [
        ("GET", GATEWAYS, "", 401, "AUTHORIZATION_HEADER_ERROR"),
        ("GET", GATEWAYS, WRONG, 401, "BAD_API_KEY_OR_SECRET"),
        ("GET", GATEWAYS, "Bearer wrong", 401, "BAD_TOKEN"),
        ("GET", GATEWAYS, "Digest x", 401, "AUTHORIZATION_HEADER_ERROR"),
        ("GET", GATEWAYS, "Bearer token", 200, ""),
        ("GET", GATEWAYS, OPS, 200, ""),
        ("GET", GATEWAYS, BOARD, 200, ""),
        ("POST", READ, BOARD, 403, "UNAUTHORIZED_ROLE"),
        ("POST", READ, OPS, 404, "CLIENT_NOT_FOUND"),
        ("POST", READ, "Bearer token", 404, "CLIENT_NOT_FOUND"),
        ("GET", "/api/v5/nothing", "", 401, "AUTHORIZATION_HEADER_ERROR"),
        ("GET", "/api/v5/nothing", OPS, 404, "NOT_FOUND"),
        ("GET", "/metrics", BOARD, 200, ""),
        // What says nothing about this gateway is for everybody.
        ("GET", "/api/v5/openapi.json", "", 200, ""),
        ("GET", "/api-docs/", "", 200, ""),
    ];
    for (method, path, authorization, status, code) in rows {
        let headers = [("authorization", authorization)];
        let headers = if authorization.is_empty() { &[][..] } else { &headers };
        let mut answer = api.send(method, path, headers);
        assert_eq!(answer.status().as_u16(), status, "{method} {path} {authorization}");
        assert_eq!(answer.headers().contains_key("www-authenticate"), status == 401);
        let body = answer.body_mut().read_to_string().unwrap();
        assert!(body.contains(code), "{method} {path} {authorization}: {body}");
    }
}

#[test]
fn pages_of_others_cannot_use_an_open_gateway() {
    let (gateway, api) = gateway(Profile::Emqx4, "rest-pages-of-others", |_| {});
    let own = format!("http://{}", gateway.http());
    for (headers, status) in [
        (vec![], 200),
        (vec![("host", "localhost:8080")], 200),
        (vec![("host", "rebound.example:8080")], 403),
        (vec![("origin", own.as_str())], 200),
        (vec![("origin", "http://elsewhere.example")], 403),
        (vec![("origin", "null")], 403),
    ] {
        assert_eq!(api.send("GET", GATEWAYS, &headers).status().as_u16(), status, "{headers:?}");
    }
    let mut metrics = api.send("GET", "/metrics", &[]);
    let page = metrics.body_mut().read_to_string().unwrap();
    for (reason, count) in [("host", 1), ("origin", 2)] {
        let line = format!("lwm2m_gateway_http_refused_total{{reason=\"{reason}\"}} {count}\n");
        assert!(page.contains(&line), "{page}");
    }
}
