//! Who may ask: the token, the API keys, and what a browser must not be used for (design, section
//! 6). Everything but `/health` and the documentation passes here.
//!
//! Without a token or key the server listens on loopback only, and takes a request only if it was
//! sent to a loopback name: a page in the operator's browser whose name was made to lead here (DNS
//! rebinding) names itself in `Host`. With and without them a request that another page caused
//! (`Origin`) is refused, so that a browser which remembers a key is of no use to it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;

use super::error::ApiError;
use crate::config::{Http, Role};
use crate::telemetry::{Page, Pass, RateLimit, Redacted, Source};

/// Who may ask for what.
#[derive(Debug)]
pub(super) struct Access {
    token: Redacted<String>,
    keys: HashMap<Arc<str>, Key>,
    limit: Mutex<RateLimit>,
    refusals: Arc<Refusals>,
}

#[derive(Debug)]
struct Key {
    secret: Redacted<String>,
    role: Role,
}

/// Who sends a request, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody on this machine, of whom nothing is asked.
    Local,
    /// Who has the token.
    Token,
    /// Who has the API key of this name.
    Key(Arc<str>),
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Token => f.write_str("token"),
            Self::Key(name) => write!(f, "key {name}"),
        }
    }
}

/// As `require_access` found out; local where it does not stand in front.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or(Self::Local))
    }
}

/// A file with the secret of a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("http.api_keys.{key}.secret_file: {path}: {error}", path = path.display())]
pub struct SecretError {
    /// The name of the key.
    pub key: String,
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

/// Why a request is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Another page caused it.
    Origin,
    /// It was sent to a name that is not of this machine.
    Host,
    /// It carries nothing.
    Anonymous,
    Token,
    Key,
    /// The key may only look.
    Role,
}

impl Access {
    /// Reads the secrets that lie in files.
    pub(super) fn new(settings: &Http, refusals: Arc<Refusals>) -> Result<Self, SecretError> {
        let mut keys = HashMap::new();
        for (name, key) in &settings.api_keys {
            let secret = match key.secret_file.as_os_str().is_empty() {
                true => key.secret.clone(),
                false => read_secret(name, &key.secret_file)?,
            };
            keys.insert(name.as_str().into(), Key { secret, role: key.role });
        }
        let (token, limit) = (settings.token.clone(), Mutex::default());
        Ok(Self { token, keys, limit, refusals })
    }

    fn is_open(&self) -> bool {
        self.token.is_empty() && self.keys.is_empty()
    }

    fn judge(&self, method: &Method, headers: &HeaderMap) -> Result<Caller, Refusal> {
        if is_foreign(headers) {
            return Err(Refusal::Origin);
        }
        if self.is_open() {
            let is_local = is_for_loopback(headers);
            return if is_local { Ok(Caller::Local) } else { Err(Refusal::Host) };
        }
        match self.caller(headers)? {
            (Role::Viewer, _) if !method.is_safe() => Err(Refusal::Role),
            (Role::Viewer | Role::Administrator, caller) => Ok(caller),
        }
    }

    fn caller(&self, headers: &HeaderMap) -> Result<(Role, Caller), Refusal> {
        let value = headers.get(AUTHORIZATION).ok_or(Refusal::Anonymous)?.as_bytes();
        if let Some(given) = behind(value, b"bearer ") {
            let right = !self.token.is_empty() && same(given, self.token.reveal().as_bytes());
            let administrator = (Role::Administrator, Caller::Token);
            return if right { Ok(administrator) } else { Err(Refusal::Token) };
        }
        let given = behind(value, b"basic ").ok_or(Refusal::Anonymous)?;
        let pair = STANDARD.decode(given.trim_ascii()).map_err(|_| Refusal::Key)?;
        let colon = pair.iter().position(|&byte| byte == b':').ok_or(Refusal::Key)?;
        let (name, secret) = (&pair[..colon], &pair[colon + 1..]);
        let key = std::str::from_utf8(name).ok().and_then(|name| self.keys.get_key_value(name));
        // Names are no secrets; that there is no such key may take less time.
        let key = key.filter(|(_, key)| same(secret, key.secret.reveal().as_bytes()));
        key.map(|(name, key)| (key.role, Caller::Key(Arc::clone(name)))).ok_or(Refusal::Key)
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        self.refusals.count(refusal);
        let reason = refusal.name();
        if let Pass::Write { suppressed } =
            self.limit.lock().pass(reason, std::time::Instant::now())
        {
            tracing::warn!(event = "http_refused", reason, suppressed);
        }
        refusal.into_response()
    }
}

/// Lets a request through that may be answered.
pub(super) async fn require_access(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Response {
    match access.judge(request.method(), request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => access.refuse(refusal),
    }
}

impl Refusal {
    const ALL: [Self; 6] =
        [Self::Origin, Self::Host, Self::Anonymous, Self::Token, Self::Key, Self::Role];

    const fn name(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Host => "host",
            Self::Anonymous => "anonymous",
            Self::Token => "token",
            Self::Key => "key",
            Self::Role => "role",
        }
    }

    /// EMQX 5's codes, where it has one.
    const fn answer(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Origin => (
                StatusCode::FORBIDDEN,
                "FOREIGN_ORIGIN",
                "Origin: requests of pages from elsewhere are not taken",
            ),
            Self::Host => (
                StatusCode::FORBIDDEN,
                "FOREIGN_HOST",
                "Host: without a token or an API key only a loopback name is taken",
            ),
            Self::Anonymous => (
                StatusCode::UNAUTHORIZED,
                "AUTHORIZATION_HEADER_ERROR",
                "send an API key as `Authorization: Basic`, or the token as `Authorization: Bearer`",
            ),
            Self::Token => (StatusCode::UNAUTHORIZED, "BAD_TOKEN", "the token is wrong"),
            Self::Key => (
                StatusCode::UNAUTHORIZED,
                "BAD_API_KEY_OR_SECRET",
                "the API key or its secret is wrong",
            ),
            Self::Role => {
                (StatusCode::FORBIDDEN, "UNAUTHORIZED_ROLE", "this API key may only look")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = self.answer();
        let mut response = ApiError::new(status, code, message).into_response();
        if status == StatusCode::UNAUTHORIZED {
            for challenge in ["Bearer", "Basic realm=\"lwm2m-gateway\", charset=\"UTF-8\""] {
                let value = HeaderValue::from_static(challenge);
                response.headers_mut().append(WWW_AUTHENTICATE, value);
            }
        }
        response
    }
}

/// Requests that were not let through, by reason.
#[derive(Debug, Default)]
pub(super) struct Refusals([AtomicU64; Refusal::ALL.len()]);

impl Refusals {
    fn count(&self, refusal: Refusal) {
        self.0[refusal as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// [`Refusals`] on the metrics page.
#[derive(Debug)]
pub(super) struct RefusalNumbers(pub(super) Arc<Refusals>);

impl Source for RefusalNumbers {
    fn report(&self, page: &mut Page<'_>) -> fmt::Result {
        let total = |refusal: Refusal| self.0.0[refusal as usize].load(Ordering::Relaxed);
        let samples = Refusal::ALL.map(|refusal| (refusal.name(), total(refusal)));
        page.counters("http_refused", "HTTP requests that were not let in", "reason", &samples)
    }
}

fn read_secret(key: &str, path: &Path) -> Result<Redacted<String>, SecretError> {
    let read = std::fs::read_to_string(path).and_then(|text| match text.trim_end() {
        "" => Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty")),
        secret => Ok(Redacted::new(secret.to_owned())),
    });
    read.map_err(|error| SecretError { key: key.to_owned(), path: path.to_owned(), error })
}

/// Whether a browser says that another page caused the request.
fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = text(headers, ORIGIN) else { return headers.contains_key(ORIGIN) };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_none() || authority != text(headers, HOST)
}

/// Whether the request was sent to a name that can only be of this machine. Programs that name
/// nothing (HTTP/1.0) are no browsers.
fn is_for_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = text(headers, HOST) else { return !headers.contains_key(HOST) };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    let name = name.unwrap_or_default();
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// What follows a scheme, whose case does not matter.
fn behind<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (given, rest) = value.split_at_checked(scheme.len())?;
    given.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Compares in a time that does not tell how much was right.
fn same(given: &[u8], secret: &[u8]) -> bool {
    let difference = given.iter().zip(secret).fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == secret.len() && std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ApiKey;

    fn access(token: &str, keys: &[(&str, &str, Role)]) -> Access {
        let key = |(name, secret, role): &(&str, &str, Role)| {
            let secret = Redacted::new((*secret).to_owned());
            ((*name).to_owned(), ApiKey { secret, role: *role, ..ApiKey::default() })
        };
        let settings = Http {
            token: Redacted::new(token.to_owned()),
            api_keys: keys.iter().map(key).collect(),
            ..Http::default()
        };
        Access::new(&settings, Arc::default()).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn without_keys_only_loopback_names_are_served() {
        let open = access("", &[]);
        for (host, taken) in [
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("127.0.0.1:8080", true),
            ("127.9.9.9", true),
            ("[::1]:8080", true),
            ("[::ffff:127.0.0.1]", true),
            ("evil.example:8080", false),
            ("localhost.evil.example", false),
            ("192.0.2.1", false),
            ("", false),
            ("[::1", true),
        ] {
            let judged = open.judge(&Method::GET, &headers(&[("host", host)]));
            let expected = if taken { Ok(Caller::Local) } else { Err(Refusal::Host) };
            assert_eq!(judged, expected, "{host}");
        }
        assert_eq!(open.judge(&Method::GET, &headers(&[])), Ok(Caller::Local));
    }

    #[test]
    fn requests_of_other_pages_are_refused_with_and_without_keys() {
        let key = basic("ops:secret");
        for access in [access("", &[]), access("", &[("ops", "secret", Role::Administrator)])] {
            for (origin, taken) in [
                ("http://localhost:8080", true),
                ("https://localhost:8080", true),
                ("http://evil.example", false),
                ("http://localhost:9090", false),
                ("null", false),
                ("", false),
            ] {
                let sent = headers(&[
                    ("host", "localhost:8080"),
                    ("origin", origin),
                    ("authorization", &key),
                ]);
                let judged = access.judge(&Method::POST, &sent).map(drop);
                assert_eq!(judged, if taken { Ok(()) } else { Err(Refusal::Origin) }, "{origin}");
            }
        }
    }

    #[test]
    fn tokens_and_keys_are_told_apart_and_compared_whole() {
        let keys = [("ops", "s:cret", Role::Administrator), ("board", "looking", Role::Viewer)];
        let access = access("token", &keys);
        let key = |name: &str| Caller::Key(name.into());
        for (authorization, judged) in [
            ("Bearer token", Ok(Caller::Token)),
            ("bearer token", Ok(Caller::Token)),
            ("Bearer toke", Err(Refusal::Token)),
            ("Bearer token1", Err(Refusal::Token)),
            ("Bearer ", Err(Refusal::Token)),
            (&basic("ops:s:cret"), Ok(key("ops"))),
            (&basic("ops:s:cre"), Err(Refusal::Key)),
            (&basic("ops:"), Err(Refusal::Key)),
            (&basic("ops"), Err(Refusal::Key)),
            (&basic("nobody:s:cret"), Err(Refusal::Key)),
            (&basic(":token"), Err(Refusal::Key)),
            ("Basic !", Err(Refusal::Key)),
            ("Digest x", Err(Refusal::Anonymous)),
            ("token", Err(Refusal::Anonymous)),
            (&basic("board:looking"), Err(Refusal::Role)),
        ] {
            let sent = headers(&[("authorization", authorization), ("host", "gateway.example")]);
            assert_eq!(access.judge(&Method::DELETE, &sent), judged, "{authorization}");
        }
        let sent = headers(&[("authorization", &basic("board:looking"))]);
        assert_eq!(access.judge(&Method::GET, &sent), Ok(key("board")));
        assert_eq!(access.judge(&Method::GET, &headers(&[])), Err(Refusal::Anonymous));
    }

    #[test]
    fn an_empty_token_lets_nobody_in() {
        let access = access("", &[("ops", "secret", Role::Administrator)]);
        let sent = headers(&[("authorization", "Bearer ")]);
        assert_eq!(access.judge(&Method::GET, &sent), Err(Refusal::Token));
    }

    #[test]
    fn secrets_in_files_are_read_without_their_line_end() {
        let directory = std::env::temp_dir().join(format!("api-key-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("secret");
        std::fs::write(&file, "from-file\n").unwrap();
        assert_eq!(read_secret("ops", &file).unwrap().reveal(), "from-file");
        std::fs::write(&file, "\n").unwrap();
        let error = read_secret("ops", &file).unwrap_err().to_string();
        assert!(error.starts_with("http.api_keys.ops.secret_file: /"), "{error}");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
