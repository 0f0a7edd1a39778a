//! Child processes: where they run, where their output goes, how they end.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::affinity::{Place, Placement};
use crate::problem::{Context, Outcome, Problem};

/// Children that run, for [`take_children_along`].
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Exit code of a program that was interrupted, as shells have it.
const INTERRUPTED: i32 = 130;

/// From now on SIGINT and SIGTERM end this process with all of its children: a gateway that went on
/// alone would spoil the next run. Before other threads are made: they inherit what is blocked.
pub(crate) fn take_children_along() -> Outcome<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block()?;
    thread::spawn(move || {
        let caught = signals.wait();
        for pid in running().iter().filter_map(|pid| i32::try_from(*pid).ok()) {
            // One that has just ended needs no signal.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        eprintln!("lwm2m-bench: {}", caught.map_or("no signals", Signal::as_str));
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}

fn running() -> MutexGuard<'static, Vec<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child process; dropping it kills it.
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts `command` on the processors of `place`, its standard error in the file `log`.
    pub(crate) fn start(
        placement: &Placement,
        place: Place,
        mut command: Command,
        log: &Path,
    ) -> Outcome<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let errors = File::create(log).context(|| log.display().to_string())?;
        command.stderr(errors);
        // It inherits the mask of this thread, and must be able to be stopped.
        let blocked = SigSet::thread_get_mask()?;
        SigSet::empty().thread_set_mask()?;
        let child = placement.within(place, || command.spawn());
        blocked.thread_set_mask()?;
        let child = child?.context(|| name.clone())?;
        running().push(child.id());
        Ok(Self { name, child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, which must have been asked for as a pipe; once.
    pub(crate) fn stdout(&mut self) -> Outcome<BufReader<ChildStdout>> {
        let output = self.child.stdout.take();
        let none = || Problem::new(format!("{}: no standard output", self.name));
        output.map(BufReader::new).ok_or_else(none)
    }

    /// Its standard input, which must have been asked for as a pipe; once.
    pub(crate) fn stdin(&mut self) -> Outcome<std::process::ChildStdin> {
        let input = self.child.stdin.take();
        input.ok_or_else(|| Problem::new(format!("{}: no standard input", self.name)))
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn signal(&self, signal: Signal) -> Outcome<()> {
        let pid =
            i32::try_from(self.child.id()).map_err(|error| Problem::new(error.to_string()))?;
        Ok(kill(Pid::from_raw(pid), signal)?)
    }
}

impl Process {
    /// Waits for its end.
    pub(crate) fn wait(&mut self, within: Duration) -> Outcome<()> {
        let until = Instant::now() + within;
        while self.is_alive() {
            if Instant::now() > until {
                return Err(Problem::new(format!("{} does not end", self.name)));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        running().retain(|pid| *pid != self.child.id());
        if self.is_alive() {
            // It may end by itself between the two; there is nothing to do about either failure.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A command whose standard output and input are pipes where asked for, else nothing.
pub(crate) fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Reads lines until `found` takes one; an error when the output ends before.
pub(crate) fn read_until<T>(
    lines: &mut impl BufRead,
    who: &str,
    mut found: impl FnMut(&str) -> Option<T>,
) -> Outcome<T> {
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Err(Problem::new(format!("{who} ended before it served")));
        }
        if let Some(value) = found(line.trim()) {
            return Ok(value);
        }
    }
}

/// The end of a log file, for messages.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
