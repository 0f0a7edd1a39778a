//! Ends of commands without an answer (contract, section 4.4 and table 0.1).

use std::borrow::Cow;

use engine::{Code, CommandError};

use super::Writer;
use super::answer::Request;
use crate::contract::Channel;
use crate::json;
use crate::origin::Sequence;
use crate::publication::Publication;
use crate::settings::{Profile, Report};

/// How such an end is published.
enum End<'a> {
    /// A msgType of its own, with the command's `data`.
    Returned(&'static str),
    /// The command's msgType with a code in the device's place.
    Report { code: Code, reason: Cow<'a, str> },
}

impl Writer<'_> {
    pub(super) fn failed(
        &mut self,
        request: Request<'_>,
        error: &CommandError,
        out: &mut Vec<Publication>,
    ) {
        let settings = &self.contract.settings;
        if settings.report == Report::Profile && !is_published_by(settings.profile, error) {
            return;
        }
        let end = match (error, code_of(error)) {
            (CommandError::Reset, _) => End::Returned("coap_reset"),
            (_, Some((code, reason))) => End::Report { code, reason },
            (_, None) => End::Returned("coap_timeout"),
        };
        match end {
            End::Returned(message) => self.returned(message, request, out),
            End::Report { code, reason } => self.report(request, code, &reason, out),
        }
    }

    fn report(
        &mut self,
        request: Request<'_>,
        code: Code,
        reason: &str,
        out: &mut Vec<Publication>,
    ) {
        self.json.push(b'{');
        self.echo(request.asked, Sequence::FromApplication);
        self.raw("\"msgType\":\"");
        self.raw(request.asked.map_or("observe", |asked| asked.message.name()));
        self.raw("\",\"data\":{\"reqPath\":");
        self.request_path(request);
        self.code(code);
        self.raw(",\"reason\":");
        json::push_string(self.json, reason);
        self.raw("}}");
        self.answer(request.asked, Channel::Response, out);
    }
}

/// What stands for the device's code when the gateway knows why there is none, and the reason. None
/// for what the device itself did: it said nothing, or Reset.
pub(super) fn code_of(error: &CommandError) -> Option<(Code, Cow<'_, str>)> {
    let unavailable = |reason: &'static str| Some((Code::SERVICE_UNAVAILABLE, reason.into()));
    match error {
        CommandError::Reset | CommandError::Timeout { .. } => None,
        CommandError::Expired => unavailable("expired"),
        CommandError::QueueFull => unavailable("queue_full"),
        CommandError::Deregistered | CommandError::RegistrationExpired => {
            unavailable("deregistered")
        }
        CommandError::Replaced => unavailable("replaced"),
        CommandError::Stopping => unavailable("stopping"),
        CommandError::UnknownDevice => Some((Code::NOT_FOUND, "unknown_device".into())),
        CommandError::Transfer(_) => Some((Code::BAD_GATEWAY, error.to_string().into())),
        CommandError::CompositeUnsupported(code) => {
            Some((code.unwrap_or(Code::NOT_IMPLEMENTED), "composite_unsupported".into()))
        }
        CommandError::Unsupported(reason) => Some((Code::BAD_REQUEST, reason.into())),
    }
}

/// Whether the EMQX release of the profile publishes such an end: 4.x is silent about all of them,
/// 5.x is not about resets, silence of the device and broken uploads.
const fn is_published_by(profile: Profile, error: &CommandError) -> bool {
    match profile {
        Profile::Emqx4 => false,
        Profile::Emqx5 => matches!(
            error,
            CommandError::Reset | CommandError::Timeout { .. } | CommandError::Transfer(_)
        ),
    }
}
