//! Which processor a process runs on.
//!
//! A child inherits the affinity of the thread that starts it, so the starting thread moves for a
//! moment; pinning a process that runs already would miss threads that it has made meanwhile.

use std::fs;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::Serialize;

use crate::problem::{Context, Outcome};

/// The processors of a run: one for the server that is measured, another for everybody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Placement {
    /// Where the measured server runs; with several shards, and while Java warms up, also
    /// [`Placement::others`].
    pub(crate) server: usize,
    /// Where the simulator, the subscriber, an external broker and this program run.
    pub(crate) others: usize,
}

/// Where one process may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the processor of the measured server, alone.
    Server,
    /// On the processor of everybody else.
    Others,
    /// On both.
    Both,
}

impl Placement {
    /// The first two processors that this process may use; one stands for both where it is alone.
    pub(crate) fn choose() -> Outcome<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut usable =
            (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).is_ok_and(|set| set));
        let server = usable.next().unwrap_or(0);
        Ok(Self { server, others: usable.next().unwrap_or(server) })
    }

    /// Whether the measured server has a processor for itself.
    pub(crate) const fn is_apart(&self) -> bool {
        self.server != self.others
    }

    /// Does something, for example start a process, where `place` says, and comes back.
    pub(crate) fn within<T>(&self, place: Place, work: impl FnOnce() -> T) -> Outcome<T> {
        let here = Pid::from_raw(0);
        let before = sched_getaffinity(here)?;
        sched_setaffinity(here, &self.set(place)?)?;
        let done = work();
        sched_setaffinity(here, &before)?;
        Ok(done)
    }

    /// Moves a running process with all of its threads.
    pub(crate) fn pin(&self, pid: u32, place: Place) -> Outcome<()> {
        let set = self.set(place)?;
        let tasks = format!("/proc/{pid}/task");
        for task in fs::read_dir(&tasks).context(|| tasks.clone())? {
            let thread = task?.file_name();
            let Some(thread) = thread.to_str().and_then(|name| name.parse().ok()) else { continue };
            // A thread that has ended meanwhile needs no processor.
            let _ = sched_setaffinity(Pid::from_raw(thread), &set);
        }
        Ok(())
    }

    fn set(&self, place: Place) -> Outcome<CpuSet> {
        let mut set = CpuSet::new();
        if place != Place::Others {
            set.set(self.server)?;
        }
        if place != Place::Server {
            set.set(self.others)?;
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_runs_where_its_parent_stood_and_the_parent_comes_back() {
        let placement = Placement::choose().unwrap();
        let before = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let inside = placement
            .within(Place::Others, || sched_getaffinity(Pid::from_raw(0)).unwrap())
            .unwrap();
        let count =
            (0..CpuSet::count()).filter(|cpu| inside.is_set(*cpu).is_ok_and(|set| set)).count();
        assert_eq!(count, 1);
        assert!(inside.is_set(placement.others).unwrap());
        assert_eq!(sched_getaffinity(Pid::from_raw(0)).unwrap(), before);
    }
}
