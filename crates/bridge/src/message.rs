//! The names of messages (`msgType`) and of response codes (contract, sections 3.2 and 4.2).

use engine::Code;

use crate::settings::Profile;

/// The msgTypes of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageType {
    Read,
    Discover,
    Write,
    WriteAttr,
    Execute,
    Create,
    Delete,
    Observe,
    CancelObserve,
    ReadComposite,
    WriteComposite,
    ObserveComposite,
    CancelObserveComposite,
}

impl MessageType {
    /// Each type with its name and its number in a packed [`crate::origin::Asked`].
    const ALL: [(Self, &'static str, u8); 13] = [
        (Self::Read, "read", 1),
        (Self::Discover, "discover", 2),
        (Self::Write, "write", 3),
        (Self::WriteAttr, "write-attr", 4),
        (Self::Execute, "execute", 5),
        (Self::Create, "create", 6),
        (Self::Delete, "delete", 7),
        (Self::Observe, "observe", 8),
        (Self::CancelObserve, "cancel-observe", 9),
        (Self::ReadComposite, "read-composite", 10),
        (Self::WriteComposite, "write-composite", 11),
        (Self::ObserveComposite, "observe-composite", 12),
        (Self::CancelObserveComposite, "cancel-observe-composite", 13),
    ];

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(message, ..)| *message)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(known, ..)| *known == self).map_or("", |(_, name, _)| *name)
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().find(|(.., known)| *known == number).map(|(message, ..)| *message)
    }

    pub(crate) fn number(self) -> u8 {
        Self::ALL.iter().find(|(known, ..)| *known == self).map_or(0, |(.., number)| *number)
    }

    /// Whether the command starts an observation.
    pub(crate) const fn observes(self) -> bool {
        matches!(self, Self::Observe | Self::ObserveComposite)
    }
}

/// The name of a response code.
pub(crate) const fn code_message(code: Code, profile: Profile) -> &'static str {
    match (code.class(), code.detail()) {
        (2, 1) => "created",
        (2, 2) => "deleted",
        (2, 3) => "valid",
        (2, 4) => "changed",
        (2, 5) => "content",
        (2, 31) => "continue",
        (4, 0) => "bad_request",
        // The missing letter is EMQX 4's; applications of its time compare with it.
        (4, 1) => match profile {
            Profile::Emqx4 => "uauthorized",
            Profile::Emqx5 => "unauthorized",
        },
        (4, 2) => "bad_option",
        (4, 3) => "forbidden",
        (4, 4) => "not_found",
        (4, 5) => "method_not_allowed",
        (4, 6) => "not_acceptable",
        (4, 8) => "request_entity_incomplete",
        (4, 9) => "conflict",
        (4, 12) => "precondition_failed",
        (4, 13) => "request_entity_too_large",
        (4, 15) => "unsupported_content_format",
        (4, 22) => "unprocessable_entity",
        (4, 29) => "too_many_requests",
        (5, 0) => "internal_server_error",
        (5, 1) => "not_implemented",
        (5, 2) => "bad_gateway",
        (5, 3) => "service_unavailable",
        (5, 4) => "gateway_timeout",
        (5, 5) => "proxying_not_supported",
        (5, 8) => "hop_limit_reached",
        _ => "unknown",
    }
}
