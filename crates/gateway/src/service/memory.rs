//! Gives memory back to the system when a peak is over: a fleet that left, a storm that ended.

use std::time::Duration;

/// How often it is looked at, which takes less than a millisecond.
const STEP: Duration = Duration::from_secs(10);

/// What is worth the work: giving back costs some 2 ms for each 10 MB that is free, in which a
/// shard may wait for memory.
const WORTH_IT: usize = 2 << 20;

/// Looks after the heap until it is dropped or aborted.
pub(super) async fn keep_small() {
    let mut step = tokio::time::interval(STEP);
    let mut peak = Peak::default();
    loop {
        step.tick().await;
        let Some(in_use) = udpio::heap_in_use() else { return };
        if peak.is_over(in_use) {
            // A panic of it would have been reported; there is nothing to undo.
            let _ = tokio::task::spawn_blocking(udpio::give_back_free_pages).await;
        }
    }
}

/// The most memory in use since pages were given back.
#[derive(Debug, Default)]
struct Peak(usize);

impl Peak {
    /// Whether enough was freed since the last peak; then the next one begins here.
    const fn is_over(&mut self, in_use: usize) -> bool {
        // A fleet whose memory swings by a little every minute is left alone.
        let fall = self.0.saturating_sub(in_use);
        let is_over = fall >= WORTH_IT && fall >= self.0 / 16;
        if is_over || in_use > self.0 {
            self.0 = in_use;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_over_once_when_enough_was_freed() {
        const MB: usize = 1 << 20;
        let mut peak = Peak::default();
        for (in_use, is_over) in [
            (10 * MB, false),
            (100 * MB, false),
            (97 * MB, false), // less than a sixteenth
            (80 * MB, true),
            (80 * MB, false),
            (79 * MB, false),
            (20 * MB, true),
            (19 * MB, false), // less than 2 MB
            (18 * MB, true),
        ] {
            assert_eq!(peak.is_over(in_use), is_over, "{} MB", in_use / MB);
        }
    }
}
