//! Who may import whom, and what the pure crates must not touch (ARCHITECTURE.md, invariant 1).
//!
//! Cargo refuses what a manifest does not name, so the manifests are what is judged; a new arrow is
//! a design decision and changes the table here.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{Finding, is_test_file, rust};
use crate::files::File;
use crate::source::Code;

struct Rule {
    package: &'static str,
    purity: Purity,
    /// Crates of ours that it may import.
    imports: &'static [&'static str],
    /// Those that only its tests may import.
    in_tests: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purity {
    /// No clock, socket, file, thread, lock, async or global.
    Pure,
    Impure,
}

const RULES: [Rule; 12] = [
    pure("coap", &[], &["netsim"]),
    pure("lwm2m", &[], &[]),
    pure("engine", &["coap", "lwm2m"], &["device", "netsim"]),
    pure("bridge", &["engine", "lwm2m"], &["device", "netsim", "coap"]),
    pure("device", &["coap", "lwm2m"], &["netsim", "engine"]),
    pure("netsim", &[], &[]),
    impure("udpio", &[], &[]),
    impure(
        "lwm2m-gateway",
        &["engine", "bridge", "lwm2m", "udpio", "simulator"],
        &["device", "coap", "netsim"],
    ),
    impure("lwm2m-sim", &["device", "coap", "lwm2m", "udpio"], &["netsim", "engine"]),
    impure("lwm2m-bench", &["udpio"], &[]),
    impure("flows", &["coap", "lwm2m", "engine", "bridge"], &[]),
    impure("xtask", &[], &[]),
];

const fn pure(
    package: &'static str,
    imports: &'static [&'static str],
    in_tests: &'static [&'static str],
) -> Rule {
    Rule { package, purity: Purity::Pure, imports, in_tests }
}

const fn impure(
    package: &'static str,
    imports: &'static [&'static str],
    in_tests: &'static [&'static str],
) -> Rule {
    Rule { package, purity: Purity::Impure, imports, in_tests }
}

/// What a pure crate must not depend on, beside what [`IMPURE_PATHS`] says of `std`.
const IMPURE_DEPENDENCIES: [&str; 8] =
    ["tokio", "async-trait", "socket2", "nix", "mio", "parking_lot", "rand", "tracing"];

/// What the code of a pure crate must not name, and why.
const IMPURE_PATHS: [(&str, &str); 14] = [
    ("std::time::Instant", "time is an argument: `now: coap::Instant`"),
    ("std::time::SystemTime", "wall time is an argument"),
    ("SystemTime::now", "wall time is an argument"),
    ("std::net::UdpSocket", "sockets belong to `udpio`"),
    ("std::net::TcpStream", "sockets belong to `gateway`"),
    ("std::fs", "files belong to `gateway` and `simulator`"),
    ("std::thread", "threads belong to `gateway` and `simulator`"),
    ("std::process", "processes belong to `gateway` and `simulator`"),
    ("std::env", "the environment belongs to `gateway` and `simulator`"),
    ("std::sync::Mutex", "one thread owns each state machine"),
    ("std::sync::RwLock", "one thread owns each state machine"),
    ("static mut", "no globals"),
    ("thread_local!", "no globals"),
    ("async fn", "nothing below `gateway` is async"),
];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| is_member_manifest(&file.path)) {
        check_manifest(file, &mut findings);
    }
    for file in rust(files).filter(|file| !is_test_file(file)) {
        check_purity(file, &mut findings);
    }
    findings
}

fn is_member_manifest(path: &str) -> bool {
    let parts: Vec<_> = path.split('/').collect();
    matches!(parts[..], ["crates", _, "Cargo.toml"] | ["xtask", "Cargo.toml"])
}

fn check_manifest(file: &File, findings: &mut Vec<Finding>) {
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => {
            findings.push(Finding::new(&file.path, 1, format!("not TOML: {error}")));
            return;
        }
    };
    let package = manifest.get("package").and_then(|package| package.get("name"));
    let package = package.and_then(Value::as_str).unwrap_or_default();
    let Some(rule) = RULES.iter().find(|rule| rule.package == package) else {
        let problem = format!("package {package} is not in the table of xtask/src/tidy/imports.rs");
        findings.push(Finding::new(&file.path, 1, problem));
        return;
    };
    let mut sections = BTreeMap::from([
        ("dependencies", rule.imports.to_vec()),
        ("build-dependencies", rule.imports.to_vec()),
        ("dev-dependencies", [rule.imports, rule.in_tests].concat()),
    ]);
    for (section, allowed) in &mut sections {
        let dependencies = manifest.get(*section).and_then(Value::as_table);
        for name in dependencies.into_iter().flat_map(Table::keys) {
            if let Some(problem) = fault(rule, section, name, allowed) {
                findings.push(Finding::new(&file.path, line_of(&file.text, name), problem));
            }
        }
    }
}

fn fault(rule: &Rule, section: &str, name: &str, allowed: &[&str]) -> Option<String> {
    let ours = RULES.iter().any(|other| other.package == name) || name == "simulator";
    if ours && !allowed.contains(&name) {
        return Some(format!("{} must not import {name} ({section})", rule.package));
    }
    let impure = rule.purity == Purity::Pure && section == "dependencies";
    (impure && IMPURE_DEPENDENCIES.contains(&name))
        .then(|| format!("{} is pure and must not depend on {name}", rule.package))
}

fn line_of(text: &str, name: &str) -> usize {
    1 + text.lines().position(|line| line.starts_with(name)).unwrap_or(0)
}

fn check_purity(file: &File, findings: &mut Vec<Finding>) {
    let pure = RULES
        .iter()
        .filter(|rule| rule.purity == Purity::Pure)
        .any(|rule| file.path.starts_with(&format!("crates/{}/src/", rule.package)));
    if !pure {
        return;
    }
    let code = Code::new(&file.text);
    let tests = code.test_ranges();
    for (path, reason) in IMPURE_PATHS {
        for (position, _) in code.masked.match_indices(path) {
            if !tests.iter().any(|range| range.contains(&position)) {
                let problem = format!("`{path}` in a pure crate: {reason}");
                findings.push(Finding::new(&file.path, code.line_of(position), problem));
            }
        }
    }
    if file.path.ends_with("src/lib.rs") && !file.text.contains("#![forbid(unsafe_code)]") {
        findings.push(Finding::new(&file.path, 1, "a pure crate says #![forbid(unsafe_code)]"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::fixture;

    fn problems(path: &str, text: &str) -> Vec<String> {
        check(&[fixture(path, text)]).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_found() {
        let manifest = "[package]\nname = \"engine\"\n[dependencies]\ncoap.workspace = true\n\
                        bridge.workspace = true\n[dev-dependencies]\ndevice.workspace = true\n";
        let expected = ["crates/engine/Cargo.toml:5: engine must not import bridge (dependencies)"];
        assert_eq!(problems("crates/engine/Cargo.toml", manifest), expected);
        let manifest = manifest.replace("bridge", "device");
        let found = problems("crates/engine/Cargo.toml", &manifest);
        assert!(found[0].contains("engine must not import device (dependencies)"), "{found:?}");
    }

    #[test]
    fn a_pure_crate_with_a_runtime_is_found() {
        let manifest = "[package]\nname = \"coap\"\n[dependencies]\ntokio = \"1\"\n";
        let found = problems("crates/coap/Cargo.toml", manifest);
        assert_eq!(found, ["crates/coap/Cargo.toml:4: coap is pure and must not depend on tokio"]);
    }

    #[test]
    fn a_crate_without_a_rule_is_found() {
        let found = problems("crates/new/Cargo.toml", "[package]\nname = \"new\"\n");
        assert!(found[0].contains("package new is not in the table"), "{found:?}");
    }

    #[test]
    fn a_clock_in_a_pure_crate_is_found_outside_of_tests() {
        let text = "//! std::time::Instant\nuse std::time::Instant;\n#[cfg(test)]\n\
                    mod tests {\n    use std::fs;\n}\n";
        let found = problems("crates/coap/src/endpoint.rs", text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/coap/src/endpoint.rs:2: `std::time::Instant`"));
        assert!(problems("crates/gateway/src/shard.rs", text).is_empty());
    }

    #[test]
    fn unsafe_code_must_be_forbidden_in_pure_crates() {
        assert_eq!(problems("crates/coap/src/lib.rs", "").len(), 1);
        assert!(problems("crates/coap/src/lib.rs", "#![forbid(unsafe_code)]\n").is_empty());
    }
}
