//! Requests to the REST API of a running gateway.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use super::Access;
use crate::cli::Exit;
use crate::http::ErrorBody;
use crate::rest::PREFIX;
use crate::telemetry::Redacted;

/// Beyond the longest time that a request is made to wait.
const REQUEST_MAX: Duration = Duration::from_secs(60);

/// 64 MB: a page of a thousand devices has one.
const ANSWER_MAX: u64 = 64 << 20;

/// A gateway and who asks it.
pub(super) struct Client {
    agent: Agent,
    base: String,
    authorization: Option<Redacted<String>>,
}

/// Why there is nothing to show: one variant per exit code and way to say it.
#[derive(Debug, thiserror::Error)]
pub(super) enum CtlError {
    /// The command line does not make sense.
    #[error("{0}")]
    Usage(String),
    /// No gateway answers there.
    #[error("{url}: {error}")]
    Unreachable { url: String, error: String },
    /// The gateway says no.
    #[error("{message} ({code})")]
    Refused { status: u16, code: String, message: String },
    /// The device says no.
    #[error("the device answered {code} {name}")]
    Device { code: String, name: String },
    /// The device says nothing.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// Nobody reads what is printed.
    #[error("cannot write: {0}")]
    Output(io::Error),
}

impl CtlError {
    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Configuration,
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Refused { .. } | Self::Device { .. } | Self::Output(_) => Exit::Failure,
            Self::NoAnswer(_) => Exit::NoAnswer,
        }
    }
}

impl Client {
    pub(super) fn new(access: &Access) -> Result<Self, CtlError> {
        let authorization = match (&access.token, &access.key, &access.secret) {
            (Some(token), None, _) => Some(format!("Bearer {token}")),
            (None, Some(key), Some(secret)) => {
                Some(format!("Basic {}", STANDARD.encode(format!("{key}:{secret}"))))
            }
            (None, None, _) => None,
            (Some(_), Some(_), _) => {
                return Err(CtlError::Usage("--token and --key exclude each other".to_owned()));
            }
            (None, Some(_), None) => {
                return Err(CtlError::Usage("--key needs its secret: --secret".to_owned()));
            }
        };
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_MAX))
            .user_agent(concat!("lwm2m-gateway/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        let base = format!("{}{PREFIX}/gateways", access.url.trim_end_matches('/'));
        let authorization = authorization.map(Redacted::new);
        Ok(Self { agent: config.into(), base, authorization })
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, CtlError> {
        self.call("GET", path, None)
    }

    pub(super) fn delete(&self, path: &str) -> Result<Value, CtlError> {
        self.call("DELETE", path, None)
    }

    pub(super) fn post(&self, path: &str, body: Option<&Value>) -> Result<Value, CtlError> {
        self.call("POST", path, body)
    }

    /// The JSON of the answer; null when there is none.
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, CtlError> {
        let url = format!("{}{path}", self.base);
        let unreachable = |error: String| CtlError::Unreachable { url: self.base.clone(), error };
        let mut request = Request::builder().method(method).uri(&url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.reveal());
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let unusable = |error: ureq::http::Error| CtlError::Usage(error.to_string());
        let answer = match body {
            Some(body) => self.agent.run(request.body(body.to_string()).map_err(unusable)?),
            None => self.agent.run(request.body(()).map_err(unusable)?),
        };
        let mut answer = answer.map_err(|error| unreachable(error.to_string()))?;
        let read = answer.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
        let bytes = read.map_err(|error| unreachable(error.to_string()))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(refused(status.as_u16(), &bytes));
        }
        match bytes.as_slice() {
            [] => Ok(Value::Null),
            json => serde_json::from_slice(json)
                .map_err(|_| unreachable("what answers is no lwm2m-gateway".to_owned())),
        }
    }
}

fn refused(status: u16, body: &[u8]) -> CtlError {
    let ErrorBody { code, message } = serde_json::from_slice(body).unwrap_or_else(|_| {
        let message = "what answers is no lwm2m-gateway".to_owned();
        ErrorBody { code: status.to_string(), message }
    });
    CtlError::Refused { status, code, message }
}

/// A text as it stands in a path or query.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte.into());
        } else {
            escaped += &format!("%{byte:02X}");
        }
    }
    escaped
}
