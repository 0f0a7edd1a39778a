//! The device: its public face and what keeps it going.
//!
//! Datagrams are handled in [`crate::inbound`], the life with the server in
//! [`crate::registration`], notifications in [`crate::notify`].

use std::collections::VecDeque;
use std::sync::Arc;

use coap::{Code, Duration, Instant, Token, Type};
use lwm2m::{Path, Value};

use crate::block::{Download, Upload};
use crate::chance::Chance;
use crate::data::Data;
use crate::event::{Event, ObservationEnd};
use crate::firmware::{Firmware, Step};
use crate::habits::Habits;
use crate::messages::{Messages, Outgoing, Purpose};
use crate::name::{Name, Written};
use crate::notify::Spare;
use crate::observe::Observation;
use crate::profile::Profile;
use crate::registration::State;
use crate::reply::Reply;
use crate::requests::OwnRequest;

/// An LwM2M client with one server.
///
/// After each `handle_*` and each call that changes something, take what
/// [`Device::poll_transmit`] and [`Device::poll_event`] give, then call [`Device::handle_timeout`]
/// at the time that [`Device::poll_timeout`] says.
#[derive(Debug, Clone)]
pub struct Device {
    pub(crate) endpoint: Name,
    pub(crate) data: Data,
    pub(crate) chance: Chance,
    pub(crate) messages: Messages,
    pub(crate) state: State,
    pub(crate) request: Option<OwnRequest>,
    pub(crate) sends: VecDeque<Vec<Path>>,
    pub(crate) upload: Option<Box<Upload>>,
    pub(crate) download: Option<Box<Download>>,
    pub(crate) observations: Vec<Observation>,
    pub(crate) next_observe: u32,
    pub(crate) executions: Vec<(Path, u32)>,
    pub(crate) firmware: Firmware,
    pub(crate) delayed: Vec<Delayed>,
    pub(crate) events: VecDeque<Event>,
    /// Buffers of messages that were sent, for the next ones.
    pub(crate) spare: Spare,
}

/// The answer to a request that was acknowledged without one.
#[derive(Debug, Clone)]
pub(crate) struct Delayed {
    pub(crate) at: Instant,
    pub(crate) reliability: coap::Reliability,
    pub(crate) token: Token,
    pub(crate) reply: Reply,
}

/// Why a Send did not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The profile has no Send.
    #[error("the device does not know Send")]
    Unsupported,
    /// The server wrote `/1/0/23`.
    #[error("the server has muted Send")]
    Muted,
    /// The server does not know the device.
    #[error("the device is not registered")]
    NotRegistered,
    /// Too many are waiting.
    #[error("{SENDS_MAX} sends are waiting already")]
    Full,
}

/// Events kept for a driver that does not fetch them: it fetches after each input, so more means
/// that nobody wants them. The oldest is dropped. At 64 bytes each, 16 KiB.
const EVENTS_MAX: usize = 256;

/// Sends that wait for the one before.
const SENDS_MAX: usize = 8;

impl Device {
    /// A device that registers at once. `seed` decides its tokens, message ids and jitter.
    pub fn new(endpoint: &str, profile: Arc<Profile>, seed: u64, now: Instant) -> Self {
        let habits = profile.habits();
        Self::with_habits(endpoint, profile, habits, seed, now)
    }

    /// The same with habits of its own.
    pub fn with_habits(
        endpoint: impl Into<Name>,
        profile: Arc<Profile>,
        habits: Habits,
        seed: u64,
        now: Instant,
    ) -> Self {
        let mut device = Self::off(endpoint.into(), profile, habits, Chance::seeded(seed));
        device.register(now);
        device
    }

    /// A device that has not begun.
    pub(crate) fn off(
        endpoint: Name,
        profile: Arc<Profile>,
        habits: Habits,
        mut chance: Chance,
    ) -> Self {
        Self {
            endpoint,
            messages: Messages::new(chance.next_u16()),
            next_observe: profile.first_observe,
            data: Data::new(profile, habits),
            chance,
            state: State::Off,
            request: None,
            sends: VecDeque::new(),
            upload: None,
            download: None,
            observations: Vec::new(),
            executions: Vec::new(),
            firmware: Firmware::Idle,
            delayed: Vec::new(),
            events: VecDeque::new(),
            spare: Spare::default(),
        }
    }

    /// The endpoint name.
    pub fn endpoint(&self) -> String {
        self.written_name().to_string()
    }

    pub(crate) fn written_name(&self) -> Written<'_> {
        Written { name: &self.endpoint, prefix: &self.data.profile.prefix }
    }

    /// What the device has in common with its fleet.
    pub fn profile(&self) -> &Arc<Profile> {
        &self.data.profile
    }

    /// Takes a datagram from the server.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.data.now = now;
        self.on_datagram(now, datagram);
        self.drive(now);
    }

    /// Does what is due; call it at [`Device::poll_timeout`], earlier does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.data.now = now;
        let profile = Arc::clone(&self.data.profile);
        while let Some(purpose) = self.messages.handle_timeout(now, &profile.transmission) {
            self.on_given_up(now, purpose);
        }
        self.advance_firmware(now);
        self.send_delayed(now);
        if self.upload.as_ref().is_some_and(|upload| upload.until() <= now) {
            self.upload = None;
        }
        if self.download.as_ref().is_some_and(|download| download.until() <= now) {
            self.download = None;
        }
        self.messages.forget(now);
        self.drive(now);
    }

    /// Appends the next datagram to `out` and says how long it is; `None` when nothing has to
    /// leave.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<usize> {
        self.messages.poll_transmit(out)
    }

    /// Whether a datagram has to leave.
    pub fn has_transmit(&self) -> bool {
        self.messages.mark() > 0
    }

    /// Loses the datagram that [`Device::poll_transmit`] would give.
    pub fn skip_transmit(&mut self) {
        self.messages.skip_transmit();
    }

    /// What happened since the last call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Device::handle_timeout`] has something to do; `None`: not before the next input.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let upload = self.upload.as_ref().map(|upload| upload.until());
        let download = self.download.as_ref().map(|download| download.until());
        let delayed = self.delayed.iter().map(|delayed| delayed.at).min();
        [
            self.messages.next_timeout(),
            self.state_timeout(),
            self.notification_timeout(),
            self.firmware.next_timeout(),
            upload,
            download,
            delayed,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Sets a value from inside, as a sensor does; what observes it is told by its attributes.
    pub fn set_value(&mut self, now: Instant, path: Path, value: Value) {
        self.data.put(path, value);
        self.on_changed(&path);
        self.drive(now);
    }

    /// Tells those who observe the path, whether or not its value changed; pmin holds.
    pub fn notify(&mut self, now: Instant, path: Path) {
        for observation in &mut self.observations {
            if observation.target.covers(&path) {
                observation.changed = Some(path);
            }
        }
        self.drive(now);
    }

    /// The value at a path, if there is one.
    pub fn value(&self, path: &Path) -> Option<&Value> {
        self.data.tree.value(path)
    }

    /// How often a resource was executed since the device exists, reboots included.
    pub fn executions(&self, path: &Path) -> u32 {
        self.executions.iter().find(|(at, _)| at == path).map_or(0, |(_, count)| *count)
    }

    /// How many observations the server has.
    pub fn observation_count(&self) -> usize {
        self.observations.len()
    }

    /// What the server observes; [`Path::ROOT`] stands for a list of paths.
    pub fn observed(&self) -> impl Iterator<Item = Path> + '_ {
        self.observations.iter().map(|observation| observation.target.path())
    }

    /// Whether the server took the registration and it was not lost since.
    pub fn is_registered(&self) -> bool {
        matches!(self.state, State::Registered(_))
    }

    /// When the request of its own that the server has not answered yet was begun.
    pub fn request_began(&self) -> Option<Instant> {
        self.request.as_ref().map(|request| request.began)
    }

    /// Whether the device listens for an answer or an acknowledgement, or owes an answer.
    pub fn is_engaged(&self) -> bool {
        self.request.is_some() || self.messages.is_awaiting() || !self.delayed.is_empty()
    }

    /// How many messages left again, because they were not acknowledged, since the last call.
    pub const fn take_repetitions(&mut self) -> u32 {
        self.messages.take_repetitions()
    }

    /// Sends the values at these paths (Send, OMA Core 6.4.6).
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&mut self, now: Instant, paths: &[Path]) -> Result<(), SendError> {
        self.check_send()?;
        self.sends.push_back(paths.to_vec());
        self.drive(now);
        Ok(())
    }

    /// Bytes that this device uses beyond what its fleet shares, roughly.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.data.tree.heap_bytes()
            + self.messages.heap_bytes()
            + self.observations.capacity() * size_of::<Observation>()
            + self.executions.capacity() * size_of::<(Path, u32)>()
            + self.events.capacity() * size_of::<Event>()
    }

    /// Starts what can start now.
    pub(crate) fn drive(&mut self, now: Instant) {
        self.data.now = now;
        self.drive_state(now);
        self.drive_notifications(now);
    }

    pub(crate) fn emit(&mut self, event: Event) {
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// A value changed: those who observe it are told, and the server learns of what it keeps.
    pub(crate) fn on_changed(&mut self, path: &Path) {
        for observation in &mut self.observations {
            observation.on_change(&self.data, path);
        }
    }

    /// A new token of that many bytes.
    pub(crate) fn token(&mut self, len: usize) -> Token {
        let bytes = self.chance.next_u64().to_be_bytes();
        Token::new(bytes.get(..len).unwrap_or(&bytes)).unwrap_or(Token::EMPTY)
    }

    pub(crate) fn end_observations(&mut self, reason: ObservationEnd) {
        for observation in std::mem::take(&mut self.observations) {
            self.messages.end(Purpose::Notification(observation.token));
            self.emit(Event::ObservationEnded { path: observation.target.path(), reason });
        }
    }

    fn check_send(&self) -> Result<(), SendError> {
        const MUTE_SEND: Path = Path::resource(1, 0, 23);
        if self.data.profile.format_of_send.is_none() {
            return Err(SendError::Unsupported);
        }
        if self.data.tree.value(&MUTE_SEND) == Some(&Value::Boolean(true)) {
            return Err(SendError::Muted);
        }
        if !self.is_registered() {
            return Err(SendError::NotRegistered);
        }
        if self.sends.len() >= SENDS_MAX { Err(SendError::Full) } else { Ok(()) }
    }

    fn on_given_up(&mut self, now: Instant, purpose: Purpose) {
        match purpose {
            Purpose::Request => self.on_silence(now),
            Purpose::Notification(token) => {
                self.end_observation(token, ObservationEnd::Unacknowledged);
            }
            // The server asked and does not listen any more.
            Purpose::Answer => {}
        }
    }

    fn advance_firmware(&mut self, now: Instant) {
        let Some((step, changed)) = self.firmware.handle_timeout(&mut self.data, now) else {
            return;
        };
        for path in &changed {
            self.on_changed(path);
        }
        match step {
            Step::Told => {}
            Step::Reboot => self.go_down(now, Duration::ZERO),
        }
    }

    fn send_delayed(&mut self, now: Instant) {
        let profile = Arc::clone(&self.data.profile);
        while let Some(index) = self.delayed.iter().position(|delayed| delayed.at <= now) {
            let Delayed { reliability, token, reply, .. } = self.delayed.swap_remove(index);
            let Reply { code, options, payload } = &reply;
            let message = Outgoing { code: *code, token, options, payload };
            match reliability {
                coap::Reliability::Confirmable => {
                    let params = (&profile.transmission, &mut self.chance);
                    self.messages.send_confirmable(now, Purpose::Answer, message, params);
                }
                coap::Reliability::NonConfirmable => {
                    self.messages.send_non_confirmable(message);
                }
            }
        }
    }

    /// Refuses a message that the device cannot place.
    pub(crate) fn reset(&mut self, kind: Type, id: coap::MessageId) {
        if kind == Type::Confirmable {
            self.messages.send_empty(Type::Reset, id);
        }
    }

    /// Codes an error as the profile wants it.
    pub(crate) fn error(&self, code: Code) -> Reply {
        Reply::error(code, self.data.profile.diagnostics)
    }
}
