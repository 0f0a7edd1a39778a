//! Operations as CoAP requests and their answers: OMA Core 6.3, 6.4; Transport 6.4.3.
//!
//! An operation is prepared when its command is accepted, so that what cannot be written is refused
//! at once; the device's alternate path goes in front when it is sent. When that is, the queue
//! decides.

use core::fmt::Write;

use coap::{Code, ContentFormat, Incoming, OptionList, OptionNumber};
use lwm2m::codec::{self, Context};
use lwm2m::{Format, Operation, OperationKind, Path, Reading, WriteMode};

use crate::command::Answer;
use crate::event::RegisteredInfo;
use crate::formats::{self, Choice, Habits};
use crate::observations::Target;

/// An operation made into all of a request but the device's own root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub(crate) operation: OperationKind,
    pub(crate) path: Path,
    pub(crate) method: Code,
    pub(crate) accept: Option<Format>,
    pub(crate) format: Option<Format>,
    pub(crate) choice: Choice,
    pub(crate) query: Vec<Box<str>>,
    pub(crate) payload: Vec<u8>,
}

impl Prepared {
    /// Prepares an operation for a device with `info` and `habits`. The error says what cannot be
    /// written.
    pub(crate) fn new(
        operation: &Operation,
        query: &[String],
        (info, habits): (&RegisteredInfo, Habits),
        context: &Context<'_>,
    ) -> Result<Self, String> {
        let mut prepared = Self {
            operation: operation.kind(),
            path: operation.path(),
            method: method(operation),
            accept: accept(operation),
            format: None,
            choice: Choice::Ours,
            query: Vec::new(),
            payload: Vec::new(),
        };
        prepared.write_content(operation, (info, habits), context)?;
        if let Operation::WriteAttributes { attributes, .. } = operation {
            prepared.query.extend(attributes.queries().map(String::into_boxed_str));
        }
        prepared.query.extend(query.iter().map(|argument| argument.as_str().into()));
        match prepared.query.iter().find(|argument| argument.len() > QUERY_LEN_MAX) {
            Some(argument) => Err(format!("a query of {} bytes is too long", argument.len())),
            None => Ok(prepared),
        }
    }

    /// A plain observe, whose format is the device's choice.
    pub(crate) const fn observe(path: Path) -> Self {
        Self {
            operation: OperationKind::Observe,
            path,
            method: Code::GET,
            accept: None,
            format: None,
            choice: Choice::Stated,
            query: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// The observe that set up an observation, to be sent once more: for `target`, with the queries
    /// and the Content-Format that `request` had.
    pub(crate) fn of_observation(target: &Target, request: &coap::Request) -> Self {
        let options = request.options.options();
        let text = |query: &[u8]| String::from_utf8_lossy(query).into();
        let operation = match target.composite {
            Some(_) => OperationKind::ObserveComposite,
            None => OperationKind::Observe,
        };
        Self {
            operation,
            path: target.path,
            method: request.code,
            accept: target.accept,
            format: options.content_format().map(|format| Format(format.0)),
            choice: Choice::Stated,
            query: options.uri_query().map(text).collect(),
            payload: target.composite.as_deref().unwrap_or_default().to_vec(),
        }
    }

    /// What an observe of this is about, or a cancel. The payload may have been moved out.
    pub(crate) fn target(&self, payload: &[u8]) -> Target {
        let composite = match self.operation {
            OperationKind::ObserveComposite | OperationKind::CancelObserveComposite => {
                Some(payload.into())
            }
            _ => None, // All others are about one path.
        };
        Target { path: self.path, accept: self.accept, composite }
    }

    /// What the request takes in memory.
    pub(crate) fn size(&self) -> usize {
        self.payload.len() + self.query.iter().map(|argument| argument.len()).sum::<usize>()
    }

    /// The request below the device's root. The payload is moved out.
    pub(crate) fn to_request(&self, info: &RegisteredInfo, payload: Vec<u8>) -> coap::Request {
        let mut options = OptionList::new();
        for segment in info.links.iter().flat_map(|links| links.alternate_segments()) {
            options.uri_path(segment);
        }
        let mut decimal = String::new();
        for id in self.path.ids() {
            decimal.clear();
            let _ = write!(decimal, "{id}"); // Writing to a String does not fail.
            options.uri_path(&decimal);
        }
        if let Some(format) = self.format {
            options.content_format(ContentFormat(format.0));
        }
        for argument in &self.query {
            options.uri_query(argument);
        }
        if let Some(format) = self.accept {
            options.accept(ContentFormat(format.0));
        }
        coap::Request { code: self.method, options, payload }
    }

    fn write_content(
        &mut self,
        operation: &Operation,
        (info, habits): (&RegisteredInfo, Habits),
        context: &Context<'_>,
    ) -> Result<(), String> {
        let composite = || formats::composite(info, habits);
        if let Operation::Write { format, .. }
        | Operation::Create { format, .. }
        | Operation::WriteComposite { format, .. } = operation
        {
            self.choice = if format.is_some() { Choice::Stated } else { Choice::Ours };
        }
        match operation {
            Operation::Write { format, content, .. }
            | Operation::Create { format, content, .. } => {
                let format = format.unwrap_or_else(|| formats::written(info, habits));
                self.encode(format, content, context)
            }
            Operation::WriteComposite { format, content } => {
                self.encode(format.unwrap_or_else(composite), content, context)
            }
            Operation::ReadComposite { paths, accept }
            | Operation::ObserveComposite { paths, accept } => {
                let format = accept.filter(|format| can_list_paths(*format));
                self.encode_paths(format.unwrap_or_else(composite), paths)
            }
            Operation::CancelObserveComposite { paths } => self.encode_paths(composite(), paths),
            Operation::Execute { arguments, .. } => {
                self.format = Some(Format::TEXT);
                self.payload = arguments.clone().into_bytes();
                Ok(())
            }
            Operation::Read { .. }
            | Operation::Discover { .. }
            | Operation::WriteAttributes { .. }
            | Operation::Delete { .. }
            | Operation::Observe { .. }
            | Operation::CancelObserve { .. } => Ok(()),
        }
    }

    fn encode(
        &mut self,
        format: Format,
        content: &[Reading],
        context: &Context<'_>,
    ) -> Result<(), String> {
        self.format = Some(format);
        // Nothing to write is a request without payload: the device chooses the instance's id, or
        // nothing changes.
        if content.is_empty() {
            return Ok(());
        }
        codec::encode(format, &self.path, content, context, &mut self.payload)
            .map_err(|error| error.to_string())
    }

    fn encode_paths(&mut self, format: Format, paths: &[Path]) -> Result<(), String> {
        self.format = Some(format);
        codec::encode_paths(format, paths, &mut self.payload).map_err(|error| error.to_string())
    }
}

/// The longest Uri-Query option (RFC 7252 5.10).
const QUERY_LEN_MAX: usize = 255;

const fn method(operation: &Operation) -> Code {
    match operation {
        Operation::Read { .. }
        | Operation::Discover { .. }
        | Operation::Observe { .. }
        | Operation::CancelObserve { .. } => Code::GET,
        Operation::Write { mode: WriteMode::Replace, .. } | Operation::WriteAttributes { .. } => {
            Code::PUT
        }
        Operation::Write { mode: WriteMode::Update, .. }
        | Operation::Execute { .. }
        | Operation::Create { .. } => Code::POST,
        Operation::Delete { .. } => Code::DELETE,
        Operation::ReadComposite { .. }
        | Operation::ObserveComposite { .. }
        | Operation::CancelObserveComposite { .. } => Code::FETCH,
        Operation::WriteComposite { .. } => Code::IPATCH,
    }
}

const fn accept(operation: &Operation) -> Option<Format> {
    match operation {
        Operation::Discover { .. } => Some(Format::LINK),
        Operation::Read { accept, .. }
        | Operation::Observe { accept, .. }
        | Operation::ReadComposite { accept, .. }
        | Operation::ObserveComposite { accept, .. } => *accept,
        Operation::Write { .. }
        | Operation::WriteAttributes { .. }
        | Operation::Execute { .. }
        | Operation::Create { .. }
        | Operation::Delete { .. }
        | Operation::WriteComposite { .. }
        | Operation::CancelObserve { .. }
        | Operation::CancelObserveComposite { .. } => None,
    }
}

/// Formats that can hold a path list: what is wanted as the answer's format is then one that the
/// device can read as well.
const fn can_list_paths(format: Format) -> bool {
    matches!(format, Format::SENML_CBOR | Format::SENML_JSON | Format::LWM2M_CBOR)
}

/// The answer of a device, undecoded. `sequence` is that of the observation, if it started one.
pub(crate) fn answer(response: Incoming<'_>, sequence: Option<u32>) -> Answer {
    let options = &response.options;
    Answer {
        code: response.code,
        format: options.content_format().map(|format| Format(format.0)),
        observe: options.observe(),
        sequence,
        location: location(options.all(OptionNumber::LOCATION_PATH)),
        body: response.payload.into_owned(),
    }
}

fn location<'a>(segments: impl Iterator<Item = &'a [u8]>) -> String {
    segments.fold(String::new(), |mut location, segment| {
        location.push('/');
        location.push_str(&String::from_utf8_lossy(segment));
        location
    })
}
