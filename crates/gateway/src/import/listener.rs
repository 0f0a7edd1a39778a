//! Listeners of both generations.

use super::target::{Place, Target};
use super::value;

/// The section of a listener; its name has only what ours may have.
pub(super) fn section(name: &str) -> String {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let name: String =
        name.to_ascii_lowercase().chars().map(|c| if legal(c) { c } else { '-' }).collect();
    format!("listeners.{name}")
}

/// The address of a listener.
pub(super) fn bind(target: &mut Target, place: Place<'_>, section: &str, text: &str) {
    let address = value::address(text).map(|address| value::quoted(&address.to_string()));
    target.put(place, &format!("{section}.bind"), address);
}

/// Why a DTLS listener is left out.
pub(super) const NO_DTLS: &str = "DTLS is not available in this version; the listener is left out";
