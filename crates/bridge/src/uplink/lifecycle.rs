//! What happens to a registration besides Register and Update: contract, section 2.5, which leaves
//! it to the broker's hooks; here it has topics of its own, off by default.

use engine::{Device, Rejection};

use super::Writer;
use crate::bridge::Bridge;
use crate::contract::{Channel, Place};
use crate::json;
use crate::publication::Publication;
use crate::settings::Lifecycle;
use crate::topic::Address;

/// What stands for the endpoint name in a topic when a Register had none that can.
const NAME_UNKNOWN: &str = "unknown";

impl Bridge {
    /// On its own topic, which is off unless it is set.
    pub(super) fn lifecycle(
        &mut self,
        event: Lifecycle,
        device: &Device,
        out: &mut Vec<Publication>,
    ) {
        self.lifecycle_with(event, device, None, out);
    }

    /// With a second address by its name.
    pub(super) fn lifecycle_with(
        &mut self,
        event: Lifecycle,
        device: &Device,
        other: Option<(&str, &engine::Peer)>,
        out: &mut Vec<Publication>,
    ) {
        if self.contract.settings.topics.lifecycle.topic(event).is_none() {
            return;
        }
        let mut writer = Writer::of_device(self, device);
        writer.begin(event);
        json::push_string(writer.json, device.endpoint.as_str());
        writer.raw(",\"address\":");
        json::push_string(writer.json, &device.peer.to_string());
        if let Some((name, peer)) = other {
            writer.raw(",\"");
            writer.raw(name);
            writer.raw("\":");
            json::push_string(writer.json, &peer.to_string());
        }
        writer.raw("}}");
        writer.publish(Channel::Lifecycle(event), out);
    }

    pub(super) fn rejected(&mut self, rejection: &Rejection, out: &mut Vec<Publication>) {
        let event = Lifecycle::Rejected;
        if self.contract.settings.topics.lifecycle.topic(event).is_none() {
            return;
        }
        let place = Place {
            mount: self.contract.mount_of(rejection.peer.listener()),
            endpoint: rejection.endpoint.as_ref().map_or(NAME_UNKNOWN, |name| name.as_str()),
            address: Address::Of(rejection.peer.remote_ip()),
        };
        let mut writer = Writer::new(self, place);
        writer.begin(event);
        match &rejection.name {
            Some(name) => json::push_string(writer.json, name),
            None => writer.raw("null"),
        }
        writer.raw(",\"address\":");
        json::push_string(writer.json, &rejection.peer.to_string());
        writer.code(rejection.code);
        writer.raw(",\"reason\":");
        json::push_string(writer.json, rejection.reason);
        writer.raw("}}");
        writer.publish(Channel::Lifecycle(event), out);
    }
}

impl Writer<'_> {
    fn begin(&mut self, event: Lifecycle) {
        self.raw("{\"msgType\":\"");
        self.raw(event.name());
        self.raw("\",\"data\":{\"ep\":");
    }
}
