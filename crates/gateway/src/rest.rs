//! The REST API `/api/v5`: EMQX 5's endpoints for its LwM2M gateway (docs/rest.md), and what came
//! on top.
//!
//! Handlers translate between HTTP and the parts of the gateway; they own no state and touch no
//! device themselves. Listings walk the shards page by page (`walk`), commands take the way of
//! those from MQTT ([`crate::downlink`]). Who may call is decided in [`crate::http`].

#![allow(unused_qualifications, reason = "the macros of utoipa write them")]

mod client;
mod clients;
mod documentation;
mod filter;
mod gateways;
mod listeners;
mod mapping;
mod objects;
mod operations;
mod query;
mod subscriptions;
mod walk;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use tokio::sync::Semaphore;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::clock;
use crate::control::Control;
use crate::downlink::Commands;
use crate::http::Routes;
use crate::pump::Subscriptions;
use crate::shard::Shared;

/// Listings at the same time; more wait for their turn. Each has one page under way, so devices
/// share a shard with at most this many pages of a quarter of a millisecond, one per turn.
const LISTINGS_MAX: usize = 4;

/// What the handlers work with.
pub struct Api {
    /// Settings and listeners.
    control: Control,
    /// The shards and what they share.
    shared: Arc<Shared>,
    /// The way of commands, and the contract in effect.
    commands: Arc<Commands>,
    /// The subscriptions to commands.
    subscriptions: Arc<Subscriptions>,
    /// The name of this node, which EMQX's answers carry.
    node: String,
    listings: Semaphore,
    wall_origin: AtomicI64,
    /// How long a request may wait for the end of its command.
    wait_max: Duration,
    /// When the gateway started, in milliseconds since 1970.
    created_ms: i64,
}

/// Of the time that a request may take: the rest is enough to write the answer.
const WAIT_SHARE: f32 = 0.9;

impl Api {
    /// The API of a running gateway.
    #[must_use]
    pub fn new(
        control: Control,
        shared: Arc<Shared>,
        commands: Arc<Commands>,
        subscriptions: Arc<Subscriptions>,
    ) -> Arc<Self> {
        let timeout = control.config().http.timeout.duration();
        Arc::new(Self {
            control,
            shared,
            commands,
            subscriptions,
            node: node_name(),
            listings: Semaphore::new(LISTINGS_MAX),
            wall_origin: AtomicI64::new(0),
            wait_max: timeout.mul_f32(WAIT_SHARE),
            created_ms: clock::wall_ms(),
        })
    }

    /// Wall-clock time at the origin of the monotonic clock, in milliseconds. It stays the same
    /// while the wall clock is not set, so that a listing shows the same times again.
    fn wall_origin(&self) -> i64 {
        let monotonic = self.shared.clock.now().as_micros() / 1000;
        let fresh = clock::wall_ms().saturating_sub(i64::try_from(monotonic).unwrap_or(i64::MAX));
        let known = self.wall_origin.load(Ordering::Relaxed);
        if known.abs_diff(fresh) <= CLOCK_STEP_MS {
            return known;
        }
        self.wall_origin.store(fresh, Ordering::Relaxed);
        fresh
    }
}

/// A wall clock that is further off than this was set; less is rounding, and slow adjustment.
const CLOCK_STEP_MS: u64 = 1_000;

/// EMQX's form, `name@host`.
fn node_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("lwm2m-gateway@{}", if host.is_empty() { "127.0.0.1" } else { host })
}

#[derive(OpenApi)]
#[openapi(
    modifiers(&Keys),
    security(("key" = []), ("token" = [])),
    info(
        title = "lwm2m-gateway",
        description = "Management of an LwM2M to MQTT gateway. The endpoints, parameters and \
                       answers are those of EMQX 5's LwM2M gateway; what came on top says so.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "Gateway", description = "Status and configuration"),
        (name = "Listeners", description = "Where devices connect"),
        (name = "Devices", description = "Registered devices, EMQX's clients"),
        (name = "Operations", description = "Read, write, observe and every other command"),
        (name = "Objects", description = "Object definitions"),
    )
)]
struct Document;

/// How requests say who they are.
struct Keys;

impl Modify for Keys {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let scheme = |scheme| SecurityScheme::Http(Http::new(scheme));
        components.add_security_scheme("key", scheme(HttpAuthScheme::Basic));
        components.add_security_scheme("token", scheme(HttpAuthScheme::Bearer));
    }
}

/// The routes and the document that describes them.
fn router(api: Arc<Api>) -> (Router, utoipa::openapi::OpenApi) {
    let routes = OpenApiRouter::new()
        .routes(routes!(gateways::list))
        .routes(routes!(gateways::show, gateways::change))
        .routes(routes!(gateways::enable))
        .routes(routes!(listeners::list, listeners::add))
        .routes(routes!(listeners::show, listeners::change, listeners::remove))
        .routes(routes!(clients::list))
        .routes(routes!(clients::show, clients::kick))
        .routes(routes!(subscriptions::list, subscriptions::add))
        .routes(routes!(subscriptions::remove))
        .routes(routes!(operations::lookup))
        .routes(routes!(operations::read))
        .routes(routes!(operations::write))
        .routes(routes!(operations::observe))
        .routes(routes!(operations::command))
        .routes(routes!(objects::list))
        .routes(routes!(objects::show))
        .with_state(api);
    OpenApiRouter::with_openapi(Document::openapi()).nest(PREFIX, routes).split_for_parts()
}

/// The routes for the HTTP server: the API for those who may, its description for everybody.
#[must_use]
pub fn routes(api: Arc<Api>) -> Routes {
    let (guarded, document) = router(api);
    Routes { guarded, open: documentation::router(&document) }
}

/// What every path begins with.
pub const PREFIX: &str = "/api/v5";
