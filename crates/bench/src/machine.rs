//! On what and of what a run was made: without it a figure says nothing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The machine, the code, the time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) processors: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    /// Runnable processes in the last minute before the run. Idle machines show less than 0.3; what
    /// is above that ran beside the benchmark.
    pub(crate) load_before: f64,
    pub(crate) commit: String,
    /// Seconds since 1970.
    pub(crate) started: u64,
    pub(crate) rust: String,
    pub(crate) mosquitto: Option<String>,
    pub(crate) java: Option<String>,
}

impl Machine {
    /// Looks at everything once; what cannot be told is empty.
    pub(crate) fn look(root: &Path) -> Self {
        let page = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            cpu: field(&page("/proc/cpuinfo"), "model name"),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: kilobytes(&field(&page("/proc/meminfo"), "MemTotal")) * 1024,
            kernel: page("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: first_number(&page("/proc/loadavg")),
            commit: commit(root),
            started: started.as_secs(),
            rust: first_line("rustc", &["--version"]).unwrap_or_default(),
            mosquitto: mosquitto_version(),
            java: first_line("java", &["-version"]),
        }
    }
}

/// The value of the first line `NAME : VALUE`.
fn field(page: &str, name: &str) -> String {
    let of = |line: &str| {
        let (left, right) = line.split_once(':')?;
        (left.trim() == name).then(|| right.trim().to_owned())
    };
    page.lines().find_map(of).unwrap_or_default()
}

fn kilobytes(text: &str) -> u64 {
    text.trim_end_matches("kB").trim().parse().unwrap_or(0)
}

fn first_number(text: &str) -> f64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// The commit, and whether the tree differs from it.
fn commit(root: &Path) -> String {
    let directory = root.to_string_lossy();
    let git = |arguments: &[&str]| {
        first_line("git", &[&["-C", &*directory], arguments].concat()).unwrap_or_default()
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changed.is_empty() { "" } else { " with changes" };
    format!("{}{mark}", git(&["rev-parse", "--short=12", "HEAD"]))
}

fn mosquitto_version() -> Option<String> {
    let program = crate::mosquitto::program()?;
    first_line(&program.to_string_lossy(), &["-h"])
}

/// The first line that a program prints, on either output; `None` if it cannot be run.
fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text).lines().next().map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_on_pages_of_the_kernel() {
        let page = "processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: other\n";
        assert_eq!(field(page, "model name"), "AMD EPYC");
        assert_eq!(field(page, "missing"), "");
        assert_eq!(kilobytes(&field("MemTotal:       2048 kB\n", "MemTotal")), 2048);
        assert!((first_number("0.50 0.40 1/99 5") - 0.5).abs() < 1e-9);
    }
}
