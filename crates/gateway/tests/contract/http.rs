//! An HTTP client for the REST API.

use std::net::SocketAddr;

use gateway::config::{Config, Profile};
use serde_json::Value as Json;
use ureq::Agent;
use ureq::Body;
use ureq::http::Response;

use crate::bench::Gateway;

/// The API of one gateway.
pub(crate) struct Api {
    agent: Agent,
    address: SocketAddr,
}

/// An answer: its status, and its body as JSON, null when it has none.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) json: Json,
}

impl Answer {
    /// Status and code of a refusal.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        assert!(self.json["message"].is_string(), "{self:?}");
        (self.status, self.json["code"].as_str().expect("a code"))
    }

    pub(crate) fn message(&self) -> &str {
        self.json["message"].as_str().unwrap_or_default()
    }
}

/// A gateway with an HTTP server.
pub(crate) fn gateway(
    profile: Profile,
    name: &str,
    set: impl FnOnce(&mut Config),
) -> (Gateway, Api) {
    let gateway = Gateway::start_with(profile, name, |config| {
        config.http.enabled = true;
        config.http.bind = SocketAddr::from(([127, 0, 0, 1], 0));
        set(config);
    });
    let api = Api::new(gateway.http());
    (gateway, api)
}

impl Api {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).build();
        Self { agent: config.into(), address }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        answer(self.agent.get(self.url(path)).call())
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        answer(self.agent.delete(self.url(path)).call())
    }

    pub(crate) fn post(&self, path: &str) -> Answer {
        answer(self.agent.post(self.url(path)).send_empty())
    }

    pub(crate) fn post_json(&self, path: &str, body: &Json) -> Answer {
        let request = self.agent.post(self.url(path)).content_type("application/json");
        answer(request.send(body.to_string()))
    }

    pub(crate) fn put_json(&self, path: &str, body: &Json) -> Answer {
        let request = self.agent.put(self.url(path)).content_type("application/json");
        answer(request.send(body.to_string()))
    }

    /// Any request, its path from the root.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Response<Body> {
        let url = format!("http://{}{path}", self.address);
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match method {
            "POST" | "PUT" => self.agent.run(request.body("").expect("a request")),
            _ => self.agent.run(request.body(()).expect("a request")),
        };
        sent.expect("an answer")
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/v5/gateways{path}", self.address)
    }
}

fn answer(response: Result<Response<Body>, ureq::Error>) -> Answer {
    let mut response = response.expect("an answer");
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().expect("a body");
    let json = match text.as_str() {
        "" => Json::Null,
        text => serde_json::from_str(text).expect("JSON"),
    };
    Answer { status, json }
}

/// A text as it stands in a path or query.
pub(crate) fn escaped(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(
            |byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") },
        )
        .collect()
}
