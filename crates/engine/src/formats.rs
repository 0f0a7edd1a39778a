//! Which content format a device is written in: OMA Core 7.4, facts 18 and 53.
//!
//! It is what the command says, else what worked before in this registration, else one of `ct=` of
//! the root link, else TLV. A device that refuses a format gets the next one that it may know
//! within the same command. Encoding is the job of `lwm2m::codec`.

use coap::{Code, ExchangeId, Instant, ObservationId};
use lwm2m::codec::{self, Context, UnknownPolicy};
use lwm2m::model::{ModelView, Models};
use lwm2m::{Format, OperationKind, Path, Reading, Version};

use crate::command::CommandError;
use crate::event::{Presence, RegisteredInfo};
use crate::interface::management::Prepared;
use crate::queue::{Accepted, Sleep};
use crate::registry::Key;
use crate::server::Server;

/// What devices are written in, the likeliest first: TLV is what EMQX writes.
const WRITTEN: [Format; 5] =
    [Format::TLV, Format::SENML_CBOR, Format::SENML_JSON, Format::JSON, Format::LWM2M_CBOR];

/// What composite operations are written in: no other format can carry a path list to every 1.1
/// device (OMA Core 6.3.8).
const COMPOSITE: [Format; 2] = [Format::SENML_CBOR, Format::SENML_JSON];

/// What the answers of a device have taught about it, in one byte: the place in [`WRITTEN`] plus
/// one in the lower three bits, the place in [`COMPOSITE`] plus one in the next two, of which
/// [`COMPOSITE_UNSUPPORTED`] says that there are no composite operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Habits(u8);

const COMPOSITE_SHIFT: u8 = 3;
const COMPOSITE_UNSUPPORTED: u8 = 3;

/// What is known about composite operations of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Composite {
    Untried,
    Works(Format),
    Unsupported,
}

impl Habits {
    /// The format that worked after another was refused.
    pub(crate) fn written(self) -> Option<Format> {
        WRITTEN.get(usize::from(self.0 & 7).checked_sub(1)?).copied()
    }

    /// Whether the operation is worth a try.
    pub(crate) fn check(self, operation: OperationKind) -> Result<(), CommandError> {
        match self.composite() {
            Composite::Unsupported if is_composite(operation) => {
                Err(CommandError::CompositeUnsupported(None))
            }
            _ => Ok(()), // It is, or is another one.
        }
    }

    pub(crate) fn composite(self) -> Composite {
        match self.0 >> COMPOSITE_SHIFT & 3 {
            0 => Composite::Untried,
            COMPOSITE_UNSUPPORTED => Composite::Unsupported,
            1 => Composite::Works(Format::SENML_CBOR),
            _ => Composite::Works(Format::SENML_JSON),
        }
    }

    fn set_written(&mut self, format: Format) {
        if let Some(place) = WRITTEN.iter().position(|known| *known == format) {
            self.0 = self.0 & !7 | (place as u8 + 1);
        }
    }

    fn set_composite(&mut self, composite: Composite) {
        let bits = match composite {
            Composite::Untried => 0,
            Composite::Works(Format::SENML_JSON) => 2,
            Composite::Works(_) => 1,
            Composite::Unsupported => COMPOSITE_UNSUPPORTED,
        };
        self.0 = self.0 & 7 | bits << COMPOSITE_SHIFT;
    }
}

/// Who chose the format of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The command.
    Stated,
    /// We did.
    Ours,
    /// We did, after the device refused another one.
    Second,
}

/// The format of a write or create that states none.
pub(crate) fn written(info: &RegisteredInfo, habits: Habits) -> Format {
    let known = info.formats();
    let stated = known.iter().all(|format| format.normalized() != Format::TLV);
    let by_ct = || WRITTEN.into_iter().find(|format| stated && known.contains(format));
    habits.written().or_else(by_ct).unwrap_or(Format::TLV)
}

/// The format of a composite operation that states none.
pub(crate) fn composite(info: &RegisteredInfo, habits: Habits) -> Format {
    match habits.composite() {
        Composite::Works(format) => format,
        Composite::Untried | Composite::Unsupported => {
            let by_ct = COMPOSITE.into_iter().find(|format| info.formats().contains(format));
            by_ct.unwrap_or(Format::SENML_CBOR)
        }
    }
}

/// What the device may take instead of a format that it refused.
fn next_written(info: &RegisteredInfo, refused: Format) -> Option<Format> {
    let known = info.formats();
    let version = info.parameters.lwm2m().and_then(|lwm2m| lwm2m.version());
    let old = version.is_some_and(|version| version < Version::V1_1);
    WRITTEN.into_iter().find(|format| {
        let may_be = match known {
            [] if old => [Format::TLV, Format::JSON].contains(format),
            [] => [Format::TLV, Format::SENML_CBOR, Format::SENML_JSON].contains(format),
            known => known.iter().any(|known| known.normalized() == *format),
        };
        may_be && *format != refused
    })
}

/// Another one that the device says it knows and we can read; `None` leaves the choice to it.
fn next_accept(info: &RegisteredInfo, refused: Format) -> Option<Format> {
    let readable = |format: &&Format| {
        let format = format.normalized();
        WRITTEN.contains(&format) || [Format::TEXT, Format::OCTETS, Format::CBOR].contains(&format)
    };
    info.formats().iter().filter(readable).find(|format| **format != refused).copied()
}

impl Prepared {
    /// Whether the device may be asked once more, in another format.
    pub(crate) const fn may_be_rewritten(&self) -> bool {
        matches!(self.choice, Choice::Ours) && self.is_written()
    }

    const fn is_written(&self) -> bool {
        use OperationKind::{Create, ObserveComposite, ReadComposite, Write, WriteComposite};
        matches!(self.operation, Write | Create | WriteComposite | ReadComposite | ObserveComposite)
    }

    /// The same but for the format of what it carries.
    pub(crate) fn in_format(&self, format: Format) -> Self {
        Self { format: Some(format), ..self.clone() }
    }

    /// The same in the next format, after an answer that refused this one. What was written is read
    /// back: a command that waits need not keep it twice.
    fn rewritten(&self, code: Code, info: &RegisteredInfo, context: &Context<'_>) -> Option<Self> {
        use OperationKind::{Create, Read, Write};
        if code == Code::NOT_ACCEPTABLE && self.operation == Read && self.choice != Choice::Second {
            let accept = next_accept(info, self.accept?);
            return Some(Self { accept, choice: Choice::Second, ..self.clone() });
        }
        if code != Code::UNSUPPORTED_CONTENT_FORMAT || !self.may_be_rewritten() {
            return None;
        }
        let refused = self.format?;
        let format = match self.operation {
            Write | Create => next_written(info, refused)?,
            _ => COMPOSITE.into_iter().find(|format| *format != refused)?,
        };
        let payload = self.payload_as(refused, format, context)?;
        let format = Some(format);
        Some(Self { format, payload, choice: Choice::Second, ..self.clone() })
    }

    fn payload_as(&self, from: Format, to: Format, context: &Context<'_>) -> Option<Vec<u8>> {
        let mut payload = Vec::new();
        if self.payload.is_empty() {
            return Some(payload);
        }
        let readings = codec::decode(Some(from), &self.path, &self.payload, context).ok()?.readings;
        match self.operation {
            OperationKind::ReadComposite | OperationKind::ObserveComposite => {
                codec::encode_paths(to, &paths_of(&readings), &mut payload).ok()?;
            }
            // TLV does not say what it holds: without a definition nobody knows.
            _ if from == Format::TLV && readings.iter().any(|reading| reading.raw) => return None,
            _ => codec::encode(to, &self.path, &readings, context, &mut payload).ok()?,
        }
        Some(payload)
    }
}

impl Server {
    /// The path list of a composite observation, as it was sent when that began.
    pub(crate) fn paths_of(&self, id: ObservationId) -> Option<(Format, Vec<u8>)> {
        let list = self.observations.get(id)?.target.composite.as_deref()?;
        Some((format_of_paths(list), list.to_vec()))
    }

    /// Sends a command whose format the device refused once more, in another one; gives it back if
    /// there is none.
    pub(crate) fn send_rewritten(
        &mut self,
        now: Instant,
        key: Key,
        mut command: Accepted,
        code: Code,
    ) -> Option<Accepted> {
        let Some(registration) = self.registry.get(key) else { return Some(command) };
        let info = std::sync::Arc::clone(&registration.info);
        let Some(request) = command.request.rewritten(code, &info, &self.context(now, &info))
        else {
            return Some(command);
        };
        command.request = request;
        self.send(now, key, command);
        self.record(key);
        None
    }

    /// What an answer teaches about the device; an error if it says that there are no composite
    /// operations.
    pub(crate) fn learn(
        &mut self,
        key: Key,
        request: &Prepared,
        code: Code,
    ) -> Result<(), CommandError> {
        let Some(registration) = self.registry.get_mut(key) else { return Ok(()) };
        let habits = &mut registration.habits;
        let Some(format) = request.format else { return Ok(()) };
        if !is_composite(request.operation) {
            if code.is_success() && request.choice == Choice::Second {
                habits.set_written(format);
            }
            return Ok(());
        }
        if code.is_success() {
            habits.set_composite(Composite::Works(format));
        } else if habits.composite() == Composite::Untried
            && says_unsupported(code, &registration.info)
        {
            registration.habits.set_composite(Composite::Unsupported);
            return Err(CommandError::CompositeUnsupported(Some(code)));
        }
        Ok(())
    }

    /// Whether a command that was not answered says that the device has no composite operations:
    /// some meet them with silence. Of a device that sleeps silence says nothing.
    pub(crate) fn learn_from_silence(
        &mut self,
        key: Key,
        exchange: ExchangeId,
    ) -> Option<CommandError> {
        let registration = self.registry.get_mut(key)?;
        let flight = registration.queue.as_deref()?.flight(exchange)?;
        let unsupported = is_composite(flight.command.request.operation)
            && registration.habits.composite() == Composite::Untried
            && registration.info.presence == Presence::Always
            && flight.sleep == Sleep::None;
        if unsupported {
            registration.habits.set_composite(Composite::Unsupported);
        }
        unsupported.then_some(CommandError::CompositeUnsupported(None))
    }
}

/// Composite operations that a device may not know. Cancelling is about one that it knew.
pub(crate) const fn is_composite(operation: OperationKind) -> bool {
    use OperationKind::{ObserveComposite, ReadComposite, WriteComposite};
    matches!(operation, ReadComposite | WriteComposite | ObserveComposite)
}

/// 4.05 and 5.01 are about the method. 4.04 is so only from a 1.0 device, which takes it for a
/// request of the root; one that knows the operation says it of a path.
fn says_unsupported(code: Code, info: &RegisteredInfo) -> bool {
    let version = info.parameters.lwm2m().and_then(|lwm2m| lwm2m.version());
    match code {
        Code::METHOD_NOT_ALLOWED | Code::NOT_IMPLEMENTED => true,
        Code::NOT_FOUND => version.is_some_and(|version| version < Version::V1_1),
        _ => false,
    }
}

fn paths_of(readings: &[Reading]) -> Vec<Path> {
    readings.iter().map(|reading| reading.path).collect()
}

/// Whether two encoded path lists, perhaps in different formats, name the same paths in the same
/// order.
pub(crate) fn same_paths(one: &[u8], other: &[u8], models: &Models) -> bool {
    // A list of paths has neither values nor times.
    let models = ModelView::new(models, &[]);
    let context = Context { models, wall_ms: 0, unknown: UnknownPolicy::Raw };
    let read = |list: &[u8]| {
        let format = Some(format_of_paths(list));
        let content = codec::decode(format, &Path::ROOT, list, &context).ok()?;
        Some(paths_of(&content.readings))
    };
    one == other || read(one).zip(read(other)).is_some_and(|(one, other)| one == other)
}

/// The format that a path list is in.
fn format_of_paths(list: &[u8]) -> Format {
    if list.first() == Some(&b'[') { Format::SENML_JSON } else { Format::SENML_CBOR }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_are_kept_in_one_byte() {
        assert_eq!(size_of::<Habits>(), 1);
        for format in WRITTEN {
            let composites = [
                Composite::Untried,
                Composite::Works(Format::SENML_CBOR),
                Composite::Works(Format::SENML_JSON),
                Composite::Unsupported,
            ];
            for composite in composites {
                let mut habits = Habits::default();
                assert_eq!((habits.written(), habits.composite()), (None, Composite::Untried));
                habits.set_composite(Composite::Unsupported);
                habits.set_written(Format::LWM2M_CBOR);
                habits.set_written(format);
                habits.set_composite(composite);
                assert_eq!((habits.written(), habits.composite()), (Some(format), composite));
            }
        }
    }
}
