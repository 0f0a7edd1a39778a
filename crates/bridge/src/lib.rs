//! LwM2M events and commands as MQTT topics and JSON: the contract of EMQX's LwM2M gateway.
//!
//! [`Bridge::uplink`] turns an [`engine::Event`] into [`Publication`]s, [`Bridge::downlink`] turns
//! a [`Delivery`] into an [`engine::Command`] or a refusal. Both are plain functions of their input
//! and the [`Settings`]: sending and receiving MQTT packets is the job of `gateway`, talking to
//! devices that of `engine`, payload bytes that of `lwm2m::codec`. docs/mqtt.md describes the
//! contract.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod bridge;
mod contract;
mod downlink;
mod json;
mod message;
mod origin;
mod publication;
mod settings;
mod topic;
mod uplink;

#[cfg(test)]
mod testing;

pub use bridge::Bridge;
pub use downlink::{Circumstances, Downlink, Fault, Recipient, ValueFault};
pub use origin::auto_observe_origin;
pub use publication::{Delivery, Publication, Qos};
pub use settings::{
    COMMAND_PAYLOAD_MAX, FirmwareNotify, Lifecycle, LifecycleTopics, Profile, Report,
    ResponseTopics, Settings, SettingsError, StaleNotifications, TopicSetting, Topics,
    UnknownObjects, UpdateCondition,
};
pub use topic::TemplateError;
pub use uplink::{Finished, Notified, Surroundings};
