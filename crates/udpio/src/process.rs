//! What the process has cost so far.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

/// Processor time of this process, user and system, all threads; `None` where the system does not
/// say.
#[must_use]
pub fn cpu_time() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let times = [usage.user_time(), usage.system_time()];
    Some(times.iter().map(|time| duration(time.tv_sec(), time.tv_usec())).sum())
}

fn duration(seconds: i64, micros: i64) -> Duration {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_processor_time() {
        let before = cpu_time().unwrap();
        let mut number = 1_u64;
        while cpu_time().unwrap() < before + Duration::from_millis(2) {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        assert!(duration(2, 7) == Duration::from_micros(2_000_007) && number > 0);
    }
}
