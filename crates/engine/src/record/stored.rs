//! What stands in a record, in this order; both directions side by side so that they stay alike.

use coap::{Code, Duration, MessageId, ObservationState, Peer, Request, Token};
use lwm2m::model::ObjectVersion;
use lwm2m::registration::{Lifetime, ObjectLinks, ObjectLinksParts, Parameters};
use lwm2m::{EndpointName, Format, OperationKind, Path, Version};

use super::RecordError;
use super::wire::{Clocks, Reader, Writer};
use crate::arming::plan::{Plan, Wanted};
use crate::command::{Origin, Priority};
use crate::event::ObserveCause;
use crate::formats::Choice;
use crate::identity::{CommandId, Identity};
use crate::interface::management::Prepared;
use crate::observations::{Observation, Target};
use crate::queue::{Accepted, Window};
use crate::registry::{LifetimePhase, Registration, Route};

/// The version of records that are written.
const VERSION: u8 = 2;

/// The first version, whose records end with the commands.
const WITHOUT_PLAN: u8 = 1;

/// Operations by their number in a record; only ever appended to.
const OPERATIONS: [OperationKind; 13] = [
    OperationKind::Read,
    OperationKind::Discover,
    OperationKind::Write,
    OperationKind::WriteAttributes,
    OperationKind::Execute,
    OperationKind::Create,
    OperationKind::Delete,
    OperationKind::ReadComposite,
    OperationKind::WriteComposite,
    OperationKind::Observe,
    OperationKind::CancelObserve,
    OperationKind::ObserveComposite,
    OperationKind::CancelObserveComposite,
];

/// A registration as a record holds it; its id is beside the record.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) endpoint: EndpointName,
    pub(super) peer: Peer,
    pub(super) identity: Identity,
    pub(super) lifetime: Lifetime,
    pub(super) parameters: Parameters,
    pub(super) links: Option<ObjectLinks>,
    pub(super) deadline: coap::Instant,
    pub(super) registered: coap::Instant,
    pub(super) heard: coap::Instant,
    pub(super) phase: LifetimePhase,
    pub(super) window: Window,
    pub(super) route: Route,
    pub(super) credit: u32,
    pub(super) observations: Vec<StoredObservation>,
    pub(super) commands: Vec<Accepted>,
    /// What is still to be observed, by request or not, in the order of the plan.
    pub(super) wanted: Vec<Wanted>,
    /// What comes after that: paths that are observed without being asked.
    pub(super) automatic: Vec<Path>,
}

/// An observation as a record holds it.
#[derive(Debug)]
pub(super) struct StoredObservation {
    pub(super) target: Target,
    pub(super) origin: Origin,
    pub(super) sequence: u32,
    pub(super) state: ObservationState,
}

/// Writes a registration down.
pub(super) fn write<'a>(
    registration: &Registration,
    observations: impl Iterator<Item = (&'a Observation, ObservationState)>,
    clocks: Clocks,
) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(VERSION);
    writer.text(registration.endpoint.as_str());
    writer.peer(&registration.peer);
    write_identity(&mut writer, registration.identity());
    writer.u64(registration.info.lifetime.as_secs());
    let parameters: Vec<&str> = registration.info.parameters.options().collect();
    writer.list(parameters.into_iter(), Writer::text);
    writer.option(registration.info.links.as_deref(), write_links);
    for instant in [registration.deadline, registration.registered, registration.heard] {
        writer.i64(clocks.to_wall(instant));
    }
    writer.u8(u8::from(registration.lifetime == LifetimePhase::Late));
    writer.u8(u8::from(registration.window == Window::Closed));
    writer.u8(u8::from(registration.route == Route::Proven));
    writer.u32(registration.credit);
    let observations: Vec<_> = observations.collect();
    // Chains are built from the front, so the last one is restored first.
    writer.list(observations.into_iter().rev(), |writer, (observation, state)| {
        write_observation(writer, observation, &state, clocks);
    });
    let queue = registration.queue.as_deref();
    let commands: Vec<_> = queue.into_iter().flat_map(|queue| queue.commands()).collect();
    writer.list(commands.into_iter(), |writer, command| write_command(writer, command, clocks));
    let plan = queue.and_then(|queue| queue.plan.as_deref());
    let wanted: Vec<_> = plan.into_iter().flat_map(Plan::wanted).collect();
    writer.list(wanted.into_iter(), write_wanted);
    let automatic: Vec<_> = plan.into_iter().flat_map(Plan::automatic).collect();
    writer.list(automatic.into_iter(), Writer::path);
    writer.finish()
}

impl Stored {
    /// Reads what [`write`] wrote.
    pub(super) fn read(bytes: &[u8], clocks: Clocks) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = match reader.u8() {
            Some(version @ (WITHOUT_PLAN | VERSION)) => version,
            Some(version) => return Err(RecordError::Version(version)),
            None => return Err(RecordError::Damaged),
        };
        let mut stored = Self::read_first(&mut reader, clocks).ok_or(RecordError::Damaged)?;
        if version > WITHOUT_PLAN {
            stored.read_plan(&mut reader).ok_or(RecordError::Damaged)?;
        }
        if reader.is_at_end() { Ok(stored) } else { Err(RecordError::Damaged) }
    }

    fn read_first(reader: &mut Reader<'_>, clocks: Clocks) -> Option<Self> {
        Some(Self {
            endpoint: EndpointName::parse(reader.text()?).ok()?,
            peer: reader.peer()?,
            identity: read_identity(reader)?,
            lifetime: Lifetime::from_secs(reader.u64()?),
            parameters: Parameters::from_options(reader.list(Reader::text)?).ok()?,
            links: reader.option(read_links)?,
            deadline: clocks.to_instant(reader.i64()?),
            registered: clocks.to_instant(reader.i64()?),
            heard: clocks.to_instant(reader.i64()?),
            phase: flag(reader, LifetimePhase::Running, LifetimePhase::Late)?,
            window: flag(reader, Window::Open, Window::Closed)?,
            route: flag(reader, Route::Unproven, Route::Proven)?,
            credit: reader.u32()?,
            observations: reader.list(|reader| read_observation(reader, clocks))?,
            commands: reader.list(|reader| read_command(reader, clocks))?,
            wanted: Vec::new(),
            automatic: Vec::new(),
        })
    }

    fn read_plan(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        self.wanted = reader.list(read_wanted)?;
        self.automatic = reader.list(Reader::path)?;
        Some(())
    }
}

fn flag<T>(reader: &mut Reader<'_>, zero: T, one: T) -> Option<T> {
    match reader.u8()? {
        0 => Some(zero),
        1 => Some(one),
        _ => None, // Damaged.
    }
}

fn read_method(reader: &mut Reader<'_>) -> Option<Code> {
    Some(Code::from_byte(reader.u8()?)).filter(|code| code.is_request())
}

fn write_identity(writer: &mut Writer, identity: &Identity) {
    writer.u8(match identity {
        Identity::None => 0,
        Identity::Psk(_) => 1,
        Identity::Certificate(_) => 2,
    });
    writer.text(identity.name().unwrap_or_default());
}

fn read_identity(reader: &mut Reader<'_>) -> Option<Identity> {
    let (tag, name) = (reader.u8()?, reader.text()?);
    match tag {
        0 => Some(Identity::None),
        1 => Some(Identity::Psk(name.into())),
        2 => Some(Identity::Certificate(name.into())),
        _ => None, // Damaged.
    }
}

fn write_links(writer: &mut Writer, links: &ObjectLinks) {
    let parts = links.to_parts();
    writer.text(&parts.alternate_path);
    writer.list(parts.object_list.iter(), |writer, link| writer.text(link));
    writer.list(parts.objects.iter(), |writer, entry| {
        writer.u16(entry.object);
        writer.option(entry.version, |writer, version| {
            writer.u16(version.major);
            writer.u16(version.minor);
        });
    });
    writer.list(parts.instances.iter(), Writer::path);
    writer.list(parts.formats.iter(), |writer, format| writer.u16(format.0));
}

fn read_links(reader: &mut Reader<'_>) -> Option<ObjectLinks> {
    Some(ObjectLinks::from_parts(ObjectLinksParts {
        alternate_path: reader.text()?.to_owned(),
        object_list: reader.list(|reader| reader.text().map(str::to_owned))?,
        objects: reader.list(|reader| {
            let object = reader.u16()?;
            let version =
                reader.option(|reader| Some(Version::new(reader.u16()?, reader.u16()?)))?;
            Some(ObjectVersion { object, version })
        })?,
        instances: reader.list(Reader::path)?,
        formats: reader.list(|reader| reader.u16().map(Format))?,
    }))
}

fn write_observation(
    writer: &mut Writer,
    observation: &Observation,
    state: &ObservationState,
    clocks: Clocks,
) {
    writer.path(&observation.target.path);
    writer.format(observation.target.accept);
    writer.option(observation.target.composite.as_deref(), Writer::bytes);
    writer.bytes(observation.origin.as_bytes());
    writer.u32(observation.sequence);
    writer.bytes(state.token.as_bytes());
    writer.option(state.last, |writer, (number, at)| {
        writer.u32(number);
        writer.i64(clocks.to_wall(at));
    });
    writer.list(state.message_ids.iter(), |writer, id| writer.u16(id.value()));
    writer.i64(clocks.to_wall(state.heard));
    writer.option(state.request.as_ref(), |writer, request| {
        writer.u8(request.code.byte());
        writer.options(&request.options);
        writer.bytes(&request.payload);
    });
}

fn read_observation(reader: &mut Reader<'_>, clocks: Clocks) -> Option<StoredObservation> {
    let target = Target {
        path: reader.path()?,
        accept: reader.format()?,
        composite: reader.option(|reader| reader.bytes().map(Into::into))?,
    };
    let origin = Origin::new(reader.bytes()?);
    let sequence = reader.u32()?;
    let state = ObservationState {
        token: Token::new(reader.bytes()?)?,
        last: reader.option(|reader| Some((reader.u32()?, clocks.to_instant(reader.i64()?))))?,
        message_ids: reader.list(|reader| reader.u16().map(MessageId::new))?,
        heard: clocks.to_instant(reader.i64()?),
        request: reader.option(|reader| {
            let code = read_method(reader)?;
            let (options, payload) = (reader.options()?, reader.bytes()?.to_vec());
            Some(Request { code, options, payload })
        })?,
    };
    Some(StoredObservation { target, origin, sequence, state })
}

fn write_command(writer: &mut Writer, command: &Accepted, clocks: Clocks) {
    writer.u64(command.id.number());
    writer.bytes(command.origin.as_bytes());
    writer.u64(u64::try_from(command.timeout.as_micros()).unwrap_or(u64::MAX));
    writer.i64(clocks.to_wall(command.expires));
    writer.u8(u8::from(command.priority == Priority::Urgent));
    write_request(writer, &command.request);
}

fn read_command(reader: &mut Reader<'_>, clocks: Clocks) -> Option<Accepted> {
    Some(Accepted {
        id: CommandId(reader.u64()?),
        origin: Origin::new(reader.bytes()?),
        timeout: Duration::from_micros(reader.u64()?),
        expires: clocks.to_instant(reader.i64()?),
        priority: flag(reader, Priority::Normal, Priority::Urgent)?,
        request: read_request(reader)?,
    })
}

fn write_wanted(writer: &mut Writer, wanted: &Wanted) {
    writer.bytes(wanted.origin.as_bytes());
    writer.u8(u8::from(wanted.cause == ObserveCause::Rearmed));
    writer.u8(wanted.tries);
    write_request(writer, &wanted.request);
}

fn read_wanted(reader: &mut Reader<'_>) -> Option<Wanted> {
    let origin = Origin::new(reader.bytes()?);
    let cause = flag(reader, ObserveCause::Automatic, ObserveCause::Rearmed)?;
    let (tries, request) = (reader.u8()?, read_request(reader)?);
    Some(Wanted { request, origin, cause, tries })
}

/// Their places are what is stored, in the upper half of the byte that names the operation.
const CHOICES: [Choice; 3] = [Choice::Stated, Choice::Ours, Choice::Second];
const CHOICE_SHIFT: usize = 4;

fn write_request(writer: &mut Writer, request: &Prepared) {
    let operation = OPERATIONS.iter().position(|known| *known == request.operation);
    let choice = CHOICES.iter().position(|known| *known == request.choice).unwrap_or(0);
    writer.u8((operation.unwrap_or(OPERATIONS.len()) | choice << CHOICE_SHIFT) as u8);
    writer.path(&request.path);
    writer.u8(request.method.byte());
    writer.format(request.accept);
    writer.format(request.format);
    writer.list(request.query.iter(), |writer, argument| writer.text(argument));
    writer.bytes(&request.payload);
}

fn read_request(reader: &mut Reader<'_>) -> Option<Prepared> {
    let first = usize::from(reader.u8()?);
    let (operation, choice) = (first & ((1 << CHOICE_SHIFT) - 1), first >> CHOICE_SHIFT);
    Some(Prepared {
        operation: *OPERATIONS.get(operation)?,
        choice: *CHOICES.get(choice)?,
        path: reader.path()?,
        method: read_method(reader)?,
        accept: reader.format()?,
        format: reader.format()?,
        query: reader.list(|reader| reader.text().map(Into::into))?,
        payload: reader.bytes()?.to_vec(),
    })
}
