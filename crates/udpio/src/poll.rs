//! Waiting: epoll over the sockets of a loop and one eventfd by which others wake it.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// The number by which the owner knows a registered descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u32);

/// How many ready descriptors one wait reports; the others are reported by the next.
const EVENTS_MAX: usize = 32;

const WAKE: u64 = u64::MAX;

/// Waits for readable sockets, a wake-up or a deadline.
pub struct Poller {
    shared: Arc<Shared>,
}

struct Shared {
    epoll: Epoll,
    event: EventFd,
    /// Set while the loop may be asleep. Whoever finds it set writes the eventfd; the others know
    /// that the loop will look at its queues before it sleeps.
    sleeping: AtomicBool,
}

/// Wakes the loop that owns a [`Poller`]; cheap while that loop is busy.
#[derive(Clone)]
pub struct Waker(Arc<Shared>);

/// Adds sockets to a [`Poller`] that another thread waits on.
#[derive(Clone)]
pub struct Registrar(Arc<Shared>);

impl Poller {
    /// A poller without sockets.
    ///
    /// # Errors
    /// When the process may open no more descriptors.
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&event, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let sleeping = AtomicBool::new(false);
        Ok(Self { shared: Arc::new(Shared { epoll, event, sleeping }) })
    }

    /// Watches a descriptor for readability, level-triggered.
    ///
    /// # Errors
    /// Whatever `epoll_ctl` says.
    pub fn add(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        self.shared.add(fd, token)
    }

    /// Stops watching a descriptor.
    ///
    /// # Errors
    /// Whatever `epoll_ctl` says.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(self.shared.epoll.delete(fd)?)
    }

    /// A handle for others to add sockets to this loop.
    pub fn registrar(&self) -> Registrar {
        Registrar(Arc::clone(&self.shared))
    }

    /// A handle for others to wake this loop.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.shared))
    }

    /// Says that the loop is about to sleep. After this the owner must look at its queues once more
    /// before [`Poller::wait`], so that nothing put there before is overlooked.
    pub fn prepare(&self) {
        self.shared.sleeping.store(true, Ordering::SeqCst);
    }

    /// Waits until a socket is readable, a [`Waker`] was used or `timeout` has passed (`None`: for
    /// ever), and fills `ready` with the readable sockets' tokens.
    ///
    /// Timeouts are rounded up to milliseconds, so a deadline is never met early.
    ///
    /// # Errors
    /// Whatever `epoll_wait` says; an interrupted wait is a wait that ended.
    pub fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Token>) -> io::Result<()> {
        ready.clear();
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let result = self.shared.epoll.wait(&mut events, epoll_timeout(timeout));
        self.shared.sleeping.store(false, Ordering::SeqCst);
        let count = match result {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(e) => return Err(e.into()),
        };
        for event in &events[..count] {
            match event.data() {
                WAKE => self.shared.drain(),
                token => ready.push(Token(token as u32)),
            }
        }
        Ok(())
    }
}

impl Shared {
    fn add(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, u64::from(token.0)))?)
    }

    fn drain(&self) {
        // Non-blocking: an empty counter is an error that means there is nothing to drain.
        let _ = self.event.read();
    }
}

impl Registrar {
    /// As [`Poller::add`], from any thread. Closing the descriptor takes it out again.
    ///
    /// # Errors
    /// Whatever `epoll_ctl` says.
    pub fn add(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        self.0.add(fd, token)
    }
}

impl Waker {
    /// Wakes the loop if it sleeps, else does nothing: it will look at its queues anyway.
    pub fn wake(&self) {
        if self.0.sleeping.swap(false, Ordering::SeqCst) {
            // Fails only when the counter is full, and then the loop is being woken already.
            let _ = self.0.event.write(1);
        }
    }
}

fn epoll_timeout(timeout: Option<Duration>) -> EpollTimeout {
    let Some(timeout) = timeout else { return EpollTimeout::NONE };
    let millis = timeout.as_micros().div_ceil(1000);
    // Longer waits than 24 days are cut; the loop looks at its deadline again.
    let millis = i32::try_from(millis).unwrap_or(i32::MAX);
    EpollTimeout::try_from(millis).unwrap_or(EpollTimeout::NONE)
}
