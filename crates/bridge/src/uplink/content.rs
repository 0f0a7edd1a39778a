//! Payloads of devices as `content` (contract, section 4.3).

use engine::Code;
use lwm2m::codec::{self, Context, DecodeError};
use lwm2m::{Content, Format, Layout, Path, Reading, link_format};

use crate::json::{self, LeadingSlash};
use crate::settings::Profile;

/// What of a payload is published.
#[derive(Debug)]
pub(super) enum Published {
    /// Nothing: the code says it all.
    CodeOnly,
    /// Its values.
    Content(Content),
    /// 4.00 in place of the code: the payload cannot be read.
    Undecodable,
}

/// A payload and what it answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payload<'a> {
    pub(super) code: Code,
    pub(super) format: Option<Format>,
    pub(super) body: &'a [u8],
    pub(super) path: Path,
}

/// Formats that EMQX 5 knows by name and does not decode. It takes any other unknown one for bytes.
const NAMED_BY_EMQX5: [Format; 4] = [Format::LINK, Format(41), Format(47), Format(50)];

impl Payload<'_> {
    pub(super) fn decode(&self, context: &Context<'_>, profile: Profile) -> Published {
        match self.try_decode(context, profile) {
            Ok(content) => Published::Content(content),
            // Nothing in it and nothing promised: 2.03 has no payload, 2.04 need not have one.
            Err(_) if self.body.is_empty() && self.code != Code::CONTENT => Published::CodeOnly,
            Err(_) => Published::Undecodable,
        }
    }

    fn try_decode(&self, context: &Context<'_>, profile: Profile) -> Result<Content, DecodeError> {
        let format = self.format.unwrap_or(Format::TEXT).normalized();
        // Text is one value, so it answers for a resource and nothing above.
        if format == Format::TEXT && self.path.resource_id().is_none() {
            return Err(DecodeError::Unfitting(self.path));
        }
        match codec::decode(self.format, &self.path, self.body, context) {
            Err(DecodeError::UnsupportedFormat(format))
                if profile == Profile::Emqx5 && !NAMED_BY_EMQX5.contains(&format) =>
            {
                codec::decode(Some(Format::OCTETS), &self.path, self.body, context)
            }
            decoded => decoded,
        }
    }
}

/// Appends the items of `content`.
pub(super) fn push_content(out: &mut Vec<u8>, content: &Content) {
    // That is how EMQX shows several instances; applications compare the text.
    let slash = match content.layout {
        Layout::Instances => LeadingSlash::LeftOut,
        _ => LeadingSlash::Kept,
    };
    out.push(b'[');
    for (number, reading) in content.readings.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        push_item(out, reading, slash);
    }
    out.push(b']');
}

fn push_item(out: &mut Vec<u8>, reading: &Reading, slash: LeadingSlash) {
    out.extend_from_slice(b"{\"path\":");
    json::push_path(out, &reading.path, slash);
    out.extend_from_slice(b",\"value\":");
    match &reading.value {
        Some(value) => json::push_value(out, value),
        None => out.extend_from_slice(b"null"),
    }
    if let Some(time) = reading.time_ms {
        out.extend_from_slice(b",\"timestamp\":");
        json::push_integer(out, time);
    }
    if reading.raw {
        out.extend_from_slice(b",\"raw\":true");
    }
    out.push(b'}');
}

/// Appends the links of a Discover answer as they were sent, cut at the commas outside of quotes.
pub(super) fn push_links(out: &mut Vec<u8>, body: &[u8]) {
    out.push(b'[');
    let text = String::from_utf8_lossy(body);
    for (number, link) in link_format::split(&text).enumerate() {
        if number > 0 {
            out.push(b',');
        }
        json::push_string(out, link);
    }
    out.push(b']');
}
