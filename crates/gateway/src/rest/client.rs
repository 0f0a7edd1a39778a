//! A device as JSON: EMQX 5's client row, and what the gateway knows beyond it.

use std::time::{Duration, UNIX_EPOCH};

use bridge::Bridge;
use engine::{Device, Instant, Presence, Reachability, Row};
use serde::Serialize;
use utoipa::ToSchema;

use crate::device_topics::DeviceTopics;
use crate::inbox::Looked;

/// From the monotonic clock to times of day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Milliseconds since 1970 at the origin of the monotonic clock.
    wall_origin: i64,
}

impl Times {
    pub(super) const fn new(wall_origin: i64) -> Self {
        Self { wall_origin }
    }

    /// When a device registered, in milliseconds since 1970.
    pub(super) fn registered(self, row: &Row) -> i64 {
        self.wall(row.at.saturating_sub(row.registered_ago))
    }

    fn wall(self, at: Instant) -> i64 {
        let since = i64::try_from(at.as_micros() / 1000).unwrap_or(i64::MAX);
        self.wall_origin.saturating_add(since)
    }

    fn text(self, at: Instant) -> String {
        rfc3339(self.wall(at))
    }
}

/// Milliseconds since 1970 as RFC 3339.
pub(super) fn rfc3339(wall_ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(wall_ms).unwrap_or_default());
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

/// What a registered device is called as an MQTT user, as in EMQX 5.
pub(super) fn username(device: &Device) -> &str {
    device.info.parameters.value("imei").unwrap_or(device.endpoint.as_str())
}

/// A registered device. Counters of traffic are not kept per device and are always 0.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClientRow {
    node: String,
    /// The endpoint name.
    clientid: String,
    /// The `imei` parameter of the registration, else the endpoint name.
    username: String,
    /// With the placeholders filled in.
    #[schema(example = "lwm2m/dev-1/")]
    mountpoint: String,
    #[schema(example = "LwM2M")]
    proto_name: &'static str,
    /// The LwM2M version that the device registered with.
    #[schema(example = "1.1")]
    proto_ver: String,
    ip_address: String,
    port: u16,
    is_bridge: bool,
    /// When the device registered.
    connected_at: String,
    /// A device that is gone is not listed.
    disconnected_at: Option<String>,
    connected: bool,
    /// The lifetime in seconds.
    keepalive: u64,
    clean_start: bool,
    expiry_interval: u64,
    created_at: String,
    subscriptions_cnt: usize,
    /// EMQX's word for no limit.
    #[schema(example = "infinity")]
    subscriptions_max: &'static str,
    /// Commands that were sent and not answered yet.
    inflight_cnt: usize,
    /// `lwm2m.max_in_flight`.
    inflight_max: usize,
    /// Commands that wait.
    mqueue_len: usize,
    /// `lwm2m.queue.commands`.
    mqueue_max: usize,
    #[serde(flatten)]
    uncounted: Uncounted,
    endpoint_name: String,
    /// In seconds.
    lifetime: u64,
    /// Beyond EMQX: whether the device listens.
    presence: PresenceName,
    /// Beyond EMQX: when the device was heard of last.
    last_heard_at: String,
    /// Beyond EMQX: when its lifetime ends, unless it updates its registration.
    expires_at: String,
    /// Beyond EMQX: how many observations it has.
    observations_cnt: usize,
}

/// Whether a device listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum PresenceName {
    /// At any time.
    Always,
    /// Queue mode, and heard of a moment ago.
    Awake,
    /// Queue mode: commands wait.
    Asleep,
}

/// What EMQX counts per client and this gateway does not.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Uncounted {
    mqueue_dropped: u64,
    awaiting_rel_cnt: u64,
    awaiting_rel_max: u64,
    recv_cnt: u64,
    recv_msg: u64,
    recv_oct: u64,
    recv_pkt: u64,
    send_cnt: u64,
    send_msg: u64,
    send_oct: u64,
    send_pkt: u64,
    mailbox_len: u64,
    heap_size: u64,
    reductions: u64,
}

/// A registered device with what it said of itself, which a listing leaves out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClientDetail {
    #[serde(flatten)]
    row: ClientRow,
    /// Beyond EMQX: the query parameters of the registration but `ep` and `lt`.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    parameters: serde_json::Map<String, serde_json::Value>,
    /// Beyond EMQX: the links of the registration, as they are published.
    #[serde(rename = "objectList")]
    object_list: Vec<String>,
    /// Beyond EMQX: what is observed.
    observations: Vec<Observation>,
}

/// One observation.
#[derive(Debug, Serialize, ToSchema)]
struct Observation {
    /// The path; `/` for a composite observation.
    path: String,
    /// The number of the content format that was asked for.
    accept: Option<u16>,
}

/// What turns rows into JSON.
pub(super) struct Describer<'a> {
    pub(super) node: &'a str,
    pub(super) bridge: &'a Bridge,
    pub(super) times: Times,
    pub(super) inflight_max: usize,
    pub(super) mqueue_max: usize,
    pub(super) topics: &'a DeviceTopics,
}

impl Describer<'_> {
    pub(super) fn row(&self, row: &Row) -> ClientRow {
        let (device, times) = (&row.device, self.times);
        let info = &device.info;
        let name = device.endpoint.as_str();
        let registered = times.text(row.at.saturating_sub(row.registered_ago));
        let lifetime = info.lifetime.as_secs();
        let version = info.parameters.lwm2m().map(|version| version.as_str().to_owned());
        ClientRow {
            node: self.node.to_owned(),
            clientid: name.to_owned(),
            username: username(device).to_owned(),
            mountpoint: self.bridge.mountpoint(device),
            proto_name: "LwM2M",
            proto_ver: version.unwrap_or_default(),
            ip_address: device.peer.remote_ip().to_canonical().to_string(),
            port: device.peer.remote().port(),
            is_bridge: false,
            connected_at: registered.clone(),
            disconnected_at: None,
            connected: true,
            keepalive: lifetime,
            clean_start: true,
            expiry_interval: 0,
            created_at: registered,
            // One follows from the settings.
            subscriptions_cnt: 1 + self.topics.count_of(&device.endpoint),
            subscriptions_max: "infinity",
            inflight_cnt: row.commands_in_flight,
            inflight_max: self.inflight_max,
            mqueue_len: row.commands_waiting,
            mqueue_max: self.mqueue_max,
            uncounted: Uncounted::default(),
            endpoint_name: name.to_owned(),
            lifetime,
            presence: presence(row),
            last_heard_at: times.text(row.at.saturating_sub(row.heard_ago)),
            expires_at: times.text(row.at.saturating_add(row.lifetime_left)),
            observations_cnt: row.observations,
        }
    }

    pub(super) fn detail(&self, looked: &Looked) -> ClientDetail {
        let info = &looked.row.device.info;
        let parameters = info.parameters.iter();
        let observed = looked.observed.iter();
        ClientDetail {
            row: self.row(&looked.row),
            parameters: parameters
                .map(|(key, value)| (key.to_owned(), value.unwrap_or_default().into()))
                .collect(),
            object_list: info
                .links
                .iter()
                .flat_map(|links| links.object_list())
                .map(str::to_owned)
                .collect(),
            observations: observed
                .map(|observed| Observation {
                    path: observed.path.to_string(),
                    accept: observed.accept.map(|format| format.0),
                })
                .collect(),
        }
    }
}

fn presence(row: &Row) -> PresenceName {
    match (row.device.info.presence, row.reachability) {
        (Presence::Always, _) | (_, Reachability::Always) => PresenceName::Always,
        (_, Reachability::Awake { .. }) => PresenceName::Awake,
        (_, Reachability::Asleep) => PresenceName::Asleep,
    }
}
