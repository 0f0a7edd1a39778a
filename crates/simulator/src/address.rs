//! The address of the server as people write it.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// An address that leads to no server.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It cannot be found.
    #[error("cannot resolve the server address `{text}`: {source}")]
    Unresolved {
        /// As it was given.
        text: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It has no port, or is none.
    #[error("`{0}` is not a server address: write HOST:PORT, e.g. 127.0.0.1:5683")]
    NoAddress(String),
}

/// Reads `HOST:PORT`, or `HOST` with CoAP's port 5683.
///
/// # Errors
/// A text that is no address, and a name that cannot be resolved.
pub fn resolve_server(text: &str) -> Result<SocketAddr, AddressError> {
    const COAP_PORT: u16 = 5683;
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse() {
        return Ok(SocketAddr::new(ip, COAP_PORT));
    }
    if text.is_empty() || text.contains(['/', ' ', '@']) {
        return Err(AddressError::NoAddress(text.to_owned()));
    }
    let with_port =
        if text.contains(':') { text.to_owned() } else { format!("{text}:{COAP_PORT}") };
    let resolved = with_port
        .to_socket_addrs()
        .map_err(|source| AddressError::Unresolved { text: text.to_owned(), source })?;
    // IPv4 first: a server on `localhost` listens there more often than on ::1.
    let mut addresses: Vec<SocketAddr> = resolved.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.first().copied().ok_or_else(|| AddressError::NoAddress(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_addresses_are_read_or_refused() {
        let rows = [
            ("127.0.0.1:5683", Some("127.0.0.1:5683")),
            ("127.0.0.1", Some("127.0.0.1:5683")),
            ("[::1]:5684", Some("[::1]:5684")),
            ("::1", Some("[::1]:5683")),
            ("localhost:7", Some("127.0.0.1:7")),
            ("", None),
            ("coap://127.0.0.1", None),
            ("127.0.0.1:99999", None),
            ("127.0.0.1:", None),
        ];
        for (text, expected) in rows {
            let found = resolve_server(text).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        }
    }
}
