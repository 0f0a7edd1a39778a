//! The bearer token of `http.token` (design, section 6): everything but `/health` needs it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use crate::telemetry::Redacted;

/// Lets a request through that carries the token, or every one when none is set.
pub(super) async fn require_token(
    State(token): State<Arc<Redacted<String>>>,
    request: Request,
    next: Next,
) -> Response {
    if token.is_empty() || carries(request.headers(), token.reveal()) {
        return next.run(request).await;
    }
    let refusal = ApiError::new(
        StatusCode::UNAUTHORIZED,
        "UNAUTHORIZED",
        "send the token as `Authorization: Bearer <token>`",
    );
    let challenge = [(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
    (challenge, refusal).into_response()
}

fn carries(headers: &HeaderMap, token: &str) -> bool {
    headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().split_first_chunk()).is_some_and(
        |(scheme, given): (&[u8; 7], _)| {
            scheme.eq_ignore_ascii_case(b"bearer ") && same(given, token.as_bytes())
        },
    )
}

/// Compares in a time that does not tell how much of the token was right.
fn same(given: &[u8], token: &[u8]) -> bool {
    let difference = given.iter().zip(token).fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == token.len() && std::hint::black_box(difference) == 0
}
