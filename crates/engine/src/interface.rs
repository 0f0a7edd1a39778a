//! The three interfaces of LwM2M as CoAP: requests and answers to and from the words of [`lwm2m`].
//!
//! Only here are `/rd`, `/dp` and query parameters known. State is the job of the modules beside.

pub(crate) mod management;
pub(crate) mod registration;
pub(crate) mod reporting;

use coap::{Code, Message, OptionList, Options};

use crate::identity::RegistrationId;

/// Where a request of a device goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/rd`: Register.
    Directory,
    /// `/rd/<id>`: Update and Deregister.
    Location(RegistrationId),
    /// `/dp`: Send.
    DataPush,
    /// `/.well-known/core`: what there is (RFC 6690 4).
    WellKnown,
    /// `/bs` and whatever else: nothing.
    Unknown,
}

impl Target {
    /// Reads the Uri-Path.
    pub(crate) fn of(options: &Options<'_>) -> Self {
        let mut path = options.uri_path();
        match (path.next(), path.next(), path.next()) {
            (Some(b"rd"), None, None) => Self::Directory,
            // A trailing slash makes an empty last segment.
            (Some(b"rd"), Some(b""), None) => Self::Directory,
            (Some(b"rd"), Some(id), None) => {
                RegistrationId::parse(id).map_or(Self::Unknown, Self::Location)
            }
            (Some(b"dp"), None, None) => Self::DataPush,
            (Some(b".well-known"), Some(b"core"), None) => Self::WellKnown,
            _ => Self::Unknown,
        }
    }
}

/// What a datagram says about the shard that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bearing {
    /// It carries a token or a registration id of this shard.
    Shard(u8),
    /// It is a Send: its address decides.
    Send,
    /// It belongs to whoever received it.
    Here,
}

impl Bearing {
    /// Looks at a datagram without keeping anything of it.
    pub(crate) fn of(datagram: &[u8]) -> Self {
        if let Some(shard) = coap::token_shard(datagram) {
            return Self::Shard(shard);
        }
        // Version 1 and a code of class 0 other than empty: a request.
        let is_request = matches!(datagram, &[first, code, ..]
            if first >> 6 == 1 && Code::from_byte(code).is_request());
        if !is_request {
            return Self::Here;
        }
        let Ok(message) = Message::parse(datagram) else { return Self::Here };
        match Target::of(&message.options) {
            Target::Location(id) => Self::Shard(id.shard()),
            Target::DataPush => Self::Send,
            Target::Directory | Target::WellKnown | Target::Unknown => Self::Here,
        }
    }
}

/// A response of this code and nothing else.
pub(crate) fn bare(code: Code) -> coap::Response {
    coap::Response { code, options: OptionList::new(), payload: Vec::new() }
}
