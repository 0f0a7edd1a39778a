//! `cargo xtask bench`: builds what is measured, and measures it (docs/benchmarks.md).
//!
//! The work is done by the package `lwm2m-bench`, so that the other chores build without it.

use std::path::Path;
use std::process::Command;

use crate::files;
use crate::run::{cargo, run};

/// The programs of a run: the gateway, the fleet, and what starts and watches them. Named as
/// programs and not as packages, so that they are built with the features that the whole workspace
/// has, and nothing is built twice.
const PROGRAMS: [&str; 3] = ["lwm2m-gateway", "lwm2m-sim", "lwm2m-bench"];

/// Builds with optimisations (`--smoke`: as for tests) and runs, with all other arguments.
pub(crate) fn bench(root: &Path, arguments: &[String]) -> Result<(), String> {
    let smoke = arguments.iter().any(|argument| argument == "--smoke");
    let mut build = cargo(root, &["build"]);
    build.args(PROGRAMS.iter().flat_map(|program| ["--bin", program]));
    if !smoke {
        build.arg("--release");
    }
    run(build)?;
    let profile = if smoke { "debug" } else { "release" };
    let mut program = Command::new(files::target_dir(root).join(profile).join("lwm2m-bench"));
    program.current_dir(root).args(arguments);
    run(program)
}
