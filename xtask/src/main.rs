//! Chores of the project, one verb each; `.ci/run` calls nothing else.

mod bench;
mod ci;
mod conformance;
mod files;
mod fuzz;
mod instructions;
mod mutants;
mod run;
mod source;
mod supply;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the project")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Everything the CI runs: fmt, tidy, supply, clippy, doc, test, conformance, instructions,
    /// interop, bench
    Ci {
        /// Leave these steps out
        #[arg(long, value_name = "STEP")]
        skip: Vec<String>,
    },
    /// House rules that no compiler checks: imports, lengths, dead files, banned words
    Tidy,
    /// Licences, sources and direct dependencies against deny.toml
    Supply,
    /// Prove that every test named in spec/conformance.toml exists, and that it ran
    Conformance {
        /// Output of a `cargo test` run in which every named test must have passed
        #[arg(long, value_name = "FILE")]
        log: Option<PathBuf>,
        /// Print which facts the tests name, as entries for spec/conformance.toml
        #[arg(long, conflicts_with = "log")]
        facts: bool,
    },
    /// Real clients and brokers of other makers against the gateway (interop/run.sh)
    Interop,
    /// Fuzz one decoder with libFuzzer; without a target the targets are listed
    Fuzz {
        /// The target
        target: Option<String>,
        /// How long
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// What the gateway costs: whole processes, real sockets (docs/benchmarks.md)
    #[command(disable_help_flag = true)]
    Bench {
        /// Arguments of `lwm2m-bench`, for example --quick; --help lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Instructions per operation of the data flows, against spec/instructions.toml (callgrind)
    Instructions {
        /// Take what was counted as the new baseline
        #[arg(long)]
        bless: bool,
    },
    /// Mutation testing of coap, the codecs and engine, on a seeded sample
    Mutants(mutants::Sample),
}

fn main() -> ExitCode {
    let root = files::workspace_root();
    let done = match Cli::parse().verb {
        Verb::Ci { skip } => ci::ci(&root, &skip),
        Verb::Tidy => tidy::command(&root),
        Verb::Supply => supply::command(&root),
        Verb::Conformance { facts: true, .. } => conformance::print_facts(&root),
        Verb::Conformance { log, .. } => conformance::command(&root, log.as_deref()),
        Verb::Instructions { bless } => instructions::command(&root, bless),
        Verb::Interop => ci::interop(&root),
        Verb::Fuzz { target: Some(target), seconds } => fuzz::fuzz(&root, &target, seconds),
        Verb::Fuzz { target: None, .. } => fuzz::list(&root),
        Verb::Bench { arguments } => bench::bench(&root, &arguments),
        Verb::Mutants(sample) => mutants::command(&root, &sample),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
