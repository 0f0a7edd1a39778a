//! [`Bridge`]: the contract with its settings, both ways.

use std::sync::Arc;

use engine::Device;
use lwm2m::EndpointName;

use crate::contract::{Contract, Place};
use crate::publication::{Publication, Qos, Spare};
use crate::settings::{Settings, SettingsError};
use crate::topic::{Address, TemplateError};

/// Turns deliveries into commands and events into publications.
///
/// Cloning is cheap and shares the compiled settings: each shard has its own, for the buffers.
#[derive(Debug, Clone)]
pub struct Bridge {
    pub(crate) contract: Arc<Contract>,
    /// The JSON under construction, reused from message to message.
    pub(crate) scratch: Vec<u8>,
    pub(crate) spare: Spare,
}

impl Bridge {
    /// A bridge with these settings, once they are judged.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let contract = Arc::new(Contract::new(settings)?);
        Ok(Self { contract, scratch: Vec::new(), spare: Spare::default() })
    }

    /// Takes messages back that nobody needs any more: the next ones are made of them, so that a
    /// steady stream allocates nothing. Asks for as many as it has use for.
    pub fn refill(&mut self, mut used: impl FnMut() -> Option<Publication>) {
        while self.spare.has_room()
            && let Some(publication) = used()
        {
            self.spare.give(publication);
        }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.contract.settings
    }

    /// The filter to subscribe for commands: it matches those of all devices without `/` in their
    /// name. With mountpoints of listeners there are more, see [`Bridge::command_filters`].
    pub fn command_filter(&self) -> String {
        self.contract.command_filters().into_iter().next().unwrap_or_default()
    }

    /// All filters to subscribe for commands, one for each mountpoint, each once.
    pub fn command_filters(&self) -> Vec<String> {
        self.contract.command_filters()
    }

    /// The filter for the commands of one device behind a listener: needed on top of the others for
    /// each registered name with `/` inside, which a `+` cannot match.
    pub fn exact_filter(&self, listener: u16, endpoint: &EndpointName) -> String {
        self.contract.exact_filter(listener, endpoint)
    }

    /// What stands before the topics of a device, placeholders filled in.
    pub fn mountpoint(&self, device: &Device) -> String {
        self.contract.mountpoint(Place {
            mount: self.contract.mount_of(device.peer.listener()),
            endpoint: device.endpoint.as_str(),
            address: Address::Of(device.peer.remote_ip()),
        })
    }

    /// The filter that matches the commands of one device, as a broker would be asked for it.
    pub fn command_topic(&self, device: &Device) -> String {
        self.contract.exact_filter(device.peer.listener(), &device.endpoint)
    }

    /// A topic that the gateway publishes to and that the filter may match; `None` if there is
    /// none, so that messages on the filter's topics can be taken for commands.
    ///
    /// # Errors
    /// When the filter is none that a device can have.
    pub fn uplink_within(&self, filter: &str) -> Result<Option<String>, TemplateError> {
        self.contract.uplink_within(filter)
    }

    /// The quality of service of the command subscription, if one is set.
    pub fn command_qos(&self) -> Option<Qos> {
        self.contract.command_qos()
    }

    /// The endpoints that a command topic may be for, the likeliest first: more than one only when
    /// names contain `/`. Empty when the topic is no command topic.
    pub fn endpoints(&self, topic: &str) -> Vec<EndpointName> {
        let addressees = self.contract.addressees(topic);
        addressees.into_iter().map(|addressee| addressee.named.endpoint).collect()
    }
}
