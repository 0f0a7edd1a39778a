//! An answer before it becomes a message.

use coap::{Code, OptionList};
use lwm2m::Path;

use crate::data::Body;
use crate::profile::{ContentFormatOption, Diagnostics};

/// Code, options and payload of an answer or notification.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) code: Code,
    pub(crate) options: OptionList,
    pub(crate) payload: Vec<u8>,
}

impl Default for Reply {
    fn default() -> Self {
        Self::code(Code::EMPTY)
    }
}

impl Reply {
    /// An answer without anything; keeps the memory.
    pub(crate) fn clear(&mut self, code: Code) {
        self.code = code;
        self.options.clear();
        self.payload.clear();
    }

    pub(crate) const fn code(code: Code) -> Self {
        Self { code, options: OptionList::new(), payload: Vec::new() }
    }

    pub(crate) fn content(body: Body, stated: ContentFormatOption) -> Self {
        let mut reply = Self::code(Code::CONTENT);
        if stated == ContentFormatOption::Stated {
            reply.options.content_format(body.format.0);
        }
        reply.payload = body.bytes;
        reply
    }

    /// 2.01 with the path of the new instance.
    pub(crate) fn created(path: &Path) -> Self {
        let mut reply = Self::code(Code::CREATED);
        for id in path.ids() {
            reply.options.location_path(&id.to_string());
        }
        reply
    }

    /// An error, with a text for people if the device gives one: RFC 7252 5.5.2.
    pub(crate) fn error(code: Code, diagnostics: Diagnostics) -> Self {
        let mut reply = Self::code(code);
        if diagnostics == Diagnostics::Text {
            reply.options.content_format(coap::ContentFormat::TEXT);
            reply.payload = diagnostic(code).as_bytes().to_vec();
        }
        reply
    }
}

fn diagnostic(code: Code) -> &'static str {
    match code {
        Code::BAD_REQUEST => "cannot be understood",
        Code::UNAUTHORIZED => "not for this server",
        Code::NOT_FOUND => "no such object, instance or resource",
        Code::METHOD_NOT_ALLOWED => "not allowed here",
        Code::NOT_ACCEPTABLE => "not available in this format",
        Code::UNSUPPORTED_CONTENT_FORMAT => "unknown format",
        _ => "failed",
    }
}
