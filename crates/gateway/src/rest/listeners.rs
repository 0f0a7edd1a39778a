//! Listeners over REST: list, add, change, remove while the gateway runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::gateways::refusal;
use super::query::{Body, Named};
use super::{Api, mapping};
use crate::control::{ListenerState, ListenerStatus};
use crate::http::{ApiError, Caller, ErrorBody};

/// A listener with every key of `[listeners.NAME]`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listener {
    #[schema(example = "lwm2m:udp:default")]
    id: String,
    #[schema(example = "default")]
    name: String,
    running: bool,
    status: ListenerLoad,
    node_status: Vec<NodeListener>,
    #[serde(flatten)]
    #[schema(value_type = ListenerKeys)]
    keys: Map<String, Value>,
}

/// How busy a listener is.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ListenerLoad {
    running: bool,
    /// Devices registered that used it last.
    current_connections: u64,
    /// Beyond EMQX: where it listens, with the port that the system chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

/// The same on this node.
#[derive(Debug, Serialize, ToSchema)]
struct NodeListener {
    node: String,
    status: ListenerLoad,
}

/// Keys that every listener has.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "describes JSON that is made elsewhere")]
pub(super) struct ListenerKeys {
    /// `udp`.
    #[serde(rename = "type")]
    #[schema(example = "udp")]
    transport: String,
    /// Address and port.
    #[schema(example = "0.0.0.0:5683")]
    bind: String,
    /// Instead of that of the gateway, if it is not empty.
    mountpoint: String,
    /// Whether it takes datagrams.
    enable: bool,
    max_connections: u64,
    /// Registrations per second; 0 is no limit.
    max_conn_rate: u32,
    /// `allow` or `deny` and a network or `all`; the first that fits counts.
    access_rules: Vec<String>,
}

/// List listeners
#[utoipa::path(
    get, path = "/gateways/lwm2m/listeners", tag = "Listeners", operation_id = "list_listeners",
    responses((status = 200, body = Vec<Listener>)),
)]
pub(super) async fn list(State(api): State<Arc<Api>>) -> Json<Vec<Listener>> {
    Json(api.control.listeners().iter().map(|listener| api.listener(listener)).collect())
}

/// Add a listener
///
/// Devices can register there when this is answered. It survives a restart.
#[utoipa::path(
    post, path = "/gateways/lwm2m/listeners", tag = "Listeners", operation_id = "add_listener",
    request_body(content = Object, example = json!(
        {"type": "udp", "name": "second", "bind": "0.0.0.0:5783"}
    )),
    responses(
        (status = 201, body = Listener),
        (status = 400, description = "The message names the key", body = ErrorBody),
        (status = 413, description = "The body is larger than `http.body_max`", body = ErrorBody),
        (status = 415, description = "The body is not `application/json`", body = ErrorBody),
        (status = 500, description = "The change cannot be kept", body = ErrorBody),
        (status = 503, description = "The gateway stops", body = ErrorBody),
    ),
)]
pub(super) async fn add(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(body): Body<Map<String, Value>>,
) -> Result<(StatusCode, Json<Listener>), ApiError> {
    for key in ["type", "name", "bind"] {
        if !body.contains_key(key) {
            return Err(ApiError::bad_request(format!("{key}: is missing")));
        }
    }
    let name = body.get("name").and_then(Value::as_str).map(str::to_owned);
    let name = name.ok_or_else(|| ApiError::bad_request("name: expected a string"))?;
    api.control
        .on_behalf_of(caller)
        .add_listener(&name, mapping::listener(body)?)
        .await
        .map_err(refusal)?;
    let added = api.control.listener(&name).ok_or_else(|| absent(&name))?;
    Ok((StatusCode::CREATED, Json(api.listener(&added))))
}

/// Show a listener
#[utoipa::path(
    get, path = "/gateways/lwm2m/listeners/{id}", tag = "Listeners",
    operation_id = "show_listener",
    params(("id" = String, Path, description = "As in `lwm2m:udp:default`")),
    responses(
        (status = 200, body = Listener),
        (status = 404, description = "There is no such listener", body = ErrorBody),
    ),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Named(id): Named,
) -> Result<Json<Listener>, ApiError> {
    Ok(Json(api.listener(&api.find_listener(&id)?)))
}

/// Change a listener
///
/// Keys that are left out stay as they are. Registrations stay, also when the address changes.
#[utoipa::path(
    put, path = "/gateways/lwm2m/listeners/{id}", tag = "Listeners",
    operation_id = "change_listener",
    params(("id" = String, Path, description = "As in `lwm2m:udp:default`")),
    request_body(content = Object, example = json!({"bind": "0.0.0.0:5783"})),
    responses(
        (status = 200, body = Listener),
        (status = 400, description = "The message names the key", body = ErrorBody),
        (status = 404, description = "There is no such listener", body = ErrorBody),
        (status = 413, description = "The body is larger than `http.body_max`", body = ErrorBody),
        (status = 415, description = "The body is not `application/json`", body = ErrorBody),
        (status = 500, description = "The change cannot be kept", body = ErrorBody),
        (status = 503, description = "The gateway stops", body = ErrorBody),
    ),
)]
pub(super) async fn change(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(id): Named,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<Listener>, ApiError> {
    let known = api.find_listener(&id)?;
    for (key, value) in [("name", known.name.as_str()), ("id", &id)] {
        if body.get(key).is_some_and(|given| given != value) {
            return Err(ApiError::bad_request(format!("{key}: cannot be changed")));
        }
    }
    let settings = mapping::listener(body)?;
    api.control
        .on_behalf_of(caller)
        .change_listener(&known.name, settings)
        .await
        .map_err(refusal)?;
    let changed = api.control.listener(&known.name).ok_or_else(|| absent(&id))?;
    Ok(Json(api.listener(&changed)))
}

/// Remove a listener
///
/// Registrations of devices that used it last end, since nobody can reach them any more.
#[utoipa::path(
    delete, path = "/gateways/lwm2m/listeners/{id}", tag = "Listeners",
    operation_id = "remove_listener",
    params(("id" = String, Path, description = "As in `lwm2m:udp:default`")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 400, description = "A flag or environment variable sets it", body = ErrorBody),
        (status = 404, description = "There is no such listener", body = ErrorBody),
        (status = 500, description = "The change cannot be kept", body = ErrorBody),
        (status = 503, description = "The gateway stops", body = ErrorBody),
    ),
)]
pub(super) async fn remove(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(id): Named,
) -> Result<StatusCode, ApiError> {
    let known = api.find_listener(&id)?;
    api.control.on_behalf_of(caller).remove_listener(&known.name).await.map_err(refusal)?;
    Ok(StatusCode::NO_CONTENT)
}

impl Api {
    /// The listener of an id, `lwm2m:TYPE:NAME`.
    fn find_listener(&self, id: &str) -> Result<ListenerStatus, ApiError> {
        let name = id.strip_prefix("lwm2m:").and_then(|rest| rest.split_once(':'));
        let found = name.and_then(|(_, name)| self.control.listener(name));
        found.filter(|listener| id_of(listener) == id).ok_or_else(|| absent(id))
    }

    pub(super) fn listener(&self, listener: &ListenerStatus) -> Listener {
        let address = match listener.state {
            ListenerState::Running { address } => Some(address.to_string()),
            ListenerState::Disabled | ListenerState::GatewayDisabled => None,
        };
        let running = address.is_some();
        let status = ListenerLoad { running, current_connections: listener.connections, address };
        Listener {
            id: id_of(listener),
            name: listener.name.clone(),
            running,
            status: status.clone(),
            node_status: vec![NodeListener { node: self.node.clone(), status }],
            keys: mapping::section(&listener.config),
        }
    }
}

/// EMQX's form.
pub(super) fn id_of(listener: &ListenerStatus) -> String {
    format!("lwm2m:{}:{}", listener.config.transport.name(), listener.name)
}

fn absent(id: &str) -> ApiError {
    ApiError::not_found(format!("{id}: there is no such listener"))
}
