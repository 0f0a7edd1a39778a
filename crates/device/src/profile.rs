//! How a device behaves: what a fleet has in common, and the dialects of known clients.
//!
//! The rows of the behaviour matrix (which format is chosen without Accept, what an unknown method
//! is answered with, ...) are fields here; acting on them is the job of the other modules.

use core::time::Duration;
use std::sync::Arc;

use coap::{Code, Reliability};
use lwm2m::model::ObjectVersion;
use lwm2m::{Format, Models, Path, Value, Version};

use crate::objects;
use crate::tree::{Defaults, Slot};

/// What all devices of a fleet have in common. Shared behind an `Arc`; see [`Profile::new`].
#[derive(Debug, Clone)]
pub struct Profile {
    /// What numbered names begin with; see [`crate::Name`].
    pub prefix: String,
    /// The version that `lwm2m=` states.
    pub version: Version,
    /// What `lt=` states, in seconds; `None` leaves it out, which means 86400.
    pub lifetime: Option<u32>,
    /// What `b=` states; `None` leaves it out. With [`QueueMode::On`] a `Q` is added as the version
    /// wants it: `UQ` in 1.0, a value-less `Q` from 1.1.
    pub binding: Option<String>,
    /// Whether the device says that it sleeps between its messages.
    pub queue_mode: QueueMode,
    /// Further query parameters of Register, as `key=value`.
    pub queries: Vec<String>,
    /// The Content-Format of Register; `None` leaves it out, as some clients do.
    pub register_format: Option<Format>,
    /// How the object list begins.
    pub root_link: RootLink,
    /// Where the objects are, e.g. `/lwm2m`; `None`: at the root. OMA Transport 6.4.1.
    pub alternate_path: Option<String>,
    /// Formats that are read and written, in the order in which `ct=` states them.
    pub formats: Vec<Format>,
    /// What a single value is answered in without Accept.
    pub format_of_value: Format,
    /// What everything else is answered in without Accept.
    pub format_of_many: Format,
    /// What an observation of a single value is notified in without Accept.
    pub format_of_notification: Format,
    /// What becomes of an Accept that the device cannot serve.
    pub accept: AcceptOption,
    /// Whether answers say their Content-Format.
    pub content_format: ContentFormatOption,
    /// What a Write without Content-Format means.
    pub unstated_format: UnstatedFormat,
    /// How notifications are sent.
    pub notifications: Reliability,
    /// What a notification of an instance carries.
    pub instance_notifications: InstanceNotifications,
    /// The first Observe number of the one counter that all observations share.
    pub first_observe: u32,
    /// The largest block of either direction, 16 to 1024 bytes.
    pub block_size: u16,
    /// What is said to a block that is larger than [`Profile::block_size`].
    pub large_block: LargeBlock,
    /// Largest body of a request, in bytes; a larger one is 4.13.
    pub body_max: usize,
    /// What becomes of FETCH and iPATCH.
    pub composite: Composite,
    /// What Send is encoded in; `None`: the device cannot send.
    pub format_of_send: Option<Format>,
    /// Bytes of the token of Register, Update and Deregister, 0 to 8.
    pub token_len: usize,
    /// The same for Send: there are devices that send it without a token.
    pub send_token_len: usize,
    /// Wall-clock time at the origin of the device's clock, in milliseconds since 1970; `None`: the
    /// device does not know the time, and `/3/0/13` stands still.
    pub epoch_ms: Option<i64>,
    /// Whether SenML notifications say the time of their values; it takes [`Profile::epoch_ms`].
    pub timestamps: Timestamps,
    /// How requests are answered.
    pub answers: Answers,
    /// Whether errors carry a diagnostic text.
    pub diagnostics: Diagnostics,
    /// When Update is sent; `None`: when half of the lifetime is over, of a long one 200 s before
    /// its end.
    pub update_every: Option<Duration>,
    /// How long the device is away after Execute `/3/0/4`.
    pub reboot_time: Duration,
    /// What the device says when it reboots.
    pub reboot: Reboot,
    /// How long each step of a firmware update takes.
    pub firmware_step: Duration,
    /// How confirmable messages are repeated: RFC 7252 4.8.
    pub transmission: coap::TransmissionParams,
    /// How many answers are remembered for repeated requests; the oldest goes first. 16 outlast the
    /// 45 s in which a server repeats a request, as it asks one thing at a time.
    pub remembered_max: usize,
    /// The definitions behind the objects.
    pub models: Arc<Models>,
    /// Which version each object has, ascending by object; stated with `ver=`.
    pub versions: Vec<ObjectVersion>,
    /// The objects and the values that they begin with.
    pub objects: Arc<Defaults>,
}

/// Whether a device says that it sleeps between its messages: OMA Transport 6.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueMode {
    /// It can always be reached.
    Off,
    /// It sleeps.
    On,
}

/// How the object list of Register begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootLink {
    /// `</>;rt="oma.lwm2m";ct=...`.
    Stated,
    /// With the first object; as the specification allows without an alternate path.
    LeftOut,
}

/// What becomes of an Accept that the device cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptOption {
    /// It is refused with 4.06.
    Honoured,
    /// The answer comes all the same: text for a single value, LwM2M JSON for the rest.
    Ignored,
}

/// Whether answers say their Content-Format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentFormatOption {
    /// They do.
    Stated,
    /// They do not, which means text by habit.
    LeftOut,
}

/// What a Write without Content-Format means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnstatedFormat {
    /// It is taken as this format.
    Means(Format),
    /// It is refused with this code.
    Refused(Code),
}

/// What a notification of an instance carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceNotifications {
    /// The whole instance.
    Whole,
    /// Only the resource that changed.
    Changed,
}

/// What is said to a first block that is larger than the device can take: RFC 7959 2.5, 2.9.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LargeBlock {
    /// 2.31 with the smaller size: the rest comes in that size.
    Shrink,
    /// 4.13 with the smaller size: the server starts again at block 0.
    Restart,
}

/// What becomes of FETCH and iPATCH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Composite {
    /// They are carried out.
    Supported,
    /// 4.05.
    Refused,
    /// Nothing is answered, not even a Reset.
    Ignored,
}

/// Whether SenML notifications say the time of their values: RFC 8428 4.5.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// They do.
    Stated,
    /// They do not: the values are of the moment they arrive.
    LeftOut,
}

/// How requests are answered: RFC 7252 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// In the acknowledgement.
    Piggybacked,
    /// An empty acknowledgement at once, the answer later in a message of its own.
    Separate {
        /// How much later.
        after: Duration,
        /// How the answer is sent.
        reliability: Reliability,
    },
}

/// Whether errors carry a text for people: RFC 7252 5.5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diagnostics {
    /// They do.
    Text,
    /// They do not.
    None,
}

/// What a device says when it is told to reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reboot {
    /// It deregisters first.
    Deregisters,
    /// It is gone, and registers again when it is back.
    Vanishes,
}

/// The largest body of a request that a device takes unless its profile says otherwise: a firmware
/// package of 1 MiB.
const BODY_MAX: usize = 1 << 20;

/// Longer than the 3 s after which a server repeats a request, so that one whose answer to
/// "reboot" was lost is answered again and not told to reboot twice.
const REBOOT_TIME: Duration = Duration::from_secs(5);

impl Profile {
    /// A device of that version with the standard objects: everything supported, TLV where the
    /// server does not choose.
    pub fn new(version: Version, models: Arc<Models>) -> Self {
        Self {
            prefix: String::new(),
            version,
            lifetime: Some(300),
            binding: Some("U".to_owned()),
            queue_mode: QueueMode::Off,
            queries: Vec::new(),
            register_format: Some(Format::LINK),
            root_link: RootLink::Stated,
            alternate_path: None,
            formats: formats_of(version),
            format_of_value: Format::TLV,
            format_of_many: Format::TLV,
            format_of_notification: Format::TLV,
            accept: AcceptOption::Honoured,
            content_format: ContentFormatOption::Stated,
            unstated_format: UnstatedFormat::Means(Format::TEXT),
            notifications: Reliability::NonConfirmable,
            instance_notifications: InstanceNotifications::Whole,
            first_observe: 0,
            block_size: 1024,
            large_block: LargeBlock::Shrink,
            body_max: BODY_MAX,
            composite: if version >= Version::V1_1 {
                Composite::Supported
            } else {
                Composite::Refused
            },
            format_of_send: (version >= Version::V1_1).then_some(Format::SENML_CBOR),
            token_len: 8,
            send_token_len: 8,
            epoch_ms: None,
            timestamps: Timestamps::LeftOut,
            answers: Answers::Piggybacked,
            diagnostics: Diagnostics::None,
            update_every: None,
            reboot_time: REBOOT_TIME,
            reboot: Reboot::Vanishes,
            firmware_step: crate::firmware::STEP,
            transmission: coap::TransmissionParams::default(),
            remembered_max: 16,
            models,
            versions: objects::versions(version),
            objects: Arc::new(objects::standard(version)),
        }
    }

    /// The same with a format that is used wherever the server does not choose; single values too.
    #[must_use]
    pub fn preferring(mut self, format: Format) -> Self {
        if !self.formats.contains(&format) {
            self.formats.push(format);
        }
        self.format_of_value = format;
        self.format_of_many = format;
        self.format_of_notification = format;
        self
    }

    /// Behaves like the Leshan demo client: CON notifications, TLV, diagnostics, DELETE before a
    /// reboot.
    pub fn like_leshan(models: Arc<Models>) -> Self {
        Self {
            binding: Some("UT".to_owned()),
            notifications: Reliability::Confirmable,
            unstated_format: UnstatedFormat::Refused(Code::BAD_REQUEST),
            diagnostics: Diagnostics::Text,
            reboot: Reboot::Deregisters,
            ..Self::new(Version::V1_1, models)
        }
    }

    /// Behaves like Anjay in LwM2M 1.1: text for single values, SenML CBOR for the rest, no root
    /// link, no `b`.
    pub fn like_anjay(models: Arc<Models>) -> Self {
        Self {
            binding: None,
            root_link: RootLink::LeftOut,
            timestamps: Timestamps::Stated,
            format_of_value: Format::TEXT,
            format_of_many: Format::SENML_CBOR,
            format_of_notification: Format::TEXT,
            ..Self::new(Version::V1_1, models)
        }
    }

    /// Behaves like Wakaama's client: TLV and its pre-release numbers, text notifications, silence
    /// to composite operations, blocks restarted with 4.13, changed resources only.
    pub fn like_wakaama(models: Arc<Models>) -> Self {
        Self {
            formats: vec![
                Format::SENML_JSON,
                Format::TLV,
                Format::JSON,
                Format::TEXT,
                Format::OCTETS,
                Format::OLD_TLV,
                Format::OLD_JSON,
            ],
            format_of_notification: Format::TEXT,
            unstated_format: UnstatedFormat::Refused(Code::NOT_ACCEPTABLE),
            instance_notifications: InstanceNotifications::Changed,
            large_block: LargeBlock::Restart,
            composite: Composite::Ignored,
            format_of_send: Some(Format::SENML_JSON),
            token_len: 4,
            send_token_len: 0,
            ..Self::new(Version::V1_1, models)
        }
    }

    /// Behaves like Wakaama's client of LwM2M 1.0: Accept is not looked at beyond TLV and JSON.
    pub fn like_wakaama_1_0(models: Arc<Models>) -> Self {
        Self {
            formats: vec![Format::JSON, Format::TLV, Format::TEXT, Format::OCTETS],
            accept: AcceptOption::Ignored,
            unstated_format: UnstatedFormat::Refused(Code::NOT_ACCEPTABLE),
            instance_notifications: InstanceNotifications::Changed,
            composite: Composite::Ignored,
            token_len: 4,
            ..Self::new(Version::V1_0, models)
        }
    }

    /// Behaves like lwm2m-node-lib, an old 1.0 client: no Content-Format anywhere.
    pub fn like_node_lib(models: Arc<Models>) -> Self {
        Self {
            register_format: None,
            root_link: RootLink::LeftOut,
            format_of_value: Format::TEXT,
            format_of_notification: Format::TEXT,
            content_format: ContentFormatOption::LeftOut,
            first_observe: 1,
            composite: Composite::Ignored,
            ..Self::new(Version::V1_0, models)
        }
    }

    /// The profile for sharing, with the values of objects 1 and 3 that repeat it made to agree.
    pub fn into_shared(mut self) -> Arc<Self> {
        let mut objects = Arc::unwrap_or_clone(self.objects);
        let lifetime = self.lifetime.unwrap_or(LIFETIME_DEFAULT);
        let binding = self.binding.clone().unwrap_or_else(|| "U".to_owned());
        let agreed = [
            (Path::resource(1, 0, 1), Value::Integer(i64::from(lifetime))),
            (Path::resource(1, 0, 7), Value::String(binding.clone())),
            (Path::resource(3, 0, 16), Value::String(binding)),
        ];
        for (path, value) in agreed {
            if objects.iter().any(|(at, _)| at == path) {
                objects.set(path, Slot::Value(value));
            }
        }
        self.objects = Arc::new(objects);
        Arc::new(self)
    }
}

/// OMA Core table 6.2.1.1-1.
pub(crate) const LIFETIME_DEFAULT: u32 = 86_400;

fn formats_of(version: Version) -> Vec<Format> {
    let old = [Format::TEXT, Format::OCTETS, Format::TLV, Format::JSON];
    if version < Version::V1_1 {
        return old.to_vec();
    }
    let new = [Format::CBOR, Format::SENML_JSON, Format::SENML_CBOR];
    new.into_iter().chain(old).collect()
}
