//! The firmware update object as a state machine: OMA Core Appendix E.6.
//!
//! Nothing is downloaded or flashed: a URI takes one step of time, an update another, after which
//! the device reboots with a new version. The package of a Write is kept as any other value.

use coap::{Code, Duration, Instant};
use lwm2m::{Path, Value};

use crate::data::Data;

const PACKAGE: Path = Path::resource(5, 0, 0);
const PACKAGE_URI: Path = Path::resource(5, 0, 1);
const STATE: Path = Path::resource(5, 0, 3);
const RESULT: Path = Path::resource(5, 0, 5);
const PACKAGE_VERSION: Path = Path::resource(5, 0, 7);
const FIRMWARE_VERSION: Path = Path::resource(3, 0, 3);

/// Values of State.
const IDLE: i64 = 0;
const DOWNLOADING: i64 = 1;
const DOWNLOADED: i64 = 2;
const UPDATING: i64 = 3;

/// Values of Update Result.
const RESULT_NONE: i64 = 0;
const RESULT_SUCCESS: i64 = 1;
const RESULT_BAD_URI: i64 = 7;
const RESULT_BAD_PROTOCOL: i64 = 9;

/// What is going on and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Firmware {
    Idle,
    Downloading { until: Instant },
    Updating { until: Instant },
}

/// What the device has to do when a step is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing but telling the changed values.
    Told,
    /// Start again, with the new firmware.
    Reboot,
}

impl Firmware {
    pub(crate) const fn next_timeout(self) -> Option<Instant> {
        match self {
            Self::Idle => None,
            Self::Downloading { until } | Self::Updating { until } => Some(until),
        }
    }

    /// Whether the object may be written now: not while an update runs.
    pub(crate) const fn check_write(self) -> Result<(), Code> {
        match self {
            Self::Updating { .. } => Err(Code::METHOD_NOT_ALLOWED),
            Self::Idle | Self::Downloading { .. } => Ok(()),
        }
    }

    /// A package or URI was written; an empty one resets the machine.
    pub(crate) fn on_written(&mut self, data: &mut Data, path: &Path, now: Instant) -> Vec<Path> {
        let step = data.profile.firmware_step;
        if *path == PACKAGE {
            *self = Self::Idle;
            let empty =
                matches!(data.tree.value(path), Some(Value::Opaque(bytes)) if bytes.is_empty());
            return set(data, if empty { IDLE } else { DOWNLOADED }, RESULT_NONE);
        }
        if *path == PACKAGE_URI {
            let Some(Value::String(uri)) = data.tree.value(path) else { return Vec::new() };
            let (next, state, result) = by_uri(uri, now + step);
            *self = next;
            return set(data, state, result);
        }
        Vec::new()
    }

    /// Whether Update may be executed: only when something was downloaded.
    pub(crate) fn can_install(self, data: &Data) -> bool {
        data.tree.value(&STATE) == Some(&Value::Integer(DOWNLOADED))
    }

    /// Update was executed.
    pub(crate) fn on_update(&mut self, data: &mut Data, now: Instant) -> Vec<Path> {
        *self = Self::Updating { until: now + data.profile.firmware_step };
        set(data, UPDATING, RESULT_NONE)
    }

    /// The step that ends now, if one does, and what it changed.
    pub(crate) fn handle_timeout(
        &mut self,
        data: &mut Data,
        now: Instant,
    ) -> Option<(Step, Vec<Path>)> {
        match *self {
            Self::Downloading { until } if until <= now => {
                *self = Self::Idle;
                Some((Step::Told, set(data, DOWNLOADED, RESULT_NONE)))
            }
            Self::Updating { until } if until <= now => {
                *self = Self::Idle;
                let mut changed = set(data, IDLE, RESULT_SUCCESS);
                data.put(PACKAGE, Value::Opaque(Vec::new()));
                let version = Value::String("2.0.0".to_owned());
                data.put(PACKAGE_VERSION, version.clone());
                data.put(FIRMWARE_VERSION, version);
                changed.extend([PACKAGE_VERSION, FIRMWARE_VERSION]);
                Some((Step::Reboot, changed))
            }
            Self::Idle | Self::Downloading { .. } | Self::Updating { .. } => None,
        }
    }
}

fn by_uri(uri: &str, until: Instant) -> (Firmware, i64, i64) {
    let known = ["coap://", "coaps://", "http://", "https://"];
    if uri.is_empty() {
        (Firmware::Idle, IDLE, RESULT_NONE)
    } else if known.iter().any(|scheme| uri.starts_with(scheme)) {
        (Firmware::Downloading { until }, DOWNLOADING, RESULT_NONE)
    } else if uri.contains("://") {
        (Firmware::Idle, IDLE, RESULT_BAD_PROTOCOL)
    } else {
        (Firmware::Idle, IDLE, RESULT_BAD_URI)
    }
}

fn set(data: &mut Data, state: i64, result: i64) -> Vec<Path> {
    let before = (data.tree.value(&STATE).cloned(), data.tree.value(&RESULT).cloned());
    data.put(STATE, Value::Integer(state));
    data.put(RESULT, Value::Integer(result));
    let mut changed = Vec::new();
    if before.0 != Some(Value::Integer(state)) {
        changed.push(STATE);
    }
    if before.1 != Some(Value::Integer(result)) {
        changed.push(RESULT);
    }
    changed
}

/// What one step takes unless the profile says otherwise.
pub(crate) const STEP: Duration = Duration::from_secs(2);
