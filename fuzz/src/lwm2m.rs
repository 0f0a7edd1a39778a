//! Targets of the vocabulary: content formats, links, registrations, definitions, attributes.
//!
//! Each takes bytes that a device, a file or a command could hold. Besides "no panic" it asserts
//! that little is never turned into much, and that what is written is read back.

use std::sync::LazyLock;

use lwm2m::codec::{self, Context, DecodeError, UnknownPolicy};
use lwm2m::link_format::{self, LinkWriter};
use lwm2m::model::{ModelView, Models, xml};
use lwm2m::registration::{EndpointName, ObjectLinks, Register, Update};
use lwm2m::{Attributes, Content, DataType, Format, MAX_ID, Path, Reading, Value, execute};

use crate::input::Input;

static MODELS: LazyLock<Models> = LazyLock::new(Models::builtin);

/// 2026-01-02 03:04:05.678 UTC.
const WALL_MS: i64 = 1_767_323_045_678;

/// What the payload answers, by the first byte of the input: one of each level and type.
const REQUESTS: [&str; 16] = [
    "/",
    "/3",
    "/3/0",
    "/3/0/0",
    "/3/0/9",
    "/3/0/6",
    "/3/0/6/1",
    "/3/0/13",
    "/3303",
    "/3303/0/5700",
    "/3442/0",
    "/3442/0/140",
    "/3442/0/150",
    "/3442/0/170",
    "/3442/0/1110",
    "/32769/7/1",
];

/// TLV, OMA Core 7.4.3.
pub fn tlv(data: &[u8]) {
    payload(Format::TLV, data);
}

/// The JSON of LwM2M 1.0.
pub fn lwm2m_json(data: &[u8]) {
    payload(Format::JSON, data);
}

/// SenML JSON, RFC 8428.
pub fn senml_json(data: &[u8]) {
    payload(Format::SENML_JSON, data);
}

/// SenML CBOR, RFC 8428.
pub fn senml_cbor(data: &[u8]) {
    payload(Format::SENML_CBOR, data);
}

/// One value as CBOR.
pub fn cbor(data: &[u8]) {
    payload(Format::CBOR, data);
}

/// The CBOR of LwM2M 1.2.
pub fn lwm2m_cbor(data: &[u8]) {
    payload(Format::LWM2M_CBOR, data);
}

/// One value as text.
pub fn text(data: &[u8]) {
    payload(Format::TEXT, data);
}

/// One value as bytes.
pub fn opaque(data: &[u8]) {
    payload(Format::OCTETS, data);
}

fn context(unknown: UnknownPolicy) -> Context<'static> {
    Context { models: ModelView::new(&MODELS, &[]), wall_ms: WALL_MS, unknown }
}

/// The first byte is the request, the rest the payload that answers it.
fn payload(format: Format, data: &[u8]) {
    let mut input = Input::new(data);
    let request = Path::parse(input.choose(&REQUESTS)).expect("a path");
    let payload = input.rest();
    let raw = decode(format, &request, payload, UnknownPolicy::Raw);
    let strict = decode(format, &request, payload, UnknownPolicy::Reject);
    match (&raw, &strict) {
        (Ok(raw), Ok(strict)) => assert!(same(&raw.readings, &strict.readings), "{raw:?}"),
        (Err(_), Ok(strict)) => panic!("only the stricter policy takes {strict:?}"),
        (_, Err(_)) => {}
    }
    if let Ok(content) = raw {
        bounded(&content, payload);
        returns(format, &request, &content);
    }
}

fn decode(
    format: Format,
    request: &Path,
    payload: &[u8],
    unknown: UnknownPolicy,
) -> Result<Content, DecodeError> {
    codec::decode(Some(format), request, payload, &context(unknown))
}

/// Little is not turned into much.
fn bounded(content: &Content, payload: &[u8]) {
    assert!(content.readings.len() <= payload.len().max(1));
    let held: usize = content.readings.iter().map(held_bytes).sum();
    // U+FFFD has three bytes and stands for one that is no UTF-8.
    assert!(held <= 3 * payload.len(), "{content:?}");
    for reading in &content.readings {
        assert!(reading.path.ids().iter().all(|id| *id != MAX_ID), "{reading:?}");
    }
}

fn held_bytes(reading: &Reading) -> usize {
    match &reading.value {
        Some(Value::String(text) | Value::Corelnk(text)) => text.len(),
        Some(Value::Opaque(bytes)) => bytes.len(),
        _ => 0,
    }
}

/// What was read can be written, and is the same when it is read again.
fn returns(format: Format, request: &Path, content: &Content) {
    let readings = &content.readings;
    // Nothing, or a null for the whole device, is not written; only SenML can write a history.
    let nothing = readings.iter().all(|reading| reading.path.is_root());
    if nothing || repeats_a_path(readings) {
        return;
    }
    let inside = readings.iter().all(|reading| reading.path.starts_with(request));
    let base = if inside { *request } else { Path::ROOT };
    let mut out = Vec::new();
    let encoded = codec::encode(format, &base, readings, &context(UnknownPolicy::Raw), &mut out);
    if encoded.is_err() {
        assert!(out.is_empty(), "a failed encoding leaves nothing behind");
        return;
    }
    let again = decode(format, &base, &out, UnknownPolicy::Raw);
    let again = again.unwrap_or_else(|error| panic!("{readings:?} as {out:02x?}: {error}"));
    if !readings.iter().all(|reading| is_plain(format, request, reading)) {
        return;
    }
    let (before, after) = (sorted(readings.to_vec()), sorted(again.readings.into_vec()));
    assert!(same(&before, &after), "{before:?} as {out:02x?} is {after:?}");
}

/// Whether nothing about a reading is beyond what its format can say of it.
fn is_plain(format: Format, request: &Path, reading: &Reading) -> bool {
    // What fits no definition has no type, or in TLV that of the record's own id.
    let model = MODELS.lookup(reading.path.object_id().unwrap_or(MAX_ID), None);
    let resource = model.and_then(|model| model.resource(reading.path.resource_id()?));
    let data_type = reading.value.as_ref().map(Value::value_type);
    let typed = data_type.is_none() || data_type == resource.map(|resource| resource.data_type);
    // Below 2^28 seconds a time in SenML is relative to now.
    let absolute = reading.time_ms.is_none_or(|time| time >= 268_435_456_000);
    // Wakaama 1.0 writes a single resource one level too deep, so such a path means the resource.
    let below = request.resource_id().is_some() && reading.path.parent() == Some(*request);
    let single = resource.is_some_and(|resource| !resource.is_multiple());
    typed && absolute && !(format == Format::JSON && below && single)
}

fn repeats_a_path(readings: &[Reading]) -> bool {
    let mut paths: Vec<_> = readings.iter().map(|reading| reading.path).collect();
    paths.sort_unstable();
    paths.windows(2).any(|pair| pair[1].starts_with(&pair[0]))
}

fn sorted(mut readings: Vec<Reading>) -> Vec<Reading> {
    readings.sort_by_key(|reading| reading.path);
    readings
}

/// Equality in which one NaN is like another.
fn same(one: &[Reading], other: &[Reading]) -> bool {
    let value = |reading: &Reading| match reading.value {
        Some(Value::Float(number)) if number.is_nan() => Some(Value::String("NaN".to_owned())),
        ref value => value.clone(),
    };
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            one.path == other.path && one.time_ms == other.time_ms && value(one) == value(other)
        })
}

/// Link format, as Register payloads and Discover answers use it; and paths, which are its targets.
pub fn link_format(data: &[u8]) {
    let Ok(links) = link_format::parse(data) else { return };
    let text = core::str::from_utf8(data).expect("it was parsed");
    let pieces: Vec<_> = link_format::split(text).collect();
    assert_eq!(pieces.join(","), text, "splitting loses nothing");
    let mut writer = LinkWriter::new();
    for link in links {
        assert!(link.target.len() <= data.len());
        let entries: usize = link.attributes().map(|entry| entry.unescaped().len()).sum();
        assert!(entries <= data.len());
        attributes_return(&Attributes::from_link(&link));
        if let Ok(path) = Path::parse(link.target) {
            assert_eq!(Path::parse(&path.to_string()), Ok(path));
            writer.link(path);
        }
    }
    let written = writer.finish();
    let targets = link_format::links(&written).map(|link| Path::parse(link.target));
    assert!(targets.into_iter().all(|path| path.is_ok()), "{written:?}");
}

/// Query options of a Register or Update, `&` between them, and behind a line feed the payload.
pub fn register(data: &[u8]) {
    let (query, payload) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[][..]),
    };
    let options = || query.split(|byte| *byte == b'&').filter(|option| !option.is_empty());
    let (register, update) =
        (Register::parse(options(), payload), Update::parse(options(), payload));
    let Ok(register) = register else {
        assert!(update.is_err(), "an Update is read as a Register is");
        return;
    };
    let update = update.expect("a Register is read as an Update is");
    assert_eq!((&register.parameters, &register.links), (&update.parameters, &update.links));
    let parameters = &register.parameters;
    assert!(parameters.iter().map(|(key, _)| key.len()).sum::<usize>() <= query.len());
    assert_eq!(
        parameters.overlaid(&update.parameters),
        *parameters,
        "the same again changes nothing"
    );
    let version = parameters.lwm2m().and_then(|version| version.version());
    if let (Some(version), Some(binding)) = (version, parameters.binding()) {
        let _ = binding.fits(version);
    }
    let _ = parameters.queue_mode();
    if let Some(name) = register.endpoint {
        endpoint_name(name);
    }
    if let Some(links) = register.links {
        object_links(&links, payload);
    }
}

/// What is accepted is fit for a topic.
fn endpoint_name(text: &str) {
    let Ok(name) = EndpointName::parse(text) else { return };
    assert_eq!(name.as_str(), text);
    assert!((1..=252).contains(&text.len()));
    assert!(!text.contains(['+', '#', '\0']) && !text.starts_with('/') && !text.ends_with('/'));
}

fn object_links(links: &ObjectLinks, payload: &[u8]) {
    let listed: usize = links.object_list().map(str::len).sum();
    assert!(listed <= payload.len(), "{links:?}");
    assert!(links.instances().len() <= payload.len() && links.objects().len() <= payload.len());
    assert!(links.instances().iter().all(|path| path.len() == 2));
    for path in links.instances() {
        let object = path.object_id().expect("an instance has an object");
        assert!(links.has_object(object), "{path} of no object");
        assert!(links.instances_of(object).contains(path));
    }
    assert_eq!(ObjectLinks::from_parts(links.to_parts()), *links, "it survives being stored");
}

/// An object definition.
pub fn object_xml(data: &[u8]) {
    let Ok(model) = xml::parse(data) else { return };
    assert_ne!(model.id, MAX_ID);
    assert!(model.resources.len() <= data.len());
    assert!(model.resources.windows(2).all(|pair| pair[0].id < pair[1].id), "{model:?}");
    for resource in &model.resources {
        assert_eq!(model.resource(resource.id), Some(resource));
    }
}

/// Write-Attributes as query parameters, `&` between them.
pub fn attributes(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(attributes) = Attributes::from_queries(text.split('&')) else { return };
    attributes_return(&attributes);
    let paths = REQUESTS.iter().map(|text| Path::parse(text).expect("a path"));
    for path in paths {
        let _ = attributes.check(&path, Some(DataType::Float));
    }
    let mut applied = Attributes::new();
    applied.apply(&attributes);
    assert!(applied.iter().all(|(_, value)| value.is_some()), "unset ones are gone");
}

/// What is sent is plain, and read back as it was.
fn attributes_return(attributes: &Attributes) {
    let queries: Vec<String> = attributes.queries().collect();
    let again = Attributes::from_queries(queries.iter().map(String::as_str));
    assert_eq!(again.as_ref(), Ok(attributes));
    let plain = |(_, value): (_, Option<&str>)| !value.unwrap_or("").contains(['e', 'E', '+', ' ']);
    assert!(attributes.iter().all(plain), "devices read no exponents: {attributes:?}");
}

/// Arguments of Execute.
pub fn execute_arguments(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(arguments) = execute::arguments(text) else { return };
    assert!(execute::is_valid(text));
    let written: Vec<String> = arguments
        .iter()
        .map(|argument| match argument.value {
            Some(value) => format!("{}='{value}'", argument.digit),
            None => argument.digit.to_string(),
        })
        .collect();
    assert_eq!(written.join(","), text, "there is one way to write it");
}
