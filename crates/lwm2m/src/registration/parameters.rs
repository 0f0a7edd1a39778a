//! Query parameters of Register and Update: OMA Core 6.2.1, RFC 7252 5.10.1.

use core::fmt;

use crate::Version;

/// How many parameters one request may have.
///
/// LwM2M knows seven, fleets add a handful. Without a bound a datagram of 64 KiB could carry as
/// many thousand, and finding repeated keys would take the square of that. Worst case: 128 x 258
/// bytes.
pub const PARAMETERS_MAX: usize = 128;

/// Parameters of a registration in their order, without `ep` and `lt`, each key once.
///
/// One text in one allocation and comparable as a whole, so that the registrations of a fleet can
/// share it.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Parameters {
    /// For each parameter a character whose number is the length of what follows, then `key=value`
    /// or `key` as it was sent.
    encoded: Box<str>,
}

impl Parameters {
    /// No parameters.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Takes parameters as `key=value` or `key`; of a repeated key the last one counts.
    pub fn from_options<'a>(
        options: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ParametersError> {
        let mut builder = ParametersBuilder::default();
        options.into_iter().try_for_each(|option| builder.push(option))?;
        Ok(builder.finish())
    }

    /// The parameters as they were sent, `key=value` or `key`.
    pub fn options(&self) -> impl Iterator<Item = &str> {
        let mut rest = &*self.encoded;
        core::iter::from_fn(move || {
            let mut chars = rest.chars();
            let len = u32::from(chars.next()?) as usize;
            let (option, behind) = chars.as_str().split_at_checked(len)?;
            rest = behind;
            Some(option)
        })
    }

    /// Each key with its value; a value-less key (`Q`) has `None`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.options().map(split_option)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    /// Whether the key is there, with or without a value.
    pub fn contains(&self, key: &str) -> bool {
        self.iter().any(|(known, _)| known == key)
    }

    /// The value of a key; `None` as well for a key without one.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == key)?.1
    }

    /// Keys without `=`, other than the `Q` of LwM2M 1.1: refused or ignored, by profile.
    pub fn value_less_keys(&self) -> impl Iterator<Item = &str> {
        self.iter().filter(|(key, value)| value.is_none() && *key != "Q").map(|(key, _)| key)
    }

    /// Whether there is a `=value` without a key: refused or kept, by profile.
    pub fn has_empty_key(&self) -> bool {
        self.contains("")
    }

    /// These parameters with those of an Update laid over: its keys replace, others stay.
    pub fn overlaid(&self, update: &Self) -> Self {
        let mut builder = ParametersBuilder::default();
        for option in self.options().filter(|option| !update.contains(split_option(option).0)) {
            builder.options.push(option);
        }
        // An Update may repeat this each time; without a bound the registration would only grow.
        let room = PARAMETERS_MAX.saturating_sub(builder.options.len());
        builder.options.extend(update.options().take(room));
        builder.finish()
    }

    /// The parameters without those that `keep` refuses, as for ignored or secret keys.
    pub fn filtered(&self, mut keep: impl FnMut(&str, Option<&str>) -> bool) -> Self {
        let options = self.options().filter(|option| {
            let (key, value) = split_option(option);
            keep(key, value)
        });
        ParametersBuilder { options: options.collect() }.finish()
    }

    /// The enabler version `lwm2m`.
    pub fn lwm2m(&self) -> Option<LwM2mVersion<'_>> {
        self.value("lwm2m").map(LwM2mVersion)
    }

    /// The binding mode `b`.
    pub fn binding(&self) -> Option<Binding<'_>> {
        self.value("b").map(Binding)
    }

    /// Whether the device sleeps between its messages, and what says so.
    pub fn queue_mode(&self) -> QueueMode {
        // LwM2M 1.1 says `Q`; some clients write `Q=`.
        if self.contains("Q") && self.value("Q").is_none_or(str::is_empty) {
            return QueueMode::Parameter;
        }
        if self.binding().is_some_and(Binding::is_queue_mode) {
            return QueueMode::Binding;
        }
        match self.value("apn") {
            Some(apn) if APN_QUEUE_MODE.contains(&apn) => QueueMode::Apn,
            _ => QueueMode::Off,
        }
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// What tells that a device is in queue mode (OMA Core 6.5 in 1.0, Transport 6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueueMode {
    /// Nothing does: the device listens all the time.
    Off,
    /// The value-less `Q` of LwM2M 1.1.
    Parameter,
    /// A `Q` in the binding, as LwM2M 1.0 writes it.
    Binding,
    /// The name of the access point: EMQX 5 takes four of them as a sign, EMQX 4 does not.
    Apn,
}

/// Access points of networks with power saving that EMQX 5 knows.
const APN_QUEUE_MODE: [&str; 4] = ["Ctnb", "psmA.eDRX0.ctnb", "psmC.eDRX0.ctnb", "psmF.eDRXC.ctnb"];

/// The binding mode of a device, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding<'a>(&'a str);

impl<'a> Binding<'a> {
    /// The text.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether it says queue mode (`UQ`, `SQ`, `UQS`), whatever the version is.
    pub fn is_queue_mode(self) -> bool {
        self.0.contains('Q')
    }

    /// Whether the version knows such a binding; a mismatch is worth a note, not more.
    ///
    /// LwM2M 1.0 has six values; 1.1 any set of `U`, `T`, `S`, `N`, to which 1.2 adds `M` and `H`.
    pub fn fits(self, version: Version) -> bool {
        if version < Version::V1_1 {
            return ["U", "UQ", "S", "SQ", "US", "UQS"].contains(&self.0);
        }
        let known = if version < Version::V1_2 { "UTSN" } else { "UTSNMH" };
        let mut letters = self.0.char_indices();
        let each_once = |(at, letter): (usize, char)| {
            known.contains(letter) && !self.0.get(..at).unwrap_or("").contains(letter)
        };
        !self.0.is_empty() && letters.all(each_once)
    }
}

/// The version of the enabler that a device speaks, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LwM2mVersion<'a>(&'a str);

impl<'a> LwM2mVersion<'a> {
    /// The text.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The version as numbers; `None` when the text is none.
    pub fn version(self) -> Option<Version> {
        Version::parse(self.0)
    }

    /// Whether a list of versions names it: `1` stands for `1` and everything that begins with
    /// `1.`.
    pub fn is_one_of<S: AsRef<str>>(self, accepted: &[S]) -> bool {
        accepted.iter().any(|known| {
            let rest = self.0.strip_prefix(known.as_ref());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

/// Why parameters cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// A Uri-Query option is not UTF-8.
    #[error("a query parameter is not UTF-8")]
    NotUtf8,
    /// A parameter is longer than a Uri-Query option can be.
    #[error("a query parameter has more than 255 bytes")]
    TooLong,
    /// More than [`PARAMETERS_MAX`].
    #[error("more than {PARAMETERS_MAX} query parameters")]
    TooMany,
}

/// The longest Uri-Query option (RFC 7252 5.10).
const OPTION_LEN_MAX: usize = 255;

/// Parameters while they are read.
#[derive(Debug, Default)]
pub(super) struct ParametersBuilder<'a> {
    options: Vec<&'a str>,
}

impl<'a> ParametersBuilder<'a> {
    /// Takes the next one; a former one of the same key is forgotten.
    pub(super) fn push(&mut self, option: &'a str) -> Result<(), ParametersError> {
        if option.len() > OPTION_LEN_MAX {
            return Err(ParametersError::TooLong);
        }
        let (key, _) = split_option(option);
        self.options.retain(|known| split_option(known).0 != key);
        if self.options.len() == PARAMETERS_MAX {
            return Err(ParametersError::TooMany);
        }
        self.options.push(option);
        Ok(())
    }

    /// Takes a key out and gives its value. A key without one stays: it is a value-less key like
    /// any other, and by profile refused or ignored.
    pub(super) fn take_value(&mut self, key: &str) -> Option<&'a str> {
        let index = self.options.iter().position(|option| {
            let (known, value) = split_option(option);
            known == key && value.is_some()
        })?;
        split_option(self.options.remove(index)).1
    }

    pub(super) fn finish(self) -> Parameters {
        let len = self.options.iter().map(|option| option.len() + 2).sum();
        let mut encoded = String::with_capacity(len);
        for option in self.options {
            // Bounded by OPTION_LEN_MAX, so it is a character below U+0100.
            encoded.extend(u8::try_from(option.len()).map(char::from));
            encoded.push_str(option);
        }
        Parameters { encoded: encoded.into() }
    }
}

/// Splits at the first `=` only: values may hold more of them.
fn split_option(option: &str) -> (&str, Option<&str>) {
    option.split_once('=').map_or((option, None), |(key, value)| (key, Some(value)))
}
