//! The topics whose messages are commands for a device: what EMQX shows as the subscriptions of its
//! session.
//!
//! One follows from the settings. Those that are added here are on top of it; what becomes of their
//! messages is the job of [`crate::downlink`].

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path as InPath, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use bridge::{Profile, Qos};
use engine::Device;
use lwm2m::EndpointName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Api;
use super::query::{Body, Client, bad_path};
use crate::device_topics::{DeviceTopic, Holder, Options, TOPIC_LEN_MAX};
use crate::http::{ApiError, Caller, ErrorBody};
use crate::mqtt::Filter;
use crate::pump::TopicError;

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
    sub_props: Map<String, Value>,
}

/// A topic to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSubscription {
    /// Without the mountpoint. May hold wildcards, as long as it matches no topic that the gateway
    /// publishes to.
    #[schema(example = "cmd/#", min_length = 1, max_length = 1024)]
    topic: String,
    #[serde(default)]
    #[schema(maximum = 2)]
    qos: u8,
    /// No local: the gateway publishes nothing there.
    #[serde(default)]
    #[schema(maximum = 1)]
    nl: u8,
    /// Retain as published: makes no difference to a command.
    #[serde(default)]
    #[schema(maximum = 1)]
    rap: u8,
    /// Retain handling: 0 carries out what the broker keeps on the topic, 1 only if the device has
    /// not got the topic yet. 2 (never) is refused.
    #[serde(default = "if_new")]
    #[schema(maximum = 1, default = 1)]
    rh: u8,
    /// For other protocols of EMQX; makes no difference.
    #[serde(default, rename = "sub_props")]
    #[schema(value_type = Object)]
    _sub_props: Map<String, Value>,
}

const fn if_new() -> u8 {
    1
}

/// List the topics that a device takes commands from
#[utoipa::path(
    get, path = "/gateways/lwm2m/clients/{clientid}/subscriptions", tag = "Devices",
    operation_id = "list_subscriptions",
    params(("clientid" = String, Path, description = "The endpoint name", min_length = 1)),
    responses(
        (status = 200, body = Vec<Subscription>),
        (status = 404, description = "No such device is registered", body = ErrorBody),
    ),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    client: Result<Client, ApiError>,
) -> Result<Json<Vec<Subscription>>, ApiError> {
    let Client(name) = client.map_err(|_| absent())?;
    let device = api.device(&name).await?;
    let own = api.shared.device_topics.of(&name);
    let standing = api.standing(&device);
    Ok(Json(std::iter::once(standing).chain(own.into_iter().map(Subscription::from)).collect()))
}

/// Have a device take commands from one more topic
///
/// The topic is the device's until it is removed or the registration has ended; a Register that
/// replaces the registration keeps it. What the broker keeps on the topic is carried out at once.
#[utoipa::path(
    post, path = "/gateways/lwm2m/clients/{clientid}/subscriptions", tag = "Devices",
    operation_id = "add_subscription",
    params(("clientid" = String, Path, description = "The endpoint name", min_length = 1)),
    request_body(content = NewSubscription),
    responses(
        (status = 201, body = Subscription),
        (status = 400, description = "No topic that a device can have: it matches topics that the \
            gateway publishes to, or some of those that are subscribed to; or there are too many",
            body = ErrorBody),
        (status = 404, description = "No such device is registered", body = ErrorBody),
        (status = 413, description = "The body is larger than `http.body_max`", body = ErrorBody),
        (status = 415, description = "The body is not `application/json`", body = ErrorBody),
        (status = 502, description = "The broker refused", body = ErrorBody),
        (status = 503, description = "The gateway stops", body = ErrorBody),
    ),
)]
pub(super) async fn add(
    State(api): State<Arc<Api>>,
    caller: Caller,
    client: Result<Client, ApiError>,
    Body(wish): Body<NewSubscription>,
) -> Result<(StatusCode, Json<Subscription>), ApiError> {
    let Client(name) = client.map_err(|_| absent())?;
    let device = api.device(&name).await?;
    let standing = api.standing(&device);
    let topic = wish.topic(&api.commands.contract().0.mountpoint(&device))?;
    if topic.filter.as_str() == standing.topic {
        return Ok((StatusCode::CREATED, Json(standing)));
    }
    let added = Subscription::from(topic.clone());
    // Not to be left half done when nobody waits for the answer any more.
    let task = tokio::spawn(async move { api.subscribe(Holder::of(&device), topic).await });
    task.await.map_err(|_| ApiError::unavailable("the gateway stops"))??;
    let topic = added.topic.as_str();
    tracing::info!(event = "topic_added_over_rest", by = %caller, endpoint = name.as_str(), topic);
    Ok((StatusCode::CREATED, Json(added)))
}

/// Have a device take no more commands from a topic
#[utoipa::path(
    delete, path = "/gateways/lwm2m/clients/{clientid}/subscriptions/{topic}", tag = "Devices",
    operation_id = "remove_subscription",
    params(
        ("clientid" = String, Path, description = "The endpoint name", min_length = 1),
        ("topic" = String, Path, description = "Without the mountpoint or with it",
            min_length = 1, max_length = 1024),
    ),
    responses(
        (status = 204, description = "The device takes no commands from it"),
        (status = 400, description = "The topic follows from the settings", body = ErrorBody),
        (status = 404, description = "No such device is registered, or it has no such topic",
            body = ErrorBody),
        (status = 503, description = "The gateway stops", body = ErrorBody),
    ),
)]
pub(super) async fn remove(
    State(api): State<Arc<Api>>,
    caller: Caller,
    place: Place,
) -> Result<StatusCode, ApiError> {
    let Place { name, topic } = place;
    let device = api.device(&name).await?;
    let mountpoint = api.commands.contract().0.mountpoint(&device);
    let standing = api.standing(&device).topic;
    if topic == standing || format!("{mountpoint}{topic}") == standing {
        return Err(ApiError::bad_request("topic: follows from lwm2m.topics.command"));
    }
    let (endpoint, named) = (name.clone(), topic.clone());
    let task = tokio::spawn(async move { api.subscriptions.remove_topic(&endpoint, &named).await });
    if !task.await.map_err(|_| ApiError::unavailable("the gateway stops"))? {
        return Err(ApiError::not_found("the device has no such topic"));
    }
    let endpoint = name.as_str();
    tracing::info!(event = "topic_removed_over_rest", by = %caller, endpoint, topic);
    Ok(StatusCode::NO_CONTENT)
}

/// A topic of a device, from the path.
pub(super) struct Place {
    name: EndpointName,
    topic: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = InPath::<(String, String)>::from_request_parts(parts, state).await;
        let InPath((name, topic)) = path.map_err(|rejection| bad_path(&rejection))?;
        let name = EndpointName::parse(&name).map_err(|_| absent())?;
        Ok(Self { name, topic })
    }
}

impl NewSubscription {
    fn topic(self, mountpoint: &str) -> Result<DeviceTopic, ApiError> {
        for (key, value, max) in
            [("qos", self.qos, 2), ("nl", self.nl, 1), ("rap", self.rap, 1), ("rh", self.rh, 1)]
        {
            if value > max {
                return Err(ApiError::bad_request(format!("{key}: expected 0 to {max}")));
            }
        }
        if self.topic.is_empty() {
            return Err(ApiError::bad_request("topic: must not be empty"));
        }
        let mounted = format!("{mountpoint}{}", self.topic);
        if mounted.len() > TOPIC_LEN_MAX {
            let text = format!("topic: at most {TOPIC_LEN_MAX} bytes with the mountpoint");
            return Err(ApiError::bad_request(text));
        }
        let filter = Filter::parse(&mounted)
            .map_err(|error| ApiError::bad_request(format!("topic: {error}")))?;
        let options = Options {
            qos: self.qos,
            no_local: self.nl,
            retain_as_published: self.rap,
            retain_handling: self.rh,
        };
        Ok(DeviceTopic { asked: self.topic, filter, options })
    }
}

impl From<DeviceTopic> for Subscription {
    fn from(topic: DeviceTopic) -> Self {
        let Options { qos, no_local, retain_as_published, retain_handling } = topic.options;
        Self {
            topic: topic.filter.to_string(),
            qos,
            nl: no_local,
            rap: retain_as_published,
            rh: retain_handling,
            sub_props: Map::new(),
        }
    }
}

impl Api {
    async fn device(&self, name: &EndpointName) -> Result<Device, ApiError> {
        Ok(self.look(name).await?.ok_or_else(absent)?.row.device)
    }

    /// The topic that a device has by the settings.
    fn standing(&self, device: &Device) -> Subscription {
        let (bridge, _) = self.commands.contract();
        let topic = bridge.command_topic(device);
        let qos = match bridge.command_qos().unwrap_or(bridge.settings().qos) {
            Qos::AtMostOnce => 0,
            Qos::AtLeastOnce => 1,
            Qos::ExactlyOnce => 2,
        };
        let rh = match bridge.settings().profile {
            Profile::Emqx4 => 0,
            Profile::Emqx5 => 1,
        };
        Subscription { topic, qos, nl: 0, rap: 0, rh, sub_props: Map::new() }
    }

    async fn subscribe(&self, holder: Holder, topic: DeviceTopic) -> Result<(), ApiError> {
        let topics = self.shared.device_topics.of(holder.recipient().endpoint);
        let is_new = topics.iter().all(|known| known.filter != topic.filter);
        // Before it is subscribed to: what the broker repeats then reaches the device by itself.
        let kept = if is_new || topic.options.retain_handling == 0 {
            self.shared.retained.matching(&topic.filter, self.shared.clock.now())
        } else {
            Vec::new()
        };
        self.subscriptions.add_topic(holder.clone(), topic).await.map_err(refusal)?;
        let (bridge, _) = self.commands.contract();
        let endpoint = holder.recipient().endpoint;
        // What came by the topic of the settings as well was carried out then.
        for message in kept.iter().filter(|it| !bridge.endpoints(&it.topic).contains(endpoint)) {
            self.commands.deliver_kept(&holder, message).await;
        }
        Ok(())
    }
}

fn absent() -> ApiError {
    ApiError::not_found("no such device is registered")
}

fn refusal(error: TopicError) -> ApiError {
    match error {
        TopicError::UnknownDevice => absent(),
        TopicError::Refused(error) => {
            ApiError::new(StatusCode::BAD_GATEWAY, "BAD_GATEWAY", error.to_string())
        }
        error => ApiError::bad_request(format!("topic: {error}")),
    }
}
