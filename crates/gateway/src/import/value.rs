//! Values as EMQX writes them, checked and written as TOML.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::{Period, Size};

/// `1s`, `86400s`, `1h`, `500ms`, or bare seconds.
pub(super) fn period(text: &str) -> Result<String, String> {
    let expected = "a span of time such as 15s, 5m or 1h30m";
    let period = Period::parse(text).or_else(|| sum(text));
    period.map(|period| quoted(&period.to_string())).ok_or_else(|| wrong(text, expected))
}

/// `1h30m`: EMQX adds the parts up.
fn sum(text: &str) -> Option<Period> {
    let mut total = std::time::Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() || text.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit())?;
        let behind =
            rest[unit..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| unit + n);
        total = total.checked_add(Period::parse(&rest[..behind])?.duration())?;
        rest = &rest[behind..];
    }
    // Once more as one number, for the bound.
    Period::parse(&format!("{}ms", total.as_millis()))
}

/// `1024KB`, `4MB`, or a number of bytes.
pub(super) fn size(text: &str) -> Result<String, String> {
    let expected = "a size such as 512KB or 4MB";
    Size::parse(text).map(|size| quoted(&size.to_string())).ok_or_else(|| wrong(text, expected))
}

/// A whole number.
pub(super) fn number(text: &str) -> Result<String, String> {
    match text.parse::<u32>() {
        Ok(number) => Ok(number.to_string()),
        Err(_) => Err(wrong(text, "a whole number")),
    }
}

/// `1000`, `1000/s`, `infinity`; ours says 0 for no limit.
pub(super) fn rate_of(text: &str) -> Result<String, String> {
    if text == "infinity" { Ok("0".to_owned()) } else { number(text.trim_end_matches("/s")) }
}

/// `true`, `false`, `on`, `off`.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "on" => Ok(true),
        "false" | "off" => Ok(false),
        _ => Err(wrong(text, "true or false")),
    }
}

/// `5783`, `:5783`, `0.0.0.0:5783`, `[::]:5783`.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse::<u16>() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port));
    }
    text.parse().map_err(|_| wrong(text, "a port, or an address and a port such as 0.0.0.0:5683"))
}

/// A quality of service.
pub(super) fn qos(text: &str) -> Result<u8, String> {
    match text {
        "0" => Ok(0),
        "1" => Ok(1),
        "2" => Ok(2),
        _ => Err(wrong(text, "0, 1 or 2")),
    }
}

/// What is observed without being asked.
pub(super) fn observe(text: &str) -> Result<String, String> {
    if let Ok(on) = switch(text) {
        return Ok(on.to_string());
    }
    let paths: Vec<&str> = text.split(',').map(str::trim).filter(|path| !path.is_empty()).collect();
    paths_of(&paths)
}

/// A list of paths.
pub(super) fn paths_of(paths: &[&str]) -> Result<String, String> {
    let is_one = |path: &str| path.starts_with('/') && path.parse::<lwm2m::Path>().is_ok();
    match paths.iter().find(|path| !is_one(path)) {
        Some(path) => Err(wrong(path, "a path such as /3/0")),
        None if paths.is_empty() => Err("expected at least one path".to_owned()),
        None => Ok(list(paths)),
    }
}

/// A TOML list of texts.
pub(super) fn list<S: AsRef<str>>(texts: &[S]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// A TOML text.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn wrong(found: &str, expected: &str) -> String {
    format!("found `{found}`, expected {expected}")
}
