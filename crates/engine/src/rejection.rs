//! What is told of Registers and addresses that were refused: design, section 6.
//!
//! All of them are counted and noted; the events are for applications and bounded, so that no
//! scanner floods them. Whether something is refused is judged elsewhere.

use coap::{Code, Duration, Incoming, Instant, Peer};
use lwm2m::EndpointName;

use crate::event::Event;
use crate::interface::registration::Refusal;
use crate::note::{NoteKind, RegistrationFault};
use crate::rate::Rate;
use crate::registry::{Key, Registration};
use crate::server::{Sender, Server};

/// A Register that was refused.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// Where it came from.
    pub peer: Peer,
    /// The name, if there was one that can be registered.
    pub endpoint: Option<EndpointName>,
    /// `ep` as it was sent, cut to [`Rejection::NAME_LEN_MAX`] bytes, if it was sent.
    pub name: Option<String>,
    /// What the device was answered.
    pub code: Code,
    /// Why, in one word: the name of the fault or note.
    pub reason: &'static str,
}

impl Rejection {
    /// The longest name that is shown. One that can be registered fits; one that cannot may hold
    /// anything.
    pub const NAME_LEN_MAX: usize = lwm2m::registration::ENDPOINT_NAME_LEN_MAX;
}

impl Rejection {
    /// What is told of a Register that cannot be used.
    pub(crate) fn new(sender: &Sender<'_>, refusal: Refusal, request: &Incoming<'_>) -> Self {
        let named = |query: &[u8]| query.strip_prefix(b"ep=").map(<[u8]>::to_vec);
        let name = request.options.uri_query().filter_map(named).last();
        let name = name.map(|mut name| {
            name.truncate(Self::NAME_LEN_MAX);
            String::from_utf8_lossy(&name).into_owned()
        });
        Self {
            peer: sender.peer,
            endpoint: name.as_deref().and_then(|name| EndpointName::parse(name).ok()),
            name,
            code: refusal.code,
            reason: refusal.fault.name(),
        }
    }
}

impl Server {
    pub(crate) fn refuse_address(&mut self, now: Instant, key: Key, refused: Peer) {
        self.note_device(key, NoteKind::RebindRefused, refused.to_string().as_bytes());
        let Some(device) = self.registry.get(key).map(Registration::device) else { return };
        if self.rejections.take(now, REJECTIONS_TOLD) {
            self.emit(key, Event::AddressRefused { device, refused });
        }
    }

    /// Tells of a Register that was refused, unless there were many just now.
    pub(crate) fn tell_rejection(&mut self, now: Instant, rejection: Rejection) {
        if self.rejections.take(now, REJECTIONS_TOLD) {
            self.announce(Event::Rejected(Box::new(rejection)));
        }
    }
}

impl RegistrationFault {
    /// The name in logs and events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EndpointMissing => "endpoint_missing",
            Self::EndpointUnusable => "endpoint_unusable",
            Self::EndpointForeign => "endpoint_foreign",
            Self::VersionMissing => "version_missing",
            Self::VersionForeign => "version_foreign",
            Self::LifetimeUnusable => "lifetime_unusable",
            Self::LifetimeOutside => "lifetime_outside",
            Self::QueryUnusable => "query_unusable",
            Self::LinksUnusable => "links_unusable",
        }
    }
}

/// How often a refused Register or address is told of, per shard: enough to see each of a few
/// devices that were set up wrongly, and no flood upwards when a scanner floods us. All are counted
/// and noted.
const REJECTIONS_TOLD: Rate = Rate { interval: Duration::from_millis(200), burst: 50 };
