//! Register and Update judged by settings and profile: OMA Core 6.2.1, 6.2.2, Transport 6.4.1.
//!
//! A request becomes what is to be registered, or a [`Refusal`] with its code and text. Keeping it
//! is the job of [`crate::registry`], answering that of [`crate::registrations`].

use std::sync::Arc;

use coap::{Code, OptionList, Options};
use lwm2m::registration::{
    Lifetime, LifetimeError, ObjectLinks, Parameters, QueueMode, Register, RegisterError, Update,
};
use lwm2m::{EndpointName, EndpointNameError};

use crate::event::Presence;
use crate::identity::Identity;
use crate::links::Links;
use crate::note::RegistrationFault;
use crate::settings::{LifetimePolicy, Profile, Settings};

/// A Register that can be granted.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) endpoint: EndpointName,
    pub(crate) content: Content,
}

/// What a Register or Update says, as far as it says it.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) parameters: Parameters,
    pub(crate) links: Option<Arc<ObjectLinks>>,
}

/// A Register or Update that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) fault: RegistrationFault,
    text: &'static str,
}

impl Refusal {
    /// The answer: in profile 5 with the text that EMQX 5 sends.
    pub(crate) fn response(self, profile: Profile) -> coap::Response {
        let payload = match profile {
            Profile::Emqx4 => Vec::new(),
            Profile::Emqx5 => self.text.as_bytes().to_vec(),
        };
        coap::Response { code: self.code, options: OptionList::new(), payload }
    }

    const fn bad_request(fault: RegistrationFault) -> Self {
        Self { code: Code::BAD_REQUEST, fault, text: "Login Failed: invalid queries" }
    }

    /// A version that is missing or not served: 4.12 makes a 1.2 device fall back (fact 1); EMQX 5
    /// answers 4.00.
    const fn version(fault: RegistrationFault, profile: Profile) -> Self {
        let code = match profile {
            Profile::Emqx4 => Code::PRECONDITION_FAILED,
            Profile::Emqx5 => Code::BAD_REQUEST,
        };
        Self { code, fault, text: "Login Failed: invalid lwm2m version" }
    }

    /// The name belongs to somebody else: 4.03, in EMQX 5 4.00.
    pub(crate) const fn identity(profile: Profile) -> Self {
        let code = match profile {
            Profile::Emqx4 => Code::FORBIDDEN,
            Profile::Emqx5 => Code::BAD_REQUEST,
        };
        let fault = RegistrationFault::EndpointForeign;
        Self { code, fault, text: "Login Failed: not_authorized" }
    }
}

/// Reads a Register. The order of the checks is that of EMQX 4: syntax, version, name and lifetime.
pub(crate) fn register(
    options: &Options<'_>,
    payload: &[u8],
    identity: &Identity,
    settings: &Settings,
    known: &mut Links,
) -> Result<Wanted, Refusal> {
    let register = Register::parse_with(options.uri_query(), || known.read(payload));
    let register = register.map_err(unreadable)?;
    let parameters = syntax(register.parameters, settings.profile)?;
    version(&parameters, settings)?;
    let endpoint = endpoint(register.endpoint, identity)?;
    let lifetime = lifetime(register.lifetime)?.unwrap_or(Lifetime::DEFAULT);
    limits(lifetime, settings)?;
    let content = Content { lifetime: Some(lifetime), parameters, links: register.links };
    Ok(Wanted { endpoint, content })
}

/// Reads an Update. One that is refused leaves the registration as it was.
pub(crate) fn update(
    options: &Options<'_>,
    payload: &[u8],
    settings: &Settings,
    known: &mut Links,
) -> Result<Content, Refusal> {
    let update = Update::parse_with(options.uri_query(), || known.read(payload));
    let update = update.map_err(unreadable)?;
    let parameters = syntax(update.parameters, settings.profile)?;
    if parameters.contains("lwm2m") {
        version(&parameters, settings)?;
    }
    let lifetime = lifetime(update.lifetime)?;
    if let Some(lifetime) = lifetime {
        limits(lifetime, settings)?;
    }
    Ok(Content { lifetime, parameters, links: update.links })
}

/// Whether the device sleeps. The access point names are a sign for EMQX 5 only.
pub(crate) fn presence(parameters: &Parameters, profile: Profile) -> Presence {
    match (parameters.queue_mode(), profile) {
        (QueueMode::Off, _) | (QueueMode::Apn, Profile::Emqx4) => Presence::Always,
        (QueueMode::Parameter | QueueMode::Binding, _) | (QueueMode::Apn, Profile::Emqx5) => {
            Presence::QueueMode
        }
    }
}

/// How long the timer runs. Zero would end a registration at once; EMQX 5 takes the longest for it.
pub(crate) const fn timer(lifetime: Lifetime, settings: &Settings) -> coap::Duration {
    match lifetime.as_secs() {
        0 => coap::Duration::from_secs(settings.lifetime_max),
        seconds => coap::Duration::from_secs(seconds),
    }
}

/// Whether the binding is one that the version knows; fact 2 has it kept all the same.
pub(crate) fn binding_fits(parameters: &Parameters) -> bool {
    let version = parameters.lwm2m().and_then(|lwm2m| lwm2m.version());
    let Some((binding, version)) = parameters.binding().zip(version) else { return true };
    binding.fits(version)
}

/// Keys without `=` but `Q`, and `=value`: 4.00 in profile 4; ignored and kept in profile 5.
fn syntax(parameters: Parameters, profile: Profile) -> Result<Parameters, Refusal> {
    match profile {
        Profile::Emqx4 => {
            if parameters.value_less_keys().next().is_some() || parameters.has_empty_key() {
                return Err(Refusal::bad_request(RegistrationFault::QueryUnusable));
            }
            Ok(parameters)
        }
        Profile::Emqx5 if parameters.value_less_keys().next().is_some() => {
            Ok(parameters.filtered(|key, value| value.is_some() || key == "Q"))
        }
        Profile::Emqx5 => Ok(parameters),
    }
}

fn version(parameters: &Parameters, settings: &Settings) -> Result<(), Refusal> {
    match parameters.lwm2m() {
        Some(version) if settings.accepts_version(version.as_str()) => Ok(()),
        Some(_) => Err(Refusal::version(RegistrationFault::VersionForeign, settings.profile)),
        None => Err(Refusal::version(RegistrationFault::VersionMissing, settings.profile)),
    }
}

/// `ep` as sent, else the proven name: fact 4. A proven name and another `ep`: fact 5.
fn endpoint(given: Option<&str>, identity: &Identity) -> Result<EndpointName, Refusal> {
    let Some(name) = given.or_else(|| identity.name()) else {
        return Err(Refusal::bad_request(RegistrationFault::EndpointMissing));
    };
    let unusable = |_: EndpointNameError| Refusal::bad_request(RegistrationFault::EndpointUnusable);
    EndpointName::parse(name).map_err(unusable)
}

fn lifetime(given: Result<Option<Lifetime>, LifetimeError>) -> Result<Option<Lifetime>, Refusal> {
    // Fact 8: beyond 64 bits is no number that anybody means.
    given.map_err(|_| Refusal::bad_request(RegistrationFault::LifetimeUnusable))
}

fn limits(lifetime: Lifetime, settings: &Settings) -> Result<(), Refusal> {
    let allowed = settings.lifetime_min..=settings.lifetime_max;
    match settings.lifetime_policy() {
        LifetimePolicy::Refuse if !allowed.contains(&lifetime.as_secs()) => {
            Err(Refusal::bad_request(RegistrationFault::LifetimeOutside))
        }
        LifetimePolicy::Refuse | LifetimePolicy::Accept => Ok(()),
    }
}

fn unreadable(error: RegisterError) -> Refusal {
    Refusal::bad_request(match error {
        RegisterError::Parameters(_) => RegistrationFault::QueryUnusable,
        RegisterError::Links(_) => RegistrationFault::LinksUnusable,
    })
}
