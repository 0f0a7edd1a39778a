//! Notes: whatever the engine refuses, ignores, corrects or gives up.
//!
//! Log lines, metrics and the answer to "why is my device silent" all read this one stream. Nothing
//! on the steady path makes a note.

use core::fmt;

use coap::Peer;
use lwm2m::EndpointName;

use crate::identity::RegistrationId;

/// The bytes of evidence that a note keeps. A datagram of garbage shows what it is in this much,
/// and the largest queue of events (65 536) then holds at most 4 MiB of evidence.
pub const EVIDENCE_LEN_MAX: usize = 64;

/// Something that did not go the usual way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whom it is about.
    pub who: Who,
    /// What happened.
    pub kind: NoteKind,
    /// What shows it, cut to [`EVIDENCE_LEN_MAX`].
    pub evidence: Evidence,
}

/// Whom a note is about, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Who {
    /// The address.
    pub peer: Option<Peer>,
    /// The name, if the note is about one.
    pub endpoint: Option<EndpointName>,
    /// The registration, if the note is about a registered device.
    pub registration: Option<RegistrationId>,
}

/// At most [`EVIDENCE_LEN_MAX`] bytes of what was seen.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Evidence(Box<[u8]>);

impl Evidence {
    /// The first bytes of what was seen.
    #[must_use]
    pub fn new(seen: &[u8]) -> Self {
        Self(seen.get(..EVIDENCE_LEN_MAX).unwrap_or(seen).into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoteKind {
    /// The message layer refused, repeated or ignored something.
    Message(coap::NoteKind),
    /// A Register or Update whose query cannot be used: 4.00. The evidence says what is wrong.
    RegistrationRefused(RegistrationFault),
    /// The directory refused the name, or it belongs to another identity: 4.03.
    IdentityRefused,
    /// No room for another registration, or the way up is full: 5.03.
    Overloaded,
    /// A device registers more often than the settings allow: 5.03. Once a minute for each name or
    /// address.
    RegistrationsLimited,
    /// A device notifies or sends more often than the settings allow. Once a minute for each.
    NotificationsLimited,
    /// A binding that does not fit the version; it is kept and meant as it reads.
    BindingCorrected,
    /// An Update or Deregister of a registration that does not exist: 4.04.
    UnknownRegistration,
    /// A Register that was repeated from a new port; it got the same location.
    RegisterRepeated,
    /// A registered device proved itself from a new address, which the settings refuse.
    RebindRefused,
    /// A path that the server does not have, or a method that the path does not take.
    RequestRefused,
    /// A Send from an address that no registration has: 4.04.
    SendFromStranger,
    /// A Send whose format or content cannot be used: 4.15 or 4.00.
    SendRefused,
    /// A notification of an observation whose registration is gone.
    NotificationUnknown,
    /// An observation of a command could not be set up again after a Register; the evidence is its
    /// path.
    ObservationLost,
    /// A device registered more paths than are observed without being asked.
    AutoObserveLimited,
    /// A command could not be put into a request when its turn came.
    CommandUnusable,
    /// A claim was answered that nobody had asked.
    ClaimUnknown,
    /// Commands of the former registration did not arrive in time; the registration went on alone.
    HandoverLate,
    /// Part of a stored record could not be taken back.
    RecordIncomplete,
}

/// What is wrong with a Register or Update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegistrationFault {
    /// No `ep`, and no identity to take it from.
    EndpointMissing,
    /// An `ep` that cannot be part of a topic.
    EndpointUnusable,
    /// An `ep` that does not agree with the proven identity.
    EndpointForeign,
    /// No `lwm2m`.
    VersionMissing,
    /// A `lwm2m` that is not served.
    VersionForeign,
    /// A `lt` that is not a number.
    LifetimeUnusable,
    /// A `lt` outside of the limits.
    LifetimeOutside,
    /// A parameter without `=`, or not UTF-8, or another fault of the query.
    QueryUnusable,
    /// Object links that cannot be read.
    LinksUnusable,
}

impl NoteKind {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message(kind) => kind.name(),
            Self::RegistrationRefused(_) => "registration_refused",
            Self::IdentityRefused => "identity_refused",
            Self::Overloaded => "overloaded",
            Self::RegistrationsLimited => "registrations_limited",
            Self::NotificationsLimited => "notifications_limited",
            Self::BindingCorrected => "binding_corrected",
            Self::UnknownRegistration => "unknown_registration",
            Self::RegisterRepeated => "register_repeated",
            Self::RebindRefused => "rebind_refused",
            Self::RequestRefused => "request_refused",
            Self::SendFromStranger => "send_from_stranger",
            Self::SendRefused => "send_refused",
            Self::NotificationUnknown => "notification_unknown",
            Self::ObservationLost => "observation_lost",
            Self::AutoObserveLimited => "auto_observe_limited",
            Self::CommandUnusable => "command_unusable",
            Self::ClaimUnknown => "claim_unknown",
            Self::HandoverLate => "handover_late",
            Self::RecordIncomplete => "record_incomplete",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_named_as_its_kind_in_snake_case() {
        for kind in [
            NoteKind::RegistrationRefused(RegistrationFault::VersionMissing),
            NoteKind::IdentityRefused,
            NoteKind::Overloaded,
            NoteKind::RegistrationsLimited,
            NoteKind::NotificationsLimited,
            NoteKind::BindingCorrected,
            NoteKind::UnknownRegistration,
            NoteKind::RegisterRepeated,
            NoteKind::RebindRefused,
            NoteKind::RequestRefused,
            NoteKind::SendFromStranger,
            NoteKind::SendRefused,
            NoteKind::NotificationUnknown,
            NoteKind::ObservationLost,
            NoteKind::AutoObserveLimited,
            NoteKind::CommandUnusable,
            NoteKind::ClaimUnknown,
            NoteKind::HandoverLate,
            NoteKind::RecordIncomplete,
        ] {
            let printed = format!("{kind:?}");
            let variant = printed.split('(').next().unwrap_or_default();
            assert_eq!(kind.name().replace('_', ""), variant.to_ascii_lowercase());
        }
        let message = NoteKind::Message(coap::NoteKind::Nonsense);
        assert_eq!(message.name(), "nonsense", "a note of the message layer keeps its name");
    }
}
