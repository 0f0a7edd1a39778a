//! From a message on a command topic to a command for the engine (contract, section 3).
//!
//! Members that the contract does not know are kept as the text they came in, for the answer.
//! Whether the device exists is for the engine to say; [`Bridge::refused`] then makes the answer of
//! it.

mod content;
mod fault;
mod operation;
mod options;
mod path;
mod value;

pub use fault::{Fault, ValueFault};

use core::fmt;

use engine::{Command, Instant};
use lwm2m::{EndpointName, Models};

use self::fault::Silence;
use self::operation::Parts;
use self::value::Encoding;
use crate::bridge::Bridge;
use crate::contract::{Addressee, Channel, Contract, Place};
use crate::json::{self, Json, Kind, Members};
use crate::message::MessageType;
use crate::origin::{self, Asked, SEQUENCE_MEMBER};
use crate::publication::{Delivery, Publication};
use crate::settings::{Profile, Report};
use crate::topic::{Address, Named};

/// What became of a message on a command topic.
#[derive(Debug, Clone)]
pub enum Downlink {
    /// A command for the engine.
    Command(Box<Command>),
    /// No command; the application is told.
    Refused {
        /// The device that it was for.
        endpoint: EndpointName,
        /// The report to publish: where reports go, and on the topic that the message named.
        publications: Vec<Publication>,
        /// Why.
        fault: Fault,
    },
    /// No command, and nobody is told.
    Dropped(Fault),
}

/// What a command is read by besides the settings.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// The present.
    pub now: Instant,
    /// Definitions of objects.
    pub models: &'a Models,
    /// Whether a device of this name is registered.
    pub registered: &'a dyn Fn(&EndpointName) -> bool,
    /// Whether messages on this topic are commands besides those on the topics of the settings.
    pub takes_commands: &'a dyn Fn(&str) -> bool,
}

impl<'a> Circumstances<'a> {
    /// Those in which every device is registered and only the topics of the settings take commands.
    pub fn plain(now: Instant, models: &'a Models) -> Self {
        Self { now, models, registered: &|_| true, takes_commands: &|_| false }
    }
}

impl fmt::Debug for Circumstances<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circumstances").field("now", &self.now).finish_non_exhaustive()
    }
}

/// A device that takes commands on a topic of its own besides those of the settings.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// Its name.
    pub endpoint: &'a EndpointName,
    /// The listener that it came by.
    pub listener: u16,
    /// Its address, as topics show it.
    pub address: &'a str,
}

impl Bridge {
    /// Reads a message on a command topic; where names with `/` make the topic ambiguous, the
    /// shortest name counts. See [`Bridge::downlink_to`].
    pub fn downlink(&self, now: Instant, delivery: &Delivery<'_>, models: &Models) -> Downlink {
        self.downlink_to(delivery, Circumstances::plain(now, models))
    }

    /// Reads a message on a command topic. Of several endpoints that it may be for, the first one
    /// that is registered counts, else the shortest name.
    pub fn downlink_to(
        &self,
        delivery: &Delivery<'_>,
        circumstances: Circumstances<'_>,
    ) -> Downlink {
        let addressees = self.contract.addressees(delivery.topic);
        let registered = circumstances.registered;
        let chosen = addressees.iter().find(|addressee| registered(&addressee.named.endpoint));
        match chosen.or(addressees.first()) {
            Some(addressee) => self.read(delivery, circumstances, addressee),
            None => Downlink::Dropped(Fault::NoEndpoint),
        }
    }

    /// Reads a message on a topic that the settings do not give to the device.
    pub fn downlink_for(
        &self,
        delivery: &Delivery<'_>,
        circumstances: Circumstances<'_>,
        recipient: Recipient<'_>,
    ) -> Downlink {
        let endpoint = recipient.endpoint.clone();
        let mount = self.contract.mount_of(recipient.listener);
        let named = Named { endpoint, address: Some(recipient.address) };
        self.read(delivery, circumstances, &Addressee { mount, named })
    }

    fn read(
        &self,
        delivery: &Delivery<'_>,
        circumstances: Circumstances<'_>,
        addressee: &Addressee<'_>,
    ) -> Downlink {
        if self.contract.is_own_topic(delivery.topic, circumstances.registered) {
            return Downlink::Dropped(Fault::OwnTopic);
        }
        let reading = Reading { contract: &self.contract, circumstances, delivery, addressee };
        reading.command().unwrap_or_else(Downlink::Dropped)
    }

    /// Reads a command that came by another way than a topic, for a device that is known. Its
    /// outcome goes where those of commands on the device's topic go.
    ///
    /// # Errors
    /// Why it is no command.
    pub fn request(
        &self,
        now: Instant,
        endpoint: &EndpointName,
        command: &[u8],
        models: &Models,
    ) -> Result<Command, Fault> {
        let delivery = Delivery::new("", command);
        let named = Named { endpoint: endpoint.clone(), address: None };
        // The mount counts only for a device that is gone when the command ends.
        let addressee = Addressee { mount: 0, named };
        let circumstances = Circumstances::plain(now, models);
        let contract = &*self.contract;
        let reading =
            Reading { contract, circumstances, delivery: &delivery, addressee: &addressee };
        reading.accept(&Envelope::parse(command)?)
    }
}

/// One delivery and all that is needed to read it.
struct Reading<'a> {
    contract: &'a Contract,
    circumstances: Circumstances<'a>,
    delivery: &'a Delivery<'a>,
    addressee: &'a Addressee<'a>,
}

/// A payload that is an object with a `msgType`: from here on the application can be told.
struct Envelope<'a> {
    members: Members<'a>,
    message: Json<'a>,
    /// The members to repeat, as `"name":value,"name":value`.
    echo: String,
}

impl Reading<'_> {
    fn command(&self) -> Result<Downlink, Fault> {
        let envelope = Envelope::parse(self.delivery.payload)?;
        match self.accept(&envelope) {
            Ok(command) => Ok(Downlink::Command(Box::new(command))),
            Err(fault) => self.refuse(&envelope, fault),
        }
    }

    fn accept(&self, envelope: &Envelope<'_>) -> Result<Command, Fault> {
        let payload_max = self.contract.settings.command_payload_max;
        if self.delivery.payload.len() > payload_max {
            return Err(Fault::PayloadTooLong(payload_max));
        }
        let message = envelope.message.string();
        let message = message.as_deref().and_then(MessageType::parse);
        let message = message.ok_or(Fault::UnknownMessageType)?;
        let data = envelope.members.find("data").ok_or(Fault::NoData)?;
        let members = data.object().ok_or(Fault::NoData)?;
        if self.delivery.response_topic.is_some() && self.response_topic().is_none() {
            return Err(Fault::ResponseTopic);
        }
        let encoding = envelope.encoding(message);
        let parts = Parts { message, data: &members, encoding, models: self.circumstances.models };
        let request = parts.request()?;
        let origin = self.asked(envelope, message, data, &members).pack();
        if message.observes() && origin.as_bytes().len() > engine::Origin::OBSERVE_LEN_MAX {
            return Err(Fault::EchoTooLong);
        }
        let mut command =
            Command::new(self.addressee.named.endpoint.clone(), request.operation, origin);
        command.query = request.query;
        command.timeout = options::timeout(&members)?;
        command.expires = options::expires(&members, self.circumstances.now, self.delivery.expiry)?;
        command.priority = options::priority(&envelope.members);
        Ok(command)
    }

    fn asked<'e>(
        &'e self,
        envelope: &'e Envelope<'e>,
        message: MessageType,
        data: Json<'e>,
        members: &Members<'e>,
    ) -> Asked<'e> {
        Asked {
            message,
            mount: self.addressee.mount,
            address: self.addressee.named.address,
            echo: &envelope.echo,
            echoes_sequence: envelope.members.find(SEQUENCE_MEMBER).is_some(),
            data: data.text(),
            request_path: path::request_path_span(data, members, self.profile()),
            response_topic: self.response_topic(),
            correlation: self.delivery.correlation,
        }
    }

    fn profile(&self) -> Profile {
        self.contract.settings.profile
    }

    /// The Response Topic of the message, if it may be published to.
    fn response_topic(&self) -> Option<&str> {
        let allowed = &self.contract.settings.response_topics.prefixes;
        self.delivery.response_topic.filter(|topic| {
            let safe = !topic.is_empty()
                && topic.len() <= usize::from(u16::MAX)
                && !topic.starts_with('$')
                && !topic.contains(['+', '#', '\0']);
            safe && !self.contract.is_command_topic(topic)
                && !(self.circumstances.takes_commands)(topic)
                && (allowed.is_empty() || allowed.iter().any(|prefix| topic.starts_with(prefix)))
        })
    }

    /// Tells the application, unless the settings want the silence of the EMQX release.
    fn refuse(&self, envelope: &Envelope<'_>, fault: Fault) -> Result<Downlink, Fault> {
        let told = match (self.contract.settings.report, self.profile(), fault.silence()) {
            (_, _, Silence::Always) => false,
            (Report::All, _, _) | (_, Profile::Emqx5, Silence::Emqx4Only) => true,
            (Report::Profile, _, _) => false,
        };
        if !told {
            return Err(fault);
        }
        let report = envelope.report(&fault, self.profile());
        let endpoint = self.addressee.named.endpoint.clone();
        Ok(Downlink::Refused { endpoint, publications: self.publish(envelope, &report), fault })
    }

    fn publish(&self, envelope: &Envelope<'_>, report: &[u8]) -> Vec<Publication> {
        let message = envelope.message.string().unwrap_or_default();
        let channel = Channel::of_message_type(&message);
        let Addressee { mount, named } = self.addressee;
        let address = Address::Asked(named.address);
        let place = Place { mount: *mount, endpoint: named.endpoint.as_str(), address };
        let mut out: Vec<_> =
            self.contract.publication(channel, place, report).into_iter().collect();
        if let Some(topic) = self.response_topic() {
            self.contract.publish_to(topic, self.delivery.correlation, report, &mut out);
        }
        out
    }
}

impl<'a> Envelope<'a> {
    fn parse(payload: &'a [u8]) -> Result<Self, Fault> {
        let members =
            Members::parse(payload).map_err(|error| Fault::NotAnObject(error.to_string()))?;
        let message = members.find("msgType").ok_or(Fault::NoMessageType)?;
        let mut echo = Vec::new();
        for (name, value) in members.iter().filter(|(name, _)| !matches!(*name, "msgType" | "data"))
        {
            origin::push_member(&mut echo, name, value.text());
        }
        echo.pop(); // The last comma.
        let echo =
            String::from_utf8(echo).map_err(|error| Fault::NotAnObject(error.to_string()))?;
        Ok(Self { members, message, echo })
    }

    /// `"encoding":"hex"` is a matter of writes; anywhere else, and with any other value, it is
    /// only repeated.
    fn encoding(&self, message: MessageType) -> Encoding {
        let writes = matches!(message, MessageType::Write | MessageType::WriteComposite);
        let encoding = self.members.find("encoding").and_then(Json::string);
        match encoding.as_deref() {
            Some("hex") if writes => Encoding::Hex,
            _ => Encoding::Plain,
        }
    }

    /// The 4.00 report of section 3.6, with the reason.
    fn report(&self, fault: &Fault, profile: Profile) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.echo.len() + 160);
        out.push(b'{');
        if !self.echo.is_empty() {
            out.extend_from_slice(self.echo.as_bytes());
            out.push(b',');
        }
        out.extend_from_slice(b"\"msgType\":");
        out.extend_from_slice(self.message.text().as_bytes());
        out.extend_from_slice(b",\"data\":{\"reqPath\":");
        self.push_request_path(&mut out, profile);
        out.extend_from_slice(b",\"code\":\"4.00\",\"codeMsg\":\"bad_request\",\"reason\":");
        json::push_string(&mut out, &fault.to_string());
        out.extend_from_slice(b"}}");
        out
    }

    /// As in the command, whatever it is.
    fn push_request_path(&self, out: &mut Vec<u8>, profile: Profile) {
        let data = self.members.find("data").and_then(Json::object);
        let value = data.as_ref().and_then(path::request_path_member);
        match value {
            Some(value) if value.kind() == Kind::String => {
                out.push(b'"');
                let content = path::string_content(value, profile).unwrap_or_default();
                out.extend_from_slice(content.as_bytes());
                out.push(b'"');
            }
            Some(value) => out.extend_from_slice(value.text().as_bytes()),
            None => out.extend_from_slice(b"null"),
        }
    }
}

#[cfg(test)]
mod tests;
