//! The numbers of the process itself: memory, CPU time, file descriptors, version.
//!
//! They are read from `/proc` at each scrape; a system without it says nothing.

use std::fmt;
use std::time::Instant;

use super::metrics::{Page, Source};

/// Asked at each scrape.
#[derive(Debug)]
pub(super) struct Process {
    started: Instant,
}

impl Default for Process {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Source for Process {
    fn report(&self, page: &mut Page<'_>) -> fmt::Result {
        let version = [(env!("CARGO_PKG_VERSION"), 1.0)];
        page.gauges("build_info", "The version that runs", "version", &version)?;
        let uptime = self.started.elapsed().as_secs_f64();
        page.gauge("uptime_seconds", "Time since the start", uptime)?;
        if let Some(bytes) = resident_bytes() {
            page.gauge("resident_memory_bytes", "Resident memory", bytes as f64)?;
        }
        if let Some(seconds) = cpu_seconds() {
            page.seconds("cpu_seconds", "CPU time, user and system", seconds)?;
        }
        if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
            page.gauge("open_file_descriptors", "Open file descriptors", entries.count() as f64)?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// `schedstat` counts nanoseconds of one thread; `stat` counts all threads in ticks.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold spaces; fields count from behind it: utime 12th, stime 13th.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS_PER_SECOND)
}

/// USER_HZ, which Linux fixes at 100 towards programs.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_memory_and_cpu_time() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
        assert!(cpu_seconds().is_some());
    }
}
