//! The HTTP server: `/health`, `/metrics`, and the place where the management API plugs in.
//!
//! What is healthy is decided by [`Health`]; numbers come from [`crate::telemetry::Metrics`].

mod auth;
mod error;
mod health;
mod leftover;
mod server;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub use auth::{Caller, SecretError};
pub use error::{ApiError, ErrorBody};
pub use health::{Alive, Health, HealthReport, Phase};
pub use server::Server;

use self::auth::{Access, RefusalNumbers};
use crate::config::Http;
use crate::telemetry::Metrics;

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Whether the gateway does its work.
    pub health: Arc<Health>,
    /// Its numbers.
    pub metrics: Arc<Metrics>,
}

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
#[error("http.bind = {address}: {error}")]
pub struct BindError {
    /// The address as it was set.
    pub address: SocketAddr,
    /// What the system said.
    pub error: io::Error,
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its address cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The secret of an API key cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Routes that other modules bring.
#[derive(Debug, Default)]
pub struct Routes {
    /// For those who may.
    pub guarded: Router,
    /// For everybody.
    pub open: Router,
}

/// Binds the address and serves the routes of this module together with the others, which are
/// bounded like them.
///
/// # Errors
/// See [`StartError`].
pub async fn start(settings: &Http, shared: Shared, routes: Routes) -> Result<Server, StartError> {
    let address = settings.bind;
    let refusals = Arc::default();
    shared.metrics.add_source(RefusalNumbers(Arc::clone(&refusals)));
    let access = Arc::new(Access::new(settings, refusals)?);
    let router = router(settings, shared, routes, access);
    let server = Server::bind(settings, router).await;
    Ok(server.map_err(|error| BindError { address, error })?)
}

fn router(settings: &Http, shared: Shared, routes: Routes, access: Arc<Access>) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .with_state(shared.clone())
        .merge(routes.guarded)
        .fallback(no_such_path)
        .layer(from_fn_with_state(access, auth::require_access));
    Router::new()
        .route("/health", get(health))
        .with_state(shared)
        .merge(routes.open)
        .merge(guarded)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(settings.body_max.get()))
        .layer(from_fn(leftover::read_leftover))
        .layer(from_fn_with_state(settings.timeout.duration(), server::limit_time))
}

async fn health(State(shared): State<Shared>) -> Response {
    let report = shared.health.report();
    let status = if report.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(report)).into_response()
}

async fn metrics(State(shared): State<Shared>) -> Response {
    ([(CONTENT_TYPE, OPEN_METRICS)], shared.metrics.page()).into_response()
}

/// The format that the page is in; Prometheus reads it without being asked for it.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

async fn no_such_path() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing at this path")
}

async fn no_such_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        "this path does not take this method",
    )
}

#[cfg(test)]
mod tests;
