//! `lwm2m.auto_observe`: a truth value, a list of paths, or the texts that EMQX takes for them.
//!
//! What is chosen of a device is decided by `engine`.

use std::fmt;

use lwm2m::Path;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is observed at registration: `false`, `true`, or a list of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AutoObserve {
    /// Nothing.
    #[default]
    Off,
    /// What the device registers, as the profile has it.
    All,
    /// These paths, where the device has registered them.
    Paths(Vec<String>),
}

impl AutoObserve {
    /// The first entry of the list that is not written as devices register paths, and so could
    /// never be found among them.
    pub(super) fn unusable(&self) -> Option<&str> {
        let Self::Paths(paths) = self else { return None };
        let is_usable = |path: &&String| {
            Path::parse(path).is_ok_and(|parsed| !parsed.is_root() && parsed.to_string() == **path)
        };
        paths.iter().find(|path| !is_usable(path)).map(String::as_str)
    }
}

impl Serialize for AutoObserve {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::All => serializer.serialize_bool(true),
            Self::Paths(paths) => serializer.collect_seq(paths),
        }
    }
}

impl<'de> Deserialize<'de> for AutoObserve {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AutoObserveVisitor)
    }
}

struct AutoObserveVisitor;

impl<'de> Visitor<'de> for AutoObserveVisitor {
    type Value = AutoObserve;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or a list of paths such as [\"/3/0\", \"/1/0\"]")
    }

    fn visit_bool<E: Error>(self, all: bool) -> Result<AutoObserve, E> {
        Ok(if all { AutoObserve::All } else { AutoObserve::Off })
    }

    /// The texts of EMQX: `on`, `off`, or paths with commas between them.
    fn visit_str<E: Error>(self, text: &str) -> Result<AutoObserve, E> {
        match text.trim() {
            "on" | "true" => Ok(AutoObserve::All),
            "off" | "false" => Ok(AutoObserve::Off),
            list if list.starts_with('/') => {
                let paths = list.split(',').map(str::trim).filter(|path| !path.is_empty());
                Ok(AutoObserve::Paths(paths.map(str::to_owned).collect()))
            }
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut paths: A) -> Result<AutoObserve, A::Error> {
        let mut list = Vec::new();
        while let Some(path) = paths.next_element()? {
            list.push(path);
        }
        Ok(AutoObserve::Paths(list))
    }
}
