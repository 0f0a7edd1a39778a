//! `cargo xtask fuzz`: one target at a time with libFuzzer.
//!
//! Needs a C++ compiler and cargo-fuzz, so it is no part of the tests; these replay the corpora.

use std::path::Path;
use std::process::Command;

use crate::files;
use crate::run;

/// Runs a target. `-s none`: the sanitizers need a nightly compiler, and the code has no unsafe.
pub(crate) fn fuzz(root: &Path, target: &str, seconds: u32) -> Result<(), String> {
    let targets = targets(root)?;
    if !targets.iter().any(|known| known == target) {
        return Err(format!("no fuzz target {target}; there are: {}", targets.join(", ")));
    }
    let installed = Command::new("cargo").args(["fuzz", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        return Err("cargo-fuzz is missing: cargo install --locked cargo-fuzz".to_owned());
    }
    let time = format!("-max_total_time={seconds}");
    let arguments = ["fuzz", "run", "--sanitizer", "none", target, "--", &time, "-timeout=10"];
    run::run(run::cargo(root, &arguments))
}

/// Prints the targets.
pub(crate) fn list(root: &Path) -> Result<(), String> {
    for target in targets(root)? {
        println!("{target}");
    }
    Ok(())
}

fn targets(root: &Path) -> Result<Vec<String>, String> {
    let manifest: toml::Table = files::read(&root.join("fuzz/Cargo.toml"))?
        .parse()
        .map_err(|error| format!("fuzz/Cargo.toml: {error}"))?;
    let bins = manifest.get("bin").and_then(toml::Value::as_array);
    let names = bins.into_iter().flatten().filter_map(|bin| bin.get("name")?.as_str());
    Ok(names.map(str::to_owned).collect())
}
