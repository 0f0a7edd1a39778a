//! The command line: flags to settings, and the subcommands that print instead of serving.
//!
//! Exit codes are those of [`Exit`]. Starting the gateway is the job of `main`.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{self, ConfigErrors, DEFAULT_FILE, Loaded, Sources};
use crate::ctl::{self, Ctl};
use crate::import;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything was handed over.
    Clean,
    /// 1: something else went wrong; the last log line says what.
    Failure,
    /// 2: the configuration or the command line is unusable.
    Configuration,
    /// 3: a clean stop left events behind that no broker took.
    EventsLeft,
    /// 4: `ctl` found no gateway.
    Unreachable,
    /// 5: `ctl` got no answer from the device.
    NoAnswer,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Failure => 1,
            Self::Configuration => 2,
            Self::EventsLeft => 3,
            Self::Unreachable => 4,
            Self::NoAnswer => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Task {
    /// Serve devices.
    Serve {
        /// The settings in effect and where they came from.
        loaded: Box<Loaded>,
        /// Simulated devices to start alongside.
        demo: usize,
    },
    /// Everything is said; end.
    Exit(Exit),
}

/// LwM2M to MQTT gateway: devices over CoAP on one side, applications over MQTT on the other.
#[derive(Debug, Parser)]
#[command(
    name = "lwm2m-gateway",
    version,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    /// Start this many simulated devices as well
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = demo_count)]
    demo: usize,
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Every key of the configuration file is also an environment variable: LWM2M_GATEWAY__SECTION__KEY.
Precedence: flags, environment, overrides.toml in the data directory, configuration file, defaults.

Exit codes: 0 everything was handed over, 1 failure, 2 unusable configuration or command line,
3 stopped with events left that no broker took. Of ctl: 1 the gateway or the device refused,
4 no gateway answers, 5 the device does not answer.";

/// What decides about the settings: of a start, and of `config show`.
#[derive(Debug, Args)]
struct Flags {
    /// Configuration file; without one the defaults serve
    #[arg(long, short, value_name = "FILE", env = "LWM2M_GATEWAY_CONFIG")]
    config: Option<PathBuf>,
    /// Threads that own devices; 0 is one per core [shards]
    #[arg(long, value_name = "N")]
    shards: Option<String>,
    /// Address of the CoAP listener `default` [listeners.default.bind]
    #[arg(long, value_name = "ADDR")]
    bind: Option<String>,
    /// Use this external broker: mqtt://host:port or mqtts://host:port [mqtt.external.url]
    #[arg(long, value_name = "URL")]
    mqtt: Option<String>,
    /// Address of the embedded broker [mqtt.embedded.bind]
    #[arg(long, value_name = "ADDR", conflicts_with = "mqtt")]
    mqtt_bind: Option<String>,
    /// Address of health, metrics and API [http.bind]
    #[arg(long, value_name = "ADDR")]
    http_bind: Option<String>,
    /// Where the gateway keeps what must survive a restart [data_dir]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Topics and payloads as this EMQX generation: emqx4 or emqx5 [profile]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Log level, also by module: info,gateway::mqtt=debug [log.level]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// text or json [log.format]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print, check or explain the configuration
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Look after a running gateway by its REST API
    Ctl(Box<Ctl>),
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Print a commented file with every key and its default
    Default,
    /// Check a file; exit code 2 and every fault with its place if it cannot be used
    Check {
        /// The file
        file: PathBuf,
    },
    /// Turn a configuration of EMQX into one of ours on standard output: emqx_lwm2m.conf of 4.x, or
    /// a HOCON file of 5 with a gateway.lwm2m block; what has no counterpart is listed on standard
    /// error
    Import {
        /// The file
        file: PathBuf,
    },
    /// Print every value in effect and where it came from; secrets are not shown
    Show(Box<Flags>),
}

/// 100 000 devices: what one simulator has addresses and memory for beside the gateway.
const DEMO_MAX: usize = 100_000;

fn demo_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count <= DEMO_MAX => Ok(count),
        _ => Err(format!("expected a number of devices up to {DEMO_MAX}")),
    }
}

/// Reads the command line (`arguments` begin with the program's name) and the environment, and
/// does what needs no gateway.
pub fn prepare(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Vec<(OsString, OsString)>,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> Task {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return Task::Exit(say_usage(&error, out, errors)),
    };
    let demo = cli.demo;
    match cli.command {
        None => match config::load(&sources(cli.flags, environment)) {
            Ok(loaded) => Task::Serve { loaded: Box::new(loaded), demo },
            Err(faults) => Task::Exit(refuse(&faults, errors)),
        },
        Some(Command::Ctl(ctl)) => Task::Exit(ctl::run(*ctl, out, errors)),
        Some(Command::Completion { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "lwm2m-gateway", &mut script);
            Task::Exit(say(out, &String::from_utf8_lossy(&script)))
        }
        Some(Command::Config { action }) => Task::Exit(configure(action, environment, out, errors)),
    }
}

fn configure(
    action: ConfigAction,
    environment: Vec<(OsString, OsString)>,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> Exit {
    match action {
        ConfigAction::Default => say(out, DEFAULT_FILE),
        ConfigAction::Check { file } => match config::load(&Sources::file(file.clone())) {
            Ok(loaded) => {
                warn(&loaded, errors);
                say(out, &format!("{}: valid\n", file.display()))
            }
            Err(faults) => refuse(&faults, errors),
        },
        ConfigAction::Import { file } => import(&file, out, errors),
        ConfigAction::Show(flags) => match config::load(&sources(*flags, environment)) {
            Ok(loaded) => {
                warn(&loaded, errors);
                say(out, &config::show(&loaded))
            }
            Err(faults) => refuse(&faults, errors),
        },
    }
}

fn import(file: &Path, out: &mut dyn Write, errors: &mut dyn Write) -> Exit {
    match import::import_file(file) {
        Ok(imported) => {
            for note in &imported.notes {
                let _ = writeln!(errors, "{}: {note}", file.display());
            }
            say(out, &imported.toml)
        }
        Err(faults) => {
            for fault in faults {
                let _ =
                    writeln!(errors, "error: {}:{}: {}", file.display(), fault.line, fault.text);
            }
            Exit::Configuration
        }
    }
}

fn sources(flags: Flags, environment: Vec<(OsString, OsString)>) -> Sources {
    let external = flags.mqtt.is_some().then(|| "external".to_owned());
    let embedded = flags.mqtt_bind.is_some().then(|| "embedded".to_owned());
    let given = [
        ("--shards", "shards", flags.shards),
        ("--bind", "listeners.default.bind", flags.bind),
        ("--mqtt", "mqtt.mode", external),
        ("--mqtt", "mqtt.external.url", flags.mqtt),
        ("--mqtt-bind", "mqtt.mode", embedded),
        ("--mqtt-bind", "mqtt.embedded.bind", flags.mqtt_bind),
        ("--http-bind", "http.bind", flags.http_bind),
        ("--data-dir", "data_dir", flags.data_dir),
        ("--profile", "profile", flags.profile),
        ("--log", "log.level", flags.log),
        ("--log-format", "log.format", flags.log_format),
    ];
    let flags_given =
        given.into_iter().filter_map(|(flag, key, value)| Some((flag, key, value?))).collect();
    Sources { file: flags.config, environment, flags: flags_given }
}

/// Help and version are answers, everything else is a refusal.
fn say_usage(error: &clap::Error, out: &mut dyn Write, errors: &mut dyn Write) -> Exit {
    if error.use_stderr() {
        let _ = write!(errors, "{error}");
        Exit::Configuration
    } else {
        say(out, &error.to_string())
    }
}

fn say(out: &mut dyn Write, text: &str) -> Exit {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if written.is_ok() { Exit::Clean } else { Exit::Failure }
}

fn warn(loaded: &Loaded, errors: &mut dyn Write) {
    for warning in &loaded.warnings {
        let _ = writeln!(errors, "warning: {warning}");
    }
}

fn refuse(faults: &ConfigErrors, errors: &mut dyn Write) -> Exit {
    for fault in &faults.0 {
        let _ = writeln!(errors, "error: {fault}");
    }
    Exit::Configuration
}

#[cfg(test)]
mod tests;
