//! The settings compiled: topics of each mountpoint, and where each message goes.
//!
//! What stands in a message is the job of [`crate::uplink`]; how a topic is read that of
//! [`crate::topic`].

use lwm2m::EndpointName;

use crate::publication::{Publication, Qos};
use crate::settings::{Lifecycle, Settings, SettingsError, TopicSetting};
use crate::topic::{Address, Named, Template, TemplateError, Wildcards};

/// The settings and their compiled topics.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) settings: Settings,
    /// The common mountpoint first, then those of listeners.
    mounts: Vec<Mount>,
}

/// The topics behind one mountpoint.
#[derive(Debug)]
struct Mount {
    number: u16,
    /// The mountpoint alone; `None` when it is empty.
    prefix: Option<Template>,
    command: Template,
    filter: String,
    channels: Vec<(Channel, Template)>,
}

/// What a message is, as far as its topic depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Response,
    Notify,
    Register,
    Update,
    /// Notifications of object 5 in profile emqx5.
    Firmware,
    Lifecycle(Lifecycle),
}

impl Channel {
    /// Every one, those of the steady path first.
    fn all() -> impl Iterator<Item = Self> {
        let usual = [Self::Response, Self::Notify, Self::Register, Self::Update, Self::Firmware];
        usual.into_iter().chain(Lifecycle::ALL.into_iter().map(Self::Lifecycle))
    }

    fn key(self, settings: &Settings) -> &'static str {
        match self {
            Self::Response => "topics.response",
            Self::Notify => "topics.notify",
            Self::Register => "topics.register",
            Self::Update => "topics.update",
            Self::Firmware => "mountpoint with /v1/up/dm",
            Self::Lifecycle(event) if settings.topics.lifecycle.own.contains_key(&event) => {
                event.key()
            }
            Self::Lifecycle(_) => "topics.lifecycle",
        }
    }

    /// The topic of this msgType, also of ones that are no command: a report about
    /// `"msgType":"notify"` goes where notifications go.
    pub(crate) fn of_message_type(name: &str) -> Self {
        match name {
            "notify" => Self::Notify,
            "register" => Self::Register,
            "update" => Self::Update,
            _ => Self::Response,
        }
    }
}

/// Where notifications of object 5 go in profile emqx5, behind the mountpoint.
const FIRMWARE_TOPIC: &str = "/v1/up/dm";

/// Whose topic: the device, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) mount: u16,
    pub(crate) endpoint: &'a str,
    pub(crate) address: Address<'a>,
}

/// Whom a command topic names, and by which mountpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addressee<'t> {
    pub(crate) mount: u16,
    pub(crate) named: Named<'t>,
}

impl Contract {
    pub(crate) fn new(settings: Settings) -> Result<Self, SettingsError> {
        if settings.command_payload_max < PAYLOAD_MAX_LOWEST {
            return Err(SettingsError::PayloadMax(settings.command_payload_max));
        }
        let mut mounts = vec![Mount::new(COMMON_MOUNT, &settings.mountpoint, &settings)?];
        for (listener, mountpoint) in &settings.listener_mountpoints {
            mounts.push(Mount::new(mount_number(*listener), mountpoint, &settings)?);
        }
        let contract = Self { settings, mounts };
        contract.check_loops()?;
        Ok(contract)
    }

    /// No topic that is published to may be a command topic. That the filter of the commands may
    /// match more, for a placeholder inside of a level makes it `+`, does no harm: what comes back
    /// then names no device.
    fn check_loops(&self) -> Result<(), SettingsError> {
        let commands = self.mounts.iter().map(|mount| &mount.command);
        for command in commands {
            for (channel, template) in self.mounts.iter().flat_map(|mount| &mount.channels) {
                if template.overlaps(command) {
                    return Err(SettingsError::Loop {
                        key: channel.key(&self.settings).to_owned(),
                        topic: template.to_string(),
                        command: command.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    /// A template that is published to and has topics that the filter matches.
    pub(crate) fn uplink_within(&self, filter: &str) -> Result<Option<String>, TemplateError> {
        let filter = Template::parse(filter, Wildcards::Allowed)?;
        let mut templates = self.mounts.iter().flat_map(|mount| &mount.channels);
        let found = templates.find(|(_, template)| template.overlaps(&filter));
        Ok(found.map(|(_, template)| template.to_string()))
    }

    /// The mount that devices of a listener use.
    pub(crate) fn mount_of(&self, listener: u16) -> u16 {
        let own = self.settings.listener_mountpoints.contains_key(&listener);
        if own { mount_number(listener) } else { COMMON_MOUNT }
    }

    /// The filters to subscribe for commands, each once.
    pub(crate) fn command_filters(&self) -> Vec<String> {
        let mut filters: Vec<String> = Vec::with_capacity(self.mounts.len());
        for mount in &self.mounts {
            if !filters.contains(&mount.filter) {
                filters.push(mount.filter.clone());
            }
        }
        filters
    }

    /// The filter for the commands of one device behind a listener.
    pub(crate) fn exact_filter(&self, listener: u16, endpoint: &EndpointName) -> String {
        let mount = self.mount(self.mount_of(listener));
        mount.map(|mount| mount.command.exact_filter(endpoint.as_str())).unwrap_or_default()
    }

    /// What stands before the topics of a device.
    pub(crate) fn mountpoint(&self, place: Place<'_>) -> String {
        let prefix = self.mount(place.mount).and_then(|mount| mount.prefix.as_ref());
        prefix.map(|prefix| prefix.fill(place.endpoint, place.address)).unwrap_or_default()
    }

    /// The quality of service to subscribe commands with, if it is set.
    pub(crate) fn command_qos(&self) -> Option<Qos> {
        self.settings.topics.command.qos
    }

    /// Whom a command topic may name, the likeliest first.
    pub(crate) fn addressees<'t>(&self, topic: &'t str) -> Vec<Addressee<'t>> {
        let mut found = Vec::new();
        for mount in &self.mounts {
            let read = mount.command.read(topic);
            found.extend(read.into_iter().map(|named| Addressee { mount: mount.number, named }));
        }
        found
    }

    /// Whether a topic is one that the gateway itself publishes to for a device that `known` knows.
    ///
    /// Only names with `/` inside can do that to a command filter (a device named `a/dn/b` has
    /// uplinks that `lwm2m/+/dn/#` matches); those of all others are kept apart by the settings.
    pub(crate) fn is_own_topic(&self, topic: &str, known: impl Fn(&EndpointName) -> bool) -> bool {
        let templates = self.mounts.iter().flat_map(|mount| &mount.channels);
        let slashed = |named: &Named<'_>| named.endpoint.as_str().contains('/');
        templates
            .flat_map(|(_, template)| template.read(topic))
            .any(|named| slashed(&named) && known(&named.endpoint))
    }

    /// Whether a message on this topic would come back as a command.
    pub(crate) fn is_command_topic(&self, topic: &str) -> bool {
        self.mounts.iter().any(|mount| !mount.command.read(topic).is_empty())
    }

    /// A message on one of the device's topics; `None` when that topic is off.
    pub(crate) fn publication(
        &self,
        channel: Channel,
        place: Place<'_>,
        payload: &[u8],
    ) -> Option<Publication> {
        self.publication_of(Publication::default(), channel, place, payload)
    }

    /// The same in the buffers of an empty message.
    pub(crate) fn publication_of(
        &self,
        mut empty: Publication,
        channel: Channel,
        place: Place<'_>,
        payload: &[u8],
    ) -> Option<Publication> {
        let mount = self.mount(place.mount)?;
        let (_, template) = mount.channels.iter().find(|(known, _)| *known == channel)?;
        (empty.qos, empty.retain) = self.delivery_of(channel);
        template.fill_into(&mut empty.topic, place.endpoint, place.address);
        empty.payload.extend_from_slice(payload);
        Some(empty)
    }

    /// Appends a message on the topic that the application named. It is nobody's standing topic,
    /// so it is never retained. If the same message is on this topic already, it only gets the
    /// correlation data: nobody is told twice.
    pub(crate) fn publish_to(
        &self,
        topic: &str,
        correlation: Option<&[u8]>,
        payload: &[u8],
        out: &mut Vec<Publication>,
    ) {
        let correlation = correlation.map(<[u8]>::to_vec);
        let is_there = |sent: &&mut Publication| sent.topic == topic && sent.payload == payload;
        if let Some(sent) = out.iter_mut().find(is_there) {
            sent.correlation = correlation;
            return;
        }
        let topic = topic.to_owned();
        let qos = self.delivery_of(Channel::Response).0;
        let payload = payload.to_vec();
        out.push(Publication { topic, payload, qos, retain: false, correlation });
    }

    fn delivery_of(&self, channel: Channel) -> (Qos, bool) {
        match setting(&self.settings, channel) {
            Some(topic) => (topic.qos.unwrap_or(self.settings.qos), topic.retain),
            // EMQX 5 sends these with QoS 0 whatever the settings say.
            None => (Qos::AtMostOnce, false),
        }
    }

    fn mount(&self, number: u16) -> Option<&Mount> {
        // The origin of a command may name a mount that the settings no longer have.
        self.mounts.iter().find(|mount| mount.number == number).or_else(|| self.mounts.first())
    }
}

impl Mount {
    fn new(number: u16, mountpoint: &str, settings: &Settings) -> Result<Self, SettingsError> {
        let topic = format!("{mountpoint}{}", settings.topics.command.topic);
        let command = compile("topics.command", &topic, Wildcards::Allowed)?;
        if !command.names_endpoint() {
            return Err(SettingsError::NoEndpoint { topic });
        }
        let mut channels = Vec::new();
        for channel in Channel::all() {
            let topic = match (channel, setting(settings, channel)) {
                (_, Some(setting)) => format!("{mountpoint}{}", setting.topic),
                (Channel::Firmware, None) => format!("{mountpoint}{FIRMWARE_TOPIC}"),
                (_, None) => continue,
            };
            let key = channel.key(settings);
            channels.push((channel, compile(key, &topic, Wildcards::Forbidden)?));
        }
        let prefix = match mountpoint {
            "" => None,
            some => Some(compile("mountpoint", some, Wildcards::Forbidden)?),
        };
        Ok(Self { number, prefix, filter: command.filter(), command, channels })
    }
}

/// The number of the common mountpoint.
const COMMON_MOUNT: u16 = 0;

/// The number of a listener's own mountpoint. It depends on nothing but the listener, so that a
/// command on its way ends under its own topics also when other listeners come and go meanwhile.
const fn mount_number(listener: u16) -> u16 {
    listener.saturating_add(1)
}

fn compile(key: &str, topic: &str, wildcards: Wildcards) -> Result<Template, SettingsError> {
    Template::parse(topic, wildcards).map_err(|error| SettingsError::Template {
        key: key.to_owned(),
        topic: topic.to_owned(),
        error,
    })
}

/// The setting of a topic; `None` when it has none of its own or is off.
fn setting(settings: &Settings, channel: Channel) -> Option<&TopicSetting> {
    match channel {
        Channel::Response => Some(&settings.topics.response),
        Channel::Notify => Some(&settings.topics.notify),
        Channel::Register => Some(&settings.topics.register),
        Channel::Update => Some(&settings.topics.update),
        Channel::Lifecycle(event) => settings.topics.lifecycle.topic(event),
        Channel::Firmware => None,
    }
}

/// `{}`.
const PAYLOAD_MAX_LOWEST: usize = 2;

#[cfg(test)]
mod tests;
