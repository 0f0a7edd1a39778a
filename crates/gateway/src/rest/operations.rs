//! Operations on devices: EMQX 5's lookup, read, write and observe, and `command` for all others.
//!
//! A request becomes the same JSON as on a command topic and takes the same way, so its outcome is
//! published like any other, without `reqID` (contract, section 9.2).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bridge::{Fault, Finished, Surroundings, ValueFault};
use engine::Origin;
use lwm2m::{EndpointName, OperationKind, Path};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::query::{Body, Client, Params, no_client};
use crate::clock;
use crate::downlink::SubmitError;
use crate::http::{ApiError, ErrorBody};
use crate::results::{Asked, Outcome};

/// What became of a command.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Lookup {
    /// The endpoint name.
    pub(crate) clientid: String,
    /// The operation.
    #[schema(example = "read")]
    pub(crate) action: String,
    /// As asked for.
    #[schema(example = "/3/0/0")]
    pub(crate) path: String,
    /// How it ended.
    #[serde(flatten)]
    pub(crate) end: End,
}

/// The answer of a device, or the lack of one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct End {
    /// The device's response code; `6.01` when there is no answer (yet).
    #[schema(example = "2.05")]
    pub(crate) code: String,
    /// The name of the code.
    #[serde(rename = "codeMsg")]
    #[schema(example = "content")]
    pub(crate) code_msg: String,
    /// What the device sent: items of `path` and `value`; after a discover items of `path`, `name`,
    /// `operations` and `dataType`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub(crate) content: Option<Value>,
    /// Beyond EMQX: why there is no answer, once that is certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl End {
    /// EMQX's code for what has not been answered.
    pub(crate) const NO_REPLY: &'static str = "6.01";

    fn no_reply() -> Self {
        let code_msg = "reply_not_received".to_owned();
        Self { code: Self::NO_REPLY.to_owned(), code_msg, content: None, reason: None }
    }
}

/// Which command.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LookupQuery {
    /// The path that was asked for; `/` for composite operations.
    #[param(example = "/3/0/0")]
    path: String,
    /// The operation: a `msgType` of docs/mqtt.md.
    #[param(example = "read")]
    action: String,
}

/// The result of the last command with this path and operation
///
/// It also answers for commands that came by MQTT. `6.01` `reply_not_received` stands for a command
/// that has not been answered and for one that was never sent. Results of all devices share 64 MB;
/// the oldest make room.
#[utoipa::path(
    get, path = "/gateways/lwm2m/clients/{clientid}/lookup", tag = "Operations",
    operation_id = "lookup",
    params(("clientid" = String, Path, description = "The endpoint name", min_length = 1), LookupQuery),
    responses(
        (status = 200, body = Lookup),
        (status = 400, description = "The message names the parameter", body = ErrorBody),
        (status = 404, description = "No such device is registered", body = ErrorBody),
    ),
)]
pub(super) async fn lookup(
    State(api): State<Arc<Api>>,
    Client(endpoint): Client,
    Params(query): Params<LookupQuery>,
) -> Result<Json<Lookup>, ApiError> {
    let LookupQuery { path, action } = query;
    let operation = operation(&action)?;
    let asked = Asked { endpoint, path: parse_path(&path)?, operation };
    if api.shared.directory.find(asked.endpoint.as_str()).is_none() {
        return Err(no_client());
    }
    let outcome = api.shared.results.find(&asked);
    let end = outcome.map_or_else(End::no_reply, |outcome| api.end(&asked, &outcome));
    Ok(Json(Lookup { clientid: asked.endpoint.to_string(), action, path, end }))
}

/// What to read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadQuery {
    /// An object, instance, resource or resource instance.
    #[param(example = "/3/0/0")]
    path: String,
    /// Beyond EMQX: wait at most this many seconds for the outcome and return it.
    #[param(example = 10)]
    wait: Option<u32>,
}

/// Read from a device
///
/// The value is published on the response topic and shown by lookup.
#[utoipa::path(
    post, path = "/gateways/lwm2m/clients/{clientid}/read", tag = "Operations",
    operation_id = "read",
    params(("clientid" = String, Path, description = "The endpoint name", min_length = 1), ReadQuery),
    responses(
        (status = 200, description = "The outcome, or `6.01`: with `wait` only", body = Lookup),
        (status = 204, description = "The command is on its way"),
        (status = 400, description = "The message names the parameter", body = ErrorBody),
        (status = 404, description = "No such device is registered", body = ErrorBody),
        (status = 503, description = "There are too many commands", body = ErrorBody),
    ),
)]
pub(super) async fn read(
    State(api): State<Arc<Api>>,
    Client(endpoint): Client,
    Params(query): Params<ReadQuery>,
) -> Result<Response, ApiError> {
    let data = json!({"path": query.path});
    api.operate((endpoint, OperationKind::Read), query.path, data, query.wait).await
}

/// What to write.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WriteQuery {
    /// A resource or resource instance.
    #[param(example = "/3/0/14")]
    path: String,
    /// String, Integer, Unsigned Integer, Float, Boolean, Opaque, Time, Objlnk or Corelnk.
    #[serde(rename = "type")]
    #[param(rename = "type", example = "String")]
    data_type: String,
    /// The value as text.
    #[param(example = "+02")]
    value: String,
    /// Beyond EMQX: wait at most this many seconds for the outcome and return it.
    wait: Option<u32>,
}

/// Write to a device
#[utoipa::path(
    post, path = "/gateways/lwm2m/clients/{clientid}/write", tag = "Operations",
    operation_id = "write",
    params(("clientid" = String, Path, description = "The endpoint name", min_length = 1), WriteQuery),
    responses(
        (status = 200, description = "The outcome, or `6.01`: with `wait` only", body = Lookup),
        (status = 204, description = "The command is on its way"),
        (status = 400, description = "The message names the parameter", body = ErrorBody),
        (status = 404, description = "No such device is registered", body = ErrorBody),
        (status = 503, description = "There are too many commands", body = ErrorBody),
    ),
)]
pub(super) async fn write(
    State(api): State<Arc<Api>>,
    Client(endpoint): Client,
    Params(query): Params<WriteQuery>,
) -> Result<Response, ApiError> {
    let data = json!({"path": query.path, "type": query.data_type, "value": query.value});
    api.operate((endpoint, OperationKind::Write), query.path, data, query.wait).await
}

/// What to observe.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ObserveQuery {
    /// An object, instance, resource or resource instance.
    #[param(example = "/3303/0/5700")]
    path: String,
    /// Observe, or end the observation.
    #[param(inline)]
    enable: Switch,
    /// Beyond EMQX: wait at most this many seconds for the outcome and return it.
    wait: Option<u32>,
}

/// EMQX's spellings of a truth value.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
pub(super) enum Switch {
    #[serde(rename = "true")]
    True,
    #[serde(rename = "false")]
    False,
    #[serde(rename = "1")]
    One,
    #[serde(rename = "0")]
    Zero,
}

/// Observe a path, or end its observation
///
/// Notifications are published on the notify topic.
#[utoipa::path(
    post, path = "/gateways/lwm2m/clients/{clientid}/observe", tag = "Operations",
    operation_id = "observe",
    params(("clientid" = String, Path, description = "The endpoint name", min_length = 1), ObserveQuery),
    responses(
        (status = 200, description = "The outcome, or `6.01`: with `wait` only", body = Lookup),
        (status = 204, description = "The command is on its way"),
        (status = 400, description = "The message names the parameter", body = ErrorBody),
        (status = 404, description = "No such device is registered", body = ErrorBody),
        (status = 503, description = "There are too many commands", body = ErrorBody),
    ),
)]
pub(super) async fn observe(
    State(api): State<Arc<Api>>,
    Client(endpoint): Client,
    Params(query): Params<ObserveQuery>,
) -> Result<Response, ApiError> {
    let operation = match query.enable {
        Switch::True | Switch::One => OperationKind::Observe,
        Switch::False | Switch::Zero => OperationKind::CancelObserve,
    };
    let data = json!({"path": query.path});
    api.operate((endpoint, operation), query.path, data, query.wait).await
}

/// Whether to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CommandQuery {
    /// Wait at most this many seconds for the outcome and return it.
    wait: Option<u32>,
}

/// A command as on a command topic.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(example = json!({"msgType": "execute", "data": {"path": "/3/0/4"}}))]
pub(super) struct CommandBody {
    /// The operation: one of docs/mqtt.md.
    #[serde(rename = "msgType")]
    message: String,
    /// Its parameters.
    #[schema(value_type = Object)]
    data: Value,
    /// Members to be repeated in what is published, `reqID` among them.
    #[serde(flatten)]
    #[schema(value_type = Object, additional_properties)]
    echo: serde_json::Map<String, Value>,
}

/// Send any command
///
/// Beyond EMQX: the body is what a message on the device's command topic would be, so that every
/// operation of docs/mqtt.md can be had over HTTP.
#[utoipa::path(
    post, path = "/gateways/lwm2m/clients/{clientid}/command", tag = "Operations",
    operation_id = "command",
    params(("clientid" = String, Path, description = "The endpoint name", min_length = 1), CommandQuery),
    request_body = CommandBody,
    responses(
        (status = 200, description = "The outcome, or `6.01`: with `wait` only", body = Lookup),
        (status = 204, description = "The command is on its way"),
        (status = 400, description = "The message says what is wrong with it", body = ErrorBody),
        (status = 404, description = "No such device is registered", body = ErrorBody),
        (status = 413, description = "The body is larger than `http.body_max`", body = ErrorBody),
        (status = 415, description = "The body is not `application/json`", body = ErrorBody),
        (status = 503, description = "There are too many commands", body = ErrorBody),
    ),
)]
pub(super) async fn command(
    State(api): State<Arc<Api>>,
    Client(endpoint): Client,
    Params(query): Params<CommandQuery>,
    Body(body): Body<CommandBody>,
) -> Result<Response, ApiError> {
    let operation = operation(&body.message).map_err(|_| {
        ApiError::bad_request(format!("msgType: \"{}\" is no operation", body.message))
    })?;
    let member = |name: &str| body.data.get(name).and_then(Value::as_str);
    let path = member("path").or_else(|| member("basePath")).unwrap_or("/").to_owned();
    let asked = Asked { endpoint, path: Path::parse(&path).unwrap_or(Path::ROOT), operation };
    let command = serde_json::to_value(&body)
        .map_err(|error| ApiError::bad_request(format!("body: {error}")))?;
    api.send(Order { asked, path, command, wait: query.wait }).await
}

fn operation(name: &str) -> Result<OperationKind, ApiError> {
    OperationKind::parse(name)
        .ok_or_else(|| ApiError::bad_request(format!("action: \"{name}\" is no operation")))
}

fn parse_path(text: &str) -> Result<Path, ApiError> {
    // A query behind the path belongs to the request, not to what is asked for.
    let path = text.split('?').next().unwrap_or_default();
    Path::parse(path).map_err(|error| ApiError::bad_request(format!("path: {error}")))
}

/// A command as a request asks for it.
struct Order {
    asked: Asked,
    /// As it was given.
    path: String,
    command: Value,
    wait: Option<u32>,
}

impl Api {
    /// Sends one of EMQX's operations, which are about a path each.
    async fn operate(
        &self,
        (endpoint, operation): (EndpointName, OperationKind),
        path: String,
        data: Value,
        wait: Option<u32>,
    ) -> Result<Response, ApiError> {
        let asked = Asked { endpoint, path: parse_path(&path)?, operation };
        let command = json!({"msgType": operation.name(), "data": data});
        self.send(Order { asked, path, command, wait }).await
    }

    async fn send(&self, order: Order) -> Result<Response, ApiError> {
        let Order { asked, path, command, wait } = order;
        let (waiter, outcome) = oneshot::channel();
        let waiter = wait.is_some().then_some(waiter);
        let submitted =
            self.commands.submit(&asked.endpoint, command.to_string().as_bytes(), waiter).await;
        submitted.map_err(refusal)?;
        let Some(seconds) = wait else { return Ok(StatusCode::NO_CONTENT.into_response()) };
        let longest = Duration::from_secs(seconds.into()).min(self.wait_max);
        let end = match tokio::time::timeout(longest, outcome).await {
            Ok(Ok(outcome)) => self.end(&asked, &outcome),
            Ok(Err(_)) | Err(_) => End::no_reply(),
        };
        let action = asked.operation.name().to_owned();
        let lookup = Lookup { clientid: asked.endpoint.to_string(), action, path, end };
        Ok(Json(lookup).into_response())
    }

    fn end(&self, asked: &Asked, outcome: &Outcome) -> End {
        let (mut bridge, models) = self.commands.contract();
        let finished = Finished {
            endpoint: &asked.endpoint,
            device: outcome.device.as_ref(),
            origin: &Origin::default(),
            operation: asked.operation,
            path: asked.path,
            result: outcome.result.as_ref(),
        };
        let surroundings = Surroundings { models: &models, wall_ms: clock::wall_ms() };
        let mut record = Vec::new();
        bridge.record(&finished, surroundings, &mut record);
        serde_json::from_slice(&record).unwrap_or_else(|_| End::no_reply())
    }
}

fn refusal(error: SubmitError) -> ApiError {
    match error {
        SubmitError::Unusable(fault) => ApiError::bad_request(mended(&fault)),
        SubmitError::UnknownDevice => no_client(),
        SubmitError::Full | SubmitError::Stopping => ApiError::unavailable(error.to_string()),
    }
}

/// The fault by the name of the parameter it is about.
fn mended(fault: &Fault) -> String {
    match fault {
        Fault::Path { error, .. } => format!("path: {error}"),
        Fault::PathDepth { expected, .. } => format!("path: must have {expected}"),
        Fault::Query => format!("path: {fault}"),
        Fault::Value { error: ValueFault::Type, .. } => format!("type: {}", ValueFault::Type),
        Fault::Value { error, .. } => format!("value: {error}"),
        other => other.to_string(),
    }
}
