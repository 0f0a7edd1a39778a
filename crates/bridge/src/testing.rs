//! What the tests of this crate share: a device, its definitions, and short ways in and out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use engine::{
    Answer, Code, Command, CommandError, Device, Event, Freshness, Instant, ObserveCause, Observed,
    Origin, Peer, RegisteredInfo, RegistrationId,
};
use lwm2m::codec::{self, Context, UnknownPolicy};
use lwm2m::{EndpointName, Format, ModelView, Models, Operation, OperationKind, Path, Reading};

use crate::{
    Bridge, Circumstances, Delivery, Downlink, Finished, Notified, Publication, Settings,
    Surroundings,
};

pub(crate) use crate::Profile::{self, Emqx4, Emqx5};

/// Both profiles, for rules that hold in either.
pub(crate) const BOTH: [Profile; 2] = [Emqx4, Emqx5];

/// 2026-01-02 03:04:05.678 UTC.
pub(crate) const WALL_MS: i64 = 1_767_323_045_678;

/// A bridge, definitions and one device.
pub(crate) struct Bench {
    pub(crate) bridge: Bridge,
    pub(crate) models: Models,
    pub(crate) device: Device,
}

impl Bench {
    pub(crate) fn new(profile: Profile) -> Self {
        Self::with(Settings::of(profile))
    }

    pub(crate) fn with(settings: Settings) -> Self {
        Self {
            bridge: Bridge::new(settings).unwrap(),
            models: Models::builtin(),
            device: device("EP", RegisteredInfo::default()),
        }
    }

    pub(crate) fn downlink(&self, payload: &str) -> Downlink {
        self.deliver(&Delivery::new("lwm2m/EP/dn/dm", payload.as_bytes()))
    }

    pub(crate) fn deliver(&self, delivery: &Delivery<'_>) -> Downlink {
        self.bridge.downlink(NOW, delivery, &self.models)
    }

    pub(crate) fn circumstances<'a>(
        &'a self,
        registered: &'a dyn Fn(&EndpointName) -> bool,
    ) -> Circumstances<'a> {
        Circumstances { registered, ..Circumstances::plain(NOW, &self.models) }
    }

    /// A command that is accepted.
    #[track_caller]
    pub(crate) fn command(&self, payload: &str) -> Command {
        match self.downlink(payload) {
            Downlink::Command(command) => *command,
            other => panic!("{payload}: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn operation(&self, payload: &str) -> Operation {
        self.command(payload).operation
    }

    /// The payload of the report about a command that is refused.
    #[track_caller]
    pub(crate) fn refusal(&self, payload: &str) -> String {
        match self.downlink(payload) {
            Downlink::Refused { publications, .. } => text(&publications[0]),
            other => panic!("{payload}: {other:?}"),
        }
    }

    /// The bytes that a write or create sends to the device.
    #[track_caller]
    pub(crate) fn body(&self, payload: &str) -> String {
        match self.operation(payload) {
            Operation::Write { path, content, format: None, .. }
            | Operation::Create { path, content, format: None } => self.tlv(&path, &content),
            other => panic!("{payload}: {other:?}"),
        }
    }

    fn tlv(&self, path: &Path, content: &[Reading]) -> String {
        let models = ModelView::new(&self.models, &[]);
        let context = Context { models, wall_ms: WALL_MS, unknown: UnknownPolicy::Raw };
        let mut out = Vec::new();
        codec::encode(Format::TLV, path, content, &context, &mut out).unwrap();
        hex(&out)
    }

    pub(crate) fn finish(
        &mut self,
        command: &Command,
        result: Result<&Answer, &CommandError>,
    ) -> Vec<Publication> {
        let mut out = Vec::new();
        let finished = Finished {
            endpoint: &command.endpoint,
            device: Some(&self.device),
            origin: &command.origin,
            operation: command.operation.kind(),
            path: command.operation.path(),
            result,
        };
        let surroundings = Surroundings { models: &self.models, wall_ms: WALL_MS };
        self.bridge.finished(&finished, surroundings, &mut out);
        out
    }

    /// The one message that answers a command.
    #[track_caller]
    pub(crate) fn answered(&mut self, payload: &str, answer: &Answer) -> Publication {
        let command = self.command(payload);
        let out = self.finish(&command, Ok(answer));
        let [publication] = <[Publication; 1]>::try_from(out).expect("one message");
        publication
    }

    /// The one message that answers a command, as text.
    #[track_caller]
    pub(crate) fn answer(&mut self, payload: &str, answer: &Answer) -> String {
        text(&self.answered(payload, answer))
    }

    /// What is published when a command fails.
    #[track_caller]
    pub(crate) fn failure(&mut self, payload: &str, error: &CommandError) -> Vec<String> {
        let command = self.command(payload);
        self.finish(&command, Err(error)).iter().map(text).collect()
    }

    pub(crate) fn acked(&mut self, payload: &str) -> Vec<Publication> {
        let command = self.command(payload);
        let mut out = Vec::new();
        self.bridge.acked(&self.device, &command.origin, &mut out);
        out
    }

    /// What an automatic observe gives.
    pub(crate) fn auto_observed(
        &mut self,
        path: &str,
        result: Result<Answer, CommandError>,
    ) -> Vec<Publication> {
        self.observed(ObserveCause::Automatic, crate::auto_observe_origin(), path, result)
    }

    /// What a command's observation gives that is set up again.
    pub(crate) fn rearmed(
        &mut self,
        payload: &str,
        result: Result<Answer, CommandError>,
    ) -> Vec<Publication> {
        let command = self.command(payload);
        let path = command.operation.path().to_string();
        self.observed(ObserveCause::Rearmed, command.origin, &path, result)
    }

    fn observed(
        &mut self,
        cause: ObserveCause,
        origin: Origin,
        path: &str,
        result: Result<Answer, CommandError>,
    ) -> Vec<Publication> {
        let mut out = Vec::new();
        let event = Event::Observed(Box::new(Observed {
            device: self.device.clone(),
            cause,
            origin,
            operation: OperationKind::Observe,
            path: Path::parse(path).unwrap(),
            result,
        }));
        let surroundings = Surroundings { models: &self.models, wall_ms: WALL_MS };
        self.bridge.uplink(&event, surroundings, &mut out);
        out
    }

    pub(crate) fn notify(&mut self, news: &News<'_>) -> Vec<Publication> {
        let mut out = Vec::new();
        let origin = match news.command {
            "" => crate::auto_observe_origin(),
            payload => self.command(payload).origin,
        };
        let notified = Notified {
            device: &self.device,
            path: Path::parse(news.path).unwrap(),
            origin: &origin,
            code: news.code,
            format: news.format,
            body: news.body,
            sequence: news.sequence,
            freshness: news.freshness,
        };
        let surroundings = Surroundings { models: &self.models, wall_ms: WALL_MS };
        self.bridge.notified(&notified, surroundings, &mut out);
        out
    }
}

/// A notification in a test.
#[derive(Clone, Copy)]
pub(crate) struct News<'a> {
    pub(crate) command: &'a str,
    pub(crate) path: &'a str,
    pub(crate) code: Code,
    pub(crate) format: Option<Format>,
    pub(crate) body: &'a [u8],
    pub(crate) sequence: u32,
    pub(crate) freshness: Freshness,
}

/// An observation of a number of object 3.
pub(crate) const OBSERVE: &str = r#"{"reqID":307,"msgType":"observe","data":{"path":"/3/0/10"}}"#;

/// A notification of it.
pub(crate) const NEWS: News<'_> = News {
    command: OBSERVE,
    path: "/3/0/10",
    code: Code::CONTENT,
    format: Some(Format::TEXT),
    body: b"4096",
    sequence: 3,
    freshness: Freshness::Fresh,
};

pub(crate) const NOW: Instant = Instant::from_micros(1_000_000);

pub(crate) fn device(name: &str, info: RegisteredInfo) -> Device {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Device {
        endpoint: EndpointName::parse(name).unwrap(),
        registration: RegistrationId::new(0, 1),
        peer: Peer::new(0, local, SocketAddr::from(([192, 0, 2, 7], 5683))),
        info: Arc::new(info),
    }
}

pub(crate) fn answer(code: Code, format: Option<Format>, body: &[u8]) -> Answer {
    Answer {
        code,
        format,
        body: body.to_vec(),
        observe: None,
        sequence: None,
        location: String::new(),
    }
}

/// A 2.05 in TLV.
pub(crate) fn tlv(digits: &str) -> Answer {
    answer(Code::CONTENT, Some(Format::TLV), &from_hex(digits))
}

/// A 2.05 in text.
pub(crate) fn plain(body: &str) -> Answer {
    answer(Code::CONTENT, Some(Format::TEXT), body.as_bytes())
}

/// A code and nothing else.
pub(crate) fn code(class: u8, detail: u8) -> Answer {
    answer(Code::new(class, detail), None, b"")
}

pub(crate) fn text(publication: &Publication) -> String {
    String::from_utf8(publication.payload.clone()).unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

pub(crate) fn from_hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}
