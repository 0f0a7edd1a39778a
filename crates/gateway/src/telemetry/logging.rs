//! The log: one line per event on standard error, as text or JSON, levels by module.
//!
//! What must not be in it is wrapped in [`super::Redacted`]; libraries that log through `log` are
//! bridged in.

use std::io::{self, Write};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The level cannot be read; `config` refuses it earlier.
    #[error("log.level: {0}")]
    Level(String),
    /// Something else in this process already receives the log.
    #[error("a log is already installed: {0}")]
    Installed(String),
}

/// Sends the log of the whole process to standard error.
///
/// # Errors
/// See [`LoggingError`].
pub fn install(log: &Log) -> Result<(), LoggingError> {
    subscriber(log, io::stderr)
        .map_err(LoggingError::Level)?
        .try_init()
        .map_err(|error| LoggingError::Installed(error.to_string()))
}

/// Reads `log.level`: a level, or one with levels by module.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_level(level: &str) -> Result<EnvFilter, String> {
    if level.trim().is_empty() {
        return Err("found an empty level".to_owned());
    }
    for directive in level.split(',') {
        let level = directive.rsplit('=').next().unwrap_or_default().trim();
        if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            return Err(format!("found \"{level}\""));
        }
    }
    EnvFilter::try_new(format!("{QUIET},{level}")).map_err(|error| error.to_string())
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The broker and its parts report at `info` what is routine for us. A directive of the operator
/// for the same module stands behind these and wins.
const QUIET: &str = "rmqtt=warn,rmqtt_net=warn,rmqtt_codec=warn,hyper=warn";

/// What [`install`] installs, with a writer of the caller's.
fn subscriber<W>(log: &Log, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, String>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parse_level(&log.level)?)
        .with_ansi(false)
        .with_writer(OneLine(writer));
    Ok(match log.format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

/// Keeps an event on one line: line breaks and other control characters in it (an endpoint name, a
/// library's message) are written as escapes, so that nobody can forge a line or move a terminal's
/// cursor.
struct OneLine<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for OneLine<W> {
    type Writer = OneLineWriter<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        OneLineWriter(self.0.make_writer())
    }
}

struct OneLineWriter<W>(W);

impl<W: Write> Write for OneLineWriter<W> {
    /// An event arrives in one piece that ends with a line break.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = event.strip_suffix(b"\n").unwrap_or(event);
        if !line.iter().any(u8::is_ascii_control) {
            self.0.write_all(event)?;
            return Ok(event.len());
        }
        let mut escaped = Vec::with_capacity(event.len() + 16);
        for &byte in line {
            match byte {
                b'\t' => escaped.push(byte),
                _ if byte.is_ascii_control() => escaped.extend(byte.escape_ascii()),
                _ => escaped.push(byte),
            }
        }
        escaped.push(b'\n');
        self.0.write_all(&escaped)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::telemetry::Redacted;

    #[derive(Clone, Default)]
    struct Capture(Arc<Mutex<Vec<u8>>>);

    impl Write for Capture {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat, events: impl FnOnce()) -> String {
        let capture = Capture::default();
        let log = Log { level: level.to_owned(), format };
        let writer = capture.clone();
        let subscriber = subscriber(&log, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, events);
        String::from_utf8(capture.0.lock().clone()).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let log = logged("info", format, || {
                tracing::info!(endpoint = %"a\nERROR forged\x1b[2J", "registered");
            });
            assert_eq!(log.lines().count(), 1, "{log}");
            assert!(log.contains("registered") && !log.contains('\x1b'), "{log}");
        }
    }

    #[test]
    fn json_lines_are_objects_with_the_fields_of_the_event() {
        let log = logged("info", LogFormat::Json, || {
            tracing::warn!(kind = "queue_full", count = 3, "commands refused");
        });
        let line: serde_json::Value = serde_json::from_str(log.trim_end()).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "commands refused");
        assert_eq!(line["kind"], "queue_full");
        assert_eq!(line["count"], 3);
    }

    #[test]
    fn levels_go_by_module() {
        let log = logged("warn,gateway::mqtt=debug", LogFormat::Text, || {
            tracing::info!(target: "gateway::http", "left out");
            tracing::debug!(target: "gateway::mqtt::external", "connected");
            tracing::warn!(target: "gateway::http", "kept");
            tracing::info!(target: "rmqtt::broker", "left out");
        });
        assert!(!log.contains("left out"), "{log}");
        assert!(log.contains("connected") && log.contains("kept"), "{log}");
    }

    #[test]
    fn a_directive_of_the_operator_wins_over_ours() {
        let log = logged("warn,rmqtt=info", LogFormat::Text, || {
            tracing::info!(target: "rmqtt::broker", "asked for");
        });
        assert!(log.contains("asked for"));
    }

    #[test]
    fn secrets_are_in_no_line() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let log = logged("trace", format, || {
                let password = Redacted::new("hunter2".to_owned());
                tracing::error!(%password, ?password, "cannot connect as {password}");
            });
            assert!(log.contains("<redacted>") && !log.contains("hunter2"), "{log}");
        }
    }

    #[test]
    fn a_level_that_is_none_is_refused() {
        for level in ["", "loud", "info,gateway=loud", "info,,", "7"] {
            assert!(parse_level(level).is_err(), "{level:?}");
        }
        for level in ["info", "WARN", "info,gateway::mqtt=debug", "off"] {
            assert!(parse_level(level).is_ok(), "{level:?}");
        }
    }
}
