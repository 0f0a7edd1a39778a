//! Register and Update as plain data: OMA Core 6.2.1, 6.2.2.
//!
//! Parsed, not judged: what is refused, and by which code, depends on the profile and is the job of
//! `engine`, which knows `/rd`, Location-Path and answers.

mod endpoint;
mod lifetime;
mod links;
mod parameters;

#[cfg(test)]
mod tests;

use std::str::Utf8Error;

pub use endpoint::{ENDPOINT_NAME_LEN_MAX, EndpointName, EndpointNameError};
pub use lifetime::{Lifetime, LifetimeError};
pub use links::{LINKS_MAX, LinksError, ObjectLinks, ObjectLinksParts};
pub use parameters::{
    Binding, LwM2mVersion, PARAMETERS_MAX, Parameters, ParametersError, QueueMode,
};

use parameters::ParametersBuilder;

/// A Register request (OMA Core 6.2.1), its payload read as `L`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register<'a, L = ObjectLinks> {
    /// `ep` as it was sent; [`EndpointName::parse`] judges it. It may be missing since LwM2M 1.1.
    pub endpoint: Option<&'a str>,
    /// `lt`; `None` when missing or without a value: then [`Lifetime::DEFAULT`] counts.
    pub lifetime: Result<Option<Lifetime>, LifetimeError>,
    /// All other parameters, in order.
    pub parameters: Parameters,
    /// What the payload says; `None` for an empty one.
    pub links: Option<L>,
}

/// An Update request (OMA Core 6.2.2), its payload read as `L`. What is missing stays as it was
/// registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update<L = ObjectLinks> {
    /// `lt`; `None` when missing or without a value.
    pub lifetime: Result<Option<Lifetime>, LifetimeError>,
    /// All other parameters but `ep`, in order; to be laid over the registered ones.
    pub parameters: Parameters,
    /// What the payload says, in place of the registered links; `None` for an empty one.
    pub links: Option<L>,
}

impl<'a> Register<'a> {
    /// Takes the Uri-Query options in order and the payload.
    pub fn parse(
        queries: impl IntoIterator<Item = &'a [u8]>,
        payload: &[u8],
    ) -> Result<Self, RegisterError> {
        Self::parse_with(queries, || ObjectLinks::parse(payload))
    }
}

impl<'a, L> Register<'a, L> {
    /// The same for those who read the payload themselves, as [`ObjectLinks::parse`] does.
    pub fn parse_with(
        queries: impl IntoIterator<Item = &'a [u8]>,
        links: impl FnOnce() -> Result<Option<L>, LinksError>,
    ) -> Result<Self, RegisterError> {
        let query = Query::parse(queries)?;
        Ok(Self {
            endpoint: query.endpoint,
            lifetime: query.lifetime,
            parameters: query.parameters.finish(),
            links: links()?,
        })
    }
}

impl Update {
    /// Takes the Uri-Query options in order and the payload.
    pub fn parse<'a>(
        queries: impl IntoIterator<Item = &'a [u8]>,
        payload: &[u8],
    ) -> Result<Self, RegisterError> {
        Self::parse_with(queries, || ObjectLinks::parse(payload))
    }
}

impl<L> Update<L> {
    /// The same for those who read the payload themselves, as [`ObjectLinks::parse`] does.
    pub fn parse_with<'a>(
        queries: impl IntoIterator<Item = &'a [u8]>,
        links: impl FnOnce() -> Result<Option<L>, LinksError>,
    ) -> Result<Self, RegisterError> {
        let query = Query::parse(queries)?;
        Ok(Self {
            lifetime: query.lifetime,
            parameters: query.parameters.finish(),
            links: links()?,
        })
    }
}

/// Why a Register or Update cannot be read at all; the peer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The parameters cannot be read.
    #[error(transparent)]
    Parameters(#[from] ParametersError),
    /// The payload cannot be read.
    #[error(transparent)]
    Links(#[from] LinksError),
}

/// The query options, with what each registration has of its own taken out of the parameters, so
/// that these can be shared by a fleet.
struct Query<'a> {
    endpoint: Option<&'a str>,
    lifetime: Result<Option<Lifetime>, LifetimeError>,
    parameters: ParametersBuilder<'a>,
}

impl<'a> Query<'a> {
    fn parse(queries: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, ParametersError> {
        let mut parameters = ParametersBuilder::default();
        for option in queries {
            let text = core::str::from_utf8(option).map_err(not_utf8)?;
            parameters.push(text)?;
        }
        let endpoint = parameters.take_value("ep");
        let lifetime = parameters.take_value("lt").map(Lifetime::parse).transpose();
        Ok(Self { endpoint, lifetime, parameters })
    }
}

fn not_utf8(_: Utf8Error) -> ParametersError {
    ParametersError::NotUtf8
}
