//! `cargo xtask supply`: licences, sources and direct dependencies against deny.toml.
//!
//! The part of cargo-deny that needs neither the network nor minutes of building it. Advisories are
//! not looked at: their database is on the network.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::files;
use crate::run;

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
    sources: Sources,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

/// Prints what deny.toml does not allow; fails if there is anything.
pub(crate) fn command(root: &Path) -> Result<(), String> {
    let deny: Deny = toml::from_str(&files::read(&root.join("deny.toml"))?)
        .map_err(|error| format!("deny.toml: {error}"))?;
    let arguments = ["metadata", "--format-version", "1", "--locked"];
    let metadata = run::output(run::cargo(root, &arguments))?;
    let metadata: Value =
        serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let problems = check(&deny, &metadata);
    for problem in &problems {
        println!("{problem}");
    }
    if problems.is_empty() { Ok(()) } else { Err(format!("supply: {} problems", problems.len())) }
}

fn check(deny: &Deny, metadata: &Value) -> Vec<String> {
    let packages = metadata.get("packages").and_then(Value::as_array);
    packages.into_iter().flatten().flat_map(|package| check_package(deny, package)).collect()
}

fn check_package(deny: &Deny, package: &Value) -> Vec<String> {
    let text = |key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = text("name");
    let mut problems = Vec::new();
    let source = text("source");
    if source.is_empty() {
        problems.extend(banned(deny, name, package));
    } else if !deny.sources.allow_registry.contains(source.trim_start_matches("registry+")) {
        problems.push(format!("{name}: comes from {source}"));
    }
    if !is_allowed(text("license"), &deny.licenses.allow) {
        problems.push(format!("{name}: licence {:?} is not allowed", text("license")));
    }
    problems
}

/// Only packages of ours are asked: what a library depends on is decided by whoever takes it.
fn banned(deny: &Deny, name: &str, package: &Value) -> Vec<String> {
    let dependencies = package.get("dependencies").and_then(Value::as_array);
    let external = dependencies.into_iter().flatten().filter(|dependency| {
        // A path is a crate of ours, whatever its name.
        dependency.get("path").is_none_or(Value::is_null)
    });
    external
        .filter_map(|dependency| dependency.get("name")?.as_str())
        .filter_map(|dependency| deny.bans.deny.iter().find(|ban| ban.name == dependency))
        .map(|ban| format!("{name}: must not depend on {}: {}", ban.name, ban.reason))
        .collect()
}

/// Whether an SPDX expression can be fulfilled. `/` is the old way to write `OR`; `AND` binds
/// tighter, parentheses tightest.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut tokens = spaced.split_whitespace().peekable();
    either(&mut tokens, allowed) && tokens.next().is_none()
}

type Tokens<'t> = std::iter::Peekable<std::str::SplitWhitespace<'t>>;

fn either(tokens: &mut Tokens<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut fulfilled = both(tokens, allowed);
    while tokens.next_if_eq(&"OR").is_some() {
        fulfilled |= both(tokens, allowed);
    }
    fulfilled
}

fn both(tokens: &mut Tokens<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut fulfilled = one(tokens, allowed);
    while tokens.next_if_eq(&"AND").is_some() {
        fulfilled &= one(tokens, allowed);
    }
    fulfilled
}

fn one(tokens: &mut Tokens<'_>, allowed: &BTreeSet<String>) -> bool {
    if tokens.next_if_eq(&"(").is_some() {
        let fulfilled = either(tokens, allowed);
        return tokens.next_if_eq(&")").is_some() && fulfilled;
    }
    let Some(license) = tokens.next() else { return false };
    match tokens.next_if_eq(&"WITH").and_then(|_| tokens.next()) {
        Some(exception) => allowed.contains(&format!("{license} WITH {exception}")),
        None => allowed.contains(license),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deny() -> Deny {
        toml::from_str(
            "[licenses]\nallow = [\"MIT\", \"ISC\"]\n[sources]\nallow-registry = [\"https://r\"]\n\
             [bans]\ndeny = [{ crate = \"openssl\", reason = \"no Rust\" }]\n",
        )
        .unwrap()
    }

    #[test]
    fn license_expressions_are_judged_as_spdx_says() {
        let allowed = deny().licenses.allow;
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("MIT AND ISC", true),
            ("MIT AND GPL-3.0", false),
            ("MIT AND (GPL-3.0 OR ISC)", true),
            ("(MIT OR ISC) AND GPL-3.0", false),
            ("GPL-3.0 AND MIT OR ISC", true),
            ("MIT WITH exception", false),
            ("MIT OR", true),
            ("(MIT", false),
            ("MIT ISC", false),
        ] {
            assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
        }
    }

    #[test]
    fn licences_sources_and_direct_dependencies_are_judged() {
        let metadata = json!({ "packages": [
            { "name": "ours", "license": "MIT", "source": null, "dependencies": [
                { "name": "openssl", "path": null }, { "name": "good", "path": null },
            ] },
            { "name": "good", "license": "ISC", "source": "registry+https://r", "dependencies": [
                { "name": "openssl", "path": null },
            ] },
            { "name": "foreign", "license": "MIT", "source": "git+https://g", "dependencies": [] },
            { "name": "viral", "license": "AGPL-3.0", "source": "registry+https://r" },
        ] });
        let expected = [
            "ours: must not depend on openssl: no Rust",
            "foreign: comes from git+https://g",
            "viral: licence \"AGPL-3.0\" is not allowed",
        ];
        assert_eq!(check(&deny(), &metadata), expected);
    }

    #[test]
    fn a_crate_of_ours_may_have_a_banned_name() {
        let metadata = json!({ "packages": [
            { "name": "ours", "license": "MIT", "source": null, "dependencies": [
                { "name": "openssl", "path": "/crates/openssl" },
            ] },
        ] });
        assert!(check(&deny(), &metadata).is_empty());
    }
}
