//! The life with the server: Register, Update, Deregister, reboot. OMA Core 6.2.
//!
//! What the requests look like is the job of [`crate::requests`].

use std::sync::Arc;

use coap::{Code, Duration, Instant, Message, OptionList};
use lwm2m::Path;

use crate::block;
use crate::device::Device;
use crate::event::{Event, ObservationEnd};
use crate::location::Location;
use crate::messages::{Outgoing, Purpose};
use crate::profile::Reboot;
use crate::requests::{self, Kind, OwnRequest, Progress, Updated};

/// Where the device stands with its server.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// It has left, or never came.
    Off,
    /// It tries again later. `failures`: how often it has failed in a row.
    Waiting {
        until: Instant,
        failures: u8,
    },
    /// Register is on its way.
    Registering {
        failures: u8,
    },
    Registered(Registered),
    /// Deregister is on its way.
    Leaving {
        then: Afterwards,
    },
    /// It was told to reboot: it still repeats the answers that it gave, for a server that has
    /// missed the last one.
    GoingDown {
        until: Instant,
    },
}

/// A registration that the server took.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) location: Location,
    pub(crate) update_at: Instant,
    pub(crate) changed: Updated,
}

/// What follows when the device has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    StayAway,
    Reboot,
}

/// First pause after a registration failed; it doubles up to 32 times that.
const RETRY: Duration = Duration::from_secs(3);
const RETRY_DOUBLINGS_MAX: u8 = 5;

impl Device {
    /// Registers anew, as after a loss of power or in a new network: the server's observations end.
    pub fn register(&mut self, now: Instant) {
        self.start_register(now, 0);
    }

    /// Sends an Update now, or as soon as the request in flight is over.
    pub fn update(&mut self, now: Instant) {
        if let State::Registered(registered) = &mut self.state {
            registered.update_at = now;
        }
        self.drive(now);
    }

    /// Leaves the server.
    pub fn deregister(&mut self, now: Instant) {
        self.leave(now, Afterwards::StayAway);
    }

    /// Reboots: leaves as the profile says and comes back after `Profile::reboot_time`.
    pub fn reboot(&mut self, now: Instant) {
        match self.data.profile.reboot {
            Reboot::Deregisters => self.leave(now, Afterwards::Reboot),
            Reboot::Vanishes => self.go_down(now, self.data.profile.reboot_time),
        }
    }

    /// Stops without a word, as a device that loses its power; [`Device::register`] brings it back.
    pub fn vanish(&mut self) {
        self.forget_server();
        self.state = State::Off;
    }

    /// Where the registration is, e.g. `/rd/4XyZ`.
    pub fn location(&self) -> Option<String> {
        match &self.state {
            State::Registered(registered) => Some(registered.location.text()),
            _ => None,
        }
    }

    pub(crate) fn drive_state(&mut self, now: Instant) {
        match self.state {
            State::Waiting { until, failures } if until <= now => {
                self.start_register(now, failures);
            }
            State::GoingDown { until } if until <= now => {
                self.emit(Event::Rebooted);
                self.start_register(now, 0);
            }
            State::Registered(_) if self.can_request() => self.drive_registered(now),
            _ => {}
        }
    }

    pub(crate) fn state_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until, .. } | State::GoingDown { until } => Some(*until),
            State::Registered(registered) if self.can_request() => Some(registered.update_at),
            State::Off
            | State::Registering { .. }
            | State::Registered(_)
            | State::Leaving { .. } => None,
        }
    }

    /// The answer to the request in flight, or to one of its blocks.
    pub(crate) fn on_answer(&mut self, now: Instant, answer: &Message<'_>) {
        let Some(request) = &mut self.request else { return };
        if request.on_answer(answer) == Progress::Continue {
            return self.transmit_request(now);
        }
        let kind = request.kind;
        if let Some(request) = self.request.take() {
            self.spare.options = request.into_options();
        }
        match kind {
            Kind::Register => self.on_register_answer(now, answer),
            Kind::Update => self.on_update_answer(now, answer.code),
            Kind::Deregister => self.on_left(now),
            Kind::Send => self.emit(Event::SendFinished { code: answer.code }),
        }
    }

    /// The server does not answer the request in flight.
    pub(crate) fn on_silence(&mut self, now: Instant) {
        self.messages.end_request();
        let Some(request) = self.request.take() else { return };
        match request.kind {
            Kind::Deregister => self.on_left(now),
            Kind::Register => {
                self.emit(Event::Silence);
                self.retry_later(now, None);
            }
            Kind::Update | Kind::Send => {
                // Whoever does not answer may have forgotten the device.
                self.emit(Event::Silence);
                self.start_register(now, 0);
            }
        }
    }

    /// An instance was created or deleted: the server gets the new list.
    pub(crate) fn on_objects_changed(&mut self) {
        if let State::Registered(registered) = &mut self.state {
            registered.changed.objects = true;
        }
    }

    /// The server wrote its own object: lifetime and binding are part of the registration.
    pub(crate) fn on_server_object_written(&mut self, path: &Path) {
        let State::Registered(registered) = &mut self.state else { return };
        match path.ids() {
            [1, 0, 1] => registered.changed.lifetime = true,
            [1, 0, 7] => registered.changed.binding = true,
            _ => {}
        }
    }

    pub(crate) fn go_down(&mut self, now: Instant, time: Duration) {
        self.forget_server();
        self.state = State::GoingDown { until: now + time };
    }

    /// NSTART is 1: nothing of its own leaves while something is unanswered.
    fn can_request(&self) -> bool {
        self.request.is_none() && !self.messages.is_busy()
    }

    fn forget_server(&mut self) {
        self.messages.end_all();
        self.request = None;
        self.sends.clear();
        self.upload = None;
        self.download = None;
        self.data.attributes.clear();
        self.end_observations(ObservationEnd::Registration);
    }

    fn start_register(&mut self, now: Instant, failures: u8) {
        // OMA Core 6.4.1: a new registration begins without observations. They end before Register
        // leaves, since the server may observe before its 2.01 arrives.
        self.messages.end_all();
        self.end_observations(ObservationEnd::Registration);
        let name = self.written_name().to_string();
        let (options, body) = requests::register(&self.data, &name);
        self.state = State::Registering { failures };
        self.start_request(now, Kind::Register, options, body);
    }

    fn start_request(&mut self, now: Instant, kind: Kind, options: OptionList, body: Vec<u8>) {
        let len = match kind {
            Kind::Send => self.data.profile.send_token_len,
            Kind::Register | Kind::Update | Kind::Deregister => self.data.profile.token_len,
        };
        let token = self.token(len);
        let szx = block::szx_of(self.data.profile.block_size);
        let request = OwnRequest::new(now, kind, token, options, body).in_blocks(szx);
        self.request = Some(request);
        self.transmit_request(now);
    }

    fn transmit_request(&mut self, now: Instant) {
        let profile = Arc::clone(&self.data.profile);
        let Some(request) = &self.request else { return };
        let (code, options, payload) = request.part();
        let message = Outgoing { code, token: request.token, options: options.as_ref(), payload };
        let params = (&profile.transmission, &mut self.chance);
        self.messages.send_confirmable(now, Purpose::Request, message, params);
    }

    fn drive_registered(&mut self, now: Instant) {
        let State::Registered(registered) = &mut self.state else { return };
        if registered.update_at <= now || registered.changed != Updated::default() {
            let changed = std::mem::take(&mut registered.changed);
            let mut options = std::mem::take(&mut self.spare.options);
            registered.location.write_uri_path(&mut options);
            let body = requests::update(&self.data, &mut options, changed);
            return self.start_request(now, Kind::Update, options, body);
        }
        let Some(format) = self.data.profile.format_of_send else { return };
        if let Some(paths) = self.sends.pop_front()
            && let Ok(body) = self.data.read_many(&paths, format)
        {
            self.start_request(now, Kind::Send, requests::send(format), body.bytes);
        }
    }

    fn on_register_answer(&mut self, now: Instant, answer: &Message<'_>) {
        let location = Location::of(answer);
        if !answer.code.is_success() || location.is_empty() {
            self.emit(Event::RegistrationRefused { code: answer.code });
            return self.retry_later(now, answer.options.max_age());
        }
        self.emit(Event::Registered { location: location.text() });
        let update_at = now + self.data.habits.update_interval(self.data.lifetime());
        let changed = Updated::default();
        self.state = State::Registered(Registered { location, update_at, changed });
    }

    fn on_update_answer(&mut self, now: Instant, code: Code) {
        if !code.is_success() {
            self.emit(Event::UpdateRefused { code });
            return self.start_register(now, 0);
        }
        self.emit(Event::Updated);
        let interval = self.data.habits.update_interval(self.data.lifetime());
        if let State::Registered(registered) = &mut self.state {
            registered.update_at = now + interval;
        }
    }

    /// Waits before the next Register: as long as the server says, else longer each time.
    fn retry_later(&mut self, now: Instant, max_age: Option<u32>) {
        let failures = match self.state {
            State::Registering { failures } => failures,
            _ => 0,
        };
        let pause = match max_age {
            Some(seconds) => Duration::from_secs(u64::from(seconds)),
            None => RETRY * (1 << failures.min(RETRY_DOUBLINGS_MAX)),
        };
        let spread = self.chance.between(Duration::ZERO, pause / 2);
        let failures = failures.saturating_add(1);
        self.state = State::Waiting { until: now + pause + spread, failures };
    }

    fn leave(&mut self, now: Instant, then: Afterwards) {
        let location = match &self.state {
            State::Registered(registered) => registered.location.clone(),
            // Nothing that the server would have to forget.
            State::Off
            | State::Waiting { .. }
            | State::Registering { .. }
            | State::Leaving { .. }
            | State::GoingDown { .. } => {
                self.forget_server();
                self.state = State::Leaving { then };
                return self.on_left(now);
            }
        };
        self.forget_server();
        self.state = State::Leaving { then };
        let options = location.uri_path();
        self.start_request(now, Kind::Deregister, options, Vec::new());
    }

    fn on_left(&mut self, now: Instant) {
        let State::Leaving { then } = self.state else { return };
        self.emit(Event::Deregistered);
        match then {
            Afterwards::StayAway => self.state = State::Off,
            Afterwards::Reboot => {
                self.state = State::GoingDown { until: now + self.data.profile.reboot_time };
            }
        }
    }
}
