//! Running other programs.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// A cargo command that runs in the root.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root).args(arguments);
    command
}

/// Runs to the end, its output on ours.
pub(crate) fn run(mut command: Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}")) }
}

/// Runs to the end and returns standard output; standard error goes on ours.
pub(crate) fn output(mut command: Command) -> Result<String, String> {
    let output =
        command.stderr(Stdio::inherit()).output().map_err(|e| format!("{command:?}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{command:?}: {error}"))
}

/// Runs to the end, both outputs in their order on ours and in the file.
pub(crate) fn run_logged(mut command: Command, log: &Path) -> Result<(), String> {
    let describe = format!("{command:?}");
    let failed = |error: io::Error| format!("{describe}: {error}");
    if let Some(directory) = log.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut log = File::create(log).map_err(failed)?;
    // One pipe for both: the order of "Running <binary>" and its tests is what the log is for.
    let (reader, writer) = io::pipe().map_err(failed)?;
    let second = writer.try_clone().map_err(failed)?;
    let mut child = command.stdout(writer).stderr(second).spawn().map_err(failed)?;
    // The command holds the writing ends; while it lives, the pipe never ends.
    drop(command);
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        log.write_all(&line).map_err(failed)?;
        io::stdout().write_all(&line).map_err(failed)?;
        line.clear();
    }
    let status = child.wait().map_err(failed)?;
    if status.success() { Ok(()) } else { Err(format!("{describe} ended with {status}")) }
}
