//! Targets of the MQTT contract: commands from applications, payloads of devices on their way to
//! JSON, and topic templates with the topics that are held against them.

use std::sync::{Arc, LazyLock};

use bridge::{
    Bridge, Delivery, Downlink, Finished, Notified, Profile, Publication, Settings, Surroundings,
};
use engine::{
    Answer, Code, Command, CommandError, Device, Freshness, Instant, Peer, RegisteredInfo,
    RegistrationId,
};
use lwm2m::codec::{self, Context, UnknownPolicy};
use lwm2m::{EndpointName, Format, ModelView, Models, Operation, Path, Reading};
use serde_json::value::RawValue;

use crate::input::Input;

static MODELS: LazyLock<Models> = LazyLock::new(Models::builtin);

static BRIDGES: LazyLock<[Bridge; 2]> = LazyLock::new(|| {
    [Profile::Emqx4, Profile::Emqx5]
        .map(|profile| Bridge::new(Settings::of(profile)).expect("the defaults"))
});

/// 2026-01-02 03:04:05.678 UTC.
const WALL_MS: i64 = 1_767_323_045_678;

const NOW: Instant = Instant::from_micros(1_000_000);

/// A command: the first byte chooses the profile and the properties of MQTT 5, the rest is JSON.
pub fn mqtt_command(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let payload = input.rest();
    let mut bridge = BRIDGES[usize::from(choice & 1)].clone();
    let delivery = Delivery {
        response_topic: (choice & 2 == 2).then_some("app/answers"),
        correlation: (choice & 4 == 4).then_some(b"\x00correlation"),
        ..Delivery::new("lwm2m/EP/dn/dm", payload)
    };
    match bridge.downlink(NOW, &delivery, &MODELS) {
        Downlink::Command(command) => {
            encode(&command.operation);
            ends(&mut bridge, &command, payload);
        }
        Downlink::Refused { publications, endpoint, .. } => {
            assert_eq!(endpoint.as_str(), "EP");
            publications.iter().for_each(|report| judge(report, payload.len()));
        }
        Downlink::Dropped(_) => {}
    }
}

/// What a command carries can be written, or is refused in words.
fn encode(operation: &Operation) {
    let write = |base: &Path, content: &[Reading], format: Option<Format>| {
        let models = ModelView::new(&MODELS, &[]);
        let context = Context { models, wall_ms: WALL_MS, unknown: UnknownPolicy::Raw };
        for format in [format.unwrap_or(Format::TLV), Format::SENML_JSON, Format::LWM2M_CBOR] {
            let mut out = Vec::new();
            let encoded = codec::encode(format, base, content, &context, &mut out);
            assert!(encoded.is_ok() || out.is_empty());
        }
    };
    match operation {
        Operation::Write { path, content, format, .. }
        | Operation::Create { path, content, format } => write(path, content, *format),
        Operation::WriteComposite { content, format } => write(&Path::ROOT, content, *format),
        Operation::WriteAttributes { attributes, .. } => {
            assert!(attributes.queries().all(|query| query.len() <= 255), "{attributes:?}");
        }
        _ => {} // The others carry no values.
    }
}

/// Whatever becomes of a command is at most one message, and once more the same on the topic that
/// the command named.
fn ends(bridge: &mut Bridge, command: &Command, payload: &[u8]) {
    let answer = answer(Code::CONTENT, Some(Format::TEXT), b"1");
    let timeout = CommandError::Timeout { acked: false };
    for result in [Ok(&answer), Err(&timeout), Err(&CommandError::QueueFull)] {
        let out = finish(bridge, command, result);
        assert!(out.len() <= 2);
        assert!(out.windows(2).all(|pair| pair[0].payload == pair[1].payload));
        out.iter().for_each(|publication| judge(publication, payload.len()));
    }
}

fn finish(
    bridge: &mut Bridge,
    command: &Command,
    result: Result<&Answer, &CommandError>,
) -> Vec<Publication> {
    let device = device();
    let finished = Finished {
        endpoint: &command.endpoint,
        device: Some(&device),
        origin: &command.origin,
        operation: command.operation.kind(),
        path: command.operation.path(),
        result,
    };
    let mut out = Vec::new();
    bridge.finished(&finished, surroundings(), &mut out);
    out
}

fn surroundings() -> Surroundings<'static> {
    Surroundings { models: &MODELS, wall_ms: WALL_MS }
}

/// One JSON object on a topic that can be published to.
fn judge(publication: &Publication, input_len: usize) {
    let text = core::str::from_utf8(&publication.payload).expect("JSON is UTF-8");
    // Taken by its grammar: an echoed lone surrogate is JSON, though no text.
    let parsed = serde_json::from_str::<&RawValue>(text);
    assert!(parsed.is_ok() && text.starts_with('{'), "{parsed:?}: {text}");
    assert!(text.len() <= 128 * input_len + 1024, "{} of {input_len}", text.len());
    assert!(!publication.topic.contains(['+', '#', '\0']), "{}", publication.topic);
}

const FORMATS: [Option<Format>; 12] = [
    None,
    Some(Format::TEXT),
    Some(Format::LINK),
    Some(Format::OCTETS),
    Some(Format::CBOR),
    Some(Format::SENML_JSON),
    Some(Format::SENML_CBOR),
    Some(Format::TLV),
    Some(Format::JSON),
    Some(Format::LWM2M_CBOR),
    Some(Format::OLD_TLV),
    Some(Format(9999)),
];

const COMMANDS: [&str; 7] = [
    r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0"}}"#,
    r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/9"}}"#,
    r#"{"reqID":1,"msgType":"discover","data":{"path":"/3"}}"#,
    r#"{"reqID":1,"msgType":"observe","data":{"path":"/3303/0/5700"}}"#,
    r#"{"reqID":1,"msgType":"observe","data":{"path":"/5/0/3"}}"#,
    r#"{"reqID":1,"msgType":"create","data":{"basePath":"/3303","content":[]}}"#,
    r#"{"reqID":1,"msgType":"read-composite","data":{"paths":["/3/0/0","/1"]}}"#,
];

/// What a device says: profile, format, command and code in one byte each, then the payload. It is
/// looked at as an answer and as a notification.
pub fn mqtt_answer(data: &[u8]) {
    let mut input = Input::new(data);
    let mut bridge = BRIDGES[usize::from(input.byte() & 1)].clone();
    let format = input.choose(&FORMATS);
    let asked = input.choose(&COMMANDS);
    let code = Code::from_byte(input.byte());
    let body = input.rest();
    let delivery = Delivery::new("lwm2m/EP/dn/dm", asked.as_bytes());
    let Downlink::Command(command) = bridge.downlink(NOW, &delivery, &MODELS) else {
        panic!("{asked} is a command");
    };
    for publication in finish(&mut bridge, &command, Ok(&answer(code, format, body))) {
        judge(&publication, body.len());
    }
    let device = device();
    let notified = Notified {
        device: &device,
        path: command.operation.path(),
        origin: &command.origin,
        code,
        format,
        body,
        sequence: 7,
        freshness: Freshness::Fresh,
    };
    let mut out = Vec::new();
    bridge.notified(&notified, surroundings(), &mut out);
    out.iter().for_each(|publication| judge(publication, body.len()));
}

/// Lines: mountpoint, command topic, response topic, endpoint name, and a topic that was published.
pub fn mqtt_topic(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or("");
    let mut settings = Settings { mountpoint: line().to_owned(), ..Settings::default() };
    settings.topics.command.topic = line().to_owned();
    settings.topics.response.topic = line().to_owned();
    let (name, topic) = (line(), line());
    let Ok(bridge) = Bridge::new(settings) else { return };
    let filters = bridge.command_filters();
    assert!(!filters.is_empty() && filters.iter().all(|filter| is_filter(filter)), "{filters:?}");
    let found = bridge.endpoints(topic);
    assert!(found.len() <= 16 && found.iter().all(|name| topic.contains(name.as_str())));
    if let Ok(name) = EndpointName::parse(name) {
        let exact = bridge.exact_filter(0, &name);
        assert!(is_filter(&exact), "{exact:?}");
        // Without wildcards the filter is a topic, and leads back to the name.
        if !exact.contains(['+', '#']) && !name.as_str().contains('/') {
            assert!(bridge.endpoints(&exact).contains(&name), "{exact:?} is not for {name:?}");
        }
    }
    let _ = bridge.downlink(NOW, &Delivery::new(topic, b"{}"), &MODELS);
}

/// MQTT 5, 4.7.1: `+` is a whole level, `#` the last one.
fn is_filter(filter: &str) -> bool {
    let levels: Vec<_> = filter.split('/').collect();
    let last = levels.len() - 1;
    let fits = |(index, level): (usize, &&str)| {
        *level == "+" || (*level == "#" && index == last) || !level.contains(['+', '#', '\0'])
    };
    !filter.is_empty() && levels.iter().enumerate().all(fits)
}

fn device() -> Device {
    let remote = ([192, 0, 2, 7], 5683).into();
    Device {
        endpoint: EndpointName::parse("EP").expect("a name"),
        registration: RegistrationId::new(0, 1),
        peer: Peer::new(0, [127, 0, 0, 1].into(), remote),
        info: Arc::new(RegisteredInfo::default()),
    }
}

fn answer(code: Code, format: Option<Format>, body: &[u8]) -> Answer {
    Answer {
        code,
        format,
        body: body.to_vec(),
        observe: Some(3),
        sequence: Some(3),
        location: String::new(),
    }
}
