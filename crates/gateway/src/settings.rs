//! From the configuration to what the parts want to know.
//!
//! Each part has its own types and defaults; only here do they meet the configuration file.

use std::collections::BTreeMap;

use bridge::{FirmwareNotify, ResponseTopics, StaleNotifications, TopicSetting, UpdateCondition};
use engine::{AcceptedVersion, QueueLimits, QueueOverflow, Rearm, Rebind};

use crate::config::{
    self, Acceptance, AutoObserve, Coap, Config, LifetimePolicy, ListenerRebind, Lwm2m, MqttMode,
    MqttProtocol, Topic, UpdatePublish, WhenFull,
};
use crate::listeners::Slots;
use crate::mqtt::external::{AddressError, ExternalConfig, Protocol};
use crate::objects::Origin;
use crate::retained::RetainedLimits;
use crate::telemetry::Redacted;

/// Settings that the engine takes at run time; `slots` numbers the listeners.
pub fn engine_settings(config: &Config, slots: &Slots) -> engine::Settings {
    let lwm2m = &config.lwm2m;
    engine::Settings {
        profile: match config.profile {
            config::Profile::Emqx4 => engine::Profile::Emqx4,
            config::Profile::Emqx5 => engine::Profile::Emqx5,
        },
        lifetime_min: lwm2m.lifetime_min.duration().as_secs(),
        lifetime_max: lwm2m.lifetime_max.duration().as_secs(),
        lifetime_policy: match lwm2m.lifetime_policy {
            LifetimePolicy::ByProfile => None,
            LifetimePolicy::Refuse => Some(engine::LifetimePolicy::Refuse),
            LifetimePolicy::Accept => Some(engine::LifetimePolicy::Accept),
        },
        accept_versions: lwm2m
            .accept_versions
            .iter()
            .filter_map(|text| AcceptedVersion::parse(text))
            .collect(),
        expiry_grace: lwm2m.expiry_grace.duration(),
        queue_mode_window: lwm2m.qmode_time_window.duration(),
        auto_observe: match &lwm2m.auto_observe {
            AutoObserve::Off => engine::AutoObserve::Off,
            AutoObserve::All => engine::AutoObserve::Registered,
            AutoObserve::Paths(paths) => engine::AutoObserve::Listed(paths.clone()),
        },
        auto_observe_origin: bridge::auto_observe_origin(),
        rearm: if lwm2m.rearm { Rearm::On } else { Rearm::Off },
        sleep_events: sleep_events(lwm2m),
        nosec_rebind: match lwm2m.nosec_rebind {
            Acceptance::Accept => Rebind::Accept,
            Acceptance::Refuse => Rebind::Refuse,
        },
        listener_nosec_rebind: listener_rebinds(config, slots),
        max_in_flight: lwm2m.max_in_flight.max(1),
        command_timeout: lwm2m.command_timeout.duration(),
        queue: queue_limits(lwm2m),
        notifications_per_second: lwm2m.limits.notifications_per_second,
        registrations_per_minute: lwm2m.limits.registrations_per_minute,
        registrations_max: lwm2m.registrations_max.div_ceil(usize::from(config.shard_count())),
    }
}

fn queue_limits(lwm2m: &Lwm2m) -> QueueLimits {
    QueueLimits {
        commands: lwm2m.queue.commands,
        bytes: lwm2m.queue.bytes.get(),
        age: lwm2m.queue.age.duration(),
        overflow: match lwm2m.queue.when_full {
            WhenFull::RefuseNewest => QueueOverflow::RefuseNewest,
            WhenFull::DropOldest => QueueOverflow::DropOldest,
        },
    }
}

/// Settings of the message layer.
pub fn endpoint_config(config: &Config) -> engine::EndpointConfig {
    let coap: &Coap = &config.coap;
    let params = engine::TransmissionParams {
        ack_timeout: coap.ack_timeout.duration(),
        ack_random_factor: coap.ack_random_factor,
        max_retransmit: coap.max_retransmit,
        nstart: coap.nstart.max(u8::try_from(config.lwm2m.max_in_flight).unwrap_or(u8::MAX)),
        ..engine::TransmissionParams::default()
    };
    engine::EndpointConfig {
        transfer_timeout: params.max_transmit_wait(),
        params,
        block_size_max: coap.block_size_max,
        body_max: coap.body_max.get(),
        transfers_per_peer_max: coap.transfers.per_peer,
        transfers_bytes_max: coap.transfers.bytes.get(),
        dedup_per_peer_max: coap.dedup.per_peer,
        dedup_max: coap.dedup.entries,
        dedup_bytes_max: coap.dedup.bytes.get(),
        request_timeout: config.lwm2m.command_timeout.duration(),
        ..engine::EndpointConfig::default()
    }
}

/// Settings of the contract; `slots` numbers the listeners.
pub fn bridge_settings(config: &Config, slots: &Slots) -> bridge::Settings {
    let lwm2m = &config.lwm2m;
    bridge::Settings {
        profile: match config.profile {
            config::Profile::Emqx4 => bridge::Profile::Emqx4,
            config::Profile::Emqx5 => bridge::Profile::Emqx5,
        },
        mountpoint: lwm2m.mountpoint.clone(),
        listener_mountpoints: listener_mountpoints(config, slots),
        topics: topics(lwm2m),
        qos: match config.mqtt.mode {
            MqttMode::Embedded => bridge::Qos::AtMostOnce,
            MqttMode::External => bridge::Qos::AtLeastOnce,
        },
        report: match lwm2m.report {
            config::Report::All => bridge::Report::All,
            config::Report::Profile => bridge::Report::Profile,
        },
        stale_notifications: match lwm2m.stale_notifications {
            config::StaleNotifications::Publish => StaleNotifications::Publish,
            config::StaleNotifications::Drop => StaleNotifications::Drop,
        },
        firmware_notify: match lwm2m.firmware_notify {
            config::FirmwareNotify::Profile => FirmwareNotify::Profile,
            config::FirmwareNotify::Notify => FirmwareNotify::Notify,
            config::FirmwareNotify::Both => FirmwareNotify::Both,
        },
        unknown_objects: match lwm2m.unknown_objects {
            config::UnknownObjects::Raw => bridge::UnknownObjects::Raw,
            config::UnknownObjects::Reject => bridge::UnknownObjects::Reject,
        },
        update_msg_publish_condition: match lwm2m.update_msg_publish_condition {
            UpdatePublish::ByProfile => None,
            UpdatePublish::Always => Some(UpdateCondition::Always),
            UpdatePublish::ContainsObjectList => Some(UpdateCondition::ContainsObjectList),
        },
        command_payload_max: lwm2m.command_payload_max.get(),
        response_topics: ResponseTopics { prefixes: config.mqtt.response_topic_prefixes.clone() },
    }
}

/// Bounds of the retained commands.
pub fn retained(config: &Config) -> RetainedLimits {
    let retained = &config.mqtt.retained_commands;
    RetainedLimits { entries: retained.entries, bytes: retained.bytes.get() }
}

/// Where object definitions come from.
pub fn objects(config: &Config) -> Origin {
    let Lwm2m { xml_dir, builtin_objects, .. } = &config.lwm2m;
    Origin { directory: xml_dir.clone(), builtin: *builtin_objects }
}

fn listener_rebinds(config: &Config, slots: &Slots) -> BTreeMap<u16, Rebind> {
    let own = config.listeners.iter().filter_map(|(name, listener)| {
        let rebind = match listener.nosec_rebind {
            ListenerRebind::Common => return None,
            ListenerRebind::Accept => Rebind::Accept,
            ListenerRebind::Refuse => Rebind::Refuse,
        };
        Some((slots.number(name)?, rebind))
    });
    own.collect()
}

fn listener_mountpoints(config: &Config, slots: &Slots) -> BTreeMap<u16, String> {
    let own = config.listeners.iter().filter(|(_, listener)| !listener.mountpoint.is_empty());
    own.filter_map(|(name, listener)| Some((slots.number(name)?, listener.mountpoint.clone())))
        .collect()
}

fn topics(lwm2m: &Lwm2m) -> bridge::Topics {
    let topics = &lwm2m.topics;
    bridge::Topics {
        command: topic(&topics.command),
        response: topic(&topics.response),
        notify: topic(&topics.notify),
        register: topic(&topics.register),
        update: topic(&topics.update),
        lifecycle: lifecycle_topics(&topics.lifecycle),
    }
}

fn lifecycle_topics(topics: &config::LifecycleTopics) -> bridge::LifecycleTopics {
    let wanted = |setting: &Topic| (!setting.topic.is_empty()).then(|| topic(setting));
    let own = bridge::Lifecycle::ALL.into_iter().filter_map(|event| {
        let setting = topics.own(event.name())?;
        Some((event, wanted(setting)))
    });
    bridge::LifecycleTopics { common: wanted(&topics.common), own: own.collect() }
}

/// A million sleepers must not cost a timer each unless somebody listens.
fn sleep_events(lwm2m: &Lwm2m) -> engine::SleepEvents {
    let topics = lifecycle_topics(&lwm2m.topics.lifecycle);
    let wanted = [bridge::Lifecycle::Asleep, bridge::Lifecycle::Awake];
    if wanted.into_iter().any(|event| topics.topic(event).is_some()) {
        engine::SleepEvents::On
    } else {
        engine::SleepEvents::Off
    }
}

fn topic(topic: &Topic) -> TopicSetting {
    TopicSetting {
        topic: topic.topic.clone(),
        qos: topic.qos.map(|qos| match qos {
            0 => bridge::Qos::AtMostOnce,
            1 => bridge::Qos::AtLeastOnce,
            _ => bridge::Qos::ExactlyOnce,
        }),
        retain: topic.retain,
    }
}

/// Settings of the embedded broker.
#[cfg(feature = "embedded-broker")]
pub fn embedded(config: &Config) -> crate::mqtt::embedded::EmbeddedConfig {
    let embedded = &config.mqtt.embedded;
    crate::mqtt::embedded::EmbeddedConfig {
        bind: embedded.bind,
        max_connections: embedded.max_connections,
        packet_max: u32::try_from(embedded.packet_max.get()).unwrap_or(u32::MAX),
        queue_max: embedded.queue_max,
        retained_max: embedded.retained_max,
    }
}

/// Settings of the external broker, with `client_id` where the file names none.
///
/// # Errors
/// What is wrong with the URL.
pub fn external(config: &Config, client_id: String) -> Result<ExternalConfig, AddressError> {
    let external = &config.mqtt.external;
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(ExternalConfig {
        protocol: match config.mqtt.protocol {
            MqttProtocol::V5 => Protocol::V5,
            MqttProtocol::V311 => Protocol::V311,
        },
        username: text(&external.username),
        password: Redacted::new(text(external.password.reveal())),
        ca_file: (!external.ca_file.as_os_str().is_empty()).then(|| external.ca_file.clone()),
        keep_alive: external.keep_alive.duration(),
        session_expiry: external.session_expiry.duration(),
        inflight_max: external.inflight_max,
        packet_max: u32::try_from(external.packet_max.get()).unwrap_or(u32::MAX),
        reconnect_min: external.reconnect_min.duration(),
        reconnect_max: external.reconnect_max.duration(),
        ..ExternalConfig::new(external.url.parse()?, client_id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_file_are_those_of_the_parts() {
        let config = Config::default();
        let engine = engine_settings(&config, &Slots::of(&config));
        let default = engine::Settings::default();
        assert_eq!(engine.lifetime_min, default.lifetime_min);
        assert_eq!(engine.lifetime_max, default.lifetime_max);
        assert_eq!(engine.queue, default.queue);
        assert_eq!(engine.command_timeout, default.command_timeout);
        assert_eq!(engine.expiry_grace, default.expiry_grace);
        assert_eq!(engine.queue_mode_window, default.queue_mode_window);
        assert_eq!(bridge_settings(&config, &Slots::of(&config)), bridge::Settings::default());
        assert_eq!(endpoint_config(&config), engine::EndpointConfig::default());
    }

    #[test]
    fn a_listener_without_mountpoint_takes_the_common_one() {
        let mut config = Config::default();
        let mut with = config.listeners["default"].clone();
        with.mountpoint = "plant/%e/".to_owned();
        config.listeners.insert("zzz".to_owned(), with);
        let mounts = bridge_settings(&config, &Slots::of(&config)).listener_mountpoints;
        assert_eq!(mounts, BTreeMap::from([(1, "plant/%e/".to_owned())]));
    }
}
