//! The topics whose messages are commands for a device: what EMQX shows as the subscriptions of its
//! session.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bridge::Qos;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::query::Client;
use crate::http::{ApiError, ErrorBody};

/// One topic, in EMQX's form.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Subscription {
    /// With the mountpoint.
    #[schema(example = "lwm2m/dev-1/dn/#")]
    topic: String,
    qos: u8,
    /// No local.
    nl: u8,
    /// Retain as published.
    rap: u8,
    /// Retain handling.
    rh: u8,
    #[schema(value_type = Object)]
    sub_props: serde_json::Map<String, serde_json::Value>,
}

/// List the topics that a device takes commands from
#[utoipa::path(
    get, path = "/gateways/lwm2m/clients/{clientid}/subscriptions", tag = "Devices",
    operation_id = "list_subscriptions",
    params(("clientid" = String, Path, description = "The endpoint name")),
    responses(
        (status = 200, body = Vec<Subscription>),
        (status = 404, description = "No such device is registered", body = ErrorBody),
    ),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    client: Result<Client, ApiError>,
) -> Result<Json<Vec<Subscription>>, ApiError> {
    let absent = || ApiError::not_found("no such device is registered");
    let Client(name) = client.map_err(|_| absent())?;
    let looked = api.look(&name).await?.ok_or_else(absent)?;
    let (bridge, _) = api.commands.contract();
    let topic = bridge.command_topic(&looked.row.device);
    let qos = match bridge.command_qos().unwrap_or(bridge.settings().qos) {
        Qos::AtMostOnce => 0,
        Qos::AtLeastOnce => 1,
        Qos::ExactlyOnce => 2,
    };
    let (nl, rap, rh) = (0, 0, 0);
    Ok(Json(vec![Subscription { topic, qos, nl, rap, rh, sub_props: serde_json::Map::new() }]))
}
