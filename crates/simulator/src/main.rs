//! `lwm2m-sim`: simulated LwM2M devices from the command line.

mod cli;
mod progress;
mod signals;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;

use crate::cli::Arguments;
use crate::progress::Progress;

/// Exit code when not every device could register.
const INCOMPLETE: u8 = 1;

/// Exit code for arguments that cannot be, as `clap` has it, and for sockets that cannot be had.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match simulate(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lwm2m-sim: {error}");
            ExitCode::from(UNUSABLE)
        }
    }
}

fn simulate(arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let config = arguments.fleet()?;
    let stop = Arc::new(AtomicBool::new(false));
    signals::stop_on_signals(Arc::clone(&stop))?;
    let mut progress = Progress::new(config.count(), config.server, arguments.is_quiet());
    let summary = simulator::run(config, &stop, |snapshot| progress.show(snapshot))?;
    progress.finish();
    if arguments.json {
        println!("{}", summary.to_json());
    } else {
        println!("{summary}");
    }
    Ok(if summary.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}
