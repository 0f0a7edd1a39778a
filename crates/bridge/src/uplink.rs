//! From events of the engine to messages (contract, sections 2.5, 4 and 5).
//!
//! JSON is written straight into a buffer that is reused; payloads of devices are decoded here,
//! when they are published. What a value looks like is the job of [`crate::json`], its bytes that
//! of `lwm2m::codec`.

mod answer;
mod content;
mod lifecycle;
mod notification;
mod record;
mod registration;
mod report;

use engine::{
    Answer, Command, CommandError, CommandFinished, Device, Event, Freshness, Notification,
    Observed, Origin, UpdateContent,
};
use lwm2m::codec::{Context, UnknownPolicy};
use lwm2m::{EndpointName, Format, Models, OperationKind, Path};

use crate::bridge::Bridge;
use crate::contract::{Channel, Contract, Place};
use crate::origin::Asked;
use crate::publication::{Publication, Spare};
use crate::settings::{Lifecycle, UnknownObjects, UpdateCondition};
use crate::topic::Address;

/// What reading a payload takes besides the event.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The object definitions.
    pub models: &'a Models,
    /// Wall-clock time in milliseconds since 1970, for times that are relative to now.
    pub wall_ms: i64,
}

/// A notification without the reply that the device waits for.
#[derive(Debug, Clone, Copy)]
pub struct Notified<'a> {
    /// The device.
    pub device: &'a Device,
    /// What is observed; the root for a composite observation.
    pub path: Path,
    /// Who asked for it.
    pub origin: &'a Origin,
    /// The response code.
    pub code: engine::Code,
    /// The Content-Format; `None` when it was missing.
    pub format: Option<Format>,
    /// The payload.
    pub body: &'a [u8],
    /// The Observe option, or a number made up in its place.
    pub sequence: u32,
    /// Whether a newer one came before.
    pub freshness: Freshness,
}

/// The end of a command, accepted or not.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    /// The name the command was for.
    pub endpoint: &'a EndpointName,
    /// The device, while it is registered.
    pub device: Option<&'a Device>,
    /// Who asked.
    pub origin: &'a Origin,
    /// What was asked.
    pub operation: OperationKind,
    /// Of which path; the root for composite operations.
    pub path: Path,
    /// The device's answer, or why there is none.
    pub result: Result<&'a Answer, &'a CommandError>,
}

impl<'a> From<&'a Notification> for Notified<'a> {
    fn from(notification: &'a Notification) -> Self {
        Self {
            device: &notification.device,
            path: notification.path,
            origin: &notification.origin,
            code: notification.code,
            format: notification.format,
            body: &notification.body,
            sequence: notification.sequence,
            freshness: notification.freshness,
        }
    }
}

impl<'a> From<&'a CommandFinished> for Finished<'a> {
    fn from(finished: &'a CommandFinished) -> Self {
        Self {
            endpoint: &finished.endpoint,
            device: finished.device.as_ref(),
            origin: &finished.origin,
            operation: finished.operation,
            path: finished.path,
            result: finished.result.as_ref(),
        }
    }
}

impl<'a> From<&'a Observed> for Finished<'a> {
    fn from(observed: &'a Observed) -> Self {
        Self {
            endpoint: &observed.device.endpoint,
            device: Some(&observed.device),
            origin: &observed.origin,
            operation: observed.operation,
            path: observed.path,
            result: observed.result.as_ref(),
        }
    }
}

impl<'a> Finished<'a> {
    /// The end of a command that was never accepted.
    pub const fn refused(command: &'a Command, reason: &'a CommandError) -> Self {
        Self {
            endpoint: &command.endpoint,
            device: None,
            origin: &command.origin,
            operation: command.operation.kind(),
            path: command.operation.path(),
            result: Err(reason),
        }
    }
}

impl Bridge {
    /// Appends what an event means on MQTT: mostly one message, none for what the contract keeps
    /// silent about, two for a firmware notification that goes both ways.
    pub fn uplink(
        &mut self,
        event: &Event,
        surroundings: Surroundings<'_>,
        out: &mut Vec<Publication>,
    ) {
        match event {
            Event::Notified(notification) => {
                self.notified(&Notified::from(&**notification), surroundings, out);
            }
            Event::CommandFinished(finished) => {
                self.finished(&Finished::from(&**finished), surroundings, out);
            }
            Event::Observed(observed) => self.observed(observed, surroundings, out),
            Event::CommandAcked { device, origin, .. } => self.acked(device, origin, out),
            Event::Registered { device, .. } => {
                self.registration("register", Channel::Register, device, out);
            }
            Event::Updated { device, content } => {
                let wanted = self.contract.settings.update_condition();
                if wanted == UpdateCondition::Always || *content == UpdateContent::WithLinks {
                    self.registration("update", Channel::Update, device, out);
                }
            }
            Event::Sent { device, format, body, .. } => {
                self.sent(device, *format, body, surroundings, out);
            }
            Event::Deregistered { device } => self.lifecycle(Lifecycle::Deregistered, device, out),
            Event::Late { device } => self.lifecycle(Lifecycle::Late, device, out),
            Event::Expired { device } => self.lifecycle(Lifecycle::Expired, device, out),
            Event::Replaced { device } => self.lifecycle(Lifecycle::Replaced, device, out),
            Event::Kicked { device } => self.lifecycle(Lifecycle::Kicked, device, out),
            Event::Asleep { device } => self.lifecycle(Lifecycle::Asleep, device, out),
            Event::Awake { device } => self.lifecycle(Lifecycle::Awake, device, out),
            Event::AddressChanged { device, from } => {
                let other = Some(("formerAddress", from));
                self.lifecycle_with(Lifecycle::AddressChanged, device, other, out);
            }
            Event::AddressRefused { device, refused } => {
                let other = Some(("refusedAddress", refused));
                self.lifecycle_with(Lifecycle::AddressRefused, device, other, out);
            }
            Event::Rejected(rejection) => self.rejected(rejection, out),
            Event::Noted(_) => {}
        }
    }

    /// Appends the end of a command that the engine or its queue did not accept.
    pub fn refused(
        &mut self,
        command: &Command,
        reason: &CommandError,
        surroundings: Surroundings<'_>,
        out: &mut Vec<Publication>,
    ) {
        self.finished(&Finished::refused(command, reason), surroundings, out);
    }
}

/// A message under construction: where it goes and the buffer it is written to.
struct Writer<'a> {
    contract: &'a Contract,
    json: &'a mut Vec<u8>,
    spare: &'a mut Spare,
    place: Place<'a>,
}

impl<'a> Writer<'a> {
    fn of_device(bridge: &'a mut Bridge, device: &'a Device) -> Self {
        let place = place_of(&bridge.contract, device);
        Self::new(bridge, place)
    }

    fn new(bridge: &'a mut Bridge, place: Place<'a>) -> Self {
        let Bridge { contract, scratch: json, spare } = bridge;
        json.clear();
        Self { contract, json, spare, place }
    }

    fn publish(&mut self, channel: Channel, out: &mut Vec<Publication>) {
        let Self { contract, json, spare, place } = self;
        out.extend(contract.publication_of(spare.take(), channel, *place, json));
    }

    /// On the usual topic, and to whoever asked on the topic that the command named.
    fn answer(&mut self, asked: Option<&Asked<'_>>, usual: Channel, out: &mut Vec<Publication>) {
        self.publish(usual, out);
        self.answer_to(asked, out);
    }

    /// To whoever asked, if the command named a topic.
    fn answer_to(&self, asked: Option<&Asked<'_>>, out: &mut Vec<Publication>) {
        if let Some((topic, correlation)) = asked.and_then(Asked::reply_to) {
            self.contract.publish_to(topic, correlation, self.json, out);
        }
    }

    fn context<'m>(&self, device: &'m Device, surroundings: Surroundings<'m>) -> Context<'m> {
        Context {
            models: device.info.view(surroundings.models),
            wall_ms: surroundings.wall_ms,
            unknown: match self.contract.settings.unknown_objects {
                UnknownObjects::Raw => UnknownPolicy::Raw,
                UnknownObjects::Reject => UnknownPolicy::Reject,
            },
        }
    }

    fn raw(&mut self, text: &str) {
        self.json.extend_from_slice(text.as_bytes());
    }
}

fn place_of<'a>(contract: &Contract, device: &'a Device) -> Place<'a> {
    Place {
        mount: contract.mount_of(device.peer.listener()),
        endpoint: device.endpoint.as_str(),
        address: Address::Of(device.peer.remote_ip()),
    }
}

#[cfg(test)]
mod tests;
