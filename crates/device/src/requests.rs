//! Requests of the device's own: Register, Update, Deregister (OMA Core 6.2), Send (6.4.6).
//!
//! Builds them and cuts large ones into blocks. When they leave and what their answers mean is the
//! job of [`crate::device`].

use std::borrow::Cow;

use coap::{Code, Instant, Message, OptionList, OptionNumber, Token};
use lwm2m::{Format, Path, Version};

use crate::block::Block;
use crate::data::Data;
use crate::profile::{QueueMode, RootLink};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Register,
    Update,
    Deregister,
    Send,
}

/// A request that is being sent.
#[derive(Debug, Clone)]
pub(crate) struct OwnRequest {
    pub(crate) kind: Kind,
    pub(crate) token: Token,
    /// When it was begun.
    pub(crate) began: Instant,
    method: Code,
    options: OptionList,
    body: Vec<u8>,
    /// Size exponent of the blocks.
    szx: u8,
    /// How much of the body the server has.
    done: usize,
    /// How often it was started again at block 0.
    restarts: u8,
}

/// What the answer to a part of a request leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The next part has to be sent.
    Continue,
    /// It was the answer.
    Answered,
}

/// A server that asks again and again to begin anew gets no more than that.
const RESTARTS_MAX: u8 = 3;

impl OwnRequest {
    pub(crate) const fn new(
        began: Instant,
        kind: Kind,
        token: Token,
        options: OptionList,
        body: Vec<u8>,
    ) -> Self {
        let method = match kind {
            Kind::Deregister => Code::DELETE,
            Kind::Register | Kind::Update | Kind::Send => Code::POST,
        };
        Self { kind, token, began, method, options, body, szx: 6, done: 0, restarts: 0 }
    }

    #[must_use]
    pub(crate) const fn in_blocks(mut self, szx: u8) -> Self {
        self.szx = szx;
        self
    }

    /// Method, options and payload of the part that is to be sent now.
    pub(crate) fn part(&self) -> (Code, Cow<'_, OptionList>, &[u8]) {
        let size = 16_usize << self.szx;
        if self.body.len() <= size {
            return (self.method, Cow::Borrowed(&self.options), &self.body);
        }
        let rest = self.body.get(self.done..).unwrap_or_default();
        let part = rest.get(..size).unwrap_or(rest);
        let number = (self.done >> (self.szx + 4)) as u32;
        let block = Block { number, more: rest.len() > size, szx: self.szx };
        let mut options = self.options.clone();
        block.push(&mut options, OptionNumber::BLOCK1);
        if number == 0 {
            options.push_uint(OptionNumber::SIZE1, self.body.len() as u64);
        }
        (self.method, Cow::Owned(options), part)
    }

    /// Its options, for their memory.
    pub(crate) fn into_options(self) -> OptionList {
        self.options
    }

    /// Takes the answer to the part that was sent last.
    pub(crate) fn on_answer(&mut self, answer: &Message<'_>) -> Progress {
        let size = 16_usize << self.szx;
        let Ok(Some(block)) = Block::of(answer, OptionNumber::BLOCK1) else {
            return Progress::Answered;
        };
        match answer.code {
            Code::CONTINUE if self.done + size < self.body.len() => {
                self.done += size;
                // A smaller size counts from here on: RFC 7959 2.3.
                self.szx = self.szx.min(block.szx);
                Progress::Continue
            }
            Code::REQUEST_ENTITY_TOO_LARGE if block.szx < self.szx => self.restart(block.szx),
            Code::REQUEST_ENTITY_INCOMPLETE => self.restart(self.szx),
            _ => Progress::Answered,
        }
    }

    fn restart(&mut self, szx: u8) -> Progress {
        if self.restarts >= RESTARTS_MAX {
            return Progress::Answered;
        }
        self.restarts += 1;
        self.szx = szx;
        self.done = 0;
        Progress::Continue
    }
}

/// Options and body of Register: OMA Core 6.2.1, Transport 6.4.1.
pub(crate) fn register(data: &Data, endpoint: &str) -> (OptionList, Vec<u8>) {
    let profile = &data.profile;
    let mut options = OptionList::new();
    options.uri_path("rd");
    if let Some(format) = profile.register_format {
        options.content_format(format.0);
    }
    options.uri_query(&format!("ep={endpoint}"));
    if let Some(lifetime) = lifetime(data) {
        options.uri_query(&format!("lt={lifetime}"));
    }
    options.uri_query(&format!("lwm2m={}", profile.version));
    push_binding(data, &mut options);
    for query in &profile.queries {
        options.uri_query(query);
    }
    (options, links(data).into_bytes())
}

/// Which parameters an Update repeats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Updated {
    /// The lifetime was written.
    pub(crate) lifetime: bool,
    /// The binding was written.
    pub(crate) binding: bool,
    /// An instance was created or deleted.
    pub(crate) objects: bool,
}

/// Body of Update, and its options behind the location: only what changed, OMA Core 6.2.2.
pub(crate) fn update(data: &Data, options: &mut OptionList, changed: Updated) -> Vec<u8> {
    let mut body = Vec::new();
    if changed.objects {
        if let Some(format) = data.profile.register_format {
            options.content_format(format.0);
        }
        body = links(data).into_bytes();
    }
    if changed.lifetime
        && let Some(lifetime) = lifetime(data)
    {
        options.uri_query(&format!("lt={lifetime}"));
    }
    if changed.binding {
        push_binding(data, options);
    }
    body
}

/// Options of Send: OMA Core 6.4.6. Its path is the server's, without the alternate path.
pub(crate) fn send(format: Format) -> OptionList {
    let mut options = OptionList::new();
    options.uri_path("dp");
    options.content_format(format.0);
    options
}

/// The lifetime as the device has it now: `/1/0/1` once a server wrote it.
fn lifetime(data: &Data) -> Option<u64> {
    data.habits.lifetime.map(|_| data.lifetime())
}

fn push_binding(data: &Data, options: &mut OptionList) {
    let profile = &data.profile;
    let Some(binding) = &profile.binding else { return };
    match data.habits.queue_mode {
        QueueMode::Off => options.uri_query(&format!("b={binding}")),
        QueueMode::On if profile.version < Version::V1_1 => {
            options.uri_query(&format!("b={binding}Q"));
        }
        QueueMode::On => {
            options.uri_query(&format!("b={binding}"));
            options.uri_query("Q");
        }
    }
}

/// The object list: OMA Core 6.2.1, RFC 6690.
fn links(data: &Data) -> String {
    let mut links = Vec::new();
    let root = data.profile.alternate_path.as_deref().unwrap_or_default();
    if data.profile.root_link == RootLink::Stated || !root.is_empty() {
        links.push(root_link(data, root));
    }
    for entry in &data.profile.versions {
        let object = Path::object(entry.object);
        let mut instances = data.tree.under(object).filter(|(path, _)| path.len() == 2).peekable();
        let version = data.stated_version(object);
        if version.is_some() || instances.peek().is_none() {
            let version = version.map(|version| format!(";ver={version}")).unwrap_or_default();
            links.push(format!("<{root}{object}>{version}"));
        }
        links.extend(instances.map(|(path, _)| format!("<{root}{path}>")));
    }
    links.join(",")
}

fn root_link(data: &Data, root: &str) -> String {
    let target = if root.is_empty() { "/" } else { root };
    let plain = [Format::TEXT, Format::OCTETS, Format::OLD_TLV, Format::OLD_JSON];
    let formats: Vec<String> = data
        .profile
        .formats
        .iter()
        .filter(|format| !plain.contains(format))
        .map(|format| format.to_string())
        .collect();
    let formats = match formats.as_slice() {
        [] => String::new(),
        [one] => format!(";ct={one}"),
        many => format!(";ct=\"{}\"", many.join(" ")),
    };
    format!("<{target}>;rt=\"oma.lwm2m\"{formats}")
}
