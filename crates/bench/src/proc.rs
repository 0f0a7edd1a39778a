//! What the operating system says of a process: CPU time, memory, datagrams lost at its port.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

use crate::problem::{Context, Outcome, Problem};

/// CPU time of a process, user and system, all of its threads, those that have ended included.
///
/// It comes from the process's CPU clock, which the scheduler keeps in nanoseconds; the ticks of
/// `/proc/PID/stat` are too coarse for a registration burst of a second.
pub(crate) fn cpu_time(pid: u32) -> Outcome<Duration> {
    let number = i32::try_from(pid).map_err(|_| Problem::new("a process id above 2^31"))?;
    let clock = clock_getcpuclockid(Pid::from_raw(number))
        .context(|| format!("CPU clock of process {pid}"))?;
    Ok(clock.now()?.into())
}

/// CPU time of those threads of a process whose names begin with `prefix`.
pub(crate) fn threads_time(pid: u32, prefix: &str) -> Outcome<Duration> {
    let tasks = format!("/proc/{pid}/task");
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(&tasks).context(|| tasks.clone())? {
        let page =
            |name: &str, task: &Path| fs::read_to_string(task.join(name)).unwrap_or_default();
        let task = task?.path();
        if page("comm", &task).starts_with(prefix) {
            sum += parse_schedstat(&page("schedstat", &task)).unwrap_or_default();
        }
    }
    Ok(sum)
}

/// The first number of `schedstat` is the time on a processor, in nanoseconds.
fn parse_schedstat(page: &str) -> Option<Duration> {
    page.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// CPU time that all processors together have spent on anything since the machine began, in ticks
/// of 10 ms; what a hypervisor gave to others is in it.
pub(crate) fn busy_time() -> Outcome<Duration> {
    let path = "/proc/stat";
    let page = fs::read_to_string(path).context(|| path.to_owned())?;
    parse_busy(&page).ok_or_else(|| Problem::new(format!("{path}: no line `cpu`")))
}

/// The first line is `cpu user nice system idle iowait irq softirq steal ...`.
fn parse_busy(page: &str) -> Option<Duration> {
    /// USER_HZ, which Linux never changes for programs.
    const TICK_MS: u64 = 10;
    const IDLE: [usize; 2] = [3, 4];
    let line = page.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let columns = line.split_whitespace().take(8).enumerate();
    let busy = columns.filter(|(column, _)| !IDLE.contains(column));
    let ticks: u64 = busy.filter_map(|(_, text)| text.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * TICK_MS))
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// The most that was resident since the process began.
    pub(crate) resident_high: u64,
}

pub(crate) fn memory(pid: u32) -> Outcome<Memory> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).context(|| path.clone())?;
    parse_memory(&status).ok_or_else(|| Problem::new(format!("{path}: no VmRSS or VmHWM")))
}

fn parse_memory(status: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    };
    Some(Memory { resident: bytes("VmRSS:")?, resident_high: bytes("VmHWM:")? })
}

/// Datagrams that the kernel dropped at IPv4 sockets of a local port because their buffers were
/// full, since these sockets were opened.
pub(crate) fn udp_drops(port: u16) -> Outcome<u64> {
    let path = "/proc/net/udp";
    let table = fs::read_to_string(path).context(|| path.to_owned())?;
    Ok(parse_udp_drops(&table, port))
}

/// Columns of `/proc/net/udp`: the second is the local address with the port in hexadecimal, the
/// last one the drops.
fn parse_udp_drops(table: &str, port: u16) -> u64 {
    let mut drops = 0;
    for line in table.lines().skip(1) {
        let mut columns = line.split_whitespace();
        let local = columns.nth(1).and_then(|address| address.rsplit_once(':'));
        let same = local.is_some_and(|(_, hex)| u16::from_str_radix(hex, 16) == Ok(port));
        if same {
            drops += columns.last().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    drops
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_page() {
        let status = "Name:\tgateway\nVmPeak:\t  99 kB\nVmHWM:\t   12345 kB\nVmRSS:\t   1024 kB\n";
        let memory = parse_memory(status).unwrap();
        assert_eq!(memory, Memory { resident: 1 << 20, resident_high: 12_345 << 10 });
        assert_eq!(parse_memory("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn the_time_of_a_thread_is_in_nanoseconds() {
        assert_eq!(parse_schedstat("1500 20 3\n"), Some(Duration::from_nanos(1500)));
        assert_eq!(parse_schedstat(""), None);
    }

    #[test]
    fn idle_and_waiting_processors_are_not_busy() {
        let page = "cpu  100 5 50 9000 800 1 2 3 77 88\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_busy(page), Some(Duration::from_millis(1610)));
        assert_eq!(parse_busy("intr 5\n"), None);
    }

    #[test]
    fn drops_of_all_sockets_of_a_port_are_added_up() {
        let line = |port: &str, drops: u32| {
            format!("  1: 0100007F:{port} 00000000:0000 07 0:0 00:0 0 0 0 9 2 0 {drops}\n")
        };
        let table = ["sl local rem\n", &line("1633", 5), &line("1633", 7), &line("0035", 9)];
        let table = &table.concat();
        assert_eq!(parse_udp_drops(table, 0x1633), 12);
        assert_eq!(parse_udp_drops(table, 53), 9);
        assert_eq!(parse_udp_drops(table, 54), 0);
    }

    #[test]
    fn the_cpu_clock_of_this_process_only_grows() {
        let before = cpu_time(std::process::id()).unwrap();
        let mut sum = 0_u64;
        for number in 0..1_000_000_u64 {
            sum = std::hint::black_box(sum ^ number);
        }
        assert!(cpu_time(std::process::id()).unwrap() > before);
        assert!(memory(std::process::id()).unwrap().resident > 0);
    }
}
