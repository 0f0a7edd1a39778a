//! The filters of a listing: EMQX 5's parameters of `/gateways/lwm2m/clients`.
//!
//! They are judged before any shard is asked, and applied in the shard's turn.

use std::net::IpAddr;
use std::sync::Arc;

use engine::Row;
use lwm2m::EndpointName;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::client::{Times, username};
use super::walk::{Position, Wanted};
use crate::http::ApiError;

/// The largest page, as in EMQX.
const LIMIT_MAX: u32 = 10_000;

/// Rows of a page when the request does not say.
const LIMIT_DEFAULT: u32 = 100;

/// The parameters of a listing. All filters that are given must fit.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ClientsQuery {
    /// Which page, from 1.
    #[param(minimum = 1, example = 1)]
    page: Option<u32>,
    /// Rows of a page, 100 if not given.
    #[param(minimum = 1, maximum = 10000, example = 100)]
    limit: Option<u32>,
    /// Where to go on, from the `meta` of the page before; instead of `page`. For large fleets:
    /// it costs the same wherever it leads to, and misses no device that stays.
    cursor: Option<String>,
    /// The name of the node.
    node: Option<String>,
    /// The endpoint name.
    clientid: Option<String>,
    /// The user name: the device's `imei` parameter, else its endpoint name.
    username: Option<String>,
    /// The address of the device, without port.
    ip_address: Option<String>,
    /// The state of the connection; a registered device is connected.
    #[param(inline)]
    conn_state: Option<ConnState>,
    /// Always true for LwM2M devices.
    clean_start: Option<bool>,
    /// The LwM2M version that the device registered with.
    #[param(example = "1.1")]
    proto_ver: Option<String>,
    /// A part of the endpoint name.
    like_clientid: Option<String>,
    /// A part of the user name.
    like_username: Option<String>,
    /// Registered at this time or later: RFC 3339 or milliseconds since 1970.
    gte_created_at: Option<String>,
    /// Registered at this time or before.
    lte_created_at: Option<String>,
    /// As `gte_created_at`.
    gte_connected_at: Option<String>,
    /// As `lte_created_at`.
    lte_connected_at: Option<String>,
    /// The endpoint name.
    endpoint_name: Option<String>,
    /// A part of the endpoint name.
    like_endpoint_name: Option<String>,
    /// A lifetime of this many seconds or more.
    gte_lifetime: Option<u64>,
    /// A lifetime of this many seconds or less.
    lte_lifetime: Option<u64>,
}

/// The states of a connection that EMQX knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ConnState {
    Idle,
    Connecting,
    Connected,
    Disconnected,
}

/// Which rows of the matching ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Page(u32),
    At(Position),
}

/// A listing that makes sense.
pub(super) struct Listing {
    pub(super) start: Start,
    pub(super) limit: usize,
    pub(super) selection: Selection,
}

/// Which devices are wanted.
pub(super) enum Selection {
    All,
    None,
    /// The one of this name, if it fits.
    One(EndpointName, Wanted),
    Some(Wanted),
}

impl ClientsQuery {
    /// Judges the parameters.
    pub(super) fn listing(self, node: &str, times: Times) -> Result<Listing, ApiError> {
        let limit = bounded("limit", self.limit, LIMIT_DEFAULT, LIMIT_MAX)? as usize;
        let page = bounded("page", self.page, 1, u32::MAX)?;
        let start = match &self.cursor {
            None => Start::Page(page),
            Some(_) if self.page.is_some() => {
                return Err(ApiError::bad_request("cursor: cannot be combined with page"));
            }
            Some(text) => Start::At(text.parse().map_err(|()| {
                ApiError::bad_request("cursor: expected one from the meta of another page")
            })?),
        };
        Ok(Listing { start, limit, selection: self.selection(node, times)? })
    }

    fn selection(self, node: &str, times: Times) -> Result<Selection, ApiError> {
        let elsewhere = self.node.as_deref().is_some_and(|wanted| wanted != node);
        let impossible = self.clean_start == Some(false)
            || self.conn_state.is_some_and(|state| state != ConnState::Connected);
        let names = [self.clientid.as_deref(), self.endpoint_name.as_deref()];
        let names: Vec<&str> = names.into_iter().flatten().collect();
        let filter = self.filter(times)?;
        let exact = match *names.as_slice() {
            [name, ref rest @ ..] => {
                let same = rest.iter().all(|other| *other == name);
                Some(EndpointName::parse(name).ok().filter(|_| same))
            }
            [] => None,
        };
        Ok(match (elsewhere || impossible, exact) {
            (true, _) | (_, Some(None)) => Selection::None,
            (false, Some(Some(name))) => Selection::One(name, filter.wanted()),
            (false, None) if filter.is_empty() => Selection::All,
            (false, None) => Selection::Some(filter.wanted()),
        })
    }

    fn filter(&self, times: Times) -> Result<Filter, ApiError> {
        let ip = self.ip_address.as_deref().map(|text| {
            text.parse::<IpAddr>().map_err(|_| {
                ApiError::bad_request(format!("ip_address: \"{text}\" is no IP address"))
            })
        });
        let parts = [&self.like_clientid, &self.like_endpoint_name];
        Ok(Filter {
            times,
            name_parts: parts.into_iter().flatten().cloned().collect(),
            username: self.username.clone(),
            username_part: self.like_username.clone(),
            ip: ip.transpose()?.map(|ip| ip.to_canonical()),
            version: self.proto_ver.clone(),
            created: Span {
                from: latest(
                    time("gte_created_at", self.gte_created_at.as_deref())?,
                    time("gte_connected_at", self.gte_connected_at.as_deref())?,
                ),
                to: earliest(
                    time("lte_created_at", self.lte_created_at.as_deref())?,
                    time("lte_connected_at", self.lte_connected_at.as_deref())?,
                ),
            },
            lifetime: Span { from: self.gte_lifetime, to: self.lte_lifetime },
        })
    }
}

fn bounded(name: &str, given: Option<u32>, default: u32, max: u32) -> Result<u32, ApiError> {
    match given.unwrap_or(default) {
        number if (1..=max).contains(&number) => Ok(number),
        _ => Err(ApiError::bad_request(format!("{name}: expected 1 to {max}"))),
    }
}

fn latest(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.max(b)
}

fn earliest(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    [a, b].into_iter().flatten().min()
}

/// What must hold of a row.
struct Filter {
    times: Times,
    name_parts: Vec<String>,
    username: Option<String>,
    username_part: Option<String>,
    ip: Option<IpAddr>,
    version: Option<String>,
    created: Span<i64>,
    lifetime: Span<u64>,
}

impl Filter {
    fn is_empty(&self) -> bool {
        self.name_parts.is_empty()
            && self.username.is_none()
            && self.username_part.is_none()
            && self.ip.is_none()
            && self.version.is_none()
            && self.created.is_open()
            && self.lifetime.is_open()
    }

    fn wanted(self) -> Wanted {
        Arc::new(move |row| self.fits(row))
    }

    fn fits(&self, row: &Row) -> bool {
        let device = &row.device;
        let name = device.endpoint.as_str();
        let user = username(device);
        self.name_parts.iter().all(|part| name.contains(part))
            && self.username.as_deref().is_none_or(|wanted| user == wanted)
            && self.username_part.as_deref().is_none_or(|part| user.contains(part))
            && self.ip.is_none_or(|ip| device.peer.remote_ip().to_canonical() == ip)
            && self.version.as_deref().is_none_or(|wanted| {
                device.info.parameters.lwm2m().is_some_and(|version| version.as_str() == wanted)
            })
            && self.created.holds(self.times.registered(row))
            && self.lifetime.holds(device.info.lifetime.as_secs())
    }
}

/// A span of which either end may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span<T> {
    from: Option<T>,
    to: Option<T>,
}

impl<T: PartialOrd + Copy> Span<T> {
    const fn is_open(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    fn holds(&self, value: T) -> bool {
        self.from.is_none_or(|from| from <= value) && self.to.is_none_or(|to| value <= to)
    }
}

/// A point of time: milliseconds since 1970, or RFC 3339 with any offset. (A `+` in a query that
/// was not escaped has become a space.)
fn time(name: &str, text: Option<&str>) -> Result<Option<i64>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let read = text.parse().ok().or_else(|| rfc3339(&text.replacen(' ', "+", 1)));
    read.map(Some).ok_or_else(|| {
        let expected = "a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970";
        ApiError::bad_request(format!("{name}: expected {expected}"))
    })
}

fn rfc3339(text: &str) -> Option<i64> {
    let (local, offset) = match text.strip_suffix(['Z', 'z']) {
        Some(local) => (local, 0),
        None => {
            let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
            (local, offset_minutes(offset)?)
        }
    };
    let time = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()?.checked_sub(offset * 60_000)
}

/// `+hh:mm` or `-hh:mm`.
fn offset_minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
    let minutes = i64::from(hours) * 60 + i64::from(minutes);
    match text.as_bytes().first()? {
        b'+' => Some(minutes),
        b'-' => Some(-minutes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_any_offset() {
        let noon = 1_769_860_800_000;
        for text in [
            "1769860800000",
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00.000Z",
            "2026-01-31T13:00:00+01:00",
            "2026-01-31T13:00:00 01:00",
            "2026-01-31T06:30:00-05:30",
        ] {
            assert_eq!(time("t", Some(text)).unwrap(), Some(noon), "{text}");
        }
        for text in ["", "noon", "2026-01-31", "2026-01-31T12:00:00", "12:00:00+01:00", "é"] {
            assert!(time("gte_created_at", Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_span_holds_its_ends() {
        let span = Span { from: Some(2), to: Some(3) };
        assert_eq!([1, 2, 3, 4].map(|n| span.holds(n)), [false, true, true, false]);
        assert!(Span::<u64> { from: None, to: None }.is_open());
    }

    #[test]
    fn names_that_differ_or_are_none_select_nobody() {
        let times = Times::new(0);
        let select = |query: ClientsQuery| query.selection("node", times).unwrap();
        let named = |a: &str, b: Option<&str>| ClientsQuery {
            clientid: Some(a.to_owned()),
            endpoint_name: b.map(str::to_owned),
            ..ClientsQuery::default()
        };
        assert!(matches!(select(named("a", None)), Selection::One(..)));
        assert!(matches!(select(named("a", Some("a"))), Selection::One(..)));
        assert!(matches!(select(named("a", Some("b"))), Selection::None));
        assert!(matches!(select(named("a+", None)), Selection::None));
        assert!(matches!(select(ClientsQuery::default()), Selection::All));
        let away = ClientsQuery { node: Some("other".to_owned()), ..ClientsQuery::default() };
        assert!(matches!(select(away), Selection::None));
        let idle = ClientsQuery { conn_state: Some(ConnState::Idle), ..ClientsQuery::default() };
        assert!(matches!(select(idle), Selection::None));
    }
}
