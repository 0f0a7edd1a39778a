//! Ctrl-C and SIGTERM: the first asks the fleet to leave, the second ends the process.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell shows for a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Sets `stop` at the first signal.
///
/// # Errors
/// When the system lets no signal handler be set.
pub(crate) fn stop_on_signals(stop: Arc<AtomicBool>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupts, mut terminations) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            next(&mut interrupts, &mut terminations).await;
            stop.store(true, Ordering::Relaxed);
            next(&mut interrupts, &mut terminations).await;
            process::exit(INTERRUPTED);
        });
    })?;
    Ok(())
}

async fn next(first: &mut Signal, second: &mut Signal) {
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}
