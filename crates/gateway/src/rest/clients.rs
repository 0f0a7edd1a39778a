//! Registered devices: list, show, kick.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use engine::Row;
use lwm2m::EndpointName;
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::Api;
use super::client::{ClientDetail, ClientRow, Describer, Times};
use super::filter::{ClientsQuery, Listing, Selection, Start};
use super::query::{Client, Params};
use super::walk::{Position, Walk, Wanted};
use crate::http::{ApiError, Caller, ErrorBody};
use crate::inbox::{Input, Look, Looked};

/// Devices that one request looks at, at most: every one of a full gateway. With filters that
/// nobody fits this takes a second, of which each shard gives a quarter of a millisecond at a time.
const LOOKS_MAX: usize = 1_000_000;

/// How many devices more are looked at when the page is full, to count those that match.
const COUNT_LOOKS: usize = 65_536;

/// A page of devices.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Clients {
    data: Vec<ClientRow>,
    meta: Meta,
}

/// Which page it is.
#[derive(Debug, Serialize, ToSchema)]
struct Meta {
    /// As asked for; left out when the request had a cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    limit: usize,
    /// How many devices match; left out when that was not found out, with filters on a large
    /// fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    /// Whether there are more.
    hasnext: bool,
    /// Beyond EMQX: where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// List registered devices
///
/// A listing is no snapshot: a device that comes or goes meanwhile may be on it or not. Without
/// filters `count` is exact; with filters it is left out when more than 65536 further devices would
/// have to be looked at to know it.
#[utoipa::path(
    get, path = "/gateways/lwm2m/clients", tag = "Devices", operation_id = "list_clients",
    params(ClientsQuery),
    responses(
        (status = 200, body = Clients),
        (status = 400, description = "The message names the parameter", body = ErrorBody),
        (status = 503, description = "The gateway stops", body = ErrorBody),
    ),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Params(query): Params<ClientsQuery>,
) -> Result<Json<Clients>, ApiError> {
    let times = Times::new(api.wall_origin());
    let Listing { start, limit, selection } = query.listing(&api.node, times)?;
    let found = match selection {
        Selection::None => Found { count: Some(0), ..Found::default() },
        Selection::One(name, wanted) => api.one(&name, &wanted, start).await?,
        Selection::All => api.walk(everyone(), true, start, limit).await?,
        Selection::Some(wanted) => api.walk(wanted, false, start, limit).await?,
    };
    let (bridge, _) = api.commands.contract();
    let describer = api.describer(&bridge, times);
    let page = match start {
        Start::Page(page) => Some(page),
        Start::At(_) => None,
    };
    let (count, hasnext) = (found.count, found.next.is_some());
    let cursor = found.next.map(|position| position.to_string());
    let data = found.rows.iter().map(|row| describer.row(row)).collect();
    Ok(Json(Clients { data, meta: Meta { page, limit, count, hasnext, cursor } }))
}

fn everyone() -> Wanted {
    Arc::new(|_| true)
}

/// Show a device
#[utoipa::path(
    get, path = "/gateways/lwm2m/clients/{clientid}", tag = "Devices",
    operation_id = "show_client",
    params(("clientid" = String, Path, description = "The endpoint name", min_length = 1)),
    responses(
        (status = 200, body = ClientDetail),
        (status = 404, description = "No such device is registered", body = ErrorBody),
    ),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    client: Result<Client, ApiError>,
) -> Result<Json<ClientDetail>, ApiError> {
    let Client(name) = client.map_err(|_| no_resource())?;
    let looked = api.look(&name).await?.ok_or_else(no_resource)?;
    let (bridge, _) = api.commands.contract();
    Ok(Json(api.describer(&bridge, Times::new(api.wall_origin())).detail(&looked)))
}

/// End the registration of a device
///
/// Its commands end as `deregistered`. The device learns it when it updates its registration, and
/// registers again.
#[utoipa::path(
    delete, path = "/gateways/lwm2m/clients/{clientid}", tag = "Devices",
    operation_id = "kick_client",
    params(("clientid" = String, Path, description = "The endpoint name", min_length = 1)),
    responses(
        (status = 204, description = "The device is not registered any more"),
        (status = 404, description = "No such device is registered", body = ErrorBody),
    ),
)]
pub(super) async fn kick(
    State(api): State<Arc<Api>>,
    caller: Caller,
    client: Result<Client, ApiError>,
) -> Result<StatusCode, ApiError> {
    let Client(name) = client.map_err(|_| no_resource())?;
    let home = api.shared.directory.find(name.as_str()).ok_or_else(no_resource)?;
    let inbox = api.shared.inboxes.get(usize::from(home.shard)).ok_or_else(no_resource)?;
    inbox.send(Input::Kick(name.clone()));
    tracing::info!(event = "kicked_over_rest", by = %caller, endpoint = name.as_str());
    // A look behind it: when that is answered, the registration has ended.
    api.look(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn no_resource() -> ApiError {
    ApiError::not_found("no such device is registered")
}

/// What a listing found.
#[derive(Default)]
struct Found {
    rows: Vec<Row>,
    /// How many match, if that is known.
    count: Option<usize>,
    /// Where to go on, if there is more.
    next: Option<Position>,
}

impl Api {
    pub(super) fn describer<'a>(
        &'a self,
        bridge: &'a bridge::Bridge,
        times: Times,
    ) -> Describer<'a> {
        let config = self.control.config();
        let (inflight_max, mqueue_max) = (config.lwm2m.max_in_flight, config.lwm2m.queue.commands);
        Describer {
            node: &self.node,
            bridge,
            times,
            inflight_max,
            mqueue_max,
            topics: &self.shared.device_topics,
        }
    }

    /// One device as its shard sees it; `None` if it is not registered.
    pub(super) async fn look(&self, name: &EndpointName) -> Result<Option<Looked>, ApiError> {
        let home = self.shared.directory.find(name.as_str());
        let inbox = home.and_then(|home| self.shared.inboxes.get(usize::from(home.shard)));
        let Some(inbox) = inbox else { return Ok(None) };
        let (reply, answer) = oneshot::channel();
        inbox.send(Input::Look(Box::new(Look { endpoint: name.clone(), reply })));
        answer.await.map_err(|_| ApiError::unavailable("the gateway stops"))
    }

    async fn one(
        &self,
        name: &EndpointName,
        wanted: &Wanted,
        start: Start,
    ) -> Result<Found, ApiError> {
        let looked = self.look(name).await?.filter(|looked| wanted(&looked.row));
        let rows: Vec<Row> = looked.map(|looked| looked.row).into_iter().collect();
        let count = Some(rows.len());
        let rows = if start == Start::Page(1) { rows } else { Vec::new() };
        Ok(Found { rows, count, next: None })
    }

    async fn walk(
        &self,
        wanted: Wanted,
        all: bool,
        start: Start,
        limit: usize,
    ) -> Result<Found, ApiError> {
        // The semaphore is never closed.
        let _turn = self.listings.acquire().await;
        let (from, skip) = match start {
            Start::Page(page) => (Position::default(), (page as usize - 1).saturating_mul(limit)),
            Start::At(position) => (position, 0),
        };
        let mut paging = Paging { skip, limit, matched: 0, rows: Vec::new(), next: None };
        let mut walk = Walk::new(&self.shared, from, wanted);
        let mut looks_max = LOOKS_MAX;
        let is_counting = !all && matches!(start, Start::Page(_));
        while let Some((shard, rows)) = walk.page().await? {
            let was_open = paging.next.is_none();
            rows.into_iter().for_each(|row| paging.take(shard, row));
            match (paging.next, is_counting) {
                (Some(_), false) => break,
                (Some(_), true) if was_open => looks_max = walk.looked_at() + COUNT_LOOKS,
                _ => {}
            }
            if walk.looked_at() >= looks_max {
                break;
            }
        }
        let at_end = walk.position().is_none();
        let count = match (all, is_counting && at_end) {
            (true, _) => Some(self.shared.directory.len()),
            (false, true) => Some(paging.matched),
            (false, false) => None,
        };
        Ok(Found { rows: paging.rows, count, next: paging.next.or(walk.position()) })
    }
}

/// Takes the rows of one page out of those that match.
struct Paging {
    skip: usize,
    limit: usize,
    matched: usize,
    rows: Vec<Row>,
    /// The first row behind the page.
    next: Option<Position>,
}

impl Paging {
    fn take(&mut self, shard: u8, row: Row) {
        if self.matched >= self.skip {
            if self.rows.len() < self.limit {
                self.rows.push(row);
            } else if self.next.is_none() {
                self.next = Some(Position::at(shard, &row));
            }
        }
        self.matched += 1;
    }
}
