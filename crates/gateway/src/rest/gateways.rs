//! Status and configuration of the gateway: EMQX 5's `/gateways` and `/gateways/lwm2m`.
//!
//! What may be changed while the gateway runs, and how it is kept, is the job of
//! [`crate::control`]; from EMQX's names to ours is that of [`super::mapping`].

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::client::rfc3339;
use super::listeners::{Listener, id_of};
use super::query::{Body, Named, Params};
use super::{Api, mapping};
use crate::control::{ChangeError, Enabled, ListenerState};
use crate::http::{ApiError, Caller, ErrorBody};

/// Whether the gateway serves devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Running,
    Stopped,
    /// Never: this program has one gateway, and it is always loaded.
    Unloaded,
}

/// Which gateways.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GatewaysQuery {
    /// Those in this state.
    #[param(inline)]
    status: Option<Status>,
}

/// The gateway.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Gateway {
    #[schema(example = "lwm2m")]
    name: &'static str,
    status: Status,
    created_at: String,
    started_at: String,
    /// What the listeners take together, at most `lwm2m.registrations_max`.
    max_connections: u64,
    /// Devices that are registered.
    current_connections: usize,
    listeners: Vec<ListenerSummary>,
    node_status: Vec<NodeStatus>,
}

/// A listener, in short.
#[derive(Debug, Serialize, ToSchema)]
struct ListenerSummary {
    #[schema(example = "lwm2m:udp:default")]
    id: String,
    name: String,
    #[serde(rename = "type")]
    transport: &'static str,
    running: bool,
}

/// The gateway on this node.
#[derive(Debug, Serialize, ToSchema)]
struct NodeStatus {
    node: String,
    status: Status,
    max_connections: u64,
    current_connections: usize,
}

/// The configuration of the gateway: EMQX 5's `gateway.lwm2m`, and every key of our `[lwm2m]`.
///
/// Only what is documented by EMQX is named here; config/gateway.toml describes the rest.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GatewayConfig {
    #[schema(read_only, example = "lwm2m")]
    name: &'static str,
    #[schema(read_only)]
    status: Status,
    #[schema(read_only)]
    created_at: String,
    #[schema(read_only)]
    started_at: String,
    /// Whether devices are served.
    enable: bool,
    /// Beyond EMQX: keys whose value takes effect with the next start.
    #[schema(read_only)]
    needs_restart: Vec<String>,
    /// Topics below the mountpoint, by message.
    #[schema(value_type = std::collections::HashMap<String, Translator>)]
    translators: Map<String, Value>,
    /// As `listeners` shows them.
    listeners: Vec<Listener>,
    #[serde(flatten)]
    #[schema(value_type = Lwm2mKeys)]
    lwm2m: Map<String, Value>,
}

/// A topic below the mountpoint.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "describes JSON that is made elsewhere")]
pub(super) struct Translator {
    #[schema(example = "up/resp")]
    topic: String,
    /// 0 or 1.
    qos: u8,
}

/// Keys of EMQX 5 that are ours too.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "describes JSON that is made elsewhere")]
pub(super) struct Lwm2mKeys {
    /// What stands before every topic.
    #[schema(example = "lwm2m/${endpoint_name}/")]
    mountpoint: String,
    /// A directory of object definitions.
    xml_dir: String,
    #[schema(example = "15s")]
    lifetime_min: String,
    #[schema(example = "86400s")]
    lifetime_max: String,
    #[schema(example = "22s")]
    qmode_time_window: String,
    /// true, false, or a list of paths.
    #[schema(value_type = Value)]
    auto_observe: Value,
    /// `always`, `contains_object_list`, or empty for what the profile does.
    #[schema(example = "always")]
    update_msg_publish_condition: String,
}

/// List gateways
///
/// There is one.
#[utoipa::path(
    get, path = "/gateways", tag = "Gateway", operation_id = "list_gateways",
    params(GatewaysQuery),
    responses(
        (status = 200, body = Vec<Gateway>),
        (status = 400, description = "`status` is none of EMQX's", body = ErrorBody),
    ),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Params(query): Params<GatewaysQuery>,
) -> Json<Vec<Gateway>> {
    let gateway = api.gateway();
    let wanted = query.status.is_none_or(|status| status == gateway.status);
    Json(if wanted { vec![gateway] } else { Vec::new() })
}

/// Show the configuration
#[utoipa::path(
    get, path = "/gateways/lwm2m", tag = "Gateway", operation_id = "show_configuration",
    responses((status = 200, body = GatewayConfig)),
)]
pub(super) async fn show(State(api): State<Arc<Api>>) -> Json<GatewayConfig> {
    Json(api.configuration())
}

/// Change the configuration
///
/// Keys that are left out stay as they are. A change applies at once, or with the next start where
/// `needs_restart` names it afterwards, and survives a restart. It is made as a whole or not at
/// all. Members that are for reading only, and EMQX's `enable_stats` and `idle_timeout`, which mean
/// nothing here, are passed over.
#[utoipa::path(
    put, path = "/gateways/lwm2m", tag = "Gateway", operation_id = "change_configuration",
    request_body(content = Object, example = json!({
        "lifetime_max": "86400s",
        "mountpoint": "lwm2m/${endpoint_name}/",
        "translators": {"response": {"topic": "up/resp", "qos": 1}},
    })),
    responses(
        (status = 204, description = "It is changed"),
        (status = 400, description = "The message names the key", body = ErrorBody),
        (status = 413, description = "The body is larger than `http.body_max`", body = ErrorBody),
        (status = 415, description = "The body is not `application/json`", body = ErrorBody),
        (status = 500, description = "The change cannot be kept", body = ErrorBody),
        (status = 503, description = "The gateway stops", body = ErrorBody),
    ),
)]
pub(super) async fn change(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(body): Body<Map<String, Value>>,
) -> Result<StatusCode, ApiError> {
    // A program that writes back what it read must not pin every key against the file.
    let shown = serde_json::to_value(api.configuration()).unwrap_or_default();
    let differs = |(key, value): &(String, Value)| shown.get(key) != Some(value);
    let changes = mapping::changes(body.into_iter().filter(differs).collect())?;
    if !changes.is_empty() {
        api.control.on_behalf_of(caller).change(changes).await.map_err(refusal)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Serve devices, or stop to
///
/// Registrations stay while no device is served. It survives a restart.
#[utoipa::path(
    put, path = "/gateways/lwm2m/enable/{enable}", tag = "Gateway", operation_id = "enable_gateway",
    params(("enable" = bool, Path, description = "true or false")),
    responses(
        (status = 204, description = "It is so"),
        (status = 400, description = "Neither true nor false", body = ErrorBody),
        (status = 500, description = "The change cannot be kept", body = ErrorBody),
        (status = 503, description = "The gateway stops", body = ErrorBody),
    ),
)]
pub(super) async fn enable(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(enable): Named,
) -> Result<StatusCode, ApiError> {
    let enabled = match enable.as_str() {
        "true" => Enabled::Yes,
        "false" => Enabled::No,
        _ => return Err(ApiError::bad_request("enable: expected true or false")),
    };
    api.control.on_behalf_of(caller).enable(enabled).await.map_err(refusal)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The only gateway.
const NAME: &str = "lwm2m";

impl Api {
    fn status(&self) -> Status {
        if self.control.is_enabled() { Status::Running } else { Status::Stopped }
    }

    fn configuration(&self) -> GatewayConfig {
        let mut lwm2m = mapping::section(&self.control.config().lwm2m);
        let usual = self.commands.contract().0.settings().qos;
        let translators = mapping::translators(&mut lwm2m, usual);
        let listeners = self.control.listeners();
        GatewayConfig {
            name: NAME,
            status: self.status(),
            created_at: rfc3339(self.created_ms),
            started_at: rfc3339(self.created_ms),
            enable: self.control.is_enabled(),
            needs_restart: self.control.needs_restart(),
            translators,
            listeners: listeners.iter().map(|listener| self.listener(listener)).collect(),
            lwm2m,
        }
    }

    fn gateway(&self) -> Gateway {
        let status = self.status();
        let current_connections = self.shared.directory.len();
        let listeners = self.control.listeners();
        let most: u64 = listeners.iter().map(|listener| listener.config.max_connections).sum();
        let max_connections = most.min(self.control.config().lwm2m.registrations_max as u64);
        let node = self.node.clone();
        Gateway {
            name: NAME,
            status,
            created_at: rfc3339(self.created_ms),
            started_at: rfc3339(self.created_ms),
            max_connections,
            current_connections,
            listeners: listeners
                .iter()
                .map(|listener| ListenerSummary {
                    id: id_of(listener),
                    name: listener.name.clone(),
                    transport: listener.config.transport.name(),
                    running: matches!(listener.state, ListenerState::Running { .. }),
                })
                .collect(),
            node_status: vec![NodeStatus { node, status, max_connections, current_connections }],
        }
    }
}

/// What a refused change is answered with.
pub(super) fn refusal(error: ChangeError) -> ApiError {
    let text = error.to_string();
    match error {
        ChangeError::UnknownListener(_) => ApiError::not_found(text),
        ChangeError::Stopped => ApiError::unavailable(text),
        _ if error.is_of_caller() => ApiError::bad_request(text),
        _ => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", text),
    }
}
