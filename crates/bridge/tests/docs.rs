//! The examples of docs/mqtt.md, run in both profiles.
//!
//! A block's first line names what it is, behind the language that it is shown in:
//!
//! | block | meaning |
//! |---|---|
//! | `json command` | a command for the device `EP` that is accepted |
//! | `coap request` | what the device is sent: method, path, query, payload in hexadecimal |
//! | `coap answer [observe=N]` | what becomes of the last command: `CODE [FORMAT BODY]` or a word |
//! | `coap notification observe=N` | a notification of the last command's observation |
//! | `coap rearmed observe=N` | the answer when that observation is set up again |
//! | `coap automatic PATH observe=N` | the answer to an observe that no command asked for |
//! | `coap register`, `coap update` | query, and links on the next line |
//! | `life EVENT [NAME]` | something that happens to the registration of `EP`, or to `NAME` |
//! | `json answer TOPIC [PROFILE]` | what is published of the last of these, and where |
//! | `json refused TOPIC`, `json report` | a command that is refused, and its report |
//! | `json dropped` | a message that nothing comes of |

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bridge::{
    Bridge, Delivery, Downlink, Finished, LifecycleTopics, Notified, Profile, Publication,
    Settings, Surroundings,
};
use engine::{
    Answer, Arrival, Code, Command, CommandError, Device, Event, Freshness, Instant, ObserveCause,
    Observed, Origin, Peer, RegisteredInfo, RegistrationFault, RegistrationId, Rejection,
    UpdateContent,
};
use lwm2m::codec::{self, Context, UnknownPolicy};
use lwm2m::registration::{Lifetime, ObjectLinks, Parameters};
use lwm2m::{
    EndpointName, Format, ModelView, Models, Operation, OperationKind, Path, Reading, WriteMode,
};

const PAGE: &str = include_str!("../../../docs/mqtt.md");

/// More examples than this are on the page; fewer mean that the parser has lost them.
const EXAMPLES_MIN: usize = 28;

#[test]
fn the_examples_of_the_page_are_what_the_gateway_does() {
    for profile in [Profile::Emqx4, Profile::Emqx5] {
        let mut page = Page::new(profile);
        for block in blocks(PAGE) {
            page.run(&block);
        }
        assert!(page.checked >= EXAMPLES_MIN, "only {} examples", page.checked);
    }
}

struct Block<'a> {
    words: Vec<&'a str>,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(words), None) => {
                let words = words.split_whitespace().collect();
                open = Some(Block { words, text: String::new(), line: number + 1 });
            }
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of the page is not closed");
    blocks
}

struct Page {
    profile: Profile,
    bridge: Bridge,
    models: Models,
    device: Device,
    command: Option<Command>,
    published: Vec<Publication>,
    checked: usize,
}

impl Page {
    fn new(profile: Profile) -> Self {
        Self {
            profile,
            bridge: Bridge::new(settings(profile)).expect("settings of the page"),
            models: Models::builtin(),
            device: device(RegisteredInfo::default()),
            command: None,
            published: Vec::new(),
            checked: 0,
        }
    }

    fn run(&mut self, block: &Block<'_>) {
        match block.words[..] {
            ["json", "command"] => match self.deliver(&block.text) {
                Downlink::Command(command) => self.command = Some(*command),
                other => panic!("line {}: {other:?}", block.line),
            },
            ["json", "dropped"] => {
                let dropped = matches!(self.deliver(&block.text), Downlink::Dropped(_));
                assert!(dropped, "line {}", block.line);
            }
            ["json", "refused", topic] => match self.deliver(&block.text) {
                Downlink::Refused { publications, .. } => {
                    assert_eq!(publications[0].topic, format!("lwm2m/EP/{topic}"));
                    self.published = publications;
                }
                other => panic!("line {}: {other:?}", block.line),
            },
            ["json", "report"] => self.check(block, None),
            ["json", "answer", topic] => self.check(block, Some(topic)),
            ["json", "answer", topic, profile] => {
                let ours = match self.profile {
                    Profile::Emqx4 => "emqx4",
                    Profile::Emqx5 => "emqx5",
                };
                if profile == ours {
                    self.check(block, Some(topic));
                }
            }
            ["life", event, ref name @ ..] => self.life(event, name.first().copied()),
            ["coap", "request"] => {
                assert_eq!(self.request(), block.text.trim_end(), "line {}", block.line);
            }
            ["coap", "answer"] => self.answer(None, block.text.trim_end()),
            ["coap", "answer", observe] => {
                self.answer(Some(number(observe)), block.text.trim_end());
            }
            ["coap", "notification", observe] => {
                self.notify(number(observe), block.text.trim_end());
            }
            ["coap", "rearmed", observe] => {
                self.rearm(number(observe), block.text.trim_end());
            }
            ["coap", "automatic", path, observe] => {
                let origin = bridge::auto_observe_origin();
                let path = Path::parse(path).expect("a path");
                let result = result(Some(number(observe)), block.text.trim_end());
                self.observed(ObserveCause::Automatic, (origin, path), result);
            }
            ["coap", "register"] => self.register(&block.text),
            ["coap", "update"] => self.update(&block.text),
            ["text" | "toml"] => {}
            _ => panic!("line {}: an unknown kind of block: {:?}", block.line, block.words),
        }
    }

    /// The text as it is sent: on one line. No example has white space in a string that matters.
    fn deliver(&self, text: &str) -> Downlink {
        let payload = compact(text);
        let delivery = Delivery::new("lwm2m/EP/dn/dm", payload.as_bytes());
        self.bridge.downlink(Instant::from_micros(0), &delivery, &self.models)
    }

    fn check(&mut self, block: &Block<'_>, topic: Option<&str>) {
        let [publication] = &self.published[..] else {
            panic!("line {}: {} messages", block.line, self.published.len())
        };
        let found = String::from_utf8(publication.payload.clone()).expect("UTF-8");
        assert_eq!(found, compact(&block.text), "line {}", block.line);
        if let Some(topic) = topic {
            // One that is not about `EP` is written out.
            let whole = topic.starts_with("lwm2m/");
            let topic = if whole { topic.to_owned() } else { format!("lwm2m/EP/{topic}") };
            assert_eq!(publication.topic, topic, "line {}", block.line);
        }
        self.checked += 1;
    }

    fn command(&self) -> &Command {
        self.command.as_ref().expect("a command before its answer")
    }

    /// The last command as the method, path, query and payload that the device gets.
    fn request(&self) -> String {
        let (method, body) = match &self.command().operation {
            Operation::Read { .. } | Operation::Discover { .. } | Operation::Observe { .. } => {
                ("GET", String::new())
            }
            Operation::Write { path, mode, content, .. } => {
                (method(*mode), self.tlv(path, content))
            }
            Operation::Create { path, content, .. } => ("POST", self.tlv(path, content)),
            Operation::Execute { arguments, .. } => ("POST", hex(arguments.as_bytes())),
            Operation::Delete { .. } => ("DELETE", String::new()),
            Operation::WriteAttributes { path, attributes } => {
                let queries: Vec<String> = attributes.queries().collect();
                return format!("PUT {path}?{}", queries.join("&"));
            }
            other => panic!("no request for {other:?}"),
        };
        format!("{method} {} {body}", self.command().operation.path()).trim_end().to_owned()
    }

    fn tlv(&self, path: &Path, content: &[Reading]) -> String {
        let models = ModelView::new(&self.models, &[]);
        let context = Context { models, wall_ms: 0, unknown: UnknownPolicy::Raw };
        let mut out = Vec::new();
        codec::encode(Format::TLV, path, content, &context, &mut out).expect("a write as TLV");
        hex(&out)
    }

    fn answer(&mut self, observe: Option<u32>, text: &str) {
        self.published.clear();
        let command = self.command().clone();
        if text == "ack" {
            return self.bridge.acked(&self.device, &command.origin, &mut self.published);
        }
        let result = result(observe, text);
        let finished = Finished {
            endpoint: &command.endpoint,
            device: Some(&self.device),
            origin: &command.origin,
            operation: command.operation.kind(),
            path: command.operation.path(),
            result: result.as_ref(),
        };
        let surroundings = Surroundings { models: &self.models, wall_ms: 0 };
        self.bridge.finished(&finished, surroundings, &mut self.published);
    }

    fn notify(&mut self, sequence: u32, text: &str) {
        self.published.clear();
        let command = self.command().clone();
        let answer = result(Some(sequence), text).expect("an answer");
        let notified = Notified {
            device: &self.device,
            path: command.operation.path(),
            origin: &command.origin,
            code: answer.code,
            format: answer.format,
            body: &answer.body,
            sequence,
            freshness: Freshness::Fresh,
        };
        let surroundings = Surroundings { models: &self.models, wall_ms: 0 };
        self.bridge.notified(&notified, surroundings, &mut self.published);
    }

    fn rearm(&mut self, sequence: u32, text: &str) {
        let command = self.command().clone();
        let asked = (command.origin, command.operation.path());
        self.observed(ObserveCause::Rearmed, asked, result(Some(sequence), text));
    }

    fn observed(
        &mut self,
        cause: ObserveCause,
        (origin, path): (Origin, Path),
        result: Result<Answer, CommandError>,
    ) {
        let device = self.device.clone();
        let operation = OperationKind::Observe;
        let observed = Observed { device, cause, origin, operation, path, result };
        self.uplink(&Event::Observed(Box::new(observed)));
    }

    fn register(&mut self, text: &str) {
        let device = registered(text);
        self.uplink(&Event::Registered { device, arrival: Arrival::New });
    }

    fn update(&mut self, text: &str) {
        let device = registered(text);
        self.uplink(&Event::Updated { device, content: UpdateContent::WithLinks });
    }

    fn life(&mut self, event: &str, name: Option<&str>) {
        let device = self.device.clone();
        let other = Peer::new(0, device.peer.local(), ([192, 0, 2, 6], 40001).into());
        let event = match event {
            "deregistered" => Event::Deregistered { device },
            "asleep" => Event::Asleep { device },
            "address_changed" => Event::AddressChanged { device, from: other },
            "address_refused" => Event::AddressRefused { device, refused: other },
            "rejected" => Event::Rejected(Box::new(Rejection {
                peer: device.peer,
                endpoint: name.and_then(|name| EndpointName::parse(name).ok()),
                name: name.map(str::to_owned),
                code: Code::BAD_REQUEST,
                reason: RegistrationFault::EndpointUnusable.name(),
            })),
            other => panic!("no event {other}"),
        };
        self.uplink(&event);
    }

    fn uplink(&mut self, event: &Event) {
        self.published.clear();
        let surroundings = Surroundings { models: &self.models, wall_ms: 0 };
        self.bridge.uplink(event, surroundings, &mut self.published);
    }
}

/// The defaults, and a topic for the life cycle.
fn settings(profile: Profile) -> Settings {
    let mut settings = Settings::of(profile);
    settings.topics.lifecycle = LifecycleTopics::all("up/life");
    settings
}

const fn method(mode: WriteMode) -> &'static str {
    match mode {
        WriteMode::Replace => "PUT",
        WriteMode::Update => "POST",
    }
}

/// `CODE`, `CODE FORMAT BODY`, or the word for an end without an answer.
fn result(observe: Option<u32>, text: &str) -> Result<Answer, CommandError> {
    match text {
        "reset" => return Err(CommandError::Reset),
        "timeout" => return Err(CommandError::Timeout { acked: false }),
        "expired" => return Err(CommandError::Expired),
        "unknown_device" => return Err(CommandError::UnknownDevice),
        "composite_unsupported" => return Err(CommandError::CompositeUnsupported(None)),
        _ => {}
    }
    let mut words = text.splitn(3, ' ');
    let code = words.next().and_then(|code| code.split_once('.')).expect("a code");
    let code = Code::new(code.0.parse().expect("a class"), code.1.parse().expect("a detail"));
    let (format, body) = match (words.next(), words.next()) {
        (Some("text"), Some(body)) => (Some(Format::TEXT), body.as_bytes().to_vec()),
        (Some("link"), Some(body)) => (Some(Format::LINK), body.as_bytes().to_vec()),
        (Some("senml-json"), Some(body)) => (Some(Format::SENML_JSON), body.as_bytes().to_vec()),
        (Some("tlv"), Some(body)) => (Some(Format::TLV), from_hex(body)),
        (None, None) => (None, Vec::new()),
        other => panic!("no format: {other:?}"),
    };
    Ok(Answer { code, format, body, observe, sequence: observe, location: String::new() })
}

fn number(word: &str) -> u32 {
    word.strip_prefix("observe=").and_then(|number| number.parse().ok()).expect("observe=N")
}

fn registered(text: &str) -> Device {
    let (query, links) = text.split_once('\n').expect("a query and links");
    let (lifetime, parameters) =
        query.strip_prefix("lt=").and_then(|rest| rest.split_once('&')).expect("lt first");
    device(RegisteredInfo {
        lifetime: Lifetime::parse(lifetime).expect("a lifetime"),
        parameters: Parameters::from_options(parameters.split('&')).expect("parameters"),
        links: ObjectLinks::parse(links.trim_end().as_bytes()).expect("links").map(Arc::new),
        ..RegisteredInfo::default()
    })
}

fn device(info: RegisteredInfo) -> Device {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Device {
        endpoint: EndpointName::parse("EP").expect("a name"),
        registration: RegistrationId::new(0, 1),
        peer: Peer::new(0, local, SocketAddr::from(([192, 0, 2, 7], 5683))),
        info: Arc::new(info),
    }
}

/// JSON without white space, members in their order, numbers digit by digit.
fn compact(text: &str) -> String {
    let tree: serde_json::Value = serde_json::from_str(text).expect("JSON on the page");
    tree.to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

fn from_hex(digits: &str) -> Vec<u8> {
    digits.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal")).collect()
}
