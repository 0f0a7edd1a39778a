//! Requests of the server: which operation each is, and its answer. OMA Core 6.3, 6.4, Transport
//! 6.4.
//!
//! A method without side effects outside of [`Data`] is carried out here; what else an operation
//! sets in motion is told as [`Effect`]s, which [`crate::device`] carries out.

use coap::{Code, Message, OptionNumber, Token};
use lwm2m::Level;
use lwm2m::codec;
use lwm2m::{Format, Path, Value, WriteMode};

use crate::attributes::Attributes;
use crate::block;
use crate::chance::Chance;
use crate::data::{Data, Use};
use crate::firmware::Firmware;
use crate::observe::Target;
use crate::profile::Composite;
use crate::reply::Reply;
use crate::tree::Slot;

/// What an operation leads to besides its answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    Written(Path),
    Created(Path),
    Deleted(Path),
    AttributesWritten(Path),
    Executed {
        path: Path,
        arguments: String,
    },
    Observe {
        token: Token,
        target: Target,
        accept: Option<Format>,
        key: u64,
    },
    CancelObserve {
        token: Token,
        target: Target,
    },
    Update,
    Reboot,
    FactoryReset,
    Send(Vec<Path>),
    /// The firmware update begins.
    Install,
}

/// A request, complete and with its path resolved.
pub(crate) struct Asked<'a> {
    method: Code,
    path: Path,
    queries: Vec<&'a [u8]>,
    format: Option<Format>,
    accept: Option<Format>,
    observe: Option<u32>,
    token: Token,
    key: u64,
    payload: &'a [u8],
}

/// What an operation may need besides the data.
pub(crate) struct Machine<'a> {
    pub(crate) firmware: Firmware,
    pub(crate) chance: &'a mut Chance,
}

/// An answer and what it sets in motion.
pub(crate) struct Done {
    pub(crate) reply: Reply,
    pub(crate) effects: Vec<Effect>,
}

impl Done {
    fn new(code: Code, effects: impl IntoIterator<Item = Effect>) -> Self {
        Self { reply: Reply::code(code), effects: effects.into_iter().collect() }
    }
}

/// Critical options that a device understands; another one is 4.02 (RFC 7252 5.4.1).
const CRITICAL: [OptionNumber; 7] = [
    OptionNumber::URI_HOST,
    OptionNumber::URI_PORT,
    OptionNumber::URI_PATH,
    OptionNumber::URI_QUERY,
    OptionNumber::ACCEPT,
    OptionNumber::BLOCK1,
    OptionNumber::BLOCK2,
];

/// Whether the request has a critical option that the device does not know.
pub(crate) fn has_unknown_critical(message: &Message<'_>) -> bool {
    message.options.iter().any(|(number, _)| number.is_critical() && !CRITICAL.contains(&number))
}

/// Whether the device does not even answer.
pub(crate) fn is_ignored(data: &Data, method: Code) -> bool {
    let composite = [Code::FETCH, Code::PATCH, Code::IPATCH].contains(&method);
    composite && data.profile.composite == Composite::Ignored
}

impl<'a> Asked<'a> {
    /// Reads the options; `payload` is the whole body.
    pub(crate) fn new(
        data: &Data,
        message: &'a Message<'_>,
        payload: &'a [u8],
    ) -> Result<Self, Code> {
        let path = resolve(data, message)?;
        let format = |format: Option<coap::ContentFormat>| format.map(|format| Format(format.0));
        Ok(Self {
            method: message.code,
            path,
            queries: message.options.uri_query().collect(),
            format: format(message.options.content_format()),
            accept: format(message.options.accept()),
            observe: message.options.observe(),
            token: message.token,
            key: block::key_of(message),
            payload,
        })
    }

    /// Carries the request out.
    pub(crate) fn perform(&self, data: &mut Data, machine: Machine<'_>) -> Result<Done, Code> {
        match self.method {
            Code::GET if self.accept == Some(Format::LINK) => self.discover(data),
            Code::GET => self.read(data),
            Code::PUT if self.is_write_attributes() => self.write_attributes(data),
            Code::PUT => self.write(data, WriteMode::Replace, &machine),
            Code::POST => self.post(data, machine),
            Code::DELETE => {
                data.delete(&self.path)?;
                Ok(Done::new(Code::DELETED, [Effect::Deleted(self.path)]))
            }
            Code::FETCH if data.profile.composite == Composite::Supported => self.fetch(data),
            Code::IPATCH if data.profile.composite == Composite::Supported => {
                let written = data.write_many(self.format, self.payload)?;
                Ok(Done::new(Code::CHANGED, written.into_iter().map(Effect::Written)))
            }
            _ => Err(Code::METHOD_NOT_ALLOWED),
        }
    }

    fn discover(&self, data: &Data) -> Result<Done, Code> {
        let links = data.discover(&self.path)?;
        let body = crate::data::Body { format: Format::LINK, bytes: links };
        let reply = Reply::content(body, data.profile.content_format);
        Ok(Done { reply, effects: Vec::new() })
    }

    fn read(&self, data: &Data) -> Result<Done, Code> {
        let purpose = if self.observe == Some(0) { Use::Notification } else { Use::Answer };
        data.check_exists(&self.path)?;
        let format = data.choose_format(&self.path, self.accept, purpose)?;
        let body = data.read(&self.path, format)?;
        let reply = Reply::content(body, data.profile.content_format);
        Ok(Done { reply, effects: self.observe_effect(Target::One(self.path)) })
    }

    fn fetch(&self, data: &Data) -> Result<Done, Code> {
        let paths = self.path_list(data)?;
        let format = self.accept.unwrap_or(Format::SENML_CBOR);
        if ![Format::SENML_CBOR, Format::SENML_JSON].contains(&format) {
            return Err(Code::NOT_ACCEPTABLE);
        }
        let body = data.read_many(&paths, format)?;
        let reply = Reply::content(body, data.profile.content_format);
        Ok(Done { reply, effects: self.observe_effect(Target::Many(paths.into())) })
    }

    fn path_list(&self, data: &Data) -> Result<Vec<Path>, Code> {
        let format = self.format.ok_or(Code::UNSUPPORTED_CONTENT_FORMAT)?;
        if ![Format::SENML_CBOR, Format::SENML_JSON].contains(&format) {
            return Err(Code::UNSUPPORTED_CONTENT_FORMAT);
        }
        let content = codec::decode(Some(format), &Path::ROOT, self.payload, &data.context())
            .map_err(|_| Code::BAD_REQUEST)?;
        Ok(content.readings.into_iter().map(|reading| reading.path).collect())
    }

    fn observe_effect(&self, target: Target) -> Vec<Effect> {
        let (token, accept, key) = (self.token, self.accept, self.key);
        match self.observe {
            Some(0) => vec![Effect::Observe { token, target, accept, key }],
            Some(1) => vec![Effect::CancelObserve { token, target }],
            _ => Vec::new(),
        }
    }

    fn is_write_attributes(&self) -> bool {
        self.payload.is_empty() && self.format.is_none() && !self.queries.is_empty()
    }

    fn write_attributes(&self, data: &mut Data) -> Result<Done, Code> {
        data.check_exists(&self.path)?;
        let attributes: Attributes = data
            .attributes
            .at(&self.path)
            .merged(self.queries.iter().copied())
            .map_err(|_| Code::BAD_REQUEST)?;
        // Thresholds are for numbers only: OMA Core 5.1.2.
        if attributes.has_thresholds() && data.number(&self.path).is_none() {
            return Err(Code::BAD_REQUEST);
        }
        data.attributes.set(self.path, attributes);
        Ok(Done::new(Code::CHANGED, [Effect::AttributesWritten(self.path)]))
    }

    fn write(&self, data: &mut Data, mode: WriteMode, machine: &Machine<'_>) -> Result<Done, Code> {
        const FIRMWARE: u16 = 5;
        if self.path.object_id() == Some(FIRMWARE) {
            machine.firmware.check_write()?;
        }
        let written = data.write(&self.path, mode, self.format, self.payload)?;
        Ok(Done::new(Code::CHANGED, written.into_iter().map(Effect::Written)))
    }

    fn post(&self, data: &mut Data, machine: Machine<'_>) -> Result<Done, Code> {
        match (self.path.level(), self.path.object_id()) {
            (Level::Object, Some(object)) => {
                let created = data.create(object, self.format, self.payload)?;
                let reply = created.first().map_or(Reply::code(Code::CREATED), Reply::created);
                Ok(Done { reply, effects: created.into_iter().map(Effect::Created).collect() })
            }
            (Level::Instance, _) => self.write(data, WriteMode::Update, &machine),
            (Level::Resource, _) => self.execute_or_update(data, machine),
            (Level::Root | Level::Object | Level::ResourceInstance, _) => {
                Err(Code::METHOD_NOT_ALLOWED)
            }
        }
    }

    fn execute_or_update(&self, data: &mut Data, machine: Machine<'_>) -> Result<Done, Code> {
        data.check_exists(&self.path)?;
        match data.tree.slot(&self.path) {
            Some(Slot::Executable) => self.execute(data, machine),
            // A partial update of a multiple resource, since LwM2M 1.1.
            Some(Slot::Multiple) => self.write(data, WriteMode::Update, &machine),
            Some(Slot::Instance | Slot::Value(_)) | None => Err(Code::METHOD_NOT_ALLOWED),
        }
    }

    fn execute(&self, data: &mut Data, machine: Machine<'_>) -> Result<Done, Code> {
        let arguments = core::str::from_utf8(self.payload).map_err(|_| Code::BAD_REQUEST)?;
        let mut effects = effects_of_execute(data, machine, &self.path, arguments)?;
        // Told first, so that what follows from it is seen to follow.
        effects.insert(0, Effect::Executed { path: self.path, arguments: arguments.to_owned() });
        Ok(Done::new(Code::CHANGED, effects))
    }
}

/// What the executable resources of the standard objects do.
fn effects_of_execute(
    data: &mut Data,
    machine: Machine<'_>,
    path: &Path,
    arguments: &str,
) -> Result<Vec<Effect>, Code> {
    let Machine { firmware, chance } = machine;
    Ok(match path.ids() {
        [1, _, 8] => vec![Effect::Update],
        [3, 0, 4] => vec![Effect::Reboot],
        [3, 0, 5] => vec![Effect::FactoryReset],
        [3, 0, 12] => {
            let errors = Path::resource(3, 0, 11);
            data.tree.remove(&errors);
            data.put(Path::resource_instance(3, 0, 11, 0), Value::Integer(0));
            vec![Effect::Written(errors)]
        }
        [5, 0, 2] if firmware.can_install(data) => vec![Effect::Install],
        [5, 0, 2] => return Err(Code::METHOD_NOT_ALLOWED),
        [3303, instance, 5605] => reset_extremes(data, *instance),
        [3442, instance, 0] => test_reset(data, *instance),
        [3442, instance, 1] => test_randomize(data, *instance, chance),
        [3442, instance, 2] => test_clear(data, *instance),
        [3442, instance, 3] => test_arguments(data, *instance, arguments),
        [3442, instance, 5] => vec![Effect::Send(test_send(data, *instance))],
        _ => Vec::new(),
    })
}

fn reset_extremes(data: &mut Data, instance: u16) -> Vec<Effect> {
    let value = data.tree.value(&Path::resource(3303, instance, 5700)).cloned();
    let Some(value) = value else { return Vec::new() };
    [5601, 5602]
        .into_iter()
        .map(|resource| {
            let path = Path::resource(3303, instance, resource);
            data.put(path, value.clone());
            Effect::Written(path)
        })
        .collect()
}

/// Gives the numbers of the test object other values.
fn test_randomize(data: &mut Data, instance: u16, chance: &mut Chance) -> Vec<Effect> {
    let values = [
        (110, Value::String(format!("{:08x}", chance.next_u64() >> 32))),
        (120, Value::Integer((chance.next_u64() >> 33) as i64)),
        (125, Value::Unsigned(chance.next_u64())),
        (130, Value::Float(chance.unit() * 100.0)),
        (140, Value::Boolean(chance.next_u64() & 1 == 1)),
        (150, Value::Opaque(chance.next_u64().to_be_bytes().to_vec())),
        (160, Value::Time((chance.next_u64() >> 33) as i64)),
    ];
    for (resource, value) in values {
        data.put(Path::resource(3442, instance, resource), value);
    }
    vec![Effect::Written(Path::instance(3442, instance))]
}

/// Puts the values of the test object back to what they were.
fn test_reset(data: &mut Data, instance: u16) -> Vec<Effect> {
    let at = Path::instance(3442, instance);
    data.tree.remove(&at);
    data.furnish(at);
    vec![Effect::Written(at)]
}

/// Empties the values of the test object, each in the way of its type.
fn test_clear(data: &mut Data, instance: u16) -> Vec<Effect> {
    let at = Path::instance(3442, instance);
    let values: Vec<(Path, Value)> = data
        .tree
        .under(at)
        .filter_map(|(path, slot)| match slot {
            Slot::Value(value) => Some((path, cleared(value))),
            Slot::Instance | Slot::Multiple | Slot::Executable => None,
        })
        .collect();
    for (path, value) in values {
        if path.len() == 4 {
            data.tree.remove(&path);
        } else {
            data.put(path, value);
        }
    }
    vec![Effect::Written(at)]
}

fn cleared(value: &Value) -> Value {
    match value {
        Value::String(_) => Value::String(String::new()),
        Value::Integer(_) => Value::Integer(0),
        Value::Unsigned(_) => Value::Unsigned(0),
        Value::Float(_) => Value::Float(0.0),
        Value::Boolean(_) => Value::Boolean(false),
        Value::Opaque(_) => Value::Opaque(Vec::new()),
        Value::Time(_) => Value::Time(0),
        Value::Objlnk(..) => Value::Objlnk(lwm2m::MAX_ID, lwm2m::MAX_ID),
        Value::Corelnk(_) => Value::Corelnk(String::new()),
    }
}

/// Shows the arguments of Execute in resource 4, one instance each.
fn test_arguments(data: &mut Data, instance: u16, arguments: &str) -> Vec<Effect> {
    let list = Path::resource(3442, instance, 4);
    data.tree.remove(&list);
    data.tree.set(list, Slot::Multiple);
    let parts = lwm2m_arguments(arguments);
    for (index, argument) in (0_u16..lwm2m::MAX_ID).zip(parts) {
        if let Some(path) = list.child(index) {
            data.put(path, Value::String(argument.to_owned()));
        }
    }
    vec![Effect::Written(list)]
}

/// Splits `0,1='text, with comma'` at the commas outside of quotes: OMA Core 6.3.5.
fn lwm2m_arguments(text: &str) -> Vec<&str> {
    let mut quoted = false;
    text.split(|character| {
        quoted ^= character == '\'';
        character == ',' && !quoted
    })
    .filter(|argument| !argument.is_empty())
    .collect()
}

/// The paths that resource 6 lists, or the whole instance.
fn test_send(data: &Data, instance: u16) -> Vec<Path> {
    let listed: Vec<Path> = data
        .tree
        .under(Path::resource(3442, instance, 6))
        .filter_map(|(_, slot)| match slot {
            Slot::Value(Value::String(text)) => Path::parse(text).ok(),
            _ => None,
        })
        .collect();
    if listed.is_empty() { vec![Path::instance(3442, instance)] } else { listed }
}

/// The path that the request names, below the alternate path if the device has one.
///
/// Some servers put the whole alternate path into one option, so the segments are joined first.
fn resolve(data: &Data, message: &Message<'_>) -> Result<Path, Code> {
    let mut text = String::new();
    for segment in message.options.uri_path() {
        text.push('/');
        text.push_str(core::str::from_utf8(segment).map_err(|_| Code::NOT_FOUND)?);
    }
    let root = data.profile.alternate_path.as_deref().unwrap_or_default();
    let inner = match text.strip_prefix(root) {
        Some(inner) if inner.is_empty() || inner.starts_with('/') => inner,
        // Composite operations name no path at all, not even the alternate one.
        None if text.is_empty() => "",
        Some(_) | None => return Err(Code::NOT_FOUND),
    };
    Path::parse(inner).map_err(|_| Code::NOT_FOUND)
}
